"""The scores of a run on named axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jnn.study import Members, Study

if TYPE_CHECKING:
    import xarray


def scores_dataset(
    study: Study,
    members: Members,
    history: Mapping[str, np.ndarray | jax.Array],
    best_epoch: np.ndarray | jax.Array | None = None,
) -> "xarray.Dataset":
    """Return the scores of every member and epoch with the axes of the members.

    Args:
        study: What is trained.
        members: The population.
        history: Scores by name, [members, epochs, ...].
        best_epoch: The epoch that each member keeps, counted from 0; None if it is the last.
    """
    import xarray

    axes = tuple(members.axes)
    variables = {}
    for name in _in_order(history, study):
        values = history[name]
        shaped = np.asarray(values).reshape(*members.shape, *values.shape[1:])
        extra = [f"{name}_axis{i}" for i in range(values.ndim - 2)]
        variables[name] = ((*axes, "epoch", *extra), shaped)
    if best_epoch is not None:
        variables["best_epoch"] = (axes, np.asarray(best_epoch).reshape(members.shape) + 1)
    epochs = next(iter(history.values())).shape[1]
    numbers = {"epoch": np.arange(1, epochs + 1)}
    return xarray.Dataset(variables, {**coordinates(members), **numbers})


def _in_order(history: Mapping[str, Any], study: Study) -> list[str]:
    """Return the scores' names in the order of the study's metrics, held-out ones first.

    Scores that the study's own trainer gives follow in alphabetical order.
    """
    names = [
        prefix + name
        for prefix in ("", "validation_", "train_")
        for name in (*study.metrics, "loss")
    ]
    others = sorted(history.keys() - set(names))
    return [name for name in (*names, *others) if name in history]


def bare_name(name: str) -> str:
    """Return the name of a metric without the rows that it was taken on."""
    return name.removeprefix("train_").removeprefix("validation_")


def coordinates(members: Members) -> dict[str, Any]:
    """Return the columns of the members as the coordinates of their axes, without arrays."""
    return {
        name: (axis, column)
        for axis, columns in members.axes.items()
        for name, column in columns.items()
        if column.ndim == 1
    }
