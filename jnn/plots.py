"""Figures of a result or a search, drawn without a display."""

from jnn.result import (
    few_shot,
    film_strip,
    forecast,
    forest,
    histogram,
    image_grid,
    learning_curves,
    player_losses,
    search_curve,
)
from jnn.result import search_choices as choices
from jnn.result import search_importance as importance
from jnn.result import write_figure as write

__all__ = [
    "choices",
    "few_shot",
    "film_strip",
    "forecast",
    "forest",
    "histogram",
    "image_grid",
    "importance",
    "learning_curves",
    "player_losses",
    "search_curve",
    "write",
]
