"""Sums of numbers of any size: errors of 1e-27 kg have squares that float32 cannot hold.

The errors are sorted into bands by their size. Those of one band are summed in a unit of its own, a
power of two, so that neither their squares nor these times a weight leave float32. The sums of a
band add up over batches as others do, and the units are put back when the score is taken. Most
errors lie in the band of the unit 1, whose sums are those of the plain formula.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnn.metrics._metric import weighted_sum

_DIGITS = 52  # binary digits that a band is wide: from 2**-26 to 2**26 of its unit

# Units of the bands, from small to large errors. All numbers of float32 lie in one of them.
UNITS = np.ldexp(np.float32(1), _DIGITS * np.arange(-2, 3))

_BETWEEN = np.ldexp(np.float32(1), _DIGITS * np.arange(-2, 2) + _DIGITS // 2)


def band_sums(
    sizes: Float[Array, "rows *outputs"], weights: Float[Array, " rows"], power: int
) -> Float[Array, "*outputs bands"]:
    """Return sum_i w_i (size_i / unit)^power of the sizes in each band; sizes are 0 or more."""
    band = jnp.sum(sizes[..., None] >= _BETWEEN, axis=-1, keepdims=True)
    scaled = sizes[..., None] * (1 / UNITS)
    is_in_band = band == np.arange(len(UNITS))
    return weighted_sum(jnp.where(is_in_band, scaled, 0) ** power, weights)


def root_mean_square(
    sums: Float[Array, "*outputs bands"], weight: Float[Array, ""]
) -> Float[Array, "*outputs"]:
    """Return the root of sum_i w_i size_i^2 / weight, in the units of the sizes."""
    roots = jnp.sqrt(sums / weight) * UNITS
    largest = roots.max(axis=-1, keepdims=True)
    is_usual = (largest > 0) & jnp.isfinite(largest)
    scale = jnp.where(is_usual, largest, 1)
    return jnp.sqrt(jnp.sum((roots / scale) ** 2, axis=-1)) * scale[..., 0]


def mean_of_bands(
    sums: Float[Array, "*outputs bands"], weight: Float[Array, ""], power: int
) -> Float[Array, "*outputs"]:
    """Return sum_i w_i size_i^power / weight, as far as the type holds it."""
    scaled = sums / weight
    means = scaled
    for _ in range(power):
        means = means * UNITS
    # An empty band stays empty, because XLA multiplies the units first, which may be infinite.
    return jnp.where(scaled == 0, 0, means).sum(axis=-1)
