"""The outputs of networks that are scored, also of those that draw random numbers then."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._state import Trained, Tree, row_count
from jnn.engine._step import make_forward
from jnn.model import DrawsWithoutKey
from jnn.study import Study


def make_outputs(study: Study) -> Callable[..., Tree]:
    """Make `outputs_of(trained, x, *, shared, key, rows)`, the outputs of a network in scoring.

    A network that draws random numbers also then, such as a variational autoencoder, is given a key
    for each row, folded from `key` and the number of the row in `rows` (by default its place), and
    is called row by row under `vmap`. So the outputs of a row do not depend on the batch that it
    stands in. `key` is a function, as most networks need none.
    """
    forward = make_forward(study)

    def outputs_of(
        trained: Trained,
        x: Tree,
        *,
        shared: Tree = None,
        key: Callable[[], jax.Array],
        rows: jax.Array | None = None,
    ) -> Tree:
        try:
            return forward(trained, x, shared=shared)[0]
        except DrawsWithoutKey:
            numbers = jnp.arange(row_count(x)) if rows is None else rows
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key(), numbers)

        def of_row(row: Tree, key: jax.Array) -> Tree:
            single = jax.tree.map(lambda array: array[None], row)
            outputs: Any = forward(trained, single, shared=shared, key=key)[0]
            return jax.tree.map(lambda array: array[0], outputs)

        return jax.vmap(of_row)(x, keys)

    return outputs_of
