"""NumPy's .npz: a zip file of .npy files."""

import ast
import functools
import struct

import numpy as np

from jnn.weights._archive import Archive
from jnn.weights._mapped import Path, product
from jnn.weights._refusal import UnknownContent, refusal, shown
from jnn.weights._tensors import Entry, Tensors, entry_of

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes, as NumPy allows
_SUFFIX = ".npy"


def read_npz(path: Path, archive: Archive) -> Tensors:
    """Read a .npz file; what is not compressed is a view of the file."""
    entries = {}
    for name in archive.members:
        if not name.endswith(_SUFFIX):
            raise refusal(path, f"has the member {shown(name)} among its arrays")
        entries[name.removesuffix(_SUFFIX)] = _entry(archive, name)
    return Tensors(path, "npz", entries, release=archive.file.release)


def _entry(archive: Archive, name: str) -> Entry:
    size = archive.members[name].file_size
    with archive.open(name) as member:
        start, dtype, shape, order = _header(member.read(min(size, _LONGEST_HEADER)))
    if start + product(shape) * dtype.itemsize != size:
        raise ValueError(f"the array {shown(name)} has another size than its header says")
    if archive.is_stored(name):
        first, _ = archive.place(name)
        return entry_of(_in_order(archive.file.array(first + start, shape[::order], dtype), order))

    def read() -> np.ndarray:
        content = archive.content(name)
        array = np.frombuffer(content, dtype, product(shape), start)
        return _in_order(array.reshape(shape[::order]), order)

    return Entry(shape, dtype, functools.cache(read))


def _header(content: bytes) -> tuple[int, np.dtype, tuple[int, ...], int]:
    """Return where the numbers begin, their type, the shape, and -1 if the first axis is fastest.

    The format is described in `numpy.lib.format`.
    """
    if content[:6] != _MAGIC or content[6] not in (1, 2, 3):
        raise ValueError("a member is no array of NumPy")
    form = "<H" if content[6] == 1 else "<I"
    start = 8 + struct.calcsize(form)
    (length,) = struct.unpack(form, content[8:start])
    if start + length > len(content):
        raise ValueError("the header of an array is too long")
    encoding = "utf-8" if content[6] == 3 else "latin-1"
    fields = ast.literal_eval(content[start : start + length].decode(encoding))
    shape = fields["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("the shape of an array is none")
    return start + length, _dtype(fields["descr"]), shape, -1 if fields["fortran_order"] else 1


def _dtype(text: object) -> np.dtype:
    if not isinstance(text, str):
        raise UnknownContent("an array has named fields, and is no tensor")
    dtype = np.dtype(text)
    if dtype.kind not in "biufc":
        raise UnknownContent(
            f"an array has the type {text[:20]!r}; tensors are numbers, and nothing is unpickled"
        )
    return dtype


def _in_order(array: np.ndarray, order: int) -> np.ndarray:
    return array if order == 1 else array.T
