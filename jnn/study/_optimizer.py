"""Optimizers as functions of a member's hyper-parameters."""

from typing import Any

import optax

from jnn.study._types import OptimizerFactory


def as_optimizer(
    optimizer: optax.GradientTransformation | OptimizerFactory, name: str = "optimizer"
) -> OptimizerFactory:
    """Return `optimizer` as a function of a member's hyper-parameters.

    Args:
        optimizer: An Optax optimizer, the same one for every member; or a function such as
            `lambda h: optax.adam(h.learning_rate)`.
        name: Of the setting, with which an error begins.

    Raises:
        TypeError: If it is neither; and, when the returned function is called, if `optimizer`
            returns something other than an Optax optimizer.
    """
    if _is_optimizer(optimizer):
        return lambda hyper: optimizer  # type: ignore[return-value]
    is_optax_function = str(getattr(optimizer, "__module__", "")).startswith("optax")
    if not callable(optimizer) or is_optax_function:
        came = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(
            f"{name} must be an Optax optimizer or a function that makes one, got {came}. Call "
            "it with its learning rate, as in optax.adam(1e-3) or "
            "lambda h: optax.adam(h.learning_rate)."
        )

    def make(hyper: Any) -> optax.GradientTransformation:
        transformation = optimizer(hyper)
        if not _is_optimizer(transformation):
            raise TypeError(
                f"{name} must be a function that returns an optax optimizer, but it returned "
                f"{transformation!r}. Use e.g. lambda h: optax.adam(h.learning_rate)."
            )
        return transformation

    return make


def _is_optimizer(optimizer: Any) -> bool:
    has_init = callable(getattr(optimizer, "init", None))
    return has_init and callable(getattr(optimizer, "update", None))
