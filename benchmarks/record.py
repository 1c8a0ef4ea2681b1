"""Records: JSON lines, one object each, that hold everything a table is made from.

Kinds: `run` (machine and checkout); of a case `case` (workload, ceilings, load) and `timing` (one contender's raw
rounds); of a task `task` and `sample`; `counter` (a number that must not change unseen). All name their run.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kernel import Interval

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """What one contender did in one case.

    Attributes:
        run: Name of the run.
        case: Name of the case.
        contender: Name of the contender.
        peer: Its file.
        environment: What was set in its process's environment: XLA flags, precision, threads.
        members: Trained by one call of its job.
        calls: Of the job in a steady round.
        member_steps: In one call.
        prepare_seconds: Import and preparation, one for each fresh process.
        first_seconds: The first call of each fresh process, compilation included.
        warm_up: Microseconds per member-step of the rounds before the steady ones.
        steady: Microseconds per member-step of the steady rounds.
        accuracy: Mean test accuracy over all members trained in the last process.
        kind: "timing".
    """

    run: str
    case: str
    contender: str
    peer: str
    environment: dict[str, str]
    members: int
    calls: int
    member_steps: int
    prepare_seconds: list[float]
    first_seconds: list[float]
    warm_up: list[float]
    steady: list[float]
    accuracy: Interval
    kind: str = field(default="timing")

    def job_seconds(self, member_steps: int, steady: float) -> list[float]:
        """The whole job with compilation, for each fresh process: its first call, the rest at the steady pace.

        `steady` is in microseconds per member-step.
        """
        rest = (member_steps - self.member_steps) * steady / 1e6
        return [first + rest for first in self.first_seconds]

    def compile_seconds(self, steady: float) -> list[float]:
        """What the first call took beyond a steady one."""
        return [max(0.0, first - self.member_steps * steady / 1e6) for first in self.first_seconds]


@dataclass(frozen=True)
class Sample:
    """What one contender did in one task.

    Attributes:
        run: Name of the run.
        case: Name of the task.
        contender: Name of the contender.
        peer: Its file.
        environment: What was set in its process's environment.
        members: Served by one call.
        calls: In a steady round.
        stages: Seconds of preparing the task, by stage where the library tells them apart, and of the first call.
        warm_up: Microseconds per member and call of the rounds before the steady ones.
        steady: Microseconds per member and call of the steady rounds.
        score: What the last call reached, by which a timing counts or not.
        kind: "sample".
    """

    run: str
    case: str
    contender: str
    peer: str
    environment: dict[str, str]
    members: int
    calls: int
    stages: dict[str, float]
    warm_up: list[float]
    steady: list[float]
    score: float
    kind: str = field(default="sample")


def append(path: Path, records: Iterable[Any]) -> None:
    """Writes records, dictionaries, `Timing` or `Sample`, at the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for record in records:
            file.write(dumps(record) + "\n")


def dumps(record: Any) -> str:
    """One line of JSON; numbers with six significant digits."""
    return json.dumps(_rounded(record if isinstance(record, dict) else asdict(record)))


def as_dicts(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Records as they will be read back."""
    return [json.loads(dumps(record)) for record in records]


def load(path: Path) -> list[dict[str, Any]]:
    """All records of a file, as dictionaries."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def latest(records: Sequence[dict[str, Any]], kind: str, case: str) -> dict[str, Any] | None:
    """The last record of a kind that names the case; None if there is none."""
    return next((r for r in reversed(records) if r["kind"] == kind and r.get("case") == case), None)


def run_of(records: Sequence[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """The record of the run that another record belongs to."""
    return next(r for r in records if r["kind"] == "run" and r["run"] == about["run"])


def timings(records: Sequence[dict[str, Any]], run: str, case: str) -> dict[str, Timing]:
    """The contenders of one case in one run, by name."""
    mine = [r for r in records if r["kind"] == "timing" and (r["run"], r["case"]) == (run, case)]
    return {r["contender"]: Timing(**{**r, "accuracy": Interval(**r["accuracy"])}) for r in mine}


def samples(records: Sequence[dict[str, Any]], run: str, task: str) -> dict[str, Sample]:
    """The contenders of one task in one run, by name."""
    mine = [r for r in records if r["kind"] == "sample" and (r["run"], r["case"]) == (run, task)]
    return {r["contender"]: Sample(**r) for r in mine}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value
