"""Suite `scaling`: how the time of a call grows with its size, and shrinks with devices.

Cases named "... = size" are a series: the report gives the slope of log(time) by log(size), which
is 1 for proportion. Sizes are rows, width, depth, members and devices.
"""

from typing import Any

from benchmarks import work
from benchmarks.case import Bar, Case
from benchmarks.contender import Contender

_POPULATION = {"workload": "digits", "epochs": 10, "batch_size": 32}


def _step(
    series: str, size: int, *, rows: int = 64, width: int = 128, depth: int = 2, members: int = 1
) -> Case:
    data: dict[str, Any] = {"x": (rows, width), "classes": 10}
    forward = 2.0 * rows * depth * width**2 + 2 * rows * width * 10
    parameters = depth * (width + 1) * width + (width + 1) * 10
    return Case(
        f"{series} = {size}",
        (Contender("jnn", "steps.jnn", members),),
        arguments={"network": "mlp", "data": data, "sizes": (*[width] * (depth + 1), 10)},
        flops=work.training(forward),
        bytes=work.traffic(parameters),
        size=float(size),
        rounds=5,
    )


def _on_devices(name: str, devices: int) -> Contender:
    return Contender(name, "population.on_devices", 64, arguments={"devices": devices})


def _devices(devices: int) -> Case:
    return Case(
        f"devices = {devices}",
        (_on_devices("jnn", devices),),
        arguments=_POPULATION,
        size=float(devices),
        rounds=5,
        seconds=0.1,
    )


_BOTH = Case(
    "64 members of the digits MLP, by devices",
    (_on_devices("1 device", 1), _on_devices("2 devices", 2)),
    bars=(Bar("two devices faster than one", ("1 device",), "2 devices", at_least=1.3),),
    arguments=_POPULATION,
    rounds=5,
    seconds=0.1,
)

CASES = (
    *(_step("rows", n, rows=n) for n in (16, 64, 256, 1024)),
    *(_step("width", n, width=n) for n in (32, 64, 128, 256, 512)),
    *(_step("depth", n, depth=n) for n in (1, 2, 4, 8, 16)),
    *(_step("members", n, width=32, members=n) for n in (1, 4, 16, 64, 256)),
    *map(_devices, (1, 2)),
    _BOTH,
)
