"""Two sets of records: what has become slower or larger.

A time counts as changed only if the factor of the medians is beyond the limit and a rank test on the rounds agrees
(Mann and Whitney 1947, p < 0.01), on the same processor. A count has changed if it differs at all; it fails if it grew:
by anything where no compiler decides it, else by more than 2 %. Counts are compared only where all that decides them is
the baseline's: the versions of jax, flax and optax, for compiled programs also jaxlib's and the processor.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.counters import PORTABLE
from benchmarks.kernel import spread
from benchmarks.record import latest, run_of
from benchmarks.tables import number

P = 0.01
WARN = 1.10  # factor of times that is told
SLACK = 1.02  # of counts that a compiler decides


class Comparison(NamedTuple):
    """All that changed, as text, and what of it fails."""

    text: str
    failures: list[str]


Records = Sequence[dict[str, Any]]


def compare(a: Records, b: Records, *, fail: float | None = None) -> Comparison:
    """Compares the latest record of every counter and contender that both have."""
    changed = [*_counters(a, b), *_times(a, b, fail)]
    lines = [f"{'FAIL' if fails else 'note'} {text}" for text, fails in changed]
    text = "\n".join([*lines, f"{len(changed)} changes, {sum(fails for _, fails in changed)} failures"])
    return Comparison(text, [text for text, fails in changed if fails])


def _counters(a: Records, b: Records) -> list[tuple[str, bool]]:
    found = []
    for new in _latest_of(b, "counter", ("case",)):
        old = latest(a, "counter", new["case"])
        if old is None:
            continue
        for name in sorted(old["counts"].keys() & new["counts"].keys()):
            before, after = old["counts"][name], new["counts"][name]
            if before == after or _decided_by(name, run_of(a, old)) != _decided_by(name, run_of(b, new)):
                continue
            grew = after > before * (1 if name in PORTABLE else SLACK)
            found.append((f"{new['case']}: {name} {number(before)} -> {number(after)}", grew))
    return found


def _times(a: Records, b: Records, fail: float | None) -> list[tuple[str, bool]]:
    from scipy.stats import mannwhitneyu

    found = []
    kinds = [r for kind in ("timing", "sample") for r in _latest_of(b, kind, ("case", "contender"))]
    for new in kinds:
        same = [r for r in a if r["kind"] == new["kind"] and _key(r, new) == _key(new, new)]
        if not same or _work(a, same[-1]) != _work(b, new):
            continue
        old = same[-1]
        if run_of(a, old)["cpu"] != run_of(b, new)["cpu"]:
            continue
        factor = spread(new["steady"]).median / spread(old["steady"]).median
        p = float(mannwhitneyu(old["steady"], new["steady"]).pvalue)
        if p < P and not 1 / WARN <= factor <= WARN:
            text = f"{new['case']}, {new['contender']}: x {factor:.2f} (p = {p:.2g}, n = {len(new['steady'])})"
            found.append((text, fail is not None and factor > fail))
    return found


def _latest_of(records: Records, kind: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return list({tuple(r[n] for n in names): r for r in records if r["kind"] == kind}.values())


def _key(record: dict[str, Any], like: dict[str, Any]) -> tuple:
    return tuple(record[n] for n in ("case", "contender") if n in like)


def _work(records: Records, timing: dict[str, Any]) -> Any:
    """What a member-step of a case is: a quick run has other epochs and members."""
    about = [r for r in records if r["kind"] == "case" and (r["run"], r["case"]) == (timing["run"], timing["case"])]
    return [(r["epochs"], r["batch_size"], timing["members"]) for r in about]


def _decided_by(name: str, run: dict[str, Any]) -> list[Any]:
    """What decides a count, besides our own code."""
    if name.startswith("compilations"):
        return []
    versions = [run["versions"].get(package) for package in ("jax", "flax", "optax")]
    return versions if name in PORTABLE else [*versions, run["versions"].get("jaxlib"), run["cpu"]]
