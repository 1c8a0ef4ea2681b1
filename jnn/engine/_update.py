"""The optimizer's part of a step: what it is told beside the gradient, and keys of its own."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn.engine._checks import shapes_of
from jnn.engine._lookahead import PairedState, is_of_pairs, pairs_of, unpaired
from jnn.engine._state import Leaf, Tree

_OPTIMIZE = 0x0B7  # folded into a step's key for the optimizer; large, as layers fold in small ones
_KEY_NAME = re.compile(r"rng|seed|(^|_)key$")  # names of raw keys in states of optimizers
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


class Known(NamedTuple):
    """What an optimizer may ask for by keyword.

    Attributes:
        gradients: Of the objective at the parameters.
        loss: The mean loss of the batch.
        total: The objective, which differs from the loss by the penalty.
        objective: The objective of the batch as a function of the parameters, with the random
            numbers of this step.
        key: The key of the step.
    """

    gradients: Tree
    loss: jax.Array
    total: jax.Array
    objective: Callable[[Tree], jax.Array]
    key: jax.Array

    def values(self, names: set[str]) -> dict[str, Any]:
        """Return the values of these keywords.

        An optimizer that evaluates the objective itself compares it with the value.
        """
        makers = {
            "value": lambda: self.total if names & _FUNCTIONS else self.loss,
            "loss": lambda: self.total if names & _FUNCTIONS else self.loss,
            "grad": lambda: self.gradients,
            "grad_fn": lambda: lambda params, *_: jax.grad(self.objective)(params),
            **dict.fromkeys(_FUNCTIONS, lambda: self.objective),
            **dict.fromkeys(_KEYS, lambda: jax.random.fold_in(self.key, _OPTIMIZE)),
        }
        return {name: makers[name]() for name in names}


_FUNCTIONS = {"value_fn", "loss_fn", "obj_fn"}
_KEYS = {"key", "rng", "rng_key"}
_NAMES = {"value", "loss", "grad", "grad_fn"} | _FUNCTIONS | _KEYS


def initial_opt_state(
    optimizer: optax.GradientTransformation, params: Tree, key: jax.Array
) -> Tree:
    """Return the first state of an optimizer, with random keys that are the member's own.

    An optimizer that draws random numbers, such as `optax.add_noise(eta, gamma, key)`, has one key
    for all members; the member's key is folded into it.
    """
    opt_state = optimizer.init(params)
    opt_state = jax.tree_util.tree_map_with_path(
        lambda path, leaf: _own_key(leaf, key) if _is_key(path, leaf) else leaf, opt_state
    )
    return PairedState(opt_state, params) if is_of_pairs(opt_state) else opt_state


def updates_of(
    optimizer: optax.GradientTransformation, opt_state: Tree, params: Tree, known: Known
) -> tuple[Tree, Tree]:
    """Return the updates of the parameters and the next state of the optimizer.

    Args:
        optimizer: Any Optax optimizer.
        opt_state: The state of the optimizer.
        params: The parameters.
        known: What it may ask for. An optimizer is given the keywords that it declares; where it
            passes keywords on to others, `value` and whatever these turn out to need.

    Raises:
        ValueError: If the updates have other shapes than the parameters.
    """
    update = optimizer.update
    inner = opt_state.inner if isinstance(opt_state, PairedState) else opt_state
    arguments = (known.gradients, inner, pairs_of(opt_state, params))
    asked = _declared(update) & _NAMES
    if _passes_on(update):
        asked |= {"value"}
    refused: set[str] = set()
    while True:
        try:
            updates, after = update(*arguments, **known.values(asked))
            updates, after = unpaired(updates, after, opt_state)
        except (TypeError, ValueError) as error:
            change = _change(str(error), _NAMES - refused, asked)
            if not change:
                _check_rows(error)
                raise
            refused |= change & asked
            asked ^= change
        else:
            _check_shapes(updates, params)
            return updates, after


def _check_rows(error: Exception) -> None:
    """Raise ValueError for an optimizer that fails because it takes the gradient of every row."""
    if "batch dimension" in str(error):
        raise ValueError(
            "Study.optimizer must take the gradient of a batch, got one that takes those of "
            f"its rows: {error} Use another optimizer, such as optax.noisy_sgd."
        ) from error


def _check_shapes(updates: Tree, params: Tree) -> None:
    """Raise ValueError for updates of other shapes, which would be broadcast in silence.

    Python's own numbers are zeros of a frozen parameter, say, and may be broadcast.
    """
    pairs = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=False)
    arrays = [(update, param) for update, param in pairs if not isinstance(update, int | float)]
    if any(jnp.shape(update) != jnp.shape(param) for update, param in arrays):
        raise ValueError(
            f"Study.optimizer must return updates of the shapes of the parameters, "
            f"{shapes_of(params)}, got {shapes_of(updates)}. An optimizer that takes the gradient "
            "of every row, such as optax.contrib.dpsgd, cannot train on that of a batch."
        )


def _declared(update: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that follow gradients, state and parameters."""
    return set(list(inspect.signature(update).parameters)[3:])


def _passes_on(update: Callable[..., Any]) -> bool:
    """Return whether a function takes keywords of any name."""
    return any(p.kind == p.VAR_KEYWORD for p in inspect.signature(update).parameters.values())


def _change(message: str, known: set[str], asked: set[str]) -> set[str]:
    """Return the keywords to take away or to add, by what an error says; none if it is no help."""
    unexpected = set(_UNEXPECTED.findall(message)) & asked
    if unexpected:
        return unexpected
    return set(re.findall(r"\w+", message)) & known - asked


def _is_key(path: tuple[Any, ...], leaf: Any) -> bool:
    """Return whether a leaf of a state is a random key: a typed one, or two words of that name."""
    if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
        return True
    name = str(getattr(path[-1], "name", getattr(path[-1], "key", ""))) if path else ""
    is_two_words = jnp.shape(leaf) == (2,) and jnp.result_type(leaf) == np.uint32
    return is_two_words and _KEY_NAME.search(name) is not None


def with_own_keys(opt_state: Tree, own: Tree) -> Tree:
    """Return states of optimizers of several members, with the random keys of others in them.

    Args:
        opt_state: States [members, ...] that members take over.
        own: Their own states, whose keys they keep.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf, own_leaf: own_leaf if _is_key(path, leaf[0]) else leaf, opt_state, own
    )


def _own_key(key: Leaf, member_key: jax.Array) -> Leaf:
    """Return a key of one member, made from that of the optimizer."""
    first, second = jax.random.key_data(member_key)
    return jax.random.fold_in(jax.random.fold_in(key, first), second)
