"""Scores of generated examples, in batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine import (
    INIT,
    Data,
    Rows,
    State,
    Trained,
    even_batches,
    explained,
    key_of,
    on_device,
    sum_over,
    take_rows,
)
from jnn.study import Study

_SCORE = 0x5C0E  # folded into a member's key for the latents that are scored

Draw = Callable[[Trained, jax.Array, int, Any], jax.Array]


def make_evaluate(
    study: Study, draw: Draw, *, samples: int | None, labelled: bool
) -> Callable[[State, Data, Rows], dict[str, jax.Array]]:
    """Make `evaluate(state, data, rows) -> {metric: score}`.

    A metric takes generated examples as its predictions, and real ones as its targets, in equal
    number and in the units of the data.

    Args:
        study: Its metrics and the size of a batch.
        draw: `draw(trained, key, rows, labels) -> examples`.
        samples: How many examples are drawn; one for each real row by default.
        labelled: Whether examples are drawn for the labels of the real rows.
    """
    streaming = {name: metric for name, metric in study.metrics.items() if metric.streams}
    whole = {name: metric for name, metric in study.metrics.items() if not metric.streams}

    def evaluate(state: State, data: Data, rows: Rows) -> dict[str, jax.Array]:
        if not study.metrics:
            return {}
        data, rows = on_device((data, rows))
        index, count = rows.index[state.fold], rows.count[state.fold]
        total = index.shape[0] if samples is None else samples
        _check_number(study, total)
        batches, size = even_batches(total, study.evaluation_batch)
        position = jnp.arange(batches * size)
        weights = (position < (count if samples is None else total)).astype(jnp.float32)
        index = index[position % count]
        if data.weights is not None:
            weights = weights * data.weights[index]
        key = jax.random.fold_in(key_of(state.key, INIT), _SCORE)

        def score(batch: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Any, Any]:
            number, index, weights = batch
            x, y = take_rows((data.x, data.y), index)
            drawn = draw(
                state.trained, jax.random.fold_in(key, number), size, y if labelled else None
            )
            sums = {}
            for name, metric in streaming.items():
                with explained(f"The metric {name!r} failed on examples of shape {drawn.shape}"):
                    sums[name] = metric.update(metric.init(), drawn, x, weights)
            return sums, (drawn, x, weights) if whole else None

        split = (jnp.arange(batches), index.reshape(-1, size), weights.reshape(-1, size))
        sums, everything = sum_over(score, split)
        values = {name: metric.value(sums[name]) for name, metric in streaming.items()}
        for name, metric in whole.items():
            with explained(f"The metric {name!r} failed"):
                values[name] = metric(*everything)
        return values

    return evaluate


def _check_number(study: Study, examples: int) -> None:
    """Raise ValueError if a metric has no value for so few examples."""
    for name, metric in study.metrics.items():
        if metric.name == "frechet" and examples < 2:
            raise ValueError(
                f"metrics[{name!r}] needs two examples or more, got {examples}. Set samples, or "
                "score on more rows."
            )
