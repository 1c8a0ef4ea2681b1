"""Batches of data that do not fit into memory, read and shuffled ahead of use by Grain."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jnn._settings import check_integer
from jnn.data._tree import count_rows, map_parts, parts_of

StreamBatch = tuple[Any, Any]
"""A batch (x, y) on the host: arrays, or dicts or tuples of them."""

Names = str | Sequence[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """An endless sequence of batches (x, y).

    Batch k depends on nothing but the source, the seed, and k. So a run that was interrupted after
    k batches continues with `stream.start(k)`, and one stream serves any number of members. Every
    epoch takes the rows in a new order. The rows that are left over at its end, fewer than a batch,
    differ from epoch to epoch.

    Needs the extra `stream` (Grain).

    Attributes:
        source: A pair (x, y) of arrays, such as `np.memmap`, or of dicts or tuples of arrays; or
            anything with `len(source)` and `source[i]`, which is a row (x, y) or, with `columns`, a
            mapping, such as a row of a Hugging Face data set.
        batch_size: Number of rows in a batch.
        seed: Seed of the order.
        columns: Names of x and y where a row is a mapping; a list of names makes a dict.
        transform: Function `transform(x, y) -> (x, y)` of a batch on the host, such as a change of
            type.
        threads: Number of threads that read; each makes whole batches.
        ahead: Number of batches that are read before they are asked for.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If the source has no batch to give.
    """

    source: Any
    batch_size: int
    seed: int = 0
    columns: tuple[Names, Names] | None = None
    transform: Callable[[Any, Any], StreamBatch] | None = None
    threads: int = 2
    ahead: int = 8

    def __post_init__(self):
        _check_types(self)
        if isinstance(self.source, tuple):
            _check_pair(self.source)
        if not 1 <= self.batch_size <= self.rows:
            raise ValueError(
                f"batch_size must be from 1 to the {self.rows} rows of the source, got "
                f"{self.batch_size}. Choose another."
            )
        if self.threads < 1 or self.ahead < 1:
            raise ValueError(
                f"threads and ahead must be at least 1, got {self.threads} and {self.ahead}. Set "
                "them to 1 or more."
            )

    @property
    def rows(self) -> int:
        """Number of rows of the source."""
        return count_rows(self.source[0]) if isinstance(self.source, tuple) else len(self.source)

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches in an epoch."""
        return self.rows // self.batch_size

    def __getitem__(self, number: int) -> StreamBatch:
        return self._batches()[number]

    def __iter__(self) -> Iterator[StreamBatch]:
        return self.start(0)

    def start(self, number: int) -> Iterator[StreamBatch]:
        """Return the batches from this number on, read ahead by threads of their own."""
        all_batches = self._batches()  # says what to install if Grain is absent
        import grain

        options = grain.ReadOptions(num_threads=self.threads, prefetch_buffer_size=self.ahead)
        batches = iter(all_batches.to_iter_dataset(options))
        batches.set_state({"next_index": number})
        return batches

    def _batches(self) -> Any:
        """Return Grain's data set of all batches: orders of row numbers, cut, and read."""
        try:
            import grain
        except ImportError as error:
            raise ImportError("Streams need Grain. Run pip install 'jnn-jax[stream]'.") from error

        order = grain.MapDataset.range(self.rows).seed(self.seed).shuffle()
        return order.batch(self.batch_size, drop_remainder=True).repeat().map(self._read)

    def _read(self, rows: np.ndarray) -> StreamBatch:
        if isinstance(self.source, tuple):
            x, y = map_parts(lambda values: np.asarray(values[rows]), self.source)
        else:
            x, y = _stack([self.source[int(row)] for row in rows], self.columns)
        batch = (x, y) if self.transform is None else self.transform(x, y)
        is_pair = isinstance(batch, tuple) and len(batch) == 2
        parts = parts_of(batch, "batch").values() if is_pair else ()
        if not is_pair or any(len(part) != self.batch_size for part in parts):
            raise ValueError(
                f"transform must return a batch (x, y) of {self.batch_size} rows, got a "
                f"{type(batch).__name__} of {[np.shape(part) for part in parts or batch]}. Let it "
                "keep the rows."
            )
        return batch


def _stack(rows: Sequence[Any], columns: tuple[Names, Names] | None) -> StreamBatch:
    """Stack rows to a batch."""
    if columns is None and isinstance(rows[0], Mapping):
        raise ValueError(
            "columns must be (name of x, name of y) for rows that are mappings, got None where "
            f"rows have {sorted(rows[0])}. Pass two of these names."
        )
    first, second = columns or (0, 1)
    return _stacked(rows, first), _stacked(rows, second)


def _stacked(rows: Sequence[Any], place: Any) -> Any:
    """Stack one part of the rows, or the parts of several names as a dict."""
    if isinstance(place, list | tuple):
        return {name: _stacked(rows, name) for name in place}
    parts = [row[place] for row in rows]
    if isinstance(parts[0], Mapping):
        return {name: _stacked(parts, name) for name in parts[0]}
    return np.stack([np.asarray(part) for part in parts])


def _check_types(stream: Stream) -> None:
    """Raise TypeError for an argument of another type, and ValueError for a negative seed."""
    if not isinstance(stream.source, tuple) and not hasattr(stream.source, "__getitem__"):
        raise TypeError(
            "source must be a pair (x, y) of arrays, or have rows source[i] and a length, got "
            f"{stream.source!r}."
        )
    for name in ("batch_size", "seed", "threads", "ahead"):
        check_integer(name, getattr(stream, name), least=None)
    check_integer("seed", stream.seed, 0)
    columns = stream.columns
    if columns is not None and (not isinstance(columns, list | tuple) or len(columns) != 2):
        raise TypeError(f"columns must be (name of x, name of y), got {columns!r}.")
    if stream.transform is not None and not callable(stream.transform):
        raise TypeError(
            f"transform must be a function transform(x, y) -> (x, y), got {stream.transform!r}."
        )


def _check_pair(source: tuple) -> None:
    parts = parts_of(source, "source")
    others = [name for name, part in parts.items() if not hasattr(part, "__len__")]
    if others:
        raise TypeError(f"{others[0]} must be an array, got {parts[others[0]]!r}.")
    lengths = [len(part) for part in parts.values()]
    if len(source) != 2 or len(set(lengths)) != 1:
        raise ValueError(
            "A source that is a tuple must be a pair (x, y) of equally many rows, got "
            f"{len(source)} parts of {lengths} rows. Turn a tuple of rows into a list."
        )
