"""Whether the outputs of a network can be outputs for the targets of the data."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jnn.data import Dataset, Windows
from jnn.engine import Data, State, loss_of
from jnn.study import Study

_OF_CLASSES = (  # modules of losses that read one output for each class
    "jnn.losses._classification",
    "jnn.losses._class_weights",
    "optax.losses._classification",
)
_READERS = ("Study.loss", "Study.targets", "The metric")  # first words of their errors


def check_outputs(study: Study, data: Dataset, arrays: Data, outputs: Any, state: State) -> None:
    """Raise ValueError if outputs are not one per class or target though they are read as such.

    Other outputs, such as embeddings, thresholds or the parameters of a density, are the concern
    of the loss and the metrics.

    Args:
        study: What is trained.
        data: The rows.
        arrays: The rows as all members share them.
        outputs: Shapes of the outputs of a batch.
        state: The shapes of a member.
    """
    misfit = _misfit(data, arrays, outputs)
    if misfit is None:
        return
    if _reads_classes(study, data) or _pairs(study, data, arrays, outputs, state):
        raise ValueError(misfit)


@contextlib.contextmanager
def outputs_told(data: Dataset, arrays: Data, outputs: Any) -> Iterator[None]:
    """Say that outputs are not one per class or target where the loss or a metric fails on them."""
    try:
        yield
    except ValueError as error:
        is_of_loss = str(error).startswith("Study.loss failed")
        if data.y is None and is_of_loss:
            raise ValueError(_without_targets(data)) from error
        misfit = _misfit(data, arrays, outputs)
        if misfit is None or not str(error).startswith(_READERS):
            raise
        raise ValueError(f"{misfit} {error}") from error


def _without_targets(data: Dataset) -> str:
    return (
        f"data must have targets y for supervised training, but {data.name} has none. Give y, or a "
        "Study(trainer=...), or a loss that reads the outputs alone."
    )


def check_targets(study: Study, data: Dataset) -> None:
    """Raise ValueError if a study needs targets and the data have none."""
    if data.y is not None:
        return
    if study.class_weights is not None:
        raise ValueError(
            f"class_weights needs data with targets y, but {data.name} has none. Give y, or leave "
            "class_weights out."
        )
    if study.trainer is None and any(metric.task for metric in study.metrics.values()):
        raise ValueError(_without_targets(data))


def _misfit(data: Dataset, arrays: Data, outputs: Any) -> str | None:
    """Return a sentence if one array of outputs is not one per class or target, else None."""
    shape = getattr(outputs, "shape", None)
    if shape is None or data.task not in ("classification", "regression"):
        return None
    outputs_of_row, row = shape[1:], arrays.y.shape[1:]
    if data.task == "regression":
        expected = row or (1,)
        means_and_variances = row[-1:] and outputs_of_row == (*row[:-1], 2 * row[-1])
        per_target = outputs_of_row[:-1] == row  # one, or several such as quantiles
        fits = outputs_of_row == row or means_and_variances or per_target
        if isinstance(arrays.y, Windows):
            fits = fits or outputs_of_row == (*row, 1)
    else:
        expected = (*row, data.classes)
        fits = outputs_of_row[len(row) :] == (data.classes,)
        if data.classes == 2:
            fits = fits or outputs_of_row in ((1,), row, (*row, 1))
    if fits:
        return None
    return (
        f"The model must have outputs of shape {expected} per row for {data.name}, got "
        f"{tuple(outputs_of_row)}. Change its last layer to {expected[-1]} outputs."
    )


def _reads_classes(study: Study, data: Dataset) -> bool:
    """Return whether the loss or a metric reads one output for each class."""
    if data.task != "classification":
        return False
    loss: Any = study.loss
    while isinstance(loss, functools.partial):
        loss = loss.func
    is_of_classes = getattr(loss, "__module__", "").startswith(_OF_CLASSES)
    return is_of_classes or any(m.task == "classification" for m in study.metrics.values())


def _pairs(study: Study, data: Dataset, arrays: Data, outputs: Any, state: State) -> bool:
    """Return whether the loss pairs each output with a target, and would broadcast the targets.

    Such a loss takes targets of the shape of the outputs too.
    """
    if data.task != "regression" or study.loss is None:
        return False
    y = arrays.y.shape[1:]
    with contextlib.suppress(ValueError):
        jnp.broadcast_shapes(outputs.shape, (outputs.shape[0], *y))
        if len(outputs.shape) <= len(y):  # [rows] and [rows, 1] become [rows, rows]
            return True
        alike = jax.ShapeDtypeStruct(outputs.shape, jnp.float32)
        with contextlib.suppress(Exception):
            jax.eval_shape(functools.partial(loss_of, study), outputs, alike, state)
            return True
    return False
