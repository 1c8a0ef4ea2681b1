"""Losses of rows some of whose labels are to be ignored."""

from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._absent import weighted
from jnn.engine._state import Leaf, Tree


def labelled_share(y: Tree) -> Any:
    """Return the share of the labels of each row that are not to be ignored, float32 [rows].

    It is 1 where y holds no integer labels, such as the soft ones of mixup.
    """
    if not _are_labels(y):
        rows = jax.tree.leaves(y)[0].shape[0]
        return jnp.ones(rows, jnp.float32)
    return per_row((y >= 0).astype(jnp.float32))


def labelled_losses(losses: jax.Array, y: Tree) -> tuple[jax.Array, jax.Array]:
    """Return the loss of each row without that of its ignored labels, and the row's share.

    The mean loss of labels is the sum of the first over the sum of the second, as in PyTorch's
    `ignore_index`. A loss that gives one value for a row of several labels has to leave ignored
    labels out by itself; its rows count alike if they have a label.

    Args:
        losses: [rows] or [rows, *positions].
        y: Targets.
    """
    share = labelled_share(y)
    if not _are_labels(y):
        return per_row(losses), share
    if losses.shape[: y.ndim] == y.shape:
        counts = (y >= 0).reshape(*y.shape, *(1,) * (losses.ndim - y.ndim))
        return per_row(jnp.where(counts, losses, 0)), share
    has_label = share > 0
    return jnp.where(has_label, per_row(losses), 0), has_label.astype(jnp.float32)


def per_row(losses: jax.Array) -> jax.Array:
    """Average over all but the first axis: [rows, ...] -> [rows]."""
    if losses.ndim == 1:
        return losses
    return losses.reshape(losses.shape[0], -1).mean(axis=1)


def labelled_mean(losses: jax.Array, share: jax.Array, weights: Leaf | None) -> jax.Array:
    """Return sum(w l) / sum(w s) over rows; 0 where no label has a weight."""
    if weights is None:
        return jnp.sum(losses) / jnp.maximum(jnp.sum(share), 1e-9)
    return jnp.sum(weighted(losses, weights)) / jnp.maximum(jnp.sum(weights * share), 1e-9)


def _are_labels(y: Tree) -> bool:
    return hasattr(y, "dtype") and jnp.issubdtype(y.dtype, jnp.integer)
