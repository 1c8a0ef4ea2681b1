"""Whether bars hold and whether a timing counts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.case import COPY, MATMUL, Bar, Case
from benchmarks.record import Timing
from benchmarks.rounds import Spread, paired_difference, paired_ratio, spread


class Judged(NamedTuple):
    """A bar with what was measured.

    Attributes:
        bar: The bar.
        fastest: The contender of `bar.over` that counts, which is the one with the smallest ratio.
        ratio: Ratio paired over the rounds; of no rounds where one of the sides was not measured.
        counts: Whether the quality of both timings holds.
    """

    bar: Bar
    fastest: str
    ratio: Spread
    counts: bool

    @property
    def is_measured(self) -> bool:
        """Whether both sides were timed."""
        return self.ratio.n > 0

    @property
    def holds(self) -> bool:
        """Whether the bar is passed by timings that count."""
        return self.counts and self.bar.holds(self.ratio.median)


def judge(case: Case, timings: Mapping[str, Timing], about: Mapping[str, Any]) -> list[Judged]:
    """Judge every bar of a case.

    A bar is measured if `under` ran and at least one of `over`; of a job, where the best peer has
    to be among them, all of `over`.
    """
    if not timings:
        return list(map(_unmeasured, case.bars))
    wrong = [*out_of_range(case, timings), *disagreeing(case, timings)]
    floors = _floors(case, about)
    judged = []
    for bar in case.bars:
        values = _values(bar.of, timings, about) | floors
        over = set(bar.over) & values.keys()
        if case.job and len(over) < len(bar.over):
            over = set()
        if over and bar.under in timings:
            judged.append(_judge(bar, values, wrong))
        else:
            judged.append(_unmeasured(bar))
    return judged


def out_of_range(case: Case, timings: Mapping[str, Timing]) -> list[str]:
    """Return the contenders whose mean score is too low or too high for their timing to count."""
    quality = case.quality
    return [
        t.contender for t in timings.values() if not quality.least <= t.score.mean <= quality.most
    ]


def disagreeing(case: Case, timings: Mapping[str, Timing]) -> list[str]:
    """Return the contenders whose score is not that of the first, where all compute the same."""
    quality = case.quality
    if quality.absolute is None and quality.relative is None:
        return []
    first = next(iter(timings.values())).score
    within = quality.absolute
    if within is None:
        within = quality.relative * abs(first.mean)
    return [t.contender for t in timings.values() if not t.score.agrees(first, within)]


def job_seconds(timing: Timing, about: Mapping[str, Any], *, cold: bool = False) -> list[float]:
    """Return the seconds of the whole job with compilation.

    With `cold` they contain imports and preparation too.
    """
    member_steps = about["members"] * about["steps"]
    seconds = timing.job_seconds(member_steps, spread(timing.steady).median)
    if not cold:
        return seconds
    return [a + b for a, b in zip(seconds, timing.prepare_seconds, strict=True)]


def cost(case: Case, about: Mapping[str, Any]) -> tuple[float, float]:
    """Return operations and bytes of one member's step or call.

    Those of a job are in its record, because they depend on its rows.
    """
    if case.job:
        return about["flops"], about["bytes"]
    return case.flops, case.bytes


def _unmeasured(bar: Bar) -> Judged:
    return Judged(bar, "nobody", Spread(math.nan, math.nan, math.nan, 0), False)


def _judge(bar: Bar, values: Mapping[str, Sequence[float]], wrong: Sequence[str]) -> Judged:
    pair = paired_difference if bar.of == "difference" else paired_ratio
    under = values[bar.under]
    ratios = {}
    for name in bar.over:
        if name in values:
            over = (list(values[name]) * len(under))[: len(under)]  # a ceiling is one value
            ratios[name] = pair(over, under)
    fastest = min(ratios, key=lambda name: ratios[name].median)
    return Judged(bar, fastest, ratios[fastest], not {fastest, bar.under} & set(wrong))


def _floors(case: Case, about: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the microseconds that one member's step or call takes at each ceiling."""
    flops, size = cost(case, about)
    return {
        MATMUL: [flops / about[case.matmul_ceiling] / 1e3],
        COPY: [size / about["copy_gbps"] / 1e3],
    }


def _values(
    of: str, timings: Mapping[str, Timing], about: Mapping[str, Any]
) -> dict[str, list[float]]:
    if of in ("job", "cold"):
        return {name: job_seconds(t, about, cold=of == "cold") for name, t in timings.items()}
    return {name: t.steady for name, t in timings.items()}
