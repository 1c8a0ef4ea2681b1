"""One run of a suite: the record of machine and checkout, then those of its cases, tasks and counters."""

import datetime
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import machine
from benchmarks.case import Case, Counter, Entry, Task
from benchmarks.contender import Contender, environment, on
from benchmarks.counters import count
from benchmarks.measure import measure_case, shortened
from benchmarks.measure_tasks import measure_tasks


def measure(
    suite: str, entries: Sequence[Entry], *, quick: bool = False, device: str = "cpu"
) -> Iterator[list[Any]]:
    """The records of a run, first that of the machine, then of one entry after the other."""
    about = machine.fingerprint()
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = f"{date}-{about['commit'][:10] or 'no-commit'}"
    about |= {
        "suite": suite,
        "quick": quick,
        "date": date,
        "precision": "float32",
        "device": device,
    }
    if device != "cpu":
        kind = asked_of(device, "print(jax.devices()[0].device_kind)")
        about |= {"accelerator": kind, "drivers": machine.drivers()}
    yield [{"kind": "run", "run": run, **about}]
    for case in (e for e in entries if isinstance(e, Case)):
        yield measure_case(run, shortened(case) if quick else case, device)
    if tasks := [e for e in entries if isinstance(e, Task)]:
        yield from measure_tasks(run, tasks, quick=quick, device=device)
    if counters := [e for e in entries if isinstance(e, Counter)]:
        yield from count(run, counters)


def put_on(device: str, entry: Entry) -> Entry:
    """The entry with all its contenders on a device."""
    if isinstance(entry, Counter):
        return entry
    contenders = (replace(c, environment={**c.environment, **on(device)}) for c in entry.contenders)
    return replace(entry, contenders=tuple(contenders))


def device_of(entry: Entry) -> str | None:
    """The only device that the entry is meant for; counts are taken on a CPU."""
    return "cpu" if isinstance(entry, Counter) else entry.device


def has(device: str) -> bool:
    """Whether JAX finds such a device here, asked in a process of its own."""
    return asked_of(device, "print(len(jax.devices()))") != ""


def asked_of(device: str, code: str) -> str:
    """What a process on the device prints; nothing where it fails."""
    asked = environment(replace(Contender("device", "none"), environment=on(device)))
    command = [sys.executable, "-c", f"import jax; {code}"]
    done = subprocess.run(command, env=asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
