"""The members and numbers that `keep` and `gather` of a population are given, checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jnn.study import Members, grid


def numbers_of(which: Any, count: int) -> np.ndarray:
    """Return the numbers of the chosen members."""
    which = _as_array("which", which)
    if not which.size:
        raise ValueError("which must keep at least one member, got none.")
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
    """Return the number of the member that each member copies."""
    sources = _as_array("sources", sources)
    if sources.dtype.kind not in "iu":
        raise TypeError(f"sources must be numbers of members, got type {sources.dtype}.")
    if sources.shape != (count,):
        raise ValueError(
            f"sources must be the number of a member for each of the {count} members, got an array "
            f"of type {sources.dtype} and shape {sources.shape}."
        )
    _check_numbers("sources", sources, count)
    return sources


def _as_array(name: str, numbers: Any) -> np.ndarray:
    try:
        return np.asarray(numbers)
    except ValueError as error:
        raise TypeError(f"{name} must be a list of numbers, got {numbers!r}.") from error


def _check_numbers(name: str, numbers: np.ndarray, count: int) -> None:
    outside = numbers[(numbers < 0) | (numbers >= count)]
    if outside.size:
        raise ValueError(f"{name} must be from 0 to {count - 1}, got {outside[0]}.")


def chosen_members(members: Members, chosen: np.ndarray) -> Members:
    """Return the chosen members, which keep their numbers in the first population."""
    columns = {**members[chosen].axes["member"], "member": first_numbers(members)[chosen]}
    return Members({"member": columns}, members.split)


def with_numbers(members: Members, numbers: Mapping[str, np.ndarray]) -> Members:
    """Return members with other hyper-parameters, on one axis `member`."""
    columns = {"member": first_numbers(members), **_but(members.columns(), "member")}
    for name, values in numbers.items():
        columns |= grid(**{name: values}).axes[name]
    return Members({"member": columns}, members.split)


def new_numbers(
    members: Members,
    defaults: Mapping[str, Any],
    sources: np.ndarray,
    hyper: Mapping[str, Any] | None,
) -> dict[str, np.ndarray]:
    """Return the hyper-parameters of members that copy others, with new values for some.

    Args:
        members: The members as they are.
        defaults: The hyper-parameters of the study that members need not set.
        sources: The number of the member that each one copies.
        hyper: New values by name.
    """
    if hyper is not None and not isinstance(hyper, Mapping):
        raise TypeError(f"hyper must be a dict of numbers by name, got {hyper!r}.")
    table = members.numbers()
    numbers = {name: column[sources] for name, column in table.items()}
    for name, values in (hyper or {}).items():
        if name not in table and name not in defaults:
            raise ValueError(
                f"hyper[{name!r}] is no hyper-parameter of the members, which have "
                f"{sorted({*table, *defaults}) or 'none'}."
            )
        shape = table[name].shape if name in table else (len(members),)
        if np.shape(values) != shape:
            raise ValueError(
                f"hyper[{name!r}] must have the shape {shape}, got {np.shape(values)}."
            )
        numbers[name] = grid(**{name: values}).axes[name][name]  # which checks the numbers
    return numbers


def narrowed(numbers: Mapping[str, np.ndarray], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters of a state with new numbers, in their present types."""
    values = {name: np.asarray(value) for name, value in present.items()}
    for name, new in numbers.items():
        cast = new.astype(values[name].dtype)
        if values[name].dtype.kind != "f" and not np.array_equal(cast, new):
            raise ValueError(
                f"hyper[{name!r}] must be of type {values[name].dtype}, as at the start, got "
                f"{new.tolist()}. Start the population with floats, such as 1.0."
            )
        values[name] = cast
    return values


def first_numbers(members: Members) -> np.ndarray:
    return members.columns().get("member", np.arange(len(members)))


def _but(columns: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: column for key, column in columns.items() if key != name}
