"""BERT and DistilBERT as Hugging Face names them, for `jnn.models.TextEncoder`.

Kernels are [out, in] in the file. Heads that the network lacks are left out. Files that come from
TensorFlow have gamma and beta for the norms, and older ones have the numbers of the positions.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jnn.models import TextEncoder
from jnn.weights._config import check_settings, sizes
from jnn.weights._family import Config, Family, Rule, register

_OURS = "blocks/{i}"
_WORDS = "words/bias"


def _dense(theirs: str, ours: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{theirs}.weight", f"{ours}/kernel", "transpose"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    )


def _norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{theirs}.weight", f"{ours}/scale"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
        Rule(f"{theirs}.gamma", f"{ours}/scale"),
        Rule(f"{theirs}.beta", f"{ours}/bias"),
    )


def _attention(theirs: Mapping[str, str], block: str) -> tuple[Rule, ...]:
    """Return the rules of the four maps, of which the last one is that of the outputs."""
    *inputs, (out, ours) = theirs.items()
    return (
        *(
            rule
            for name, own in inputs
            for rule in (
                Rule(f"{block}.{name}.weight", f"{_OURS}/attention/{own}/kernel", "(HK)D->DHK"),
                Rule(f"{block}.{name}.bias", f"{_OURS}/attention/{own}/bias", "(HK)->HK"),
            )
        ),
        Rule(f"{block}.{out}.weight", f"{_OURS}/attention/{ours}/kernel", "D(HK)->HKD"),
        Rule(f"{block}.{out}.bias", f"{_OURS}/attention/{ours}/bias"),
    )


def _embeddings(decoder: str) -> tuple[Rule, ...]:
    """Return the rules of the embeddings, one of which is the kernel of the decoder too."""
    words = "embeddings.word_embeddings.weight"
    return (
        Rule((words, f"{decoder}.weight"), "embedding/embedding", "tied", needs=_WORDS),
        Rule(words, "embedding/embedding"),
        Rule("embeddings.position_embeddings.weight", "positions/embedding"),
        *_norm("embeddings.LayerNorm", "norm"),
        Rule("embeddings.position_ids", None),
    )


_BLOCK = "encoder.layer.{i}"
BERT = (
    *_embeddings("cls.predictions.decoder"),
    Rule("embeddings.token_type_embeddings.weight", "segments/embedding"),
    *_attention(
        {
            "self.query": "query",
            "self.key": "key",
            "self.value": "value",
            "output.dense": "out",
        },
        f"{_BLOCK}.attention",
    ),
    *_norm(f"{_BLOCK}.attention.output.LayerNorm", f"{_OURS}/norm1"),
    *_dense(f"{_BLOCK}.intermediate.dense", f"{_OURS}/linear1"),
    *_dense(f"{_BLOCK}.output.dense", f"{_OURS}/linear2"),
    *_norm(f"{_BLOCK}.output.LayerNorm", f"{_OURS}/norm2"),
    *_dense("pooler.dense", "pooler"),
    *_dense("classifier", "output"),
    Rule(("cls.predictions.bias", "cls.predictions.decoder.bias"), _WORDS, "tied"),
    *_dense("cls.predictions.transform.dense", "words/dense"),
    *_norm("cls.predictions.transform.LayerNorm", "words/norm"),
    Rule("pooler.dense.{}", None),
    Rule("classifier.{}", None),
    *(Rule("cls" + parts * ".{}", None) for parts in (2, 3, 4)),
)

_BLOCK = "transformer.layer.{i}"
DISTILBERT = (
    *_embeddings("vocab_projector"),
    *_attention(
        {"q_lin": "query", "k_lin": "key", "v_lin": "value", "out_lin": "out"},
        f"{_BLOCK}.attention",
    ),
    *_norm(f"{_BLOCK}.sa_layer_norm", f"{_OURS}/norm1"),
    *_dense(f"{_BLOCK}.ffn.lin1", f"{_OURS}/linear1"),
    *_dense(f"{_BLOCK}.ffn.lin2", f"{_OURS}/linear2"),
    *_norm(f"{_BLOCK}.output_layer_norm", f"{_OURS}/norm2"),
    *_dense("pre_classifier", "pooler"),
    *_dense("classifier", "output"),
    Rule("vocab_projector.bias", _WORDS),
    *_dense("vocab_transform", "words/dense"),
    *_norm("vocab_layer_norm", "words/norm"),
    *(
        Rule(f"{head}.{{}}", None)
        for head in (
            "pre_classifier",
            "classifier",
            "vocab_projector",
            "vocab_transform",
            "vocab_layer_norm",
        )
    ),
)


def bert(config: Config) -> Callable[..., Any]:
    """Return the text encoder of a config of BERT."""
    names = {"layers": "num_hidden_layers", "num_heads": "num_attention_heads"}
    names |= {"features": "hidden_size", "hidden": "intermediate_size"}
    check_settings(
        config,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        position_embedding_type="absolute",
        is_decoder=False,
        add_cross_attention=False,
    )
    return _network(config, "Bert", **names, segments="type_vocab_size")


def distilbert(config: Config) -> Callable[..., Any]:
    """Return the text encoder of a config of DistilBERT."""
    names = {"layers": "n_layers", "num_heads": "n_heads", "features": "dim"}
    check_settings(config, activation="gelu")
    network = _network(config, "DistilBert", **names, hidden="hidden_dim")
    return functools.partial(network, segments=None, pooler_activation=jax.nn.relu)


def _network(config: Config, name: str, **names: str) -> Callable[..., Any]:
    labels = len(config.get("id2label") or range(config.get("num_labels", 2)))
    heads = {
        f"{name}Model": {"head": "positions"},
        f"{name}ForSequenceClassification": {"head": "pooled", "outputs": labels},
        f"{name}ForTokenClassification": {"head": "positions", "outputs": labels},
        f"{name}ForMaskedLM": {"head": "words"},
        "BertForPreTraining": {"head": "words"},
    }
    known = tuple([architecture] for architecture in heads)
    check_settings(config, tie_word_embeddings=True, architectures=(None, *known))
    (architecture,) = config.get("architectures") or [f"{name}Model"]
    numbers = sizes(config, vocabulary="vocab_size", length="max_position_embeddings", **names)
    padding = {"padding_id": config.get("pad_token_id", 0)}
    return functools.partial(TextEncoder, **numbers, **padding, **heads[architecture])


register("bert", Family(BERT, ("bert.",), heads=("cls.*", "classifier.*")), bert)
register(
    "distilbert",
    Family(DISTILBERT, ("distilbert.",), heads=("vocab_*", "pre_classifier.*", "classifier.*")),
    distilbert,
)
