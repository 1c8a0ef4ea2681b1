"""What a case, a task and a bar are.

A case is a whole job, trained by processes of its own, compilation and accuracy included. A task is one call - a layer,
a step, a prediction - timed in processes that serve all tasks of a suite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.contender import Contender

MATMUL, COPY = "the matmul ceiling", "the copy ceiling"


@dataclass(frozen=True)
class Bar:
    """A ratio of times that the project holds itself to: best of `over` / `under`.

    Attributes:
        claim: As the table prints it.
        over: Names of contenders; the fastest of them counts. Or `MATMUL` or `COPY`: the ratio is then the share of
            that ceiling of the device which `under` reaches.
        under: Name of one contender.
        at_least: The ratio wanted, or
        at_most: its limit.
        of: "step" compares steady time per member-step, "job" the whole job with its compilation, "cold" the job with
            imports and preparation too; "difference" takes over - under in microseconds instead of the ratio.
    """

    claim: str
    over: tuple[str, ...]
    under: str
    at_least: float | None = None
    at_most: float | None = None
    of: Literal["step", "job", "cold", "difference"] = "step"

    def holds(self, ratio: float) -> bool:
        """Whether a measured ratio passes."""
        return (self.at_least is None or ratio >= self.at_least) and (
            self.at_most is None or ratio <= self.at_most
        )

    @property
    def limit(self) -> str:
        """What is wanted, as the table prints it."""
        unit = " us" if self.of == "difference" else ""
        return (
            f">= {self.at_least:g}{unit}"
            if self.at_least is not None
            else f"<= {self.at_most:g}{unit}"
        )


@dataclass(frozen=True)
class Case:
    """One workload, the contenders that train it, and what the table checks.

    Attributes:
        name: On the command line and in the records.
        title: One sentence for the report.
        workload: Function of `workloads.py` and of every peer.
        members: Of the whole job, which is what compilation is weighed against.
        epochs: Trained by every member of every contender.
        batch_size: Rows per step.
        contenders: The first one is the reference that ratios are taken against.
        bars: Ratios wanted.
        least_accuracy: Mean test accuracy below which a timing does not count.
        equal_accuracy: Whether all accuracies have to agree with the reference's within their intervals.
        rounds: Steady rounds of each contender.
        most_warm_ups: Rounds after which warming up gives up waiting for two that agree.
        colds: Fresh processes of each contender whose first job is timed, compilation included.
        device: The only one that it is meant for; None for any.
    """

    name: str
    title: str
    workload: str
    members: int
    epochs: int
    batch_size: int
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...]
    least_accuracy: float
    equal_accuracy: bool = True
    rounds: int = 7
    most_warm_ups: int = 8
    colds: int = 3
    device: str | None = None


@dataclass(frozen=True)
class Task:
    """One call of a function of the peers' files, the contenders that make it, and what the table checks.

    Attributes:
        name: On the command line and in the records.
        function: Of every peer's file.
        arguments: Given to the function's preparation, as JSON; a contender's own are merged in.
        contenders: The first one is the reference. `Contender.members` are what one call does at once.
        bars: Ratios wanted.
        flops: Floating-point operations of one member's call, counted on paper.
        bytes: Least memory traffic of one member's call: what is read and written once.
        agree: Relative difference to the reference's score up to which a timing counts; None asks for no agreement.
        most: Score above which a timing does not count.
        size: The number that a scaling suite takes the slope against.
        together: Whether all contenders work in one process.
        rounds: Steady rounds of each contender.
        seconds: Length of a round that the number of calls is chosen for.
        device: The only one that it is meant for; None for any.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...] = ()
    flops: float = 0.0
    bytes: float = 0.0
    agree: float | None = None
    most: float | None = None
    size: float | None = None
    together: bool = False
    rounds: int = 7
    seconds: float = 0.03
    device: str | None = None


@dataclass(frozen=True)
class Counter:
    """A program of which everything is counted that must not grow unseen.

    Attributes:
        name: On the command line and in the records.
        function: Of `counters.py`.
        arguments: Given to the function.
        most: For names of counts, the limit.
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)


Entry = Case | Task | Counter


def matmul_ceiling(entry: Case | Task) -> str:
    """The name under which a record has the ceiling of the entry's products."""
    is_narrow = isinstance(entry, Task) and entry.arguments.get("precision") == "bfloat16"
    return "matmul_bfloat16_gflops" if is_narrow else "matmul_gflops"
