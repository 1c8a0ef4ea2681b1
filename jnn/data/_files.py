"""Readers of published tables: each takes paths and gives all rows, training rows first, with the published splits."""

import hashlib
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset, PublishedSplit

_ADULT_COLUMNS = (
    *(
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education-num",
        "marital-status",
        "occupation",
        "relationship",
    ),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)


def read_mnist1d(path: Path) -> Dataset:
    """Series of 40 points: x [rows, 40]."""
    with np.load(path) as file:
        x, y = (np.concatenate([file[name], file[f"{name}_test"]]) for name in ("x", "y"))
        splits = (_first_and_rest(len(file["x"]), len(x)),)
    return Dataset.from_arrays(x, y, splits=splits)


def read_uci(path: Path) -> Dataset:
    """A regression table of the UCI benchmark with its 20 fixed splits."""
    with np.load(path) as file:
        count = sum(name.startswith("train_") for name in file.files)
        splits = tuple((file[f"train_{i}"], file[f"test_{i}"]) for i in range(count))
        return Dataset.from_arrays(file["x"], file["y"], task="regression", splits=splits)


def read_uci_text(sha256: str, data: Path, features: Path, target: Path, *indices: Path) -> Dataset:
    """The same from the text files that are published: a table, the columns to take of it, and rows of each split."""
    table = np.loadtxt(data)
    columns, output, *rows = (
        np.loadtxt(path, ndmin=1).astype(np.int32) for path in (features, target, *indices)
    )
    x, y = table[:, columns].astype(np.float32), table[:, output[0]]
    found = hashlib.sha256(b"".join(a.tobytes() for a in (x, y, *rows))).hexdigest()
    if found != sha256:
        raise ValueError(f"the table and its splits have the sha256 {found}, not {sha256}")
    return Dataset.from_arrays(
        x, y, task="regression", splits=tuple(zip(rows[::2], rows[1::2], strict=True))
    )


def read_optdigits(train: Path, test: Path) -> Dataset:
    """Digits of 8x8 pixels, flat, scaled from 0..16 to 0..1."""
    parts = [np.loadtxt(path, delimiter=",", dtype=np.int32) for path in (train, test)]
    table = np.concatenate(parts)
    splits = (_first_and_rest(len(parts[0]), len(table)),)
    return Dataset.from_arrays(table[:, :-1] / 16, table[:, -1], splits=splits)


def read_adult(train: Path, test: Path) -> Dataset:
    """Is the income above 50000 dollars; an unknown entry, "?" in the file, is a category like any other."""
    import pandas as pd

    options = {"names": _ADULT_COLUMNS, "skipinitialspace": True, "keep_default_na": False}
    parts = [
        pd.read_csv(train, **options),
        pd.read_csv(test, skiprows=1, **options),
    ]  # line 1 is a comment
    table = pd.concat(parts, ignore_index=True)
    table["income"] = table["income"].str.rstrip(
        "."
    )  # the test file ends its labels with a full stop
    return Dataset.from_dataframe(
        table, "income", splits=(_first_and_rest(len(parts[0]), len(table)),)
    )


def read_wine_quality(path: Path) -> Dataset:
    """The graders' score, 0..10, from 11 chemical measurements."""
    import pandas as pd

    return Dataset.from_dataframe(pd.read_csv(path, sep=";"), "quality", task="regression")


def read_california_housing(path: Path) -> Dataset:
    """The median house value of a district in dollars; the 207 districts without `total_bedrooms` are left out."""
    import pandas as pd

    table = pd.read_csv(path, compression={"method": "tar", "mode": "r:gz"})
    return Dataset.from_dataframe(table.dropna(), "median_house_value")


def read_airline_passengers(path: Path, lags: int = 12) -> Dataset:
    """The passengers of a month, in thousands, from those of the 12 months before; the last third is the test part."""
    import pandas as pd

    series = pd.read_csv(path)["Passengers"].to_numpy(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
    names = tuple(f"{lag} months before" for lag in range(lags, 0, -1))
    splits = (_first_and_rest(len(series) * 2 // 3 - lags, len(windows)),)
    return Dataset.from_arrays(
        windows[:, :-1],
        windows[:, -1],
        feature_names=names,
        target_names=("passengers",),
        splits=splits,
    )


def _first_and_rest(train: int, rows: int) -> PublishedSplit:
    return np.arange(train), np.arange(train, rows)
