"""Suite `step`: one network's training step in jnn's loop, beside its peers."""

import math
from typing import Any

from benchmarks import work
from benchmarks.case import Bar, Case, Quality
from benchmarks.contender import Contender, threads
from benchmarks.workloads import LENET_LAYERS, WIDE_LAYERS

_TORCH = {"peer": "steps.torch", "needs": "torch"}
_JNN = Contender("jnn", "steps.jnn")
_PEERS = (
    Contender("PyTorch (1 thread)", **_TORCH, environment=threads(1)),
    Contender("PyTorch (2 threads)", **_TORCH, environment=threads(2)),
    Contender("torch.compile", **_TORCH, environment=threads(2), arguments={"compiled": True}),
    Contender("Flax Linen", "steps.linen"),
    Contender("Equinox", "steps.equinox", needs="equinox"),
    Contender(
        "Keras (JAX)",
        "steps.keras",
        environment={"KERAS_BACKEND": "jax", **threads(2)},
        needs="keras",
    ),
)


def _case(
    name: str, network: str, flops: float, data: dict[str, Any], *, parameters: int, **sizes: Any
) -> Case:
    """Return the step of a network.

    Its bytes are the optimizer's. The loss has to fall below 0.9 of that of guessing.
    """
    guess = math.log(data.get("classes") or data["vocabulary"])
    peers = tuple(contender.name for contender in _PEERS)
    return Case(
        name,
        (_JNN, *_PEERS),
        bars=(Bar("never slower than the best peer", peers, "jnn", at_least=1.0),),
        arguments={"network": network, "data": data, **sizes},
        flops=flops,
        bytes=work.traffic(parameters),
        quality=Quality(most=0.9 * guess),
        seconds=0.2,
    )


CASES = (
    _case(
        "MLP 784-256-256-10, batch 128",
        "mlp",
        work.step_flops(WIDE_LAYERS, 128),
        {"x": (128, 784), "classes": 10},
        parameters=269_322,
        sizes=(784, 256, 256, 10),
    ),
    _case(
        "LeNet 28x28, batch 64",
        "lenet",
        work.step_flops(LENET_LAYERS, 64),
        {"x": (64, 28, 28, 1), "classes": 10},
        parameters=105_866,
    ),
    _case(
        "ResNet-20 32x32, batch 32",
        "resnet",
        work.training(work.resnet20(images=32)),
        {"x": (32, 32, 32, 3), "classes": 10},
        parameters=269_722,
        depth=20,
    ),
    _case(
        "LSTM language model, batch 32 x 64, width 128",
        "lstm",
        work.training(2.0 * 32 * 64 * (2 * 128 * 512 + 128 * 65)),
        {"x": (32, 64), "vocabulary": 65},
        parameters=148_289,
        vocabulary=65,
        width=128,
    ),
    _case(
        "GPT 4 layers of 128, batch 12 x 64",
        "gpt",
        work.training(work.transformer(12, 64, 128, 4, 4, causal=True, outputs=65)),
        {"x": (12, 64), "vocabulary": 65},
        parameters=809_856,
        vocabulary=65,
        time=64,
        width=128,
        depth=4,
        heads=4,
    ),
    _case(
        "ViT 4 layers of 128, 64 patches, batch 32",
        "vit",
        work.training(work.transformer(32, 65, 128, 4, 4, causal=False, outputs=10)),
        {"x": (32, 32, 32, 3), "classes": 10},
        parameters=809_354,
        patch=4,
        width=128,
        depth=4,
        heads=4,
    ),
)
