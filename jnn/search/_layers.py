"""The layers of any network, found in its program: their outputs, and the ReLUs between them.

A network is traced to a jaxpr, which is then run again with something done at its layers. So it
works for pairs, Linen and NNX alike, and inside `scan`, `switch`, `jit` and `checkpoint`.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

Kind = str  # "layer" or "relu"
Visit = Callable[["Site", jax.Array, Any], tuple[jax.Array, Any]]

# Products of values and a kernel, in this order, with the channels last.
_CHANNELS_LAST = ("conv_output", "conv_input_grad", "rows_product")
_PRODUCTS = (*_CHANNELS_LAST, "dot_general", "conv_general_dilated")


class Site(NamedTuple):
    """A place in a program.

    Attributes:
        to_rows: Function from the value there, and from any array of its shape, to an array
            [rows, positions, channels].
        weights_each: Number of weights of each channel; 0 at a ReLU.
    """

    to_rows: Callable[[jax.Array], jax.Array]
    weights_each: int


class _Walk(NamedTuple):
    """What is done on the way through a program.

    Attributes:
        kind: What is visited: "layer", the outputs of linear layers and convolutions with their
            bias, or "relu", the outputs of ReLUs.
        visit: `visit(site, value, carry) -> (value, carry)`.
        rows: Number of rows of the batch.
    """

    kind: Kind
    visit: Visit
    rows: int


def visited(
    function: Callable[[jax.Array], Any], x: jax.Array, kind: Kind, visit: Visit, carry: Any
) -> tuple[Any, Any]:
    """Return function(x) and the carry, with the carry passed from each site to the next.

    Raises:
        ValueError: If the program has no such site, or holds one where it cannot be reached.
    """
    program, shapes = jax.make_jaxpr(function, return_shape=True)(x)
    walk = _Walk(kind, visit, x.shape[0])
    leaves = jax.tree.leaves(x)
    if not _has_site(program.jaxpr, [True] * len(leaves), walk):
        names = {"layer": "linear layers or convolutions", "relu": "ReLUs, max(x, 0)"}
        raise ValueError(
            f"The network must have {names[kind]} between its inputs and its outputs, got none. "
            "Use another score for it."
        )
    outputs, carry = _run(program.jaxpr, program.consts, leaves, [True] * len(leaves), carry, walk)
    return jax.tree.unflatten(jax.tree.structure(shapes), outputs), carry


def _run(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    values: Sequence[Any],
    depends: Sequence[bool],
    carry: Any,
    walk: _Walk,
) -> tuple[list[Any], Any]:
    """Run a program; `depends` says which of its inputs depend on x."""
    marks = _marks(jaxpr, depends)
    sites = _sites(jaxpr, marks, walk)
    env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *values), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        flags = [_depends(atom, marks) for atom in equation.invars]
        if _holds_site(equation, flags, walk):
            outputs, carry = _inside(equation, inputs, flags, carry, walk)
        else:
            outputs = _bind(equation, inputs)
        if equation.outvars and equation.outvars[0] in sites:
            outputs[0], carry = walk.visit(sites[equation.outvars[0]], outputs[0], carry)
        env.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars], carry


def _inside(
    equation: JaxprEqn, inputs: Sequence[Any], flags: Sequence[bool], carry: Any, walk: _Walk
) -> tuple[list[Any], Any]:
    """Run an equation that holds sites."""
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return _scan(params, inputs, flags, carry, walk)
    if name == "cond":
        branches = [
            functools.partial(_call, branch, depends=flags[1:], walk=walk)
            for branch in params["branches"]
        ]
        return jax.lax.switch(inputs[0], branches, inputs[1:], carry)
    (inner,) = _inner(equation)
    call = functools.partial(_call, inner, depends=flags, walk=walk)
    if "prevent_cse" in params:
        call = jax.checkpoint(call, prevent_cse=params["prevent_cse"], policy=params["policy"])
    return call(inputs, carry)


def _call(
    program: Jaxpr | ClosedJaxpr,
    values: Sequence[Any],
    carry: Any,
    *,
    depends: Sequence[bool],
    walk: _Walk,
) -> tuple[list[Any], Any]:
    jaxpr, consts = _opened(program)
    return _run(jaxpr, consts, values, depends, carry, walk)


def _scan(
    params: Any, inputs: Sequence[Any], flags: Sequence[bool], carry: Any, walk: _Walk
) -> tuple[list[Any], Any]:
    """Run a scan, whose body carries the carry on."""
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    constants, start, stacked = inputs[:first], inputs[first:last], inputs[last:]
    depends = _body_flags(params, flags)

    def body(state: Any, parts: Any) -> tuple[Any, Any]:
        values, carry = state
        outputs, carry = _call(
            params["jaxpr"], [*constants, *values, *parts], carry, depends=depends, walk=walk
        )
        return (outputs[: len(start)], carry), outputs[len(start) :]

    options = {"length": params["length"], "reverse": params["reverse"], "unroll": params["unroll"]}
    (end, carry), results = jax.lax.scan(body, (list(start), carry), list(stacked), **options)
    return [*end, *results], carry


def _bind(equation: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    with equation.ctx.manager:
        params = equation.primitive.get_bind_params(equation.params)
        outputs = equation.primitive.bind(*inputs, **params)
    return list(outputs) if equation.primitive.multiple_results else [outputs]


def _marks(jaxpr: Jaxpr, depends: Sequence[bool]) -> dict[Any, bool]:
    """Return which values depend on x; all outputs of an equation do if one of its inputs does."""
    marks = dict(zip(jaxpr.invars, depends, strict=True))
    for equation in jaxpr.eqns:
        is_dependent = any(_depends(atom, marks) for atom in equation.invars)
        marks.update(dict.fromkeys(equation.outvars, is_dependent))
    return marks


def _depends(atom: Any, marks: dict[Any, bool]) -> bool:
    return not isinstance(atom, Literal) and marks.get(atom, False)


def _sites(jaxpr: Jaxpr, marks: dict[Any, bool], walk: _Walk) -> dict[Any, Site]:
    """Return the sites among the equations of a program, by the first output of the equation."""
    if walk.kind == "relu":
        zeros = _zeros(jaxpr)
        relus = [e for e in jaxpr.eqns if _is_relu(e, zeros, marks, walk.rows)]
        site = Site(lambda x: x.reshape(walk.rows, -1, 1), 0)
        return {equation.outvars[0]: site for equation in relus}
    sites = {}
    for equation in jaxpr.eqns:
        site = _layer(equation, marks, walk.rows)
        if site is not None:
            sites[_with_bias(jaxpr, equation.outvars[0], marks)] = site
    return sites


def _layer(equation: JaxprEqn, marks: dict[Any, bool], rows: int) -> Site | None:
    """Return the site of a product of values that depend on x with a kernel that does not."""
    name = equation.primitive.name
    if name not in _PRODUCTS:
        return None
    is_first, is_second = (_depends(atom, marks) for atom in equation.invars[:2])
    if is_first == is_second or (name != "dot_general" and is_second):
        return None
    kernel = equation.invars[1 if is_first else 0]
    shape = _shape(equation.outvars[0])
    if name == "conv_general_dilated":
        batch, channels, *space = equation.params["dimension_numbers"].out_spec
        order, count = (batch, *space, channels), 1
    elif name == "dot_general":
        (contracted, _), (batched, _) = equation.params["dimension_numbers"]
        count = len(_shape(kernel)) - len(contracted) - len(batched)
        axes = range(len(shape))
        order = axes if is_first else (*axes[len(batched) + count :], *axes[len(batched) :][:count])
        if batched:
            return None
    else:
        order, count = range(len(shape)), 1
    channels = math.prod(shape[axis] for axis in order[len(order) - count :])
    if not rows or not channels or math.prod(shape) % (rows * channels):
        return None
    to_rows = functools.partial(_ordered, tuple(order), rows, channels)
    return Site(to_rows, math.prod(_shape(kernel)) // channels)


def _ordered(order: tuple[int, ...], rows: int, channels: int, x: jax.Array) -> jax.Array:
    return x.transpose(order).reshape(rows, -1, channels)


def _with_bias(jaxpr: Jaxpr, value: Any, marks: dict[Any, bool]) -> Any:
    """Return the sum of a product and its bias, if that is all that the product is used for."""
    readers = [e for e in jaxpr.eqns if any(atom is value for atom in e.invars)]
    if len(readers) != 1 or value in jaxpr.outvars or readers[0].primitive.name != "add":
        return value
    others = [atom for atom in readers[0].invars if atom is not value]
    is_bias = len(others) == 1 and not _depends(others[0], marks)
    return readers[0].outvars[0] if is_bias else value


def _is_relu(equation: JaxprEqn, zeros: set[Any], marks: dict[Any, bool], rows: int) -> bool:
    """Return whether an equation is max(x, 0) of an array [rows, ...] that depends on x."""
    if equation.primitive.name != "max":
        return False
    is_zero = [
        atom.val == 0 if isinstance(atom, Literal) else atom in zeros for atom in equation.invars
    ]
    value = equation.invars[0 if is_zero[1] else 1]
    shape = _shape(value)
    return any(is_zero) and _depends(value, marks) and len(shape) > 1 and shape[0] % rows == 0


def _zeros(jaxpr: Jaxpr) -> set[Any]:
    """Return the arrays that are a 0 in every place."""
    return {
        equation.outvars[0]
        for equation in jaxpr.eqns
        if equation.primitive.name in ("broadcast_in_dim", "convert_element_type")
        and isinstance(equation.invars[0], Literal)
        and equation.invars[0].val == 0
    }


def _shape(atom: Any) -> tuple[int, ...]:
    return atom.aval.shape


def _has_site(jaxpr: Jaxpr, depends: Sequence[bool], walk: _Walk) -> bool:
    marks = _marks(jaxpr, depends)
    if _sites(jaxpr, marks, walk):
        return True
    return any(
        _holds_site(equation, [_depends(atom, marks) for atom in equation.invars], walk)
        for equation in jaxpr.eqns
    )


def _holds_site(equation: JaxprEqn, flags: Sequence[bool], walk: _Walk) -> bool:
    """Return whether an equation holds a program with a site."""
    name = equation.primitive.name
    if name == "scan":
        flags = _body_flags(equation.params, flags)
    elif name == "cond":
        flags = flags[1:]
    holds = any(
        len(_opened(inner)[0].invars) == len(flags) and _has_site(_opened(inner)[0], flags, walk)
        for inner in _inner(equation)
    )
    if holds and name in ("while", "shard_map", "custom_vmap_call"):
        raise ValueError(
            f"The layers of the network must not be inside {name}, which this score cannot look "
            "into. Use lax.scan, or another score."
        )
    return holds


def _body_flags(params: Any, flags: Sequence[bool]) -> list[bool]:
    """Return which inputs of the body of a scan depend on x: all that it carries, if one does."""
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    return [*flags[:first], *[any(flags)] * params["num_carry"], *flags[last:]]


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr | ClosedJaxpr]:
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, Jaxpr | ClosedJaxpr):
                yield part


def _opened(program: Jaxpr | ClosedJaxpr) -> tuple[Jaxpr, Sequence[Any]]:
    return (program.jaxpr, program.consts) if isinstance(program, ClosedJaxpr) else (program, ())
