"""Schedules of which a member sets numbers, though they ask Python whether a number is zero.

`optax.warmup_cosine_decay_schedule(0.0, h.peak, 100, 1000)` asks `if peak_value == 0`, which a
traced number cannot answer. A number that a schedule is made of is positive almost always, and
answers as if it were. Where that is wrong for a member, its updates are NaN.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn.engine._hyper import HyperParameters
from jnn.study import OptimizerFactory


def optimizer_of(
    optimizer: OptimizerFactory, hyper: Mapping[str, jax.Array]
) -> tuple[optax.GradientTransformation, list[jax.Array]]:
    """Return the optimizer of a member, and whether its assumptions about the numbers are wrong.

    Args:
        optimizer: Function of the hyper-parameters.
        hyper: The member's numbers.

    Returns:
        The optimizer, and a list of truth values, each True if an assumption does not hold.
    """
    try:
        return optimizer(HyperParameters(hyper)), []
    except jax.errors.TracerBoolConversionError:
        wrong: list[jax.Array] = []
        numbers = {
            name: value if jnp.ndim(value) else PositiveNumber(value, wrong)
            for name, value in hyper.items()
        }
        return optimizer(HyperParameters(numbers)), wrong


def nan_if_wrong(updates: Any, wrong: list[jax.Array]) -> Any:
    """Return the updates, or NaN if an assumption about the member's numbers is wrong."""
    if not wrong:
        return updates
    is_wrong = jnp.stack(wrong).any()
    return jax.tree.map(lambda update: jnp.where(is_wrong, jnp.nan, update), updates)


@jax.tree_util.register_pytree_node_class
class PositiveNumber:
    """A traced number that, compared with 0 by Python, answers as a positive one.

    Sums, products and the like with other numbers are such numbers too; with arrays they are
    arrays.

    Args:
        value: The traced number.
        wrong: Takes a truth value for each answer, True if the answer is wrong.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: jax.Array, wrong: list[jax.Array]) -> None:
        self._value = value
        self._wrong = wrong

    def __jax_array__(self) -> jax.Array:
        return self._value

    def tree_flatten(self) -> tuple[tuple[jax.Array], None]:
        """Return the number, by which functions under `jit` take it."""
        return (self._value,), None

    @classmethod
    def tree_unflatten(cls, aux: None, children: tuple[jax.Array]) -> "PositiveNumber":
        """Return a number inside such a function, where no schedule asks for it."""
        del aux
        return cls(children[0], [])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value, name)

    def __neg__(self) -> jax.Array:
        return -self._value

    def __bool__(self) -> bool:
        return self._answer(self._value != 0, True)

    def _answer(self, comparison: jax.Array, answer: bool) -> bool:
        self._wrong.append(comparison != answer)
        return answer


def _arithmetic(function: Callable[[Any, Any], Any], *, swapped: bool) -> Callable[..., Any]:
    def method(self: PositiveNumber, other: Any) -> Any:
        is_number = isinstance(other, int | float | PositiveNumber)
        other = other._value if isinstance(other, PositiveNumber) else other
        first, second = (other, self._value) if swapped else (self._value, other)
        result = function(first, second)
        return PositiveNumber(result, self._wrong) if is_number else result

    return method


def _comparison(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def method(self: PositiveNumber, other: Any) -> Any:
        other = other._value if isinstance(other, PositiveNumber) else other
        comparison = function(self._value, other)
        if isinstance(other, int | float | np.number) and other == 0:
            return self._answer(comparison, bool(function(1, 0)))
        return comparison

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(PositiveNumber, f"__{_name}__", _arithmetic(getattr(operator, _name), swapped=False))
    setattr(PositiveNumber, f"__r{_name}__", _arithmetic(getattr(operator, _name), swapped=True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(PositiveNumber, f"__{_name}__", _comparison(getattr(operator, _name)))
