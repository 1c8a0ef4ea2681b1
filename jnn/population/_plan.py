"""The layout of a population on a machine: devices x chunks x width.

The members of a population are shared out over the devices. On each device a `lax.map` walks over
chunks, and inside a chunk `vmap` trains `width` members at once. A larger width is faster as long
as a step has so little work that most of its time goes into starting operations; it is slower once
the working sets of the members together exceed the cache. So the width is the number of members
whose working set fits a budget per device (`_CACHE`); see `benchmarks` for the measurements.

The plan never lets devices share the batches of a member by itself. Two CPU cores, which a single
network uses in part anyway, gained between 0 (GPT, ViT) and 25 % (LSTM) per step, compiling took
half as long again, and small networks lost. Nor did 3 or 5 members on 2 cores gain (LSTM, LeNet,
MLP, ResNet: 0 to 40 % slower), because the odd member has both cores anyway. Sharing is meant for
devices that are idle otherwise.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jnn._settings import check_integer


class Sizes(NamedTuple):
    """What the planner knows of a member, in bytes.

    Attributes:
        step: Bytes that a step reads and writes: parameters, gradients, optimizer state and
            activations.
        kept: Bytes that stay in memory between epochs.
    """

    step: int
    kept: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """The layout of the members that one call of the compiled program trains.

    Attributes:
        devices: Number of devices that the members are shared out over. On a CPU these are its
            cores, see `jnn.use_cpu_cores`.
        chunks: Number of chunks that each device trains one after another.
        width: Number of members that a chunk trains at once by `vmap`.
        split: Number of devices that share the batches of one member. With split=devices, a single
            large network uses the whole machine. Scores equal those of the undivided batch up to
            rounding. The batch size of the study must be a multiple of `split`, and so must the
            number of devices.
        compiler: How programs for a CPU are compiled: "full", or "quick" for short runs, whose
            programs compile in about two thirds of the time and run up to 1.6 times as long. The
            numbers agree up to rounding.
    """

    devices: int = 1
    chunks: int = 1
    width: int = 1
    split: int = 1
    compiler: str = "full"

    def __post_init__(self):
        for name in ("devices", "chunks", "width", "split"):
            check_integer(name, getattr(self, name))
        if self.compiler not in ("full", "quick"):
            raise ValueError(f"compiler must be 'full' or 'quick', got {self.compiler!r}.")
        if self.devices % self.split:
            raise ValueError(
                f"devices must be a multiple of split={self.split}, got {self.devices}."
            )

    @property
    def size(self) -> int:
        """Number of members per call."""
        return self.devices // self.split * self.chunks * self.width

    def halved(self) -> "Plan | None":
        """Return a plan for about half as many members, or None if there is none.

        The width is halved first, and then the number of chunks.
        """
        if self.width > 1:
            return dataclasses.replace(self, width=self.width // 2)
        if self.chunks > 1:
            return dataclasses.replace(self, chunks=self.chunks // 2)
        return None

    def __str__(self) -> str:
        devices = _counted(self.devices, "device")
        chunks = _counted(self.chunks, "chunk")
        text = f"{devices} x {chunks} x width {self.width}"
        if self.split > 1:
            text += f", each batch split over {self.split}"
        if self.compiler == "quick":
            text += ", compiled quickly"
        return text


def make_plan(
    members: int, sizes: Sizes, devices: Sequence[Any], *, steps: int | None = None
) -> Plan:
    """Choose the layout of a population.

    Args:
        members: Number of members.
        sizes: Sizes of one member.
        devices: The devices to use.
        steps: Number of steps that each member trains. If it is given, a run that is predicted to
            be short is compiled quickly.

    Returns:
        A plan whose chunks and calls are all about equally full.
    """
    count = min(len(devices), members)
    per_device = math.ceil(members / count)
    widest = max(1, min(per_device, _widest(devices[0], sizes.step)))
    width = math.ceil(per_device / math.ceil(per_device / widest))
    chunks = math.ceil(per_device / width)
    budget = memory_of(devices[0], count) * _MEMORY_SHARE
    chunks_in_memory = max(1, int(min(budget / max(1, sizes.kept * width), chunks)))
    calls = math.ceil(chunks / chunks_in_memory)
    compiler = "full"
    if steps is not None and devices[0].platform == "cpu":
        seconds = members * steps * (_STEP_SECONDS + sizes.step / _BYTES_PER_SECOND) / count
        compiler = "quick" if seconds < _SHORT else "full"
    return Plan(count, math.ceil(chunks / calls), width, compiler=compiler)


def use_cpu_cores(count: int | None = None) -> int:
    """Make each CPU core a JAX device, and return the number of devices.

    The members of a study are then spread over the cores. Call it before the first use of JAX.

    Args:
        count: Number of cores to use; by default all cores that this process may run on.

    Raises:
        TypeError: If `count` is no whole number.
        ValueError: If `count` is less than 1, or if JAX has already started with another number of
            CPU devices.
    """
    if count is None:
        count = cores()
    check_integer("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        present = jax.local_device_count("cpu")
        if present != count:
            raise ValueError(
                f"JAX cannot use {count} CPU devices, because it has already started with "
                f"{present}. Call jnn.use_cpu_cores() before the first use of JAX."
            ) from None
    return count


def cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bytes_of(tree: Any) -> int:
    """Return the bytes of all arrays, or shapes, in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def memory_of(device: Any, sharing: int = 1) -> float:
    """Return the bytes that a device has left.

    On a CPU this is the memory that the host can still give, with what it would take back from its
    file cache, divided by the number of devices that share it.
    """
    import psutil

    stats = None if device.platform == "cpu" else device.memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return psutil.virtual_memory().available / sharing


_CACHE = {"cpu": 3 << 19}  # bytes per device for the working set of a chunk
_WIDEST = {"cpu": 64, "gpu": 4096, "tpu": 4096}  # members
_MEMORY_SHARE = 0.5  # of the memory that is left; the rest is for temporary arrays
_SHORT = 0.5  # predicted seconds of training up to which compiling quickly pays on a CPU
_STEP_SECONDS = 1e-5  # of a member's step on a CPU: that of a small network is mostly overhead
_BYTES_PER_SECOND = 8e9  # that a step touches; digits and LeNet come out within a factor of 2


def _widest(device: Any, working_set: int) -> int:
    """Return how many members a chunk on this device may have."""
    most = _WIDEST.get(device.platform, 4096)
    if device.platform not in _CACHE:
        return most
    return min(most, _CACHE[device.platform] // max(1, working_set))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
