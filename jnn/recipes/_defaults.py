"""What `make_study` and `jnn run` choose where nothing is said: network, batches and epochs."""

import math
from collections.abc import Mapping

from jnn.recipes._about import About, Kind

BATCH_SIZE = 32
"""Rows per step where nothing is said."""

EPOCHS = 20
"""Passes over the training rows where nothing is said."""

LEAST_STEPS = 800  # optimizer steps, about as many as 20 epochs of scikit-learn's digits take

_MODELS: Mapping[Kind, str] = {
    "vectors": "mlp:64",
    "signals": "cnn1d",
    "arrays": "mlp:64",
    "texts": "textcnn:32,64",
    "tokens": "gpt:2,4,64",
    "series": "nlinear",
}
_MAPS = (16, 32, 64, 64, 64)  # of each convolution and pooling
_SIDE = 8  # pixels that a side has at least after the last pooling but one


def default_model(about: About) -> str:
    """Return a small network for a kind of data, as a text for `make_study(model=...)`.

    That is a multilayer perceptron for tables, convolutions for images and signals, words'
    vectors and convolutions for texts, and a linear model for forecasts. Larger images get more
    poolings.

    >>> default_model(About("iris", "vectors", "classification", (4,), (), 3))
    'mlp:64'
    """
    if about.kind != "images":
        return _MODELS[about.kind]
    side = min(about.shape[:2])
    if side < 2 ** len(_MAPS[:2]):
        return "mlp:64"  # too small for two poolings
    poolings = min(len(_MAPS), max(2, int(math.log2(side / _SIDE)) + 1 if side > _SIDE else 2))
    return "lenet:" + ",".join(map(str, _MAPS[:poolings]))


def default_batch_size(rows: int) -> int:
    """Return the number of rows per step: 32, or all training rows if there are fewer.

    >>> default_batch_size(1000), default_batch_size(24)
    (32, 24)
    """
    return max(1, min(BATCH_SIZE, rows))


def default_epochs(rows: int, batch_size: int, steps_per_epoch: int | None = None) -> int:
    """Return the number of epochs: 20, or as many more as make 800 steps of a small data set.

    >>> default_epochs(1437, 32), default_epochs(24, 24)
    (20, 800)
    """
    steps = steps_per_epoch or max(1, math.ceil(rows / batch_size))
    return max(EPOCHS, math.ceil(LEAST_STEPS / steps))
