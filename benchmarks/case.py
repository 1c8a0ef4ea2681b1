"""What is measured: a case, the bars that its times are held to, and a counter.

A case is one piece of work and the contenders that do it. The work is either a whole training job,
done in processes of its own and timed with its compilation, or a single call (a layer, a training
step, a prediction) in processes that serve all cases of a suite.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.contender import Contender

MATMUL = "the matmul ceiling"
COPY = "the copy ceiling"


@dataclass(frozen=True)
class Bar:
    """A ratio of times that the project holds itself to: the best of `over` divided by `under`.

    Attributes:
        claim: Sentence in the table.
        over: Names of contenders, of which the fastest counts; or `MATMUL` or `COPY`, for which the
            ratio is the share of that ceiling of the device which `under` reaches.
        under: Name of one contender.
        at_least: Lower limit of the ratio, or None.
        at_most: Upper limit of the ratio, or None.
        of: Time that is compared. "step" is the steady time of one member's step or call, "job" the
            whole job with its compilation, "cold" the job with imports and preparation too.
            "difference" is over - under in microseconds instead of a ratio.
    """

    claim: str
    over: tuple[str, ...]
    under: str
    at_least: float | None = None
    at_most: float | None = None
    of: Literal["step", "job", "cold", "difference"] = "step"

    def holds(self, ratio: float) -> bool:
        """Return whether a measured ratio is within the limits."""
        is_high_enough = self.at_least is None or ratio >= self.at_least
        is_low_enough = self.at_most is None or ratio <= self.at_most
        return is_high_enough and is_low_enough

    @property
    def limit(self) -> str:
        """The limit as tables print it."""
        unit = " us" if self.of == "difference" else ""
        if self.at_least is not None:
            return f">= {self.at_least:g}{unit}"
        return f"<= {self.at_most:g}{unit}"


@dataclass(frozen=True)
class Job:
    """A whole training job.

    Attributes:
        workload: Name in `workloads.WORKLOADS`: the rows and the network.
        members: Number of members of the whole job, which the time to compile is weighed against.
        epochs: Number of epochs that each member trains.
        batch_size: Number of rows in a step.
        cold_starts: Number of fresh processes of each contender whose first job is timed.
        most_warm_ups: Number of rounds after which the warm-up no longer waits for two that agree.
    """

    workload: str
    members: int
    epochs: int
    batch_size: int
    cold_starts: int = 3
    most_warm_ups: int = 8


@dataclass(frozen=True)
class Quality:
    """What the mean score of a contender must fulfil for its timing to count.

    Attributes:
        least: Smallest score that counts, such as a test accuracy.
        most: Largest score that counts, such as a loss.
        absolute: Distance from the interval of the first contender's scores that still counts as
            agreement, or None where agreement is not asked for.
        relative: The same as a share of the first contender's mean.
    """

    least: float = -math.inf
    most: float = math.inf
    absolute: float | None = None
    relative: float | None = None


@dataclass(frozen=True)
class Case:
    """One piece of work, the contenders that do it, and what their times must fulfil.

    Attributes:
        name: Name on the command line and in the records.
        contenders: Contenders. The first is the reference that ratios are taken against.
        bars: Ratios that the project holds itself to.
        title: Sentence for the report.
        job: The training job, or None for a single call.
        arguments: Arguments of the contenders' functions for a single call, written as JSON.
        flops: Floating-point operations of one member's call, counted on paper. For a job they
            follow from its network.
        bytes: Least memory traffic of one member's call: what is read and written once.
        quality: What a score must fulfil for the timing to count.
        size: The number that the suite `scaling` takes the slope against.
        together: Whether all contenders work in one process, because processes differ by more than
            the contenders do.
        rounds: Number of steady rounds of each contender.
        seconds: Length of a round, which the number of single calls is chosen for.
        device: The only device that the case is meant for; None for any.
    """

    name: str
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...] = ()
    title: str = ""
    job: Job | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    flops: float = 0.0
    bytes: float = 0.0
    quality: Quality = Quality()
    size: float | None = None
    together: bool = False
    rounds: int = 7
    seconds: float = 0.03
    device: str | None = None

    @property
    def matmul_ceiling(self) -> str:
        """The name under which a record keeps the ceiling of the case's matrix products."""
        is_narrow = self.arguments.get("precision") == "bfloat16"
        return "matmul_bfloat16_gflops" if is_narrow else "matmul_gflops"


@dataclass(frozen=True)
class Counter:
    """A program whose counts must not grow unnoticed.

    Attributes:
        name: Name on the command line and in the records.
        function: Function in `counters.py`.
        arguments: Arguments of the function.
        most: Upper limits, by the names of counts.
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The device that counts are taken on."""
        return "cpu"


Entry = Case | Counter
