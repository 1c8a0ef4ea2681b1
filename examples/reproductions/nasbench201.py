"""Reproduce the searches of NAS-Bench-201: 500 runs of each strategy are one vmapped program.

    JNN_DATA=FOLDER python examples/reproductions/nasbench201.py [--quick] [--runs N]
                                                                 [--evaluations N] [--output FILE]

Dong and Yang, NAS-Bench-201 (2020, https://arxiv.org/abs/2001.00326), table 5: a cell has six edges
with five operations each, which makes 15,625 cells. A search sees the validation accuracy after 12
epochs, and is judged by the test accuracy after 200 epochs of the best cell that it saw.
Regularized evolution has a population of 10 and tournaments of 3, REINFORCE a rate of .01.

What is not the same. The paper's budget is in seconds of simulated training, which the tables at
hand do not have; ours is a number of evaluations, and rows are compared at 100, a number that was
fixed beforehand. Their +- is the standard deviation over 500 runs; the standard error of the row is
that over sqrt(500). BOHB's model is `jnn.search.discrete.bohb`, whose bandwidths differ.

Sources of the published rows. Random search on CIFAR-10 and ImageNet16-120, and REINFORCE on all
three sets, were found as later work quotes them (of LLMatic, 2024, in reviews; of RMI-NAS, 2022, in
the README of https://github.com/MAC-AutoML/XNAS). The other rows are recalled from memory and not
confirmed; they are printed apart, and not judged. Accuracies after 200 epochs are NATS-Bench's.
"""

import csv
import gzip
import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _record import Row, arguments, record_path, save, show

from jnn.search import discrete

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
OPTIONS = (len(OPERATIONS),) * 6
SETS = {  # columns of the validation accuracy after 12 epochs, of the test accuracy after 200
    "CIFAR-10": ("cifar10-val", "CIFAR10TestAccuracy200Epochs"),
    "CIFAR-100": ("cifar100-val", "CIFAR100TestAccuracy200Epochs"),
    "ImageNet16-120": ("imagenet-val", "ImageNetTestAccuracy200Epochs"),
}
PUBLISHED = {  # mean and standard deviation over 500 runs, found as later papers quote them
    ("random", "CIFAR-10"): (93.70, 0.36),
    ("random", "ImageNet16-120"): (44.57, 1.25),
    ("REINFORCE", "CIFAR-10"): (93.85, 0.37),
    ("REINFORCE", "CIFAR-100"): (71.71, 1.09),
    ("REINFORCE", "ImageNet16-120"): (45.24, 1.18),
}
RECALLED = {  # the same from memory, not confirmed
    ("random", "CIFAR-100"): (71.04, 1.07),
    ("evolution", "CIFAR-10"): (93.92, 0.30),
    ("evolution", "CIFAR-100"): (71.84, 0.99),
    ("evolution", "ImageNet16-120"): (45.54, 1.03),
    ("BOHB model", "CIFAR-10"): (93.61, 0.52),
    ("BOHB model", "CIFAR-100"): (70.85, 1.28),
    ("BOHB model", "ImageNet16-120"): (44.42, 1.49),
}
PUBLISHED_RUNS = 500
CURVE = (10, 20, 50, 100, 150, 200, 300)  # numbers of evaluations that are printed


def read(file: str, cell: str, columns: list[str]) -> list[np.ndarray]:
    """Return columns of a table of all cells, each indexed by the operations of the six edges."""
    folder = Path(os.environ.get("JNN_DATA", "data")) / "nasbench201"
    tables = [np.full(OPTIONS, np.nan, np.float32) for _ in columns]
    with gzip.open(folder / file, "rt") as lines:
        for row in csv.DictReader(lines):
            edges = [edge.split("~")[0] for edge in row[cell].replace("+", "").split("|") if edge]
            place = tuple(map(OPERATIONS.index, edges))
            for table, column in zip(tables, columns, strict=True):
                table[place] = float(row[column])
    assert all(np.isfinite(table).all() for table in tables), f"{file} must list every cell"
    return tables


def strategies(evaluations: int) -> dict[str, discrete.Discrete]:
    """Return the strategies of the table."""
    return {
        "random": discrete.random(OPTIONS),
        "evolution": discrete.evolution(OPTIONS, population=10, tournament=3),
        "REINFORCE": discrete.reinforce(OPTIONS, learning_rate=0.01),
        "BOHB model": discrete.bohb(OPTIONS, capacity=max(14, evaluations)),
    }


def make_runs(strategy: discrete.Discrete, evaluations: int):
    """Make the function of keys and two tables that runs one search for each key.

    It returns the test accuracy, after 200 epochs, of the cell that is the best so far by its
    validation accuracy after 12, [runs, evaluations].
    """

    def one(key: jax.Array, validation: jax.Array, test: jax.Array) -> jax.Array:
        settings, scores = discrete.simulate(
            strategy, lambda setting: validation[tuple(setting)], evaluations, key
        )
        later_is_better = lambda a, b: jnp.where(scores[b] > scores[a], b, a)  # noqa: E731
        best = jax.lax.associative_scan(later_is_better, jnp.arange(evaluations))
        return test[tuple(settings[best].T)]

    return jax.jit(jax.vmap(one, in_axes=(0, None, None)))


def reached(mean: np.ndarray, target: float) -> int | None:
    """Return the number of evaluations after which the mean curve reaches a target."""
    above = np.flatnonzero(mean >= target)
    return int(above[0]) + 1 if len(above) else None


def compare(place: tuple[str, str], ours: np.ndarray, curve: np.ndarray) -> dict[str, Any]:
    """Print our values of a strategy on a set beside the published ones, and return them."""
    mean, deviation = (PUBLISHED | RECALLED)[place]
    after = reached(curve, mean)
    when = "not in these" if after is None else f"after {after}"
    source = "published" if place in PUBLISHED else "recalled, not confirmed"
    print(
        f"{place[0]}, {place[1]}: ours {ours.mean():.2f} +- {ours.std(ddof=1):.2f}, {source} "
        f"{mean:.2f} +- {deviation:.2f}, which ours reaches {when} evaluations"
    )
    return {
        "strategy": place[0],
        "set": place[1],
        "mean": ours.mean(),
        "deviation": ours.std(ddof=1),
        "published_mean": mean,
        "published_deviation": deviation,
        "source_found": place in PUBLISHED,
        "evaluations_to_reach_it": after,
    }


def summary(values: np.ndarray) -> dict[str, list[float]]:
    """Return mean and standard deviation over the runs, at some numbers of evaluations."""
    return {
        str(n): [values[:, n - 1].mean(), values[:, n - 1].std(ddof=1)]
        for n in CURVE
        if n <= values.shape[1]
    }


def draw(curves: dict[tuple[str, str], np.ndarray], path: Path) -> None:
    """Draw the mean curves of all strategies, a panel for each set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, len(SETS))
    for panel, name in zip(panels, SETS, strict=True):
        for (strategy, dataset), values in curves.items():
            if dataset == name:
                numbers = np.arange(1, values.shape[1] + 1)
                error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
                mean = values.mean(axis=0)
                (line,) = panel.plot(numbers[9:], mean[9:], label=strategy)
                low, high = mean - 1.96 * error, mean + 1.96 * error
                panel.fill_between(
                    numbers[9:], low[9:], high[9:], color=line.get_color(), alpha=0.2
                )
        panel.set(title=name, xlabel="evaluations", xscale="log")
    panels[0].set_ylabel("test accuracy in % after 200 epochs")
    panels[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run all searches, print the curves and the table, and check the scores."""
    options = arguments(__doc__, runs=500, evaluations=300)
    runs, evaluations = (20, 100) if options.quick else (options.runs, options.evaluations)
    compared = min(100, evaluations)
    validation = read(
        "nasbench201_12ep.csv.gz", "cellstr", [columns[0] for columns in SETS.values()]
    )
    test = read(
        "nats_bench_tss_200ep_test.csv.gz",
        "ArchitectureString",
        [columns[1] for columns in SETS.values()],
    )
    keys = jax.random.split(jax.random.key(0), runs)
    curves, seconds = {}, {}
    for strategy, made in strategies(evaluations).items():
        search = make_runs(made, evaluations)
        start = time.perf_counter()
        for name, *tables in zip(SETS, validation, test, strict=True):
            curves[strategy, name] = np.asarray(search(keys, *tables), np.float64)
        seconds[strategy] = time.perf_counter() - start
        for name in SETS:
            cells = "  ".join(
                f"{n}: {mean:.2f} +- {deviation:.2f}"
                for n, (mean, deviation) in summary(curves[strategy, name]).items()
            )
            print(f"{strategy}, {name}, N evaluations: {cells}", flush=True)
    at = {place: values[:, compared - 1] for place, values in curves.items()}
    rows = [
        Row(f"{strategy}, {name}", at[strategy, name], mean, deviation / PUBLISHED_RUNS**0.5, 0.005)
        for (strategy, name), (mean, deviation) in PUBLISHED.items()
    ]
    show(f"Test accuracy in % after {compared} evaluations, {runs} runs", rows)
    figures = [compare(place, at[place], curves[place].mean(axis=0)) for place in curves]
    print({name: round(value, 1) for name, value in seconds.items()}, "seconds, with compilation")
    path = record_path("nasbench201", options)
    if path is not None:
        draw(curves, path.with_suffix(".png"))
    save(
        "nasbench201",
        rows,
        options,
        evaluations=compared,
        runs=runs,
        seconds=seconds,
        figures=figures,
        curves={", ".join(place): summary(values) for place, values in curves.items()},
        not_run="budgets in seconds, and the methods that share weights",
    )
    for name in SETS:
        gap = at["evolution", name].mean() - at["random", name].mean()
        assert options.quick or gap > 0, f"evolution must beat random search on {name}, got {gap}"
        assert at["random", name].mean() > np.median(test[list(SETS).index(name)])


if __name__ == "__main__":
    main()
