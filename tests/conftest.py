"""Settings for all tests: four CPU devices, float32 products, quick compiling, shapes checked."""

import gc
import importlib.metadata
import importlib.util
import os
import pathlib

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")
cache = pathlib.Path(
    os.environ.get("JAX_COMPILATION_CACHE_DIR", pathlib.Path(__file__).parents[1] / ".jax_cache")
)
# The cache is not atomic, so each process has its own.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache / os.environ.get("PYTEST_XDIST_WORKER", ""))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # programs name no lines of code
os.environ.setdefault("JNN_OFFLINE", "1")  # an absent data set is no reason to ask the network
# Compiles in a third of the time and computes the same up to rounding; `jnn.run` keeps the level.
flags = "--xla_backend_optimization_level=0"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # XLA refuses flags unknown to it
    flags += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("XLA_FLAGS", flags)
gc.set_threshold(200_000, 50, 100)  # the caches of JAX are much to look through, and stay anyway

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


@pytest.fixture
def any_types(monkeypatch):
    """Leave out the tests' own checks of types, which users do not have."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def torchvision():
    """Torchvision; one of another build than PyTorch's has networks all the same."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("PIL", reason="needs torchvision")
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        return pytest.importorskip("torchvision", reason="needs torchvision")
    except RuntimeError:  # its operators, which these networks do not need, are not there
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float most) -> Tensor")
        return pytest.importorskip("torchvision")


@pytest.fixture(scope="session")
def transformers(request):
    """Transformers, which imports torchvision if it is there."""
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision"):
        request.getfixturevalue("torchvision")
    return pytest.importorskip("transformers", reason="needs transformers")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Share the whole suite out over processes if xdist is there; named tests stay in one."""
    is_whole = (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and "PYTEST_XDIST_WORKER" not in os.environ
    )
    if is_whole and config.pluginmanager.has_plugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = min(
            4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        )
        config.option.dist = "worksteal"
