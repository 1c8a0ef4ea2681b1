"""The form of result.json: what the folder of a saved result holds beside its arrays."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np

from jnn._version import __version__
from jnn.storage import FormError
from jnn.study import Members, SavedFolds, Split

_PACKAGES = ("jax", "flax", "optax")


class SplitRecord(TypedDict):
    """The folds: their description and number."""

    describe: str
    count: int


class MembersRecord(TypedDict):
    """The columns of each axis, and the folds."""

    axes: Mapping[str, Mapping[str, Sequence[Any]]]
    split: SplitRecord | None


class PartRecord(TypedDict):
    """The members that one study trained.

    `places` are their places among all members, `hyper` the names of their numbers, `study` the
    settings of the study, and `network` the digest of its network.
    """

    places: Sequence[int]
    hyper: Sequence[str]
    study: Mapping[str, Any]
    network: NotRequired[str]


class ResultRecord(TypedDict):
    """What result.json holds.

    Version 0.1 wrote `study` in place of `schema` and `parts`; versions before 0.3 wrote no
    `versions` and no `digests`, which are those of the other files by name.
    """

    members: MembersRecord
    timing: Mapping[str, float]
    schema: NotRequired[Mapping[str, Any]]
    parts: NotRequired[Sequence[PartRecord]]
    study: NotRequired[Mapping[str, Any]]
    versions: NotRequired[Mapping[str, str]]
    digests: NotRequired[Mapping[str, str]]


def versions() -> dict[str, str]:
    """Return the versions of jnn and of the packages that a network is computed by."""
    return {"jnn": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def members_to_json(members: Members) -> MembersRecord:
    """Return members as JSON can hold them."""
    axes = {
        axis: {name: column.tolist() for name, column in columns.items()}
        for axis, columns in members.axes.items()
    }
    split = members.split
    if split is None:
        return {"axes": axes, "split": None}
    return {"axes": axes, "split": {"describe": split.description, "count": len(split)}}


def members_from_json(content: MembersRecord) -> Members:
    """Return the members that `members_to_json` wrote.

    Raises:
        FormError: If a column does not hold numbers or texts, or not as many as the others.
    """
    axes = {
        axis: {name: _column(f"members.axes.{axis}.{name}", c) for name, c in columns.items()}
        for axis, columns in content["axes"].items()
    }
    for axis, columns in axes.items():
        if not columns or len({len(column) for column in columns.values()}) > 1:
            raise FormError(f"members.axes.{axis} must have columns of one length")
    split = content["split"]
    if split is None:
        return Members(axes)
    if split["count"] < 1:
        raise FormError(f"members.split.count must be at least 1, got {split['count']}")
    return Members(axes, Split(SavedFolds(split["describe"], split["count"])))


def check_places(parts: Sequence[PartRecord], count: int) -> None:
    """Raise FormError unless the parts have each of the members once."""
    places = [place for part in parts for place in part["places"]]
    if sorted(places) != list(range(count)):
        raise FormError(f"the parts must have each of the {count} members once")


def _column(where: str, values: Sequence[Any]) -> np.ndarray:
    """Return a column of numbers, or of texts, of at least one entry."""
    try:
        column = np.asarray(values)
    except ValueError:  # lists of different lengths
        column = np.asarray(None)
    is_text = [isinstance(value, str) for value in values]
    is_mixed = any(is_text) and not all(is_text)
    if is_mixed or column.ndim == 0 or not column.size or column.dtype.kind not in "biufU":
        raise FormError(f"{where} must hold numbers, or texts, got {values!r:.60}")
    if where.endswith((".seed", ".fold", ".member")) and column.dtype.kind not in "iu":
        raise FormError(f"{where} must hold whole numbers, got {values!r:.60}")
    return column
