"""The grid of a UCI reproduction as a job: 20 splits x 4 dropout rates x 3 precisions, 240 fits of one network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.workloads import data_folder

HIDDEN = 50


class Grid(NamedTuple):
    """Rows x, y; the fit rows and validation rows of each split; dropout rates and precisions to cross with them."""

    x: np.ndarray
    y: np.ndarray
    folds: Sequence[tuple[np.ndarray, np.ndarray]]
    rates: Sequence[float]
    taus: Sequence[float]

    def fit(self, member: int) -> tuple[tuple[np.ndarray, np.ndarray], float, float]:
        """Fold, rate and precision of a member; the last axis runs fastest, and after 240 members they come again."""
        shape = len(self.folds), len(self.rates), len(self.taus)
        fold, rate, tau = np.unravel_index(member % (shape[0] * shape[1] * shape[2]), shape)
        return self.folds[fold], self.rates[rate], self.taus[tau]


class Scaled(NamedTuple):
    """A fold's rows, standardised by those it is fitted to."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray


def yacht() -> Grid:
    """The data set of 308 rows with 6 features; 221 rows are fitted in 2 steps an epoch."""
    with np.load(data_folder() / "uci" / "yacht.npz") as file:
        x, y = file["x"].astype(np.float32), file["y"].astype(np.float32)
        trains = [file[f"train_{i}"] for i in range(20)]
    folds = [tuple(np.split(rows, [int(0.8 * len(rows))])) for rows in trains]
    return Grid(x, y, folds, (0.005, 0.01, 0.05, 0.1), (0.25, 0.5, 0.75))


def scaled(grid: Grid, fold: tuple[np.ndarray, np.ndarray]) -> Scaled:
    """Rows of a fold with mean 0 and deviation 1, as the rows that are fitted say."""
    train, held_out = fold
    x, y = grid.x[train], grid.y[train]
    deviation = np.where(x.std(0) == 0, 1, x.std(0))

    def forward(rows):
        return (grid.x[rows] - x.mean(0)) / deviation, (grid.y[rows] - y.mean()) / y.std()

    return Scaled(*forward(train), *forward(held_out))


def penalty_factor(rows: int, rate: float, tau: float) -> float:
    """Of the squared kernels: 1e-4 (1 - rate) / (2 rows tau)."""
    return 1e-4 * (1 - rate) / (2 * rows * tau)


def r2(y: np.ndarray, predicted: np.ndarray) -> float:
    """1 - sum of squared errors / sum of squares about the mean, over the held-out rows: the score of a job."""
    return float(1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2))
