"""Suite `counters`: counts of the step of every network and of a small study and game."""

from benchmarks.case import Case, Counter
from benchmarks.suites import step

_FEWER_LAYERS = {  # compile soon and show the same
    "resnet": {"depth": 8},
    "gpt": {"depth": 2},
    "vit": {"depth": 2},
}


def _count_step(case: Case) -> Counter:
    network = case.arguments["network"]
    arguments = {**case.arguments, **_FEWER_LAYERS.get(network, {})}
    return Counter(f"step of {network}", "step", arguments)


COUNTERS = (
    *map(_count_step, step.CASES),
    Counter("memory of a residual block", "block", most={"peak_over_lax": 1.5}),
    Counter("study of 8 members", "study", most={"compilations_again": 0}),
    Counter(
        "game of 4 pairs whose discriminator moves three times a step",
        "game",
        most={"compilations_later": 0, "compilations_again": 0},
    ),
)
