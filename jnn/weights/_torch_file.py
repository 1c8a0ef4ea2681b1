"""A `state_dict` as PyTorch writes it, without PyTorch: a zip file of a pickle and the numbers.

`torch.load(path, weights_only=True, mmap=True)` reads it. The pickle is written operation by
operation, so that it holds tensors and nothing else.
"""

import pathlib
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from jnn.weights._types import FLOAT8

_ALIGNMENT = 64  # bytes, of the numbers of a tensor in the file
_HEADER = 30  # bytes of a member's header before its name
_TIME = (1980, 1, 1, 0, 0, 0)  # so that equal tensors make equal files
_STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}
_WITHOUT_STORAGE = ("uint16", "uint32", "uint64", *FLOAT8)  # PyTorch keeps these as bytes


def write_torch(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a `state_dict`, an OrderedDict of tensors by name.

    Raises:
        ValueError: If PyTorch has no such type of numbers.
    """
    pickle = _pickle(arrays)
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        _add(archive, file.tell(), "data.pkl", pickle)
        _add(archive, file.tell(), "byteorder", b"little")
        for i, array in enumerate(arrays.values()):
            _add(archive, file.tell(), f"data/{i}", _bytes(array))
        _add(archive, file.tell(), "version", b"3\n")


def _add(archive: zipfile.ZipFile, place: int, name: str, content: Any) -> None:
    """Add a member whose content begins at a multiple of the alignment."""
    info = zipfile.ZipInfo(f"archive/{name}", _TIME)
    start = place + _HEADER + len(info.filename) + 4
    padding = -start % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, content)


def _bytes(array: np.ndarray) -> memoryview:
    """Return the bytes of an array without copying them."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8).data


def _pickle(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the pickle of protocol 2."""
    parts = [b"\x80\x02", _EMPTY, b"("]
    for i, (name, array) in enumerate(arrays.items()):
        parts += [_text(name), _tensor(str(i), name, array)]
    return b"".join([*parts, b"u."])


def _tensor(key: str, name: str, array: np.ndarray) -> bytes:
    """Return the call that makes a tensor of its storage."""
    kind = array.dtype.name
    if kind in _STORAGES:
        function, ending = "_rebuild_tensor_v2", b""
        storage = _storage("torch", _STORAGES[kind], key, array.size)
    elif kind in _WITHOUT_STORAGE:
        function, ending = "_rebuild_tensor_v3", _name("torch", kind)
        storage = _storage("torch.storage", "UntypedStorage", key, array.nbytes)
    else:
        raise ValueError(f"PyTorch has no tensors of type {kind}, which {name!r} has. Convert it.")
    steps = [stride // array.itemsize for stride in _strides(array)]
    return b"".join(
        [_name("torch._utils", function), b"(", storage, _number(0), _numbers(array.shape),
         _numbers(steps), b"\x89", _EMPTY, ending, b"tR"]
    )  # fmt: skip


def _strides(array: np.ndarray) -> list[int]:
    """Return the strides of an array row by row, also of one without entries."""
    strides = [array.itemsize]
    for size in reversed(array.shape[1:]):
        strides.insert(0, strides[0] * max(size, 1))
    return strides[: array.ndim]


def _storage(module: str, kind: str, key: str, count: int) -> bytes:
    about = [_text("storage"), _name(module, kind), _text(key), _text("cpu"), _number(count)]
    return b"(" + b"".join(about) + b"tQ"


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def _number(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _numbers(values: "tuple[int, ...] | list[int]") -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


_EMPTY = _name("collections", "OrderedDict") + b")R"
