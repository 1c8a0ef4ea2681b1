"""Counts that are the same in every run: what is compiled, how long the programs are, what memory they take.

`python -m benchmarks.counters` answers each line `{"function": ..., "arguments": {...}}` with a line of counts. It
runs on one CPU device, in a process of its own, without any cache of compiled programs.

    stablehlo    operations of the program as JAX hands it to the compiler; the same on every machine
    instructions of the compiled program; as all that follow but the last, decided by compiler and processor
    dispatches   those of the instructions that start work: of the entry and of loops' bodies, with what a fusion or a
                 reduction holds counted as one; no parameters, constants and tuples
    peak_bytes   arguments, results and temporaries, less what they share, by XLA's own analysis
    compilations programs that were compiled
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.case import Counter
from benchmarks.channel import Channel
from benchmarks.contender import Contender, environment
from benchmarks.measure import say
from benchmarks.worker import take_output

PORTABLE = (
    "compilations",
    "compilations_again",
    "stablehlo",
)  # that no compiler and no processor decide
_IDLE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}


def count(run: str, counters: Sequence[Counter]) -> Iterator[list[Any]]:
    """The records of all counters."""
    alone = Contender("counters", "none", environment={"JAX_NUM_CPU_DEVICES": "1"})
    with Channel("counters", "benchmarks.counters", [], environment(alone)) as channel:
        for counter in counters:
            say(counter.name)
            counts = channel.ask(
                {"function": counter.function, "arguments": dict(counter.arguments), "do": "count"}
            )
            limits = dict(counter.most)
            yield [
                {
                    "kind": "counter",
                    "run": run,
                    "case": counter.name,
                    "counts": counts,
                    "most": limits,
                }
            ]


def step(*, network: str, data: dict[str, Any], **sizes: Any) -> dict[str, float]:
    """The training loop of a network of the suite `step`."""
    import jax
    import jax.numpy as jnp

    from benchmarks import jax_steps, step_data
    from benchmarks.peers import jnn_steps

    function, start = jnn_steps.make(getattr(jnn_steps, network), data=data, **sizes)
    state = jax.eval_shape(start)
    batches = map(jnp.asarray, step_data.batches(**data))
    return _counted(
        jax.jit(jax_steps.make_loop(function), donate_argnums=0), state, jnp.int32(1), *batches
    )


def block(*, width: int = 16, side: int = 32, batch: int = 32) -> dict[str, float]:
    """The gradient of a residual block's two convolutions with batch norm, and the memory that it takes with lax."""
    import functools

    import jax
    import jax.numpy as jnp

    from jnn import layers

    def loss(params, x, lowering):
        y = x
        for kernel, scale, bias in params:
            y = layers.batch_norm_train(layers.conv(y, kernel, lowering=lowering), scale, bias)[0]
            y = jax.nn.relu(y)
        return jnp.sum((x + y) ** 2)

    x, one = jnp.ones((batch, side, side, width)), jnp.ones(width)
    params = [(jnp.ones((3, 3, width, width)), one, one)] * 2
    ours, lax = (
        _counted(jax.jit(jax.grad(functools.partial(loss, lowering=name), (0, 1))), params, x)
        for name in ("auto", "lax")
    )
    return {**ours, "peak_over_lax": ours["peak_bytes"] / lax["peak_bytes"]}


def study(*, members: int = 4) -> dict[str, float]:
    """A small study, run twice: the second run compiles nothing."""
    from functools import partial

    import jax
    import optax

    import jnn

    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name)
    )
    data = jnn.data.load("digits")
    made = jnn.Study(
        partial(jnn.models.MLP, 64, (32,), 10),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-3),
        epochs=2,
    )

    def compilations() -> int:
        compiled.clear()
        jnn.run(made, data, jnn.seeds(members) * jnn.folds(2))
        return sum(name == "/jax/core/compile/backend_compile_duration" for name in compiled)

    return {"compilations": compilations(), "compilations_again": compilations()}


def _counted(function: Any, *arguments: Any) -> dict[str, float]:
    lowered = function.lower(*arguments)
    compiled = lowered.compile({"xla_backend_optimization_level": 1})
    operations, outside = _operations(compiled.as_text())
    memory = compiled.memory_analysis()
    whole = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return {
        "stablehlo": len(re.findall(r"^ +%\S+ = ", lowered.as_text(), re.M)),
        "instructions": len(operations),
        "dispatches": sum(name not in _IDLE for name in outside),
        "peak_bytes": whole - memory.alias_size_in_bytes,
    }


def _operations(text: str) -> tuple[list[str], list[str]]:
    """The operations of a compiled program's text: all, and those outside what a fusion or a reduction runs inside."""
    found: list[tuple[str, str]] = []
    inside: set[str] = set()
    computation = ""
    for line in text.splitlines():
        if head := re.match(r"(?:ENTRY )?%(\S+) .*{$", line):
            computation = head[1]
        elif operation := re.match(r" +(?:ROOT )?%\S+ = .*? ([a-z][a-z0-9-]*)\(", line):
            found.append((computation, operation[1]))
            inside |= (
                set(re.findall(r", (?:calls|to_apply)=%([^\s,]+)", line))
                if operation[1] != "call"
                else set()
            )
    return [name for _, name in found], [name for where, name in found if where not in inside]


_FUNCTIONS: dict[str, Callable[..., dict[str, float]]] = {
    "step": step,
    "block": block,
    "study": study,
}


def main() -> None:
    """Serves until told to quit."""
    reply = take_output()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        reply(_FUNCTIONS[request["function"]](**request["arguments"]))


if __name__ == "__main__":
    main()
