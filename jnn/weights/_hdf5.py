"""The arrays of an HDF5 file that lie in the file itself, and are not larger than it."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

import ml_dtypes
import numpy as np

from jnn.weights._mapped import Path, product
from jnn.weights._refusal import shown
from jnn.weights._tensors import Entry

if TYPE_CHECKING:
    import h5py

_FILTERS = {1, 2, 3, 4, 32000}  # deflate, shuffle, checksum, szip and lzf; others are code to load
_MOST_EXPANSION = 100  # times that a compressed array may grow; numbers compress far less
_SMALL = 1 << 20  # bytes that an array may always have
_DEEPEST = 32  # groups within groups
_MOST = 1 << 20  # arrays and groups of a file

Open = Callable[[], contextlib.AbstractContextManager["h5py.File"]]


def opener(source: Path | Callable[[], IO[bytes]]) -> Open:
    """Return what opens an HDF5 file, or a member of an archive that is one."""

    @contextlib.contextmanager
    def open_file() -> Iterator["h5py.File"]:
        import h5py

        if callable(source):
            with source() as member, h5py.File(member, "r") as file:
                yield file
        else:
            with h5py.File(pathlib.Path(source), "r") as file:
                yield file

    return open_file


def entries_of(open_file: Open, size: int) -> dict[str, Entry]:
    """Return the arrays of a file by their paths.

    Args:
        open_file: What opens the file.
        size: Number of bytes of the file.

    Raises:
        ValueError: If an array lies outside of the file, is larger than it, or is none of numbers.
    """
    with open_file() as file:
        found = dict(_walk(file, "", set(), _DEEPEST))
        return {path: _entry(open_file, path, array, size) for path, array in found.items()}


def _walk(
    group: "h5py.Group", prefix: str, above: set[int], levels: int
) -> Iterator[tuple[str, "h5py.Dataset"]]:
    """Yield the arrays of a group and of the groups in it; links to other places are refused."""
    import h5py
    from h5py import h5o  # type: ignore[attr-defined]

    address = h5o.get_info(group.id).addr
    if levels == 0 or address in above or len(above) > _MOST:
        raise ValueError("its groups hold each other, or are nested too deep")
    above.add(address)
    for name in map(str, group):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"its entry {shown(prefix + name)} is a link to another place")
        value = group[name]
        if isinstance(value, h5py.Group):
            yield from _walk(value, f"{prefix}{name}/", above, levels - 1)
        elif isinstance(value, h5py.Dataset):
            yield prefix + name, value


def _entry(open_file: Open, path: str, array: "h5py.Dataset", size: int) -> Entry:
    """Return the entry of an array whose type and size are checked before it is read."""
    _check(path, array, size)
    is_half = array.attrs.get("dtype") in ("bfloat16", b"bfloat16")  # Keras's mark
    dtype = np.dtype(ml_dtypes.bfloat16) if is_half else array.dtype
    shape = array.shape

    def read() -> np.ndarray:
        with open_file() as file:
            values = np.asarray(file[path][()])  # type: ignore[index]
        if values.shape != shape:
            raise ValueError(f"its array {shown(path)} has changed")
        if is_half and values.dtype.itemsize == 2:
            return np.asarray(values, order="C").view(ml_dtypes.bfloat16)
        return values.astype(dtype, copy=False)

    return Entry(shape, dtype, read)


def _check(path: str, array: "h5py.Dataset", size: int) -> None:
    if array.dtype.kind not in "biufcV" or array.dtype.hasobject or array.dtype.names:
        raise ValueError(f"its array {shown(path)} of type {array.dtype} is no tensor")
    if array.shape is None or array.is_virtual or array.external:
        raise ValueError(f"its array {shown(path)} does not lie in the file")
    plan = array.id.get_create_plist()
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"its array {shown(path)} is packed by the unknown filter {max(filters)}")
    stored = array.id.get_storage_size()
    expansion = _MOST_EXPANSION if filters else 1
    most = max(_SMALL if filters else 0, expansion * min(stored, size))
    count = product(array.shape) * array.dtype.itemsize
    chunk = product(array.chunks or ()) * array.dtype.itemsize
    if count > most or chunk > max(_SMALL, _MOST_EXPANSION * size):
        raise ValueError(
            f"its array {shown(path)} declares {count} bytes, of which {stored} are there"
        )
