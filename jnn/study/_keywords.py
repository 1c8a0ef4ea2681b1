"""The keywords by which functions of a study ask for a member's numbers and its progress."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

NAMES = ("h", "step", "epoch")
POSITIONAL = {"loss": 2, "objective": 2, "penalty": 2, "augment": 1}  # of each function of a study


def keywords_asked(function: Callable[..., Any], arguments: int) -> tuple[str, ...]:
    """Return which of `h`, `step` and `epoch` a function declares as keyword arguments.

    Those that a `functools.partial` has filled in are not asked for.

    Args:
        function: A loss, an objective, a penalty or an augmentation.
        arguments: Number of its positional arguments, which do not count.
    """
    filled = function.keywords if isinstance(function, functools.partial) else {}
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C have no signature
        return ()
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    first = {p.name for p in by_position[:arguments]}
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    asked = names - first - filled.keys()
    return tuple(name for name in NAMES if name in asked)
