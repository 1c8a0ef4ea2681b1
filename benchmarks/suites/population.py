"""Suite `population`: the price of a population, time(M) / (M time(1)), for every family, and other ways to train."""

import dataclasses

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_TORCH_LOOP = Contender("PyTorch loop", "torch_eager", 8, environment=threads(2), needs="torch")
_TORCH_FUNC = Contender("torch.func ensemble", "torch_func", 32, environment=threads(2), needs="torch")
_EQUINOX = Contender("Equinox filter_vmap", "equinox_ensemble", 32, needs="equinox")


def _naive(members: int, rows: int = 0) -> Contender:
    return Contender(f"vmap of Flax Linen, {members}", "flax_vmap", members, rows=rows)


def no_tax(
    workload: str,
    title: str,
    *,
    epochs: int,
    batch_size: int,
    populations: tuple[int, ...],
    steps: int,
    least_accuracy: float,
    most: int = 1 << 20,
    least_of_few: float = 0.0,
    peers: tuple[Contender, ...] = (),
    bars: tuple[Bar, ...] = (),
    calls: int = 4,
    rounds: int = 3,
) -> Case:
    """Populations of one net: time(M) / (M time(1)) is the ratio of their times per member-step.

    Args:
        workload: Function of `workloads.py`.
        title: Of the case.
        epochs: Trained by every member.
        batch_size: Rows per step.
        populations: Members of each contender, 1 first.
        steps: In an epoch on all training rows.
        least_accuracy: For a timing to count.
        most: Member-steps in an epoch above which a population trains on fewer rows, four batches at least.
        least_of_few: The accuracy that those have to reach.
        peers: Other ways to train the same.
        bars: Beside those of the populations.
        calls: Of one member's job in a round; a larger population's are fewer.
        rounds: Of each contender.
    """

    def ours(m: int) -> Contender:
        few, name, often = max(4, most // m), f"M = {m}", max(1, calls // m)
        if few >= steps:
            return Contender(name, "jnn_population", m, often)
        return Contender(name, "jnn_population", m, often, rows=few * batch_size, least_accuracy=least_of_few)

    taxes = (Bar(f"time({m}) / ({m} time(1))", (f"M = {m}",), "M = 1", at_most=1.05) for m in populations[1:])
    return Case(
        f"no_tax_{workload}", f"The price of a population: {title}",
        workload=workload, members=populations[-1], epochs=epochs, batch_size=batch_size,
        contenders=(*map(ours, populations), *peers), bars=(*taxes, *bars),
        least_accuracy=least_accuracy, equal_accuracy=False, rounds=rounds, most_warm_ups=2, colds=1,
    )  # fmt: skip


_NAIVE = dataclasses.replace(_naive(16, rows=4 * 64), least_accuracy=0.35)

CASES = (
    no_tax(
        "digits", "MLP 64-32-10, batch 32", epochs=5, batch_size=32, steps=45, populations=(1, 8, 32, 256, 1024),
        least_accuracy=0.6, calls=16, rounds=5, peers=(_TORCH_LOOP, _TORCH_FUNC, _EQUINOX, _naive(32)),
        bars=(
            Bar("x faster per member-step, 32 members against one", ("M = 1",), "M = 32", at_least=2),
            Bar("x faster than vmap of Flax Linen", (_naive(32).name,), "M = 32", at_least=1.5),
        ),
    ),
    no_tax("wide", "MLP 784-256-256-10, batch 128", epochs=1, batch_size=128, steps=60,
           populations=(1, 8, 64, 256, 1024), least_accuracy=0.6, most=2048, least_of_few=0.5),
    no_tax(
        "lenet", "LeNet-like net on 28x28x1, batch 64", epochs=1, batch_size=64, steps=30,
        populations=(1, 2, 16, 128, 1024), least_accuracy=0.6, most=2048, least_of_few=0.35, peers=(_NAIVE,),
        bars=(Bar("x faster than vmap of Flax Linen", (_NAIVE.name,), "M = 16", at_least=20),),
    ),
    no_tax("recurrent", "LSTM of 32 units over 8 rows of 8 pixels, batch 32", epochs=2, batch_size=32, steps=45,
           populations=(1, 8, 64, 256, 1024), least_accuracy=0.15, most=8192, least_of_few=0.12),
    no_tax("residual", "ResNet-8 on 8x8x1, batch 32", epochs=1, batch_size=32, steps=45,
           populations=(1, 2, 8, 64, 256), least_accuracy=0.3, most=1024, least_of_few=0.12, calls=2),
    no_tax("text", "TextCNN of 8 maps on 64 ids, batch 32", epochs=4, batch_size=32, steps=45,
           populations=(1, 8, 32, 256, 1024), least_accuracy=0.3, most=1024, least_of_few=0.15),
    no_tax("tokens", "GPT of 2 layers of 32 on 63 ids, batch 32", epochs=1, batch_size=32, steps=45,
           populations=(1, 4, 16, 128, 1024), least_accuracy=0.3, most=1024, least_of_few=0.45),
    no_tax("patches", "ViT of 2 layers of 32 on 16 patches, batch 32", epochs=2, batch_size=32, steps=45,
           populations=(1, 8, 32, 256, 1024), least_accuracy=0.15, most=1024, least_of_few=0.2),
)  # fmt: skip
