"""Suite `population`: the price of a population, time(M) / (M time(1)), by kind of network."""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_TORCH = {"environment": threads(2), "needs": "torch"}
_TORCH_LOOP = Contender("PyTorch loop", "population_loops.torch", 8, **_TORCH)
_TORCH_FUNC = Contender("torch.func ensemble", "population_ensembles.torch", 32, **_TORCH)
_EQUINOX = Contender("Equinox filter_vmap", "population_ensembles.equinox", 32, needs="equinox")


def _linen(members: int) -> Contender:
    return Contender(f"vmap of Flax Linen, {members}", "population_ensembles.linen", members)


def _case(
    workload: str,
    title: str,
    *,
    epochs: int,
    batch_size: int,
    populations: tuple[int, ...],
    least_accuracy: float,
    peers: tuple[Contender, ...] = (),
    bars: tuple[Bar, ...] = (),
    calls: int = 4,
    rounds: int = 3,
) -> Case:
    """Return populations of one network.

    time(M) / (M time(1)) is the ratio of their times per member and step. The large ones take
    minutes a call, so beside the first job one call of each is its warm-up.
    """
    ours = [
        Contender(f"M = {m}", "population.jnn_run", m, calls=max(1, calls // m))
        for m in populations
    ]
    taxes = [
        Bar(f"time({m}) / ({m} time(1))", (f"M = {m}",), "M = 1", at_most=1.0)
        for m in populations[1:]
    ]
    return Case(
        f"no_tax_{workload}",
        title=f"The price of a population: {title}",
        job=Job(workload, populations[-1], epochs, batch_size, cold_starts=1, most_warm_ups=1),
        contenders=(*ours, *peers),
        bars=(*taxes, *bars),
        quality=Quality(least=least_accuracy),
        rounds=rounds,
    )


CASES = (
    _case(
        "digits",
        "MLP 64-32-10, batch 32",
        epochs=5,
        batch_size=32,
        populations=(1, 8, 32, 256, 1024),
        least_accuracy=0.6,
        calls=16,
        rounds=5,
        peers=(_TORCH_LOOP, _TORCH_FUNC, _EQUINOX, _linen(32)),
        bars=(
            Bar(
                "x faster per member-step, 32 members against one",
                ("M = 1",),
                "M = 32",
                at_least=2,
            ),
            Bar("x faster than vmap of Flax Linen", (_linen(32).name,), "M = 32", at_least=1.5),
        ),
    ),
    _case(
        "wide",
        "MLP 784-256-256-10, batch 128",
        epochs=1,
        batch_size=128,
        populations=(1, 8, 32, 128, 1024),
        least_accuracy=0.6,
    ),
    _case(
        "lenet",
        "LeNet-like net on 28x28x1, batch 64",
        epochs=1,
        batch_size=64,
        populations=(1, 2, 8, 32, 128, 1024),
        rounds=2,
        least_accuracy=0.6,
        peers=(_linen(2), _linen(32)),
        bars=tuple(
            Bar(
                f"x faster than vmap of Flax Linen, {m} members",
                (_linen(m).name,),
                f"M = {m}",
                at_least=20,
            )
            for m in (2, 32)
        ),
    ),
    _case(
        "recurrent",
        "LSTM of 32 units over 8 rows of 8 pixels, batch 32",
        epochs=2,
        batch_size=32,
        populations=(1, 8, 64, 256, 1024),
        least_accuracy=0.15,
    ),
    _case(
        "residual",
        "ResNet-8 on 8x8x1, batch 32",
        epochs=1,
        batch_size=32,
        populations=(1, 2, 8, 32, 1024),
        least_accuracy=0.3,
        calls=2,
    ),
    _case(
        "text",
        "TextCNN of 8 maps on 64 ids, batch 32",
        epochs=4,
        batch_size=32,
        populations=(1, 8, 32, 256, 1024),
        least_accuracy=0.3,
    ),
    _case(
        "tokens",
        "GPT of 2 layers of 32 on 63 ids, batch 32",
        epochs=1,
        batch_size=32,
        populations=(1, 4, 16, 64, 1024),
        rounds=2,
        least_accuracy=0.3,
    ),
    _case(
        "patches",
        "ViT of 2 layers of 32 on 16 patches, batch 32",
        epochs=2,
        batch_size=32,
        populations=(1, 8, 32, 128, 1024),
        least_accuracy=0.15,
    ),
)
