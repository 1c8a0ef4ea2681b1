"""The types in which layers of Flax compute when their parameters are given in half precision."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax.typing import DTypeLike


def compute_in_type_of_parameters(module: Any) -> Any:
    """Return the module with layers that compute in half precision if their parameters have it.

    A layer with a `kernel` or an embedding computes in the type of its parameters unless it was
    given another `dtype`, so that what comes before it cannot promote its product to float32. The
    float32 statistics of a batch norm do not promote its output. Other modules, and parameters of
    float32, change nothing.
    """
    for _, node in nnx.iter_graph(module):
        if isinstance(node, nnx.BatchNorm):
            if node.promote_dtype is promote_dtype:
                node.promote_dtype = promote_but_statistics  # pyright: ignore
        elif isinstance(node, nnx.Embed):
            if node.dtype == node.param_dtype:  # as Flax sets it if no dtype is given
                _follow(node, node.embedding)
        elif isinstance(node, nnx.Module) and getattr(node, "dtype", ...) is None:
            _follow(node, getattr(node, "kernel", None))
    return module


def promote_but_statistics(
    arrays: tuple[Any, ...], /, *, dtype: DTypeLike | None = None, inexact: bool = True
) -> tuple[Any, ...]:
    """Promote x, scale and bias of a batch norm to one type; mean and variance keep theirs."""
    x, mean, var, scale, bias = arrays
    x, scale, bias = promote_dtype((x, scale, bias), dtype=dtype, inexact=inexact)
    return x, mean, var, scale, bias


def _follow(layer: Any, parameter: Any) -> None:
    if isinstance(parameter, nnx.Variable) and _is_half(parameter.get_value()):
        layer.dtype = parameter.get_value().dtype


def _is_half(value: Any) -> bool:
    is_float = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)
    return is_float and jnp.finfo(value.dtype).bits < 32
