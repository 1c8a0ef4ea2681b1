"""Suite `population`: the price of a population, time(M) / (M time(1)), for every family, and other ways to train."""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_TORCH_LOOP = Contender("PyTorch loop", "torch_eager", 8, environment=threads(2), needs="torch")
_TORCH_FUNC = Contender(
    "torch.func ensemble", "torch_func", 32, environment=threads(2), needs="torch"
)
_EQUINOX = Contender("Equinox filter_vmap", "equinox_ensemble", 32, needs="equinox")


def _naive(members: int) -> Contender:
    return Contender(f"vmap of Flax Linen, {members}", "flax_vmap", members)


def no_tax(
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
    """Populations of one net: time(M) / (M time(1)) is the ratio of their times per member-step.

    1024 members of the larger nets take minutes a call, so beside the first job one call of each is its warm-up.
    """
    ours = tuple(
        Contender(f"M = {m}", "jnn_population", m, calls=max(1, calls // m)) for m in populations
    )
    taxes = (
        Bar(f"time({m}) / ({m} time(1))", (f"M = {m}",), "M = 1", at_most=1.0)
        for m in populations[1:]
    )
    return Case(
        f"no_tax_{workload}", f"The price of a population: {title}",
        workload=workload, members=populations[-1], epochs=epochs, batch_size=batch_size,
        contenders=(*ours, *peers), bars=(*taxes, *bars),
        least_accuracy=least_accuracy, equal_accuracy=False, rounds=rounds, most_warm_ups=1, colds=1,
    )  # fmt: skip


CASES = (
    no_tax(
        "digits", "MLP 64-32-10, batch 32", epochs=5, batch_size=32, populations=(1, 8, 32, 256, 1024),
        least_accuracy=0.6, calls=16, rounds=5, peers=(_TORCH_LOOP, _TORCH_FUNC, _EQUINOX, _naive(32)),
        bars=(
            Bar("x faster per member-step, 32 members against one", ("M = 1",), "M = 32", at_least=2),
            Bar("x faster than vmap of Flax Linen", (_naive(32).name,), "M = 32", at_least=1.5),
        ),
    ),
    no_tax("wide", "MLP 784-256-256-10, batch 128", epochs=1, batch_size=128, populations=(1, 8, 32, 128, 1024),
           least_accuracy=0.6),
    no_tax(
        "lenet", "LeNet-like net on 28x28x1, batch 64", epochs=1, batch_size=64, populations=(1, 2, 8, 32, 128, 1024),
        rounds=2, least_accuracy=0.6, peers=(_naive(2), _naive(32)),
        bars=tuple(
            Bar(f"x faster than vmap of Flax Linen, {n} members", (_naive(n).name,), under, at_least=20)
            for n, under in ((2, "M = 2"), (32, "M = 32"))
        ),
    ),
    no_tax("recurrent", "LSTM of 32 units over 8 rows of 8 pixels, batch 32", epochs=2, batch_size=32,
           populations=(1, 8, 64, 256, 1024), least_accuracy=0.15),
    no_tax("residual", "ResNet-8 on 8x8x1, batch 32", epochs=1, batch_size=32, populations=(1, 2, 8, 32, 1024),
           least_accuracy=0.3, calls=2),
    no_tax("text", "TextCNN of 8 maps on 64 ids, batch 32", epochs=4, batch_size=32, populations=(1, 8, 32, 256, 1024),
           least_accuracy=0.3),
    no_tax("tokens", "GPT of 2 layers of 32 on 63 ids, batch 32", epochs=1, batch_size=32,
           populations=(1, 4, 16, 64, 1024), rounds=2, least_accuracy=0.3),
    no_tax("patches", "ViT of 2 layers of 32 on 16 patches, batch 32", epochs=2, batch_size=32,
           populations=(1, 8, 32, 128, 1024), least_accuracy=0.15),
)  # fmt: skip
