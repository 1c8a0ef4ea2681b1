"""Suite `reproductions`: the loops of MNIST-1D, of a UCI grid and of sequence models, beside PyTorch and Flax Linen.

Ten epochs are timed of MNIST-1D, 100 of UCI. 300 members of 10 epochs stand for the job of 20 seeds x 150 epochs, which
compilation is weighed against; 9600 of 100 for the grid of 240 fits x 4000 epochs.
"""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_EAGER = ("PyTorch eager (1 thread)", "PyTorch eager (2 threads)", "PyTorch eager (2 processes)")
_LINEN = ("Linen jit loop",)
_BATCHED = (
    "PyTorch batched (1 thread)",
    "PyTorch batched (2 threads)",
    "PyTorch batched (2 processes)",
)


def _mnist1d(
    network: str, title: str, peer_members: int, at_least: float, least_accuracy: float
) -> Case:
    torch = {"members": peer_members, "needs": "torch"}
    return Case(
        f"mnist1d_{network}", f"MNIST-1D, {title}, batch 100, Adam: a job of 20 seeds x 6000 steps",
        workload=f"mnist1d_{network}", members=300, epochs=10, batch_size=100,
        contenders=(
            Contender("jnn", "mnist1d_jnn", members=20),
            Contender(_EAGER[0], "mnist1d_torch", environment=threads(1), **torch),
            Contender(_EAGER[1], "mnist1d_torch", environment=threads(2), **torch),
            Contender(_EAGER[2], "mnist1d_torch_processes", environment=threads(1), **torch),
            Contender(_LINEN[0], "mnist1d_linen", members=peer_members),
        ),
        bars=(
            Bar("x faster than PyTorch's best variant", _EAGER, "jnn", at_least=at_least),
            Bar("x faster than the Linen loop", _LINEN, "jnn", at_least=1.5),
            Bar("x faster than the Linen loop, whole job with compilation", _LINEN, "jnn", at_least=2, of="job"),
        ),
        least_accuracy=least_accuracy, equal_accuracy=False, rounds=5, most_warm_ups=3, colds=1,
    )  # fmt: skip


def _sequence(
    name: str, title: str, epochs: int, batch_size: int, at_least: float, least_score: float
) -> Case:
    torch = {"needs": "torch"}
    return Case(
        name, title,
        workload=name, members=5, epochs=epochs, batch_size=batch_size,
        contenders=(
            Contender("jnn", "sequence_jnn", members=5),
            Contender(_EAGER[0], "sequence_torch", 1, environment=threads(1), **torch),
            Contender(_EAGER[1], "sequence_torch", 1, environment=threads(2), **torch),
            Contender(_EAGER[2], "sequence_torch_processes", 2, environment=threads(1), **torch),
        ),
        bars=(Bar("x faster than PyTorch's best variant", _EAGER, "jnn", at_least=at_least),),
        least_accuracy=least_score, equal_accuracy=False, rounds=5, most_warm_ups=2, colds=1,
    )  # fmt: skip


CASES = (
    _mnist1d("logistic", "logistic regression", 4, at_least=5, least_accuracy=0.28),
    _mnist1d("mlp", "MLP 40-100-100-10", 4, at_least=4, least_accuracy=0.5),
    _mnist1d("cnn", "three convolutions of 25 channels", 2, at_least=1.5, least_accuracy=0.75),
    _mnist1d("gru", "bidirectional GRU of 6 units", 2, at_least=5, least_accuracy=0.6),
    Case(
        "uci_yacht", "MC dropout on UCI yacht, 6-50-1, batch 128, Adam: a job of 240 fits x 4000 epochs",
        workload="uci_yacht", members=9600, epochs=100, batch_size=128,
        contenders=(
            Contender("jnn", "uci_jnn", members=240),
            Contender("PyTorch eager (1 thread)", "uci_torch_loop", 4, environment=threads(1), needs="torch"),
            Contender(_BATCHED[0], "uci_torch_batched", 240, environment=threads(1), needs="torch"),
            Contender(_BATCHED[1], "uci_torch_batched", 240, environment=threads(2), needs="torch"),
            Contender(_BATCHED[2], "uci_torch_batched_processes", 240, environment=threads(1), needs="torch"),
        ),
        bars=(
            Bar("x faster than a PyTorch loop", ("PyTorch eager (1 thread)",), "jnn", at_least=10),
            Bar("x faster than PyTorch batched by hand", _BATCHED, "jnn", at_least=3),
            Bar("x faster than a PyTorch loop, whole job", ("PyTorch eager (1 thread)",), "jnn", at_least=10, of="job"),
            Bar("x faster than PyTorch batched by hand, whole job", _BATCHED, "jnn", at_least=3, of="job"),
        ),
        least_accuracy=0.1, equal_accuracy=False, rounds=3, most_warm_ups=2, colds=1,
    ),
    _sequence("gpt", "nanoGPT's CPU configuration on tinyshakespeare, batch 12: 5 seeds x 80 steps", 1, 12, 1, 0.2),
    _sequence("lstm", "an LSTM of 128 units on tinyshakespeare, batch 32: 5 seeds x 80 steps", 1, 32, 1, 0.2),
    _sequence("dlinear", "DLinear on ETTh1, 336 hours to 96, batch 32: 5 seeds x an epoch", 1, 32, 2, 0.2),
)  # fmt: skip
