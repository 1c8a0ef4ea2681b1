"""PyTorch's zip files: a pickle of nested dicts, and a member for the numbers of each storage."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jnn.weights._archive import Archive
from jnn.weights._mapped import Path, product
from jnn.weights._nested import flatten
from jnn.weights._pickle import Global, Opaque, Persistent, read_pickle
from jnn.weights._refusal import UnknownContent, listed, refusal
from jnn.weights._tensors import Entry, Tensors, entry_of
from jnn.weights._types import FLOAT8, dtype_of

_ADVICE = "Save the tensors alone: torch.save(model.state_dict(), path)."
_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
_SAME_NAME = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *FLOAT8,
)
_OTHER_NAMES = {"half": "float16", "float": "float32", "double": "float64", "long": "int64"}
_TYPES = {**{name: name for name in _SAME_NAME}, **_OTHER_NAMES}


class _Tensor(NamedTuple):
    """A tensor of a pickle: part of a storage, with its steps along each axis in entries."""

    key: str
    capacity: int
    dtype: np.dtype
    start: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


def pickle_of(archive: Archive) -> str | None:
    """Return the member with the pickle of PyTorch; None for a zip file of another kind."""
    names = [name for name in archive.members if name.rpartition("/")[2] == "data.pkl"]
    return names[0] if len(names) == 1 else None


def read_torch(path: Path, archive: Archive, pickle: str) -> Tensors:
    """Read the tensors of a zip file of PyTorch; each is a view of the file.

    Names of nested dicts are joined by dots, as in `{"model": {"fc.weight": ...}}` to
    "model.fc.weight".
    """
    folder = pickle.removesuffix("data.pkl")
    order = folder + "byteorder"
    if order in archive.members and archive.content(order).strip() != b"little":
        raise refusal(path, "was written on a machine with another order of bytes", _ADVICE)
    content = archive.content(pickle)
    value, names = read_pickle(content, _call)
    if unknown := [name for name in names if not _is_known(name)]:
        raise refusal(
            path,
            "holds more than tensors: its pickle asks for "
            f"{listed(map(str, unknown), 5)}, of which nothing was run",
            _ADVICE,
        )

    def entry(leaf: Any) -> Entry | None:
        if isinstance(leaf, _Tensor):
            return entry_of(_view(archive, folder, leaf))
        return None

    entries, notes = flatten(value, ".", entry, len(content))
    return Tensors(path, "torch", entries, notes=notes, release=archive.file.release)


def _view(archive: Archive, folder: str, tensor: _Tensor) -> np.ndarray:
    """Return a tensor as a view of its storage, none of which lies outside of it."""
    start, size = archive.place(f"{folder}data/{tensor.key}")
    bytes_each = tensor.dtype.itemsize
    last = tensor.start + sum(
        (n - 1) * step for n, step in zip(tensor.shape, tensor.steps, strict=True)
    )
    count = product(tensor.shape)
    if count == 0:
        return np.empty(tensor.shape, tensor.dtype)
    if last >= tensor.capacity or tensor.capacity * bytes_each > size:
        raise ValueError(f"a tensor of shape {tensor.shape} lies outside of its storage")
    if count * bytes_each > archive.file.size:
        raise ValueError(f"a tensor of shape {tensor.shape} is larger than the file")
    storage = archive.file.array(start, (tensor.capacity,), tensor.dtype)
    strides = [step * bytes_each for step in tensor.steps]
    return np.lib.stride_tricks.as_strided(
        storage[tensor.start :], tensor.shape, strides, writeable=False
    )


def _call(function: Global, arguments: tuple[Any, ...]) -> Any:
    run = _CALLS.get(function)
    return Opaque() if run is None else run(*arguments)


def _is_known(name: Global) -> bool:
    if name in _CALLS or name in _CLASSES:
        return True
    is_storage = name.module in ("torch", "torch.storage") and name.name in _STORAGES
    return is_storage or (name.module == "torch" and name.name in _TYPES)


def _tensor(storage: Any, start: Any, shape: Any, steps: Any, *rest: Any) -> _Tensor:
    """Return the tensor that PyTorch's `_rebuild_tensor_v2` would make."""
    key, count, dtype = _storage(storage)
    if any(rest[2:]):
        raise UnknownContent("a tensor is conjugated or negated only when it is looked at")
    return _placed(key, count, dtype, start, shape, steps)


def _typed_tensor(
    storage: Any, start: Any, shape: Any, steps: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any
) -> _Tensor:
    """Return the tensor of `_rebuild_tensor_v3`, whose storage is bytes."""
    key, count, kind = _storage(storage)
    if any(rest) or not isinstance(dtype, Global) or dtype.name not in _TYPES:
        raise UnknownContent("a tensor has a type of numbers that is not known")
    numbers = dtype_of(_TYPES[dtype.name])
    return _placed(key, count * kind.itemsize // numbers.itemsize, numbers, start, shape, steps)


def _storage(storage: Any) -> tuple[str, int, np.dtype]:
    about = storage.about if isinstance(storage, Persistent) else None
    if not isinstance(about, tuple) or len(about) != 5 or about[0] != "storage":
        raise ValueError("a tensor has no storage")
    _, kind, key, _, count = about
    if not isinstance(kind, Global) or kind.name not in _STORAGES or not _is_known(kind):
        raise UnknownContent("a storage has a type of numbers that is not known")
    if not isinstance(key, str):
        raise ValueError("a storage has no name")
    return key, _whole([count])[0], dtype_of(_STORAGES[kind.name])


def _placed(key: str, count: int, dtype: np.dtype, start: Any, shape: Any, steps: Any) -> _Tensor:
    shape, steps = _whole(shape), _whole(steps)
    if len(shape) != len(steps):
        raise ValueError("a tensor has another number of steps than of axes")
    return _Tensor(key, count, dtype, _whole([start])[0], shape, steps)


def _whole(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, list | tuple) or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a size or a place of a tensor is no whole number from 0 on")
    return tuple(numbers)


def _of_subclass(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """Return the tensor without the attributes that a subclass of Tensor or Parameter adds."""
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ValueError("a tensor is made by something that is no function")
    return _call(function, arguments)


def _mapping(pairs: Any = ()) -> dict[Any, Any]:
    return dict(pairs)


_CALLS: dict[Global, Callable[..., Any]] = {
    Global("collections", "OrderedDict"): _mapping,
    Global("torch", "Size"): lambda sizes=(): tuple(sizes),
    Global("torch", "device"): lambda *about: ":".join(map(str, about)),
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    Global("torch._utils", "_rebuild_parameter"): lambda data, *rest: data,
    Global("torch._utils", "_rebuild_parameter_with_state"): lambda data, *rest: data,
    Global("torch._tensor", "_rebuild_from_type_v2"): _of_subclass,
}
_CLASSES = {
    Global("torch", "Tensor"),
    Global("torch.nn.parameter", "Parameter"),
    Global("torch.nn.parameter", "Buffer"),
}
