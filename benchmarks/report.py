"""Tables in Markdown, made from records alone: jobs, single calls, counters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.case import Case, Counter, Entry
from benchmarks.judge import Judged, cost, disagreeing, job_seconds, judge, out_of_range
from benchmarks.record import Records, Timing, latest, run_of, timings
from benchmarks.rounds import paired_ratio, spread
from benchmarks.tables import number, table, verdict, with_quartiles, with_spread

_JOB_HEAD = (
    "contender",
    "job",
    "us per member-step (quartiles; n)",
    "vs {first}",
    "% of matmul ceiling",
    "compile s",
    "whole job s (quartiles; n)",
    "test accuracy (95 %; n)",
)

Measured = tuple[Case, dict[str, Any], dict[str, Timing]]  # a case, its record, its contenders


def report(records: Records, entries: Sequence[Entry]) -> str:
    """Return the tables of the latest runs: of jobs, of single calls, of counters."""
    cases = [entry for entry in entries if isinstance(entry, Case)]
    jobs = latest_runs(records, [case for case in cases if case.job])
    single_calls = latest_runs(records, [case for case in cases if not case.job])
    parts = [_job(records, *measured) for measured in jobs]
    parts += _single_calls(records, [m for m in single_calls if m[2]])
    parts.append(_counters(records, [entry for entry in entries if isinstance(entry, Counter)]))
    return "\n\n".join(filter(None, parts)) + "\n"


def latest_runs(records: Records, cases: Sequence[Case]) -> list[Measured]:
    """Return what the latest run of every case measured, for the cases that were run."""
    found = []
    for case in cases:
        about = latest(records, "case", case.name)
        if about is not None:
            found.append((case, about, timings(records, about["run"], case.name)))
    return found


def slopes(measured: Sequence[Measured]) -> list[tuple[str, float, int]]:
    """Return the slope of log(time of a call) by log(size) for every series and contender.

    A series consists of the cases "name = size". A slope of 1 means proportion.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for case, _, contenders in measured:
        for timing in contenders.values() if case.size else ():
            name = f"{case.name.rsplit(' = ', 1)[0]}, {timing.contender}"
            time = spread(timing.steady).median * timing.members
            series.setdefault(name, []).append((float(case.size or 0), time))
    fits = []
    for name, points in series.items():
        if len(points) > 1:
            slope = np.polyfit(*np.log(np.array(points)).T, 1)[0]
            fits.append((name, float(slope), len(points)))
    return fits


def _job(records: Records, case: Case, about: dict[str, Any], contenders: dict[str, Timing]) -> str:
    run = run_of(records, about)
    parts = [f"### {case.name}: {case.title}", _describe_job(run, about)]
    if contenders:
        rows = [_job_row(contenders, timing, about) for timing in contenders.values()]
        head = [name.format(first=next(iter(contenders))) for name in _JOB_HEAD]
        parts.append(table(head, rows))
    if contenders and not run["quick"]:
        rows = [*map(_bar_row, judge(case, contenders, about)), *_quality_rows(case, contenders)]
        parts.append(table(["bar", "wanted", "measured (quartiles; n)", ""], rows))
    return "\n\n".join(parts)


def _describe_job(run: dict[str, Any], about: dict[str, Any]) -> str:
    not_run = f" Not run: {'; '.join(about['not_run'])}." if about["not_run"] else ""
    return (
        f"{_describe_machine(run, about)} A member-step is {about['flops'] / 1e6:.3g} MFLOP and "
        f"at least {about['bytes'] / 1e6:.3g} MB. Rows: {about['source']}. "
        f"{_describe_versions(run)}.{not_run}"
    )


def _job_row(contenders: dict[str, Timing], timing: Timing, about: dict[str, Any]) -> list[str]:
    steady = spread(timing.steady)
    reference = next(iter(contenders.values()))
    compiling = spread(timing.compile_seconds(steady.median))
    score = timing.score
    gflops = about["flops"] / steady.median / 1e3
    return [
        timing.contender,
        f"{timing.members} x {timing.member_steps // timing.members} steps",
        with_spread(steady),
        f"{paired_ratio(timing.steady, reference.steady).median:.2f}",
        f"{gflops / about['matmul_gflops']:.1%}",
        f"{compiling.median:.2f}",
        with_spread(spread(job_seconds(timing, about))),
        f"{score.mean:.4f} ({score.lower:.4f}-{score.upper:.4f}; {score.n})",
    ]


def _bar_row(judged: Judged) -> list[str]:
    bar, fastest, ratio, counts = judged
    claim = bar.claim if len(bar.over) == 1 else f"{bar.claim}: {fastest}"
    if counts:
        result = verdict(judged.holds)
    else:
        result = "does not count" if judged.is_measured else "not measured"
    return [claim, bar.limit, with_spread(ratio), result]


def _quality_rows(case: Case, contenders: dict[str, Timing]) -> list[list[str]]:
    """Return whether the timings count: accuracies high enough and, where asked, equal."""
    low = out_of_range(case, contenders)
    limit = f">= {case.quality.least:g}"
    rows = [["mean test accuracy" + _except_for(low), limit, "", verdict(not low)]]
    if case.quality.absolute is not None:
        others = disagreeing(case, contenders)
        claim = f"accuracy as {next(iter(contenders))}'s" + _except_for(others)
        rows.append([claim, "intervals within .005", "", verdict(not others)])
    return rows


def _except_for(names: Sequence[str]) -> str:
    return f"; not: {', '.join(names)}" if names else ""


def _single_calls(records: Records, measured: Sequence[Measured]) -> list[str]:
    """Return the times run by run, all bars, and the slopes of the cases that have sizes."""
    runs: dict[str, list[Measured]] = {}
    for one in measured:
        runs.setdefault(one[1]["run"], []).append(one)
    parts = []
    for group in runs.values():
        about = group[-1][1]
        run = run_of(records, about)
        parts.append(f"{_describe_machine(run, about)} {_describe_versions(run)}.")
        parts.append(_times(group, is_quick=run["quick"]))
    parts.append(_bars(records, measured))
    rows = [[name, f"{slope:.2f}", str(n)] for name, slope, n in slopes(measured)]
    if rows:
        parts.append(table(["scaling", "slope of log time per call", "sizes"], rows))
    return parts


def _times(group: Sequence[Measured], *, is_quick: bool) -> str:
    names = list(dict.fromkeys(name for _, _, contenders in group for name in contenders))
    rows = [_times_row(names, *measured, is_quick=is_quick) for measured in group]
    counts = sorted({len(t.steady) for _, _, contenders in group for t in contenders.values()})
    title = f"us per member and call (quartiles; n = {', '.join(map(str, counts))})"
    head = [title, *names, f"{names[0]}: share of the matmul ceiling", "not run"]
    lines = table(head, rows)
    if "†" in lines:
        lines += "\n\n† does not count: its result differs or its loss is too high."
    return lines


def _times_row(
    names: Sequence[str],
    case: Case,
    about: dict[str, Any],
    contenders: dict[str, Timing],
    *,
    is_quick: bool,
) -> list[str]:
    wrong: list[str] = []
    if not is_quick:
        wrong = [*out_of_range(case, contenders), *disagreeing(case, contenders)]
    steady = {name: spread(timing.steady) for name, timing in contenders.items()}
    cells = [
        with_quartiles(steady[name]) + "†" * (name in wrong) if name in steady else ""
        for name in names
    ]
    first = next(iter(steady.values())).median
    flops, size = cost(case, about)
    share = ""
    if flops:
        share = f"{flops / first / 1e3 / about[case.matmul_ceiling]:.0%}"
    elif size:
        share = f"{size / first / 1e3 / about['copy_gbps']:.0%} of copy"
    return [case.name, *cells, share, "; ".join(about["not_run"])]


def _bars(records: Records, measured: Sequence[Measured]) -> str:
    """Return one line for each bar: in how many cases it holds, and by how much others miss it."""
    claims: dict[str, list[tuple[Case, Judged]]] = {}
    for case, about, contenders in measured:
        if not run_of(records, about)["quick"]:
            for judged in judge(case, contenders, about):
                claim = f"{judged.bar.claim} ({judged.bar.limit})"
                claims.setdefault(claim, []).append((case, judged))
    rows = []
    for claim, group in claims.items():
        misses = [f"{case.name}: {_describe_ratio(j)}" for case, j in group if not j.holds]
        rows.append([claim, f"{len(group) - len(misses)} of {len(group)}", "; ".join(misses)])
    return table(["bar", "holds in", "misses (quartiles)"], rows) if rows else ""


def _describe_ratio(judged: Judged) -> str:
    if not judged.is_measured:
        return "not measured"
    return f"{with_quartiles(judged.ratio)} by {judged.fastest}"


def _counters(records: Records, counters: Sequence[Counter]) -> str:
    """Return the counts of the latest run."""
    rows = []
    for counter in counters:
        found = latest(records, "counter", counter.name)
        if found is not None:
            values = found["counts"]
            over = [name for name, limit in counter.most.items() if values.get(name, 0) > limit]
            counts = ", ".join(f"{name} {number(value)}" for name, value in values.items())
            limits = ", ".join(f"{name} <= {limit:g}" for name, limit in counter.most.items())
            rows.append([counter.name, counts, limits, verdict(not over) if counter.most else ""])
    return table(["program", "counts", "wanted", ""], rows) if rows else ""


def _describe_machine(run: dict[str, Any], about: dict[str, Any]) -> str:
    """Return when, what and where was measured, and how quiet it was."""
    cpu = run["cpu"]
    commit = (run["commit"][:10] or "none") + (" with changes" if run["dirty"] else "")
    quick = ", QUICK RUN: proves nothing" if run["quick"] else ""
    accelerator = f"{run['accelerator']} beside an " if run.get("accelerator") else ""
    vectors = "AVX-512" if "avx512f" in cpu["flags"] else "no AVX-512"
    busy = "unknown" if about["busy"] is None else f"{about['busy']:.1%}"
    narrow = ""
    if about.get("matmul_bfloat16_gflops"):
        narrow = f" ({about['matmul_bfloat16_gflops']:.0f} in bfloat16)"
    return (
        f"{run['date']}, commit {commit}{quick}. "
        f"{accelerator}{cpu['model']}, {cpu['cores']} cores, {vectors}, "
        f"products in {run['precision']} where a task names no other; "
        f"{'quiet' if about['quiet'] else 'NOT QUIET'} "
        f"(others used {busy} while the contenders rested; load {about['load']}). "
        f"Ceilings in the same run: matmul {about['matmul_gflops']:.0f} GFLOP/s{narrow}, "
        f"copy {about['copy_gbps']:.0f} GB/s."
    )


def _describe_versions(run: dict[str, Any]) -> str:
    """Return name and version of every package that was installed."""
    return ", ".join(f"{name} {v}" for name, v in run["versions"].items() if v != "absent")
