"""Time-series forecasting: linear, recurrent and attention ensembles, their intervals and how often these hold.

    python examples/forecasting.py [--data etth1 | airline] [--figure forecast.png] [--quick]

Without --data the series is made: a day, a week, a trend, noise. The others are fetched or found in JNN_DATA.
Two 90 % intervals are held to the test windows: the members' spread, which knows nothing of the noise, and the mean +-
the 90 % quantile of the error in the validation windows (split conformal prediction).
"""

import argparse
from functools import partial

import numpy as np
import optax

import jnn
from jnn import plots


def made() -> jnn.Dataset:
    """Two channels, 4000 hours."""
    t, random = np.arange(4000), np.random.default_rng(0)
    day, week = np.sin(2 * np.pi * t / 24), np.sin(2 * np.pi * t / 168)
    series = np.stack([day + 0.5 * week, 2 * day * week + t / 4000], axis=1)
    return in_three(series + 0.2 * random.standard_normal(series.shape), 96, 24, "made")


def airline() -> jnn.Dataset:
    """Logarithms of the passengers of 144 months."""
    lags = jnn.data.load("airline_passengers", split="all")
    return in_three(np.log(np.r_[lags.x[0], lags.y])[:, None], 24, 12, "airline")


def in_three(series: np.ndarray, length: int, horizon: int, name: str) -> jnn.Dataset:
    """Windows of a series whose first 60 % train, the next 20 % choose the epoch, the last 20 % test."""
    ends = [len(series) * part // 10 for part in (6, 8, 10)]
    begins = [0, *(end - length for end in ends[:-1])]
    rows = tuple(np.arange(a, b - length - horizon + 1) for a, b in zip(begins, ends, strict=True))
    return jnn.Dataset.from_series(series, length, horizon, name=name, splits=(rows,))


def networks(length: int, horizon: int, channels: int) -> dict[str, partial]:
    """The forecasters with their sizes bound."""
    return {
        "NLinear": partial(jnn.models.NLinear, length, horizon),
        "DLinear": partial(jnn.models.DLinear, length, horizon, window=13),
        "LSTM": partial(jnn.models.Forecaster, channels, horizon, 32, from_last=True),
        "PatchTST": partial(jnn.models.PatchTST, length, horizon, patch=8, stride=4, layers=2),
    }


def coverage(result: jnn.Result, data: jnn.Dataset) -> tuple[float, float]:
    """Shares of the test values inside both 90 % intervals: by the members' spread, by the validation errors."""
    _, validation, test = data.splits[0]
    width = np.quantile(
        np.abs(result.predict(data.x[validation]).mean - data.y[validation]), 0.9, axis=0
    )
    said = result.predict(data.x[test])
    error = np.abs(said.mean - data.y[test])
    return np.mean(error <= 1.645 * said.std), np.mean(error <= width)


def main() -> None:
    """Trains the ensembles, prints errors and coverage, checks that they beat the last value repeated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["made", "etth1", "airline"], default="made")
    parser.add_argument("--figure", help="file for a forecast with bands")
    parser.add_argument(
        "--quick", action="store_true", help="a small budget, to see that everything runs"
    )
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    etth1 = partial(jnn.data.load, "etth1", split="all", length=96, horizon=24)
    data, results = {"made": made, "etth1": etth1, "airline": airline}[arguments.data](), {}
    test, epochs = data.splits[0][-1], 400 if arguments.data == "airline" else 10
    naive = np.mean((data.x[test][:, -1:] - data.y[test]) ** 2)
    for name, model in networks(data.x.length, *data.y.shape[1:]).items():
        if arguments.quick and name in ("DLinear", "PatchTST"):
            continue
        study = jnn.Study(
            model,
            jnn.losses.squared_error,
            optax.adam(2e-3),
            metrics={"mse": jnn.metrics.mse, "mae": jnn.metrics.mae},
            epochs=3 if arguments.quick else epochs,
            batch_size=min(64, len(data.splits[0][0])),
            inputs=jnn.preprocess.standardize,
            targets=jnn.preprocess.standardize,
            keep="best",
        )
        result = results[name] = jnn.run(
            study, data, jnn.seeds(2 if arguments.quick else 5) * jnn.folds(data.splits)
        )
        spread, errors = coverage(result, data)
        score = result.final()["mse"].mean().item()
        print(
            name,
            result.summary(),
            f"    mse {score:.4g}, the last value repeated {naive:.4g}",
            sep="\n",
        )
        print(
            f"    90 % intervals hold: members' spread {spread:.0%}, validation errors {errors:.0%}"
        )
        assert score < naive, (
            f"wanted an error below {naive:.4g} of the {name}, but got {score:.4g}"
        )
    if arguments.figure:
        plots.write(plots.forecast(results, data, test[-1]), arguments.figure)


if __name__ == "__main__":
    main()
