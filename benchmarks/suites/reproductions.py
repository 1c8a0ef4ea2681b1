"""Suite `reproductions`: MNIST-1D, a UCI grid and sequence models, beside PyTorch and Flax Linen.

Ten epochs are timed of MNIST-1D, 100 of UCI. 300 members of 10 epochs stand for the job of 20 seeds
x 150 epochs, which compilation is weighed against; 9600 of 100 for the grid of 240 fits x 4000
epochs.
"""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_VARIANTS = {  # of every peer in PyTorch
    "1 thread": {"environment": threads(1)},
    "2 threads": {"environment": threads(2)},
    "2 processes": {"environment": threads(1), "processes": 2},
}
_EAGER_NAMES = tuple(f"PyTorch eager ({variant})" for variant in _VARIANTS)
_BATCHED_NAMES = tuple(f"PyTorch batched ({variant})" for variant in _VARIANTS)


def _torch(kind: str, peer: str, members: tuple[int, int, int]) -> tuple[Contender, ...]:
    """Return PyTorch on one thread, on two, and in two processes, with their numbers of members."""
    return tuple(
        Contender(f"PyTorch {kind} ({variant})", peer, n, needs="torch", **settings)
        for n, (variant, settings) in zip(members, _VARIANTS.items(), strict=True)
    )


def _mnist1d(
    network: str, title: str, peer_members: int, at_least: float, least_accuracy: float
) -> Case:
    linen = "Linen jit loop"
    return Case(
        f"mnist1d_{network}",
        title=f"MNIST-1D, {title}, batch 100, Adam: a job of 20 seeds x 6000 steps",
        job=Job(f"mnist1d_{network}", 300, 10, 100, cold_starts=1, most_warm_ups=3),
        contenders=(
            Contender("jnn", "mnist1d.jnn", 20),
            *_torch("eager", "mnist1d.torch", (peer_members, peer_members, peer_members)),
            Contender(linen, "mnist1d.linen", peer_members),
        ),
        bars=(
            Bar("x faster than PyTorch's best variant", _EAGER_NAMES, "jnn", at_least=at_least),
            Bar("x faster than the Linen loop", (linen,), "jnn", at_least=1.5),
            Bar(
                "x faster than the Linen loop, whole job with compilation",
                (linen,),
                "jnn",
                at_least=2,
                of="job",
            ),
        ),
        quality=Quality(least=least_accuracy),
        rounds=5,
    )


def _sequence(
    network: str, title: str, epochs: int, batch_size: int, at_least: float, least_score: float
) -> Case:
    return Case(
        network,
        title=title,
        job=Job(network, 5, epochs, batch_size, cold_starts=1, most_warm_ups=2),
        contenders=(
            Contender("jnn", "sequence.jnn", 5),
            *_torch("eager", "sequence.torch", (1, 1, 2)),
        ),
        bars=(Bar("x faster than PyTorch's best variant", _EAGER_NAMES, "jnn", at_least=at_least),),
        quality=Quality(least=least_score),
        rounds=5,
    )


_LOOP = Contender(
    "PyTorch eager (1 thread)", "uci.torch_loop", 4, environment=threads(1), needs="torch"
)
_UCI = Case(
    "uci_yacht",
    title="MC dropout on UCI yacht, 6-50-1, batch 128, Adam: a job of 240 fits x 4000 epochs",
    job=Job("uci_yacht", 9600, 100, 128, cold_starts=1, most_warm_ups=2),
    contenders=(
        Contender("jnn", "uci.jnn", 240),
        _LOOP,
        *_torch("batched", "uci.torch_batched", (240, 240, 240)),
    ),
    bars=(
        Bar("x faster than a PyTorch loop", (_LOOP.name,), "jnn", at_least=10),
        Bar("x faster than PyTorch batched by hand", _BATCHED_NAMES, "jnn", at_least=3),
        Bar("x faster than a PyTorch loop, whole job", (_LOOP.name,), "jnn", at_least=10, of="job"),
        Bar(
            "x faster than PyTorch batched by hand, whole job",
            _BATCHED_NAMES,
            "jnn",
            at_least=3,
            of="job",
        ),
    ),
    quality=Quality(least=0.1),
    rounds=3,
)

CASES = (
    _mnist1d("logistic", "logistic regression", 4, at_least=5, least_accuracy=0.28),
    _mnist1d("mlp", "MLP 40-100-100-10", 4, at_least=4, least_accuracy=0.5),
    _mnist1d("cnn", "three convolutions of 25 channels", 2, at_least=1.5, least_accuracy=0.75),
    _mnist1d("gru", "bidirectional GRU of 6 units", 2, at_least=5, least_accuracy=0.6),
    _UCI,
    _sequence(
        "gpt",
        "nanoGPT's CPU configuration on tinyshakespeare, batch 12: 5 seeds x 80 steps",
        epochs=1,
        batch_size=12,
        at_least=1,
        least_score=0.2,
    ),
    _sequence(
        "lstm",
        "an LSTM of 128 units on tinyshakespeare, batch 32: 5 seeds x 80 steps",
        epochs=1,
        batch_size=32,
        at_least=1,
        least_score=0.2,
    ),
    _sequence(
        "dlinear",
        "DLinear on ETTh1, 336 hours to 96, batch 32: 5 seeds x an epoch",
        epochs=1,
        batch_size=32,
        at_least=2,
        least_score=0.2,
    ),
)
