"""What is measured: one file per suite, a few lines per case, task or counter."""

from benchmarks.case import Entry
from benchmarks.suites import (
    core,
    counters,
    gpu,
    inference,
    layers,
    overhead,
    population,
    reproductions,
    scaling,
    step,
    study,
)

SUITES: dict[str, tuple[Entry, ...]] = {
    "core": core.CASES,
    "overhead": overhead.TASKS,
    "layers": layers.TASKS,
    "step": step.TASKS,
    "population": population.CASES,
    "study": study.CASES,
    "reproductions": reproductions.CASES,
    "scaling": scaling.TASKS,
    "inference": inference.TASKS,
    "counters": counters.COUNTERS,
    "gpu": gpu.ENTRIES,
}
