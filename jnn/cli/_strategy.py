"""Strategies of a search by their names: `tpe`, `halving:eta=4`, `hyperband:by=tpe`."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jnn import search

_MAKER = "by"  # the argument that is a strategy itself
_OF_SUPERNETS = ("one_shot",)  # strategies for networks that contain others; none has a name


@functools.cache
def strategies() -> Mapping[str, Callable[..., search.Maker]]:
    """Return all strategies of `jnn.search` that can be made without arguments, by name."""
    found = {}
    for name in search.__all__:
        function = getattr(search, name)
        if not inspect.isfunction(function) or name in _OF_SUPERNETS:
            continue
        signature = inspect.signature(function)
        is_maker = signature.return_annotation == search.Maker
        if is_maker and all(p.default is not p.empty for p in signature.parameters.values()):
            found[name] = function
    return found


def parse_strategy(text: str) -> search.Maker:
    """Return the strategy that a text names, with its numbers after a colon.

    Raises:
        ValueError: If there is no such strategy, or it has no such number.

    >>> callable(parse_strategy("halving:eta=4,by=sobol"))
    True
    """
    name, _, words = (part.strip() for part in text.partition(":"))
    if name not in strategies():
        raise ValueError(f"--by must be one of {', '.join(sorted(strategies()))}, got {text!r}.")
    function = strategies()[name]
    known = list(inspect.signature(function).parameters)
    arguments: dict[str, Any] = {}
    for word in filter(None, words.split(",")):
        key, equals, value = (part.strip() for part in word.partition("="))
        if key not in known or not equals or key in arguments:
            raise ValueError(
                f"--by {name} must be followed by numbers of the names {', '.join(known)}, each "
                f"once, got {word!r}. Write --by {name}:{known[-1]}=..."
            )
        arguments[key] = parse_strategy(value) if key == _MAKER else _number(word, value)
    try:
        return function(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--by {text} cannot be used: {error}") from error


def _number(word: str, value: str) -> float | int:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    raise ValueError(f"--by must have numbers after the names, got {word!r}. Write e.g. batch=16.")
