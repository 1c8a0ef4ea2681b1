"""Llama, Mistral and Qwen2 as Hugging Face names them, for `jnn.models.Llama`.

Kernels are [out, in] in the file. Older files have the rotary frequencies among their tensors.
"""

import functools
from collections.abc import Callable
from typing import Any

from jnn.layers import RotaryScaling
from jnn.models import Llama
from jnn.weights._config import check_settings, sizes
from jnn.weights._family import Config, Family, Rule, register

_BLOCK, _OURS = "layers.{i}", "blocks/{i}"
_ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}
_NETWORK = {"gate_proj": "gate", "up_proj": "linear1", "down_proj": "linear2"}
_NORMS = {"input_layernorm": "norm1", "post_attention_layernorm": "norm2"}

RULES = (
    Rule("lm_head.weight", "output/kernel", "transpose"),
    Rule(("embed_tokens.weight", "lm_head.weight"), "embedding/embedding", "tied"),
    *(
        rule
        for theirs, ours in _ATTENTION.items()
        for rule in (
            Rule(
                f"{_BLOCK}.self_attn.{theirs}.weight",
                f"{_OURS}/attention/{ours}/kernel",
                "(HK)D->DHK",
            ),
            Rule(f"{_BLOCK}.self_attn.{theirs}.bias", f"{_OURS}/attention/{ours}/bias", "(HK)->HK"),
        )
    ),
    Rule(f"{_BLOCK}.self_attn.o_proj.weight", f"{_OURS}/attention/out/kernel", "D(HK)->HKD"),
    Rule(f"{_BLOCK}.self_attn.rotary_emb.inv_freq", None),
    *(
        Rule(f"{_BLOCK}.mlp.{theirs}.weight", f"{_OURS}/{ours}/kernel", "transpose")
        for theirs, ours in _NETWORK.items()
    ),
    *(
        Rule(f"{_BLOCK}.{theirs}.weight", f"{_OURS}/{ours}/scale")
        for theirs, ours in _NORMS.items()
    ),
    Rule("norm.weight", "norm/scale"),
)
FAMILY = Family(RULES, ("model.",), heads=("lm_head.*",))


def network(config: Config, qkv_bias: bool = False) -> Callable[..., Any]:
    """Return the Llama of a config."""
    names = {"vocabulary": "vocab_size", "layers": "num_hidden_layers"}
    names |= {"features": "hidden_size", "hidden": "intermediate_size"}
    numbers = sizes(config, **names, num_heads="num_attention_heads")
    _check(config, numbers)
    rope = _rope(config)
    kv_heads = config.get("num_key_value_heads") or numbers["num_heads"]
    return functools.partial(
        Llama,
        **numbers,
        num_kv_heads=kv_heads,
        rotary_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        rotary_scaling=_scaling(rope),
        epsilon=config.get("rms_norm_eps", 1e-6),
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
        return RotaryScaling(rope["factor"], length=0)
    return RotaryScaling(
        rope["factor"],
        rope["original_max_position_embeddings"],
        rope["low_freq_factor"],
        rope["high_freq_factor"],
    )


register("llama", FAMILY, network)
register("mistral", FAMILY, network)
register("qwen2", FAMILY, functools.partial(network, qkv_bias=True))
