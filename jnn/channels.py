"""Standardisation of images and signals: by the statistics of each channel over all pixels or steps."""

import jax
import jax.numpy as jnp

from jnn.preprocess import Affine, Preprocess, standardize


def _fit(values: jax.Array, weights: jax.Array) -> Affine:
    """mean = sum_r w_r m_r, variance = sum_r w_r (v_r + (m_r - mean)^2), m and v those of each row; constants keep 1.

    The rows' own moments are the same for all members, who differ only in their weights: under `vmap` the data are
    read once.
    """
    space = tuple(range(1, values.ndim - 1))
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    means = values.mean(axis=space, keepdims=True)
    variances = jnp.square(values - means).mean(axis=space)  # [rows, channels]
    means = means.reshape(variances.shape)
    present = (weights > 0)[:, None]
    share = (weights / weights.sum())[:, None]
    mean = jnp.where(present, share * means, 0).sum(axis=0)
    spread = jnp.where(present, share * (variances + jnp.square(means - mean)), 0).sum(axis=0)
    low, high = values.min(axis=space), values.max(axis=space)
    is_constant = jnp.where(present, low, jnp.inf).min(axis=0) == jnp.where(present, high, -jnp.inf).max(axis=0)
    return Affine(mean, jnp.where(is_constant, 1.0, jnp.sqrt(spread)))


standardize_channels = Preprocess(_fit, standardize.forward, standardize.inverse)
"""(value - mean) / deviation per channel of rows [*space, channels]; deviation 1 where a channel is constant."""
