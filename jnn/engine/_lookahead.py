"""`optax.lookahead`, which trains pairs of parameters, as an optimizer of single ones.

The fast parameters are those that a step moves. The slow ones are a part of the optimizer's state,
and are scored and kept (Zhang et al. 2019, https://arxiv.org/abs/1907.08610).
"""

from typing import Any, NamedTuple

import jax
import optax
from optax import LookaheadParams, LookaheadState

from jnn.averaging import Averaging, kept_by_optimizer
from jnn.engine._state import Tree


class PairedState(NamedTuple):
    """The state of an optimizer of pairs, with the slow parameters of the pairs.

    Attributes:
        inner: The state of the optimizer.
        slow: The slow parameters.
    """

    inner: Tree
    slow: Tree


def is_of_pairs(opt_state: Any) -> bool:
    """Return whether an optimizer trains pairs, by its state."""
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, LookaheadState))
    return any(isinstance(node, LookaheadState) for node in nodes)


def pairs_of(opt_state: Any, params: Tree) -> Any:
    """Return the parameters as an optimizer takes them, by its state."""
    if isinstance(opt_state, PairedState):
        return LookaheadParams(fast=params, slow=opt_state.slow)
    return params


def unpaired(updates: Any, inner: Any, opt_state: Any) -> tuple[Tree, Any]:
    """Return the updates of the parameters and the next state, from those of pairs if need be.

    Args:
        updates: As the optimizer returned them.
        inner: The state that it returned.
        opt_state: The state before.
    """
    if not isinstance(opt_state, PairedState):
        return updates, inner
    slow = optax.apply_updates(opt_state.slow, updates.slow)
    return updates.fast, PairedState(inner, slow)


def slow_parameters() -> Averaging:
    """Return the averaging that evaluates the slow parameters."""
    return kept_by_optimizer(_slow, "lookahead")


def _slow(average: Any, variables: Any, opt_state: PairedState) -> tuple[Tree, Tree]:
    del average
    return opt_state.slow, variables[1]
