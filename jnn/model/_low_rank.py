"""Kernels with low-rank updates: in the products of a network, base and update apart.

The updated kernel of each member would be as large as the base. So where a network multiplies rows
by such a kernel, or looks up rows of it, base and update are multiplied apart,

    x (base + a b) = x base + (x a) b

which leaves the base one array for all members, also within a program. The network is traced as one
of whole kernels, and its equations are then evaluated; other equations take the whole kernel. In
training, a share of x may be dropped before it is multiplied by a, as in peft.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, Literal

from jnn.layers import dropout
from jnn.model._errors import NetworkError

Tree = Any


class Drop(NamedTuple):
    """What is dropped of the rows that meet a kernel, in its update alone.

    Attributes:
        rate: Share of the entries.
        key: Random key of the kernel.
    """

    rate: Any
    key: Any


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["base", "a", "b", "drop"], meta_fields=[]
)
@dataclasses.dataclass(frozen=True)
class Updated:
    """A kernel [*inputs, *outputs] as base + a b.

    Attributes:
        base: [*inputs, *outputs].
        a: [inputs, rank].
        b: [rank, outputs].
        drop: What is dropped in training, or None.
    """

    base: Any
    a: Any
    b: Any
    drop: Drop | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the kernel."""
        return jnp.shape(self.base)

    def whole(self) -> jax.Array:
        """Return the kernel itself.

        Raises:
            NetworkError: If entries of the rows are to be dropped, which are then not known.
        """
        if self.drop is not None:
            raise NetworkError(
                f"An adapted kernel of shape {self.shape} must be multiplied by rows for "
                "dropout_rate, but the network does something else with it, such as a convolution. "
                "Leave out dropout_rate, or name other kernels."
            )
        return self.base + self.update()

    def seen(self, rows: jax.Array) -> jax.Array:
        """Return the rows as a sees them: some of their entries dropped."""
        return rows if self.drop is None else dropout(rows, self.drop.rate, key=self.drop.key)

    def update(self) -> jax.Array:
        """Return the update as an array of the shape of the kernel."""
        return jnp.matmul(self.a, self.b).reshape(self.shape).astype(self.base.dtype)


def with_updates(
    network: Callable[[Mapping[str, Any]], Tree], kernels: Mapping[str, Updated]
) -> Tree:
    """Return `network({name: kernel})`, with base and update multiplied apart.

    Args:
        network: A function of whole kernels by name.
        kernels: These kernels as bases and updates.
    """
    shapes = {
        name: jax.ShapeDtypeStruct(kernel.shape, kernel.base.dtype)
        for name, kernel in kernels.items()
    }
    traced, answer = jax.make_jaxpr(network, return_shape=True)(shapes)
    values = [kernels[name] for name in sorted(kernels)]  # the order of the leaves of a dict
    results = _evaluate(traced.jaxpr, traced.consts, values)
    return jax.tree.unflatten(jax.tree.structure(answer), map(_whole, results))


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))

    def value_of(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else known[variable]

    for equation in jaxpr.eqns:
        inputs = [value_of(variable) for variable in equation.invars]
        known.update(zip(equation.outvars, _apply(equation, inputs), strict=True))
    return [value_of(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate one equation."""
    name = equation.primitive.name
    if any(isinstance(value, Updated) for value in values):
        if name in _NESTED:
            return _NESTED[name](equation, values)
        if name in _CONVERSIONS:
            kernel = values[0]
            base, a, b = (_bind(equation, [part])[0] for part in (kernel.base, kernel.a, kernel.b))
            return [Updated(base, a, b, kernel.drop)]
        if name in _PRODUCTS and _PRODUCTS[name](equation, *values):
            return [_product(equation, *values)]
        if name == "gather" and _takes_rows(equation, *values):
            return [_rows(equation, *values)]
    return _bind(equation, [_whole(value) for value in values])


def _product(equation: Any, rows: Any, kernel: Updated) -> jax.Array:
    """Return rows times base plus rows times a times b; the axes of the inputs come first."""
    (y,) = _bind(equation, [rows, kernel.base])
    if equation.primitive.name == "dot_general":
        inputs = len(equation.params["dimension_numbers"][0][1])
        a = kernel.a.reshape(*kernel.shape[:inputs], -1)
        b = kernel.b.reshape(-1, *kernel.shape[inputs:])
        (narrow,) = _bind(equation, [kernel.seen(rows), a])
        last = (((narrow.ndim - 1,), (0,)), ((), ()))
        options = {k: equation.params[k] for k in ("precision", "preferred_element_type")}
        return y + lax.dot_general(narrow, b, last, **options)
    (narrow,) = _bind(equation, [kernel.seen(rows), kernel.a])
    (update,) = _bind(equation, [narrow, kernel.b])
    return y + update


def _rows(equation: Any, table: Updated, index: Any) -> jax.Array:
    """Return rows of the base plus rows of a times b; ids have no entries to drop."""
    (rows,) = _bind(equation, [table.base, index])
    params = {**equation.params, "slice_sizes": (1, table.a.shape[1])}
    with equation.ctx.manager:
        narrow = equation.primitive.bind(table.a, index, **params)
    return rows + jnp.matmul(narrow, table.b).astype(rows.dtype)


def _takes_rows(equation: Any, table: Any, index: Any) -> bool:
    """Return whether an equation takes whole rows of a matrix, such as embeddings of ids."""
    if isinstance(index, Updated) or len(table.shape) != 2:
        return False
    numbers = equation.params["dimension_numbers"]
    last = equation.outvars[0].aval.ndim - 1
    return (
        numbers.collapsed_slice_dims == numbers.start_index_map == (0,)
        and numbers.offset_dims == (last,)
        and not numbers.operand_batching_dims
        and tuple(equation.params["slice_sizes"]) == (1, table.shape[1])
    )


def _can_split_dot(equation: Any, rows: Any, kernel: Any) -> bool:
    """Return whether rows are multiplied by a kernel over just the axes of its inputs."""
    if isinstance(rows, Updated):
        return False
    (_, contracted), (_, batched) = equation.params["dimension_numbers"]
    sizes = kernel.shape[: len(contracted)]
    inputs = functools.reduce(lambda product, size: product * size, sizes, 1)
    is_first = sorted(contracted) == [*range(len(contracted))]
    return is_first and not batched and inputs == kernel.a.shape[0]


def _can_split_rows(equation: Any, rows: Any, kernel: Any) -> bool:
    """Return whether rows, without axes of members, are multiplied by a matrix."""
    return not isinstance(rows, Updated) and len(kernel.shape) == 2


def _inlined(equation: Any, values: list[Any]) -> Sequence[Any]:
    inner = equation.params["jaxpr"]
    return _evaluate(inner.jaxpr, inner.consts, values)


def _recomputed(equation: Any, values: list[Any]) -> Sequence[Any]:
    inner = equation.params["jaxpr"]
    options = {name: equation.params[name] for name in ("policy", "prevent_cse")}
    return jax.checkpoint(
        lambda *arguments: [*map(_whole, _evaluate(inner, (), arguments))], **options
    )(*values)


def _looped(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate a loop over time, whose steps all read the kernel."""
    options = {name: equation.params[name] for name in ("length", "reverse", "unroll")}
    inner = equation.params["jaxpr"]
    consts = equation.params["num_consts"]
    carries = equation.params["num_carry"]
    of_all_steps = values[:consts]
    rest = [_whole(value) for value in values[consts:]]

    def step(carry: list[Any], inputs: list[Any]) -> tuple[list[Any], list[Any]]:
        results = _evaluate(inner.jaxpr, inner.consts, [*of_all_steps, *carry, *inputs])
        results = [*map(_whole, results)]
        return results[:carries], results[carries:]

    carry, outputs = lax.scan(step, rest[:carries], rest[carries:], **options)
    return [*carry, *outputs]


def _whole(value: Any) -> Any:
    return value.whole() if isinstance(value, Updated) else value


def _bind(equation: Any, values: list[Any]) -> Sequence[Any]:
    """Evaluate an equation as JAX does."""
    params = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        results = equation.primitive.bind(*values, **params)
    return results if equation.primitive.multiple_results else [results]


_CONVERSIONS = {"convert_element_type", "copy"}
_PRODUCTS = {"dot_general": _can_split_dot, "rows_product": _can_split_rows}
_NESTED = {
    "jit": _inlined,
    "pjit": _inlined,
    "remat2": _recomputed,
    "checkpoint": _recomputed,
    "scan": _looped,
}
