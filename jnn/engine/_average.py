"""Averaged parameters in the state of a member: begun, updated, and evaluated in place of the last.

A study without averaging has none in its state, and its program does not change.
"""

from typing import Any

import jax

from jnn.averaging import Averaging, Variables, is_schedule_free, schedule_free
from jnn.engine._hyper import HyperParameters
from jnn.engine._lookahead import PairedState, slow_parameters
from jnn.engine._state import State, Trained
from jnn.study import Study


def averaging_of(study: Study, opt_state: Any) -> Averaging | None:
    """Return the averaging of a study; some optimizers bring one of their own."""
    if study.trainer is not None:  # which has an average of its own, if any
        return None
    if study.averaging is not None:
        return study.averaging
    if isinstance(opt_state, PairedState):
        return slow_parameters()
    return schedule_free() if is_schedule_free(opt_state) else None


def with_average(study: Study, state: State) -> State:
    """Return a member's first state with the average that begins there."""
    averaging = averaging_of(study, state.opt_state)
    if averaging is None:
        return state
    return state._replace(average=averaging.init(_variables(state.trained)))


def averaged_after(study: Study, state: State, every: str, number: Any) -> State:
    """Return a state whose average has taken in its variables, if it does so now.

    Args:
        study: What is trained.
        state: After a step, or after an epoch.
        every: What has ended, a "step" or an "epoch".
        number: How many of them the member has trained, from 1.
    """
    averaging = averaging_of(study, state.opt_state)
    if averaging is None or averaging.every != every:
        return state
    h = HyperParameters(state.trained.hyper)
    variables = _variables(state.trained)
    return state._replace(average=averaging.update(state.average, variables, number, h))


def evaluated_variables(study: Study, state: State) -> Variables | None:
    """Return the variables to score and keep; None without averaging, for those of the state.

    Raises:
        ValueError: If the averaging gives variables of other shapes.
    """
    averaging = averaging_of(study, state.opt_state)
    if averaging is None:
        return None
    variables = _variables(state.trained)
    evaluated = averaging.evaluated(state.average, variables, state.opt_state)
    expected = jax.tree.map(_form, variables)
    actual = jax.tree.map(_form, evaluated)
    if actual != expected:
        raise ValueError(
            "Study.averaging must evaluate variables of the shapes and dtypes of those that are "
            f"trained, {expected}, got {actual}."
        )
    return evaluated


def _variables(trained: Trained) -> Variables:
    return trained.params, trained.model_state


def _form(leaf: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(leaf.shape), leaf.dtype
