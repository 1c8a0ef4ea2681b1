"""Columns that look like numbers only because thousands separators are ignored, such as dates."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def not_grouped(pieces: "Iterable[pd.DataFrame]", thousands: str, decimal: str) -> set[str]:
    """Return the columns that spell numbers without the separator, but not with it.

    In 1.234.567 the separator stands before three digits, in 27.06.2022, 10.0.0.1 and 1.5 it does
    not. Groups of two digits are taken before the last one, as in 12,34,567.

    Args:
        pieces: The table as text, by rows.
        thousands: The separator.
        decimal: The decimal point.
    """
    mark, point = re.escape(thousands), re.escape(decimal)
    number = re.compile(rf"\s*[+-]?\d{{1,3}}({mark}\d{{2,3}})*{mark}\d{{3}}({point}\d*)?\s*")
    wrong: set[str] = set()
    words: set[str] = set()
    for piece in pieces:
        for name, values in piece.items():
            different = values.dropna().unique()
            marked = [value for value in different if thousands in value]
            if not all(map(number.fullmatch, marked)):
                wrong.add(str(name))
            if not _are_numbers(different, thousands, decimal):
                words.add(str(name))
    return wrong - words


def _are_numbers(values: Iterable[str], thousands: str, decimal: str) -> bool:
    plain = (value.replace(thousands, "").replace(decimal, ".") for value in values)
    try:
        list(map(float, plain))
    except ValueError:
        return False
    return True
