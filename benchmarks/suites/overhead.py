"""Suite `overhead`: what a library adds to a step, to an import and to the first training."""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender

_RAW = Contender("hand-written jit", "handwritten.step")
_NAMED = Contender("hand-written, names, key, count", "handwritten.step", arguments={"named": True})
_STEPS = (
    Contender("jnn", "overhead.jnn_step"),
    _RAW,
    _NAMED,
    Contender("nnx.jit", "overhead.nnx_step"),
    Contender("Linen TrainState", "overhead.linen_step"),
    Contender("eqx.filter_jit", "overhead.equinox_step", needs="equinox"),
)


def _step(depth: int) -> Case:
    """Return a step with layers of 8 units on batches of 8.

    Next to nothing is computed, so the time is that of the call.
    """
    limit = {"under": _RAW.name, "at_most": 1.0, "of": "difference"}
    named_limit = {**limit, "under": _NAMED.name}
    return Case(
        f"step of an MLP with {depth} layers",
        _STEPS,
        bars=(
            Bar("a step's call over hand-written jit", ("jnn",), **limit),
            Bar("the same over a state with names, key and count", ("jnn",), **named_limit),
        ),
        arguments={"data": {"x": (8, 8), "classes": 8}, "sizes": (8,) * (depth + 1)},
        together=True,
        rounds=31,
        seconds=0.1,
    )


def _import(name: str, modules: str) -> Contender:
    return Contender(name, "overhead.imports", arguments={"modules": modules})


def _first_job(name: str, peer: str, needs: str = "jax") -> Contender:
    return Contender(name, "overhead.first_job", needs=needs, arguments={"peer": peer})


_IMPORT = Case(
    "import",
    (_import("jnn", "jnn"), _import("jax, flax and optax", "jax, flax, optax")),
    bars=(Bar("import over jax, flax and optax", ("jnn",), "jax, flax and optax", at_most=1.15),),
    rounds=5,
)

_COLD = Case(
    "first training of a process: MLP 64-32-10, one epoch",
    (
        _first_job("jnn", "population.jnn_run"),
        _first_job("PyTorch", "population_loops.torch", needs="torch"),
        _first_job("Flax Linen", "population_loops.linen"),
    ),
    rounds=3,
)

CASES = (*map(_step, (1, 10, 100)), _IMPORT, _COLD)
