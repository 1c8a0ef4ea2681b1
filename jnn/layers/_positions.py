"""Position encodings: rotations of pairs of channels, and sines and cosines to add.

The time axis stands before the heads, as in `jnn.layers.attention`.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jnn._arrays import as_arrays
from jnn._settings import POSITIVE, check_number
from jnn.layers._attention_operands import check_positions
from jnn.layers._floating import narrow, widen

Scalar = float | int | Float[Array, ""]


class RotaryScaling(NamedTuple):
    """How rotary frequencies are changed for texts that are longer than those of the training.

    f' = f (s + (1 - s) / factor)  with s = (turns - low) / (high - low), from 0 to 1,

    where turns = length f / (2 pi) is how often a frequency turns over a text of the training. Fast
    frequencies stay as they are, slow ones are divided by the factor. This is what Llama 3.1 and
    3.2 do (arXiv:2407.21783 and Hugging Face's "llama3"); with length 0 all are divided, which is
    linear interpolation (Chen et al. 2023, arXiv:2306.15595).

    >>> RotaryScaling(32.0).high
    4.0
    """

    factor: float
    length: float = 8192.0  # positions of a text of the training
    low: float = 1.0  # turns up to which a frequency is slow
    high: float = 4.0  # turns from which on it is fast


def rotary(
    x: Float[Array, "*batch time heads dim"],
    positions: Shaped[Array, "*#batch time"],
    *,
    base: Scalar = 10000.0,
    scaling: RotaryScaling | None = None,
) -> Float[Array, "*batch time heads dim"]:
    """Rotate pairs of channels by an angle that grows with the position.

    y[i] = x[i] cos(a) - x[i + dim/2] sin(a),  y[i + dim/2] = x[i + dim/2] cos(a) + x[i] sin(a)
    with a = position * base^(-2i / dim)    (Su et al. 2021, https://arxiv.org/abs/2104.09864)

    The products of rotated queries and keys then depend on the distance of their positions only.
    Channel i is paired with channel i + dim/2, as in GPT-NeoX, Llama and Hugging Face. The paper
    pairs neighboring channels, which is the same up to a permutation of the channels. `scaling`
    changes the frequencies base^(-2i / dim).

    Raises:
        ValueError: If dim is odd, x has fewer than three axes, or the positions do not broadcast to
            (*batch, time).

    >>> rotary(jnp.array([[[2.0, 0.0]]]), jnp.array([jnp.pi / 2])).ravel().astype(int)
    Array([0, 2], dtype=int32)
    """
    x, positions = as_arrays(x, positions)
    check_number("base", base, POSITIVE, "The paper has 10000.")
    check_positions(x, positions)
    frequencies = _frequencies(x.shape[-1], base)
    if scaling is not None:
        frequencies = _scaled(frequencies, scaling)
    angles = positions[..., None] * frequencies  # *batch time dim/2
    sin = jnp.sin(angles)[..., None, :]
    cos = jnp.cos(angles)[..., None, :]
    first, second = jnp.split(widen(x), 2, axis=-1)
    rotated = [first * cos - second * sin, second * cos + first * sin]
    return narrow(jnp.concatenate(rotated, axis=-1), x)


def sinusoidal_positions(
    length: int, dim: int, *, base: Scalar = 10000.0
) -> Float[Array, "length dim"]:
    """Encode each position by sines and cosines of decreasing frequency.

    p[t, 2i] = sin(t * base^(-2i / dim)),  p[t, 2i + 1] = cos(t * base^(-2i / dim))
    (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5)

    Raises:
        ValueError: If dim is odd, or length or dim is negative.

    >>> sinusoidal_positions(1, 4)
    Array([[0., 1., 0., 1.]], dtype=float32)
    """
    check_number("base", base, POSITIVE, "The paper has 10000.")
    if length < 0 or dim < 0:
        raise ValueError(f"length and dim must be 0 or more, got {length} and {dim}.")
    angles = jnp.arange(length)[:, None] * _frequencies(dim, base)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(length, dim)


def _frequencies(dim: int, base: Scalar):
    """Return base^(-2i / dim) for each i below dim / 2."""
    if dim % 2:
        raise ValueError(f"dim must be even, because channels are used in pairs, got {dim}.")
    return base ** (-jnp.arange(0, dim, 2) / dim)


def _scaled(frequencies: Array, scaling: RotaryScaling) -> Array:
    turns = scaling.length * frequencies / (2 * jnp.pi)
    share = jnp.clip((turns - scaling.low) / (scaling.high - scaling.low), 0, 1)
    return frequencies * (share + (1 - share) / scaling.factor)
