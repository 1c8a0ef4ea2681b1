"""Runs cases: fresh processes for the first job, then warm-up and interleaved rounds, into records."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks import kernel, machine
from benchmarks.case import Case
from benchmarks.ceilings import ceilings
from benchmarks.contender import Contender, Worker, settings
from benchmarks.kernel import Round
from benchmarks.record import Timing
from benchmarks.workloads import (
    SEARCH_FOLDS,
    WORKLOADS,
    Budget,
    step_bytes,
    step_flops,
    steps_per_epoch,
)


def shortened(case: Case) -> Case:
    """The same case on a budget of seconds: it shows that everything runs, its numbers prove nothing."""
    contenders = tuple(
        replace(c, members=min(c.members, SEARCH_FOLDS), calls=1) for c in case.contenders
    )
    return replace(
        case,
        members=SEARCH_FOLDS,
        epochs=1,
        contenders=contenders,
        rounds=2,
        most_warm_ups=2,
        colds=1,
    )


def measure_case(run: str, case: Case, device: str = "cpu") -> list[Any]:
    """The records of one case: first its own, then one for each contender."""
    failures = {
        c.name: f"{c.needs} is not installed" for c in case.contenders if not c.is_installed()
    }
    load, ceiling = machine.load(), ceilings(device)
    busy: list[float | None] = []
    with ExitStack() as stack:
        colds = _first_jobs(case, stack, failures)
        plays = {name: fresh[-1][0].play for name, fresh in colds.items()}
        say(f"{case.name}: warm-up")
        warm = kernel.warm_ups(plays, dict.fromkeys(plays, case.most_warm_ups), failures)
        say(f"{case.name}: {case.rounds} rounds of {len(warm)} contenders")
        plays = {name: plays[name] for name in warm}
        steady = kernel.interleave(
            plays, case.rounds, lambda: busy.append(kernel.busy_share()), failures
        )
    ran = [c for c in case.contenders if c.name in steady]
    timings = [_timing(run, case, c, colds[c.name], warm[c.name], steady[c.name]) for c in ran]
    not_run = [f"{name}: {why}" for name, why in failures.items()]
    return [{**_about(run, case, load, ceiling, busy), "not_run": not_run}, *timings]


def _first_jobs(
    case: Case, stack: ExitStack, failures: dict[str, str]
) -> dict[str, list[tuple[Worker, Round]]]:
    """Sweeps of fresh processes, each with its first call; those of the last sweep stay alive for the steady rounds."""
    colds: dict[str, list[tuple[Worker, Round]]] = {
        c.name: [] for c in case.contenders if c.name not in failures
    }

    def first_job(contender: Contender) -> tuple[Worker, Round]:
        worker = stack.enter_context(_start(case, contender))
        return worker, worker.play(calls=1)

    for sweep in range(case.colds):
        for contender in (c for c in case.contenders if c.name in colds):
            say(f"{case.name}: first job of {contender.name} ({sweep + 1} of {case.colds})")
            if (
                fresh := kernel.tried(failures, contender.name, partial(first_job, contender))
            ) is None:
                del colds[contender.name]
                continue
            colds[contender.name].append(fresh)
            if sweep < case.colds - 1:
                fresh[0].quit()
    return colds


def _start(case: Case, contender: Contender) -> Worker:
    budget = Budget(contender.members, case.epochs, case.batch_size)
    steps = case.epochs * steps_per_epoch(WORKLOADS[case.workload](), case.batch_size)
    return Worker(contender, case.workload, budget, steps)


def _timing(
    run: str, case: Case, contender: Contender, colds, warm: list[Round], steady: list[Round]
) -> Timing:
    scores = [score for played in (colds[-1][1], *warm, *steady) for score in played.scores]
    return Timing(
        run, case.name, contender.name, contender.peer, settings(contender), contender.members,
        contender.calls, colds[-1][1].member_steps,
        [worker.prepare_seconds for worker, _ in colds], [first.seconds for _, first in colds],
        [r.microseconds for r in warm], [r.microseconds for r in steady], kernel.interval(scores),
    )  # fmt: skip


def _about(
    run: str, case: Case, load: list[float], ceiling: dict[str, float], busy: list[float | None]
) -> dict:
    work = WORKLOADS[case.workload]()
    known = [share for share in busy if share is not None]
    mean = sum(known) / len(known) if known else None
    return {
        "kind": "case", "run": run, "case": case.name, "source": work.source,
        "members": case.members, "epochs": case.epochs, "batch_size": case.batch_size,
        "steps": case.epochs * steps_per_epoch(work, case.batch_size),
        "step_flops": step_flops(work.layers, case.batch_size),
        "step_bytes": step_bytes(work.layers, case.batch_size),
        **ceiling, "load": load, "busy": mean, "quiet": mean is not None and mean <= kernel.QUIET,
    }  # fmt: skip


def say(message: str) -> None:
    """Tells the person who waits how far we are."""
    print(message, file=sys.stderr, flush=True)
