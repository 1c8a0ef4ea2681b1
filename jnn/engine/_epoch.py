"""An epoch: the order in which a member reads its rows, and the scan of a step over the batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._absent import without_absent
from jnn.engine._ignored import labelled_share
from jnn.engine._keys import ORDER, key_of
from jnn.engine._state import Batch, Data, Leaf, State, on_device, take_rows
from jnn.engine._step import make_step
from jnn.layers import shuffled
from jnn.study import Study


def make_epoch(
    study: Study,
    *,
    step: Callable[[State, Batch], tuple[State, Any]] | None = None,
    ragged: bool = False,
) -> Callable[[State, Data, Any], tuple[State, Any]]:
    """Make `epoch(state, data, number) -> (state, mean logs)`.

    By default an epoch trains on every training row of the member's fold once, in batches, by a
    scan. The last batch is filled up with rows from the epoch's beginning that weigh 0, so that no
    row is dropped and batch statistics see real rows only.

    Args:
        study: What is trained; its `batch_size`, `order` and `steps_per_epoch` are used here.
        step: `step(state, batch) -> (state, logs)`, where logs are a scalar or a dict of scalars;
            `make_step(study)` by default.
        ragged: True if some folds have fewer batches than others. Their surplus steps then change
            nothing.
    """
    step = make_step(study) if step is None else step

    def epoch(state: State, data: Data, number: Any) -> tuple[State, Any]:
        data = on_device(data)
        if state.epoch is not None:
            state = state._replace(epoch=jnp.asarray(number, jnp.int32))
        rows = data.train.index[state.fold]
        count = data.train.count[state.fold]
        key = _order_key(study, state, number)
        if study.steps_per_epoch is None:
            place, weights = _every_row_once(key, rows.shape[0], count, study.batch_size)
        else:
            place, weights = _drawn(key, number, study.steps_per_epoch * study.batch_size, count)
        index = rows[place].reshape(-1, study.batch_size)
        present = weights.reshape(-1, study.batch_size)
        is_real = present.sum(axis=1) > 0 if ragged else None
        weights = present if data.weights is None else present * data.weights[index]

        def body(state: State, inputs: tuple[Leaf, Leaf, Leaf | None]) -> tuple[State, Any]:
            index, weights, is_real = inputs
            x, y = take_rows((data.x, data.y), index)
            if data.weights is not None:
                x, y = without_absent((x, y), data.weights[index])
            batch = Batch(x, y, weights, data.shared, data.ignoring, index)
            after, logs = step(state, batch)
            if is_real is not None:  # False on the surplus steps of a smaller fold
                after = _chosen(is_real, after, state)
                logs = jax.tree.map(lambda value: jnp.where(is_real, value, 0), logs)
            if data.ignoring is not None:
                weights = weights * labelled_share(y)
            count = None if data.ignoring is None else jnp.sum(weights)
            return after, (jax.tree.map(lambda value: value * jnp.sum(weights), logs), count)

        state, (sums, counts) = jax.lax.scan(body, state, (index, weights, is_real))
        total = jnp.sum(weights if counts is None else counts)
        return state, jax.tree.map(lambda values: jnp.sum(values, axis=0) / total, sums)

    return epoch


def _chosen(condition: Leaf, first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _order_key(study: Study, state: State, number: Any) -> jax.Array | None:
    """Return the key of an epoch's order; None if the rows keep theirs."""
    if study.order == "sequential":
        return None
    key = jax.random.key(0, impl="threefry2x32") if study.order == "shared" else state.key
    return key_of(key, ORDER, number)


def _every_row_once(
    key: jax.Array | None, length: int, count: jax.Array, batch_size: int
) -> tuple[Leaf, Leaf]:
    """Return places in a list of rows for a whole number of batches, and their weights.

    The weight is 0 on places that only fill up the last batch.
    """
    position = jnp.arange(-(-length // batch_size) * batch_size)
    weights = (position < count).astype(jnp.float32)
    place = position % count
    if key is not None:
        place = shuffled(key, length, count)[place]
    return place, weights


def _drawn(
    key: jax.Array | None, number: jax.Array, total: int, count: jax.Array
) -> tuple[Leaf, Leaf]:
    """Return `total` places drawn with replacement, and weights of 1.

    Without a key they are the next places in order, starting again after the last.
    """
    if key is None:
        first = _product(number % count, total % count, count)
        return (first + jnp.arange(total) % count) % count, jnp.ones(total)
    return jax.random.randint(key, (total,), 0, count), jnp.ones(total)


def _product(a: jax.Array, b: jax.Array, count: jax.Array) -> jax.Array:
    """Return a b modulo count without overflow, by doubling, bit after bit of a.

    Both numbers are from 0 to count - 1.
    """

    def add_bit(bit, both):
        total, power = both
        total = jnp.where((a >> bit) & 1, (total + power) % count, total)
        return total, (2 * power) % count

    start = (jnp.zeros_like(count), jnp.asarray(b, count.dtype))
    return jax.lax.fori_loop(0, 31, add_bit, start)[0]
