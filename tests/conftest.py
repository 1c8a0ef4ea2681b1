"""Settings for all tests: four CPU devices, float32 products, quick compiling kept between runs, shapes checked."""

import os
import pathlib

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JNN_OFFLINE", "1")  # a data set that is absent is no reason to ask the network
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")  # compiles sooner, computes the same

import jaxtyping

FLOOR_0 = ["jnn.augment", "jnn.initializers", "jnn.layers", "jnn.losses", "jnn.metrics"]
with jaxtyping.install_import_hook(FLOOR_0, "beartype.beartype"):
    import jnn  # noqa: F401  (what is imported later stays checked)
