"""What a file of weights holds: tensors by name, which are read when they are asked for."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.weights._mapped import Path
from jnn.weights._refusal import reading


class Entry(NamedTuple):
    """A tensor that is read when it is needed.

    Attributes:
        shape: Its shape.
        dtype: Its type.
        read: `read() -> array`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def entry_of(array: np.ndarray) -> Entry:
    """Return the entry of an array that is at hand, such as one that lies in a mapped file."""
    return Entry(array.shape, array.dtype, lambda: array)


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of a file or folder by their own names, as `jnn.weights.read` returns them.

    A tensor is read when it is looked up. Where the form of the file allows, the array is a
    read-only view of the file, which takes no memory of its own.

    Attributes:
        path: The file or folder.
        form: "safetensors", "huggingface", "torch", "keras", "onnx", "npz", "msgpack" or "orbax".
        config: The network's own description, if the file or folder has one: config.json of
            Hugging Face and Keras.
        notes: The numbers and texts that lie beside the tensors, such as the epoch of a
            checkpoint or the metadata of a safetensors file.
    """

    def __init__(
        self,
        path: Path,
        form: str,
        entries: Mapping[str, Entry],
        *,
        config: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        release: Callable[[], None] = lambda: None,
    ):
        self.path = path
        self.form = form
        self.config = dict(config or {})
        self.notes = dict(notes or {})
        self.entries = dict(entries)
        self.release = release

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self.entries[name]
        with reading(self.path):
            return entry.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        size = sum(
            int(np.prod(entry.shape, dtype=object)) * entry.dtype.itemsize
            for entry in self.entries.values()
        )
        return f"Tensors({str(self.path)!r}, {self.form}, {len(self)} tensors, {size} bytes)"

    @property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes and types of the tensors by name, without reading them."""
        return {
            name: jax.ShapeDtypeStruct(entry.shape, entry.dtype)
            for name, entry in self.entries.items()
        }
