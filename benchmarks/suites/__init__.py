"""What is measured: one file per suite, a few lines per case, task or counter."""

from benchmarks.case import Entry
from benchmarks.suites import core, counters, layers, step

SUITES: dict[str, tuple[Entry, ...]] = {
    "core": core.CASES,
    "counters": counters.COUNTERS,
    "layers": layers.TASKS,
    "step": step.TASKS,
}
