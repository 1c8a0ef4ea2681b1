"""Any network in bfloat16, with gradients that are summed in float32.

A parameter that meets many positions has a gradient that is a sum over them. If the parameter were
cast before the network reads it, the sum would be taken in bfloat16, where equal terms no longer
count from the 256th on. So the network is traced as one of bfloat16 arrays, and its equations are
then evaluated on the arrays as they are, which are rounded where an equation computes with them:

- An equation that only moves numbers, such as a slice, a lookup in a table or a broadcast, takes
  them with all digits, and so does the sum that is its transpose.
- So does one that compares numbers or converts them from or to integers: ids in an array of floats
  stay what they are.
- Sums, and counts of equal largest values, are taken in float32.
- Every other equation takes bfloat16, as it was traced.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, Literal

from jnn.engine._state import Tree

# Primitives of JAX by name. What takes numbers with all digits, if there are more than 8 bits:
_EXACT = {
    *("broadcast_in_dim", "copy", "dynamic_slice", "gather", "reshape", "rev", "slice", "squeeze"),
    *("abs", "argmax", "argmin", "ceil", "floor", "is_finite", "neg", "round", "sign", "transpose"),
}
_CHOICES = {"clamp", "max", "min", "select_n"}
_COMPARISONS = {"eq", "ge", "gt", "le", "lt", "ne"}
_CONVERSIONS = {"convert_element_type", "iota"}
# What sums numbers or has a transpose that does:
_SUMS = {
    *("broadcast_in_dim", "cumsum", "gather", "reduce_max", "reduce_min", "reduce_sum"),
    *("reduce_window_sum",),
}
_ELEMENTWISE = {"add", "atan2", "div", "mul", "pow", "rem", "sub"}  # broadcasts axes of size 1


def in_bfloat16(apply: Callable[..., tuple[Tree, Tree]]) -> Callable[..., tuple[Tree, Tree]]:
    """Return `apply(params, state, x, *, shared=None, ...)` of a model, computed in bfloat16.

    Floats of params, x and shared are bfloat16 to the network. Its state, the members' numbers and
    integers keep their types. Outputs have the types that the network gives them.
    """

    def half_apply(params: Tree, state: Tree, x: Tree, *, shared: Tree = None, **options: Any):
        def network(halves: Tree, state: Tree) -> tuple[Tree, Tree]:
            params, x, shared = halves
            arrays = {} if shared is None else {"shared": shared}
            return apply(params, state, x, **arrays, **options)

        wide = jax.tree.map(jnp.asarray, (params, x, shared))
        traced, shapes = jax.make_jaxpr(network, return_shape=True)(
            jax.tree.map(_as_half, wide), state
        )
        results = _declared(traced.jaxpr, traced.consts, jax.tree.leaves((wide, state)))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return half_apply


def _as_half(array: jax.Array) -> Any:
    dtype = jnp.bfloat16 if jnp.issubdtype(array.dtype, jnp.floating) else array.dtype
    return jax.ShapeDtypeStruct(array.shape, dtype)


def _declared(jaxpr: Jaxpr, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Evaluate equations and return their results in the types that they were traced with."""
    results = _evaluate(jaxpr, consts, values)
    return [_as_declared(value, out) for value, out in zip(results, jaxpr.outvars, strict=True)]


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Evaluate equations; a result may have more digits than it was traced with."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))

    def value_of(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else known[variable]

    for equation in jaxpr.eqns:
        results = _apply(equation, [value_of(variable) for variable in equation.invars])
        known.update(zip(equation.outvars, results, strict=True))
    return [value_of(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate one equation."""
    name = equation.primitive.name
    if name in _NESTED:
        return _NESTED[name](equation, values)
    is_half = [_is_half(variable) for variable in equation.invars]
    is_wide = _is_wide(equation, values)
    if (name in _SUMS and is_half[0]) or (name in _EXACT and is_wide[0]):
        return _bind(equation, [_widened(values[0]), *values[1:]])
    is_comparison = name in _COMPARISONS and _can_compare(equation, values)
    if (name in _CHOICES or is_comparison) and any(is_wide):
        wide = [_widened(v) if half else v for v, half in zip(values, is_half, strict=True)]
        return _bind(equation, wide)
    if name in _CONVERSIONS and _is_half(equation.outvars[0]):
        return [_converted(equation, values)]
    if name == "convert_element_type" and is_wide[0]:
        return _bind(equation, values)
    values = [_as_declared(v, var) for v, var in zip(values, equation.invars, strict=True)]
    if name in _ELEMENTWISE and any(is_half):
        shape = equation.outvars[0].aval.shape
        values = [
            _spread(v, shape) if half and not isinstance(variable, Literal) else v
            for v, half, variable in zip(values, is_half, equation.invars, strict=True)
        ]
    return _bind(equation, values)


def _converted(equation: Any, values: list[Any]) -> Any:
    """Return numbers in bfloat16; those that were whole, or have more digits, keep all digits."""
    if equation.primitive.name == "iota":
        params = {**equation.params, "dtype": jnp.dtype(jnp.float32)}
        return equation.primitive.bind(*values, **params)
    (value,) = values
    if jnp.issubdtype(value.dtype, jnp.integer):
        return lax.convert_element_type(value, jnp.float32)
    return value if _is_half(equation.invars[0]) else lax.convert_element_type(value, jnp.bfloat16)


def _is_half(variable: Any) -> bool:
    return getattr(variable.aval, "dtype", None) == jnp.bfloat16


def _is_wide(equation: Any, values: list[Any]) -> list[bool]:
    """Return which values have more digits than they were traced with."""
    pairs = zip(values, equation.invars, strict=True)
    return [_is_half(variable) and jnp.result_type(v) != jnp.bfloat16 for v, variable in pairs]


def _can_compare(equation: Any, values: list[Any]) -> bool:
    """Return whether all values have all digits; constants from 256 on may have lost some."""
    pairs = zip(equation.invars, _is_wide(equation, values), strict=True)
    return all(
        is_wide or not _is_half(var) or (isinstance(var, Literal) and abs(var.val) < 256)
        for var, is_wide in pairs
    )


def _as_declared(value: Any, variable: Any) -> Any:
    if _is_half(variable) and jnp.result_type(value) != jnp.bfloat16:
        return lax.convert_element_type(value, jnp.bfloat16)
    return value


def _widened(value: Any) -> Any:
    return lax.convert_element_type(value, jnp.promote_types(jnp.result_type(value), jnp.float32))


def _spread(value: Any, shape: Sequence[int]) -> Any:
    """Broadcast to a shape, so that the transpose of this is a sum in float32."""
    if jnp.shape(value) == tuple(shape):
        return value
    return jnp.broadcast_to(_widened(value), shape).astype(jnp.bfloat16)


def _bind(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate an equation as JAX does."""
    params = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        results = equation.primitive.bind(*values, **params)
    return results if equation.primitive.multiple_results else [results]


def _inlined(equation: Any, values: list[Any]) -> Sequence[Any]:
    inner = equation.params["jaxpr"]
    return _evaluate(inner.jaxpr, inner.consts, values)


def _recomputed(equation: Any, values: list[Any]) -> Sequence[Any]:
    inner = equation.params["jaxpr"]
    options = {name: equation.params[name] for name in ("policy", "prevent_cse")}
    return jax.checkpoint(lambda *args: _declared(inner, (), args), **options)(*values)


def _looped(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate a loop over time, which sums the gradients of what all steps read."""
    options = {name: equation.params[name] for name in ("length", "reverse", "unroll")}
    inner = equation.params["jaxpr"]
    consts = equation.params["num_consts"]
    carries = equation.params["num_carry"]
    of_all_steps = values[:consts]
    rest = zip(values[consts:], equation.invars[consts:], strict=True)
    declared = [_as_declared(value, variable) for value, variable in rest]

    def step(carry: list[Any], inputs: list[Any]) -> tuple[list[Any], list[Any]]:
        results = _declared(inner.jaxpr, inner.consts, [*of_all_steps, *carry, *inputs])
        return results[:carries], results[carries:]

    carry, outputs = lax.scan(step, declared[:carries], declared[carries:], **options)
    return [*carry, *outputs]


def _branched(equation: Any, values: list[Any]) -> Sequence[Any]:
    if equation.params.get("branches_platforms") is not None:  # chosen when the program is lowered
        pairs = zip(values, equation.invars, strict=True)
        return _bind(equation, [_as_declared(value, variable) for value, variable in pairs])
    branches = [
        functools.partial(lambda inner, *args: _declared(inner.jaxpr, inner.consts, args), inner)
        for inner in equation.params["branches"]
    ]
    return lax.switch(values[0], branches, *values[1:])


_NESTED = {
    "cond": _branched,
    "jit": _inlined,
    "pjit": _inlined,
    "remat2": _recomputed,
    "checkpoint": _recomputed,
    "scan": _looped,
}
