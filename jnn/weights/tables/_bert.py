"""BERT and DistilBERT as Hugging Face names them, for `jnn.models.TextEncoder`.

Kernels are [out, in] in the file. Heads that the network lacks are left out. Files that come from
TensorFlow have gamma and beta for the norms, and older ones have the numbers of the positions.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jnn._settings import check_integer
from jnn.models import TextEncoder
from jnn.weights._config import check_settings, classes, sizes
from jnn.weights._family import Config, Family, Rule, register
from jnn.weights.tables._layers import Rules, from_heads, head, linear, norm, to_heads

_OURS = "blocks/{i}"
_WORDS = "words/bias"


def _norm(theirs: str, ours: str) -> Rules:
    """Return the rules of a norm, which files from TensorFlow name otherwise."""
    gamma = Rule(f"{theirs}.gamma", f"{ours}/scale")
    return *norm(theirs, ours), gamma, Rule(f"{theirs}.beta", f"{ours}/bias")


def _embeddings(decoder: str) -> Rules:
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
    *to_heads(f"{_BLOCK}.attention.self.query", f"{_OURS}/attention/query"),
    *to_heads(f"{_BLOCK}.attention.self.key", f"{_OURS}/attention/key"),
    *to_heads(f"{_BLOCK}.attention.self.value", f"{_OURS}/attention/value"),
    *from_heads(f"{_BLOCK}.attention.output.dense", f"{_OURS}/attention/out"),
    *_norm(f"{_BLOCK}.attention.output.LayerNorm", f"{_OURS}/norm1"),
    *linear(f"{_BLOCK}.intermediate.dense", f"{_OURS}/linear1"),
    *linear(f"{_BLOCK}.output.dense", f"{_OURS}/linear2"),
    *_norm(f"{_BLOCK}.output.LayerNorm", f"{_OURS}/norm2"),
    *linear("pooler.dense", "pooler"),
    *head("classifier"),
    Rule(("cls.predictions.bias", "cls.predictions.decoder.bias"), _WORDS, "tied"),
    *linear("cls.predictions.transform.dense", "words/dense"),
    *_norm("cls.predictions.transform.LayerNorm", "words/norm"),
    Rule("pooler.dense.{}", None),
    *(Rule("cls" + parts * ".{}", None) for parts in (2, 3, 4)),
)

_BLOCK = "transformer.layer.{i}"
DISTILBERT = (
    *_embeddings("vocab_projector"),
    *to_heads(f"{_BLOCK}.attention.q_lin", f"{_OURS}/attention/query"),
    *to_heads(f"{_BLOCK}.attention.k_lin", f"{_OURS}/attention/key"),
    *to_heads(f"{_BLOCK}.attention.v_lin", f"{_OURS}/attention/value"),
    *from_heads(f"{_BLOCK}.attention.out_lin", f"{_OURS}/attention/out"),
    *_norm(f"{_BLOCK}.sa_layer_norm", f"{_OURS}/norm1"),
    *linear(f"{_BLOCK}.ffn.lin1", f"{_OURS}/linear1"),
    *linear(f"{_BLOCK}.ffn.lin2", f"{_OURS}/linear2"),
    *_norm(f"{_BLOCK}.output_layer_norm", f"{_OURS}/norm2"),
    *linear("pre_classifier", "pooler"),
    *head("classifier"),
    Rule("vocab_projector.bias", _WORDS),
    *linear("vocab_transform", "words/dense"),
    *_norm("vocab_layer_norm", "words/norm"),
    *(
        Rule(f"{name}.{{}}", None)
        for name in ("pre_classifier", "vocab_projector", "vocab_transform", "vocab_layer_norm")
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
    labels = classes(config)
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
    padding_id = config.get("pad_token_id", 0)
    if padding_id is not None:
        check_integer("pad_token_id", padding_id, least=0)
    return functools.partial(TextEncoder, **numbers, padding_id=padding_id, **heads[architecture])


register("bert", Family(BERT, ("bert.",), heads=("cls.*", "classifier.*")), bert)
register(
    "distilbert",
    Family(DISTILBERT, ("distilbert.",), heads=("vocab_*", "pre_classifier.*", "classifier.*")),
    distilbert,
)
