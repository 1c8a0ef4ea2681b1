"""An epoch: the order in which a member reads its rows, and the scan of a step over the batches."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnn.engine._step import ORDER, Batch, Data, Leaf, State, key_of
from jnn.layers import shuffled


def make_epoch(
    step: Callable,
    batch_size: int,
    *,
    order: str = "member",
    steps: int | None = None,
    ragged: bool = False,
) -> Callable[[State, Data, jax.Array, jax.Array], tuple[State, jax.Array]]:
    """Makes `epoch(state, data, fold, number) -> (state, mean loss)`: every training row once, in batches, by a scan.

    The last batch is filled up with rows from the epoch's beginning that weigh 0, so that no row is dropped and
    batch statistics see real rows only.

    Args:
        step: `step(state, batch) -> (state, loss)`.
        batch_size: Rows per step.
        order: "member" draws a new order each epoch from the member's key; "shared" from a key that all members
            share, so that members of one fold read the same batches; "sequential" keeps the order of the rows.
        steps: So many batches drawn with replacement, or going round the rows if sequential, instead of every row once.
        ragged: True if some folds have fewer batches than others: their surplus steps then change nothing.
    """

    def epoch(state: State, data: Data, fold, number) -> tuple[State, jax.Array]:
        data = jax.tree.map(jnp.asarray, data)
        rows, count = data.train.index[fold], data.train.count[fold]
        key = jax.random.key(0, impl="threefry2x32") if order == "shared" else state.key
        key = None if order == "sequential" else key_of(key, ORDER, number)
        if steps is None:
            place, weights = _every_row_once(key, rows.shape[0], count, batch_size)
        else:
            place, weights = _drawn(key, number, steps * batch_size, count)
        rows, weights = (a.reshape(-1, batch_size) for a in (rows[place], weights))

        def body(state, inputs):
            index, weights = inputs
            new, loss = step(state, Batch(data.x[index], data.y[index], weights))
            total = jnp.sum(weights)
            if ragged:  # the surplus steps of a smaller fold
                new = jax.tree.map(lambda a, b: jnp.where(total > 0, a, b), new, state)
                loss = jnp.where(total > 0, loss, 0)
            return new, loss * total

        state, losses = jax.lax.scan(body, state, (rows, weights))
        return state, jnp.sum(losses) / jnp.sum(weights)

    return epoch


def _every_row_once(
    key: jax.Array | None, length: int, count: jax.Array, batch_size: int
) -> tuple[Leaf, Leaf]:
    """Places in a list of rows, a whole number of batches, and weights: 0 on those that only fill up the last one."""
    position = jnp.arange(-(-length // batch_size) * batch_size)
    weights = (position < count).astype(jnp.float32)
    return (
        position % count if key is None else shuffled(key, length, count)[position % count]
    ), weights


def _drawn(
    key: jax.Array | None, number: jax.Array, total: int, count: jax.Array
) -> tuple[Leaf, Leaf]:
    """`total` places drawn with replacement; without a key the next ones, going round and round."""
    if key is None:
        begun = _product(number % count, total % count, count)
        return (begun + jnp.arange(total) % count) % count, jnp.ones(total)
    return jax.random.randint(key, (total,), 0, count), jnp.ones(total)


def _product(a: jax.Array, b: jax.Array, count: jax.Array) -> jax.Array:
    """a b modulo count without overflow, for numbers from 0 to count - 1: by doubling, bit after bit of a."""

    def add_bit(bit, both):
        total, power = both
        total = jnp.where((a >> bit) & 1, (total + power) % count, total)
        return total, (2 * power) % count

    return jax.lax.fori_loop(0, 31, add_bit, (jnp.zeros_like(count), jnp.asarray(b, count.dtype)))[
        0
    ]
