"""Scores and predictions of one member, as pure functions of its state."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._step import Data, Rows, State, make_forward, per_row
from jnn.preprocess import Preprocess
from jnn.study import Study

Scores = dict[str, jax.Array]


def make_scores(
    study: Study, spread: Callable[[Any], Any]
) -> Callable[[State, Data, jax.Array], Scores]:
    """Makes `scores(state, data, fold) -> {name: float32}`: on held-out rows, and on training rows where none are held.

    Args:
        study: What is trained.
        spread: As in `jnn.engine.make_program`.
    """
    evaluate = make_evaluate(study, spread)

    def scores(state: State, data: Data, fold) -> Scores:
        found = {}
        for prefix, rows in (("", data.test), ("validation_", data.validation)):
            if rows is not None:
                found |= {prefix + k: v for k, v in evaluate(state, data, rows, fold).items()}
        if data.test is None:
            found |= {
                "train_" + k: v
                for k, v in evaluate(state, data, data.train, fold).items()
                if k != "loss"
            }
        return {name: jnp.asarray(value, jnp.float32) for name, value in found.items()}

    return scores


def scores_when_due(
    study: Study, scores: Callable[..., Scores], number: Any, *arguments: Any
) -> Scores:
    """`scores(*arguments)` after every `study.evaluate_every`-th epoch and the last one, else NaN."""
    if study.evaluate_every == 1:
        return scores(*arguments)
    is_due = ((number + 1) % study.evaluate_every == 0) | (number + 1 == study.epochs)
    shapes = jax.eval_shape(scores, *arguments)
    absent = jax.tree.map(lambda a: jnp.full(a.shape, jnp.nan, a.dtype), shapes)
    return jax.lax.cond(is_due, scores, lambda *_: absent, *arguments)


def make_evaluate(
    study: Study, spread: Callable[[Any], Any] = lambda batch: batch
) -> Callable[[State, Data, Rows, jax.Array], dict[str, jax.Array]]:
    """Makes `evaluate(state, data, rows, fold) -> {"loss": ..., metric: ...}` over the rows of one fold.

    Metrics see predictions and targets in the targets' own units; the loss is that which is trained.
    """
    forward = make_forward(study.model, study.inputs, study.precision)
    streaming = {k: m for k, m in study.metrics.items() if m.streams}
    whole = {k: m for k, m in study.metrics.items() if not m.streams}

    def sums_of_batch(state, x, y, weights):
        x, y, weights = spread((x, y, weights))
        outputs, _ = forward(state, x)
        losses = study.loss(outputs, study.targets.forward(state.scale[1], y))
        predictions = in_own_units(study.targets, state.scale[1], outputs, y.shape[1:])
        each = {k: m.update(m.init(), predictions, y, weights) for k, m in streaming.items()}
        each["loss"] = (jnp.sum(per_row(losses) * weights), jnp.sum(weights))
        return each, (predictions if whole else None)

    def evaluate(state: State, data: Data, rows: Rows, fold) -> dict[str, jax.Array]:
        data, rows = jax.tree.map(jnp.asarray, (data, rows))
        index, count = rows.index[fold], rows.count[fold]
        batches, size = _even_batches(index.shape[0], study.evaluation_batch)
        position = jnp.arange(batches * size)
        index, weights = index[position % count], (position < count).astype(jnp.float32)

        def body(sums, inputs):
            index, weights = inputs
            each, predictions = sums_of_batch(state, data.x[index], data.y[index], weights)
            return jax.tree.map(jnp.add, sums, each), predictions

        split = (index.reshape(batches, size), weights.reshape(batches, size))
        if batches == 1:
            sums, predictions = sums_of_batch(state, data.x[index], data.y[index], weights)
        else:
            first = (data.x[index[:size]], data.y[index[:size]], weights[:size])
            zeros = jax.tree.map(
                jnp.zeros_like, jax.eval_shape(lambda *a: sums_of_batch(state, *a)[0], *first)
            )
            sums, predictions = jax.lax.scan(body, zeros, split)
            predictions = jax.tree.map(
                lambda a: a.reshape(batches * size, *a.shape[2:]), predictions
            )
        values = {"loss": sums["loss"][0] / sums["loss"][1]}
        values |= {k: m.value(sums[k]) for k, m in streaming.items()}
        return values | {k: m(predictions, data.y[index], weights) for k, m in whole.items()}

    return evaluate


def make_predict(
    study: Study, row: tuple[int, ...] | None = None
) -> Callable[[State, jax.Array], Any]:
    """Makes `predict(state, x) -> predictions` of one member, in the targets' own units.

    Args:
        study: What was trained.
        row: Shape of a row of y, where outputs are not one for each of its numbers, see `in_own_units`.
    """
    forward = make_forward(study.model, study.inputs, study.precision)
    return lambda state, x: in_own_units(study.targets, state.scale[1], forward(state, x)[0], row)


def in_own_units(targets: Preprocess, stats: Any, outputs: Any, row: tuple[int, ...] | None) -> Any:
    """Outputs, or each of a tuple or dict of them, transformed back to the targets' own units.

    Args:
        targets: The study's preprocessing of y.
        stats: What it was fitted to.
        outputs: [rows, *row]; or [rows, *row, levels], such as quantiles; or with several times the last axis of a row,
            such as the means and then the log variances. All are taken for values of the targets: a log variance is
            not what it becomes by this.
        row: Shape of a row of y; None if outputs have it.
    """

    def back(values: jax.Array) -> jax.Array:
        if row is None or not jax.tree.leaves(stats):
            return targets.inverse(stats, values)
        if values.ndim == len(row) + 2:
            return jnp.moveaxis(targets.inverse(stats, jnp.moveaxis(values, -1, 0)), 0, -1)
        if values.ndim < 2 or not row or values.shape[-1] % row[-1]:
            return targets.inverse(stats, values)
        parts = jnp.split(values, values.shape[-1] // row[-1], axis=-1)
        return jnp.concatenate([targets.inverse(stats, part) for part in parts], axis=-1)

    return jax.tree.map(back, outputs)


def _even_batches(rows: int, most: int) -> tuple[int, int]:
    batches = -(-rows // most)
    return batches, -(-rows // batches)
