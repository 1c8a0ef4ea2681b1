"""Tables in Markdown, made from records alone."""

from collections.abc import Sequence
from typing import Any

from benchmarks.case import Case, Counter, Entry, Task
from benchmarks.judge import Judged, apart, jobs, judge_case, too_low
from benchmarks.kernel import paired_ratio, spread
from benchmarks.record import Timing, latest, run_of, timings
from benchmarks.report_tasks import machine_of, report_counters, report_tasks, versions_of
from benchmarks.tables import table, verdict, with_spread

_HEAD = (
    "contender", "job", "us per member-step (quartiles; n)", "vs {first}", "% of matmul ceiling", "compile s",
    "whole job s (quartiles; n)", "test accuracy (95 %; n)",
)  # fmt: skip


def report(records: Sequence[dict[str, Any]], entries: Sequence[Entry]) -> str:
    """For every case the tables of the latest run that holds it; then those of all tasks and all counters."""
    parts = []
    for case in (e for e in entries if isinstance(e, Case)):
        if found := latest(records, "case", case.name):
            parts.append(_case(records, case, found))
    parts.append(report_tasks(records, [e for e in entries if isinstance(e, Task)]))
    parts.append(report_counters(records, [e for e in entries if isinstance(e, Counter)]))
    return "\n\n".join(filter(None, parts)) + "\n"


def _case(records: Sequence[dict[str, Any]], case: Case, about: dict[str, Any]) -> str:
    run = run_of(records, about)
    found = timings(records, about["run"], case.name)
    if not found:
        return f"### {case.name}: {case.title}\n\n{_of_case(run, about)}"
    rows = [_row(found, timing, about) for timing in found.values()]
    head = [name.format(first=next(iter(found))) for name in _HEAD]
    parts = [f"### {case.name}: {case.title}", _of_case(run, about), table(head, rows)]
    if not run["quick"]:
        rows = [*map(_bar_row, judge_case(case, found, about)), *_quality_rows(case, found)]
        parts.append(table(["bar", "wanted", "measured (quartiles; n)", ""], rows))
    return "\n\n".join(parts)


def _of_case(run: dict[str, Any], about: dict[str, Any]) -> str:
    return (
        f"{machine_of(run, about)} "
        f"A member-step is {about['step_flops'] / 1e6:.3g} MFLOP and at least {about['step_bytes'] / 1e6:.3g} MB. "
        f"Rows: {about['source']}. {versions_of(run)}.{_not_run(about['not_run'])}"
    )


def _not_run(names: Sequence[str]) -> str:
    return f" Not run: {'; '.join(names)}." if names else ""


def _row(found: dict[str, Timing], timing: Timing, about: dict[str, Any]) -> list[str]:
    steady, reference = spread(timing.steady), next(iter(found.values()))
    compiling = spread(timing.compile_seconds(steady.median))
    accuracy, flops = timing.accuracy, about["step_flops"] / steady.median / 1e3  # GFLOP/s
    return [
        timing.contender,
        f"{timing.members} x {timing.member_steps // timing.members} steps",
        with_spread(steady),
        f"{paired_ratio(timing.steady, reference.steady).median:.2f}",
        f"{flops / about['matmul_gflops']:.1%}",
        f"{compiling.median:.2f}",
        with_spread(spread(jobs(timing, about))),
        f"{accuracy.mean:.4f} ({accuracy.lower:.4f}-{accuracy.upper:.4f}; {accuracy.n})",
    ]


def _bar_row(judged: Judged) -> list[str]:
    bar, fastest, ratio, counts = judged
    claim = bar.claim if len(bar.over) == 1 else f"{bar.claim}: {fastest}"
    said = (
        verdict(judged.holds) if counts else "does not count" if judged.measured else "not measured"
    )
    return [claim, bar.limit, with_spread(ratio), said]


def _quality_rows(case: Case, found: dict[str, Timing]) -> list[list[str]]:
    """Whether the timings count: every accuracy high enough and, where asked, equal to the first contender's."""
    low, others = too_low(case, found), apart(case, found)
    rows = [["mean test accuracy" + _but(low), f">= {case.least_accuracy:g}", "", verdict(not low)]]
    if case.equal_accuracy:
        claim = f"accuracy as {next(iter(found))}'s" + _but(others)
        rows.append([claim, "intervals within .005", "", verdict(not others)])
    return rows


def _but(names: Sequence[str]) -> str:
    return f"; not: {', '.join(names)}" if names else ""
