"""Suite `gan`: two players as a population, beside PyTorch's alternating loop.

In so few steps a game learns little. The scores show that all contenders are as far, and
`tests/test_benchmark_gan.py` that they do the same work. `counters` counts what a game compiles.
"""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_TWO_THREADS, _TWO_PROCESSES = "PyTorch (2 threads)", "PyTorch (2 processes)"


def _case(
    workload: str,
    title: str,
    populations: tuple[int, ...],
    job: Job,
    peer_members: tuple[int, int],
    at_least: float,
    quality: Quality,
    calls: int = 1,
) -> Case:
    """Return populations of a pair, whose price is judged as in the suite `population`."""
    *_, largest = populations
    ours = [
        Contender(f"M = {m}", "gan.jnn", m, calls=max(1, min(calls, largest // m)))
        for m in populations
    ]
    threaded, shared = peer_members
    torch = {"peer": "gan.torch", "needs": "torch"}
    peers = (
        Contender(_TWO_THREADS, **torch, members=threaded, environment=threads(2)),
        Contender(_TWO_PROCESSES, **torch, members=shared, environment=threads(1), processes=2),
    )
    taxes = (
        Bar(f"time({m}) / ({m} time(1))", (f"M = {m}",), "M = 1", at_most=1.0)
        for m in populations[1:]
    )
    faster = Bar(
        "x faster than PyTorch's best variant",
        (_TWO_THREADS, _TWO_PROCESSES),
        f"M = {largest}",
        at_least=at_least,
    )
    return Case(
        workload,
        title=title,
        job=job,
        contenders=(*ours, *peers),
        bars=(faster, *taxes),
        quality=quality,
        rounds=5,
    )


CASES = (
    _case(
        "gan_ring",
        "a pair of MLPs of 2 x 128 units on a ring of 8 Gaussians, batch 100, Adam",
        (1, 8, 32),
        Job("gan_ring", 32, epochs=2, batch_size=100, cold_starts=1, most_warm_ups=2),
        (2, 4),
        at_least=10,
        quality=Quality(absolute=0.2),
        calls=4,
    ),
    _case(
        "gan_images",
        "the DCGAN pair of width 64 on 28x28 images, batch 64, Adam",
        (1, 4),
        Job("gan_images", 4, epochs=1, batch_size=64, cold_starts=1, most_warm_ups=2),
        (2, 4),
        at_least=1,
        quality=Quality(most=33.2, absolute=0.3),
        calls=2,
    ),
)
