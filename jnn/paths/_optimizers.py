"""Optax transformations for parts of the parameters: frozen, unfrozen later, at rates of their own.

They are optimizers like any other, so they serve with a training loop of one's own as well as in
`Study(optimizer=...)`.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jnn.paths._match import Tree, check_matches, labels, listed, match, names
from jnn.paths._pattern import Pattern, Patterns, as_list, matching

Factor = Any
"""A number, which may be traced, or a function of the number of steps taken that returns one."""


def freeze(
    pattern: Patterns, optimizer: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer that leaves the parameters alone whose names fit a pattern.

    They have no state, a clipping by the global norm does not count them, and in a compiled step
    the compiler drops their gradients, because nothing reads them. They remain parameters of each
    member; `jnn.freeze` makes them arrays that all members share.

        jnn.Study(..., optimizer=lambda h: jnn.paths.freeze("trunk/**", optax.adam(h.rate)))

    >>> optimizer = freeze("trunk", optax.sgd(0.5))
    >>> params = {"trunk": jnp.ones(1), "head": jnp.ones(1)}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> [float(updates[name][0]) for name in ("trunk", "head")]
    [0.0, -0.5]
    """

    def is_frozen(params: Tree) -> Tree:
        return jax.tree.map(lambda fits: "frozen" if fits else "trained", match(pattern, params))

    as_list(pattern)
    return optax.partition({"trained": optimizer, "frozen": optax.set_to_zero()}, is_frozen)


def unfreeze(
    steps: Mapping[Pattern, Any], optimizer: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer that begins to train some parameters only after a number of steps.

    This is gradual unfreezing (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146). Until
    then the parameters and the state of their optimizer do not change; from then on they train as
    by an optimizer that begins there. Each group has an optimizer, and so a count of steps, of its
    own; what all groups have in common, such as a schedule by the steps of the whole training or a
    clipping by the global norm, stands beside it in `optax.chain`.

        jnn.paths.unfreeze({"blocks/1/**": 200, "blocks/0/**": 400}, optax.adam(1e-3))

    Args:
        steps: Pattern -> number of steps taken before the first one that trains these parameters;
            it may be traced, such as a member's number. n epochs are n * ceil(rows / batch_size)
            steps. Names that fit no pattern train from the first step on.
        optimizer: The optimizer of each group.

    >>> optimizer = unfreeze({"trunk": 1}, optax.sgd(0.5))
    >>> params = {"trunk": jnp.ones(1), "head": jnp.ones(1)}
    >>> first, state = optimizer.update(params, optimizer.init(params), params)
    >>> second, _ = optimizer.update(params, state, params)
    >>> float(first["trunk"][0]), float(second["trunk"][0]), float(first["head"][0])
    (0.0, -0.5, -0.5)
    """
    groups = {pattern: number for number, pattern in enumerate(steps)}
    transforms: dict[Hashable, Any] = {
        number: optax.conditionally_mask(optimizer, _reached(steps[pattern]))
        for pattern, number in groups.items()
    }
    transforms[-1] = optimizer
    return optax.partition(transforms, lambda params: labels(groups, params, default=-1))


class ScaleState(NamedTuple):
    """The number of steps that `scale` has taken."""

    steps: Any


def scale(
    factors: Mapping[Pattern, Factor], *, default: Factor = 1.0
) -> optax.GradientTransformation:
    """Return a transformation that multiplies updates by a factor, by the names of parameters.

    After an optimizer in `optax.chain` the factors are those of its learning rate, and also of its
    weight decay:

        optax.chain(optax.adam(1e-3), jnn.paths.scale({"embedding/**": 0.1, "**/bias": 2.0}))

    Args:
        factors: Pattern -> a number, which may be a member's, or a function of the number of steps
            taken before. The first pattern that a name fits counts.
        default: The factor of names that fit none.

    >>> transformation = scale({"trunk": lambda step: 0.1 * step}, default=2.0)
    >>> updates = {"trunk": jnp.ones(1), "head": jnp.ones(1)}
    >>> _, state = transformation.update(updates, transformation.init(updates))
    >>> scaled, _ = transformation.update(updates, state)
    >>> round(float(scaled["trunk"][0]), 6), float(scaled["head"][0])
    (0.1, 2.0)
    """
    places = {pattern: number for number, pattern in enumerate(factors)}
    values = [*factors.values(), default]  # -1 is the default
    return _scaled(lambda tree: labels(places, tree, default=-1), values.__getitem__)


def scale_by_depth(
    layers: Patterns, factor: Callable[[int], Factor]
) -> optax.GradientTransformation:
    """Return a transformation that multiplies updates by a function of the depth of their layer.

    These are discriminative rates (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, who
    divide the rate by 2.6 from each layer to the one below). With a decay that members set:

        layers = ["embedding/**", "blocks/*/**", "head/**"]
        lambda h: optax.chain(
            optax.adam(h.rate),
            jnn.paths.scale_by_depth(layers, lambda depth: h.decay**depth),
        )

    Args:
        layers: Patterns that fit every name, from the inputs to the outputs; see
            `jnn.paths.depths`.
        factor: `factor(depth)`, a number or a function of the number of steps.

    >>> transformation = scale_by_depth(["blocks/*", "head"], lambda depth: 0.5**depth)
    >>> updates = {"blocks": [jnp.ones(1), jnp.ones(1)], "head": jnp.ones(1)}
    >>> scaled, _ = transformation.update(updates, transformation.init(updates))
    >>> [float(array[0]) for array in jax.tree.leaves(scaled)]
    [0.25, 0.5, 1.0]
    """
    patterns = as_list(layers, "layers")
    return _scaled(lambda tree: depths(patterns, tree), factor)


def depths(layers: Patterns, tree: Tree) -> Tree:
    """Return a tree of integers, how many layers lie between each leaf and the outputs.

    Args:
        layers: Patterns that fit every name, from the inputs to the outputs. What a wildcard other
            than `**` stands for, such as the numbers in "blocks/*/**", tells layers apart; they
            follow each other in the order of their numbers, or of the alphabet.
        tree: Any tree, such as parameters.

    Raises:
        ValueError: If a pattern fits no name, or a name no pattern.

    >>> depths(["embedding", "blocks/*/**"], {"blocks": [{"w": 0}, {"w": 0}], "embedding": 0})
    {'blocks': [{'w': 1}, {'w': 0}], 'embedding': 2}
    """
    patterns = as_list(layers, "layers")
    known = names(tree)
    check_matches(patterns, known)
    keys = {name: key for name in known if (key := _layer_of(patterns, name)) is not None}
    without = [name for name in known if name not in keys]
    if without:
        raise ValueError(
            f"layers must fit every name, but {listed(without)} fit no pattern. Add a pattern."
        )
    order = sorted(set(keys.values()))
    numbers = [len(order) - 1 - order.index(keys[name]) for name in known]
    return jax.tree.structure(tree).unflatten(numbers)


def _layer_of(patterns: list[Pattern], name: str) -> tuple[Any, ...] | None:
    """Return what layers are sorted by: the first pattern that fits, and its wildcards."""
    for place, pattern in enumerate(patterns):
        fit = matching(pattern, name)
        if fit:
            groups = [group or "" for group in fit.groups()]
            return place, *((int(g), "") if g.isdecimal() else (-1, g) for g in groups)
    return None


def _reached(start: Any) -> Callable[..., Any]:
    return lambda step: step >= start


def _scaled(
    places_of: Callable[[Tree], Tree], factor: Callable[[int], Factor]
) -> optax.GradientTransformation:
    """Return a transformation that multiplies each update by the factor of its place.

    Args:
        places_of: Function of a tree that returns the place of each leaf, an integer.
        factor: `factor(place)`, a number or a function of the number of steps.
    """

    def init(params: Tree) -> ScaleState:
        places_of(_unmasked(params))  # raises now for a pattern that fits nothing
        return ScaleState(jnp.zeros([], jnp.int32))

    def update(updates: Tree, state: Any, params: Tree = None) -> tuple[Tree, ScaleState]:
        del params
        places = places_of(_unmasked(updates))
        factors = {place: factor(place) for place in {*jax.tree.leaves(places)}}
        numbers = {
            place: value(state.steps) if callable(value) else value
            for place, value in factors.items()
        }

        def scaled(update: Any, place: int) -> Any:
            is_masked = isinstance(update, optax.MaskedNode)
            return update if is_masked else (update * numbers[place]).astype(update.dtype)

        answer = jax.tree.map(scaled, updates, places, is_leaf=_is_masked)
        return answer, ScaleState(optax.safe_increment(state.steps))

    return optax.GradientTransformation(init, update)


def _unmasked(tree: Tree) -> Tree:
    """Return a tree of the same names that also has a leaf for what another optimizer trains."""
    return jax.tree.map(lambda _: 0, tree, is_leaf=_is_masked)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)
