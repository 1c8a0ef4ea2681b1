"""Reproduce forecasts of ETTh1: the last value repeated, NLinear and DLinear at four horizons.

    python examples/reproductions/etth1.py [HORIZON ...] [--seeds 5] [--quick] [--output FILE]

Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?
(https://arxiv.org/abs/2205.13504), tables 2 and 4; NLinear from the authors' repository. Input 336
hours, 7 channels; 12 months train, 4 choose the epoch, 4 test; channels are standardized by the
training months, and errors are those of standardized values. Adam .005, halved each epoch, batch
32, at most 10 epochs with patience 3.

The published figures leave out the last test windows, those that fill no batch of 32. Repeating the
last value shows it: on the windows that are left all eight figures are met to the last digit, on
all windows five are not. Both errors are printed.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import optax
from _record import Row, arguments, save, show

import jnn

LENGTH = 336
BATCH = 32
TRAIN = 12 * 30 * 24  # hours
PAPER = {  # horizon: MSE, MAE
    "repeat-last": {
        96: (1.295, 0.713),
        192: (1.325, 0.733),
        336: (1.323, 0.744),
        720: (1.339, 0.756),
    },
    "NLinear": {96: (0.374, 0.394), 192: (0.408, 0.415), 336: (0.429, 0.427), 720: (0.440, 0.453)},
    "DLinear": {96: (0.375, 0.399), 192: (0.405, 0.416), 336: (0.439, 0.443), 720: (0.472, 0.490)},
}


def forecasts(horizon: int) -> tuple[jnn.Dataset, jnn.Members]:
    """Load every window, on the scale of the training months, and the fold.

    The rows of the fold train, choose the epoch, and test.
    """
    data = jnn.data.load("etth1", split="all", length=LENGTH, horizon=horizon)
    values = data.x.values.astype(np.float64)
    mean, deviation = values[:TRAIN].mean(axis=0), values[:TRAIN].std(axis=0)
    scaled = jnn.Dataset.from_series((values - mean) / deviation, LENGTH, horizon, name="etth1")
    return scaled, jnn.folds(data.splits)


def errors(
    forecast: Callable[[np.ndarray], np.ndarray], data: jnn.Dataset, test: np.ndarray
) -> np.ndarray:
    """Return MSE and MAE of every member in every test window, [members, windows, 2].

    `forecast` maps x [batch, time, 7] to [members, batch, horizon, 7].
    """
    pieces = []
    for rows in np.array_split(test, 20):
        gap = (forecast(data.x[rows]) - data.y[rows]).astype(np.float64)
        mse = np.mean(gap**2, axis=(2, 3))
        mae = np.mean(np.abs(gap), axis=(2, 3))
        pieces.append(np.stack([mse, mae], axis=-1))
    return np.concatenate(pieces, axis=1)


def train(
    name: str, horizon: int, data: jnn.Dataset, fold: jnn.Members, seeds: int, epochs: int
) -> jnn.Result:
    """Train the population of all seeds of one model."""
    steps = -(-(TRAIN - LENGTH - horizon + 1) // BATCH)
    study = jnn.Study(
        model=partial(getattr(jnn.models, name), LENGTH, horizon),
        loss=jnn.losses.squared_error,
        optimizer=optax.adam(optax.exponential_decay(0.005, steps, 0.5, staircase=True)),
        metrics={"mse": jnn.metrics.mse, "mae": jnn.metrics.mae},
        epochs=epochs,
        batch_size=BATCH,
        keep="best",
        patience=3,
    )
    return jnn.run(study, data, jnn.seeds(seeds) * fold)


def rows_of(name: str, errors: np.ndarray, published: tuple[float, float]) -> list[Row]:
    """Make the rows of the errors on the windows that the paper took, and on all."""
    rows = []
    for i, (metric, paper) in enumerate(zip(("MSE", "MAE"), published, strict=True)):
        whole_batches = errors[:, : errors.shape[1] // BATCH * BATCH, i].mean(axis=1)
        rows.append(Row(f"{name}, {metric}", whole_batches.tolist(), paper, rounding=0.0005))
        everywhere = errors[:, :, i].mean(axis=1).tolist()
        rows.append(Row(f"{name}, {metric}, all windows", everywhere, paper, rounding=0.0005))
    return rows


def main() -> None:
    """Train, print the table, and check the scores."""
    options = arguments(__doc__, [str(h) for h in PAPER["NLinear"]], seeds=5)
    jnn.use_cpu_cores()
    horizons = [96] if options.quick else [int(name) for name in options.names]
    seeds, epochs = (2, 2) if options.quick else (options.seeds, 10)
    rows, seconds = [], {}
    for horizon in horizons:
        data, fold = forecasts(horizon)
        (parts,) = fold.split.rows(data)
        for name, published in PAPER.items():
            start = time.perf_counter()
            if name == "repeat-last":
                forecast = lambda x: x[None, :, -1:]  # noqa: E731
            else:
                forecast = train(name, horizon, data, fold, seeds, epochs).outputs
            rows += rows_of(
                f"{name} {horizon}", errors(forecast, data, parts.test), published[horizon]
            )
            seconds[f"{name} {horizon}"] = time.perf_counter() - start
    show(f"ETTh1, error on standardized values ({epochs} epochs at most)", rows)
    print({name: f"{s:.1f} s" for name, s in seconds.items()})
    not_run = "PatchTST, which takes hours on a CPU: its layers and its parameter count are tested"
    print("not run:", not_run)
    save("etth1", rows, options, seconds=seconds, not_run=not_run)
    for row in rows:
        exact = row.name.startswith("repeat-last") and not row.name.endswith("all windows")
        margin = 0.0005 if exact else (0.2 if options.quick else 0.05) * row.paper
        assert abs(row.ours.mean - row.paper) <= margin, (
            f"{row.name} must be {row.paper}, got {row.ours}"
        )


if __name__ == "__main__":
    main()
