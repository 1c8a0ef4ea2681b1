"""What a case and a bar are."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.contender import Contender


@dataclass(frozen=True)
class Bar:
    """A ratio of times that the project holds itself to: best of `over` / `under`.

    Attributes:
        claim: As the table prints it.
        over: Names of contenders; the fastest of them counts.
        under: Name of one contender.
        at_least: The ratio wanted, or
        at_most: its limit.
        of: "step" compares steady time per member-step, "job" the whole job with its compilation.
    """

    claim: str
    over: tuple[str, ...]
    under: str
    at_least: float | None = None
    at_most: float | None = None
    of: Literal["step", "job"] = "step"

    def holds(self, ratio: float) -> bool:
        """Whether a measured ratio passes."""
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)


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
