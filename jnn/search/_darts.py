"""Differentiable search: mixture weights over operations, trained beside the network's weights."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn.engine import Batch, Data, Member, State, Trainer, supervised
from jnn.result import Result
from jnn.search._space import Setting
from jnn.study import Study, as_optimizer

_PREFIX = "mixture_"


def darts(
    optimizer: optax.GradientTransformation | None = None,
) -> Callable[[Study], Trainer]:
    """Return the trainer of a differentiable architecture search, first order, for `Study.trainer`.

    The network mixes the options of each choice, and holds the logits of the mixture of the choice
    `edge_1` in a parameter `mixture_edge_1` [options], such as `jnn.models.CellNet(mixed=True)`
    does. Each step first trains the logits on one half of the batch's rows, then all other
    parameters on the other half, by the optimizer of the study. A row is in the same half in every
    epoch. `jnn.search.strongest` reads off the architecture of each member.

    The search is known to fail when it is long: operations without parameters, such as the
    identity, help the other weights to learn fast and win, although the architecture is poor when
    it is trained by itself. Judge it by training the architecture anew, and compare with random
    ones.

    Liu et al., DARTS (2019), https://arxiv.org/abs/1806.09055; Zela et al., Understanding and
    Robustifying Differentiable Architecture Search (2020), https://arxiv.org/abs/1909.09656

    Args:
        optimizer: Optimizer of the logits; by default that of the paper, Adam at a rate of 3e-4
            with b1 = 0.5 and a weight decay of 1e-3.
    """
    chosen = optimizer
    if chosen is None:
        chosen = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(3e-4, b1=0.5))

    def trainer_of(study: Study) -> Trainer:
        if study.optimizer is None or study.averaging is not None:
            raise ValueError(
                "A study of a differentiable search must have an optimizer and no averaging. Set "
                "Study.optimizer, and leave out Study.averaging."
            )
        make = as_optimizer(study.optimizer)
        alternating = dataclasses.replace(
            study, optimizer=lambda h: _alternating(chosen, make(h)), trainer=None
        )
        inner = supervised(alternating)

        def start(member: Member, data: Data) -> State:
            state = inner.start(member, data)
            _check_mixtures(state.trained.params)
            return state

        def step(state: State, batch: Batch) -> tuple[State, Any]:
            is_first = _half(batch.index)

            def half(before: State, rows: jax.Array) -> tuple[State, Any]:
                after, logs = inner.step(before, _part(batch, rows))
                return after._replace(step=state.step), logs

            # A scan, so that the network is compiled once.
            after, logs = jax.lax.scan(half, state, jnp.stack([is_first, ~is_first]))
            logs = jax.tree.map(lambda log: log[1], logs)
            return after._replace(step=state.step + 1), logs

        return inner._replace(start=start, step=step)

    return trainer_of


def strongest(result: Result) -> list[Setting]:
    """Return the architecture of each member: the option with the largest logit of each choice.

    Args:
        result: What a study has learned whose network has parameters `mixture_<choice>` [options],
            see `darts`.

    Returns:
        A setting for each member, whose values count the options from 0.

    Raises:
        ValueError: If the network has no such parameters.
    """
    paths = jax.tree_util.tree_leaves_with_path(result.trained.params)
    logits = {_choice_of(path): np.asarray(leaf) for path, leaf in paths if _is_mixture(path)}
    if not logits:
        raise ValueError(_no_mixtures(result.trained.params))
    members = len(result.members)
    best = {name: values.reshape(members, -1).argmax(axis=1) for name, values in logits.items()}
    names = sorted(best)
    return [{name: int(best[name][member]) for name in names} for member in range(members)]


def _alternating(
    logits: optax.GradientTransformation, weights: optax.GradientTransformation
) -> optax.GradientTransformation:
    """Return an optimizer that moves the logits in every first and the others in every second step.

    The state of each of the two advances in its own steps only.
    """
    turns = (_only(logits, "logits"), _only(weights, "weights"))

    def init(params: Any) -> Any:
        return jnp.int32(0), tuple(turn.init(params) for turn in turns)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        number, before = state
        both = [turn.update(updates, s, params) for turn, s in zip(turns, before, strict=True)]
        after = tuple(
            _where(number == turn, both[turn][1], before[turn]) for turn in range(len(turns))
        )
        return _where(number == 0, both[0][0], both[1][0]), (1 - number, after)

    return optax.GradientTransformation(init, update)


def _where(condition: jax.Array, first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _only(optimizer: optax.GradientTransformation, part: str) -> optax.GradientTransformation:
    """Return an optimizer that moves the parameters of one part and leaves the others."""

    def labels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "logits" if _is_mixture(path) else "weights", params
        )

    other = "weights" if part == "logits" else "logits"
    return optax.partition({part: optimizer, other: optax.set_to_zero()}, labels)


def _half(index: jax.Array) -> jax.Array:
    """Return whether each row belongs to the logits' half, by a hash of its number."""
    mixed = index.astype(jnp.uint32) * jnp.uint32(2654435761)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(2246822519)
    return (mixed >> 31).astype(bool)


def _part(batch: Batch, chosen: jax.Array) -> Batch:
    """Return a batch in which only the chosen rows count."""
    weights = jnp.ones(chosen.shape) if batch.weights is None else batch.weights
    return batch._replace(weights=jnp.where(chosen, weights, 0))


def _is_mixture(path: Any) -> bool:
    return any(part.startswith(_PREFIX) for part in _parts(path))


def _choice_of(path: Any) -> str:
    """Return the choice whose mixture a parameter holds."""
    part = next(part for part in _parts(path) if part.startswith(_PREFIX))
    return part.removeprefix(_PREFIX)


def _parts(path: Any) -> list[str]:
    return jax.tree_util.keystr(path, simple=True, separator="/").split("/")


def _check_mixtures(params: Any) -> None:
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if not any(_is_mixture(path) for path in paths):
        raise ValueError(_no_mixtures(params))


def _no_mixtures(params: Any) -> str:
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]
    return (
        "A network of a differentiable search must have parameters whose names begin with "
        f"{_PREFIX!r}, got {names[:5]}. Use for example jnn.models.CellNet(mixed=True)."
    )
