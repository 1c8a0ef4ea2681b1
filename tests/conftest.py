"""Settings for all tests: four CPU devices, float32 products, quick compiling kept between runs, shapes checked."""

import os
import pathlib

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")
cache = pathlib.Path(
    os.environ.get("JAX_COMPILATION_CACHE_DIR", pathlib.Path(__file__).parents[1] / ".jax_cache")
)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    cache / os.environ.get("PYTEST_XDIST_WORKER", "")
)  # not atomic
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault(
    "JNN_OFFLINE", "1"
)  # a data set that is absent is no reason to ask the network
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=1"
)  # compiles sooner, computes the same

import jaxtyping  # noqa: E402
import pytest  # noqa: E402

FLOOR_0 = [
    "jnn._targets",
    "jnn.augment",
    "jnn.initializers",
    "jnn.layers",
    "jnn.losses",
    "jnn.metrics",
]
with jaxtyping.install_import_hook(FLOOR_0, "beartype.beartype"):
    import jnn  # noqa: F401  (what is imported later stays checked)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Share the whole suite out over processes, if pytest-xdist is there; what is named on the command line is not."""
    is_whole = (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and "PYTEST_XDIST_WORKER" not in os.environ
    )
    if is_whole and config.pluginmanager.has_plugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = min(
            4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        )
        config.option.dist = "worksteal"
