"""Compare two sets of records: what has become slower or larger.

A time, of the steady rounds or of the first jobs, has changed if the factor of the medians is
beyond the limit and a rank test on the rounds agrees (Mann and Whitney 1947, p < 0.01), on the same
processor and device. With so few rounds that the test cannot reach this p, all of them must be
slower; that is told and never fails. Times of peers are told and fail nothing.

A count has changed if it differs at all. It fails if it grew, by anything where no compiler decides
it, else by more than 2 %, and if it is beyond the limit in its record. Counts are compared only
where all that decides them is the same: the versions of jax, flax and optax, for compiled programs
also jaxlib's and the processor. What could not be compared is told, with the versions. A count that
the new records lack fails.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.counters import PORTABLE
from benchmarks.record import Records, latest, run_of
from benchmarks.rounds import spread
from benchmarks.tables import number

P = 0.01
WARN = 1.10  # factor of times that is told
SLACK = 1.02  # of counts that a compiler decides
_FEWEST = 3  # rounds that can tell anything


class Comparison(NamedTuple):
    """What changed.

    Attributes:
        text: All changes, one a line.
        failures: The changes that fail.
    """

    text: str
    failures: list[str]


class _Change(NamedTuple):
    """A change, as text, and whether it fails."""

    text: str
    fails: bool


_Pair = tuple[dict[str, Any], dict[str, Any]]  # an old timing and a new one


def compare(a: Records, b: Records, *, fail: float | None = None) -> Comparison:
    """Compare the latest record of every counter and contender that both have.

    Args:
        a: The old records.
        b: The new records.
        fail: Factor of times above which a change fails; None lets no time fail.
    """
    pairs, skipped = _pairs(a, b)
    changes, incomparable = _compare_counters(a, b)
    changes += _compare_times(pairs, fail)
    failures = [change.text for change in changes if change.fails]
    lines = [f"{'FAIL' if change.fails else 'note'} {change.text}" for change in changes]
    lines.append(f"{len(changes)} changes, {len(failures)} failures")
    for reason, n in incomparable.items():
        lines.append(f"not compared: {n} counts, as they were taken with another {reason}")
    if skipped:
        lines.append(
            f"not compared: {skipped} times of another machine or of other work; "
            f"compared: {len(pairs)}"
        )
    return Comparison("\n".join(lines), failures)


def _compare_counters(a: Records, b: Records) -> tuple[list[_Change], dict[str, int]]:
    """Return all changes, and how many counts were not compared, by the reason."""
    changes: list[_Change] = []
    incomparable: dict[str, int] = {}
    for new in _latest_of(b, "counter", ("case",)):
        changes += _beyond_limits(new)
        old = latest(a, "counter", new["case"])
        if old is None:
            changes.append(_Change(f"{new['case']}: not in the baseline", False))
            continue
        for name in sorted(old["counts"]):
            if name not in new["counts"]:
                changes.append(_Change(f"{new['case']}: {name} is no longer counted", True))
                continue
            reason = _difference(name, run_of(a, old), run_of(b, new))
            if reason:
                incomparable[reason] = incomparable.get(reason, 0) + 1
                continue
            before = old["counts"][name]
            after = new["counts"][name]
            if before != after:
                grows = after > before * (1 if name in PORTABLE else SLACK)
                text = f"{new['case']}: {name} {number(before)} -> {number(after)}"
                changes.append(_Change(text, grows))
    return changes, incomparable


def _beyond_limits(new: dict[str, Any]) -> Iterator[_Change]:
    for name, limit in new.get("most", {}).items():
        value = new["counts"][name]
        if value > limit:
            text = f"{new['case']}: {name} {number(value)}, at most {number(limit)}"
            yield _Change(text, True)


def _pairs(a: Records, b: Records) -> tuple[list[_Pair], int]:
    """Return the latest timings that both have, and the number that cannot be compared.

    They cannot where the machine or the work is not the same.
    """
    pairs: list[_Pair] = []
    skipped = 0
    names = ("case", "contender")
    olds = {tuple(r[n] for n in names): r for r in _latest_of(a, "timing", names)}
    for new in _latest_of(b, "timing", names):
        old = olds.get(tuple(new[n] for n in names))
        if old is None:
            continue
        if _work(a, old) == _work(b, new) and _machine(a, old) == _machine(b, new):
            pairs.append((old, new))
        else:
            skipped += 1
    return pairs, skipped


def _compare_times(pairs: Sequence[_Pair], fail: float | None) -> Iterator[_Change]:
    warn = min(WARN, fail or WARN)
    for old, new in pairs:
        name = f"{new['case']}, {new['contender']}"
        measured = {
            name: (old["steady"], new["steady"]),
            f"{name}, first job": (_first_jobs(old), _first_jobs(new)),
        }
        for what, (before, after) in measured.items():
            change = _change(before, after, warn)
            if change is not None:
                factor, p = change
                text = f"{what}: x {factor:.2f} (p = {p:.2g}, n = {len(after)})"
                is_beyond = fail is not None and factor > fail and p < P
                yield _Change(text, is_beyond and "jnn" in new["peer"])


def _first_jobs(record: dict[str, Any]) -> list[float]:
    """Return the seconds of the first jobs of fresh processes, with preparation."""
    pairs = zip(record["prepare_seconds"], record["first_seconds"], strict=True)
    return [prepared + first for prepared, first in pairs]


def _change(
    before: Sequence[float], after: Sequence[float], warn: float
) -> tuple[float, float] | None:
    """Return factor and p where both say that something changed, else None.

    p need only be as small as so few rounds allow.
    """
    from scipy.stats import mannwhitneyu

    if min(len(before), len(after)) < _FEWEST:
        return None
    factor = spread(after).median / spread(before).median
    p = float(mannwhitneyu(before, after).pvalue)
    least = 2 / math.comb(len(before) + len(after), len(after))
    if 1 / warn <= factor <= warn or p > max(P, 1.001 * least):
        return None
    return factor, p


def _latest_of(records: Records, kind: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the last record of a kind for each combination of names."""
    return list({tuple(r[n] for n in names): r for r in records if r["kind"] == kind}.values())


def _machine(records: Records, timing: dict[str, Any]) -> Any:
    run = run_of(records, timing)
    return run["cpu"], run.get("device", "cpu"), run.get("accelerator", "")


def _work(records: Records, timing: dict[str, Any]) -> Any:
    """Return what decides the work of a member's step; a quick job has other epochs and members."""
    names = (timing["run"], timing["case"])
    cases = [r for r in records if r["kind"] == "case" and (r["run"], r["case"]) == names]
    members = timing["members"]
    return [(r.get("epochs"), r.get("batch_size"), members) for r in cases if "epochs" in r]


def _difference(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return what decides a count, besides our own code, and differs; nothing if it is the same."""
    if name.startswith("compilations"):
        return ""
    packages = ["jax", "flax", "optax"]
    if name not in PORTABLE:
        packages.append("jaxlib")
    differences = []
    for package in packages:
        before = old["versions"].get(package)
        after = new["versions"].get(package)
        if before != after:
            differences.append(f"{package} ({before} -> {after})")
    if name not in PORTABLE and old["cpu"] != new["cpu"]:
        differences.append("processor")
    return ", ".join(differences)
