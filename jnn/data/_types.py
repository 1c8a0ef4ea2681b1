"""Convert what users pass to the array types of a data set."""

import contextlib
import numbers

import numpy as np
from numpy.typing import ArrayLike


def as_array(values: ArrayLike, name: str) -> np.ndarray:
    """Convert to a NumPy array; objects that are all numbers become numbers.

    Raises:
        TypeError: If they are no array, or rows that are dicts.
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
    if array.dtype == object:
        _check_objects(values, array, name)
    number = numbers.Number | np.bool_ | np.ndarray
    if array.dtype == object and array.size and isinstance(array.flat[0], number):
        with contextlib.suppress(ValueError, TypeError):
            unboxed = np.array(array.tolist())
            return unboxed if unboxed.dtype.kind in "biuf" else array
    return array


def _check_objects(values: object, array: np.ndarray, name: str) -> None:
    """Raise TypeError for what is no array, and for rows that are dicts."""
    if array.ndim == 0:
        raise TypeError(
            f"{name} must be an array, got {type(values).__name__}. Pass a list or an array with "
            "the rows first."
        )
    if array.size and isinstance(array.flat[0], dict):
        raise TypeError(
            f"{name} must be an array, got rows that are dicts. Pass a dict of arrays, "
            "{name: [row[name] for row in rows], ...}."
        )


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
