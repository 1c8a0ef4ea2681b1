"""Who is measured: a contender, and the environment that its process gets."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LEAKS = (
    "JAX_NUM_CPU_DEVICES",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_X64",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
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
    """One library, or one variant of it, that does the work of a case.

    Attributes:
        name: Name in tables and records.
        peer: Function in `benchmarks/peers` that does the work, written `FILE.FUNCTION`.
        members: Number of members that one call trains or serves. A contender that trains its
            members one after the other may train fewer.
        calls: Number of jobs in one steady round, so that short jobs are timed over a longer
            stretch. For a case that times single calls the number is chosen by the clock.
        processes: Number of processes that share the members of a job.
        environment: Variables added to the environment of the process.
        needs: Module that the function imports. Without it the contender is left out.
        arguments: Arguments of the function that differ from those of the case.
    """

    name: str
    peer: str
    members: int = 1
    calls: int = 1
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: str = "jax"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def is_installed(self) -> bool:
        """Return whether the module that the contender needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def threads(n: int) -> dict[str, str]:
    """Return the environment that gives PyTorch and BLAS `n` threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n))


def on_device(device: str) -> dict[str, str]:
    """Return the environment that places the work of JAX and PyTorch on a device."""
    return {"JAX_PLATFORMS": DEVICES[device], "BENCHMARKS_DEVICE": DEVICES[device]}


def settings(contender: Contender) -> dict[str, str]:
    """Return the variables that are set for a contender: those of all, then its own."""
    return {**_COMMON, **contender.environment}


def environment(contender: Contender) -> dict[str, str]:
    """Return the whole environment of a contender's process.

    It is the present environment without the variables that would leak into the measurement, and
    with the contender's settings.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _LEAKS}
    return {**inherited, **settings(contender)}
