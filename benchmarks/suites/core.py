"""Suite `core`: the digits population against its peers, the LeNet population, and the price of a population."""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_KERAS = {"KERAS_BACKEND": "jax", **threads(2)}
_TORCH_EAGER = ("PyTorch eager (1 thread)", "PyTorch eager (2 threads)")
_TORCH = (
    *_TORCH_EAGER,
    "PyTorch eager (2 processes)",
    "PyTorch func (1 thread)",
    "PyTorch func (2 threads)",
    "PyTorch func (2 processes)",
)
_HANDWRITTEN = "hand-written jit(vmap(scan))"
_ALL = (*_TORCH, "Keras (JAX)", "scikit-learn", "Linen jit loop", "Equinox ensemble", _HANDWRITTEN)

DIGITS = Case(
    "digits",
    "MLP 64-32-10 on digits, batch 32, Adam, 20 epochs: a job of 32 seeds",
    workload="digits", members=32, epochs=20, batch_size=32,
    contenders=(
        Contender("jnn", "jnn_population"),
        Contender("PyTorch eager (1 thread)", "torch_eager", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch eager (2 threads)", "torch_eager", members=8, environment=threads(2), needs="torch"),
        Contender("PyTorch eager (2 processes)", "torch_processes", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch func (1 thread)", "torch_func", environment=threads(1), needs="torch"),
        Contender("PyTorch func (2 threads)", "torch_func", environment=threads(2), needs="torch"),
        Contender("PyTorch func (2 processes)", "torch_func_processes", environment=threads(1), needs="torch"),
        Contender("Keras (JAX)", "keras_jax", members=8, environment=_KERAS, needs="keras"),
        Contender("scikit-learn", "sklearn_mlp", members=8, environment=threads(1)),
        Contender("Linen jit loop", "linen_loop", members=16),
        Contender("Equinox ensemble", "equinox_ensemble", needs="equinox"),
        Contender(_HANDWRITTEN, "handwritten"),
    ),
    bars=(
        Bar("x faster than PyTorch eager", _TORCH_EAGER, "jnn", at_least=30),
        Bar("x faster than PyTorch's best variant", _TORCH, "jnn", at_least=14),
        Bar("x faster than Keras-JAX", ("Keras (JAX)",), "jnn", at_least=10),
        Bar("x faster than the Linen loop", ("Linen jit loop",), "jnn", at_least=4),
        Bar("x faster than the Equinox ensemble", ("Equinox ensemble",), "jnn", at_least=4),
        Bar("x faster than the hand-written program", (_HANDWRITTEN,), "jnn", at_least=1.3),
        Bar("x faster than the best peer, whole job with compilation", _ALL, "jnn", at_least=2, of="job"),
    ),
    least_accuracy=0.94,
)  # fmt: skip

LENET = Case(
    "lenet",
    "LeNet-like net on 28x28x1, batch 64, Adam, 30 steps: a job of 16 seeds",
    workload="lenet", members=16, epochs=1, batch_size=64,
    contenders=(
        Contender("jnn", "jnn_population", members=16),
        Contender("PyTorch eager (1 thread)", "torch_eager", members=8, environment=threads(1), needs="torch"),
        Contender("PyTorch eager (2 threads)", "torch_eager", members=8, environment=threads(2), needs="torch"),
        Contender("Linen jit loop", "linen_loop", members=4),
    ),
    bars=(
        Bar("x faster than PyTorch's best variant", _TORCH_EAGER, "jnn", at_least=1.3),
        Bar("x faster than the Linen loop", ("Linen jit loop",), "jnn", at_least=4),
    ),
    least_accuracy=0.6,
)  # fmt: skip


def no_tax(workload: str, title: str, *, epochs: int, batch_size: int, extra: tuple[Bar, ...] = ()) -> Case:
    """Populations of 1, 2, 8 and 32 of one net: time(M) / (M time(1)) is the ratio of their times per member-step."""
    populations = (1, 2, 8, 32)
    return Case(
        f"no_tax_{workload}", f"The price of a population: {title}",
        workload=workload, members=32, epochs=epochs, batch_size=batch_size,
        contenders=tuple(Contender(f"M = {m}", "jnn_population", m, calls=max(1, 8 // m)) for m in populations),
        bars=tuple(Bar(f"time({m}) / ({m} time(1))", (f"M = {m}",), "M = 1", at_most=1.05) for m in populations[1:])
        + extra,
        least_accuracy=0.6, equal_accuracy=False, rounds=5, colds=1,
    )  # fmt: skip


CASES = (
    DIGITS,
    LENET,
    no_tax(
        "digits", "MLP 64-32-10, batch 32", epochs=200, batch_size=32,
        extra=(Bar("x faster per member-step, 32 members against one", ("M = 1",), "M = 32", at_least=2),),
    ),
    no_tax("wide", "MLP 784-256-256-10, batch 128", epochs=2, batch_size=128),
    no_tax("lenet", "LeNet-like net on 28x28x1, batch 64", epochs=2, batch_size=64),
)  # fmt: skip
