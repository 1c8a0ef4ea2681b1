"""The table of data sets that are known by name."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from jnn.data._bundled import read_bundled
from jnn.data._dataset import Dataset
from jnn.data._target import Task


class Entry(NamedTuple):
    """What is known of a data set before it is read."""

    task: Task
    rows: int
    shape: tuple[int, ...]
    source: str
    licence: str
    read: Callable[..., Dataset]  # given the path of each file, in their order
    files: tuple[str, ...] = ()  # relative to the data folder
    fallback: Callable[[], Dataset] | None = None  # what is made where the files are absent


_UCI = "CC BY 4.0"

CATALOG: dict[str, Entry] = {
    "digits": Entry(
        "classification",
        1797,
        (64,),
        "scikit-learn; UCI optical digits, test part, https://archive.ics.uci.edu/dataset/80",
        _UCI,
        partial(read_bundled, "load_digits", scale=16.0),  # pixels count 0..16: a constant of the format
    ),
    "iris": Entry(
        "classification",
        150,
        (4,),
        "scikit-learn; Fisher 1936, https://archive.ics.uci.edu/dataset/53",
        _UCI,
        partial(read_bundled, "load_iris"),
    ),
    "wine": Entry(
        "classification",
        178,
        (13,),
        "scikit-learn; https://archive.ics.uci.edu/dataset/109",
        _UCI,
        partial(read_bundled, "load_wine"),
    ),
    "breast_cancer": Entry(
        "classification",
        569,
        (30,),
        "scikit-learn; https://archive.ics.uci.edu/dataset/17",
        _UCI,
        partial(read_bundled, "load_breast_cancer"),
    ),
    "diabetes": Entry(
        "regression",
        442,
        (10,),
        "scikit-learn; Efron et al. 2004, https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "none stated",
        partial(read_bundled, "load_diabetes", target="progression", scaled=False),  # the scaled form saw all rows
    ),
}
