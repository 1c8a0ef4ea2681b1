"""Networks that draw as in training while their running averages stay and are used.

Predictions with dropout switch dropout on and leave batch normalization as it is in scoring.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn

_FIXED: contextvars.ContextVar[bool] = contextvars.ContextVar("fixed", default=False)


@contextlib.contextmanager
def fixed_statistics() -> Iterator[None]:
    """Let networks called in training mode inside the context use their running averages.

    That holds for `nn.BatchNorm`, and for NNX modules with the attribute `use_running_average`. An
    NNX network that passes this to its layers at every call, and a pair of functions, normalize by
    the batch as in training.
    """
    token = _FIXED.set(True)
    try:
        with nn.intercept_methods(_by_running_averages):
            yield
    finally:
        _FIXED.reset(token)


def are_statistics_fixed() -> bool:
    """Return whether a network is called inside of `fixed_statistics`."""
    return _FIXED.get()


def _by_running_averages(
    next_function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    context: Any,
) -> Any:
    """Call a method of a Linen module, batch normalization by its running averages."""
    module = context.module
    if not isinstance(module, nn.BatchNorm) or context.method_name != "__call__":
        return next_function(*arguments, **keywords)
    setting = module.use_running_average
    keywords = {**keywords, "use_running_average": True}
    object.__setattr__(module, "use_running_average", None)  # Flax takes it from one place only
    try:
        return next_function(*arguments[:1], **keywords)
    finally:
        object.__setattr__(module, "use_running_average", setting)
