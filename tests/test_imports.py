"""What `import jnn` costs. That the rooms import only downwards is kept by import-linter, see pyproject.toml."""

import subprocess
import sys

import pytest


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_jnn_starts_no_backend():
    """A backend that runs has taken its devices for good, and settings that come later have no effect."""
    code = "import jnn, jnn.data, jnn.preprocess, jax._src.xla_bridge as bridge; print(sorted(bridge._backends))"
    assert run_python(code).strip() == "[]"


def test_importing_jnn_imports_no_heavy_package():
    """These are imported inside the functions that need them."""
    heavy = {"sklearn", "pandas", "xarray", "matplotlib", "torch", "keras", "tyro", "scipy.stats"}
    code = "import sys, jax, flax, optax; before = set(sys.modules); import jnn; print(*set(sys.modules) - before)"
    assert not heavy & set(run_python(code).split())


@pytest.mark.slow
def test_importing_jnn_takes_little_more_than_what_it_stands_on():
    """At most 15 % over jax, flax and optax: the best of seven starts each, taken in turns."""
    seconds = (
        "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    )
    times = [
        [float(run_python(seconds.format(what))) for what in ("jax, flax, optax", "jnn")]
        for _ in range(7)
    ]
    base, ours = (min(column) for column in zip(*times, strict=True))
    assert ours <= 1.15 * base, f"import jnn takes {ours:.2f} s, jax, flax and optax {base:.2f} s"
