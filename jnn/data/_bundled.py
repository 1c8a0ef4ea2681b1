"""Readers of the tables that scikit-learn ships, which do not import scikit-learn."""

import importlib.util
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset
from jnn.data._encoding import Column, Encoding

_WINE = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)
_IRIS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
_NUCLEUS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def pixel_encoding() -> Encoding:
    """Return how the 64 published columns of digits, from 0 to 16, become features from 0 to 1."""
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return Encoding(tuple(Column(name, None, scale=16) for name in names))


def read_digits() -> Dataset:
    """Read digits of 8x8 pixels, flat, scaled from 0..16 to 0..1."""
    table = np.loadtxt(_file("digits.csv.gz"), delimiter=",")
    return Dataset.from_arrays(
        table[:, :-1] / 16,
        table[:, -1].astype(int),
        feature_names=pixel_encoding().feature_names,
        encoding=pixel_encoding(),
        target_names=tuple("0123456789"),
    )


def read_iris() -> Dataset:
    """Read the species of irises and four lengths of their flowers."""
    return _read_classes("iris.csv", _IRIS)


def read_wine() -> Dataset:
    """Read the cultivars of wines and 13 chemical measurements."""
    return _read_classes("wine_data.csv", _WINE)


def read_breast_cancer() -> Dataset:
    """Read diagnoses of tumors, and mean, error, and worst value of ten measures of nuclei."""
    names = [*(f"mean {name}" for name in _NUCLEUS), *(f"{name} error" for name in _NUCLEUS)]
    return _read_classes("breast_cancer.csv", (*names, *(f"worst {name}" for name in _NUCLEUS)))


def read_diabetes() -> Dataset:
    """Read the progression of diabetes within a year and ten measurements, in their own units."""
    return Dataset.from_arrays(
        np.loadtxt(_file("diabetes_data_raw.csv.gz")),
        np.loadtxt(_file("diabetes_target.csv.gz")),
        feature_names=_DIABETES,
        target_names=("progression",),
    )


def _read_classes(name: str, feature_names: tuple[str, ...]) -> Dataset:
    """Read a table whose header holds its sizes and class names, with the label in last place."""
    path = _file(name)
    with path.open(encoding="utf-8") as file:
        _, _, *target_names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    return Dataset.from_arrays(
        table[:, :-1],
        table[:, -1].astype(int),
        feature_names=feature_names,
        target_names=tuple(target_names),
    )


def _file(name: str) -> Path:
    """Return the path of a file in scikit-learn's folder, without importing scikit-learn."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise ImportError("The data set comes with scikit-learn. Run pip install scikit-learn.")
    return Path(package.submodule_search_locations[0], "datasets", "data", name)
