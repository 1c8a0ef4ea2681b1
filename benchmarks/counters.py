"""Counts that are the same in every run: programs, instructions, memory.

`python -m benchmarks.counters` answers each line `{"function": ..., "arguments": {...}}` with a
line of counts. It runs on one CPU device, in a process of its own, without a cache of compiled
programs.

    stablehlo     Operations of the program as JAX hands it to the compiler; the same on every
                  machine.
    instructions  Instructions of the compiled program. Compiler and processor decide these, as all
                  that follow but the last.
    dispatches    Those of the instructions that start work: of the entry and of the bodies of
                  loops, with what a fusion or a reduction holds counted as one; no parameters,
                  constants and tuples.
    peak_bytes    Arguments, results and temporaries, less what they share, by XLA's own analysis.
    compilations  Programs that were compiled.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.case import Counter
from benchmarks.contender import Contender, environment
from benchmarks.process import Process
from benchmarks.worker import take_output

# Counts that neither the compiler nor the processor decides.
PORTABLE = ("compilations", "compilations_again", "compilations_later", "stablehlo")
_IDLE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}


def count(run: str, counters: Sequence[Counter]) -> Iterator[list[Any]]:
    """Yield the record of each counter."""
    contender = Contender("counters", "none", environment={"JAX_NUM_CPU_DEVICES": "1"})
    with Process("counters", "benchmarks.counters", environment(contender)) as process:
        for counter in counters:
            print(counter.name, file=sys.stderr, flush=True)
            arguments = dict(counter.arguments)
            counts = process.ask(
                {"do": "count", "function": counter.function, "arguments": arguments}
            )
            about = {"kind": "counter", "run": run, "case": counter.name}
            yield [{**about, "counts": counts, "most": dict(counter.most)}]


def step(*, network: str, data: dict[str, Any], **sizes: Any) -> dict[str, float]:
    """Count the training loop of a network of the suite `step`."""
    import jax
    import jax.numpy as jnp

    from benchmarks import calls, jax_calls
    from benchmarks.peers import steps

    function, start = steps.make_jnn_step(network=network, data=data, **sizes)
    state = jax.eval_shape(start)
    batches = map(jnp.asarray, calls.batches(**data))
    loop = jax.jit(jax_calls.make_loop(function), donate_argnums=0)
    return _count_program(loop, state, jnp.int32(1), *batches)


def block(*, width: int = 16, side: int = 32, batch: int = 32) -> dict[str, float]:
    """Count the gradient of a residual block's two convolutions with batch norm.

    `peak_over_lax` compares its memory with that of the same block by lax's convolutions.
    """
    import functools

    import jax
    import jax.numpy as jnp

    from jnn import layers

    def loss(params, x, lowering):
        y = x
        for kernel, scale, bias in params:
            y = layers.conv(y, kernel, lowering=lowering)
            y = jax.nn.relu(layers.batch_norm_train(y, scale, bias)[0])
        return jnp.sum((x + y) ** 2)

    x = jnp.ones((batch, side, side, width))
    ones = jnp.ones(width)
    params = [(jnp.ones((3, 3, width, width)), ones, ones)] * 2

    def counts(lowering):
        gradient = jax.grad(functools.partial(loss, lowering=lowering), (0, 1))
        return _count_program(jax.jit(gradient), params, x)

    ours = counts("auto")
    return {**ours, "peak_over_lax": ours["peak_bytes"] / counts("lax")["peak_bytes"]}


def study(*, members: int = 4) -> dict[str, float]:
    """Count what a small study compiles, run twice: the second run compiles nothing."""
    from functools import partial

    import jax
    import optax

    import jnn

    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name))
    data = jnn.data.load("digits")
    study = jnn.Study(
        partial(jnn.models.MLP, 64, (32,), 10),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-3),
        epochs=2,
    )

    def compilations() -> int:
        events.clear()
        jnn.run(study, data, jnn.seeds(members) * jnn.folds(2))
        return events.count("/jax/core/compile/backend_compile_duration")

    return {"compilations": compilations(), "compilations_again": compilations()}


def game(*, members: int = 4) -> dict[str, float]:
    """Count what a game compiles in its first epoch, in three more, and in a second study.

    Its discriminator moves three times a step, so that the phases alternate within a program.
    """
    from functools import partial

    import jax
    import numpy as np
    import optax

    import jnn

    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name))
    data = jnn.Dataset.from_arrays(np.random.default_rng(0).normal(size=(96, 2)))
    study = jnn.gan.Study(
        partial(jnn.models.MLP, 2, (8,), 2),
        partial(jnn.models.MLP, 2, (8,), 1),
        latent=2,
        optimizers=(optax.adam(1e-3), optax.adam(1e-3)),
        discriminator_steps=3,
        epochs=4,
        batch_size=8,
    )

    def compilations(population: Any, epochs: int) -> int:
        events.clear()
        population.advance(epochs)
        return events.count("/jax/core/compile/backend_compile_duration")

    population = jnn.start(study, data, jnn.seeds(members))
    counts = {"compilations": compilations(population, 1)}
    later = sum(compilations(population, 1) for _ in range(3))
    again = compilations(jnn.start(study, data, jnn.seeds(members, first=members)), 1)
    return {**counts, "compilations_later": later, "compilations_again": again}


def _count_program(function: Any, *arguments: Any) -> dict[str, float]:
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
    """Return the operations of a compiled program's text.

    The first list has all of them, the second those outside of what a fusion or a reduction holds.
    """
    found: list[tuple[str, str]] = []
    held: set[str] = set()
    computation = ""
    for line in text.splitlines():
        head = re.match(r"(?:ENTRY )?%(\S+) .*{$", line)
        operation = re.match(r" +(?:ROOT )?%\S+ = .*? ([a-z][a-z0-9-]*)\(", line)
        if head:
            computation = head[1]
        elif operation:
            found.append((computation, operation[1]))
            if operation[1] != "call":
                held.update(re.findall(r", (?:calls|to_apply)=%([^\s,]+)", line))
    return [name for _, name in found], [name for where, name in found if where not in held]


_FUNCTIONS: dict[str, Callable[..., dict[str, float]]] = {
    "step": step,
    "block": block,
    "study": study,
    "game": game,
}


def main() -> None:
    """Serve requests until one says quit."""
    reply = take_output()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        reply(_FUNCTIONS[request["function"]](**request["arguments"]))


if __name__ == "__main__":
    main()
