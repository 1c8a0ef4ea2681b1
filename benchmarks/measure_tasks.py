"""Runs tasks: one process for each peer, all contenders of a task prepared, then warm-up and interleaved rounds."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from benchmarks import kernel, machine
from benchmarks.case import Task
from benchmarks.ceilings import ceilings
from benchmarks.channel import Channel
from benchmarks.contender import Contender, environment, settings
from benchmarks.kernel import Round
from benchmarks.measure import say
from benchmarks.record import Sample

_MOST_CALLS = 10_000


def measure_tasks(run: str, tasks: Sequence[Task], *, quick: bool, device: str = "cpu") -> Iterator[list[Any]]:
    """The records of all tasks, one after the other; the processes live as long as the suite."""
    load, ceiling = machine.load(), ceilings(device)
    with ExitStack() as stack:
        servers = _Servers(stack)
        for number, task in enumerate(tasks):
            say(f"{task.name} ({number + 1} of {len(tasks)})")
            about = {"kind": "task", "run": run, "load": load, **ceiling}
            yield _measure_task(about, replace(task, rounds=5, seconds=0.01) if quick else task, servers)


class _PlayFailed(RuntimeError):
    """What went wrong in a contender's process."""


class _Servers:
    """The running processes, one for each peer and environment, started when first needed."""

    def __init__(self, stack: ExitStack):
        self._stack, self._running = stack, {}

    def of(self, contender: Contender) -> Channel:
        key = (contender.peer, *sorted(contender.environment.items()))
        if key not in self._running:
            channel = Channel(contender.name, "benchmarks.server", [contender.peer], environment(contender))
            self._running[key] = self._stack.enter_context(channel)
        return self._running[key]


def _measure_task(about: dict[str, Any], task: Task, servers: _Servers) -> list[Any]:
    not_run = [f"{c.name}: {c.needs} is not installed" for c in task.contenders if not c.is_installed()]
    contenders = [c for c in task.contenders if c.is_installed()]
    stages, errors = _prepare_all(task, contenders, servers)
    not_run += [f"{name}: {error}" for name, error in errors.items()]
    plays, calls, scores = {}, {}, {}
    for c in (c for c in contenders if c.name not in errors):
        play = _make_play(c, servers.of(c), scores)
        try:
            stages[c.name]["first"], calls[c.name] = _choose_calls(play, task.seconds)
        except _PlayFailed as error:  # some compile only now
            not_run.append(f"{c.name}: {error}")
            continue
        plays[c.name] = _bound(play, calls[c.name])
    contenders = [c for c in contenders if c.name in plays]
    patience = {name: 2 if calls[name] == 1 else 4 for name in plays}  # a long call is steady sooner
    warm = {name: kernel.warm_up(play, at_most=patience[name]) for name, play in plays.items()}
    busy = kernel.busy_share(settle=0.1, watch=0.2)
    steady = kernel.interleave(plays, task.rounds)
    for c in contenders:
        servers.of(c).ask({"do": "forget", "key": c.name})
    quiet = busy is not None and busy <= kernel.QUIET
    return [
        {**about, "case": task.name, "flops": task.flops, "bytes": task.bytes, "size": task.size, "busy": busy,
         "quiet": quiet, "not_run": not_run},
        *(
            Sample(
                about["run"], task.name, c.name, c.peer, settings(c), c.members, calls[c.name], stages[c.name],
                [r.microseconds for r in warm[c.name]], [r.microseconds for r in steady[c.name]], scores[c.name],
            )
            for c in contenders
        ),
    ]  # fmt: skip


def _prepare_all(
    task: Task, contenders: Sequence[Contender], servers: _Servers
) -> tuple[dict[str, Any], dict[str, str]]:
    """Prepares every contender, two processes at a time; gives the seconds of their stages, and what went wrong."""
    stages: dict[str, dict[str, float]] = {}
    errors: dict[str, str] = {}
    by_server: dict[Channel, list[Contender]] = {}
    for contender in contenders:
        by_server.setdefault(servers.of(contender), []).append(contender)

    def prepare(server: Channel) -> None:
        for c in by_server[server]:
            request = {"do": "prepare", "key": c.name, "function": task.function, "members": c.members}
            answer = server.ask({**request, "arguments": {**task.arguments, **c.arguments}})
            if "error" in answer:
                errors[c.name] = answer["error"]
            else:
                stages[c.name] = {"prepare": answer["seconds"], **answer["stages"]}

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(prepare, by_server))
    return stages, errors


def _make_play(contender: Contender, server: Channel, scores: dict[str, float]) -> Callable[[int], Round]:
    def play(calls: int) -> Round:
        answer = server.ask({"do": "play", "key": contender.name, "calls": calls})
        if "error" in answer:
            raise _PlayFailed(answer["error"])
        scores[contender.name] = answer["score"]
        return Round(answer["seconds"], calls * contender.members)

    return play


def _bound(play: Callable[[int], Round], calls: int) -> Callable[[], Round]:
    return lambda: play(calls)


def _choose_calls(play: Callable[[int], Round], seconds: float) -> tuple[float, int]:
    """The seconds of the first call, and the calls that make a round about as long as wanted."""
    first, calls = play(1).seconds, 1
    while (spent := play(calls).seconds) < seconds / 2 and calls < _MOST_CALLS:
        calls = min(_MOST_CALLS, max(2 * calls, int(calls * seconds / max(spent, 1e-6) / 4)))
    return first, max(1, min(_MOST_CALLS, round(calls * seconds / spent)))
