"""Suite `gpu`: what only an accelerator can show: thousands of small nets at once, a large one near the ceiling."""

from benchmarks import flops
from benchmarks.case import Bar, Case, Task
from benchmarks.contender import Contender

_TORCH = Contender("PyTorch eager", "torch_eager", members=1, needs="torch")


def _ours(*populations: int) -> tuple[Contender, ...]:
    return tuple(Contender(f"M = {m}", "jnn_population", m) for m in populations)


ENTRIES = (
    Case(
        "gpu_digits", "MLP 64-32-10 on digits, batch 32: one net against 2048 at once",
        workload="digits", members=2048, epochs=2, batch_size=32, contenders=(*_ours(1, 32, 512, 2048), _TORCH),
        bars=(
            Bar("2048 nets in half the time of one of PyTorch's: x faster", (_TORCH.name,), "M = 2048", at_least=4096),
            Bar("x faster than one alone", ("M = 1",), "M = 2048", at_least=500),
        ),
        least_accuracy=0.3, equal_accuracy=False, rounds=5, colds=1, device="gpu",
    ),
    Case(
        "gpu_lenet", "LeNet on 28x28 images, batch 64: one net against many",
        workload="lenet", members=128, epochs=1, batch_size=64, contenders=(*_ours(1, 8, 32, 128), _TORCH),
        bars=(Bar("x faster than PyTorch one at a time", (_TORCH.name,), "M = 128", at_least=15.1),),
        least_accuracy=0.6, equal_accuracy=False, rounds=5, colds=1, device="gpu",
    ),
    Task(
        "GPT-2 (124 million), batch 8 x 1024, bfloat16", "gpt",
        {"data": {"x": (8, 1024), "vocabulary": 50257}, "precision": "bfloat16", "vocabulary": 50257, "time": 1024,
         "width": 768, "depth": 12, "heads": 12},
        (
            Contender("jnn", "jnn_steps", 1),
            Contender("PyTorch", "torch_steps", 1, needs="torch"),
            Contender("torch.compile", "torch_steps_compiled", 1, needs="torch"),
        ),
        bars=(Bar("never slower than PyTorch", ("PyTorch", "torch.compile"), "jnn", at_least=1.0),),
        flops=flops.training(flops.transformer(8, 1024, 768, 12, 12, causal=True, outputs=50257)),
        rounds=5, seconds=1.0, device="gpu",
    ),
)  # fmt: skip
