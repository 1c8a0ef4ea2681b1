"""Tables in Markdown, made from records alone."""

from collections.abc import Sequence
from typing import Any

from benchmarks.case import Bar, Case
from benchmarks.kernel import Spread, paired_ratio, spread
from benchmarks.record import Timing, timings

_HEAD = (
    "contender", "job", "us per member-step (quartiles; n)", "vs {first}", "% of matmul ceiling", "compile s",
    "whole job s (quartiles; n)", "test accuracy (95 %; n)",
)  # fmt: skip


def report(records: Sequence[dict[str, Any]], cases: Sequence[Case]) -> str:
    """For every case the tables of the latest run that holds it."""
    parts = []
    for case in cases:
        found = [r for r in records if r["kind"] == "case" and r["case"] == case.name]
        if found:
            parts.append(_case(records, case, found[-1]))
    return "\n\n".join(parts) + "\n"


def _case(records: Sequence[dict[str, Any]], case: Case, about: dict[str, Any]) -> str:
    run = next(r for r in records if r["kind"] == "run" and r["run"] == about["run"])
    found = timings(records, about["run"], case.name)
    rows = [_row(found, timing, about) for timing in found.values()]
    head = [name.format(first=next(iter(found))) for name in _HEAD]
    parts = [f"### {case.name}: {case.title}", _machine(run, about), _table(head, rows)]
    if not run["quick"]:
        low = [t.contender for t in found.values() if t.accuracy.mean < case.least_accuracy]
        bars = [_bar_row(bar, found, about, low) for bar in case.bars if {*bar.over, bar.under} <= found.keys()]
        rows = [*bars, *_quality_rows(case, found, low)]
        parts.append(_table(["bar", "wanted", "measured (quartiles; n)", ""], rows))
    return "\n\n".join(parts)


def _machine(run: dict[str, Any], about: dict[str, Any]) -> str:
    cpu, commit = run["cpu"], (run["commit"][:10] or "none") + (" with changes" if run["dirty"] else "")
    versions = ", ".join(f"{name} {v}" for name, v in run["versions"].items() if v != "absent")
    quiet = "quiet" if about["quiet"] else "NOT QUIET"
    busy = "unknown" if about["busy"] is None else f"{about['busy']:.1%}"
    return (
        f"{run['date']}, commit {commit}{', QUICK RUN: proves nothing' if run['quick'] else ''}. "
        f"{cpu['model']}, {cpu['cores']} cores, {'AVX-512' if 'avx512f' in cpu['flags'] else 'no AVX-512'}, "
        f"{run['precision']}; {quiet} (others used {busy} while the contenders rested; load {about['load']}). "
        f"Ceilings in the same run: matmul {about['matmul_gflops']:.0f} GFLOP/s, copy {about['copy_gbps']:.0f} GB/s. "
        f"A member-step is {about['step_flops'] / 1e6:.3g} MFLOP and at least {about['step_bytes'] / 1e6:.3g} MB. "
        f"Rows: {about['source']}. {versions}.{_not_run(about['not_run'])}"
    )


def _not_run(names: Sequence[str]) -> str:
    return f" Not installed, so not run: {', '.join(names)}." if names else ""


def _row(found: dict[str, Timing], timing: Timing, about: dict[str, Any]) -> list[str]:
    steady, reference = spread(timing.steady), next(iter(found.values()))
    compiling = spread(timing.compile_seconds(steady.median))
    accuracy, flops = timing.accuracy, about["step_flops"] / steady.median / 1e3  # GFLOP/s
    return [
        timing.contender,
        f"{timing.members} x {about['epochs']} epochs",
        _spread(steady),
        f"{paired_ratio(timing.steady, reference.steady).median:.2f}",
        f"{flops / about['matmul_gflops']:.1%}",
        f"{compiling.median:.2f}",
        _spread(spread(_jobs(timing, about))),
        f"{accuracy.mean:.4f} ({accuracy.lower:.4f}-{accuracy.upper:.4f}; {accuracy.n})",
    ]


def _jobs(timing: Timing, about: dict[str, Any]) -> list[float]:
    return timing.job_seconds(about["members"] * about["steps"], spread(timing.steady).median)


def measured(bar: Bar, found: dict[str, Timing], about: dict[str, Any]) -> tuple[str, Spread]:
    """The fastest contender of `bar.over` and the spread of its paired ratio to `bar.under`."""
    values = {name: found[name].steady if bar.of == "step" else _jobs(found[name], about) for name in found}
    fastest = min(bar.over, key=lambda name: spread(values[name]).median)
    return fastest, paired_ratio(values[fastest], values[bar.under])


def _bar_row(bar: Bar, found: dict[str, Timing], about: dict[str, Any], low: Sequence[str]) -> list[str]:
    fastest, ratio = measured(bar, found, about)
    claim = bar.claim if len(bar.over) == 1 else f"{bar.claim}: {fastest}"
    wanted = f">= {bar.at_least:g}" if bar.at_least is not None else f"<= {bar.at_most:g}"
    counts = not {fastest, bar.under} & set(low)
    return [claim, wanted, _spread(ratio), _verdict(bar.holds(ratio.median)) if counts else "does not count"]


def _quality_rows(case: Case, found: dict[str, Timing], low: Sequence[str]) -> list[list[str]]:
    """Whether the timings count: every accuracy high enough and, where asked, equal to the first contender's."""
    rows = [["mean test accuracy" + _but(low), f">= {case.least_accuracy:g}", "", _verdict(not low)]]
    if case.equal_accuracy:
        first = next(iter(found.values()))
        apart = [name for name, t in found.items() if not t.accuracy.overlaps(first.accuracy)]
        rows.append([f"accuracy as {first.contender}'s" + _but(apart), "intervals overlap", "", _verdict(not apart)])
    return rows


def _but(names: Sequence[str]) -> str:
    return f"; not: {', '.join(names)}" if names else ""


def _verdict(holds: bool) -> str:
    return "pass" if holds else "**MISS**"


def _spread(s: Spread) -> str:
    return f"{_number(s.median)} ({_number(s.lower)}-{_number(s.upper)}; {s.n})"


def _number(value: float) -> str:
    """Three significant digits, never an exponent for what is large."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
