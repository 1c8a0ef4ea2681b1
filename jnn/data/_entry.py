"""What the catalogue says of a data set before it is read."""

from collections.abc import Callable
from typing import NamedTuple

from jnn.data._dataset import Dataset
from jnn.data._target import Task


class Form(NamedTuple):
    """One way in which a data set lies in the data folder: its files, relative to it, and what reads them in order."""

    read: Callable[..., Dataset]
    files: tuple[str, ...] = ()


class Entry(NamedTuple):
    """A data set; `rows` and `shape` are those of `load(name, split="all")`."""

    task: Task
    rows: int
    shape: tuple[int, ...]
    source: str
    license: str
    forms: tuple[
        Form, ...
    ]  # the first one that is there is read; else the first one that has addresses is fetched
    options: tuple[str, ...] = ()  # keyword arguments of every reader that `load` hands on
    fallback: Callable[[], Dataset] | None = None  # what is made where the files are absent
