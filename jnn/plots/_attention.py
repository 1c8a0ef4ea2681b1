"""The figure of attention: where each word looks."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn.plots._axes import as_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_WORDS = 40  # on an axis


def attention(
    weights: Any, tokens: Sequence[str], *, queries: Sequence[str] | None = None
) -> "Figure":
    """Draw attention weights as a heat map for each head, with the words on the axes.

    A row is a query, and says what it reads of the keys; all heads have one scale of colors.

    Args:
        weights: [heads, queries, keys] or [queries, keys]. The mean over members shows what they
            have in common only if their heads agree; draw one member, or the heads of several as
            [members, queries, keys].
        tokens: The words of the keys.
        queries: The words of the queries; by default those of the keys.

    Raises:
        ValueError: If the weights have other axes than the words, or are not finite.
    """
    heads = _checked(weights, tokens, tokens if queries is None else queries)
    rows = [drawn_text(str(word)) for word in (tokens if queries is None else queries)]
    columns = [drawn_text(str(word)) for word in tokens]
    across = min(len(heads), 4 if len(columns) < 8 else 2 if len(columns) < 20 else 1)
    down = math.ceil(len(heads) / across)
    height = 0.8 + down * float(np.clip(6.0 / across * len(rows) / len(columns) + 0.5, 1.5, 7))
    figure, grid = new_figure(height, panels=(down, across))
    panels = np.atleast_1d(grid).ravel()
    largest = float(heads.max()) or 1.0
    for index, (axes, head) in enumerate(zip(panels, heads, strict=False)):
        axes.imshow(head, cmap="Blues", vmin=0, vmax=largest, aspect="auto")
        _write_words(axes.set_xticks, columns, rotation=90)
        _write_words(axes.set_yticks, rows if index % across == 0 else [""] * len(rows))
        if len(heads) > 1:
            axes.set_title(f"head {index}", fontsize="small")
    for axes in panels[len(heads) :]:
        axes.set_visible(False)
    figure.colorbar(
        panels[0].images[0], ax=list(panels), label="attention weight", shrink=0.8, aspect=20 * down
    )
    figure.supxlabel("key", fontsize="medium")
    figure.supylabel("query", fontsize="medium")
    return figure


def _write_words(set_ticks: Callable[..., Any], words: Sequence[str], **style: Any) -> None:
    """Write the words on an axis, evenly thinned where they are many."""
    shown = range(0, len(words), -(-len(words) // _MOST_WORDS))
    set_ticks(shown, [words[place] for place in shown], fontsize="small", **style)


def _checked(weights: Any, keys: Sequence[str], queries: Sequence[str]) -> np.ndarray:
    """Return weights [heads, queries, keys]."""
    if isinstance(keys, str) or isinstance(queries, str):
        raise ValueError("tokens must be a list of words, got one text. Pass text.split().")
    heads = as_numbers("weights", weights, np.float32)
    heads = heads[None] if heads.ndim == 2 else heads
    expected = (len(queries), len(keys))
    if heads.ndim != 3 or heads.shape[1:] != expected or not heads.size:
        raise ValueError(
            f"weights must be [heads, queries, keys] of {len(queries)} queries and {len(keys)} "
            f"keys, got the shape {np.shape(weights)}. Pass one row of one member."
        )
    if not np.isfinite(heads).all() or heads.min() < 0:
        raise ValueError(
            "weights must be finite and not negative, got others. Pass them after the softmax."
        )
    return heads
