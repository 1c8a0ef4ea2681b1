"""What a single call works on, the same numbers for every contender, and what a contender returns.

Rows are channels last, kernels are `(*window, in, out)`.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.work import Shape

INPUTS = 4  # random inputs that the calls go round, so that no result is computed once and kept


class Call(NamedTuple):
    """A contender's work, ready to be timed.

    Attributes:
        play: Does the work so many times, waits for the results, and returns the scores: of a job
            those of all members that it trained, of a single call that of the last one.
        stages: Seconds that the preparation took, by stage: trace, lower, compile.
    """

    play: Callable[[int], list[float]]
    stages: Mapping[str, float] = {}


def parameters(shapes: Mapping[str, Shape], members: int = 1) -> dict[str, np.ndarray]:
    """Return random parameters [members, *shape].

    For one member there is no such axis, and the values are those of member 0.
    """
    return {name: _draw(name, shape, members) for name, shape in shapes.items()}


def inputs(shape: Shape, vocabulary: int = 0) -> np.ndarray:
    """Return random inputs [INPUTS, *shape]: normal values, or ids below `vocabulary`."""
    random = np.random.default_rng(1)
    if vocabulary:
        return random.integers(0, vocabulary, (INPUTS, *shape)).astype(np.int32)
    return random.standard_normal((INPUTS, *shape), dtype=np.float32)


def score(loss: Any, out: np.ndarray) -> float:
    """Return a number that tells whether two contenders computed the same.

    It is the mean square of `out` weighted by place, where `out` is the output or the gradient with
    respect to the input. Where there is no such gradient it is the loss.
    """
    if out.size == 1:
        return float(loss)
    return float(np.mean(np.ravel(out).astype(np.float64) ** 2 * np.linspace(0, 2, out.size)))


def cotangent(shape: Shape) -> np.ndarray:
    """Return the w of the loss sum(y w)."""
    return np.random.default_rng(2).standard_normal(shape, dtype=np.float32)


class Batches(NamedTuple):
    """Batches x [INPUTS, batch, ...] with labels y [INPUTS, batch] or [INPUTS, batch, time]."""

    x: np.ndarray
    y: np.ndarray


def batches(*, x: Shape, classes: int = 0, vocabulary: int = 0) -> Batches:
    """Return batches that a network can learn in a few dozen steps.

    They are rows or images of `classes` classes, or texts [batch, time] of a vocabulary.
    """
    if vocabulary:
        return _texts(x[0], x[1], vocabulary)
    return _patterns(x, classes)


def _patterns(shape: Shape, classes: int) -> Batches:
    """Return one pattern for each class, with as much noise as pattern."""
    random = np.random.default_rng(0)
    patterns = random.standard_normal((classes, *shape[1:]), dtype=np.float32)
    y = random.integers(0, classes, (INPUTS, shape[0])).astype(np.int32)
    return Batches(patterns[y] + random.standard_normal((INPUTS, *shape), dtype=np.float32), y)


def _texts(batch: int, time: int, vocabulary: int) -> Batches:
    """Return ids of which the i-th most frequent is drawn in proportion to 1 / i; y follows x."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, vocabulary + 1)
    shape = (INPUTS, batch, time + 1)
    ids = random.choice(vocabulary, shape, p=weights / weights.sum()).astype(np.int32)
    return Batches(ids[..., :-1], ids[..., 1:])


def _draw(name: str, shape: Shape, members: int) -> np.ndarray:
    fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 1
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal((members, *shape), dtype=np.float32) * np.float32(fan_in**-0.5)
    return values[0] if members == 1 else values
