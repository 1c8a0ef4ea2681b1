"""Programs of a round, compiled beside each other while the first ones train."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from jnn.engine import debugging
from jnn.population import cores
from jnn.search._cohort import Cohort


@contextlib.contextmanager
def compiling(cohorts: Sequence[Cohort]) -> Iterator[None]:
    """Compile the programs of cohorts in threads, in their order; each waits for its own only.

    What cannot be compiled is tried again, and told, where its cohort advances. The numbers are
    those that the cohorts would have without threads.
    """
    waiting = [cohort for cohort in cohorts if not cohort.look.epoch and not cohort.is_complete]
    if len(waiting) < 2:
        yield
        return
    settings = _settings()
    pool = ThreadPoolExecutor(max(2, cores()), thread_name_prefix="compiling")
    try:
        for cohort in waiting:
            cohort.compiled = pool.submit(_compile, cohort, settings)
        yield
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _compile(cohort: Cohort, settings: tuple) -> None:
    if _settings() == settings:  # a context manager of JAX holds in its own thread only
        with contextlib.suppress(Exception):
            cohort.open().compile()


def _settings() -> tuple:
    """Return the settings of JAX that a program depends on."""
    config: Any = jax.config
    precision = config.jax_default_matmul_precision
    return precision, config.jax_enable_x64, config.jax_default_device, *debugging()
