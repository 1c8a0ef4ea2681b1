"""Runs tasks: a process for each peer, all contenders of a task prepared, then warm-up and interleaved rounds.

The contenders of a task `together` share one process: what tells microseconds apart must not differ by process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
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


def measure_tasks(
    run: str, tasks: Sequence[Task], *, quick: bool, device: str = "cpu"
) -> Iterator[list[Any]]:
    """The records of all tasks, one after the other; the processes live as long as the suite."""
    load, ceiling = machine.load(), ceilings(device)
    with ExitStack() as stack:
        servers = _Servers(stack)
        for number, task in enumerate(tasks):
            say(f"{task.name} ({number + 1} of {len(tasks)})")
            about = {"kind": "task", "run": run, "load": load, **ceiling}
            yield _measure_task(
                about, replace(task, rounds=5, seconds=0.01) if quick else task, servers
            )


class _Servers:
    """The running processes, one for each environment and peer or for all peers together, started when first needed."""

    def __init__(self, stack: ExitStack):
        self._stack, self._running = stack, {}

    def of(self, contender: Contender, *, together: bool) -> Channel:
        key = ("" if together else contender.peer, *sorted(contender.environment.items()))
        if key not in self._running or not self._running[key].is_alive():
            channel = Channel(contender.name, "benchmarks.server", [], environment(contender))
            self._running[key] = self._stack.enter_context(channel)
        return self._running[key]


def _measure_task(about: dict[str, Any], task: Task, servers: _Servers) -> list[Any]:
    failures = {
        c.name: f"{c.needs} is not installed" for c in task.contenders if not c.is_installed()
    }
    stages, plays, calls, scores = {}, {}, {}, {}
    for c in (c for c in task.contenders if c.is_installed()):
        if started := kernel.tried(failures, c.name, partial(_start, task, c, servers, scores)):
            stages[c.name], calls[c.name], play = started
            plays[c.name] = partial(play, calls[c.name])
    patience = {
        name: 2 if calls[name] == 1 else 4 for name in plays
    }  # a long call is steady sooner
    warm = kernel.warm_ups(plays, patience, failures)
    busy = kernel.busy_share(settle=0.1, watch=0.2)
    steady = kernel.interleave({name: plays[name] for name in warm}, task.rounds, failures=failures)
    for c in (c for c in task.contenders if c.name in plays):
        kernel.tried(
            {},
            c.name,
            partial(servers.of(c, together=task.together).ask, {"do": "forget", "key": c.name}),
        )
    not_run = [f"{name}: {why}" for name, why in failures.items()]
    contenders = [c for c in task.contenders if c.name in steady]
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


def _start(
    task: Task, contender: Contender, servers: _Servers, scores: dict[str, float]
) -> tuple[dict[str, float], int, Callable[[int], Round]]:
    """Prepares a contender, alone, so that its stages are its own: their seconds, the calls of a round, and a round."""
    arguments = {**task.arguments, **contender.arguments}
    request = {
        "peer": contender.peer,
        "function": task.function,
        "members": contender.members,
        "arguments": arguments,
    }

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        answer = servers.of(contender, together=task.together).ask(
            {"key": contender.name, **request}
        )
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def play(calls: int) -> Round:
        answer = ask({"do": "play", "calls": calls})
        scores[contender.name] = answer["score"]
        return Round(answer["seconds"], calls * contender.members)

    prepared = ask({"do": "prepare", **request})
    first, calls = _choose_calls(play, task.seconds)
    return {"prepare": prepared["seconds"], **prepared["stages"], "first": first}, calls, play


def _choose_calls(play: Callable[[int], Round], seconds: float) -> tuple[float, int]:
    """The seconds of the first call, and the calls that make a round about as long as wanted.

    Of two tries the shorter counts: one that something disturbed would make rounds of a single call, which are mostly
    starting and bringing results home.
    """
    first, calls = play(1).seconds, 1
    while (
        spent := min(play(calls).seconds, play(calls).seconds)
    ) < seconds / 2 and calls < _MOST_CALLS:
        calls = min(_MOST_CALLS, max(2 * calls, int(calls * seconds / max(spent, 1e-6) / 4)))
    return first, max(1, min(_MOST_CALLS, round(calls * seconds / spent)))
