"""What the device can do at best: `python -m benchmarks.ceilings` prints one JSON object.

A large float32 matmul in GFLOP/s (on a GPU or TPU also in bfloat16) and a large copy in GB/s (read plus written), on
all cores, medians of ten calls. An accelerator gets larger ones, beside which dispatching a call is nothing.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contender import Contender, environment, on


def ceilings(device: str = "cpu") -> dict[str, float]:
    """Measures in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ceilings"],
        cwd=Path(__file__).parents[1], env=environment(Contender("ceilings", "none", environment=on(device))),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def _measure() -> dict[str, float]:
    import jax
    import jax.numpy as jnp

    side, megabytes = (2048, 256) if jax.default_backend() == "cpu" else (8192, 4096)
    a = jax.random.normal(jax.random.key(0), (side, side))
    b = jax.random.normal(jax.random.key(1), (megabytes * 2**18,))
    matmul = jax.jit(jnp.dot)
    negative = jax.jit(
        jnp.negative, donate_argnums=0
    )  # in place: new pages would be timed otherwise

    def copy() -> None:
        nonlocal b
        b = negative(b).block_until_ready()

    narrow = {}
    if jax.default_backend() != "cpu":  # where bfloat16 has units of its own
        half = a.astype(jnp.bfloat16)
        seconds = _seconds(lambda: matmul(half, half).block_until_ready())
        narrow = {"matmul_bfloat16_gflops": 2 * side**3 / seconds / 1e9}
    return narrow | {
        "matmul_gflops": 2 * side**3 / _seconds(lambda: matmul(a, a).block_until_ready()) / 1e9,
        "copy_gbps": 2 * b.nbytes / _seconds(copy) / 1e9,
    }


def _seconds(call: Callable[[], object], n: int = 10) -> float:
    """Median of `n` calls after two that warm up."""
    times = []
    for _ in range(n + 2):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


if __name__ == "__main__":
    print(json.dumps({name: round(value, 2) for name, value in _measure().items()}))
