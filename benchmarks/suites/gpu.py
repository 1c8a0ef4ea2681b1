"""Suite `gpu`: what only an accelerator can show: thousands of small nets at once, a large one near the ceiling.

A job is long enough that preparing its members and taking their parameters home is little beside its steps.
"""

import math

from benchmarks import flops
from benchmarks.case import COPY, MATMUL, Bar, Case, Task
from benchmarks.contender import Contender

_TORCH = Contender("PyTorch eager", "torch_eager", members=1, needs="torch")


_PEERS = (
    Contender("PyTorch", "torch_steps", 1, needs="torch"),
    Contender("torch.compile", "torch_steps_compiled", 1, needs="torch"),
)
_SWITCHES = {  # of XLA, each beside its default
    "loops as command buffers": "--xla_gpu_enable_command_buffer=+WHILE",
    "no command buffers": "--xla_gpu_enable_command_buffer=",
    "no autotuning": "--xla_gpu_autotune_level=0",
}
_STEPS = (
    Contender("jnn", "jnn_steps", 1),
    *(
        Contender(f"jnn, {name}", "jnn_steps", 1, environment={"XLA_FLAGS": flag})
        for name, flag in _SWITCHES.items()
    ),
    Contender("jnn, nothing donated", "jnn_steps", 1, arguments={"donate": False}),
    *_PEERS,
)
_NEVER_SLOWER = (
    Bar("never slower than PyTorch", ("PyTorch", "torch.compile"), "jnn", at_least=1.0),
)


_MOST_LOSS = 0.9  # of that of guessing: what of a step's loss still counts


def _ours(*populations: int) -> tuple[Contender, ...]:
    return tuple(
        Contender(f"M = {m}", "jnn_population", m, calls=4 if m == 1 else 1) for m in populations
    )


def _switched(members: int) -> tuple[Contender, ...]:
    return tuple(
        Contender(
            f"M = {members}, {name}", "jnn_population", members, environment={"XLA_FLAGS": flag}
        )
        for name, flag in _SWITCHES.items()
    )


def resnet18_products() -> float:
    """Operations of ResNet-18 for one 32x32 image: the stem, four stages of two blocks, 1x1 where maps double."""
    total = flops.conv((1, 32, 32, 3), (3, 3, 3, 64))
    for stage, side in enumerate((32, 16, 8, 4)):
        maps = 64 << stage
        first = maps if not stage else maps // 2
        total += flops.conv((1, side, side, first), (3, 3, first, maps))
        total += 3 * flops.conv((1, side, side, maps), (3, 3, maps, maps))
        total += flops.conv((1, side, side, first), (1, 1, first, maps)) if stage else 0
    return total + 2 * 512 * 10


ENTRIES = (
    Case(
        "gpu_digits", "MLP 64-62-10 (4660 parameters) on digits, batch 32: one net against 2048 at once",
        workload="small", members=2048, epochs=20, batch_size=32,
        contenders=(*_ours(1, 32, 512, 2048), *_switched(2048), _TORCH),
        bars=(
            Bar("2048 nets in half the time of one of PyTorch's: x faster", (_TORCH.name,), "M = 2048", at_least=4096),
            Bar("x faster than one alone", ("M = 1",), "M = 2048", at_least=500),
        ),
        least_accuracy=0.9, equal_accuracy=False, rounds=5, colds=1, device="gpu",
    ),
    Case(
        "gpu_lenet", "LeNet on 28x28 images, batch 64: one net against many",
        workload="lenet", members=128, epochs=10, batch_size=64,
        contenders=(*_ours(1, 2, 4, 8, 16, 32, 64, 128), _TORCH),
        bars=(Bar("x faster than PyTorch one at a time", (_TORCH.name,), "M = 128", at_least=15.1),),
        least_accuracy=0.6, equal_accuracy=False, rounds=5, colds=1, device="gpu",
    ),
    Case(
        "gpu_wide", "MLP 784-128-128-10, batch 32: many nets, whose traffic is near that of a copy",
        workload="flat", members=2048, epochs=10, batch_size=32, contenders=(*_ours(1, 64, 2048), _TORCH),
        bars=(
            Bar("share of the copy ceiling", (COPY,), "M = 2048", at_least=0.5),
            Bar("x faster than PyTorch one at a time", (_TORCH.name,), "M = 2048", at_least=1.0),
        ),
        least_accuracy=0.6, equal_accuracy=False, rounds=5, colds=1, device="gpu",
    ),
    Task(
        "ResNet-18 32x32, batch 512, bfloat16", "resnet18",
        {"data": {"x": (512, 32, 32, 3), "classes": 10}, "precision": "bfloat16"},
        _STEPS, bars=_NEVER_SLOWER, flops=512 * flops.training(resnet18_products()), bytes=flops.traffic(11_173_962),
        most=_MOST_LOSS * math.log(10),
        rounds=5, seconds=1.0, device="gpu",
    ),
    Task(
        "GPT-2 (124 million), batch 8 x 1024, bfloat16", "gpt",
        {"data": {"x": (8, 1024), "vocabulary": 50257}, "precision": "bfloat16", "vocabulary": 50257, "time": 1024,
         "width": 768, "depth": 12, "heads": 12},
        _STEPS,
        bars=(*_NEVER_SLOWER, Bar("share of the matmul ceiling", (MATMUL,), "jnn", at_least=0.5)),
        flops=flops.training(flops.transformer(8, 1024, 768, 12, 12, causal=True, outputs=50257)),
        bytes=flops.traffic(124_439_808), most=_MOST_LOSS * math.log(50257),
        rounds=5, seconds=1.0, device="gpu",
    ),
)  # fmt: skip
