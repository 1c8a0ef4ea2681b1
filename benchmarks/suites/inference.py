"""Suite `inference`: predictions of one network and of an ensemble, and text from a language model."""

from typing import Any

from benchmarks import flops
from benchmarks.case import Bar, Task
from benchmarks.contender import Contender, threads
from benchmarks.workloads import LENET_LAYERS, WIDE_LAYERS

_JNN = Contender("jnn", "inference_jnn", 1)
_ENSEMBLE = Contender("jnn, 16 members", "inference_jnn", 16)
_TORCH = tuple(
    Contender(
        f"PyTorch ({n} thread{'s' * (n > 1)})",
        "inference_torch",
        1,
        environment=threads(n),
        needs="torch",
    )
    for n in (1, 2)
)
_LINEN = Contender("Flax Linen", "inference_linen", 1)
_GPT = {"vocabulary": 65, "width": 128, "depth": 4, "heads": 4}


def _predict(name: str, work: float, parameters: int, **arguments: Any) -> Task:
    """`work` counts operations; of the bytes those of the parameters, which are read once."""
    peers = (*_TORCH, _LINEN)
    return Task(
        name, "predict", arguments, (_JNN, _ENSEMBLE, *peers),
        bars=(
            Bar("never slower than the best peer", tuple(c.name for c in peers), "jnn", at_least=1.0),
            Bar("a member of an ensemble never slower than one network", (_ENSEMBLE.name,), "jnn", at_most=1.05),
        ),
        flops=work, bytes=4.0 * parameters, agree=1e-6,
    )  # fmt: skip


def _generate(batch: int, time: int = 64) -> Task:
    """One call makes `batch * time` ids, each contender from a cache of keys and values."""
    return Task(
        f"GPT 4 layers of 128: {batch} x {time} ids", "generate", {"batch": batch, "time": time, **_GPT},
        (_JNN, *_TORCH), bars=(Bar("never slower than PyTorch", tuple(c.name for c in _TORCH), "jnn", at_least=1.0),),
        size=float(batch), seconds=0.2,
    )  # fmt: skip


def _forward(layers: Any, batch: int) -> float:
    return batch * sum(2.0 * p.positions * p.inputs * p.outputs for p in layers)


def _mlp(rows: int) -> Task:
    data = {"x": (rows, 784), "classes": 10}
    name, work = f"predict MLP 784-256-256-10, {rows} rows", _forward(WIDE_LAYERS, rows)
    return _predict(name, work, 269_322, network="mlp", data=data, sizes=(784, 256, 256, 10))


_IMAGES = {"x": (64, 28, 28, 1), "classes": 10}

TASKS = (
    _mlp(1),
    _mlp(512),
    _predict("predict LeNet 28x28, 64 images", _forward(LENET_LAYERS, 64), 105_866, network="lenet", data=_IMAGES),
    _predict(
        "predict GPT 4 layers of 128, 12 x 64 ids",
        flops.transformer(12, 64, 128, 4, 4, causal=True, outputs=65), 809_856,
        data={"x": (12, 64), "vocabulary": 65}, network="gpt", time=64, **_GPT,
    ),
    _generate(1),
    _generate(12),
)  # fmt: skip
