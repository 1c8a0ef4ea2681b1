"""Whether bars hold and whether a timing counts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.case import COPY, MATMUL, Bar, Case, Task, matmul_ceiling
from benchmarks.kernel import Spread, paired_difference, paired_ratio, spread
from benchmarks.record import Sample, Timing


class Judged(NamedTuple):
    """A bar with what was measured.

    Attributes:
        bar: What is wanted.
        fastest: The contender of `bar.over` that counts, the one with the smallest ratio.
        ratio: Paired over the rounds; of none where one of the two sides was not measured.
        counts: Whether the quality of both timings holds.
    """

    bar: Bar
    fastest: str
    ratio: Spread
    counts: bool

    @property
    def measured(self) -> bool:
        """Whether both sides were timed."""
        return self.ratio.n > 0

    @property
    def holds(self) -> bool:
        """Whether the bar is passed by timings that count."""
        return self.counts and self.bar.holds(self.ratio.median)


def judge_case(case: Case, found: Mapping[str, Timing], about: Mapping[str, Any]) -> list[Judged]:
    """Every bar of a case; one is measured if all its contenders ran."""
    if not found:
        return list(map(_unmeasured, case.bars))
    wrong = [*too_low(case, found), *apart(case, found)]
    floors = _floors(case, about["step_flops"], about["step_bytes"], about)
    values = {of: _values(of, found, about) | floors for of in {bar.of for bar in case.bars}}
    return [
        _judge(bar, values[bar.of], wrong)
        if {*bar.over, bar.under} <= values[bar.of].keys()
        else _unmeasured(bar)
        for bar in case.bars
    ]


def judge_task(task: Task, found: Mapping[str, Sample], about: Mapping[str, Any]) -> list[Judged]:
    """Every bar of a task; one is measured if our contender and at least one peer ran."""
    if not found:
        return list(map(_unmeasured, task.bars))
    wrong = not_counting(task, found)
    values = {name: sample.steady for name, sample in found.items()} | _floors(
        task, task.flops, task.bytes, about
    )
    return [
        _judge(bar, values, wrong)
        if bar.under in found and set(bar.over) & values.keys()
        else _unmeasured(bar)
        for bar in task.bars
    ]


def too_low(case: Case, found: Mapping[str, Timing]) -> list[str]:
    """Contenders whose mean accuracy is too low for their timing to count."""
    return [t.contender for t in found.values() if t.accuracy.mean < case.least_accuracy]


def apart(case: Case, found: Mapping[str, Timing]) -> list[str]:
    """Contenders whose mean accuracy is not that of the first, where all train the same."""
    first = next(iter(found.values()))
    return [
        t.contender
        for t in found.values()
        if case.equal_accuracy and not t.accuracy.agrees(first.accuracy)
    ]


def not_counting(task: Task, found: Mapping[str, Sample]) -> list[str]:
    """Contenders whose score is too high, or differs from the reference's by more than the task allows."""
    first = next(iter(found.values())).score

    def is_wrong(sample: Sample) -> bool:
        apart = task.agree is not None and not abs(sample.score - first) <= task.agree * abs(first)
        return apart or (task.most is not None and not sample.score <= task.most)

    return [s.contender for s in found.values() if is_wrong(s)]


def jobs(timing: Timing, about: Mapping[str, Any], *, cold: bool = False) -> list[float]:
    """Seconds of the whole job with compilation; `cold`: with imports and preparation."""
    seconds = timing.job_seconds(about["members"] * about["steps"], spread(timing.steady).median)
    return (
        [a + b for a, b in zip(seconds, timing.prepare_seconds, strict=True)] if cold else seconds
    )


def _unmeasured(bar: Bar) -> Judged:
    return Judged(bar, "nobody", Spread(math.nan, math.nan, math.nan, 0), False)


def _judge(bar: Bar, values: Mapping[str, Sequence[float]], wrong: Sequence[str]) -> Judged:
    under, pair = values[bar.under], paired_difference if bar.of == "difference" else paired_ratio
    over = {
        name: (list(values[name]) * len(under))[: len(under)] for name in bar.over if name in values
    }
    ratios = {name: pair(each, under) for name, each in over.items()}
    fastest = min(ratios, key=lambda name: ratios[name].median)
    return Judged(bar, fastest, ratios[fastest], not {fastest, bar.under} & set(wrong))


def _floors(
    entry: Case | Task, flops: float, size: float, about: Mapping[str, Any]
) -> dict[str, list[float]]:
    """Microseconds that one member's step or call takes at each ceiling of the device."""
    return {
        MATMUL: [flops / about[matmul_ceiling(entry)] / 1e3],
        COPY: [size / about["copy_gbps"] / 1e3],
    }


def _values(
    of: str, found: Mapping[str, Timing], about: Mapping[str, Any]
) -> dict[str, list[float]]:
    if of == "step":
        return {name: t.steady for name, t in found.items()}
    return {name: jobs(t, about, cold=of == "cold") for name, t in found.items()}
