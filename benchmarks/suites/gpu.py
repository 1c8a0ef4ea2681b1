"""Suite `gpu`: what only an accelerator can show.

A job is long enough that preparing its members and bringing their parameters home is little beside
its steps.
"""

import math

from benchmarks import work
from benchmarks.case import COPY, MATMUL, Bar, Case, Job, Quality
from benchmarks.contender import Contender

_TORCH = Contender("PyTorch eager", "population_loops.torch", needs="torch")
_PEERS = (
    Contender("PyTorch", "steps.torch", needs="torch"),
    Contender("torch.compile", "steps.torch", needs="torch", arguments={"compiled": True}),
)
_SWITCHES = {  # of XLA, each beside its default
    "loops as command buffers": {"XLA_FLAGS": "--xla_gpu_enable_command_buffer=+WHILE"},
    "no command buffers": {"XLA_FLAGS": "--xla_gpu_enable_command_buffer="},
    "no autotuning": {"XLA_FLAGS": "--xla_gpu_autotune_level=0"},
}
_STEPS = (
    Contender("jnn", "steps.jnn"),
    *(Contender(f"jnn, {name}", "steps.jnn", environment=e) for name, e in _SWITCHES.items()),
    Contender("jnn, nothing donated", "steps.jnn", arguments={"donate": False}),
    *_PEERS,
)
_NEVER_SLOWER = Bar("never slower than PyTorch", ("PyTorch", "torch.compile"), "jnn", at_least=1.0)
_MOST_LOSS = 0.9  # of the loss of guessing: what of a step's loss still counts


def _populations(*sizes: int) -> tuple[Contender, ...]:
    peer = "population.jnn_run"
    return tuple(Contender(f"M = {m}", peer, m, calls=4 if m == 1 else 1) for m in sizes)


def _switched_populations(members: int) -> tuple[Contender, ...]:
    return tuple(
        Contender(f"M = {members}, {name}", "population.jnn_run", members, environment=environment)
        for name, environment in _SWITCHES.items()
    )


CASES = (
    Case(
        "gpu_digits",
        title="MLP 64-62-10 (4660 parameters) on digits, batch 32: one net against 2048 at once",
        job=Job("small", members=2048, epochs=20, batch_size=32, cold_starts=1),
        contenders=(*_populations(1, 32, 512, 2048), *_switched_populations(2048), _TORCH),
        bars=(
            Bar(
                "2048 nets in half the time of one of PyTorch's: x faster",
                (_TORCH.name,),
                "M = 2048",
                at_least=4096,
            ),
            Bar("x faster than one alone", ("M = 1",), "M = 2048", at_least=500),
        ),
        quality=Quality(least=0.9),
        rounds=5,
        device="gpu",
    ),
    Case(
        "gpu_lenet",
        title="LeNet on 28x28 images, batch 64: one net against many",
        job=Job("lenet", members=128, epochs=10, batch_size=64, cold_starts=1),
        contenders=(*_populations(1, 2, 4, 8, 16, 32, 64, 128), _TORCH),
        bars=(
            Bar("x faster than PyTorch one at a time", (_TORCH.name,), "M = 128", at_least=15.1),
        ),
        quality=Quality(least=0.6),
        rounds=5,
        device="gpu",
    ),
    Case(
        "gpu_wide",
        title="MLP 784-128-128-10, batch 32: many nets, whose traffic is near that of a copy",
        job=Job("flat", members=2048, epochs=10, batch_size=32, cold_starts=1),
        contenders=(*_populations(1, 64, 2048), _TORCH),
        bars=(
            Bar("share of the copy ceiling", (COPY,), "M = 2048", at_least=0.5),
            Bar("x faster than PyTorch one at a time", (_TORCH.name,), "M = 2048", at_least=1.0),
        ),
        quality=Quality(least=0.6),
        rounds=5,
        device="gpu",
    ),
    Case(
        "ResNet-18 32x32, batch 512, bfloat16",
        _STEPS,
        bars=(_NEVER_SLOWER,),
        arguments={
            "network": "resnet18",
            "data": {"x": (512, 32, 32, 3), "classes": 10},
            "precision": "bfloat16",
        },
        flops=work.training(work.resnet18(images=512)),
        bytes=work.traffic(11_173_962),
        quality=Quality(most=_MOST_LOSS * math.log(10)),
        rounds=5,
        seconds=1.0,
        device="gpu",
    ),
    Case(
        "GPT-2 (124 million), batch 8 x 1024, bfloat16",
        _STEPS,
        bars=(
            _NEVER_SLOWER,
            Bar("share of the matmul ceiling", (MATMUL,), "jnn", at_least=0.5),
        ),
        arguments={
            "network": "gpt",
            "data": {"x": (8, 1024), "vocabulary": 50257},
            "precision": "bfloat16",
            "vocabulary": 50257,
            "time": 1024,
            "width": 768,
            "depth": 12,
            "heads": 12,
        },
        flops=work.training(work.transformer(8, 1024, 768, 12, 12, causal=True, outputs=50257)),
        bytes=work.traffic(124_439_808),
        quality=Quality(most=_MOST_LOSS * math.log(50257)),
        rounds=5,
        seconds=1.0,
        device="gpu",
    ),
)
