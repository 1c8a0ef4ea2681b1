"""The arrays of a layer's task, the same numbers for every contender; channels last, kernels (*window, in, out)."""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

INPUTS = 4  # random inputs that the calls go round, so that nothing is computed once and kept

Shape = Sequence[int]


def params(shapes: Mapping[str, Shape], members: int = 1) -> dict[str, np.ndarray]:
    """Random parameters [members, *shape], or without the axis for one member; member 0 is that one."""
    return {name: _drawn(name, shape, members) for name, shape in shapes.items()}


def inputs(shape: Shape, vocabulary: int = 0) -> np.ndarray:
    """`INPUTS` random inputs [INPUTS, *shape]: normal values, or ids below `vocabulary`."""
    random = np.random.default_rng(1)
    if vocabulary:
        return random.integers(0, vocabulary, (INPUTS, *shape)).astype(np.int32)
    return random.standard_normal((INPUTS, *shape), dtype=np.float32)


def score(loss: Any, out: np.ndarray) -> float:
    """A number that tells whether two contenders computed the same: the mean square of `out`, weighted by place.

    `out` is the output, or the gradient by the input; the loss counts where there is no such gradient.
    """
    if out.size == 1:
        return float(loss)
    return float(np.mean(np.ravel(out).astype(np.float64) ** 2 * np.linspace(0, 2, out.size)))


def cotangent(shape: Shape) -> np.ndarray:
    """The w of the loss sum(y w)."""
    return np.random.default_rng(2).standard_normal(shape, dtype=np.float32)


def _drawn(name: str, shape: Shape, members: int) -> np.ndarray:
    fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 1
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal((members, *shape), dtype=np.float32) * np.float32(fan_in**-0.5)
    return values[0] if members == 1 else values
