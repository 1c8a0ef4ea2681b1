"""Packing: several examples side by side, which a discriminator judges at once."""

import jax
import jax.numpy as jnp

from jnn._settings import check_integer


def pack(x: jax.Array, packing: int) -> jax.Array:
    """Return every `packing` consecutive rows as one, joined along their last axis.

    [rows, ..., features] -> [rows / packing, ..., packing * features]

    A discriminator that judges several independent examples at once sees whether they differ, as in
    PacGAN (Lin et al. 2018, https://arxiv.org/abs/1712.04086).

    Raises:
        ValueError: If the packing does not divide the number of rows.

    >>> pack(jnp.arange(8).reshape(4, 2), 2).tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    >>> pack(jnp.arange(4), 2).tolist()
    [[0, 1], [2, 3]]
    """
    if len(x) % check_integer("packing", packing):
        raise ValueError(f"packing must divide the number of rows, {len(x)}, got {packing}.")
    if packing == 1:
        return x
    packs, row = len(x) // packing, x.shape[1:]
    if not row:
        return x.reshape(packs, packing)
    side_by_side = jnp.moveaxis(x.reshape(packs, packing, *row), 1, -2)
    return side_by_side.reshape(packs, *row[:-1], packing * row[-1])
