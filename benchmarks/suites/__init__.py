"""What is measured: one file for each suite, a few lines for each case or counter."""

from benchmarks.case import Entry
from benchmarks.suites import (
    core,
    counters,
    gan,
    gpu,
    inference,
    layers,
    overhead,
    population,
    reproductions,
    scaling,
    search,
    step,
    study,
    transfer,
)

SUITES: dict[str, tuple[Entry, ...]] = {
    "core": core.CASES,
    "overhead": overhead.CASES,
    "layers": layers.CASES,
    "step": step.CASES,
    "population": population.CASES,
    "study": study.CASES,
    "search": search.CASES,
    "transfer": transfer.CASES,
    "gan": gan.CASES,
    "reproductions": reproductions.CASES,
    "scaling": scaling.CASES,
    "inference": inference.CASES,
    "counters": counters.COUNTERS,
    "gpu": gpu.CASES,
}
