"""The product of rows and a kernel, with a kernel gradient that suits the platform.

The kernel's gradient is `x^T dy`, summed over the rows. XLA:CPU multiplies slowly when the left
operand is a small matrix x that is stored in transposed order, as `x^T` is. If `x^T` is first
written to an array of its own, a training step of a small network takes 0.85 to 0.95 of the time,
but that of a large network up to 1.2 times as long.

A primitive keeps every transformation: forward mode, all orders of derivatives, `jax.vmap` over
any side, and a lowering for each platform. Differentiated once, the product itself is
`jax.lax.dot_general`, as checkpoint policies such as `jax.checkpoint_policies.dots_saveable`
expect; only the term that is linear in the kernel's tangent stays a primitive.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import jet
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jnn.layers._vary import vary_alike

product_p = Primitive("rows_product")
materialized_on_cpu_p = Primitive("materialized_on_cpu")

# The sizes of one member's x for which a transposed copy pays on a CPU. Below them the copy costs
# more than it saves, above them it is too expensive itself.
_SIZES_WORTH_A_COPY = range(512, 8193)


def product(x: Array, kernel: Array, *, precision: lax.PrecisionLike = None) -> Array:
    """Compute y = x @ kernel for operands of one dtype.

    The shapes are x (*members, rows, in) and kernel (*members, in, out).
    """
    return product_p.bind(*vary_alike(x, kernel), precision=resolve_precision(precision))


def resolve_precision(precision: lax.PrecisionLike) -> Any:
    """Return the precision, by default that of `jax.default_matmul_precision` around the call.

    A primitive is lowered after the traced function has returned and its `with` block has ended,
    so a precision that is left open would be read too late.
    """
    if precision is None:
        return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return precision


def multiply(x: Array, kernel: Array, *, precision: lax.PrecisionLike) -> Array:
    """Compute the product by `jax.lax.dot_general`, which is what a compiled program holds."""
    members = tuple(range(x.ndim - 2))
    contracted = ((x.ndim - 1,), (x.ndim - 2,))
    return lax.dot_general(x, kernel, (contracted, (members, members)), precision=precision)


def shape_rule(x: Any, kernel: Any, *, precision: lax.PrecisionLike) -> Any:
    """Return the abstract value of the product: its shape, type and sharding."""
    traced = jax.make_jaxpr(functools.partial(multiply, precision=precision))(x, kernel)
    return traced.out_avals[0]


def jvp_rule(
    primals: tuple[Array, Array], tangents: tuple[Any, Any], *, precision: lax.PrecisionLike
) -> tuple[Array, Array]:
    """Compute y = x kernel, visibly to checkpoint policies, and dy = dx kernel + x dkernel."""
    x, kernel = primals
    dx, dkernel = tangents
    y = multiply(x, kernel, precision=precision)
    terms = []
    if not isinstance(dx, ad.Zero):
        terms.append(product_p.bind(dx, kernel, precision=precision))
    if not isinstance(dkernel, ad.Zero):
        terms.append(product_p.bind(x, dkernel, precision=precision))
    return y, functools.reduce(jnp.add, terms)


def transpose_rule(
    dy: Any, x: Any, kernel: Any, *, precision: lax.PrecisionLike
) -> tuple[Array | None, Array | None]:
    """Compute the gradient of the operand that the product is linear in."""
    if isinstance(dy, ad.Zero):
        return None, None
    if ad.is_undefined_primal(x):
        return multiply(dy, kernel.mT, precision=precision), None
    return None, kernel_gradient(dy, x, precision=precision)


def kernel_gradient(dy: Array, x: Array, *, precision: lax.PrecisionLike) -> Array:
    """Compute dkernel = x^T dy, on a CPU by a copy of x^T if x is small."""
    x_transposed = x.mT
    if x.shape[-2] * x.shape[-1] in _SIZES_WORTH_A_COPY:
        x_transposed = materialized_on_cpu_p.bind(x_transposed)
    return multiply(x_transposed, dy, precision=precision)


def batching_rule(operands: Any, axes: Any, *, precision: lax.PrecisionLike) -> tuple[Array, int]:
    """Fold a batched axis into the rows of x or the columns of the kernel.

    If both operands are batched, the axis becomes an axis of members.
    """
    x, kernel = operands
    x_axis, kernel_axis = axes
    multiply_members = functools.partial(product, precision=precision)
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, -3)
        *members, size, rows, inputs = x.shape
        y = multiply_members(x.reshape(*members, size * rows, inputs), kernel)
        return y.reshape(*members, size, rows, y.shape[-1]), len(members)
    if x_axis is None:
        kernel = jnp.moveaxis(kernel, kernel_axis, -2)
        *members, inputs, size, outputs = kernel.shape
        y = multiply_members(x, kernel.reshape(*members, inputs, size * outputs))
        return y.reshape(*y.shape[:-1], size, outputs), y.ndim - 1
    return multiply_members(jnp.moveaxis(x, x_axis, 0), jnp.moveaxis(kernel, kernel_axis, 0)), 0


def jet_rule(primals: Any, series: Any, *, precision: lax.PrecisionLike) -> Any:
    """Propagate Taylor series, as `jax.experimental.jet` asks for."""
    return jet.jet(
        functools.partial(multiply, precision=precision), primals, series, factorial_scaled=False
    )


def identity(x: Any) -> Any:
    """Return x, an array or its abstract value."""
    return x


product_p.def_impl(jax.jit(multiply, static_argnames="precision"))
product_p.def_abstract_eval(shape_rule)
ad.primitive_jvps[product_p] = jvp_rule
ad.primitive_transposes[product_p] = transpose_rule
batching.primitive_batchers[product_p] = batching_rule
jet.jet_rules[product_p] = jet_rule
mlir.register_lowering(product_p, mlir.lower_fun(multiply, multiple_results=False))

# The identity. In a program for a CPU it is an optimization barrier, which keeps the compiler from
# merging the transposition before it into the product after it.
materialized_on_cpu_p.def_impl(identity)
materialized_on_cpu_p.def_abstract_eval(identity)
ad.deflinear(materialized_on_cpu_p, lambda dy: [dy])
batching.defvectorized(materialized_on_cpu_p)
jet.deflinear(materialized_on_cpu_p)
mlir.register_lowering(materialized_on_cpu_p, mlir.lower_fun(identity, multiple_results=False))
mlir.register_lowering(
    materialized_on_cpu_p,
    mlir.lower_fun(lax.optimization_barrier, multiple_results=False),
    platform="cpu",
)
