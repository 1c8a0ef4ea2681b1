"""Figures of a result, drawn without a display."""

from jnn.result import forecast, forest, learning_curves
from jnn.result import write_figure as write

__all__ = ["forecast", "forest", "learning_curves", "write"]
