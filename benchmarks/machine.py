"""What a number depends on: commit, versions, processor, load, and the ceilings of the device.

`python -m benchmarks.machine` prints the ceilings as one JSON object: a large float32 matrix
product in GFLOP/s (on an accelerator also one in bfloat16) and a large copy in GB/s, read plus
written, on all cores, as medians of ten calls. An accelerator gets larger ones, beside which the
dispatch of a call is nothing.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.contender import Contender, environment, on_device
from benchmarks.process import ROOT

_CODE = (
    "jnn",
    "benchmarks",
    "examples/reproductions",
    ":!benchmarks/results",
    ":!examples/reproductions/results",
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "keras", "equinox", "scikit-learn")


def fingerprint() -> dict[str, Any]:
    """Return everything about this machine and checkout that a record keeps."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no", "--", *_CODE)),
        "versions": {"python": platform.python_version(), **_versions()},
        "cpu": cpu(),
        "system": f"{platform.system()} {platform.release()}",
    }


def accelerator(device: str) -> dict[str, Any]:
    """Return the name of an accelerator and the versions of what JAX reaches it by."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    plugins = ("jax-cuda", "nvidia-", "libtpu")
    drivers = {
        d.name: d.version for d in metadata.distributions() if (d.name or "").startswith(plugins)
    }
    if shutil.which(command[0]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        drivers["driver"] = done.stdout.split("\n")[0]
    name = _run(device, "-c", "import jax; print(jax.devices()[0].device_kind)")
    return {"accelerator": name, "drivers": dict(sorted(drivers.items()))}


def has_device(device: str) -> bool:
    """Return whether JAX finds such a device here, asked in a process of its own."""
    return _run(device, "-c", "import jax; print(len(jax.devices()))") != ""


def ceilings(device: str = "cpu") -> dict[str, float]:
    """Measure the ceilings of a device in a process of its own."""
    text = _run(device, "-m", "benchmarks.machine")
    if not text:
        raise RuntimeError(
            f"The ceilings of the {device} could not be measured. "
            "Run `python -m benchmarks.machine` to see why."
        )
    return json.loads(text)


def cpu() -> dict[str, Any]:
    """Return model, cores and instruction sets of the processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fields = _cpu_fields()
    prefixes = ("avx", "fma", "amx", "sse4")
    flags = [flag for flag in fields.get("flags", "").split() if flag.startswith(prefixes)]
    return {
        "model": fields.get("model name", platform.processor()),
        "cores": cores,
        "flags": sorted(flags),
    }


def load() -> list[float]:
    """Return load averages over 1, 5 and 15 minutes; none where the system has none."""
    return [round(a, 2) for a in os.getloadavg()] if hasattr(os, "getloadavg") else []


def _run(device: str, *arguments: str) -> str:
    """Return what a Python process on the device prints, or nothing where it fails."""
    contender = Contender("device", "none", environment=on_device(device))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(contender),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_fields() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return {}
    first = info.read_text().split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _measure_ceilings() -> dict[str, float]:
    import jax
    import jax.numpy as jnp

    is_cpu = jax.default_backend() == "cpu"
    side, megabytes = (2048, 256) if is_cpu else (8192, 4096)
    matmul = jax.jit(jnp.dot)
    # In place, since otherwise the making of new pages would be timed.
    negative = jax.jit(jnp.negative, donate_argnums=0)
    a = jax.random.normal(jax.random.key(0), (side, side))
    b = jax.random.normal(jax.random.key(1), (megabytes * 2**18,))

    def copy() -> None:
        nonlocal b
        b = negative(b).block_until_ready()

    def gflops(a: jax.Array) -> float:
        seconds = _median_seconds(lambda: matmul(a, a).block_until_ready())
        return 2 * side**3 / seconds / 1e9

    found = {"matmul_gflops": gflops(a), "copy_gbps": 2 * b.nbytes / _median_seconds(copy) / 1e9}
    if not is_cpu:  # where bfloat16 has units of its own
        found["matmul_bfloat16_gflops"] = gflops(a.astype(jnp.bfloat16))
    return found


def _median_seconds(call: Callable[[], object], n: int = 10) -> float:
    """Return the median of `n` calls after two that warm up."""
    times = []
    for _ in range(n + 2):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


if __name__ == "__main__":
    print(json.dumps({name: round(value, 2) for name, value in _measure_ceilings().items()}))
