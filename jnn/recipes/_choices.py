"""What can be searched in the network that a text names: its numbers, and what it takes besides."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jnn.recipes._about import About
from jnn.recipes._families import family_of, make_model, numbers_of

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "tanh": jax.nn.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
}
"""Activations by the names that settings and the command line take."""

_LAYERS = ("width", "depth")  # of a family whose numbers are those of one layer each


def network_choices(text: str, about: About) -> dict[str, int]:
    """Return the named numbers of a network, and their values.

    A family with a number for each layer, such as `mlp`, has the width of its first layer and the
    number of its layers.

    Raises:
        ValueError: If the text names no network for such data.

    >>> network_choices("mlp:64", About("iris", "vectors", "classification", (4,), (), 3))
    {'width': 64, 'depth': 1}
    """
    numbers = numbers_of(text, about)
    family = family_of(text, about)
    if family.numbers is None:
        return dict(zip(_LAYERS, (numbers[0], len(numbers)), strict=True)) if numbers else {}
    return dict(zip(family.names, numbers, strict=False))


def with_choices(text: str, about: About, choices: Mapping[str, int]) -> str:
    """Return the text of a network some of whose named numbers are replaced.

    Where a family has a number for each layer, `width` is that of all layers, and `depth` repeats
    the last one or leaves out layers from the end.

    Raises:
        ValueError: If the network has no number of such a name.

    >>> about = About("iris", "vectors", "classification", (4,), (), 3)
    >>> with_choices("mlp:64,32", about, {"depth": 3})
    'mlp:64,32,32'
    """
    known = network_choices(text, about)
    unknown = sorted(choices.keys() - known.keys())
    if unknown:
        raise ValueError(
            f"model {text} must have numbers of the names {sorted(known)}, got {unknown} too."
        )
    name, _, _ = text.partition(":")
    if family_of(text, about).numbers is None:
        numbers = _layers(numbers_of(text, about), **choices)
    else:
        numbers = [choices.get(key, known[key]) for key in known]
    return f"{name}:{','.join(map(str, numbers))}"


def takes_option(text: str, about: About, name: str) -> bool:
    """Return whether a network takes an option such as `dropout_rate` or `activation`."""
    try:
        parameters = inspect.signature(make_model(text, about)).parameters
    except TypeError:  # a factory that cannot be looked into
        return True
    return name in parameters


def check_activation(name: Any) -> Callable[[jax.Array], jax.Array]:
    """Return an activation by its name.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}.")
    return ACTIVATIONS[name]


def _layers(numbers: Sequence[int], *, width: int = 0, depth: int = 0) -> list[int]:
    sizes = [width or number for number in numbers]
    depth = depth or len(sizes)
    return (sizes + [sizes[-1]] * depth)[:depth]
