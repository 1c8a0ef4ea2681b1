"""How single calls are made in JAX: inside a compiled loop, as training makes them, or by the host.

A call of a layer with its backward pass makes y, takes the gradient of sum(y w) with respect to
parameters and input, and moves the parameters against it, at a rate that is 0 when the program
runs. So the compiler may leave nothing out, and every call sees the same numbers. The sum itself is
made after the last call, here as in PyTorch.
"""

import functools
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import calls
from benchmarks.calls import INPUTS, Call
from benchmarks.work import Shape


def _one_member(program: Callable, own: Any, inputs: Any) -> tuple[Callable, Any, Any]:
    return program, own, inputs


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
    lay_out: Callable = _one_member,
) -> Call:
    """Prepare calls of `function(params, x, key, **options) -> y`.

    Args:
        function: The layer.
        x: Shape of the input.
        params: Shapes of the parameters, by name.
        options: Further arguments of the layer.
        vocabulary: Number of ids where the input is ids, else 0.
        backward: Whether a call has a backward pass.
        members: Number of members that one call serves.
        loop: Whether the calls are made by a compiled loop instead of the host.
        compiler: Options of XLA.
        lay_out: `lay_out(program, own, inputs)` makes the program of one member that of all, and
            places the arrays. `own` and the results have a member axis. All members read the same
            inputs, each in another order.
    """
    function = functools.partial(function, **(options or {}))
    values = jax.tree.map(jnp.asarray, calls.parameters(params or {}, members))
    inputs = jnp.asarray(calls.inputs(x, vocabulary))
    call = _make_call(function, backward, differentiable=not vocabulary)
    if loop:
        own = (values, jnp.int32(0) if members == 1 else jnp.arange(members))
        run, stages = _in_loop(call, own, inputs, compiler, lay_out)
    else:
        run, stages = _by_the_host(call, values, inputs, compiler)

    def play(count: int) -> list[float]:
        y, out = (np.asarray(a.addressable_data(0)) for a in run(count))
        if members > 1:
            y = y[0]
            out = out[0]
        return [calls.score(float((y * calls.cotangent(y.shape)).sum()), out)]

    return Call(play, stages)


def host_loop(step: Callable, state: Any, data: Mapping[str, Any]) -> Call:
    """Prepare a jitted `step(state, x, y) -> (state, loss)` for a Python loop."""
    xs, ys = (list(map(jnp.asarray, part)) for part in calls.batches(**data))

    def play(count: int) -> list[float]:
        nonlocal state
        for i in range(count):
            state, loss = step(state, xs[i % INPUTS], ys[i % INPUTS])
        return [float(loss)]

    return Call(play)


def compiled_loop(
    step: Callable,
    state: Any,
    data: Mapping[str, Any],
    compiler: Mapping[str, Any] | None = None,
    *,
    donate: bool = True,
) -> Call:
    """Prepare `step(state, x, y) -> (state, loss)` for a compiled loop.

    The state is donated unless `donate` is false.
    """
    batches = tuple(map(jnp.asarray, calls.batches(**data)))
    program = jax.jit(make_loop(step), donate_argnums=(0,) if donate else ())
    compiled, stages = compile_in_stages(program, state, jnp.int32(1), *batches, compiler=compiler)

    def play(count: int) -> list[float]:
        nonlocal state
        state, loss = compiled(state, jnp.int32(count), *batches)
        return [float(jnp.ravel(loss)[0])]

    return Call(play, stages)


def make_loop(step: Callable) -> Callable:
    """Make `loop(state, count, xs, ys) -> (state, last loss)`."""

    def loop(state, count, xs, ys):
        def body(i, carry):
            return step(carry[0], xs[i % INPUTS], ys[i % INPUTS])

        loss = jax.eval_shape(step, state, xs[0], ys[0])[1]
        return jax.lax.fori_loop(0, count, body, (state, jnp.zeros(loss.shape, loss.dtype)))

    return loop


def compile_in_stages(
    function: Any, *arguments: Any, compiler: Mapping[str, Any] | None = None
) -> tuple[Any, dict[str, float]]:
    """Compile a jitted function; with the seconds of tracing, lowering and compiling."""
    times = [time.perf_counter()]
    traced = function.trace(*arguments)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    compiled = lowered.compile(dict(compiler or {}))
    times.append(time.perf_counter())
    seconds = [after - before for before, after in itertools.pairwise(times)]
    return compiled, dict(zip(("trace", "lower", "compile"), seconds, strict=True))


def _make_call(function: Callable, backward: bool, differentiable: bool) -> Callable:
    """Make `call(params, x, key, rate) -> (params, y, out)`.

    `out` is the gradient with respect to x, or of a call without backward pass the output.
    """

    def forward_call(params, x, key, rate):
        return params, jnp.zeros(()), function(params, x, key)

    def backward_call(params, x, key, rate):
        if differentiable:
            y, pullback = jax.vjp(lambda p, x: function(p, x, key), params, x)
        else:
            y, pullback = jax.vjp(lambda p: function(p, x, key), params)
        gradients = pullback(jnp.asarray(calls.cotangent(y.shape)))
        params = jax.tree.map(lambda p, g: p - rate * g, params, gradients[0])
        return params, y, gradients[1] if differentiable else jnp.zeros(1)

    return backward_call if backward else forward_call


def _in_loop(
    call: Callable, own: Any, inputs: jax.Array, compiler: Any, lay_out: Callable
) -> tuple[Callable, dict[str, float]]:
    key = jax.random.key(0)

    def program(own, inputs, count, rate):
        params, member = own

        def body(i, carry):
            x = inputs[(count - 1 - i + member) % INPUTS]
            return call(carry[0], x, jax.random.fold_in(key, i), rate)

        shapes = jax.eval_shape(call, params, inputs[0], key, rate)
        start = params, *jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes[1:])
        return jax.lax.fori_loop(0, count, body, start)[1:]

    program, own, inputs = lay_out(program, own, inputs)
    compiled, stages = compile_in_stages(
        jax.jit(program), own, inputs, jnp.int32(1), jnp.float32(0), compiler=compiler
    )

    def run(count: int) -> Any:
        return jax.block_until_ready(compiled(own, inputs, jnp.int32(count), jnp.float32(0)))

    return run, stages


def _by_the_host(
    call: Callable, params: Any, inputs: jax.Array, compiler: Any
) -> tuple[Callable, dict[str, float]]:
    xs = list(inputs)
    key = jax.random.key(0)
    rate = jnp.float32(0)
    compiled, stages = compile_in_stages(jax.jit(call), params, xs[0], key, rate, compiler=compiler)

    def run(count: int) -> Any:
        now = params
        for i in range(count):
            now, y, out = compiled(now, xs[(count - 1 - i) % INPUTS], key, rate)
        return jax.block_until_ready((y, out))

    return run, stages
