"""How a number is made: warm-up until rounds agree, contenders interleaved, spread and paired ratios.

Knows nothing of processes or nets: a contender is a function that runs one round and says how long it took.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
QUIET = 0.05  # share of all cores that others may use while the contenders rest


class Round(NamedTuple):
    """One timed piece of work: wall seconds, the member-steps done in them, the scores that the work reached."""

    seconds: float
    member_steps: int
    scores: tuple[float, ...] = ()

    @property
    def microseconds(self) -> float:
        """Wall time of one member-step."""
        return 1e6 * self.seconds / self.member_steps


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of `n` values."""

    median: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Interval:
    """Mean of `n` values with the bounds of its 95 % t interval."""

    mean: float
    lower: float
    upper: float
    n: int

    def agrees(self, other: "Interval", within: float = 0.005) -> bool:
        """Whether the two intervals share a point, or come closer than a difference that matters."""
        return self.lower - within <= other.upper and other.lower - within <= self.upper


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    lower, median, upper = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return Spread(float(median), float(lower), float(upper), len(values))


def interval(values: Sequence[float]) -> Interval:
    """Mean with its 95 % t interval; a single value has an unbounded one."""
    from scipy.stats import t

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, -np.inf, np.inf, n)
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of over_i / under_i: rounds of one sweep meet the same state of the machine."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def paired_difference(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of over_i - under_i."""
    return spread([a - b for a, b in zip(over, under, strict=True)])


def tried(failures: dict[str, str], name: str, call: Callable[[], T]) -> T | None:
    """What the call gives; None where it fails, and `failures` tells of the contender why."""
    try:
        return call()
    except RuntimeError as error:  # a contender that fails must not end the run of the others
        failures[name] = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
        return None


def warm_up(
    play: Callable[[], Round], *, at_least: int = 2, at_most: int = 8, within: float = 0.1
) -> list[Round]:
    """Rounds until the last two differ by at most the share `within`; at least and at most as many as said."""
    rounds: list[Round] = []
    while len(rounds) < at_most:
        rounds.append(play())
        if len(rounds) >= at_least and _agree(rounds[-2:], within):
            break
    return rounds


def warm_ups(
    contenders: Mapping[str, Callable[[], Round]],
    at_most: Mapping[str, int],
    failures: dict[str, str],
) -> dict[str, list[Round]]:
    """Warms every contender up in turn; who fails is left out."""
    warm = {
        n: tried(failures, n, functools.partial(warm_up, p, at_most=at_most[n]))
        for n, p in contenders.items()
    }
    return {name: rounds for name, rounds in warm.items() if rounds is not None}


def interleave(
    contenders: Mapping[str, Callable[[], Round]],
    rounds: int,
    rest: Callable[[], None] = lambda: None,
    failures: dict[str, str] | None = None,
) -> dict[str, list[Round]]:
    """`rounds` sweeps in the order A B C A B C ..., with a rest before each round; who fails is left out."""
    results: dict[str, list[Round]] = {name: [] for name in contenders}
    failures = {} if failures is None else failures
    for _ in range(rounds):
        for name in list(results):
            rest()
            if (played := tried(failures, name, contenders[name])) is None:
                del results[name]
            else:
                results[name].append(played)
    return results


def busy_share(settle: float = 0.2, watch: float = 0.3) -> float | None:
    """Share of all cores in use, stolen time included, while we sleep; None where the system does not tell.

    `settle` lets the spinning threads of the last round go to sleep first.
    """
    time.sleep(settle)
    before = _ticks()
    time.sleep(watch)
    after = _ticks()
    if before is None or after is None or after[1] == before[1]:
        return None
    return (after[0] - before[0]) / (after[1] - before[1])


def _agree(rounds: Sequence[Round], within: float) -> bool:
    first, second = (r.microseconds for r in rounds)
    return abs(first - second) <= within * min(first, second)


def _ticks() -> tuple[int, int] | None:
    """Busy and total clock ticks of the machine since it started."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, idle, wait, *others = map(
        int, stat.read_text().split("\n", 1)[0].split()[1:9]
    )
    busy = user + nice + system + sum(others)
    return busy, busy + idle + wait
