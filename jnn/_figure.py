"""An empty figure, drawn without a display, and text in it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn_text(text: str) -> str:
    """Return a text as it is to be drawn: no formula, and no part of a name that is no UTF-8."""
    return text.replace("$", r"\$").encode("utf-8", "replace").decode()


def new_figure(height: float = 4.2, panels: tuple[int, int] = (1, 1)) -> "tuple[Figure, Any]":
    """Return a figure of this height in inches, and its axes: one, or an array of panels."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib, which is not installed. "
            "Install it with: pip install 'jnn-jax[plots]'"
        ) from error
    figure = Figure(figsize=(7, height), layout="constrained")
    return figure, figure.subplots(*panels)
