"""Batches of data that do not fit the device, or the memory: read and shuffled by Grain, ahead of their use."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """An endless row of batches (x, y), of which number k depends on nothing but the source, the seed and k.

    So a run that was cut off after k batches goes on with `stream.start(k)`, and one stream serves any number of
    members. Every epoch takes the rows in a new order; the rows left over at its end, fewer than a batch, are other
    ones in each epoch.

    Attributes:
        source: A pair (x, y) of arrays, such as `np.memmap`; or whatever has `len(source)` and `source[i]`, a row
            (x, y), or with `columns` a mapping: a Hugging Face data set, say.
        batch_size: Rows per batch.
        seed: Of the order.
        columns: The names of x and y where a row is a mapping.
        transform: `transform(x, y) -> (x, y)` of a batch on the host, such as a change of type.
        threads: That read at once; each makes whole batches.
        ahead: Batches that are read before they are asked for.

    Needs the extra `stream` (Grain). Raises ValueError where a source has no batch to give.
    """

    source: Any
    batch_size: int
    seed: int = 0
    columns: tuple[str, str] | None = None
    transform: Callable[[np.ndarray, np.ndarray], Batch] | None = None
    threads: int = 2
    ahead: int = 8

    def __post_init__(self):
        if isinstance(self.source, tuple):
            _check_pair(self.source)
        if not 1 <= self.batch_size <= self.rows:
            raise ValueError(
                f"wanted at least one batch of {self.batch_size} rows, but the source has {self.rows}; "
                "choose a batch_size from 1 to the number of rows"
            )
        if self.threads < 1 or self.ahead < 1:
            raise ValueError(
                f"wanted threads and ahead of at least 1, but got {self.threads} and {self.ahead}"
            )

    @property
    def rows(self) -> int:
        """How many rows the source has."""
        return len(self.source[0] if isinstance(self.source, tuple) else self.source)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.rows // self.batch_size

    def __getitem__(self, number: int) -> Batch:
        return self._batches()[number]

    def __iter__(self) -> Iterator[Batch]:
        return self.start(0)

    def start(self, number: int) -> Iterator[Batch]:
        """The batches from this number on, read ahead by threads of their own."""
        all_batches = self._batches()  # says what to install where Grain is absent
        import grain

        options = grain.ReadOptions(num_threads=self.threads, prefetch_buffer_size=self.ahead)
        batches = iter(all_batches.to_iter_dataset(options))
        batches.set_state({"next_index": number})
        return batches

    def _batches(self) -> Any:
        """Grain's data set of all batches of all epochs: orders of row numbers, cut, and read."""
        try:
            import grain
        except ImportError as error:
            raise ImportError("streams need Grain: pip install 'jnn-jax[stream]'") from error

        order = grain.MapDataset.range(self.rows).seed(self.seed).shuffle()
        return order.batch(self.batch_size, drop_remainder=True).repeat().map(self._read)

    def _read(self, rows: np.ndarray) -> Batch:
        if isinstance(self.source, tuple):
            x, y = (np.asarray(values[rows]) for values in self.source)
        else:
            x, y = _stack([self.source[int(row)] for row in rows], self.columns)
        batch = (x, y) if self.transform is None else self.transform(x, y)
        if not isinstance(batch, tuple) or [len(part) for part in batch] != [self.batch_size] * 2:
            raise ValueError(
                f"wanted a batch (x, y) of {self.batch_size} rows, but transform gave a {type(batch).__name__} of "
                f"{[np.shape(part) for part in batch]}; let it keep the rows"
            )
        return batch


def _stack(rows: Sequence[Any], columns: tuple[str, str] | None) -> Batch:
    """Rows as a batch."""
    if columns is None and isinstance(rows[0], Mapping):
        raise ValueError(
            f"wanted columns=(name of x, name of y) for rows that are mappings, with {sorted(rows[0])}"
        )
    first, second = columns or (0, 1)
    return np.stack([np.asarray(row[first]) for row in rows]), np.stack(
        [np.asarray(row[second]) for row in rows]
    )


def _check_pair(source: tuple) -> None:
    lengths = [len(part) for part in source]
    if len(source) != 2 or lengths[0] != lengths[1]:
        raise ValueError(
            f"wanted a pair (x, y) of equally many rows, but got {len(source)} parts of {lengths} rows; "
            "a tuple is read as such a pair, turn one of rows into a list"
        )
