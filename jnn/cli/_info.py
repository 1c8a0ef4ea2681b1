"""The command `jnn info`."""

import importlib.metadata
import platform

import jax

from jnn._version import __version__
from jnn.cli import _setup
from jnn.data import data_folder

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def print_info() -> None:
    """Print what a report of a problem should hold."""
    _setup.configure_jax()
    cache = _setup.cache_folder()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    devices = ", ".join(map(str, jax.devices()))
    print(f"jnn {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(versions)
    print(f"devices: {devices}")
    print(f"compiled programs: {cache}" + ("" if cache.is_dir() else " (cannot be created)"))
    print(f"data files: {data_folder()}")
