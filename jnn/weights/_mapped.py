"""A file in memory as it lies on disk: pages are read when they are looked at."""

import mmap
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Path = str | os.PathLike[str]


class MappedFile:
    """The bytes of a file, which are read where they are looked at and never changed.

    Its arrays are views, so they may be read as long as the file is not shortened.

    Attributes:
        size: Number of bytes of the file.
    """

    def __init__(self, path: Path):
        with pathlib.Path(path).open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            # An empty file cannot be mapped.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""

    def bytes(self, start: int, count: int) -> bytes:
        """Return a copy of some bytes.

        Raises:
            ValueError: If they are not all in the file.
        """
        self._check(start, count)
        return self._map[start : start + count]

    def find(self, content: Any, start: int, end: int) -> int:
        """Return the first place from `start` on and before `end` that has these bytes, or -1."""
        return self._map.find(content, start, end)

    def array(self, start: int, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return an array that lies in the file, row by row.

        Raises:
            ValueError: If it is not all in the file, or its type or shape is none.
        """
        dtype = np.dtype(dtype)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"no array of type {dtype} can have the shape {tuple(shape)}")
        count = dtype.itemsize * product(shape)
        self._check(start, count)
        if count == 0:
            return np.empty(shape, dtype)
        return np.ndarray(tuple(shape), dtype, self._map, start)

    def release(self) -> None:
        """Give back the memory of the pages that were read; they are read again if needed."""
        advice = getattr(mmap, "MADV_DONTNEED", None)  # absent on Windows
        if isinstance(self._map, mmap.mmap) and advice is not None:
            self._map.madvise(advice)

    def _check(self, start: int, count: int) -> None:
        if start < 0 or count < 0 or start + count > self.size:
            raise ValueError(
                f"bytes {start} to {start + count} are expected, but it has {self.size} bytes"
            )


def product(shape: Sequence[int]) -> int:
    """Return the number of entries of an array; Python's whole numbers never overflow."""
    count = 1
    for size in shape:
        count *= int(size)
    return count
