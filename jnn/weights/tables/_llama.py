"""Llama, Mistral and Qwen2 as Hugging Face names them, for `jnn.models.Llama`.

Kernels are [out, in] in the file. Older files have the rotary frequencies among their tensors.
"""

import functools
from collections.abc import Callable
from typing import Any

from jnn.layers import RotaryScaling
from jnn.models import Llama
from jnn.weights._config import check_settings, number, sizes
from jnn.weights._family import Config, Family, Rule, register
from jnn.weights.tables._layers import from_heads, linear, norm, to_heads

_BLOCK, _OURS = "layers.{i}", "blocks/{i}"

RULES = (
    Rule("lm_head.weight", "output/kernel", "transpose"),
    Rule(("embed_tokens.weight", "lm_head.weight"), "embedding/embedding", "tied"),
    *norm(f"{_BLOCK}.input_layernorm", f"{_OURS}/norm1"),
    *to_heads(f"{_BLOCK}.self_attn.q_proj", f"{_OURS}/attention/query"),
    *to_heads(f"{_BLOCK}.self_attn.k_proj", f"{_OURS}/attention/key"),
    *to_heads(f"{_BLOCK}.self_attn.v_proj", f"{_OURS}/attention/value"),
    *from_heads(f"{_BLOCK}.self_attn.o_proj", f"{_OURS}/attention/out"),
    Rule(f"{_BLOCK}.self_attn.rotary_emb.inv_freq", None),
    *norm(f"{_BLOCK}.post_attention_layernorm", f"{_OURS}/norm2"),
    *linear(f"{_BLOCK}.mlp.gate_proj", f"{_OURS}/gate"),
    *linear(f"{_BLOCK}.mlp.up_proj", f"{_OURS}/linear1"),
    *linear(f"{_BLOCK}.mlp.down_proj", f"{_OURS}/linear2"),
    *norm("norm", "norm"),
)
FAMILY = Family(RULES, ("model.",), heads=("lm_head.*",))


def network(config: Config, qkv_bias: bool = False) -> Callable[..., Any]:
    """Return the Llama of a config."""
    names = {"vocabulary": "vocab_size", "layers": "num_hidden_layers"}
    names |= {"features": "hidden_size", "hidden": "intermediate_size"}
    numbers = sizes(config, **names, num_heads="num_attention_heads")
    _check(config, numbers)
    if config.get("num_key_value_heads") is not None:
        numbers |= sizes(config, num_kv_heads="num_key_value_heads")
    rope = _rope(config)
    return functools.partial(
        Llama,
        **numbers,
        rotary_base=number({**config, **rope}, "rope_theta", 10_000.0),
        rotary_scaling=_scaling(rope),
        epsilon=number(config, "rms_norm_eps", 1e-6),
        tied=config.get("tie_word_embeddings", False),
        qkv_bias=qkv_bias,
    )


def _check(config: Config, numbers: dict[str, int]) -> None:
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}[config["model_type"]]
    check_settings(
        config,
        hidden_act="silu",
        attention_bias=False,
        mlp_bias=False,
        tie_word_embeddings=(False, True),
        use_sliding_window=False,
        head_dim=(None, numbers["features"] // numbers["num_heads"]),
        architectures=(None, [f"{name}ForCausalLM"]),
    )
    if config["model_type"] == "mistral":
        check_settings(config, sliding_window=None)
    rope = {**_rope(config), "model_type": config["model_type"]}
    check_settings(
        rope, rope_type=("default", "linear", "llama3"), partial_rotary_factor=(1.0, None)
    )


def _rope(config: Config) -> Config:
    """Return the settings of the rotary positions, which older files have as "rope_scaling"."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = rope.pop("type", None)  # as the oldest ones have it
    return rope if kind is None else {"rope_type": kind, **rope}


def _scaling(rope: Config) -> RotaryScaling | None:
    """Return how the rotary frequencies are changed."""
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return None
    if kind == "linear":
        return RotaryScaling(number(rope, "factor"), length=0)
    names = ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
    return RotaryScaling(*(number(rope, name) for name in names))


register("llama", FAMILY, network)
register("mistral", FAMILY, network)
register("qwen2", FAMILY, functools.partial(network, qkv_bias=True))
