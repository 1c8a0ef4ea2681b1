"""Programs in the operations that exporters know: few of them, and none but those of JAX."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import Literal

# jnn's own primitives, which are products and convolutions of JAX with rules of their own.
_OWN = (
    *("rows_product", "materialized_on_cpu"),
    *("conv_output", "conv_input_grad", "conv_kernel_grad"),
)
_CALLS = (  # calls, whose body can stand in their place
    *("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call"),
)
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")

Values = Sequence[Any]


def plain(function: Callable[..., Any], *like: Any) -> Callable[..., list[Any]]:
    """Return a function that computes the same by operations that exporters know.

    Calls are written out, padding is a concatenation, loops run forwards, and the products and
    convolutions of `jnn.layers` are those of JAX.

    Args:
        function: A function of arrays that returns a tree of arrays.
        *like: Shapes and types of its arguments; sizes may be symbolic.

    Returns:
        A function of the same arguments that returns the list of the leaves.
    """
    closed = jax.make_jaxpr(function)(*like)

    def run(*arguments: Any) -> list[Any]:
        return _run(closed, arguments)

    return run


def _run(closed: Any, arguments: Values) -> list[Any]:
    """Evaluate a jaxpr, which may be closed over constants."""
    jaxpr = getattr(closed, "jaxpr", closed)
    values = dict(zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def value(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in jaxpr.eqns:
        results = _apply(equation, [value(variable) for variable in equation.invars])
        values |= dict(zip(equation.outvars, results, strict=True))
    return [value(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, values: Values) -> Values:
    """Return the results of one operation."""
    name, options = equation.primitive.name, equation.params
    if name in _OWN:
        return _own(equation.primitive, values, options)
    if name in _CALLS:
        body = next(options[key] for key in _BODIES if key in options)
        return _run(body, values)
    if name in _WRITTEN_ANEW:
        return _WRITTEN_ANEW[name](equation.primitive, values, options)
    results = equation.primitive.bind(*values, **options)
    return results if equation.primitive.multiple_results else [results]


def _own(primitive: Any, values: Values, options: dict[str, Any]) -> Values:
    """Compute one of jnn's primitives by the operations that stand behind it."""
    if "geometry" in options:
        geometry = dataclasses.replace(options["geometry"], lowering="lax")
        options = {**options, "geometry": geometry}
    closed = jax.make_jaxpr(lambda *a: primitive.impl(*a, **options))(*values)
    return _run(closed, values)


def _scan(primitive: Any, values: Values, options: dict[str, Any]) -> Values:
    consts, carries = options["num_consts"], options["num_carry"]
    body = options["jaxpr"]
    fixed, start, rows = values[:consts], values[consts : consts + carries], values[consts:]
    rows = list(rows[carries:])
    if options["reverse"]:
        rows = [lax.rev(row, (0,)) for row in rows]

    def step(carry: Values, row: Values) -> tuple[Values, Values]:
        results = _run(body, [*fixed, *carry, *row])
        return results[:carries], results[carries:]

    end, outputs = lax.scan(step, list(start), rows, length=options["length"])
    if options["reverse"]:
        outputs = [lax.rev(row, (0,)) for row in outputs]
    return [*end, *outputs]


def _while(primitive: Any, values: Values, options: dict[str, Any]) -> Values:
    first, second = options["cond_nconsts"], options["body_nconsts"]
    for_test, for_body = values[:first], values[first : first + second]
    return lax.while_loop(
        lambda carry: _run(options["cond_jaxpr"], [*for_test, *carry])[0],
        lambda carry: _run(options["body_jaxpr"], [*for_body, *carry]),
        list(values[first + second :]),
    )


def _cond(primitive: Any, values: Values, options: dict[str, Any]) -> Values:
    branches = [lambda *a, body=body: _run(body, a) for body in options["branches"]]
    return lax.switch(values[0], branches, *values[1:])


def _pad(primitive: Any, values: Values, options: dict[str, Any]) -> Values:
    """Pad by concatenation, as an exporter has padding for known sizes only."""
    array, filling = values
    config = options["padding_config"]
    if any(inner or low < 0 or high < 0 for low, high, inner in config):
        return [primitive.bind(array, filling, **options)]
    for axis, (low, high, _) in enumerate(config):
        before, after = (_block(filling, array.shape, axis, size) for size in (low, high))
        array = lax.concatenate([*before, array, *after], axis) if low or high else array
    return [array]


def _block(filling: Any, shape: Sequence[Any], axis: int, size: int) -> list[Any]:
    """Return a block of so many rows along an axis in a list, which is empty for none."""
    if not size:
        return []
    return [lax.broadcast_in_dim(filling, [*shape[:axis], int(size), *shape[axis + 1 :]], ())]


_WRITTEN_ANEW: dict[str, Callable[[Any, Values, dict[str, Any]], Values]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "pad": _pad,
}
