"""Categories that differ in blanks or capitals only, which are mostly one that is misspelled."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from jnn.data._columns import is_number

if TYPE_CHECKING:
    import pandas as pd


def warn_of_spellings(columns: "Mapping[str, pd.Series]", meant: Collection[str]) -> None:
    """Warn of each column of text that spells a category in several ways.

    Args:
        columns: Columns by their names.
        meant: Names of columns whose values are known to be categories as they are.
    """
    for name, values in columns.items():
        if is_number(values) or name in meant:
            continue
        alike = spelled_alike(str(value) for value in values.dropna().unique())
        if alike:
            warnings.warn(
                f"Column {name!r} has values that differ in blanks or capitals only, such as "
                f"{' and '.join(map(repr, alike[:3]))}, and each is a category of its own. Write "
                f"them alike, or pass category=[{name!r}] if they are meant.",
                stacklevel=4,
            )


def spelled_alike(values: Iterable[str]) -> list[str]:
    """Return the first values that differ in blanks or capitals only, sorted; [] if none do.

    Single letters may differ in capitals: "a" and "A" are different characters.

    >>> spelled_alike(["rosa", "tulip", "Rosa "])
    ['Rosa ', 'rosa']
    """
    spellings: dict[str, list[str]] = {}
    for value in values:
        key = " ".join(value.split())
        spellings.setdefault(key if len(key) == 1 else key.casefold(), []).append(value)
    return next((sorted(group) for group in spellings.values() if len(group) > 1), [])
