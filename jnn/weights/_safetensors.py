"""Safetensors: a header in JSON, then the tensors, one after the other."""

import json
from typing import Any

import numpy as np

from jnn.weights._mapped import MappedFile, Path
from jnn.weights._refusal import UnknownContent, reading
from jnn.weights._tensors import Entry, Tensors, entry_of
from jnn.weights._types import dtype_of

_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}


def read_safetensors(path: Path) -> Tensors:
    """Read a safetensors file; its tensors are views of the file."""
    with reading(path):
        _check_by_library(path)
        file = MappedFile(path)
        size = int.from_bytes(file.bytes(0, 8), "little")
        header = json.loads(file.bytes(8, size), object_pairs_hook=_without_duplicates)
        notes = header.pop("__metadata__", {})
        entries = {name: _entry(file, 8 + size, about) for name, about in header.items()}
    return Tensors(path, "safetensors", entries, notes=notes, release=file.release)


def _check_by_library(path: Path) -> None:
    """Let the library of the format say whether header and sizes agree: no gap, no overlap."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name comes twice in its header")
    return entries


def _entry(file: MappedFile, start: int, about: dict[str, Any]) -> Entry:
    if about["dtype"] not in _TYPES:
        raise UnknownContent(f"numbers of type {about['dtype']!r}, which NumPy has not")
    dtype: np.dtype = dtype_of(_TYPES[about["dtype"]])
    first, _ = about["data_offsets"]
    return entry_of(file.array(start + first, about["shape"], dtype))
