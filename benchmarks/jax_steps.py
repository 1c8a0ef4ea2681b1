"""How peers in JAX train: a jitted step, its state donated, called by a Python loop."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import step_data
from benchmarks.jax_loops import staged
from benchmarks.layer_data import INPUTS
from benchmarks.server import Prepared


def host_loop(step: Callable, state: Any, data: Mapping[str, Any]) -> Prepared:
    """Prepares `step(state, x, y) -> (state, loss)`, compiled at its first call, for calls in a Python loop."""
    xs, ys = (list(map(jnp.asarray, part)) for part in step_data.batches(**data))

    def play(calls):
        nonlocal state
        for i in range(calls):
            state, loss = step(state, xs[i % INPUTS], ys[i % INPUTS])
        return float(loss)

    return Prepared(play, {})


def compiled_loop(
    step: Callable,
    state: Any,
    data: Mapping[str, Any],
    compiler: Mapping[str, Any] | None = None,
    *,
    donate: bool = True,
) -> Prepared:
    """Prepares `step(state, x, y) -> (state, loss)` for a compiled loop, whose state is donated unless told not to."""
    batches = tuple(map(jnp.asarray, step_data.batches(**data)))
    program = jax.jit(make_loop(step), donate_argnums=(0,) if donate else ())
    compiled, stages = staged(program, state, jnp.int32(1), *batches, compiler=compiler)

    def play(calls):
        nonlocal state
        state, loss = compiled(state, jnp.int32(calls), *batches)
        return float(jnp.ravel(loss)[0])

    return Prepared(play, stages)


def make_loop(step: Callable) -> Callable:
    """`loop(state, calls, xs, ys) -> (state, last loss)`."""

    def loop(state, calls, xs, ys):
        def body(i, carry):
            return step(carry[0], xs[i % INPUTS], ys[i % INPUTS])

        first = jax.eval_shape(step, state, xs[0], ys[0])[1]
        return jax.lax.fori_loop(0, calls, body, (state, jnp.zeros(first.shape, first.dtype)))

    return loop
