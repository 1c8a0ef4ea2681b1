"""Suite `step`: one network's training step in jnn's loop, beside PyTorch, Keras, Flax Linen and Equinox."""

import math
from typing import Any

from benchmarks import flops
from benchmarks.case import Bar, Task
from benchmarks.contender import Contender, threads
from benchmarks.workloads import LENET_LAYERS, WIDE_LAYERS, step_flops

_JNN = Contender("jnn", "jnn_steps", 1)
_EAGER = tuple(
    Contender(
        f"PyTorch ({n} thread{'s' * (n > 1)})",
        "torch_steps",
        1,
        environment=threads(n),
        needs="torch",
    )
    for n in (1, 2)
)
_COMPILED = Contender(
    "torch.compile", "torch_steps_compiled", 1, environment=threads(2), needs="torch"
)
_LINEN = Contender("Flax Linen", "linen_steps", 1)
_EQUINOX = Contender("Equinox", "equinox_steps", 1, needs="equinox")
_KERAS = Contender(
    "Keras (JAX)",
    "keras_steps",
    1,
    environment={"KERAS_BACKEND": "jax", **threads(2)},
    needs="keras",
)
_ALL = (*_EAGER, _COMPILED, _LINEN, _EQUINOX, _KERAS)


def _task(
    name: str,
    function: str,
    peers: tuple[Contender, ...],
    work: float,
    data: dict[str, Any],
    *,
    parameters: int,
    **sizes: Any,
) -> Task:
    """`work` counts operations, the bytes are the optimizer's; the loss has to fall below 0.9 of that of guessing."""
    names = tuple(c.name for c in peers)
    guess = math.log(data.get("classes") or data["vocabulary"])
    return Task(
        name, function, {"data": data, **sizes}, (_JNN, *peers),
        bars=(Bar("never slower than the best peer", names, "jnn", at_least=1.0),),
        flops=work, bytes=flops.traffic(parameters), most=0.9 * guess, seconds=0.2,
    )  # fmt: skip


def resnet_products() -> float:
    """Operations of ResNet-20 for one image: the stem, then three stages of three blocks of two convolutions."""
    total = flops.conv((1, 32, 32, 3), (3, 3, 3, 16))
    for stage, side in enumerate((32, 16, 8)):
        maps = 16 << stage
        first = maps if not stage else maps // 2
        total += flops.conv((1, side, side, first), (3, 3, first, maps))
        total += 5 * flops.conv((1, side, side, maps), (3, 3, maps, maps))
    return total + 2 * 64 * 10


TASKS = (
    _task(
        "MLP 784-256-256-10, batch 128", "mlp", _ALL, step_flops(WIDE_LAYERS, 128),
        {"x": (128, 784), "classes": 10}, parameters=269_322, sizes=(784, 256, 256, 10),
    ),
    _task(
        "LeNet 28x28, batch 64", "lenet", _ALL, step_flops(LENET_LAYERS, 64),
        {"x": (64, 28, 28, 1), "classes": 10}, parameters=105_866,
    ),
    _task(
        "ResNet-20 32x32, batch 32", "resnet", _ALL, 32 * flops.training(resnet_products()),
        {"x": (32, 32, 32, 3), "classes": 10}, parameters=269_722, depth=20,
    ),
    _task(
        "LSTM language model, batch 32 x 64, width 128", "lstm", _ALL,
        flops.training(2.0 * 32 * 64 * (2 * 128 * 512 + 128 * 65)),
        {"x": (32, 64), "vocabulary": 65}, parameters=148_289, vocabulary=65, width=128,
    ),
    _task(
        "GPT 4 layers of 128, batch 12 x 64", "gpt", _ALL,
        flops.training(flops.transformer(12, 64, 128, 4, 4, causal=True, outputs=65)),
        {"x": (12, 64), "vocabulary": 65}, parameters=809_856, vocabulary=65, time=64, width=128, depth=4, heads=4,
    ),
    _task(
        "ViT 4 layers of 128, 64 patches, batch 32", "vit", _ALL,
        flops.training(flops.transformer(32, 65, 128, 4, 4, causal=False, outputs=10)),
        {"x": (32, 32, 32, 3), "classes": 10}, parameters=809_354, patch=4, width=128, depth=4, heads=4,
    ),
)  # fmt: skip
