"""Batches that a network can learn in a few dozen steps, the same for every contender."""

from typing import NamedTuple

import numpy as np

from benchmarks.layer_data import INPUTS, Shape

LEARNING_RATE = 1e-3


class Batches(NamedTuple):
    """`INPUTS` batches: x [INPUTS, batch, ...] and integer labels y [INPUTS, batch] or [INPUTS, batch, time]."""

    x: np.ndarray
    y: np.ndarray


def classified(shape: Shape, classes: int) -> Batches:
    """One pattern for each class, with as much noise as pattern; x [INPUTS, *shape]."""
    random = np.random.default_rng(0)
    patterns = random.standard_normal((classes, *shape[1:]), dtype=np.float32)
    y = random.integers(0, classes, (INPUTS, shape[0])).astype(np.int32)
    return Batches(patterns[y] + random.standard_normal((INPUTS, *shape), dtype=np.float32), y)


def text(batch: int, time: int, vocabulary: int) -> Batches:
    """Ids of which the i-th most frequent is drawn in proportion to 1 / i; y is x moved by one."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, vocabulary + 1)
    ids = random.choice(vocabulary, (INPUTS, batch, time + 1), p=weights / weights.sum()).astype(
        np.int32
    )
    return Batches(ids[..., :-1], ids[..., 1:])


def batches(*, x: Shape, classes: int = 0, vocabulary: int = 0) -> Batches:
    """Batches of the given kind: images or rows with classes, or text [batch, time] of a vocabulary."""
    return text(x[0], x[1], vocabulary) if vocabulary else classified(x, classes)
