"""Linear maps: dense layers, embeddings, and the low-rank update of a layer that stays as it is."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import dense, dot_general

Dense = functools.partial(nnx.Linear, dot_general=dot_general)
"""`nnx.Linear` with jnn's product, whose kernel gradient is faster on a CPU: x kernel + bias; kernel [in, out]."""

Embedding = nnx.Embed
"""Rows of a table by integer ids; embedding [vocabulary, features]. `nnx.Embed` as it is: an id below 0 counts from
the end of the table, and one outside of it gives NaN, where `jnn.layers.embedding` takes the nearest row."""


class LoRA(nnx.Module):
    """A layer and a thin update of it that is learned: y = base(x) + alpha / rank * (x a) b.

    Hu et al. (2021), arXiv:2106.09685. Starts as the base, since b is zero. Parameters are `base_module`, `lora_a`
    [in, rank] and `lora_b` [rank, out], as in `flax.nnx.LoRA`, which has alpha = rank; the last two are of the type
    `nnx.LoRAParam`, by which an optimizer tells them from those of the base.

    Args:
        base: A `Dense` layer.
        rank: Of the update.
        alpha: Strength of the update, which is divided by the rank; the rank itself by default.
        rngs: Stream `params`.

    Raises:
        ValueError: If the rank is below 1.
    """

    def __init__(self, base: nnx.Linear, rank: int, *, alpha: float | None = None, rngs: nnx.Rngs):
        if rank < 1:
            raise ValueError(f"wanted a rank of at least 1, but got {rank}; use e.g. 8")
        inputs, outputs = base.kernel.shape
        self.base_module = base
        self.scale = 1.0 if alpha is None else alpha / rank
        self.lora_a = nnx.LoRAParam(nnx.initializers.he_uniform()(rngs.params(), (inputs, rank)))
        self.lora_b = nnx.LoRAParam(jnp.zeros((rank, outputs)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[*batch, in] -> [*batch, out]."""
        update = dense(dense(x, self.lora_a[...]), self.lora_b[...])
        return self.base_module(x) + self.scale * update
