"""The types of a model's two functions, and how a network is called, read from its signature."""

import inspect
import re
from collections.abc import Callable
from typing import Any

Params = Any
ModelState = Any
Init = Callable[..., tuple[Params, ModelState]]
Apply = Callable[..., tuple[Any, ModelState]]

_MODES = {  # keyword of a network -> whether True means that it trains
    "train": True,
    "training": True,
    "is_train": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
    "eval": False,
    "inference": False,
}


def mode_of(call: Callable[..., Any]) -> Callable[[bool], dict[str, Any]]:
    """Return `mode(train) -> keywords`, which tell a Flax module's `__call__` whether it trains.

    Raises:
        ValueError: If `__call__` has a switch that reads like such a keyword but is not one of
            them; its default would hold in both modes.
    """
    parameters = inspect.signature(call).parameters
    for name, parameter in parameters.items():
        if (
            name not in _MODES
            and isinstance(parameter.default, bool)
            and re.search("train|eval|infer|determin", name)
        ):
            raise ValueError(
                "The keyword of __call__ that switches training on or off must be one of "
                f"{sorted(_MODES)}, got {name}={parameter.default}. Rename it."
            )
    keywords = {name: means_train for name, means_train in _MODES.items() if name in parameters}

    def mode(train: bool) -> dict[str, Any]:
        return {name: train is means_train for name, means_train in keywords.items()}

    return mode


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
