"""A member that begins with parameters which another training has learned."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnn import paths
from jnn.engine._average import evaluated_variables
from jnn.engine._program import Training, with_variables
from jnn.engine._start import make_first_state
from jnn.engine._state import Tree
from jnn.study import Study


def make_restart(study: Study) -> Callable[[Training, tuple[Tree, Tree]], Training]:
    """Make `restart(training, (params, model_state)) -> Training`.

    It replaces what a member has drawn, before its first epoch, and begins the state of its
    optimizer and its averages anew from there. In the two trees None stands for what the member
    has drawn itself.
    """
    first_state = make_first_state(study)

    def restart(training: Training, variables: tuple[Tree, Tree]) -> Training:
        params, model_state = variables
        drawn = training.state.trained
        trained = drawn._replace(
            params=paths.join(params, drawn.params),
            model_state=paths.join(model_state, drawn.model_state),
        )
        key = training.state.key
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key, impl="threefry2x32")
        state = first_state(trained, key, training.state.fold)
        averaged = evaluated_variables(study, state)
        best = training.best
        if best is not None:
            best = best._replace(trained=with_variables(trained, averaged))
        return Training(state, training.history, best, averaged)

    return restart
