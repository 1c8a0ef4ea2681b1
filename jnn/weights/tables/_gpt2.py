"""GPT-2 as Hugging Face names it, for `jnn.models.GPT`.

Kernels are [in, out] on both sides; queries, keys and values are fused in the file, and the kernel
of the output is the embedding, unless the network has its own. Older files have the causal mask
among their tensors.
"""

import functools
from collections.abc import Callable
from typing import Any

from jnn.models import GPT
from jnn.weights._config import check_settings, sizes
from jnn.weights._family import Config, Family, Rule, register

_BLOCK, _OURS = "h.{i}", "blocks/{i}"
_QKV = tuple(f"{_OURS}/attention/{name}" for name in ("query", "key", "value"))

RULES = (
    Rule("lm_head.weight", "output/kernel", "transpose"),
    Rule(("wte.weight", "lm_head.weight"), "embedding/embedding", "tied"),
    Rule("wpe.weight", "positions/embedding"),
    Rule(f"{_BLOCK}.ln_1.weight", f"{_OURS}/norm1/scale"),
    Rule(f"{_BLOCK}.ln_1.bias", f"{_OURS}/norm1/bias"),
    Rule(
        f"{_BLOCK}.attn.c_attn.weight",
        tuple(f"{name}/kernel" for name in _QKV),
        "split 3; D(HK)->DHK",
    ),
    Rule(f"{_BLOCK}.attn.c_attn.bias", tuple(f"{name}/bias" for name in _QKV), "split 3; (HK)->HK"),
    Rule(f"{_BLOCK}.attn.c_proj.weight", f"{_OURS}/attention/out/kernel", "(HK)D->HKD"),
    Rule(f"{_BLOCK}.attn.c_proj.bias", f"{_OURS}/attention/out/bias"),
    Rule(f"{_BLOCK}.attn.bias", None),
    Rule(f"{_BLOCK}.attn.masked_bias", None),
    Rule(f"{_BLOCK}.ln_2.weight", f"{_OURS}/norm2/scale"),
    Rule(f"{_BLOCK}.ln_2.bias", f"{_OURS}/norm2/bias"),
    Rule(f"{_BLOCK}.mlp.c_fc.weight", f"{_OURS}/linear1/kernel"),
    Rule(f"{_BLOCK}.mlp.c_fc.bias", f"{_OURS}/linear1/bias"),
    Rule(f"{_BLOCK}.mlp.c_proj.weight", f"{_OURS}/linear2/kernel"),
    Rule(f"{_BLOCK}.mlp.c_proj.bias", f"{_OURS}/linear2/bias"),
    Rule("ln_f.weight", "norm/scale"),
    Rule("ln_f.bias", "norm/bias"),
)


def network(config: Config) -> Callable[..., Any]:
    """Return the GPT of a config."""
    names = {"vocabulary": "vocab_size", "length": "n_positions", "layers": "n_layer"}
    numbers = sizes(config, **names, num_heads="n_head", features="n_embd")
    check_settings(
        config,
        activation_function=("gelu_new", "gelu_pytorch_tanh"),
        layer_norm_epsilon=1e-5,
        n_inner=(None, 4 * numbers["features"]),
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
        tie_word_embeddings=(True, False),
        architectures=(None, ["GPT2LMHeadModel"], ["GPT2Model"]),
    )
    return functools.partial(GPT, **numbers, tied=config.get("tie_word_embeddings", True))


register("gpt2", Family(RULES, ("transformer.",), heads=("lm_head.*",)), network)
