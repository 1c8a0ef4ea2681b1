"""Names of axes over devices that a network averages over, although there is no such axis here."""

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Result = TypeVar("Result")


def with_axes(function: Callable[..., Result]) -> Callable[..., Result]:
    """Return the function with every axis name that it asks for.

    Networks written for `pmap` average over its axis, as by `nn.BatchNorm(axis_name="batch")`. Here
    the batch of a member is whole, so the axis has the size 1 and the average is that of the batch.
    The names are learned from the errors of a first trace.
    """
    names: list[str] = []

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Result:
        while True:
            bound = functools.partial(function, *arguments, **keywords)
            for name in names:
                bound = _over_one(bound, name)
            try:
                return bound()
            except NameError as error:
                found = re.search(r"unbound axis name: (\w+)", str(error))
                if found is None or found[1] in names:
                    raise
                names.append(found[1])

    return call


def _over_one(function: Callable[[], Result], name: str) -> Callable[[], Result]:
    """Return the function under an axis of this name and of size 1."""

    def call() -> Result:
        mapped = jax.vmap(lambda _: function(), axis_name=name)
        return jax.tree.map(lambda array: array[0], mapped(jnp.zeros(1)))

    return call
