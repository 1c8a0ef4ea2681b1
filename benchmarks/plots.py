"""Three plots of the records: populations, the roofline of the layers, steps beside the peers'."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.case import Case
from benchmarks.record import Records
from benchmarks.report import latest_runs
from benchmarks.rounds import spread
from benchmarks.suites import SUITES


def draw(records: Mapping[str, Records], folder: Path) -> list[Path]:
    """Draw every plot whose suite has records, and return their paths."""
    import matplotlib

    matplotlib.use("Agg")
    return [_save(PLOTS[name], records, folder / f"{name}.png") for name in drawable(records)]


def drawable(records: Mapping[str, Records]) -> list[str]:
    """Return the plots whose suite has records."""
    suites = {"population": "population", "roofline": "layers", "peers": "step"}
    return [name for name in PLOTS if records[suites[name]]]


def population(axes: Any, records: Mapping[str, Records]) -> None:
    """Plot microseconds per member and step against the number of members."""
    for case, _, contenders in _latest(records, "population"):
        timings = [t for t in contenders.values() if t.contender == f"M = {t.members}"]
        spreads = [spread(t.steady) for t in timings]
        axes.errorbar(
            [t.members for t in timings],
            [s.median for s in spreads],
            [[s.median - s.lower for s in spreads], [s.upper - s.median for s in spreads]],
            marker="o",
            capsize=3,
            label=case.name.removeprefix("no_tax_"),
        )
    axes.set(xscale="log", yscale="log", xlabel="members M", ylabel="us per member and step")
    axes.legend()


def roofline(axes: Any, records: Mapping[str, Records]) -> None:
    """Plot what every layer reaches of the machine's ceilings against its operations per byte."""
    measured = _latest(records, "layers")
    measured = [(c, t) for c, _, t in measured if c.flops and c.bytes and "jnn" in t]
    about = next(r for r in reversed(records["layers"]) if r["kind"] == "case")
    for backward, marker in ((False, "o"), (True, "x")):
        same = [(c, t["jnn"]) for c, t in measured if c.arguments["backward"] is backward]
        intensities = [case.flops / case.bytes for case, _ in same]
        gflops = [case.flops / spread(t.steady).median / 1e3 for case, t in same]
        label = "with backward" if backward else "forward"
        axes.scatter(intensities, gflops, marker=marker, label=label)
    low, high = axes.get_xlim()
    corner = about["matmul_gflops"] / about["copy_gbps"]
    low = min(low, corner / 2) if low > 0 else corner / 100
    ends = [low, corner, max(high, 2 * corner)]
    ceiling = [min(end * about["copy_gbps"], about["matmul_gflops"]) for end in ends]
    axes.plot(ends, ceiling, "k-", label="ceilings")
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GFLOP/s")
    axes.legend()


def peers(axes: Any, records: Mapping[str, Records]) -> None:
    """Plot the time of a training step over jnn's for every network and peer."""
    networks = []
    rows = []
    for case, _, contenders in _latest(records, "step"):
        medians = {name: spread(t.steady).median for name, t in contenders.items()}
        jnn = medians.pop("jnn")
        networks.append(case.name.split(",")[0])
        rows.append({name: median / jnn for name, median in medians.items()})
    names = list(dict.fromkeys(name for ratios in rows for name in ratios))
    height = 1 / (len(names) + 1)
    for i, name in enumerate(names):
        places = [row + i * height for row, ratios in enumerate(rows) if name in ratios]
        values = [ratios[name] for ratios in rows if name in ratios]
        axes.barh(places, values, height=height, label=name)
    axes.axvline(1, color="black", linewidth=1)
    ticks = [row + 0.4 for row in range(len(rows))]
    axes.set(xscale="log", xlabel="time of a step / jnn's", yticks=ticks)
    axes.set_yticklabels(networks)
    axes.legend(fontsize="small")


def _latest(records: Mapping[str, Records], suite: str) -> list:
    cases = [entry for entry in SUITES[suite] if isinstance(entry, Case)]
    return latest_runs(records[suite], cases)


def _save(plot: Callable, records: Mapping[str, Records], path: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    plot(axes, records)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return path


PLOTS: dict[str, Callable] = {"population": population, "roofline": roofline, "peers": peers}
