"""The cells of NAS-Bench-201: their operations and edges, their text, and what they cost."""

from collections.abc import Sequence
from typing import NamedTuple

from jnn._settings import check_integer

CELL_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations of an edge, in the order of the numbers that `CellNet` takes for them."""

# The nodes (from, to) of the edges, in the order of the benchmark's text.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


class CellCost(NamedTuple):
    """What the network of one cell costs, as the benchmark counts it.

    Attributes:
        parameters: Number of parameters of the operations that are chosen, and of the rest of the
            network.
        multiply_adds: Number of multiply-adds of its convolutions and its linear layer for one
            image, which the benchmark calls FLOPs.
    """

    parameters: int
    multiply_adds: int


def cell_edges(text: str) -> tuple[int, ...]:
    """Return the numbers `edge_1` to `edge_6` of the benchmark's text of a cell.

    >>> cell_edges("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    (3, 0, 1, 0, 0, 4)

    Args:
        text: The operation of each edge and the node that it comes from, `operation~node`, for
            nodes 1, 2 and 3 in turn.

    Raises:
        TypeError: If text is not a string.
        ValueError: If the text has another form, or names another operation.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"text must be a string, got {type(text).__name__}. Pass e.g. {cell_string([3] * 6)!r}."
        )
    parts = [
        tuple(edge.split("~"))
        for node in text.strip().split("+")
        for edge in node.strip().removeprefix("|").removesuffix("|").split("|")
    ]
    names = [part[0] for part in parts]
    if text.strip() != _text(names) or not set(names) <= set(CELL_OPERATIONS):
        raise ValueError(
            f"text must be a cell such as {cell_string([3] * 6)!r}, got {text!r}. Use the "
            f"operations {', '.join(CELL_OPERATIONS)}."
        )
    return tuple(CELL_OPERATIONS.index(name) for name in names)


def cell_string(edges: Sequence[int]) -> str:
    """Return the benchmark's text of the cell with the numbers `edge_1` to `edge_6`.

    >>> cell_string((3, 0, 1, 0, 0, 4))
    '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|'

    Raises:
        ValueError: If there are not six numbers, or one is not the index of an operation.
    """
    return _text([CELL_OPERATIONS[edge] for edge in _checked(edges)])


def cell_cost(
    edges: Sequence[int],
    *,
    channels: int = 16,
    cells: int = 5,
    classes: int = 10,
    inputs: int = 3,
    size: int = 32,
) -> CellCost:
    """Return the number of parameters and of multiply-adds of the network of one cell.

    >>> cell_cost((3, 3, 3, 3, 3, 3))
    CellCost(parameters=1531546, multiply_adds=220119690)

    Args:
        edges: The numbers `edge_1` to `edge_6`, see `jnn.models.CellNet`.
        channels: Number of maps of the first stage.
        cells: Number of cells of each stage.
        classes: Number of classes.
        inputs: Number of channels of an image.
        size: Number of pixels of each side of an image.

    Raises:
        ValueError: If the edges are not those of a cell, or a size is below 1.
    """
    names = [CELL_OPERATIONS[edge] for edge in _checked(edges)]
    sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
    for name, value in {**sizes, "size": size}.items():
        check_integer(name, value, least=1)
    # The sides of the kernels of a cell, and the rest of the network as (taps, in, out, place).
    windows = [3] * names.count("nor_conv_3x3") + [1] * names.count("nor_conv_1x1")
    layers, norms = [(9, inputs, channels, size)], [channels, 4 * channels]
    for stage in range(3):
        width, side = channels << stage, -(-size // (1 << stage))
        for window in windows * cells:
            layers.append((window**2, width, width, side))
            norms.append(width)
        if stage > 0:
            layers += [(n, width // 2, width, side) for n in (9, 1)] + [(9, width, width, side)]
            norms += [width, width]
    kernels = sum(taps * before * after for taps, before, after, _ in layers)
    products = sum(taps * before * after * side**2 for taps, before, after, side in layers)
    linear = (4 * channels + 1) * classes
    return CellCost(kernels + 2 * sum(norms) + linear, products + linear)


def _text(names: Sequence[str]) -> str:
    nodes = []
    for target in (1, 2, 3):
        pairs = [
            f"{name}~{edge[0]}"
            for name, edge in zip(names, EDGES, strict=False)
            if edge[1] == target
        ]
        nodes.append(f"|{'|'.join(pairs)}|")
    return "+".join(nodes)


def _checked(edges: Sequence[int]) -> list[int]:
    numbers = [int(edge) for edge in edges if float(edge).is_integer()]
    last = len(CELL_OPERATIONS) - 1
    if len(numbers) != len(EDGES) or not all(0 <= number <= last for number in numbers):
        raise ValueError(
            f"edges must be {len(EDGES)} whole numbers from 0 to {last}, got {list(edges)}. Each "
            "is an index into jnn.models.CELL_OPERATIONS."
        )
    return numbers
