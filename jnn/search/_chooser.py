"""What is given as `by=`: a strategy or what makes one, of a search or of another strategy."""

import inspect
from typing import Any

from jnn.search._samplers import random
from jnn.search._space import Space
from jnn.search._strategy import Driver, Scheduled, Strategy


def as_strategy(by: Any, space: Space, seed: int) -> Strategy:
    """Return the strategy that is given, or made by a given function; `random()` for None.

    Raises:
        TypeError: If it is no strategy.
    """
    strategy = random() if by is None else by
    is_made = isinstance(strategy, Strategy) and not isinstance(strategy, type)
    if not is_made and callable(strategy):
        _check_maker(strategy)
        strategy = strategy(space, seed)
    if not isinstance(strategy, Strategy):
        raise TypeError(
            f"by must be a strategy, such as jnn.search.tpe(), or have the methods ask(n) and "
            f"tell(settings, scores), got {by!r}."
        )
    return strategy


def chooser(by: Any, space: Space, seed: int) -> Strategy:
    """Return the strategy that chooses the settings of another one.

    Raises:
        TypeError: If it is no strategy.
        ValueError: If it says itself how its settings are trained, which the other one does.
    """
    strategy = as_strategy(by, space, seed)
    if isinstance(strategy, Scheduled | Driver):
        raise ValueError(
            f"by must only choose settings here, but {type(strategy).__name__} says itself for how "
            "long they are trained. Use random(), tpe() or another one that chooses."
        )
    return strategy


def _check_maker(by: Any) -> None:
    """Raise TypeError unless a function takes a space and a seed."""
    try:
        inspect.signature(by).bind(None, 0)
    except TypeError as error:
        name = getattr(by, "__name__", repr(by))
        raise TypeError(
            f"by must be a strategy, or a function of a space and a seed that makes one, got {name}"
            f". Call it, as {name}()."
        ) from error
