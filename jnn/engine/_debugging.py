"""JAX's switches for debugging, under which a whole study must run as it does without them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

_LOWEST = float(np.finfo(np.float32).min)
_HIGHEST = float(np.finfo(np.float32).max)


@contextlib.contextmanager
def default_settings() -> Iterator[None]:
    """Compile and run a study as by default, whatever switches the user has set.

    A study is one compiled program, so `jax.disable_jit` has no effect on it. `jax.set_mesh` is for
    the user's own programs; a study has its own mesh. Strict promotion of ranks and types holds for
    the user's own functions where they are called outside of a study.
    """
    with contextlib.ExitStack() as stack:
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            stack.enter_context(jax.disable_jit(False))
        if jax.config.jax_numpy_rank_promotion != "allow":  # type: ignore[attr-defined]
            stack.enter_context(jax.numpy_rank_promotion("allow"))
        if jax.config.jax_numpy_dtype_promotion != "standard":  # type: ignore[attr-defined]
            stack.enter_context(jax.numpy_dtype_promotion("standard"))
        if not jax.sharding.get_abstract_mesh().empty:
            no_mesh = jax.sharding.AbstractMesh((), ())
            stack.enter_context(jax.sharding.use_abstract_mesh(no_mesh))
        yield


def absent() -> float:
    """Return what stands for a score that is not there in the arrays of a program.

    It is NaN, which the host sees; under `jax_debug_nans`, where a program that gives NaN is an
    error, it is the lowest number.
    """
    return _LOWEST if jax.config.jax_debug_nans else float("nan")  # type: ignore[attr-defined]


def worst() -> float:
    """Return a score that is worse than any: infinity, or the highest number if that is an error.

    It is one under `jax_debug_infs`.
    """
    return _HIGHEST if jax.config.jax_debug_infs else float("inf")  # type: ignore[attr-defined]


def is_absent(score: Any) -> Any:
    """Return whether a score in a program is not there; NaN needs no question, as it is no best."""
    return score == _LOWEST


@contextlib.contextmanager
def floating_point_told() -> Iterator[None]:
    """Raise FloatingPointError where a compiled program gives a NaN or infinity that JAX refuses.

    JAX itself tells so only of functions that it compiles when they are called.
    """
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "InternalFloatingPointError":
            raise
        kind = error.args[-1]
        raise FloatingPointError(
            f"A member has a number that is {kind}, among its parameters, its state or its scores, "
            f"and jax_debug_{kind}s is on. Call jax.jit(jnn.make_train(study)) for this member to "
            "see the operation, or turn the switch off and look at result.scores."
        ) from error


def shown(history: Any) -> Any:
    """Return scores on the host with NaN where one is not there."""
    return jax.tree.map(lambda array: np.where(array == _LOWEST, np.nan, array), history)


def hidden(training: Any) -> Any:
    """Return a training on the host in the form of a program under the present switches."""
    history = jax.tree.map(_hide, training.history)
    best = training.best
    if best is not None and worst() != np.inf:
        best = best._replace(score=np.minimum(best.score, np.float32(_HIGHEST)))
    return training._replace(history=history, best=best)


def debugging() -> tuple[bool, bool]:
    """Return the switches that a program depends on."""
    return jax.config.jax_debug_nans, jax.config.jax_debug_infs  # type: ignore[attr-defined]


def _hide(array: Any) -> Any:
    is_absent = (array == _LOWEST) | np.isnan(array)
    return np.where(is_absent, np.float32(absent()), array)
