"""What the catalog says of a data set before it is read."""

from collections.abc import Callable
from typing import NamedTuple

from jnn.data._dataset import Dataset
from jnn.data._target import Task


class Entry(NamedTuple):
    """A data set that is known by name.

    Attributes:
        task: Task of the data set.
        rows: Number of rows of `load(name, split="all")`.
        shape: Shape of one row.
        source: Where the data set was published.
        license: License under which it was published.
        read: Reader that takes the paths of `files`, in this order, and `options`.
        files: Files as they were published, relative to the data folder; () if none are needed.
        options: Keyword arguments of `load` that the reader takes.
    """

    task: Task
    rows: int
    shape: tuple[int, ...]
    source: str
    license: str
    read: Callable[..., Dataset]
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
