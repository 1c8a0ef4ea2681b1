"""Trees of arrays by the name `jnn.load`, which says what to call for a data set or a result."""

import os
from typing import Any

from jnn import data, storage

_ABSENT = object()


def load_tree(path: str | os.PathLike[str], like: Any = _ABSENT, *, members: bool = False) -> Any:
    """Read a tree of arrays that `jnn.save` wrote.

    Args:
        path: The file to read.
        like: A tree of arrays or shapes that has the structure to fill.
        members: Whether the arrays in the file have a leading axis of members that `like` lacks.

    Raises:
        TypeError: If `like` is missing.
        ValueError: If the file is damaged, if its names or shapes differ from those of `like`, or
            if `path` is the name of a data set or the folder of a result, which are read by other
            functions.
    """
    place = storage.expand(path)
    if (place / "result.json").exists():
        raise ValueError(
            f"{place} is the folder of a result, not a file with a tree of arrays. "
            f"Call jnn.Result.load({str(place)!r})."
        )
    if not place.exists() and str(path) in data.names():
        raise ValueError(
            f"{str(path)!r} is the name of a data set, not a file with a tree of arrays. "
            f"Call jnn.data.load({str(path)!r})."
        )
    if like is _ABSENT:
        raise TypeError(
            f"load needs a tree with the structure to fill: jnn.load({str(path)!r}, like). "
            "Without one, call jnn.storage.load_nested(path)."
        )
    return storage.load(path, like, members=members)
