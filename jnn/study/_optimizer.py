"""Optimizers as functions of a member's numbers."""

from collections.abc import Callable
from typing import Any

import optax


def as_optimizer(optimizer: Any) -> Callable[[Any], optax.GradientTransformation]:
    """`optimizer` as a function of the member's numbers."""
    if _transforms(optimizer):
        return lambda hyper: optimizer
    if not callable(optimizer) or str(getattr(optimizer, "__module__", "")).startswith("optax"):
        raise ValueError(
            "wanted an optimizer such as optax.adam(1e-3) or lambda h: optax.adam(h.learning_rate), "
            f"but got {getattr(optimizer, '__name__', repr(optimizer))}; call it with its learning rate"
        )

    def make(hyper: Any) -> Any:
        made = optimizer(hyper)
        if not _transforms(made):
            raise ValueError(
                f"wanted a function that returns an optax optimizer, but it returned {made!r}; see optax"
            )
        return made

    return make


def _transforms(optimizer: Any) -> bool:
    return callable(getattr(optimizer, "init", None)) and callable(
        getattr(optimizer, "update", None)
    )
