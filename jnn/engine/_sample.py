"""A prediction with the random numbers of training, such as the masks of dropout."""

from collections.abc import Callable

import jax
from jax.interpreters.partial_eval import dce_jaxpr

from jnn.engine._checks import check_rows
from jnn.engine._evaluate import in_own_units
from jnn.engine._state import Trained, Tree, row_count
from jnn.engine._step import make_forward
from jnn.model import fixed_statistics
from jnn.study import Study


def make_sample(
    study: Study, row: tuple[int, ...] | None = None
) -> Callable[[Trained, Tree, Tree, jax.Array], Tree]:
    """Make `sample(trained, x, shared, key) -> predictions` in the targets' own units.

    The network is called in training mode, so that its dropout drops, while it uses its running
    averages and changes none of them (see `jnn.model.fixed_statistics`).

    Args:
        study: What was trained.
        row: Shape of a row of y; see `in_own_units`.

    Raises:
        ValueError: While tracing, if the network draws no random numbers, so that all samples would
            be equal.
    """
    forward = make_forward(study)

    def sample(trained: Trained, x: Tree, shared: Tree, key: jax.Array) -> Tree:
        def outputs_of(key: jax.Array) -> Tree:
            with fixed_statistics():
                return forward(trained, x, shared=shared, key=key, train=True)[0]

        traced, outputs = jax.make_jaxpr(outputs_of, return_shape=True)(key)
        _, is_read = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
        if not any(is_read):
            raise ValueError(
                f"samples needs a network that draws random numbers while it trains, but "
                f"{study.model.name} draws none, so that all samples would be equal. Leave samples "
                "out."
            )
        check_rows(outputs, row_count(x))
        return in_own_units(study.targets, trained.target_stats, outputs_of(key), row)

    return sample
