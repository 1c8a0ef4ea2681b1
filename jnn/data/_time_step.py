"""The step of a time axis: found in its times, counted between them, and added to the last one.

A step is text: a pandas frequency such as "h", "B" or "3MS"; "MS+14D" for the 15th of each month;
or a number such as "0.5" where the times are numbers.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_TOLERANCE = 0.05  # of a step: clocks jitter, and a day of a clock change has 23 or 25 hours
_LEAST = 0.5  # share of neighbors that must be one step apart for a step to be one
_MONTH = 28 * 86_400_000_000_000  # nanoseconds from which on a calendar's step is the likelier one
_UNITS = {
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "D": "day",
    "W": "week",
    "B": "business day",
    "MS": "month",
    "ME": "month",
    "BMS": "month",
    "BME": "month",
}


def find_step(times: "pd.Index") -> str | None:
    """Return the step of ascending times, or None if they have none.

    Of the fixed steps and those of the calendar it is the one by which most neighbors are one step
    apart, if that are at least half of them and all others are several steps apart.
    """
    if len(times) < 2:
        return None
    counts = {step: _counts(times, step) for step in _candidates(times)}
    shares = {step: (c == 1).mean() for step, c in counts.items() if (c > 0).all()}
    best = max(shares, key=lambda step: shares[step], default=None)  # the first of equal ones
    return best if best is not None and shares[best] >= _LEAST else None


def count_steps(times: "pd.Index", step: str) -> np.ndarray:
    """Return how many steps lie between each time and the next, int [times - 1].

    It is 0 where their distance is no whole number of steps.
    """
    return _counts(times, step) if len(times) > 1 else np.zeros(0, int)


def next_times(last: object, step: str, count: int) -> "pd.Index":
    """Return the times of the steps after the last one."""
    import pandas as pd

    if not isinstance(last, pd.Timestamp):
        return pd.Index(float(last) + float(step) * np.arange(1, count + 1))  # type: ignore[arg-type]
    frequency, _, days = step.partition("+")
    shift = pd.Timedelta(days.replace("D", " days")) if days else pd.Timedelta(0)
    return pd.date_range(last - shift, periods=count + 1, freq=frequency)[1:] + shift


def step_in_words(step: str) -> str:
    """Return a step as words.

    >>> step_in_words("h"), step_in_words("15min"), step_in_words("MS+14D"), step_in_words("0.5")
    ('1 hour', '15 minutes', '1 month', '0.5')
    """
    frequency = step.partition("+")[0].partition("-")[0]
    unit = frequency.lstrip("0123456789")
    if unit not in _UNITS:
        return step
    count = frequency.removesuffix(unit) or "1"
    return f"{count} {_UNITS[unit]}" + ("" if count == "1" else "s")


def _candidates(times: "pd.Index") -> list[str]:
    """Return the steps that the times may have, likeliest first."""
    import pandas as pd

    if not isinstance(times, pd.DatetimeIndex):
        return [f"{_usual(np.diff(times.to_numpy(np.float64))):.10g}"]
    usual = int(_usual(np.diff(_nanoseconds(times))))
    fixed = [_fixed(usual)]
    if len(times.normalize().unique()) < len(times) or _varies(times - times.normalize()):
        return fixed
    calendar = [*_months(times), *(["B"] if (times.day_of_week < 5).all() else [])]
    return [*calendar, *fixed] if usual >= _MONTH else [*fixed, *calendar]


def _fixed(nanoseconds: int) -> str:
    """Return a fixed step as a pandas frequency, in days if it is whole days."""
    import pandas as pd

    step: Any = pd.Timedelta(nanoseconds)
    if step.value % pd.Timedelta(1, "D").value == 0:
        return "D" if step.days == 1 else f"{step.days}D"
    return pd.tseries.frequencies.to_offset(step).freqstr  # type: ignore[union-attr]


def _months(times: "pd.DatetimeIndex") -> list[str]:
    """Return the steps of whole months on which all times lie."""
    import pandas as pd

    steps = np.diff(_month_numbers(times))
    usual = int(_usual(steps))
    if usual < 1:
        return []
    many = "" if usual == 1 else str(usual)
    names = []
    if not _varies(times.day):
        names.append("MS" if times.day[0] == 1 else f"MS+{times.day[0] - 1}D")
    if times.is_month_end.all():
        names.insert(0, "ME")
    business = {"BMS": pd.offsets.BMonthBegin(), "BME": pd.offsets.BMonthEnd()}
    for name, offset in business.items():
        if not names and all(offset.is_on_offset(time) for time in times):
            names.append(name)
    return [many + name for name in names]


def _counts(times: "pd.Index", step: str) -> np.ndarray:
    import pandas as pd

    if not isinstance(times, pd.DatetimeIndex):
        return _whole(np.diff(times.to_numpy(np.float64)) / float(step))
    frequency = step.partition("+")[0]
    if frequency == "B":
        days = times.tz_localize(None).to_numpy("datetime64[D]")
        return _where(np.asarray(times.day_of_week)[1:] < 5, np.busday_count(days[:-1], days[1:]))
    if frequency.endswith(("MS", "ME")):
        many = int(frequency.rstrip("BMSE") or 1)
        months = np.diff(_month_numbers(times))
        on_calendar = _months_fit(times, step)
        return _where(on_calendar[1:] & (months % many == 0), months // many)
    step = frequency if frequency[0].isdigit() else "1" + frequency
    return _whole(np.diff(_nanoseconds(times)) / pd.Timedelta(step).value)


def _months_fit(times: "pd.DatetimeIndex", step: str) -> np.ndarray:
    """Return which times stand where a step of months puts them, bool [times]."""
    import pandas as pd

    frequency, _, days = step.partition("+")
    name = frequency.lstrip("0123456789")
    if name == "MS":
        return np.asarray(times.day == 1 + int(days.removesuffix("D") or 0))
    if name == "ME":
        return np.asarray(times.is_month_end)
    offset = pd.offsets.BMonthBegin() if name == "BMS" else pd.offsets.BMonthEnd()
    return np.array([offset.is_on_offset(time) for time in times])


def _usual(steps: np.ndarray) -> float:
    """Return the most frequent step if half of all are it, else the median to 3 digits."""
    values, counts = np.unique(steps, return_counts=True)
    most = int(counts.argmax())
    is_exact = counts[most] >= _LEAST * len(steps)
    return values[most] if is_exact else float(f"{np.median(steps):.3g}")


def _whole(ratios: np.ndarray) -> np.ndarray:
    """Return ratios as whole numbers of at least 1, and 0 where they are none."""
    counts = np.rint(ratios)
    return _where((np.abs(ratios - counts) <= _TOLERANCE) & (counts > 0), counts)


def _where(is_valid: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(is_valid, counts, 0).astype(np.int64)


def _month_numbers(times: "pd.DatetimeIndex") -> np.ndarray:
    return np.asarray(times.year * 12 + times.month)


def _nanoseconds(times: "pd.DatetimeIndex") -> np.ndarray:
    return times.as_unit("ns").asi8


def _varies(values: "pd.Index") -> bool:
    return bool((values != values[0]).any())
