"""The product of rows and a kernel, as JAX sees it: a bilinear primitive whose kernel gradient suits a CPU.

The kernel's gradient is `x^T dy`, summed over the rows. XLA:CPU multiplies slowly by a small matrix that is stored the
wrong way round; given `x^T` as an array of its own, a whole training step of a small network takes .85 to .95 of the
time, but that of a large one up to 1.2 times as long. A primitive keeps every transformation: forward mode, all orders
of derivatives, `vmap` over any side.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jnn.layers._vary import vary_alike

product_p = Primitive("rows_product")
_WORTH_TURNING = range(
    512, 8193
)  # numbers in a member's x; fewer are not worth an operation, more cost it too much


def product(x: Array, kernel: Array, *, precision: lax.PrecisionLike = None) -> Array:
    """Compute y = x @ kernel for `x` (*members, rows, in) and `kernel` (*members, in, out) of one dtype."""
    return product_p.bind(*vary_alike(x, kernel), precision=chosen_precision(precision))


def chosen_precision(precision: lax.PrecisionLike) -> Any:
    """Return the precision, by default that of `jax.default_matmul_precision` here, where the product is written.

    A primitive that leaves it open is lowered after the traced function has returned, and its `with` has ended.
    """
    return jax.config.jax_default_matmul_precision if precision is None else precision  # type: ignore[attr-defined]


def multiply(x: Array, kernel: Array, *, precision: lax.PrecisionLike) -> Array:
    """Compute the product by array functions, which is what a compiled program holds."""
    return jnp.matmul(x, kernel, precision=precision)


def infer(x: Any, kernel: Any, *, precision: lax.PrecisionLike) -> Any:
    """Infer shape, type and sharding."""
    return jax.make_jaxpr(lambda x, kernel: multiply(x, kernel, precision=precision))(
        x, kernel
    ).out_avals[0]


def input_gradient(dy: Array, x: Any, kernel: Array, *, precision: lax.PrecisionLike) -> Array:
    """dx = dy kernel^T."""
    return multiply(dy, kernel.mT, precision=precision)


def kernel_gradient(dy: Array, x: Array, kernel: Any, *, precision: lax.PrecisionLike) -> Array:
    """dkernel = x^T dy, on a CPU with a small x^T written out, which the barrier keeps the compiler from undoing."""
    written = jax.default_backend() == "cpu" and x.shape[-2] * x.shape[-1] in _WORTH_TURNING
    return multiply(lax.optimization_barrier(x.mT) if written else x.mT, dy, precision=precision)


def batch(operands: Any, axes: Any, *, precision: lax.PrecisionLike) -> tuple[Array, int]:
    """Fold a batched axis into the rows or the columns where one side lacks it; else it is the members'."""
    (x, kernel), (x_axis, kernel_axis) = operands, axes
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, -3)  # *members size rows in
        y = product(
            x.reshape(*x.shape[:-3], x.shape[-3] * x.shape[-2], x.shape[-1]),
            kernel,
            precision=precision,
        )
        return y.reshape(*x.shape[:-1], y.shape[-1]), x.ndim - 3
    if x_axis is None:
        kernel = jnp.moveaxis(kernel, kernel_axis, -2)  # *members in size out
        columns = kernel.reshape(*kernel.shape[:-2], kernel.shape[-2] * kernel.shape[-1])
        y = product(x, columns, precision=precision)
        return y.reshape(*y.shape[:-1], *kernel.shape[-2:]), y.ndim - 1
    return product(
        jnp.moveaxis(x, x_axis, 0), jnp.moveaxis(kernel, kernel_axis, 0), precision=precision
    ), 0


product_p.def_impl(jax.jit(multiply, static_argnames="precision"))
product_p.def_abstract_eval(infer)
ad.defbilinear(product_p, input_gradient, kernel_gradient)
batching.primitive_batchers[product_p] = batch
mlir.register_lowering(product_p, mlir.lower_fun(multiply, multiple_results=False))
