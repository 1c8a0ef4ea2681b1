"""Batches of data that do not fit into memory, read and shuffled ahead of use by Grain."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

StreamBatch = tuple[np.ndarray, np.ndarray]
"""A batch (x, y) on the host."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """An endless sequence of batches (x, y).

    Batch k depends on nothing but the source, the seed, and k. So a run that was interrupted after
    k batches continues with `stream.start(k)`, and one stream serves any number of members. Every
    epoch takes the rows in a new order. The rows that are left over at its end, fewer than a batch,
    differ from epoch to epoch.

    Needs the extra `stream` (Grain).

    Attributes:
        source: A pair (x, y) of arrays, such as `np.memmap`, or anything with `len(source)` and
            `source[i]`, which is a row (x, y) or, with `columns`, a mapping, such as a row of a
            Hugging Face data set.
        batch_size: Number of rows in a batch.
        seed: Seed of the order.
        columns: Names of x and y where a row is a mapping.
        transform: Function `transform(x, y) -> (x, y)` of a batch on the host, such as a change of
            type.
        threads: Number of threads that read; each makes whole batches.
        ahead: Number of batches that are read before they are asked for.

    Raises:
        ValueError: If the source has no batch to give.
    """

    source: Any
    batch_size: int
    seed: int = 0
    columns: tuple[str, str] | None = None
    transform: Callable[[np.ndarray, np.ndarray], StreamBatch] | None = None
    threads: int = 2
    ahead: int = 8

    def __post_init__(self):
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
        return len(self.source[0] if isinstance(self.source, tuple) else self.source)

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
            x, y = (np.asarray(values[rows]) for values in self.source)
        else:
            x, y = _stack([self.source[int(row)] for row in rows], self.columns)
        batch = (x, y) if self.transform is None else self.transform(x, y)
        if not isinstance(batch, tuple) or [len(part) for part in batch] != [self.batch_size] * 2:
            raise ValueError(
                f"transform must return a batch (x, y) of {self.batch_size} rows, got a "
                f"{type(batch).__name__} of {[np.shape(part) for part in batch]}. Let it keep the "
                "rows."
            )
        return batch


def _stack(rows: Sequence[Any], columns: tuple[str, str] | None) -> StreamBatch:
    """Stack rows to a batch."""
    if columns is None and isinstance(rows[0], Mapping):
        raise ValueError(
            "columns must be (name of x, name of y) for rows that are mappings, got None where "
            f"rows have {sorted(rows[0])}. Pass two of these names."
        )
    first, second = columns or (0, 1)
    x = np.stack([np.asarray(row[first]) for row in rows])
    y = np.stack([np.asarray(row[second]) for row in rows])
    return x, y


def _check_pair(source: tuple) -> None:
    lengths = [len(part) for part in source]
    if len(source) != 2 or lengths[0] != lengths[1]:
        raise ValueError(
            "A source that is a tuple must be a pair (x, y) of equally many rows, got "
            f"{len(source)} parts of {lengths} rows. Turn a tuple of rows into a list."
        )
