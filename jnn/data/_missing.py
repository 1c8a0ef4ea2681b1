"""Values of a table that are missing: how they are written, and the rows that have some."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from jnn.data._columns import spells_numbers

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["error", "drop", "fill"]
"""What becomes of rows with missing values."""

WRITTEN_MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""Texts that pandas reads as a missing value in any column."""

_BESIDE_NUMBERS = frozenset(
    {
        "?", "??", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "*", "**", "#",
        "na", "n.a.", "n.a", "n/a", "nil", "none", "null", "nan", "missing", "unknown",
        "not available", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "(blank)", "blank", "",
    }
)  # fmt: skip


def check_missing(missing: object) -> None:
    """Raise unless this says what becomes of rows with missing values."""
    if missing not in ("error", "drop", "fill"):
        raise ValueError(
            f"missing must be 'error', 'drop' or 'fill', got {missing!r}. 'fill' fills numbers "
            "with the median of the training rows, and categories with one of their own."
        )


def is_mark(values: Iterable[object]) -> np.ndarray:
    """Return which texts stand for a missing number, as "?" and "-" do among numbers."""
    return np.array([str(value).strip().lower() in _BESIDE_NUMBERS for value in values], bool)


def numbers_with_marks(values: "pd.Series") -> "pd.Series | None":
    """Return a column of text as numbers if it has only these and marks of missing ones.

    Returns:
        The numbers, NaN at each mark; None if there is other text, no number or no mark.
    """
    import pandas as pd

    rows, distinct = pd.factorize(values.astype(object).map(str, na_action="ignore"))
    numbers = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce")
    numbers = np.append(pd.Series(numbers).to_numpy(np.float64), np.nan)  # the last is for row -1
    is_text = np.isnan(numbers[:-1])
    if is_text.all() or not is_text.any() or not is_mark(distinct[is_text]).all():
        return None
    return pd.Series(numbers[rows], values.index)


def _is_text(values: "pd.Series") -> bool:
    return values.dtype.kind == "O" and values.dtype.name != "category"


def refuse_missing(
    columns: "Mapping[str, pd.Series]",
    *,
    later: bool = False,
    is_free: bool = True,
    unusable: "Callable[[], Mapping[str, str]]" = dict,
) -> None:
    """Raise if a value is missing, and say how rows with missing values can be used.

    Args:
        columns: Columns by their names.
        later: Whether these are rows for trained members.
        is_free: Whether a column of text may be declared one of categories.
        unusable: Returns what columns hold that cannot be features, to be told as well.
    """
    counts = {name: int(values.isna().sum()) for name, values in columns.items()}
    gaps = [f"{count} in {name!r}" for name, count in counts.items() if count]
    if not gaps:
        return
    texts = [
        name
        for name, values in columns.items()
        if counts[name] and _is_text(values) and not spells_numbers(values.dropna())
    ]
    hint = f"; if 'NA' is a value, category={texts[:1]!r} keeps 'NA'" if texts and is_free else ""
    empty = [name for name, values in columns.items() if 0 < counts[name] == len(values)]
    first = f"Leave the columns without any value out with drop={empty!r}. " if empty else ""
    remedy = (
        "Fill them, or drop these rows: only members that were trained with missing='fill' take "
        "them."
        if later
        else f"{first}Pass missing='drop' to leave these rows out, or missing='fill' to fill "
        f"them{hint}."
    )
    contents = unusable()
    if contents:
        named = ", ".join(f"{name!r} ({content})" for name, content in contents.items())
        remedy += f" These columns cannot be features: {named}. Leave them out too, with "
        remedy += f"drop={list(contents)!r}."
    raise ValueError(
        f"Every row must have a value, got missing values: {', '.join(gaps)}. {remedy}"
    )
