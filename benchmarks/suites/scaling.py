"""Suite `scaling`: how the time of a call grows with rows, width, depth and members; how it shrinks with devices.

Tasks named "... = size" are a series: the report gives the slope of log(time) by log(size), 1 for proportion.
"""

from typing import Any

from benchmarks import flops
from benchmarks.case import Bar, Task
from benchmarks.contender import Contender


def _step(
    series: str, size: int, *, rows: int = 64, width: int = 128, depth: int = 2, members: int = 1
) -> Task:
    data: dict[str, Any] = {"x": (rows, width), "classes": 10}
    return Task(
        f"{series} = {size}", "mlp", {"data": data, "sizes": (*[width] * (depth + 1), 10)},
        (Contender("jnn", "jnn_steps", members),), size=float(size), rounds=5,
        flops=flops.training(2.0 * rows * depth * width**2 + 2 * rows * width * 10),
        bytes=flops.traffic(depth * (width + 1) * width + (width + 1) * 10),
    )  # fmt: skip


def _devices(devices: int) -> Contender:
    name = f"{devices} device{'s' * (devices > 1)}"
    return Contender(name, "jnn_devices", 64, arguments={"devices": devices})


_DEVICES = Task(
    "64 members of the digits MLP, by devices", "digits", {"epochs": 10, "batch_size": 32},
    (_devices(1), _devices(2)),
    bars=(Bar("two devices faster than one", ("1 device",), "2 devices", at_least=1.3),),
    rounds=5, seconds=0.1,
)  # fmt: skip


def _spread(devices: int) -> Task:
    return Task(
        f"devices = {devices}", "digits", {"epochs": 10, "batch_size": 32},
        (Contender("jnn", "jnn_devices", 64, arguments={"devices": devices}),),
        size=float(devices), rounds=5, seconds=0.1,
    )  # fmt: skip


TASKS = (
    *(_step("rows", n, rows=n) for n in (16, 64, 256, 1024)),
    *(_step("width", n, width=n) for n in (32, 64, 128, 256, 512)),
    *(_step("depth", n, depth=n) for n in (1, 2, 4, 8, 16)),
    *(_step("members", n, width=32, members=n) for n in (1, 4, 16, 64, 256)),
    *map(_spread, (1, 2)),
    _DEVICES,
)
