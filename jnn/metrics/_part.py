"""A metric of one part of predictions and targets that have several."""

import dataclasses
from functools import partial
from typing import Any

from jnn.metrics._metric import Metric, Weights

Place = str | int


def of(part: Place, metric: Metric, *, output: Place | None = None) -> Metric:
    """Make a metric of one part of the targets, where data have several.

    Predictions, or targets, that are a single array are taken as they are: `of("logits", accuracy)`
    scores one of several outputs on plain labels.

    Args:
        part: Name of the part of a dict of targets, or its place in a tuple.
        metric: A metric of arrays, such as `accuracy`.
        output: Name or place of the predictions of this part; by default as that of the targets.

    Raises:
        TypeError: If `metric` is no metric.
        ValueError: When it is computed, if there is no such part.

    >>> import jax.numpy as jnp
    >>> from jnn.metrics import mae
    >>> targets = {"width": jnp.array([1.0, 2.0]), "label": jnp.array([0, 1])}
    >>> float(of("width", mae)({"width": jnp.array([1.5, 2.0])}, targets))
    0.25
    """
    if not isinstance(metric, Metric):
        raise TypeError(f"metric must be a jnn.metrics.Metric, got {metric!r}.")
    place = part if output is None else output
    return dataclasses.replace(
        metric,
        update=partial(_update, metric, part, place),
        task=None,
        doc=None,
        name=f"{metric.name or 'metric'} of {part}",
    )


def _update(
    metric: Metric,
    part: Place,
    output: Place,
    sums: Any,
    predictions: Any,
    targets: Any,
    weights: Weights = None,
) -> Any:
    predictions = _part(predictions, output, "predictions")
    return metric.update(sums, predictions, _part(targets, part, "targets"), weights)


def _part(values: Any, place: Any, what: str) -> Any:
    places: list[Any]
    if isinstance(values, dict):
        places = list(values)
    elif isinstance(values, tuple | list):
        places = list(range(len(values)))
    else:
        return values
    if place not in places:
        raise ValueError(f"{what} must have a part {place!r}, got only {places}.")
    return values[place]
