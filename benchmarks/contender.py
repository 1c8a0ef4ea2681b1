"""A contender and the handle on the process that trains its jobs."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.channel import Channel
from benchmarks.kernel import Round
from benchmarks.workloads import Budget

_LEAKS = (
    *(
        "JAX_NUM_CPU_DEVICES",
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_ENABLE_X64",
        "XLA_PYTHON_CLIENT_MEM_FRACTION",
    ),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)
_COMMON = {
    "XLA_FLAGS": "",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "JAX_DEFAULT_MATMUL_PRECISION": "float32",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # contenders share a GPU's memory
}
DEVICES = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}  # as `--device` and as JAX and PyTorch say it


@dataclass(frozen=True)
class Contender:
    """Who runs a case and how.

    Attributes:
        name: As the table prints it.
        peer: File in `benchmarks/peers`.
        members: Trained by one call of the job; a peer that trains one after the other may train fewer.
        calls: Of the job in one steady round, so that short jobs are timed over a longer stretch.
        environment: Added to the process's environment.
        needs: Module that the peer imports; without it the contender is left out.
        arguments: Of a task, where this contender's differ.
    """

    name: str
    peer: str
    members: int = 32
    calls: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: str = "jax"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def is_installed(self) -> bool:
        """Whether the module that it needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def threads(n: int) -> dict[str, str]:
    """Environment that gives PyTorch and BLAS `n` threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n))


def on(device: str) -> dict[str, str]:
    """Environment that puts JAX's and PyTorch's work on a device."""
    return {"JAX_PLATFORMS": DEVICES[device], "BENCHMARKS_DEVICE": DEVICES[device]}


def settings(contender: Contender) -> dict[str, str]:
    """What we set in the contender's environment: what all share, then its own."""
    return {**_COMMON, **contender.environment}


def environment(contender: Contender) -> dict[str, str]:
    """The contender's environment: ours without what would leak into it, then its settings."""
    ours = {name: value for name, value in os.environ.items() if name not in _LEAKS}
    return {**ours, **settings(contender)}


class Worker:
    """A contender's running process, prepared for one job. Use it in a `with` block: it ends the process."""

    def __init__(self, contender: Contender, workload: str, budget: Budget, steps: int):
        """Starts the process and waits until it is prepared. `steps` are those of one member."""
        self.contender, self.steps, self.next_seed = contender, steps, 0
        arguments = [contender.peer, workload, budget.members, budget.epochs, budget.batch_size]
        self._channel = Channel(
            contender.name, "benchmarks.worker", arguments, environment(contender)
        )
        self.prepare_seconds: float = self._channel.answer()["prepare_seconds"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.quit()

    def play(self, calls: int | None = None) -> Round:
        """Runs one round on seeds that no round of this worker has seen; `calls` defaults to the contender's."""
        calls = self.contender.calls if calls is None else calls
        members = self.contender.members
        seeds = [self.next_seed + i * members for i in range(calls)]
        self.next_seed += calls * members
        answer = self._channel.ask({"do": "round", "seeds": seeds})
        return Round(answer["seconds"], calls * members * self.steps, tuple(answer["scores"]))

    def quit(self) -> None:
        """Ends the process; a second call does nothing."""
        self._channel.quit()
