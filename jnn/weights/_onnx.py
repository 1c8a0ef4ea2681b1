"""The initializers of an ONNX file, by a small reader of the wire format of protocol buffers.

The package `onnx` would copy the whole file twice; here a tensor that is written as raw bytes, as
exporters write them, is a view of the file. Field numbers are those of onnx.proto.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jnn.weights._mapped import MappedFile, Path, product
from jnn.weights._refusal import reading, refusal, shown
from jnn.weights._tensors import Entry, Tensors, entry_of
from jnn.weights._types import dtype_of

_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
}
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OUTPUT, _NODE_NAME, _NODE_KIND, _NODE_ATTRIBUTE = 2, 3, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 5, 6
_DIMS, _TYPE, _FLOATS, _INT32S, _INT64S, _NAME, _RAW, _DOUBLES, _UINT64S, _EXTERNAL, _LOCATION = (
    *(1, 2, 4, 5, 7, 8, 9, 10, 11, 13, 14),
)
_PACKED = {_FLOATS: "float32", _DOUBLES: "float64"}
_VARIABLE = {_INT32S, _INT64S, _UINT64S}
_DEEPEST = 8  # graphs within graphs
_MOST_NUMBERS = 1 << 22  # bytes of whole numbers that are written one by one, in a slow form

Span = tuple[int, int]  # first byte, and the byte after the last one


class _Wire:
    """A file of protocol buffers."""

    def __init__(self, file: MappedFile):
        self.file = file

    def fields(self, span: Span) -> Iterator[tuple[int, Any]]:
        """Yield the number and value of each field: a whole number, or the span of its bytes."""
        place, end = span
        while place < end:
            tag, place = self.number(place, end)
            kind = tag & 7
            if kind == 0:
                value, place = self.number(place, end)
            elif kind == 2:
                size, first = self.number(place, end)
                value = (first, first + size)
                place = first + size
            elif kind in (1, 5):
                value = (place, place + (8 if kind == 1 else 4))
                place = value[1]
            else:
                raise ValueError("it is no file of ONNX")
            if place > end:
                raise ValueError("one of its parts is cut off")
            yield tag >> 3, value

    def number(self, place: int, end: int) -> tuple[int, int]:
        """Return the whole number of variable length at a place, and the place after it."""
        value = 0
        for i, byte in enumerate(self.file.bytes(place, min(10, max(end - place, 0)))):
            value |= (byte & 127) << (7 * i)
            if byte < 128:
                return value, place + i + 1
        raise ValueError("a number in it is cut off")

    def text(self, span: Span) -> str:
        """Return the text at a span."""
        return self.file.bytes(span[0], span[1] - span[0]).decode("utf-8")


def read_onnx(path: Path) -> Tensors:
    """Read the initializers of the graph and of the graphs in its nodes.

    The initializers of the graph in the attribute "then_branch" of the node "If_0" have the names
    "If_0/then_branch/name". Constants of floats with at least one axis, which some exporters write
    instead of initializers, have the names of their outputs.
    """
    with reading(path):
        file = MappedFile(path)
        wire = _Wire(file)
        entries: dict[str, Entry] = {}
        graphs = [v for n, v in wire.fields((0, file.size)) if n == _MODEL_GRAPH]
        for graph in graphs:
            _add_graph(path, wire, _span(graph), "", entries, _DEEPEST)
        if not graphs:
            raise ValueError("it holds no graph")
    return Tensors(path, "onnx", entries, release=file.release)


def _add_graph(
    path: Path, wire: _Wire, graph: Span, prefix: str, entries: dict[str, Entry], levels: int
) -> None:
    if levels == 0:
        raise ValueError("its graphs are nested too deep")
    for number, value in wire.fields(graph):
        if number == _GRAPH_INITIALIZER:
            _add(entries, prefix, *_tensor(path, wire, _span(value)))
        elif number == _GRAPH_NODE:
            _add_node(path, wire, _span(value), prefix, entries, levels)


def _add(entries: dict[str, Entry], prefix: str, name: str, entry: Entry) -> None:
    if prefix + name in entries:
        raise ValueError(f"two of its tensors have the name {shown(prefix + name)}")
    entries[prefix + name] = entry


def _add_node(
    path: Path, wire: _Wire, node: Span, prefix: str, entries: dict[str, Entry], levels: int
) -> None:
    """Add the tensors of the graphs in a node, or the constant that it is."""
    texts = {_NODE_OUTPUT: "", _NODE_NAME: "", _NODE_KIND: ""}
    attributes = []
    for number, value in wire.fields(node):
        if number == _NODE_ATTRIBUTE:
            attributes.append(dict(wire.fields(_span(value))))
        elif number in texts:
            texts[number] = wire.text(_span(value))
    for fields in attributes:
        if _ATTRIBUTE_GRAPH in fields:
            label = wire.text(_span(fields[_ATTRIBUTE_NAME]))
            inside = f"{prefix}{texts[_NODE_NAME]}/{label}/"
            _add_graph(path, wire, _span(fields[_ATTRIBUTE_GRAPH]), inside, entries, levels - 1)
        elif _ATTRIBUTE_TENSOR in fields and texts[_NODE_KIND] == "Constant":
            _, entry = _tensor(path, wire, _span(fields[_ATTRIBUTE_TENSOR]))
            if entry.shape and entry.dtype.kind not in "iub":
                _add(entries, prefix, texts[_NODE_OUTPUT], entry)


def _tensor(path: Path, wire: _Wire, span: Span) -> tuple[str, Entry]:
    """Return the name and the entry of a tensor."""
    fields: dict[int, list[Any]] = {}
    for number, value in wire.fields(span):
        fields.setdefault(number, []).append(value)
    name = wire.text(_span(fields.get(_NAME, [(0, 0)])[0]))
    kind = fields.get(_TYPE, [0])[0]
    if kind not in _TYPES:
        raise refusal(path, f"has the tensor {shown(name)} of type {kind}, which jnn does not read")
    shape = tuple(_numbers(wire, fields.get(_DIMS, [])))
    return name, _entry(path, wire, fields, shape, dtype_of(_TYPES[kind]))


def _entry(
    path: Path, wire: _Wire, fields: dict[int, list[Any]], shape: tuple[int, ...], dtype: np.dtype
) -> Entry:
    if fields.get(_LOCATION, [0])[0] == 1:
        return entry_of(_external(path, wire, fields.get(_EXTERNAL, []), shape, dtype))
    if _RAW in fields:
        first, end = _span(fields[_RAW][0])
        if end - first != product(shape) * dtype.itemsize:
            raise ValueError(f"a tensor of shape {shape} has {end - first} bytes")
        return entry_of(wire.file.array(first, shape, dtype))
    for number in (*_PACKED, *_VARIABLE):
        if number in fields:
            values = _listed(wire, number, fields[number], dtype)
            return entry_of(values.reshape(shape))
    return entry_of(np.zeros(0, dtype).reshape(shape))


def _listed(wire: _Wire, number: int, parts: list[Any], dtype: np.dtype) -> np.ndarray:
    """Return numbers that are written one by one; half precision is written as its bits."""
    if number in _PACKED:
        written = dtype_of(_PACKED[number])
        arrays = [_packed(wire, _span(part), written) for part in parts]
        values = np.concatenate(arrays)
        return values.view(dtype) if dtype.kind == "c" else values.astype(dtype)
    values = np.array(_numbers(wire, parts), np.int64 if number != _UINT64S else np.uint64)
    if number == _INT32S and dtype.kind not in "iub":
        return values.astype(f"uint{8 * dtype.itemsize}").view(dtype)
    return values.astype(dtype)


def _packed(wire: _Wire, span: Span, dtype: np.dtype) -> np.ndarray:
    count, rest = divmod(span[1] - span[0], dtype.itemsize)
    if rest:
        raise ValueError("a list of numbers in it is cut off")
    return wire.file.array(span[0], (count,), dtype)


def _numbers(wire: _Wire, parts: list[Any]) -> list[int]:
    """Return whole numbers, which are written one by one or packed; they have 64 bits."""
    numbers = []
    for part in parts:
        if isinstance(part, int):
            numbers.append(part)
            continue
        place, end = part
        if end - place > _MOST_NUMBERS:
            raise ValueError("it has a tensor of very many whole numbers that are not raw bytes")
        while place < end:
            number, place = wire.number(place, end)
            numbers.append(number)
    return [n - (1 << 64) if n >> 63 else n for n in numbers]


def _external(
    path: Path, wire: _Wire, parts: list[Any], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Return a tensor that lies in another file of the same folder."""
    about = {}
    for part in parts:
        fields = dict(wire.fields(_span(part)))
        about[wire.text(_span(fields[1]))] = wire.text(_span(fields[2]))
    name = about.get("location", "")
    if pathlib.PurePath(name).name != name or name in ("", "..") or "\\" in name:
        raise refusal(path, f"keeps tensors in {shown(name)}, which is not in its own folder")
    place = pathlib.Path(path).parent / name
    if not place.is_file():
        raise refusal(path, f"keeps tensors in {shown(name)}, which is not there")
    file = MappedFile(place)
    return file.array(int(about.get("offset", "0")), shape, dtype)


def _span(value: Any) -> Span:
    if not isinstance(value, tuple):
        raise ValueError("a part of it is a number where bytes are expected")
    return value
