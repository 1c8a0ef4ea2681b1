"""The table of coverage in `docs/statistics.md`: how often 95 % intervals hold the truth.

    python -m docs._generate.coverage     # writes the table into the page

tests/test_docs_coverage.py measures it again, with fewer simulations.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from docs._generate.differences import page_with
from jnn import stats

PAGE = Path(__file__).parents[1] / "statistics.md"
TRIALS = 2000  # simulations of each row
Draw = Callable[[np.random.Generator], np.ndarray]
Between = Callable[[np.ndarray], tuple[float, float]]


class Case(NamedTuple):
    """Scores whose true mean is known, jnn's interval for them, and the usual one."""

    what: str
    draw: Draw
    truth: float
    name: str  # of jnn's interval
    ours: Between
    usual_name: str
    usual: Between


def ends(interval: stats.Interval) -> tuple[float, float]:
    """Return the low and the high end."""
    return interval.low, interval.high


def normal(values: np.ndarray) -> tuple[float, float]:
    """Return mean ± 1.96 s / sqrt(n) over all values."""
    half = 1.96 * values.std(ddof=1) / math.sqrt(values.size)
    return values.mean() - half, values.mean() + half


def wald(values: np.ndarray) -> tuple[float, float]:
    """Return p ± 1.96 sqrt(p (1 - p) / n) for zeros and ones."""
    p = values.mean()
    half = 1.96 * math.sqrt(p * (1 - p) / values.size)
    return p - half, p + half


def ridge(repeats: int) -> Draw:
    """Return a function that draws the test errors of ridge regression, [repeats, 5 folds]."""

    def draw(rng: np.random.Generator, rows: int = 40, inputs: int = 4) -> np.ndarray:
        beta = np.ones(inputs) / math.sqrt(inputs)
        x = rng.normal(size=(rows, inputs))
        y = x @ beta + rng.normal(size=rows)
        errors = np.empty((repeats, 5))
        for repeat in range(repeats):
            for fold, test in enumerate(np.split(rng.permutation(rows), 5)):
                train = np.delete(np.arange(rows), test)
                gram = x[train].T @ x[train] + np.eye(inputs)
                fit = np.linalg.solve(gram, x[train].T @ y[train])
                errors[repeat, fold] = ((y[test] - x[test] @ fit) ** 2).mean()
        return errors

    return draw


def crossed(rng: np.random.Generator) -> np.ndarray:
    """Draw scores [10 seeds, 5 folds] in which seeds, folds and the rest vary alike."""
    return rng.normal(size=(10, 1)) + rng.normal(size=(1, 5)) + rng.normal(size=(10, 5))


def true_error(inputs: int = 4, fits: int = 20_000) -> float:
    """Return the expected error of ridge regression on 32 rows, within about 0.001."""
    rng = np.random.default_rng(1)
    beta = np.ones(inputs) / math.sqrt(inputs)
    x = rng.normal(size=(fits, 32, inputs))
    y = x @ beta + rng.normal(size=(fits, 32))
    gram = x.transpose(0, 2, 1) @ x + np.eye(inputs)
    fit = np.linalg.solve(gram, x.transpose(0, 2, 1) @ y[..., None])[..., 0]
    return float(1 + ((fit - beta) ** 2).sum(axis=1).mean())


def ridge_case(what: str, repeats: int, error: float) -> Case:
    """Return the row of a cross-validation by 5 folds, repeated or not."""
    return Case(
        what,
        ridge(repeats),
        error,
        "corrected_interval",
        lambda v: ends(stats.corrected_interval(v.ravel(), 32, 8)),
        f"t of {5 * repeats} scores",
        lambda v: ends(stats.t_interval(v.ravel())),
    )


def cases() -> list[Case]:
    """Return the rows of the table."""
    error = true_error()
    return [
        Case(
            "5 seeds, normal",
            lambda rng: rng.normal(size=5),
            0.0,
            "t_interval",
            lambda v: ends(stats.t_interval(v)),
            "mean ± 1.96 s / √n",
            normal,
        ),
        ridge_case("5 folds of 40 rows, ridge regression", 1, error),
        ridge_case("5 folds, repeated 10 times, ridge regression", 10, error),
        Case(
            "10 seeds x 5 folds, each with an effect",
            crossed,
            0.0,
            "seed_fold_interval",
            lambda v: ends(stats.seed_fold_interval(v, 4, 1)),
            "t of 50 scores",
            lambda v: ends(stats.t_interval(v.ravel())),
        ),
        Case(
            "accuracy 0.95 on 50 test rows",
            lambda rng: rng.random(50) < 0.95,
            0.95,
            "proportion_interval",
            lambda v: ends(stats.proportion_interval(int(v.sum()), v.size)),
            "p ± 1.96 √(p (1 - p) / n)",
            wald,
        ),
        Case(
            "20 values, exponential",
            lambda rng: rng.exponential(size=20),
            1.0,
            "bootstrap_interval",
            lambda v: ends(stats.bootstrap_interval(v, resamples=500)),
            "mean ± 1.96 s / √n",
            normal,
        ),
    ]


def measure(case: Case, trials: int) -> tuple[float, float]:
    """Return the shares of simulations in which jnn's and the usual interval hold the truth."""
    rng = np.random.default_rng(0)
    held = np.zeros((trials, 2))
    for trial in range(trials):
        values = case.draw(rng)
        for column, between in enumerate((case.ours, case.usual)):
            low, high = between(values)
            held[trial, column] = low <= case.truth <= high
    ours, usual = held.mean(axis=0)
    return float(ours), float(usual)


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| scores | interval | holds | usual | holds |", "| --- | --- | --- | --- | --- |"]
    for case in cases():
        ours, usual = measure(case, TRIALS)
        cells = (case.what, f"`{case.name}`", f"{ours:.0%}", case.usual_name, f"{usual:.0%}")
        lines.append("| " + " | ".join(cells).replace("%", " %") + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(), table(), "coverage"))
