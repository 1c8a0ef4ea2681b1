"""What a number depends on: commit, versions, processor, load."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_CODE = (
    "jnn",
    "benchmarks",
    "examples/reproductions",
    ":!benchmarks/results",
    ":!examples/reproductions/results",
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "keras", "equinox", "scikit-learn")


def fingerprint() -> dict[str, Any]:
    """Everything about this machine and checkout that a record keeps."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no", "--", *_CODE)),
        "versions": {"python": platform.python_version(), **_versions()},
        "cpu": cpu(),
        "system": f"{platform.system()} {platform.release()}",
    }


def drivers() -> dict[str, str]:
    """Versions of an accelerator's driver, as its own tool tells them, and of the packages that JAX reaches it by."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    plugins = ("jax-cuda", "nvidia-", "libtpu")
    found = {
        d.name: d.version for d in metadata.distributions() if (d.name or "").startswith(plugins)
    }
    if shutil.which(command[0]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found["driver"] = done.stdout.split("\n")[0]
    return dict(sorted(found.items()))


def cpu() -> dict[str, Any]:
    """Model, cores and instruction sets of the processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fields = _cpu_fields()
    vector = [
        flag
        for flag in fields.get("flags", "").split()
        if flag.startswith(("avx", "fma", "amx", "sse4"))
    ]
    return {
        "model": fields.get("model name", platform.processor()),
        "cores": cores,
        "flags": sorted(vector),
    }


def load() -> list[float]:
    """Load averages over 1, 5 and 15 minutes; empty where the system has none."""
    return [round(a, 2) for a in os.getloadavg()] if hasattr(os, "getloadavg") else []


def _cpu_fields() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return {}
    first = info.read_text().split("\n\n", 1)[0]
    return {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }


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
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
