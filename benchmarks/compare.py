"""Two sets of records: what has become slower or larger.

A time, of the steady rounds or of the first jobs, counts as changed only if the factor of the medians is beyond the
limit and a rank test on the rounds agrees (Mann and Whitney 1947, p < 0.01; of fewer rounds than can show that all must
be slower, which is told and never fails), on the same processor and device. Peers' times are told and fail nothing. A
count has changed if it differs at all; it fails if it grew: by anything where no compiler decides it, else by more than
2 %; and if it is beyond the limit that its record has. Counts are compared only where all that decides them is the
baseline's: the versions of jax, flax and optax, for compiled programs also jaxlib's and the processor. What could not
be compared is told, with the versions; a count that the new records lack fails.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.counters import PORTABLE
from benchmarks.kernel import spread
from benchmarks.record import latest, run_of
from benchmarks.tables import number

P = 0.01
WARN = 1.10  # factor of times that is told
SLACK = 1.02  # of counts that a compiler decides
_FEWEST = 3  # rounds that can tell anything


class Comparison(NamedTuple):
    """All that changed, as text, and what of it fails."""

    text: str
    failures: list[str]


Records = Sequence[dict[str, Any]]


def compare(a: Records, b: Records, *, fail: float | None = None) -> Comparison:
    """Compares the latest record of every counter and contender that both have."""
    pairs, skipped = _pairs(a, b)
    counters, apart = _counters(a, b)
    changed = [*counters, *_times(pairs, fail)]
    lines = [f"{'FAIL' if fails else 'note'} {text}" for text, fails in changed]
    lines.append(f"{len(changed)} changes, {sum(fails for _, fails in changed)} failures")
    lines += [
        f"not compared: {many} counts, as they were taken with another {what}"
        for what, many in apart.items()
    ]
    if skipped:
        lines.append(
            f"not compared: {skipped} times of another machine or of other work; compared: {len(pairs)}"
        )
    text = "\n".join(lines)
    return Comparison(text, [text for text, fails in changed if fails])


def _counters(a: Records, b: Records) -> tuple[list[tuple[str, bool]], dict[str, int]]:
    """What changed or is beyond its limit; how many counts were not compared, by what decides them otherwise."""
    found: list[tuple[str, bool]] = []
    apart: dict[str, int] = {}
    for new in _latest_of(b, "counter", ("case",)):
        limits, counts = new.get("most", {}), new["counts"]
        beyond = [name for name in limits if counts[name] > limits[name]]
        found += [
            (f"{new['case']}: {n} {number(counts[n])}, at most {number(limits[n])}", True)
            for n in beyond
        ]
        old = latest(a, "counter", new["case"])
        if old is None:
            found.append((f"{new['case']}: not in the baseline", False))
            continue
        found += [
            (f"{new['case']}: {name} is no longer counted", True)
            for name in old["counts"].keys() - counts.keys()
        ]
        for name in sorted(old["counts"].keys() & counts.keys()):
            before, after = old["counts"][name], counts[name]
            if differing := _differing(name, run_of(a, old), run_of(b, new)):
                apart[differing] = apart.get(differing, 0) + 1
            elif before != after:
                grew = after > before * (1 if name in PORTABLE else SLACK)
                found.append((f"{new['case']}: {name} {number(before)} -> {number(after)}", grew))
    return found, apart


def _pairs(a: Records, b: Records) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], int]:
    """The latest timings of each contender in both, and how many more are not of the same work and machine."""
    pairs, skipped = [], 0
    for new in (
        r for kind in ("timing", "sample") for r in _latest_of(b, kind, ("case", "contender"))
    ):
        same = [r for r in a if r["kind"] == new["kind"] and _key(r, new) == _key(new, new)]
        if (
            same
            and _work(a, same[-1]) == _work(b, new)
            and _machine(a, same[-1]) == _machine(b, new)
        ):
            pairs.append((same[-1], new))
        else:
            skipped += bool(same)
    return pairs, skipped


def _times(
    pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], fail: float | None
) -> Iterator[tuple[str, bool]]:
    for old, new in pairs:
        for what, before, after in zip(
            ("", ", first job"), _measured(old), _measured(new), strict=True
        ):
            if (change := _change(before, after, min(WARN, fail or WARN))) is not None:
                factor, p = change
                text = f"{new['case']}, {new['contender']}{what}: x {factor:.2f} (p = {p:.2g}, n = {len(after)})"
                yield text, fail is not None and factor > fail and p < P and "jnn" in new["peer"]


def _measured(record: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The steady rounds; the first jobs of fresh processes, where there are any."""
    firsts = zip(record.get("prepare_seconds", ()), record.get("first_seconds", ()), strict=True)
    return record["steady"], [prepared + first for prepared, first in firsts]


def _change(
    before: Sequence[float], after: Sequence[float], warn: float
) -> tuple[float, float] | None:
    """Factor and p where both say that something changed; p may be as small as so few rounds allow."""
    from scipy.stats import mannwhitneyu

    if min(len(before), len(after)) < _FEWEST:
        return None
    factor = spread(after).median / spread(before).median
    p = float(mannwhitneyu(before, after).pvalue)
    least = 2 / math.comb(len(before) + len(after), len(after))
    return None if 1 / warn <= factor <= warn or p > max(P, 1.001 * least) else (factor, p)


def _latest_of(records: Records, kind: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return list({tuple(r[n] for n in names): r for r in records if r["kind"] == kind}.values())


def _key(record: dict[str, Any], like: dict[str, Any]) -> tuple:
    return tuple(record[n] for n in ("case", "contender") if n in like)


def _machine(records: Records, timing: dict[str, Any]) -> Any:
    run = run_of(records, timing)
    return run["cpu"], run.get("device", "cpu"), run.get("accelerator", "")


def _work(records: Records, timing: dict[str, Any]) -> Any:
    """What a member-step of a case is: a quick run has other epochs and members."""
    about = [
        r
        for r in records
        if r["kind"] == "case" and (r["run"], r["case"]) == (timing["run"], timing["case"])
    ]
    return [(r["epochs"], r["batch_size"], timing["members"]) for r in about]


def _differing(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """What of that which decides a count, besides our own code, is not the same; empty if nothing."""
    if name.startswith("compilations"):
        return ""
    packages = ("jax", "flax", "optax") if name in PORTABLE else ("jax", "flax", "optax", "jaxlib")
    versions = [(p, old["versions"].get(p), new["versions"].get(p)) for p in packages]
    differing = [f"{p} ({before} -> {after})" for p, before, after in versions if before != after]
    return ", ".join(
        differing + (["processor"] if name not in PORTABLE and old["cpu"] != new["cpu"] else [])
    )
