"""Where a figure is drawn, the numbers that it draws, and the colors and markers of classes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDER = (0, 1, 4, 2, 9, 5, 6, 8, 3, 7)  # of tab10: the first are told apart by the color-blind
_MARKERS = "os^DvPX<>H"


def drawn_on(axes: "Axes | None", height: float = 4.2) -> "tuple[Any, Axes]":
    """Return a figure and its axes: those that were given, or new ones.

    Raises:
        TypeError: If `axes` is something else, such as an array of panels.
    """
    if axes is None:
        return new_figure(height)
    if not hasattr(axes, "contour"):
        raise TypeError(
            f"axes must be one matplotlib Axes, got {type(axes).__name__}. "
            "Pass one panel of figure.subplots()."
        )
    return axes.figure, axes


def as_numbers(name: str, values: Any, dtype: Any = np.float64) -> np.ndarray:
    """Return values that are drawn as floats.

    Raises:
        ValueError: If they are no array of real numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty((), object)
    if array.dtype.kind in "cOSUmM":
        raise ValueError(
            f"{name} must be an array of real numbers, got one of type {array.dtype}. Pass a "
            "rectangular array."
        )
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def class_color(index: int) -> str:
    """Return the color of a class."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return to_hex(colormaps["tab10"](_ORDER[index % len(_ORDER)]))


def class_marker(index: int) -> str:
    """Return the marker of a class, which tells it apart without colors."""
    return _MARKERS[index % len(_MARKERS)]


def counted(count: int, word: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "member"), counted(20, "member")
    ('1 member', '20 members')
    """
    return f"{count} {word}" + ("" if count == 1 else "s")
