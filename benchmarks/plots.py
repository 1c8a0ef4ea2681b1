"""Three plots of the records: cost per member against M, the roofline of the layers, steps beside peers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Task
from benchmarks.kernel import spread
from benchmarks.record import latest, samples, timings
from benchmarks.report_tasks import found_tasks
from benchmarks.suites import SUITES

Records = Sequence[dict[str, Any]]


def draw(records: Mapping[str, Records], folder: Path) -> list[Path]:
    """Draws every plot whose suite has records; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    return [_saved(PLOTS[name], records, folder / f"{name}.png") for name in drawable(records)]


def drawable(records: Mapping[str, Records]) -> list[str]:
    """The plots whose suite has records."""
    suites = {"population": "population", "roofline": "layers", "peers": "step"}
    return [name for name in PLOTS if records[suites[name]]]


def population(axes: Any, records: Mapping[str, Records]) -> None:
    """Microseconds per member and step against the number of members."""
    for case in SUITES["population"]:
        about = latest(records["population"], "case", case.name)
        if about is None or not isinstance(case, Case):
            continue
        found = timings(records["population"], about["run"], case.name).values()
        points = [(t.members, spread(t.steady)) for t in found if t.peer == "jnn_population"]
        medians = [s.median for _, s in points]
        errors = [[s.median - s.lower for _, s in points], [s.upper - s.median for _, s in points]]
        label = case.name.removeprefix("no_tax_")
        axes.errorbar([m for m, _ in points], medians, errors, marker="o", capsize=3, label=label)
    axes.set(xscale="log", yscale="log", xlabel="members M", ylabel="us per member and step")
    axes.legend()


def roofline(axes: Any, records: Mapping[str, Records]) -> None:
    """What every layer reaches of the machine's ceilings, against its operations per byte."""
    tasks = [t for t in SUITES["layers"] if isinstance(t, Task) and t.flops and t.bytes]
    about = next(r for r in reversed(records["layers"]) if r["kind"] == "task")
    found = found_tasks(records["layers"], tasks)
    for backward, marker in ((False, "o"), (True, "x")):
        mine = [(t, s) for t, s in found if t.arguments["backward"] is backward]
        points = [
            (t.flops / t.bytes, t.flops / spread(s["jnn"].steady).median / 1e3) for t, s in mine
        ]
        x, y = [x for x, _ in points], [y for _, y in points]
        axes.scatter(x, y, marker=marker, label="with backward" if backward else "forward")
    low, high = axes.get_xlim()
    corner = about["matmul_gflops"] / about["copy_gbps"]
    ends = [min(low, corner / 2) if low > 0 else corner / 100, corner, max(high, 2 * corner)]
    axes.plot(
        ends,
        [min(e * about["copy_gbps"], about["matmul_gflops"]) for e in ends],
        "k-",
        label="ceilings",
    )
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GFLOP/s")
    axes.legend()


def peers(axes: Any, records: Mapping[str, Records]) -> None:
    """Time of a training step over jnn's, for every network and peer."""
    rows = []
    for task in SUITES["step"]:
        if about := latest(records["step"], "task", task.name):
            found = samples(records["step"], about["run"], task.name)
            ours = spread(found["jnn"].steady).median
            rows.append(
                (
                    task.name,
                    {n: spread(s.steady).median / ours for n, s in found.items() if n != "jnn"},
                )
            )
    names = list(dict.fromkeys(n for _, ratios in rows for n in ratios))
    for i, name in enumerate(names):
        places = [
            (r + i / (len(names) + 1), ratios[name])
            for r, (_, ratios) in enumerate(rows)
            if name in ratios
        ]
        axes.barh(
            [p for p, _ in places], [v for _, v in places], height=1 / (len(names) + 1), label=name
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set(
        xscale="log", xlabel="time of a step / jnn's", yticks=[r + 0.4 for r in range(len(rows))]
    )
    axes.set_yticklabels([title.split(",")[0] for title, _ in rows])
    axes.legend(fontsize="small")


def _saved(plot: Callable, records: Mapping[str, Records], path: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    plot(axes, records)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return path


PLOTS: dict[str, Callable] = {"population": population, "roofline": roofline, "peers": peers}
