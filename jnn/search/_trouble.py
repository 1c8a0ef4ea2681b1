"""Why a setting has no score: which number was not finite, or which error came."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jnn._errors import reason_of
from jnn.study import Study

if TYPE_CHECKING:
    import xarray

_NOTE = "best_epoch"  # which `Population.scores` holds where the best epoch of each member is kept
_NEVER = np.inf


def kept(scores: "xarray.Dataset", metric: str, study: Study) -> np.ndarray:
    """Return a metric [members, in the order of their axes] at the epoch that each member keeps.

    That is the best epoch so far with `Study.keep="best"`, else the last one that was scored.

    Raises:
        ValueError: If there is no such score, or it is no number.
    """
    if metric not in scores:
        raise ValueError(
            f"metric must be one of the scores {sorted(map(str, scores))}, got {metric!r}."
        )
    values = scores[metric]
    if values.dims[-1] != "epoch":
        raise ValueError(
            f"metric must be one number for each member and epoch, but {metric!r} has the shape "
            f"{values.shape[values.dims.index('epoch') + 1 :]}. Choose another."
        )
    if _NOTE in scores:
        epoch = scores[_NOTE]
        return values.sel(epoch=epoch.clip(min=1)).where(epoch > 0).values
    last = scores.sizes["epoch"]
    if last < study.epochs:
        last -= last % study.evaluate_every
    return values.sel(epoch=last).values


def first_bad_epochs(scores: "xarray.Dataset", study: Study) -> dict[str, np.ndarray]:
    """Return the first epoch in which each score was not finite, infinity if none, by name.

    The training loss comes first, because it is the cause where several are not finite.
    """
    names = sorted(map(str, scores), key=lambda name: (name != "train_loss", name != "loss"))
    return {name: _first_bad(scores[name], study) for name in names if name != _NOTE}


def trouble(first: Mapping[str, np.ndarray], failing: np.ndarray) -> str:
    """Return in a few words what was not finite in a setting; empty if nothing.

    Args:
        first: The first epoch in which each score of each member was not finite, [members].
        failing: Which members have no score, bool [members].
    """
    if not failing.any():
        return ""
    members = f"{int(failing.sum())} of {failing.size} members"
    earliest = {name: epochs[failing].min() for name, epochs in first.items()}
    name = min(earliest, key=earliest.__getitem__)
    if earliest[name] == _NEVER:
        return f"no finite score on {members}"
    return f"{name} not finite in epoch {earliest[name]:.0f} on {members}"


def sentence_of(error: BaseException) -> str:
    """Return what an error says in one line, with its kind where the text does not explain it."""
    if isinstance(error, TypeError | ValueError):
        return reason_of(error)
    return f"{type(error).__name__}: {reason_of(error)}"


def _first_bad(values: "xarray.DataArray", study: Study) -> np.ndarray:
    """Return the first epoch in which a score was not finite, of those in which it was taken."""
    axis = values.dims.index("epoch")
    finite = np.isfinite(values.values)
    finite = finite.reshape(*finite.shape[: axis + 1], -1).all(axis=-1)
    number = np.arange(1, values.sizes["epoch"] + 1)
    due = (number % study.evaluate_every == 0) | (number == study.epochs)
    if values.name == "train_loss":
        due[:] = True
    bad = ~finite & due
    return np.where(bad.any(axis=-1), number[bad.argmax(axis=-1)], _NEVER).astype(np.float64)
