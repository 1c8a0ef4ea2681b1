"""Suite `study`: whole jobs from a cold process, imports and compilation included."""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_LOOPS = (
    Contender("PyTorch loop (1 thread)", "torch_eager", members=4, environment=threads(1), needs="torch"),
    Contender("PyTorch loop (2 processes)", "torch_processes", members=4, environment=threads(1), needs="torch"),
)
_FUNC = Contender("torch.func ensemble (2 threads)", "torch_func", members=100, environment=threads(2), needs="torch")
_EQUINOX = Contender("Equinox ensemble", "equinox_ensemble", members=100, needs="equinox")
_LOOP_NAMES = tuple(c.name for c in _LOOPS)


def _reproduction(
    workload: str, family: str, title: str, members: int, epochs: int, batch_size: int, least: float
) -> Case:
    """A study of `examples/reproductions`; PyTorch trains a few members, the rest is taken at their pace."""
    peers = (
        (Contender("PyTorch loop (2 processes)", "mnist1d_torch_processes", 2, environment=threads(1), needs="torch"),)
        if family == "mnist1d"
        else (
            Contender("PyTorch loop (1 thread)", "uci_torch_loop", 2, environment=threads(1), needs="torch"),
            Contender("PyTorch batched by hand", "uci_torch_batched", members, environment=threads(2), needs="torch"),
        )
    )
    names = tuple(c.name for c in peers)
    return Case(
        f"study_{workload}", title, workload=workload, members=members, epochs=epochs, batch_size=batch_size,
        contenders=(Contender("jnn", f"{family}_jnn", members), *peers),
        bars=(Bar("x faster than PyTorch, from a cold process", names, "jnn", at_least=2, of="cold"),),
        least_accuracy=least, equal_accuracy=False, rounds=3, most_warm_ups=2, colds=2,
    )  # fmt: skip


CASES = (
    Case(
        "study_digits",
        "300 members of the MLP 64-32-10 on digits, batch 32, Adam, 20 epochs",
        workload="digits", members=300, epochs=20, batch_size=32,
        contenders=(Contender("jnn", "jnn_population", members=300), *_LOOPS, _FUNC, _EQUINOX),
        bars=(
            Bar("x faster than a PyTorch loop, from a cold process", _LOOP_NAMES, "jnn", at_least=10, of="cold"),
            Bar("x faster than the best peer, from a cold process", (*_LOOP_NAMES, _FUNC.name, _EQUINOX.name), "jnn",
                at_least=2, of="cold"),
        ),
        least_accuracy=0.94, rounds=3, most_warm_ups=3,
    ),
    _reproduction("mnist1d_mlp", "mnist1d", "20 seeds of the MLP of MNIST-1D, all 6000 steps", 20, 150, 100, 0.5),
    _reproduction("mnist1d_cnn", "mnist1d", "20 seeds of the CNN of MNIST-1D, the first 400 steps", 20, 10, 100, 0.4),
    _reproduction("mnist1d_gru", "mnist1d", "20 seeds of the GRU of MNIST-1D, the first 120 steps", 20, 3, 100, 0.15),
    _reproduction("uci_yacht", "uci", "240 fits of the MC-dropout grid on yacht, 400 epochs", 240, 400, 128, 0.3),
)  # fmt: skip
