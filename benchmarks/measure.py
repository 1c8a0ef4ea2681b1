"""Measure a suite: processes for the contenders, first calls, warm-up, interleaved rounds, records.

A job runs in processes of its own, started afresh for every cold start; those of the last stay for
the steady rounds. Single calls are made in processes that live as long as the suite.
"""

import datetime
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from benchmarks import machine, rounds
from benchmarks.case import Case, Counter, Entry
from benchmarks.contender import Contender, environment, on_device, settings
from benchmarks.counters import count
from benchmarks.process import Process
from benchmarks.record import Score, Timing, mean_score
from benchmarks.rounds import Round
from benchmarks.work import step_bytes, step_flops
from benchmarks.workloads import SEARCH_FOLDS, WORKLOADS

_MOST_CALLS = 10_000


def measure(
    suite: str, entries: Sequence[Entry], *, quick: bool = False, device: str = "cpu"
) -> Iterator[list[Any]]:
    """Yield the records of a run: first that of the machine, then those of each entry."""
    about = machine.fingerprint()
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = f"{date}-{about['commit'][:10] or 'no-commit'}"
    about |= {"suite": suite, "quick": quick, "date": date}
    about |= {"precision": "float32", "device": device}
    if device != "cpu":
        about |= machine.accelerator(device)
    yield [{"kind": "run", "run": run, **about}]
    cases = [entry for entry in entries if isinstance(entry, Case)]
    if quick:
        cases = list(map(shorten, cases))
    yield from measure_cases(run, cases, device)
    counters = [entry for entry in entries if isinstance(entry, Counter)]
    if counters:
        yield from count(run, counters)


def measure_cases(run: str, cases: Sequence[Case], device: str = "cpu") -> Iterator[list[Any]]:
    """Yield the records of each case: its own, then one for each contender."""
    surroundings = None
    with ExitStack() as stack:
        shared = _SharedProcesses(stack)
        for number, case in enumerate(cases):
            say(f"{case.name} ({number + 1} of {len(cases)})")
            # A job takes minutes, in which the machine may change.
            if surroundings is None or case.job:
                surroundings = {"load": machine.load(), **machine.ceilings(device)}
            yield _measure_case(run, case, surroundings, shared)


def shorten(case: Case) -> Case:
    """Return the case on a budget of seconds: it shows that everything runs and proves nothing."""
    if not case.job:
        return replace(case, rounds=5, seconds=0.01)
    members = SEARCH_FOLDS
    contenders = (replace(c, members=min(c.members, members), calls=1) for c in case.contenders)
    job = replace(case.job, members=members, epochs=1, cold_starts=1, most_warm_ups=2)
    return replace(case, job=job, contenders=tuple(contenders), rounds=2)


def put_on(device: str, entry: Entry) -> Entry:
    """Return the entry with all its contenders on a device."""
    if isinstance(entry, Counter):
        return entry
    variables = on_device(device)
    contenders = (replace(c, environment={**c.environment, **variables}) for c in entry.contenders)
    return replace(entry, contenders=tuple(contenders))


def say(message: str) -> None:
    """Tell the person who waits how far the run is."""
    print(message, file=sys.stderr, flush=True)


@dataclass
class _Player:
    """A contender that is prepared to play rounds in a process.

    Attributes:
        contender: The contender.
        process: The process that does the work.
        steps: Number of steps of one member in one call.
        calls: Number of calls in a round.
        prepare_seconds: Preparation in each fresh process so far.
        first_seconds: First call in each fresh process so far.
        stages: Seconds of the preparation by stage.
        scores: Scores of all rounds in this process, the first call included.
    """

    contender: Contender
    process: Process
    steps: int
    calls: int = 1
    prepare_seconds: list[float] = field(default_factory=list)
    first_seconds: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)

    def prepare(self, case: Case) -> None:
        """Prepare the work and make the first call."""
        contender = self.contender
        job = case.job and {
            "workload": case.job.workload,
            "epochs": case.job.epochs,
            "batch_size": case.job.batch_size,
        }
        answer = self._ask(
            do="prepare",
            peer=contender.peer,
            members=contender.members,
            processes=contender.processes,
            arguments={**case.arguments, **contender.arguments},
            job=job,
        )
        self.stages = answer["stages"]
        self.prepare_seconds.append(answer["seconds"])
        self.first_seconds.append(self.play_calls(1).seconds)
        self.calls = contender.calls if case.job else self._choose_calls(case.seconds)

    def play(self) -> Round:
        """Play a round."""
        return self.play_calls(self.calls)

    def play_calls(self, calls: int) -> Round:
        """Play a round of so many calls."""
        answer = self._ask(do="play", calls=calls)
        self.scores += answer["scores"]
        return Round(answer["seconds"], calls * self.contender.members * self.steps)

    def forget(self) -> None:
        """Free what the process keeps for this contender."""
        self._ask(do="forget")

    def _ask(self, **request: Any) -> dict[str, Any]:
        return self.process.ask({"key": self.contender.name, **request})

    def _choose_calls(self, seconds: float) -> int:
        """Return the number of calls that makes a round about as long as `seconds`.

        Of two tries the shorter counts. One that something disturbed would lead to rounds of a
        single call, which are mostly starting and bringing results home.
        """
        calls = 1
        while True:
            spent = min(self.play_calls(calls).seconds, self.play_calls(calls).seconds)
            if spent >= seconds / 2 or calls >= _MOST_CALLS:
                return max(1, min(_MOST_CALLS, round(calls * seconds / spent)))
            longer = int(calls * seconds / max(spent, 1e-6) / 4)
            calls = min(_MOST_CALLS, max(2 * calls, longer))


class _SharedProcesses:
    """The processes of single calls, started when they are first needed.

    There is one for each function, with its own arguments and environment, or one for all functions
    of a case whose contenders work together.
    """

    def __init__(self, stack: ExitStack):
        self._stack = stack
        self._running: dict[tuple, Process] = {}

    def get(self, contender: Contender, *, together: bool) -> Process:
        """Return the process of a contender; one that has ended is replaced."""
        variant = () if together else (contender.peer, json.dumps(dict(contender.arguments)))
        key = (*variant, *sorted(contender.environment.items()))
        if key not in self._running or not self._running[key].is_alive():
            self._running[key] = self._stack.enter_context(_start_process(contender))
        return self._running[key]


def _start_process(contender: Contender) -> Process:
    return Process(contender.name, "benchmarks.worker", environment(contender))


def _measure_case(
    run: str, case: Case, surroundings: Mapping[str, Any], shared: _SharedProcesses
) -> list[Any]:
    missing = [c for c in case.contenders if not c.is_installed()]
    failures = {c.name: f"{c.needs} is not installed" for c in missing}
    busy: list[float | None] = []
    with ExitStack() as stack:
        players = _make_first_calls(case, stack, shared, failures)
        plays = {name: player.play for name, player in players.items()}
        patience = {name: _most_warm_ups(case, player) for name, player in players.items()}
        warm = rounds.warm_ups(plays, patience, failures)
        plays = {name: plays[name] for name in warm}
        if case.job:
            rest = lambda: busy.append(rounds.busy_share())  # noqa: E731
        else:  # rounds of single calls are shorter than a rest
            rest = lambda: None  # noqa: E731
            busy.append(rounds.busy_share(settle=0.1, watch=0.2))
        steady = rounds.interleave(plays, case.rounds, rest, failures)
        for name, player in players.items():
            rounds.attempt({}, name, player.forget)
    timings = [_timing(run, case, players[n], warm[n], steady[n]) for n in steady]
    not_run = [f"{name}: {reason}" for name, reason in failures.items()]
    return [_about(run, case, surroundings, busy, not_run), *timings]


def _make_first_calls(
    case: Case, stack: ExitStack, shared: _SharedProcesses, failures: dict[str, str]
) -> dict[str, _Player]:
    """Prepare all contenders and make their first calls, for a job in sweeps of fresh processes."""
    steps = 1
    sweeps = 1
    if case.job:
        work = WORKLOADS[case.job.workload]()
        steps = case.job.epochs * work.steps_per_epoch(case.job.batch_size)
        sweeps = case.job.cold_starts
    players: dict[str, _Player] = {}

    def start(contender: Contender) -> _Player:
        if case.job:
            process = stack.enter_context(_start_process(contender))
        else:
            process = shared.get(contender, together=case.together)
        player = _Player(contender, process, steps)
        if contender.name in players:
            player.prepare_seconds += players[contender.name].prepare_seconds
            player.first_seconds += players[contender.name].first_seconds
        player.prepare(case)
        return player

    for sweep in range(sweeps):
        for contender in case.contenders:
            if contender.name in failures:
                continue
            if case.job:
                say(f"{case.name}: first job of {contender.name} ({sweep + 1} of {sweeps})")
            player = rounds.attempt(failures, contender.name, partial(start, contender))
            if player is None:
                players.pop(contender.name, None)
                continue
            players[contender.name] = player
            if sweep < sweeps - 1:
                player.process.quit()
    return players


def _most_warm_ups(case: Case, player: _Player) -> int:
    if case.job:
        return case.job.most_warm_ups
    return 2 if player.calls == 1 else 4  # a long call is steady sooner


def _timing(
    run: str, case: Case, player: _Player, warm: list[Round], steady: list[Round]
) -> Timing:
    contender = player.contender
    if case.job:
        score = mean_score(player.scores)
    else:
        last = player.scores[-1]
        score = Score(last, last, last, 1)
    return Timing(
        run=run,
        case=case.name,
        contender=contender.name,
        peer=contender.peer,
        environment=settings(contender),
        members=contender.members,
        calls=player.calls,
        member_steps=contender.members * player.steps,
        prepare_seconds=player.prepare_seconds,
        first_seconds=player.first_seconds,
        stages=player.stages,
        warm_up=[r.microseconds for r in warm],
        steady=[r.microseconds for r in steady],
        score=score,
    )


def _about(
    run: str,
    case: Case,
    surroundings: Mapping[str, Any],
    busy: Sequence[float | None],
    not_run: Sequence[str],
) -> dict[str, Any]:
    shares = [share for share in busy if share is not None]
    mean = sum(shares) / len(shares) if shares else None
    costs = {"flops": case.flops, "bytes": case.bytes, "size": case.size}
    if case.job:
        costs = _job_costs(case)
    return {
        "kind": "case",
        "run": run,
        "case": case.name,
        **costs,
        **surroundings,
        "busy": mean,
        "quiet": mean is not None and mean <= rounds.QUIET,
        "not_run": list(not_run),
    }


def _job_costs(case: Case) -> dict[str, Any]:
    job = case.job
    assert job is not None
    work = WORKLOADS[job.workload]()
    return {
        "source": work.source,
        "members": job.members,
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "steps": job.epochs * work.steps_per_epoch(job.batch_size),
        "flops": step_flops((*work.layers, *work.again), job.batch_size),
        "bytes": step_bytes(work.layers, job.batch_size),
    }
