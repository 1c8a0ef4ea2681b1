"""Records: JSON lines, one object each, that hold everything a table is made from.

Kinds: `run` (machine and checkout), `case` (work, ceilings, load), `timing` (the raw rounds of one
contender in a case) and `counter` (counts that must not change unnoticed). All name their run.
Records of the first version, which told jobs (`case`, `timing`) from single calls (`task`,
`sample`), are brought into this form when they are read.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

Records = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Score:
    """Mean of `n` scores with the bounds of its 95 % t interval.

    The score of a single call is exact, so that both bounds are the score itself.
    """

    mean: float
    lower: float
    upper: float
    n: int

    def agrees(self, other: "Score", within: float) -> bool:
        """Return whether the two intervals share a point, or come at least as close as `within`."""
        return self.lower - within <= other.upper and other.lower - within <= self.upper


def mean_score(values: Sequence[float]) -> Score:
    """Return the mean of independent scores; a single one has an unbounded interval.

    The mean is NaN if one of them is, because its training diverged.
    """
    import jnn

    if len(values) == 1:
        return Score(float(values[0]), -math.inf, math.inf, 1)
    if any(map(math.isnan, values)):
        return Score(math.nan, math.nan, math.nan, len(values))
    interval = jnn.stats.t_interval(values)
    return Score(float(interval.mean), float(interval.low), float(interval.high), len(values))


@dataclass(frozen=True)
class Timing:
    """What one contender did in one case.

    Attributes:
        run: Name of the run.
        case: Name of the case.
        contender: Name of the contender.
        peer: Function that did the work.
        environment: Variables set for its process: XLA flags, precision, threads.
        members: Number of members that one call trains or serves.
        calls: Number of calls in a steady round.
        member_steps: Number of steps in one call, summed over the members.
        prepare_seconds: Import and preparation, one value for each fresh process.
        first_seconds: First call of each fresh process, compilation included.
        stages: Seconds of the last preparation by stage, where the library tells them apart.
        warm_up: Microseconds per member and step of the rounds before the steady ones.
        steady: Microseconds per member and step of the steady rounds.
        score: Mean score of all members trained in the last process, or score of the last call.
        kind: "timing".
    """

    run: str
    case: str
    contender: str
    peer: str
    environment: Mapping[str, str]
    members: int
    calls: int
    member_steps: int
    prepare_seconds: list[float]
    first_seconds: list[float]
    stages: Mapping[str, float]
    warm_up: list[float]
    steady: list[float]
    score: Score
    kind: str = field(default="timing")

    def job_seconds(self, member_steps: int, steady: float) -> list[float]:
        """Return the seconds of the whole job with compilation, for each fresh process.

        They are those of the first call, and the rest at the steady pace.

        Args:
            member_steps: Number of steps of the whole job, summed over the members.
            steady: Microseconds per member and step.
        """
        rest = (member_steps - self.member_steps) * steady / 1e6
        return [first + rest for first in self.first_seconds]

    def compile_seconds(self, steady: float) -> list[float]:
        """Return the seconds that the first call took beyond a steady one."""
        return [max(0.0, first - self.member_steps * steady / 1e6) for first in self.first_seconds]


def append(path: Path, records: Iterable[Any]) -> None:
    """Write records, dictionaries or `Timing`, at the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for record in records:
            file.write(dump(record) + "\n")


def dump(record: Any) -> str:
    """Return one line of JSON, with numbers of six significant digits."""
    return json.dumps(_rounded(record if isinstance(record, dict) else asdict(record)))


def as_dicts(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return records as they will be read back."""
    return [_renewed(json.loads(dump(record))) for record in records]


def load(path: Path) -> list[dict[str, Any]]:
    """Return all records of a file, as dictionaries of the present form."""
    lines = path.read_text().splitlines()
    return [_renewed(json.loads(line)) for line in lines if line.strip()]


def latest(records: Records, kind: str, case: str) -> dict[str, Any] | None:
    """Return the last record of a kind that names the case, or None."""
    same = (r for r in reversed(records) if r["kind"] == kind and r.get("case") == case)
    return next(same, None)


def run_of(records: Records, about: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the run that another record belongs to."""
    return next(r for r in records if r["kind"] == "run" and r["run"] == about["run"])


def timings(records: Records, run: str, case: str) -> dict[str, Timing]:
    """Return the contenders of one case in one run, by name."""
    mine = [r for r in records if r["kind"] == "timing" and (r["run"], r["case"]) == (run, case)]
    return {r["contender"]: Timing(**{**r, "score": Score(**r["score"])}) for r in mine}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


def _renewed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record in the present form, which one of the first version is brought into."""
    kind = record["kind"]
    if kind == "task":
        return {**record, "kind": "case"}
    if kind == "case" and "step_flops" in record:
        costs = {"flops": record["step_flops"], "bytes": record["step_bytes"]}
        return {k: v for k, v in record.items() if not k.startswith("step_")} | costs
    if kind == "timing" and "accuracy" in record:
        others = {k: v for k, v in record.items() if k != "accuracy"}
        return {**others, "stages": {}, "score": record["accuracy"]}
    if kind == "sample":
        return _renewed_sample(record)
    return record


def _renewed_sample(record: dict[str, Any]) -> dict[str, Any]:
    score = record["score"]
    stages = dict(record["stages"])
    others = {k: v for k, v in record.items() if k not in ("stages", "score")}
    return {
        **others,
        "kind": "timing",
        "member_steps": record["members"],
        "prepare_seconds": [stages.pop("prepare")] if "prepare" in stages else [],
        "first_seconds": [stages.pop("first")] if "first" in stages else [],
        "stages": stages,
        "score": {"mean": score, "lower": score, "upper": score, "n": 1},
    }
