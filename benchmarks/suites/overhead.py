"""Suite `overhead`: what a library adds to a step, to an import and to the first training of a process."""

from benchmarks.case import Bar, Task
from benchmarks.contender import Contender

_RAW = Contender("hand-written jit", "overhead_handwritten", 1)
_NAMED = Contender(
    "hand-written, names, key, count", "overhead_handwritten", 1, arguments={"named": True}
)
_STEPS = (
    Contender("jnn", "overhead_jnn", 1),
    _RAW,
    _NAMED,
    Contender("nnx.jit", "overhead_nnx", 1),
    Contender("Linen TrainState", "overhead_linen", 1),
    Contender("eqx.filter_jit", "overhead_equinox", 1, needs="equinox"),
)


def _step(depth: int) -> Task:
    """Layers of 8 units on batches of 8, SGD: next to nothing is computed, so the time is that of the call."""
    return Task(
        f"step of an MLP with {depth} layers", "step",
        {"data": {"x": (8, 8), "classes": 8}, "sizes": (8,) * (depth + 1)}, _STEPS,
        bars=(
            Bar("a step's call over hand-written jit", ("jnn",), _RAW.name, at_most=1.0, of="difference"),
            Bar("the same over a state with names, key and count", ("jnn",), _NAMED.name, at_most=1.0, of="difference"),
        ),
        together=True, rounds=31, seconds=0.1,
    )  # fmt: skip


def _cold(name: str, peer: str, needs: str = "jax") -> Contender:
    return Contender(name, "processes_cold", 1, needs=needs, arguments={"peer": peer})


_IMPORT = Task(
    "import", "imports", {},
    (
        Contender("jnn", "processes_cold", 1, arguments={"modules": "jnn"}),
        Contender("jax, flax and optax", "processes_cold", 1, arguments={"modules": "jax, flax, optax"}),
    ),
    bars=(Bar("import over jax, flax and optax", ("jnn",), "jax, flax and optax", at_most=1.15),),
    rounds=5,
)  # fmt: skip

_COLD = Task(
    "first training of a process: MLP 64-32-10, one epoch", "first_job", {},
    (
        _cold("jnn", "jnn_population"),
        _cold("PyTorch", "torch_eager", needs="torch"),
        _cold("Flax Linen", "linen_loop"),
    ),
    rounds=3,
)  # fmt: skip

TASKS = (*map(_step, (1, 10, 100)), _IMPORT, _COLD)
