"""Suite `counters`: the exact numbers that guard the project, of the step of every network and of a small study."""

from benchmarks.case import Counter
from benchmarks.suites import step

_FEWER_LAYERS = {
    "resnet": {"depth": 8},
    "gpt": {"depth": 2},
    "vit": {"depth": 2},
}  # compile soon and show the same

COUNTERS = (
    *(
        Counter(
            f"step of {task.function}", "step",
            {"network": task.function, **task.arguments, **_FEWER_LAYERS.get(task.function, {})},
        )
        for task in step.TASKS
    ),
    Counter("memory of a residual block", "block", most={"peak_over_lax": 1.5}),
    Counter("study of 8 members", "study", most={"compilations_again": 0}),
)  # fmt: skip
