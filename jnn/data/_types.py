"""The types that the arrays of a data set have."""

import contextlib
import numbers

import numpy as np
from numpy.typing import ArrayLike


def as_array(values: ArrayLike, name: str) -> np.ndarray:
    """What NumPy can read as an array; objects that are all numbers as numbers.

    Raises ValueError, in one sentence, for rows of different lengths and for values that are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"wanted a value in every place of {name}, got masked ones: fill them or drop these rows"
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"wanted rows of one length in {name}, got {error}: pad them or cut them off"
        ) from error
    boxed = numbers.Number | np.bool_ | np.ndarray
    if array.dtype == object and array.size and isinstance(array.flat[0], boxed):
        with contextlib.suppress(ValueError, TypeError):
            unboxed = np.array(array.tolist())
            return unboxed if unboxed.dtype.kind in "biuf" else array
    return array


def as_float(x: np.ndarray) -> np.ndarray:
    """Numbers as float32; anything else as it is, for the check to name it."""
    with np.errstate(over="ignore"):  # the check says it in a sentence
        return x.astype(np.float32, copy=False) if x.dtype.kind in "biuf" else x


def as_ids(x: np.ndarray) -> np.ndarray:
    """Integers from 0 on as they are; one sentence for anything else."""
    if not np.issubdtype(x.dtype, np.integer):
        raise ValueError(
            f"wanted token ids, which are integers, got x of type {x.dtype}: cast them, or pass ids=False"
        )
    if x.size and x.min() < 0:
        raise ValueError(
            f"wanted token ids from 0 on, got {x.min()}: fill rows up with 0, or pass ids=False"
        )
    return x


def single_precision(x: np.ndarray) -> np.ndarray:
    """Floats as float32, integers as int32."""
    if x.dtype.kind not in "biu":
        return as_float(x)
    if x.size and max(-int(x.min()), int(x.max())) > np.iinfo(np.int32).max:
        raise ValueError(
            "wanted token ids that fit into int32, got larger ones: for numbers pass x as floats"
        )
    return x.astype(np.int32, copy=False)


def read_only(values: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, so that the caller's own array stays writeable."""
    view = values.view()
    view.flags.writeable = False
    return view
