"""The types of a model's two functions, and how a network is called, read from its signature."""

import inspect
from collections.abc import Callable
from typing import Any

Params = Any
ModelState = Any
Init = Callable[..., tuple[Params, ModelState]]
Apply = Callable[..., tuple[Any, ModelState]]


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function, class or partial takes an argument of this name."""
    function = getattr(function, "func", function)  # of a functools.partial
    function = function.__init__ if isinstance(function, type) else function
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that can be passed by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]


def name_of(thing: Any) -> str:
    """Return the name of a function, of a partial's function or of an object's class."""
    thing = getattr(thing, "func", thing)
    return getattr(thing, "__name__", type(thing).__name__)
