"""How long a trained network takes to predict."""

import time
from typing import Any

import jax
import numpy as np

from jnn.data import map_parts
from jnn.engine import Trained, default_settings
from jnn.result._predict import Part, Predict


def milliseconds(answer: Predict, one: Trained, x: Any, part: Part, repeats: int) -> float:
    """Return the median milliseconds of a compiled prediction.

    Args:
        answer: Function of one member, rows and shared arrays.
        one: The arrays of the member.
        x: Rows that are read as they are needed.
        part: Where the member comes from.
        repeats: Number of predictions, after the first one.
    """
    rows = map_parts(np.asarray, x[: len(x)])
    arguments = jax.device_put((one, rows, part.known_study().shared))
    predict = jax.jit(answer)
    seconds = []
    with default_settings():
        for _ in range(repeats + 1):
            started = time.perf_counter()
            jax.block_until_ready(predict(*arguments))
            seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds[1:]))
