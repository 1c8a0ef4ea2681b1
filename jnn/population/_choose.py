"""The members and numbers that `keep` and `gather` of a population are given, checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def numbers_of(which: Any, count: int) -> np.ndarray:
    """Return the numbers of the chosen members."""
    which = np.asarray(which)
    if which.dtype == bool and which.shape != (count,):
        raise ValueError(f"which must be a mask of shape ({count},), got {which.shape}.")
    if which.dtype == bool:
        which = np.flatnonzero(which)
    if which.ndim != 1 or which.dtype.kind not in "iu":
        raise TypeError(
            "which must be a mask or the numbers of members, got an array of type "
            f"{which.dtype} and shape {which.shape}."
        )
    if not which.size:
        raise ValueError("which must keep at least one member, got none.")
    _check_numbers("which", which, count)
    if len(np.unique(which)) < len(which):
        raise ValueError("which names a member twice. Use gather() to copy members.")
    return which


def sources_of(sources: Any, count: int) -> np.ndarray:
    sources = np.asarray(sources)
    if sources.shape != (count,) or sources.dtype.kind not in "iu":
        raise ValueError(
            f"sources must be the number of a member for each of the {count} members, got an array "
            f"of type {sources.dtype} and shape {sources.shape}."
        )
    _check_numbers("sources", sources, count)
    return sources


def _check_numbers(name: str, numbers: np.ndarray, count: int) -> None:
    outside = numbers[(numbers < 0) | (numbers >= count)]
    if outside.size:
        raise ValueError(f"{name} must be from 0 to {count - 1}, got {outside[0]}.")


def checked_hyper(
    hyper: Mapping[str, Any], values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return new hyper-parameters in the types of the present ones."""
    checked = {}
    for name, new in hyper.items():
        if name not in values:
            raise ValueError(
                f"hyper[{name!r}] is no hyper-parameter of the members, which have "
                f"{sorted(values) or 'none'}."
            )
        new = np.asarray(new)
        if new.dtype.kind not in "biuf" or new.shape != values[name].shape:
            raise ValueError(
                f"hyper[{name!r}] must be numbers of shape {values[name].shape}, got an array of "
                f"type {new.dtype} and shape {new.shape}."
            )
        if not np.isfinite(new).all():
            raise ValueError(f"hyper[{name!r}] must be finite, got {new[~np.isfinite(new)][0]}.")
        checked[name] = new.astype(values[name].dtype)
    return checked
