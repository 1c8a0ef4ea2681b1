"""What the latest records of a suite say, for the blocks of the documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.case import Case
from benchmarks.record import Records
from benchmarks.report import Measured, latest_runs
from benchmarks.suites import SUITES


def cases(suite: str) -> list[Case]:
    """Return the cases of a suite, without its counters."""
    return [entry for entry in SUITES[suite] if isinstance(entry, Case)]


def job(suite: str, name: str, records: Mapping[str, Records]) -> Measured | None:
    """Return what the latest run of a job measured, if its first contender, the reference, ran."""
    same = [case for case in cases(suite) if case.name == name and case.job]
    for case, about, contenders in latest_runs(records[suite], same):
        if case.contenders[0].name in contenders:
            return case, about, contenders
    return None


def single_calls(suite: str, records: Mapping[str, Records]) -> list[Measured]:
    """Return what the latest runs of a suite's single calls measured, where jnn ran."""
    return [one for one in latest_runs(records[suite], cases(suite)) if "jnn" in one[2]]


def describe_noise(abouts: Sequence[dict[str, Any]]) -> str:
    """Return a sentence where the machine had other work to do."""
    noisy = [about["case"] for about in abouts if not about["quiet"]]
    return f" The machine was not quiet during {', '.join(noisy)}." if noisy else ""


def not_measured(suite: str) -> str:
    """Return the sentence that stands for a table without records."""
    return f"Not measured yet: `python -m benchmarks run {suite}`."
