"""How a layer is called in JAX: inside a compiled loop, as a training step calls it, or once per call of the host.

A call of the backward kind makes y, takes the gradient of sum(y w) by parameters and input and moves the parameters
against it, at a rate that is 0 when the program runs: so the compiler may leave nothing out, and every call sees the
same numbers. The sum itself is made after the last call, here as in PyTorch.
"""

import functools
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import layer_data
from benchmarks.layer_data import INPUTS, Shape
from benchmarks.server import Prepared


def layer(
    function: Callable,
    *,
    x: Shape,
    params: Mapping[str, Shape] | None = None,
    options: Mapping[str, Any] | None = None,
    vocabulary: int = 0,
    backward: bool = False,
    members: int = 1,
    loop: bool = True,
    compiler: Mapping[str, Any] | None = None,
    lay_out: Callable[[Callable, Any, Any], tuple[Callable, Any, Any]] = lambda *all: all,
) -> Prepared:
    """Prepares calls of `function(params, x, key, **options) -> y`, of one member or of a population.

    `lay_out(program, own, inputs)` makes the program of one member that of all and places the arrays: `own` and the
    results have a member axis, all members read the same inputs, each in another order.
    """
    function = functools.partial(function, **(options or {}))
    values = jax.tree.map(jnp.asarray, layer_data.params(params or {}, members))
    inputs = jnp.asarray(layer_data.inputs(x, vocabulary))
    own = values, jnp.int32(0) if members == 1 else jnp.arange(members)
    one = _make_call(function, backward, differentiable=not vocabulary)
    made = (
        _in_loop(one, own, inputs, compiler, lay_out)
        if loop
        else _by_the_host(one, values, inputs, compiler)
    )
    run, stages = made

    def play(calls):
        y, out = (np.asarray(a.addressable_data(0)) for a in run(calls))
        y, out = (y, out) if members == 1 else (y[0], out[0])
        return layer_data.score(float((y * layer_data.cotangent(y.shape)).sum()), out)

    return Prepared(play, stages)


def staged(
    function: Any, *arguments: Any, compiler: Mapping[str, Any] | None = None
) -> tuple[Any, dict[str, float]]:
    """Compiles a jitted function; with the seconds of tracing, lowering and compiling."""
    times = [time.perf_counter()]
    traced = function.trace(*arguments)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    compiled = lowered.compile(dict(compiler or {}))
    times.append(time.perf_counter())
    seconds = [b - a for a, b in itertools.pairwise(times)]
    return compiled, dict(zip(("trace", "lower", "compile"), seconds, strict=True))


def _make_call(function: Callable, backward: bool, differentiable: bool) -> Callable:
    """`call(params, x, key, rate) -> (params, y, out)`; `out` is the gradient by x, or y of a call forward."""

    def forward_call(params, x, key, rate):
        return params, jnp.zeros(()), function(params, x, key)

    def backward_call(params, x, key, rate):
        made = (
            (lambda p, x: function(p, x, key)) if differentiable else lambda p: function(p, x, key)
        )
        y, pullback = jax.vjp(made, params, *[x] * differentiable)
        gradients = pullback(jnp.asarray(layer_data.cotangent(y.shape)))
        params = jax.tree.map(lambda p, g: p - rate * g, params, gradients[0])
        return params, y, gradients[1] if differentiable else jnp.zeros(1)

    return backward_call if backward else forward_call


def _in_loop(
    call: Callable, own: Any, inputs: jax.Array, compiler: Any, lay_out: Callable
) -> tuple[Callable, dict[str, float]]:
    key = jax.random.key(0)

    def program(own, inputs, calls, rate):
        params, member = own

        def body(i, carry):
            x = inputs[(calls - 1 - i + member) % INPUTS]
            return call(carry[0], x, jax.random.fold_in(key, i), rate)

        shapes = jax.eval_shape(call, params, inputs[0], key, rate)
        start = params, *jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes[1:])
        return jax.lax.fori_loop(0, calls, body, start)[1:]

    program, own, inputs = lay_out(program, own, inputs)
    compiled, stages = staged(
        jax.jit(program), own, inputs, jnp.int32(1), jnp.float32(0), compiler=compiler
    )
    return lambda calls: jax.block_until_ready(
        compiled(own, inputs, jnp.int32(calls), jnp.float32(0))
    ), stages


def _by_the_host(
    call: Callable, params: Any, inputs: jax.Array, compiler: Any
) -> tuple[Callable, dict[str, float]]:
    xs, key, rate = list(inputs), jax.random.key(0), jnp.float32(0)
    compiled, stages = staged(jax.jit(call), params, xs[0], key, rate, compiler=compiler)

    def run(calls):
        now = params
        for i in range(calls):
            now, y, out = compiled(now, xs[(calls - 1 - i) % INPUTS], key, rate)
        return jax.block_until_ready((y, out))

    return run, stages
