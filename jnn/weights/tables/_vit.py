"""ViT as torchvision and Hugging Face name it, for `jnn.models.ViT`."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

from jnn.models import ViT
from jnn.weights._config import check_settings, classes, number, sizes
from jnn.weights._family import Config, Rule, register
from jnn.weights.tables._layers import (
    Rules,
    convolution,
    from_heads,
    head,
    linear,
    norm,
    of_two_libraries,
    to_heads,
)

_OURS = "blocks/{i}"
_ATTENTION = f"{_OURS}/attention"
_QKV = tuple(f"{_ATTENTION}/{name}" for name in ("query", "key", "value"))
_FIRST = "ABD->(AB)D A=1"  # an axis of size 1 before the others


def _blocks(theirs: str, qkv: tuple[str, str, str], out: str, first: str, second: str) -> Rules:
    """Return the rules of the blocks of Hugging Face."""
    maps = [to_heads(f"{theirs}.{name}", ours) for name, ours in zip(qkv, _QKV, strict=True)]
    return (
        *itertools.chain(*maps),
        *from_heads(f"{theirs}.{out}", f"{_ATTENTION}/out"),
        *norm(f"{theirs}.layernorm_before", f"{_OURS}/norm1"),
        *norm(f"{theirs}.layernorm_after", f"{_OURS}/norm2"),
        *linear(f"{theirs}.{first}", f"{_OURS}/linear1"),
        *linear(f"{theirs}.{second}", f"{_OURS}/linear2"),
    )


_FILE = "attention.attention"
_LAYER = "encoder.layers.encoder_layer_{i}"
HUGGINGFACE = (
    Rule("embeddings.cls_token", "token", _FIRST),
    Rule("embeddings.position_embeddings", "positions", _FIRST),
    *convolution("embeddings.patch_embeddings.projection", "embedding"),
    *_blocks(  # of files
        "encoder.layer.{i}",
        (f"{_FILE}.query", f"{_FILE}.key", f"{_FILE}.value"),
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    *_blocks(  # of state_dict() from version 5 on
        "layers.{i}",
        ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        "attention.o_proj",
        "mlp.fc1",
        "mlp.fc2",
    ),
    *norm("layernorm", "norm"),
    *head("classifier"),
    Rule("pooler.dense.weight", None),
    Rule("pooler.dense.bias", None),
)
TORCHVISION = (
    Rule("class_token", "token", _FIRST),
    Rule("encoder.pos_embedding", "positions", _FIRST),
    *convolution("conv_proj", "embedding"),
    Rule(
        f"{_LAYER}.self_attention.in_proj_weight",
        tuple(f"{name}/kernel" for name in _QKV),
        "split 3 axis 0; (HK)D->DHK",
    ),
    Rule(
        f"{_LAYER}.self_attention.in_proj_bias",
        tuple(f"{name}/bias" for name in _QKV),
        "split 3; (HK)->HK",
    ),
    *from_heads(f"{_LAYER}.self_attention.out_proj", f"{_ATTENTION}/out"),
    *norm(f"{_LAYER}.ln_1", f"{_OURS}/norm1"),
    *norm(f"{_LAYER}.ln_2", f"{_OURS}/norm2"),
    *linear(f"{_LAYER}.mlp.0", f"{_OURS}/linear1"),
    *linear(f"{_LAYER}.mlp.3", f"{_OURS}/linear2"),
    *norm("encoder.ln", "norm"),
    *head("heads.head"),
)


def network(config: Config) -> Callable[..., Any]:
    """Return the ViT of a config."""
    side = sizes(config, side="image_size", channels="num_channels")
    numbers = sizes(
        config,
        patch="patch_size",
        layers="num_hidden_layers",
        num_heads="num_attention_heads",
        features="hidden_size",
        hidden="intermediate_size",
    )
    check_settings(
        config,
        hidden_act="gelu",
        qkv_bias=True,
        architectures=(None, ["ViTForImageClassification"], ["ViTModel"]),
    )
    shape = (side["side"], side["side"], side["channels"])
    return functools.partial(
        ViT,
        shape=shape,
        outputs=classes(config),
        epsilon=number(config, "layer_norm_eps", 1e-12),
        **numbers,
    )


register("vit", of_two_libraries(TORCHVISION, HUGGINGFACE, "vit."), network)
