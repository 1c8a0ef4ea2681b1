"""Windows of the series of a table: none reaches from one series, or across a gap, into another."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from jnn.data._series_table import SeriesTable
from jnn.data._time_step import count_steps, find_step, step_in_words
from jnn.data._windows import checked_span

if TYPE_CHECKING:
    import pandas as pd

Gaps = Literal["split", "ignore"]
"""What becomes of a gap in time: no window reaches across it, or it is read over."""


class Places(NamedTuple):
    """Where the windows of several series, or of a series with gaps, begin, in order of time.

    Attributes:
        span: Number of steps of a window and its horizon.
        step: Step of the time axis, or "" if there is none.
        starts: First step of each window; None if a window begins at every step of one series.
        times: Time of the first target of each window; None with `starts`.
        until: Time of its last target.
        groups: Series of each window; None for a single series.
    """

    span: int
    step: str = ""
    starts: np.ndarray | None = None
    times: np.ndarray | None = None
    until: np.ndarray | None = None
    groups: np.ndarray | None = None


def place_windows(table: SeriesTable, length: int, horizon: int, gaps: Gaps = "split") -> Places:
    """Return where the windows of all series begin.

    Raises:
        ValueError: If the time axis has no step, or if there is no window.
    """
    if gaps not in ("split", "ignore"):
        raise ValueError(f"gaps must be 'split' or 'ignore', got {gaps!r}. Leave it out to split.")
    span = checked_span(int(table.sizes.max(initial=0)), length, horizon)
    step, counts = steps_of(table, gaps)
    is_border = np.zeros(max(0, len(table.values) - 1), bool)
    is_border[np.cumsum(table.sizes)[:-1] - 1] = True
    is_gap = (counts > 1) & ~is_border
    if gaps == "ignore":
        is_gap[:] = False
    breaks = np.concatenate([[0], np.cumsum(is_border | is_gap)])
    last = len(table.values) - span + 1
    starts = np.flatnonzero(breaks[span - 1 :] == breaks[:last])
    _tell(table, span, step, starts, is_gap, counts)
    if not breaks[-1]:
        return Places(span, step)
    clock = _clock(table)
    starts = starts[np.argsort(clock[starts + length], kind="stable")].astype(np.int32)
    groups = _groups(table)[starts] if len(table.sizes) > 1 else None
    return Places(span, step, starts, clock[starts + length], clock[starts + span - 1], groups)


def steps_of(table: SeriesTable, gaps: Gaps) -> tuple[str, np.ndarray]:
    """Return the step of all series, and the number of steps from each row to the next.

    The numbers between the last row of a series and the first of the next one mean nothing.
    Without a time axis, or with an irregular one and gaps="ignore", the step is "" and all are 1.

    Raises:
        ValueError: If a time axis has no step.
    """
    counts = np.ones(max(0, len(table.values) - 1), np.int64)
    if table.times is None:
        return "", counts
    ends = np.cumsum(table.sizes)
    longest = int(table.sizes.argmax())
    values = table.times.values
    step = find_step(values[ends[longest] - table.sizes[longest] : ends[longest]])
    for number, (end, size) in enumerate(zip(ends, table.sizes, strict=True)):
        if size < 2:
            continue
        part = values[end - size : end]
        steps = np.zeros(1) if step is None else count_steps(part, step)
        is_other = size > 2 and (steps > 1).all()  # as of days among series of hours
        if (steps == 0).any() or is_other:
            if gaps == "ignore":
                return "", np.ones_like(counts)
            raise ValueError(_irregular(table, part, number, step))
        counts[end - size : end - 1] = steps
    return step or "", counts


def series_name(table: SeriesTable, number: int) -> str:
    """Return what identifies a series in a message, such as "id=3"."""
    pairs = zip(table.id_names, table.ids[number], strict=True)
    return ", ".join(f"{name}={value}" for name, value in pairs)


def _irregular(table: SeriesTable, times: "pd.Index", number: int, step: str | None) -> str:
    assert table.times is not None
    steps = times[1:] - times[:-1]
    where = f" of series {series_name(table, number)}" if table.id_names else ""
    wanted = f"the step of {step_in_words(step)}" if step else "one step"
    return (
        f"The times in {table.times.name!r}{where} must have {wanted}, got steps from "
        f"{steps.min()} to {steps.max()}. Resample the series, as by DataFrame.resample, or pass "
        "gaps='ignore' to take each row as a step."
    )


def _tell(
    table: SeriesTable,
    span: int,
    step: str,
    starts: np.ndarray,
    is_gap: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Warn of gaps and of series without a window; raise if there is no window at all."""
    gaps = int(is_gap.sum())
    about = ""
    if gaps:
        assert table.times is not None
        missing = int((counts[is_gap] - 1).sum())
        about = (
            f"{gaps} gap{'' if gaps == 1 else 's'} in {table.times.name!r} ({missing} "
            f"missing, at steps of {step_in_words(step)})"
        )
    if not starts.size:
        raise ValueError(
            f"Windows must have {span} steps without a gap, got none because of {about}. Choose "
            "shorter windows, fill in the steps, or pass gaps='ignore' to read over the gaps."
        )
    if gaps:
        warnings.warn(
            f"The series has {about}. No window reaches across a gap; pass gaps='ignore' to read "
            "over the gaps.",
            stacklevel=2,
        )
    ends = np.cumsum(table.sizes)
    with_windows = len(np.unique(np.searchsorted(ends, starts, side="right")))
    if with_windows < len(table.sizes):
        warnings.warn(
            f"{len(table.sizes) - with_windows} of {len(table.sizes)} series have no window of "
            f"{span} steps and are left out.",
            stacklevel=2,
        )


def _clock(table: SeriesTable) -> np.ndarray:
    """Return a time for each step that all series share; without an axis, their step numbers."""
    if table.times is None:
        return np.concatenate([np.arange(size) for size in table.sizes])
    values = table.times.values
    if getattr(values, "tz", None) is not None:
        values = values.tz_convert(None)  # type: ignore[attr-defined]
    return values.to_numpy("datetime64[ns]" if table.times.are_dates else np.float64)


def _groups(table: SeriesTable) -> np.ndarray:
    """Return the name of the series of each step."""
    ids: Sequence[object] = [" / ".join(map(str, values)) for values in table.ids]
    if len(table.id_names) == 1:
        ids = [values[0] for values in table.ids]
    return np.repeat(np.asarray(ids), table.sizes)
