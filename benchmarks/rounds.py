"""How a number is made: warm-up until rounds agree, contenders interleaved, spread, paired ratios.

Nothing here knows of processes or networks: a contender is a function that plays one round and says
how long it took.
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
    """One timed piece of work.

    Attributes:
        seconds: Wall time.
        member_steps: Number of steps, or of single calls, summed over the members.
    """

    seconds: float
    member_steps: int

    @property
    def microseconds(self) -> float:
        """Wall time of one member's step."""
        return 1e6 * self.seconds / self.member_steps


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of `n` values."""

    median: float
    lower: float
    upper: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles."""
    lower, median, upper = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return Spread(float(median), float(lower), float(upper), len(values))


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the spread of over_i / under_i.

    The rounds of one sweep meet the same state of the machine.
    """
    return spread([a / b for a, b in zip(over, under, strict=True)])


def paired_difference(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the spread of over_i - under_i."""
    return spread([a - b for a, b in zip(over, under, strict=True)])


def attempt(failures: dict[str, str], name: str, call: Callable[[], T]) -> T | None:
    """Return what the call returns, or None where it fails.

    `failures` then holds the reason under the name of the contender. A contender that fails must
    not end the run of the others.
    """
    try:
        return call()
    except RuntimeError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        failures[name] = lines[-1][:200]
        return None


def warm_up(
    play: Callable[[], Round], *, at_least: int = 2, at_most: int = 8, within: float = 0.1
) -> list[Round]:
    """Play rounds until the last two differ by at most the share `within`.

    At least `at_least` and at most `at_most` rounds are played.
    """
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
    """Warm up one contender after the other; one that fails is left out."""
    warm: dict[str, list[Round]] = {}
    for name, play in contenders.items():
        call = functools.partial(warm_up, play, at_most=at_most[name])
        rounds = attempt(failures, name, call)
        if rounds is not None:
            warm[name] = rounds
    return warm


def interleave(
    contenders: Mapping[str, Callable[[], Round]],
    rounds: int,
    rest: Callable[[], None] = lambda: None,
    failures: dict[str, str] | None = None,
) -> dict[str, list[Round]]:
    """Play `rounds` sweeps in the order A B C A B C ..., with a rest before each round.

    A contender that fails is left out.
    """
    results: dict[str, list[Round]] = {name: [] for name in contenders}
    failures = {} if failures is None else failures
    for _ in range(rounds):
        for name in list(results):
            rest()
            played = attempt(failures, name, contenders[name])
            if played is None:
                del results[name]
            else:
                results[name].append(played)
    return results


def busy_share(settle: float = 0.2, watch: float = 0.3) -> float | None:
    """Return the share of all cores in use while we sleep, or None where the system does not tell.

    Stolen time is included. `settle` lets the spinning threads of the last round go to sleep first.
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
    """Return busy and total clock ticks of the machine since it started."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    user, nice, system, idle, wait, *others = ticks
    busy = user + nice + system + sum(others)
    return busy, busy + idle + wait
