"""Convolutions as JAX primitives: three bilinear maps, which are each other's derivatives.

A function with a custom derivative would be shorter, but primitives keep every transformation:
reverse and forward mode to any order, a `vmap` that knows which operand has the members' axis,
and a lowering that is chosen for the platform that the program is compiled for, not for the
platform that traces it.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jnn.layers._lowering import ROLES, Role, compute
from jnn.layers._vary import vary_alike
from jnn.layers._window import Geometry

PRIMITIVES: dict[Role, Primitive] = {role: Primitive(f"conv_{role}") for role in ROLES}


def bind(role: Role, geometry: Geometry, a: Array, b: Array, *, members: bool = False) -> Array:
    """Apply one of the three maps; with `members` both operands have a leading members' axis."""
    return PRIMITIVES[role].bind(a, b, geometry=geometry, members=members)


def convolve(geometry: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y = conv(x, kernel)."""
    return bind("output", geometry, *vary_alike(x, kernel))


def convolve_transposed(geometry: Geometry, y: Array, kernel: Array) -> Array:
    """Compute the transposed convolution: the input gradient of a convolution as a map."""
    return bind("input_grad", geometry, *vary_alike(y, kernel))


# Transposing a map in its first or second operand gives another of the three maps. The table
# holds role -> ((role, *operands), (role, *operands)), where an operand is the cotangent "ct" or
# the first or second operand of the map itself.
TRANSPOSES: dict[Role, tuple[tuple[Role, str, str], tuple[Role, str, str]]] = {
    "output": (("input_grad", "ct", "second"), ("kernel_grad", "first", "ct")),
    "input_grad": (("output", "ct", "second"), ("kernel_grad", "ct", "first")),
    "kernel_grad": (("input_grad", "second", "ct"), ("output", "first", "ct")),
}


def transpose(
    role: Role, argument: int, ct: Array, first: Any, second: Any, **params: Any
) -> Array:
    """Transpose the map in one of its operands."""
    other, *operands = TRANSPOSES[role][argument]
    values = {"ct": ct, "first": first, "second": second}
    return PRIMITIVES[other].bind(*(values[name] for name in operands), **params)


def batch(
    role: Role, operands: Any, axes: Any, *, geometry: Geometry, members: bool
) -> tuple[Array, int]:
    """Merge a batched axis into the batch or the output channels, or make it the members' axis.

    An axis can be merged if only one operand has it.
    """
    a, b = (
        x if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    )
    size = next(x.shape[0] for x, axis in zip((a, b), axes, strict=True) if axis is not None)
    a_alone, b_alone = axes[1] is None, axes[0] is None
    if a_alone and role != "kernel_grad" and not members:
        y = bind(role, geometry, a.reshape(size * a.shape[1], *a.shape[2:]), b)
        return y.reshape(size, a.shape[1], *y.shape[1:]), 0
    if b_alone and role != "input_grad" and not members and geometry.groups == 1:
        y = bind(
            role, geometry, a, jnp.moveaxis(b, 0, -2).reshape(*b.shape[1:-1], size * b.shape[-1])
        )
        return y.reshape(*y.shape[:-1], size, b.shape[-1]), y.ndim - 1
    a, b = (
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else x
        for x, axis in zip((a, b), axes, strict=True)
    )
    return batch_both(role, geometry, a, b, members)


def batch_both(
    role: Role, geometry: Geometry, a: Array, b: Array, members: bool
) -> tuple[Array, int]:
    """Make the leading axis the members' axis, or merge it with an existing members' axis."""
    if not members:
        return bind(role, geometry, a, b, members=True), 0
    y = bind(
        role,
        geometry,
        *(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in (a, b)),
        members=True,
    )
    return y.reshape(*a.shape[:2], *y.shape[1:]), 0


def infer(role: Role, a: Any, b: Any, *, geometry: Geometry, members: bool) -> Any:
    """Infer shape, type and sharding by tracing the CPU's algorithm, which needs no primitive."""
    function = functools.partial(compute, role, geometry, platform="cpu", members=members)
    return jax.make_jaxpr(function)(a, b).out_avals[0]


def evaluate(role: Role, a: Array, b: Array, *, geometry: Geometry, members: bool) -> Array:
    """Compute the map outside of a program, for the platform that JAX runs on."""
    return compute(role, geometry, a, b, platform=jax.default_backend(), members=members)


def lower(role: Role, platform: str) -> Any:
    """Return the lowering for a platform."""

    def computed(a: Array, b: Array, *, geometry: Geometry, members: bool) -> Array:
        # A program in float64 may be lowered outside of the `enable_x64` that it was traced in.
        is_wide = jax.config.jax_enable_x64 or a.dtype == jnp.float64  # type: ignore[attr-defined]
        with jax.enable_x64(is_wide):
            return compute(role, geometry, a, b, platform=platform, members=members)

    return mlir.lower_fun(computed, multiple_results=False)


def register(role: Role, primitive: Primitive) -> None:
    """Register the rules of a primitive."""
    primitive.def_impl(
        jax.jit(functools.partial(evaluate, role), static_argnames=("geometry", "members"))
    )
    primitive.def_abstract_eval(functools.partial(infer, role))
    ad.defbilinear(
        primitive, functools.partial(transpose, role, 0), functools.partial(transpose, role, 1)
    )
    batching.primitive_batchers[primitive] = functools.partial(batch, role)
    mlir.register_lowering(primitive, lower(role, "any"))
    mlir.register_lowering(primitive, lower(role, "cpu"), platform="cpu")


for _role, _primitive in PRIMITIVES.items():
    register(_role, _primitive)
