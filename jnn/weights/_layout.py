"""Layouts: how the numbers of a tensor lie in a file and in a network, as text that is data.

A layout is a list of steps, separated by semicolons, from the file to the network; the steps back
are their inverses. Steps take and return lists of arrays, as some rules have several tensors on one
side.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jnn.weights._axes import Axes

Arrays = list[np.ndarray]
Shapes = Sequence[tuple[int, ...]] | None


class _Step(NamedTuple):
    """One step.

    Attributes:
        to_network: `to_network(arrays, shapes)`; the shapes are those of the arrays to return, or
            None if only later steps know them.
        to_file: `to_file(arrays, count)` returns so many arrays.
    """

    to_network: Callable[[Arrays, Shapes], Arrays]
    to_file: Callable[[Arrays, int], Arrays]


class Layout:
    """The steps of a layout.

    | step | from the file to the network |
    | --- | --- |
    | `same` | nothing changes |
    | `transpose` | all axes in reverse order |
    | `OIHW->HWIO` | the axes, by letters, in another order |
    | `(HK)D->DHK` | an axis that is a product of two is split; `H=12` gives a size |
    | `IOHW->HWIO flip HW` | the axes H and W run backwards |
    | `gates ifgo->ifog` | equal blocks along the last axis (or `axis 0`) in another order |
    | `split 3` | one tensor of the file is three of the network, along the last axis |
    | `split 8 2 2 axis 0` | the same with parts of these proportions along the first axis |
    | `concatenate`, `concatenate axis 0` | several tensors of the file are one of the network |
    | `stack` | the same along a new first axis |
    | `sum` | the network has the sum; in a file it is the first tensor, and the others are 0 |
    | `tied` | the tensors of the file must be equal, and are one in the network |
    | `add 1`, `times 2` | numbers that a library leaves out of its own |

    Args:
        text: The steps.

    Raises:
        ValueError: If a step is none of these.
    """

    def __init__(self, text: str):
        self.text = text
        parts = [part.strip() for part in text.split(";")]
        self._steps = [_step(part) for part in parts if part not in ("", "same")]
        self.is_tied = "tied" in parts
        self.makes_one = any(p.split()[0] in _JOINING for p in parts if p)

    def to_network(self, arrays: Arrays, shapes: Shapes) -> Arrays:
        """Return the arrays of the network for those of the file."""
        for i, step in enumerate(self._steps):
            is_last = i == len(self._steps) - 1
            arrays = step.to_network(arrays, shapes if is_last else _only_count(shapes))
        return arrays

    def to_file(self, arrays: Arrays, count: int) -> Arrays:
        """Return so many arrays of the file for those of the network."""
        for step in reversed(self._steps):
            arrays = step.to_file(arrays, count)
        return arrays


@functools.lru_cache(1024)
def layout(text: str) -> Layout:
    """Return the layout of a text; equal texts have one layout."""
    return Layout(text)


def _only_count(shapes: Shapes) -> Shapes:
    """Return shapes of which only the number is known."""
    return None if shapes is None else [() for _ in shapes]


def _step(text: str) -> _Step:
    word, *rest = text.split()
    if "->" in word:
        return _axes(word, rest)
    if word not in _WORDS:
        raise ValueError(
            f"layout must be a list of the steps {[*_WORDS]} or of axes such as 'OIHW->HWIO', "
            f"got {text!r}. Correct the step."
        )
    try:
        return _WORDS[word](rest)
    except (IndexError, ValueError) as error:
        raise ValueError(f"The step {text!r} of a layout is incomplete: {error}.") from error


def _each(to_network: Callable[..., np.ndarray], to_file: Callable[..., np.ndarray]) -> _Step:
    """Return a step that changes every array by itself."""
    return _Step(
        lambda arrays, shapes: [to_network(array) for array in arrays],
        lambda arrays, count: [to_file(array) for array in arrays],
    )


def _axes(word: str, rest: Sequence[str]) -> _Step:
    before, after = word.split("->")
    sizes = {}
    for option in rest:
        letter, equals, size = option.partition("=")
        if equals:
            sizes[letter] = int(size)
    flipped = rest[rest.index("flip") + 1] if "flip" in rest else ""
    axes = Axes(before, after, sizes, flipped)

    def to_network(arrays: Arrays, shapes: Shapes) -> Arrays:
        known = shapes if shapes is not None and len(shapes) == len(arrays) else [()] * len(arrays)
        return [axes.to_network(a, shape or None) for a, shape in zip(arrays, known, strict=True)]

    return _Step(to_network, lambda arrays, count: [axes.to_file(array) for array in arrays])


def _gates(rest: Sequence[str]) -> _Step:
    before, after = rest[0].split("->")
    if sorted(before) != sorted(after) or len(set(before)) < len(before):
        raise ValueError(f"the gates of {before!r} and {after!r} differ")
    axis = _axis(rest, -1)
    there = [before.index(gate) for gate in after]
    back = [after.index(gate) for gate in before]

    def reorder(order: list[int], array: np.ndarray) -> np.ndarray:
        blocks = np.split(array, len(order), axis)
        return np.concatenate([blocks[i] for i in order], axis)

    return _each(functools.partial(reorder, there), functools.partial(reorder, back))


def _split(rest: Sequence[str]) -> _Step:
    axis = _axis(rest, -1)
    parts = _parts(rest)
    return _Step(
        lambda arrays, shapes: _divided(arrays, parts, len(shapes or parts), axis),
        lambda arrays, count: [np.concatenate(arrays, axis)],
    )


def _concatenate(rest: Sequence[str]) -> _Step:
    axis = _axis(rest, -1)
    parts = _parts(rest)
    return _Step(
        lambda arrays, shapes: [np.concatenate(arrays, axis)],
        lambda arrays, count: _divided(arrays, parts, count, axis),
    )


def _divided(arrays: Arrays, parts: Sequence[int], count: int, axis: int) -> Arrays:
    """Return an array in parts of these proportions, or in so many equal parts."""
    (array,) = arrays
    if len(parts) == 1:
        parts = [1] * parts[0]
    parts = parts or [1] * count
    if len(parts) != count or not array.ndim or array.shape[axis] % sum(parts):
        raise ValueError(f"the shape {array.shape} has no {count} parts {list(parts)}")
    unit = array.shape[axis] // sum(parts)
    return np.split(array, np.cumsum(parts)[:-1] * unit, axis)


def _stack(rest: Sequence[str]) -> _Step:
    return _Step(lambda arrays, shapes: [np.stack(arrays)], lambda arrays, count: list(arrays[0]))


def _sum(rest: Sequence[str]) -> _Step:
    def to_file(arrays: Arrays, count: int) -> Arrays:
        return [arrays[0], *(np.zeros_like(arrays[0]) for _ in range(count - 1))]

    return _Step(lambda arrays, shapes: [functools.reduce(np.add, arrays)], to_file)


def _tied(rest: Sequence[str]) -> _Step:
    def to_network(arrays: Arrays, shapes: Shapes) -> Arrays:
        for other in arrays[1:]:
            if other.shape != arrays[0].shape or other.tobytes() != arrays[0].tobytes():
                raise ValueError(
                    "they must be equal, as the network has them once, but they differ"
                )
        return arrays[:1]

    return _Step(to_network, lambda arrays, count: arrays[:1] * count)


def _add(rest: Sequence[str]) -> _Step:
    value = float(rest[0])
    return _each(lambda a: a + np.asarray(value, a.dtype), lambda a: a - np.asarray(value, a.dtype))


def _times(rest: Sequence[str]) -> _Step:
    value = float(rest[0])
    return _each(lambda a: a * np.asarray(value, a.dtype), lambda a: a / np.asarray(value, a.dtype))


def _transpose(rest: Sequence[str]) -> _Step:
    return _each(np.transpose, np.transpose)


def _axis(rest: Sequence[str], default: int) -> int:
    return int(rest[rest.index("axis") + 1]) if "axis" in rest else default


def _parts(rest: Sequence[str]) -> list[int]:
    numbers = rest[: rest.index("axis")] if "axis" in rest else rest
    return [int(n) for n in numbers]


_WORDS: dict[str, Callable[[Sequence[str]], _Step]] = {
    "transpose": _transpose,
    "gates": _gates,
    "split": _split,
    "concatenate": _concatenate,
    "stack": _stack,
    "sum": _sum,
    "tied": _tied,
    "add": _add,
    "times": _times,
}
_JOINING = {"concatenate", "stack", "sum", "tied"}
