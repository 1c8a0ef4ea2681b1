"""Suite `counters`: the exact numbers that guard the project, of the step of every network and of a small study."""

from benchmarks.case import Counter
from benchmarks.suites import step

COUNTERS = (
    *(Counter(task.name, "step", {"network": task.function, **task.arguments}) for task in step.TASKS),
    Counter("memory of a residual block", "block", most={"peak_over_lax": 1.5}),
    Counter("study of 8 members", "study", most={"compilations_again": 0}),
)
