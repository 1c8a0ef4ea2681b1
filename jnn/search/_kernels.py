"""Kernel densities over options, of Aitchison and Aitken: the model of BOHB.

    k(x, y) = 1 - b if x = y, else b / (options - 1)

for each choice, with a bandwidth b of its own; a density is the mean of products over the choices.

Aitchison and Aitken, Multivariate Binary Discrimination by the Kernel Method (1976),
https://doi.org/10.1093/biomet/63.3.413
"""

import jax
import jax.numpy as jnp

_LEAST = 1e-3  # bandwidth, so that a density is nowhere 0


def bandwidths(settings: jax.Array, chosen: jax.Array, options: tuple[int, ...]) -> jax.Array:
    """Return the bandwidth of each choice, from the chosen settings, float32 [choices]."""
    count = jnp.maximum(jnp.sum(chosen), 1)
    is_option = settings[:, :, None] == jnp.arange(max(options))  # [settings, choices, options]
    shares = jnp.sum(is_option & chosen[:, None, None], axis=0) / count
    spread = 1 - jnp.sum(shares**2, axis=1)
    return jnp.maximum(spread * count ** (-1 / (4 + len(options))), _LEAST)


def neighbors(
    settings: jax.Array, bandwidth: jax.Array, key: jax.Array, options: tuple[int, ...]
) -> jax.Array:
    """Return a draw from the kernel around each setting, int32 [settings, choices]."""
    sizes = jnp.asarray(options)
    largest = (sizes - 1) / sizes  # at which all options are equally likely
    moves, steps = jax.random.split(key)
    moved = jax.random.bernoulli(moves, jnp.minimum(bandwidth, largest), settings.shape)
    step = jax.random.randint(steps, settings.shape, 1, jnp.maximum(sizes, 2))
    return jnp.where(moved, (settings + step) % sizes, settings)


def log_density(
    points: jax.Array, settings: jax.Array, chosen: jax.Array, options: tuple[int, ...]
) -> jax.Array:
    """Return the log of the kernel density of the chosen settings at points, float32 [points]."""
    bandwidth = bandwidths(settings, chosen, options)
    elsewhere = jnp.log(bandwidth) - jnp.log(jnp.maximum(jnp.asarray(options) - 1, 1))
    same = jnp.log1p(-bandwidth)
    kernels = jnp.zeros((len(points), len(settings)))
    for choice in range(len(options)):  # a loop is faster than a sum over a short last axis
        agree = points[:, choice, None] == settings[:, choice]
        kernels += jnp.where(agree, same[choice], elsewhere[choice])
    kernels = jnp.where(chosen, kernels, -jnp.inf)
    return jax.nn.logsumexp(kernels, axis=1) - jnp.log(jnp.maximum(jnp.sum(chosen), 1))
