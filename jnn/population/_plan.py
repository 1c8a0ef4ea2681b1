"""How a population is laid out on the machine: devices x chunks x width.

The members of a population are shared out over the devices; on each device a `lax.map` walks over chunks, and inside a
chunk `vmap` trains `width` members at once. Width pays while the work per step is so small that the time goes into
starting operations; it costs once the members' working sets together no longer fit the cache. So the width is the
number of members whose working set fits a budget per device (`_CACHE`), see `benchmarks` for the measurements.

That devices share a member's batches is never chosen here: two CPU cores, which a single network uses in part anyway,
gained 0 (GPT, ViT) to 25 % (LSTM) a step by it, and compiling took half as long again; small networks lose. Nor did 3
or 5 members on 2 cores gain by it (LSTM, LeNet, MLP, ResNet: 0 to 40 % slower): the odd one has both cores as it is. It
is meant for devices that lie idle otherwise.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax


class Sizes(NamedTuple):
    """What the planner knows of a member, in bytes.

    Attributes:
        step: What it touches in a step: parameters, gradients, optimizer state, activations.
        kept: What it keeps between epochs.
    """

    step: int
    kept: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """The layout of the `size` members that are trained by one call of the compiled program.

    Attributes:
        devices: Devices (on a CPU: cores, see `jnn.use_cpu_cores`) that the members are shared out over.
        chunks: How many chunks each device trains one after the other.
        width: Members that a chunk trains at once by `vmap`.
        split: How many of the devices share the batches of a member: with all of them a single large network uses the
            whole machine. The numbers are those of the undivided batch up to rounding; the study's batch size must be a
            multiple.
    """

    devices: int = 1
    chunks: int = 1
    width: int = 1
    split: int = 1

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"wanted {field.name} of at least 1, but got {value!r}; a plan counts from 1"
                )
        if self.devices % self.split:
            raise ValueError(
                f"wanted devices in groups of split={self.split}, but got {self.devices}; choose a multiple of it"
            )

    @property
    def size(self) -> int:
        """Members per call."""
        return self.devices // self.split * self.chunks * self.width

    def halved(self) -> "Plan | None":
        """About half the members at once: narrower first, then fewer chunks; None if that is impossible."""
        if self.width > 1:
            return dataclasses.replace(self, width=self.width // 2)
        if self.chunks > 1:
            return dataclasses.replace(self, chunks=self.chunks // 2)
        return None

    def __str__(self) -> str:
        devices = f"{self.devices} device{'s' * (self.devices > 1)}"
        shared = f", each batch split over {self.split}" if self.split > 1 else ""
        return (
            f"{devices} x {self.chunks} chunk{'s' * (self.chunks > 1)} x width {self.width}{shared}"
        )


def make_plan(members: int, sizes: Sizes, devices: Sequence[Any]) -> Plan:
    """Chooses the layout for a population.

    Args:
        members: Number of members.
        sizes: Of one member.
        devices: The devices to use.
    """
    count = min(len(devices), members)
    per_device = -(-members // count)
    width = max(1, min(per_device, _widest(devices[0], sizes.step)))
    width = -(-per_device // -(-per_device // width))  # equally full chunks
    chunks = -(-per_device // width)
    most = memory_of(devices[0], count) * _MEMORY_SHARE / max(1, sizes.kept * width)
    fitting = max(1, int(min(most, chunks)))
    calls = -(-chunks // fitting)
    return Plan(count, -(-chunks // calls), width)


def use_cpu_cores(count: int | None = None) -> int:
    """Makes each CPU core a JAX device, so that the members of a study are spread over the cores; returns the number.

    Call it before anything else has used JAX. With `count=None` all cores are used that this process may run on.

    Raises:
        ValueError: If JAX has already started with another number of CPU devices.
    """
    wanted = count or cores()
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError:
        if (found := jax.local_device_count("cpu")) != wanted:
            raise ValueError(
                f"wanted {wanted} CPU devices, but JAX has already started with {found}; "
                "call jnn.use_cpu_cores() before the first use of JAX"
            ) from None
    return wanted


def bytes_of(tree: Any) -> int:
    """Bytes of all arrays (or shapes) in a tree."""
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(tree))


def memory_of(device: Any, sharing: int = 1) -> float:
    """Bytes that a device has left; on a CPU its part where so many devices share the host's memory."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return _host_memory() / sharing


_CACHE = {"cpu": 3 << 19}  # bytes of working set per device that a chunk may have
_WIDEST = {"cpu": 64, "gpu": 4096, "tpu": 4096}
_MEMORY_SHARE = 0.5


def _widest(device: Any, working_set: int) -> int:
    most = _WIDEST.get(device.platform, 4096)
    if device.platform not in _CACHE:
        return most
    return min(most, _CACHE[device.platform] // max(1, working_set))


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _host_memory() -> float:
    """Bytes that the host can still give, with what it would take back from its file cache; all where it tells no more.

    The count of free pages will not do: a host that has read many files has few of them, and memory enough.
    """
    table = pathlib.Path("/proc/meminfo")
    if table.exists():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return math.inf
