"""Readers of published tables; each returns all rows, training rows first, and the splits."""

import hashlib
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset, PublishedSplit

_ADULT_COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
)


def read_uci(sha256: str, data: Path, features: Path, target: Path, *indices: Path) -> Dataset:
    """Read a regression table of the UCI benchmark with its fixed splits.

    Args:
        sha256: Digest of the table and splits, which replaces the digests of the files.
        data: Table of all columns.
        features: Numbers of the columns that are features.
        target: Number of the column that is the target.
        *indices: For each split the rows for training and those for test.
    """
    table = np.loadtxt(data)
    columns = _read_numbers(features)
    output = _read_numbers(target)
    rows = [_read_numbers(path) for path in indices]
    x = table[:, columns].astype(np.float32)
    y = table[:, output[0]]
    digest = hashlib.sha256(b"".join(a.tobytes() for a in (x, y, *rows))).hexdigest()
    if digest != sha256:
        raise ValueError(f"the table and its splits have the sha256 {digest}, not {sha256}")
    splits = tuple(zip(rows[::2], rows[1::2], strict=True))
    return Dataset.from_arrays(x, y, task="regression", splits=splits)


def read_optdigits(train: Path, test: Path) -> Dataset:
    """Read digits of 8x8 pixels, flat, scaled from 0..16 to 0..1."""
    parts = [np.loadtxt(path, delimiter=",", dtype=np.int32) for path in (train, test)]
    table = np.concatenate(parts)
    splits = (_first_and_rest(len(parts[0]), len(table)),)
    return Dataset.from_arrays(table[:, :-1] / 16, table[:, -1], splits=splits)


def read_adult(train: Path, test: Path) -> Dataset:
    """Read whether incomes are above 50000 dollars.

    An unknown entry, "?" in the files, is a category of its own.
    """
    import pandas as pd

    options = {"names": _ADULT_COLUMNS, "skipinitialspace": True, "keep_default_na": False}
    first = pd.read_csv(train, **options)
    second = pd.read_csv(test, skiprows=1, **options)  # line 1 is a comment
    table = pd.concat([first, second], ignore_index=True)
    table["income"] = table["income"].str.rstrip(".")  # the test file ends its labels with a period
    splits = (_first_and_rest(len(first), len(table)),)
    return Dataset.from_dataframe(table, "income", splits=splits)


def read_wine_quality(path: Path) -> Dataset:
    """Read the scores of graders, 0..10, and 11 chemical measurements."""
    import pandas as pd

    return Dataset.from_dataframe(pd.read_csv(path, sep=";"), "quality", task="regression")


def read_california_housing(path: Path) -> Dataset:
    """Read the median house values of districts in dollars.

    The 207 districts without `total_bedrooms` are left out.
    """
    import pandas as pd

    table = pd.read_csv(path, compression={"method": "tar", "mode": "r:gz"})
    return Dataset.from_dataframe(table.dropna(), "median_house_value")


def read_airline_passengers(path: Path, lags: int = 12) -> Dataset:
    """Read the passengers of months, in thousands, and those of the `lags` months before each.

    The last third of the series is the test part.
    """
    import pandas as pd

    series = pd.read_csv(path)["Passengers"].to_numpy(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
    return Dataset.from_arrays(
        windows[:, :-1],
        windows[:, -1],
        feature_names=tuple(f"{lag} months before" for lag in range(lags, 0, -1)),
        target_names=("passengers",),
        splits=(_first_and_rest(len(series) * 2 // 3 - lags, len(windows)),),
    )


def _read_numbers(path: Path) -> np.ndarray:
    return np.loadtxt(path, ndmin=1).astype(np.int32)


def _first_and_rest(train: int, rows: int) -> PublishedSplit:
    return np.arange(train), np.arange(train, rows)
