"""Convert what users pass to the array types of a data set."""

import contextlib
import numbers

import numpy as np
from numpy.typing import ArrayLike


def as_array(values: ArrayLike, name: str) -> np.ndarray:
    """Convert to a NumPy array; objects that are all numbers become numbers.

    Raises:
        ValueError: If rows have different lengths or values are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"Every value of {name} must be present, got masked ones. Fill them or drop these rows."
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} must have rows of one length, got what NumPy refuses ({error}). Pad the rows "
            "or cut them off."
        ) from error
    number = numbers.Number | np.bool_ | np.ndarray
    if array.dtype == object and array.size and isinstance(array.flat[0], number):
        with contextlib.suppress(ValueError, TypeError):
            unboxed = np.array(array.tolist())
            return unboxed if unboxed.dtype.kind in "biuf" else array
    return array


def as_float(x: np.ndarray) -> np.ndarray:
    """Convert numbers to float32; leave anything else to the check that names it."""
    with np.errstate(over="ignore"):  # the check says it in a sentence
        return x.astype(np.float32, copy=False) if x.dtype.kind in "biuf" else x


def as_ids(x: np.ndarray) -> np.ndarray:
    """Return integers of at least 0 as they are, and raise for anything else."""
    if not np.issubdtype(x.dtype, np.integer):
        raise TypeError(
            f"Token ids must be integers, got x of type {x.dtype}. Cast them, or pass ids=False."
        )
    if x.size and x.min() < 0:
        raise ValueError(
            f"Token ids must be at least 0, got {x.min()}. Pad rows with 0, or pass ids=False."
        )
    return x


def single_precision(x: np.ndarray, name: str = "") -> np.ndarray:
    """Convert floats to float32 and integers to int32; a name says in an error what they are."""
    if x.dtype.kind not in "biu":
        return as_float(x)
    if x.size and max(-int(x.min()), int(x.max())) > np.iinfo(np.int32).max:
        what = name or "Token ids"
        raise ValueError(f"{what} must fit into int32, got larger ones. Pass numbers as floats.")
    return x.astype(np.int32, copy=False)


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to; the caller's own array stays writable."""
    view = values.view()
    view.flags.writeable = False
    return view
