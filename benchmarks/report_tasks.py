"""Tables of tasks and counters: one line each, then how many bars hold and by how much the others miss."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.case import Counter, Task, matmul_ceiling
from benchmarks.judge import Judged, judge_task, not_counting
from benchmarks.kernel import spread
from benchmarks.record import Sample, latest, run_of, samples
from benchmarks.tables import number, table, verdict, with_quartiles


def report_tasks(records: Sequence[dict[str, Any]], tasks: Sequence[Task]) -> str:
    """Times of the latest run of every task, run by run, their bars, and the slopes of those that have sizes."""
    found = found_tasks(records, tasks)
    runs: dict[str, list[tuple[Task, dict[str, Sample]]]] = {}
    for task, contenders in found:
        runs.setdefault(_about(records, task)["run"], []).append((task, contenders))
    parts = []
    for group in runs.values():
        about = _about(records, group[-1][0])
        run = run_of(records, about)
        parts += [f"{machine_of(run, about)} {versions_of(run)}.", _times(records, group)]
    parts.append(
        _bars(
            [
                (task, judged)
                for task, samples in found
                for judged in _judged(records, task, samples)
            ]
        )
    )
    slopes = [[name, f"{slope:.2f}", str(n)] for name, slope, n in slopes_of(found)]
    parts.append(
        table(["scaling", "slope of log time per call", "sizes"], slopes) if slopes else ""
    )
    return "\n\n".join(filter(None, parts))


def _about(records: Sequence[dict[str, Any]], task: Task) -> dict[str, Any]:
    about = latest(records, "task", task.name)
    assert about is not None
    return about


def _judged(
    records: Sequence[dict[str, Any]], task: Task, found: dict[str, Sample]
) -> list[Judged]:
    about = _about(records, task)
    return [] if run_of(records, about)["quick"] else judge_task(task, found, about)


def found_tasks(
    records: Sequence[dict[str, Any]], tasks: Sequence[Task]
) -> list[tuple[Task, dict[str, Sample]]]:
    """The samples of the latest run of every task that was run."""
    pairs = [(task, latest(records, "task", task.name)) for task in tasks]
    found = [(task, samples(records, about["run"], task.name)) for task, about in pairs if about]
    return [(task, contenders) for task, contenders in found if contenders]


def slopes_of(found: Sequence[tuple[Task, dict[str, Sample]]]) -> list[tuple[str, float, int]]:
    """For every series "name = size" of tasks and every contender: the slope of log(time of a call) by log(size)."""
    series: dict[str, list[tuple[float, float]]] = {}
    for task, contenders in found:
        for sample in contenders.values() if task.size else ():
            name = f"{task.name.rsplit(' = ', 1)[0]}, {sample.contender}"
            series.setdefault(name, []).append(
                (float(task.size or 0), spread(sample.steady).median * sample.members)
            )
    fits = {
        name: np.polyfit(*np.log(np.array(points)).T, 1)
        for name, points in series.items()
        if len(points) > 1
    }
    return [(name, float(fit[0]), len(series[name])) for name, fit in fits.items()]


def report_counters(records: Sequence[dict[str, Any]], counters: Sequence[Counter]) -> str:
    """The counts of the latest run."""
    rows = []
    for counter in counters:
        if found := latest(records, "counter", counter.name):
            over = [
                name for name, limit in counter.most.items() if found["counts"].get(name, 0) > limit
            ]
            counts = ", ".join(f"{name} {number(value)}" for name, value in found["counts"].items())
            limits = ", ".join(f"{name} <= {limit:g}" for name, limit in counter.most.items())
            rows.append([counter.name, counts, limits, verdict(not over) if counter.most else ""])
    return table(["program", "counts", "wanted", ""], rows) if rows else ""


def machine_of(run: dict[str, Any], about: dict[str, Any]) -> str:
    """When, what and where, and how quiet it was."""
    cpu, commit = (
        run["cpu"],
        (run["commit"][:10] or "none") + (" with changes" if run["dirty"] else ""),
    )
    accelerator = f"{run['accelerator']} beside an " if run.get("accelerator") else ""
    vectors = "AVX-512" if "avx512f" in cpu["flags"] else "no AVX-512"
    narrow = about.get("matmul_bfloat16_gflops")
    busy = "unknown" if about["busy"] is None else f"{about['busy']:.1%}"
    return (
        f"{run['date']}, commit {commit}{', QUICK RUN: proves nothing' if run['quick'] else ''}. "
        f"{accelerator}{cpu['model']}, {cpu['cores']} cores, {vectors}, "
        f"products in {run['precision']} where a task names no other; {'quiet' if about['quiet'] else 'NOT QUIET'} "
        f"(others used {busy} while the contenders rested; load {about['load']}). "
        f"Ceilings in the same run: matmul {about['matmul_gflops']:.0f} GFLOP/s"
        f"{f' ({narrow:.0f} in bfloat16)' if narrow else ''}, copy {about['copy_gbps']:.0f} GB/s."
    )


def versions_of(run: dict[str, Any]) -> str:
    """Name and version of every package that was there."""
    return ", ".join(f"{name} {v}" for name, v in run["versions"].items() if v != "absent")


def _times(
    records: Sequence[dict[str, Any]], found: Sequence[tuple[Task, dict[str, Sample]]]
) -> str:
    """One line for each task; a dagger marks a time that does not count."""
    names = list(dict.fromkeys(name for _, samples in found for name in samples))
    rows = []
    for task, contenders in found:
        about = _about(records, task)
        wrong = [] if run_of(records, about)["quick"] else not_counting(task, contenders)
        steady = {n: spread(s.steady) for n, s in contenders.items()}
        cells = [
            with_quartiles(steady[n]) + "†" * (n in wrong) if n in steady else "" for n in names
        ]
        first = next(iter(steady.values())).median
        gflops, gbps = task.flops / first / 1e3, task.bytes / first / 1e3
        ceiling = about[matmul_ceiling(task)]
        peak = (
            f"{gflops / ceiling:.0%}" if task.flops else f"{gbps / about['copy_gbps']:.0%} of copy"
        )
        rows.append(
            [
                task.name,
                *cells,
                peak if task.flops or task.bytes else "",
                "; ".join(about["not_run"]),
            ]
        )
    n = sorted({len(s.steady) for _, contenders in found for s in contenders.values()})
    head = [f"us per member and call (quartiles; n = {', '.join(map(str, n))})", *names]
    lines = table([*head, f"{names[0]}: share of the matmul ceiling", "not run"], rows)
    return lines + (
        "\n\n† does not count: its result differs or its loss is too high." if "†" in lines else ""
    )


def _bars(judged: Sequence[tuple[Task, Judged]]) -> str:
    claims: dict[str, list[tuple[Task, Judged]]] = {}
    for task, j in judged:
        claims.setdefault(f"{j.bar.claim} ({j.bar.limit})", []).append((task, j))
    rows = []
    for claim, group in claims.items():
        misses = [f"{task.name}: {_measured(j)}" for task, j in group if not j.holds]
        rows.append([claim, f"{len(group) - len(misses)} of {len(group)}", "; ".join(misses)])
    return table(["bar", "holds in", "misses (quartiles)"], rows) if rows else ""


def _measured(judged: Judged) -> str:
    return (
        f"{with_quartiles(judged.ratio)} by {judged.fastest}" if judged.measured else "not measured"
    )
