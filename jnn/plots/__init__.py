"""Figures, drawn without a display: of results, of searches, of networks and their predictions.

Each function returns a `matplotlib.figure.Figure`, which a notebook shows and `write` writes to a
file.
"""

from jnn.plots._attention import attention
from jnn.plots._boundary import decision_boundary
from jnn.plots._depth import by_depth
from jnn.plots._embeddings import embeddings
from jnn.plots._few_shot import few_shot
from jnn.plots._filters import filters
from jnn.plots._forecast import forecast
from jnn.plots._grids import film_strip, image_grid
from jnn.plots._loss_surface import loss_surface
from jnn.plots._probabilities import reliability, roc
from jnn.plots._samples import histogram, player_losses
from jnn.plots._search import choices, importance, search_curve
from jnn.plots._write import write
from jnn.result import forest, learning_curves

__all__ = [
    "attention",
    "by_depth",
    "choices",
    "decision_boundary",
    "embeddings",
    "few_shot",
    "film_strip",
    "filters",
    "forecast",
    "forest",
    "histogram",
    "image_grid",
    "importance",
    "learning_curves",
    "loss_surface",
    "player_losses",
    "reliability",
    "roc",
    "search_curve",
    "write",
]
