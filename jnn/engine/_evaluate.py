"""Scores and predictions of one member, as pure functions of what it has learned."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._absent import weighted, without_absent
from jnn.engine._checks import check_rows, shapes_of
from jnn.engine._draws import make_outputs
from jnn.engine._explain import explained
from jnn.engine._ignored import labelled_losses, per_row
from jnn.engine._keys import INIT, key_of
from jnn.engine._state import Data, Rows, State, Trained, Tree, on_device, row_count, take_rows
from jnn.engine._step import aligned, as_trained, loss_of
from jnn.metrics import Metric
from jnn.preprocess import Preprocess
from jnn.study import Study

Scores = dict[str, jax.Array]

_SCORE = 0x5C0E  # folded into a member's key for what a network draws when it is scored


def make_evaluate(
    study: Study, *, spread: Callable[[Any], Any] = lambda batch: batch
) -> Callable[[State, Data, Rows], Scores]:
    """Make `evaluate(state, data, rows) -> {"loss": ..., metric: ...}`.

    It scores the rows of the member's fold, weighted by `data.weights`. Metrics see predictions
    and targets in the targets' own units; the loss is that which is trained.

    Args:
        study: What is trained.
        spread: Applied to the arrays of every batch, [rows, ...]; tells the compiler which devices
            share the rows.

    Raises:
        ValueError: While tracing, if the loss or a metric does not fit outputs and targets.
    """
    outputs_of = make_outputs(study)
    streaming = {name: metric for name, metric in study.metrics.items() if metric.streams}
    whole = {name: metric for name, metric in study.metrics.items() if not metric.streams}

    def score(state: State, data: Data, batch: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        """Return the sums of a batch, and what metrics that take all rows at once need of it."""
        index, weights = batch
        x, y, weights = spread((*take_rows((data.x, data.y), index), weights))
        if data.weights is not None:
            x, y = without_absent((x, y), weights)
        key = functools.partial(_scoring_key, state)
        outputs = outputs_of(state.trained, x, shared=data.shared, key=key, rows=index)
        check_rows(outputs, row_count(x))
        stats = state.trained.target_stats
        losses = loss_of(study, outputs, as_trained(study, stats, y), state)
        counted = weights
        if data.ignoring is None:
            losses = per_row(losses)
        else:
            losses, share = labelled_losses(losses, y)
            counted = weights * share
        y = aligned(y, outputs)
        predictions = in_own_units(study.targets, stats, outputs, row_shapes(y))
        sums = {
            name: _updated(name, metric, predictions, y, weights)
            for name, metric in streaming.items()
        }
        rows_of_loss = (weighted(losses, weights), counted)
        return sums, (rows_of_loss, (predictions, y, weights) if whole else None)

    def evaluate(state: State, data: Data, rows: Rows) -> Scores:
        data, rows = on_device((data, rows))
        index = rows.index[state.fold]
        count = rows.count[state.fold]
        batches, size = even_batches(index.shape[0], study.evaluation_batch)
        position = jnp.arange(batches * size)
        index = index[position % count]
        weights = (position < count).astype(jnp.float32)
        if data.weights is not None:
            weights = weights * data.weights[index]
        if batches == 1:
            sums, (losses, everything) = score(state, data, (index, weights))
        else:
            split = (index.reshape(batches, size), weights.reshape(batches, size))
            sums, (losses, everything) = sum_over(lambda batch: score(state, data, batch), split)
        # One sum over all rows, so that its rounding does not depend on the size of a batch.
        total, count = (jnp.sum(of_rows[: rows.index.shape[1]]) for of_rows in losses)
        values = {"loss": total / count}
        values |= {name: metric.value(sums[name]) for name, metric in streaming.items()}
        return values | {name: _of_all(name, m, everything) for name, m in whole.items()}

    return evaluate


def make_predict(study: Study, row: Any = None) -> Callable[[Trained, Tree, Tree], Tree]:
    """Make `predict(trained, x, shared=None) -> predictions` in the targets' own units.

    Args:
        study: What was trained.
        row: Shape of a row of y, if the network has other outputs than one for each target; see
            `in_own_units`.

    A network that draws random numbers also here draws the same in every call.
    """
    outputs_of = make_outputs(study)

    def predict(trained: Trained, x: Tree, shared: Tree = None) -> Tree:
        key = functools.partial(jax.random.key, 0, impl="threefry2x32")
        outputs = outputs_of(trained, x, shared=shared, key=key)
        return in_own_units(study.targets, trained.target_stats, outputs, row)

    return predict


def _scoring_key(state: State) -> jax.Array:
    """Return the key of a member from which its network draws when it is scored."""
    return jax.random.fold_in(key_of(state.key, INIT), _SCORE)


def in_own_units(targets: Preprocess, stats: Any, outputs: Tree, row: Any) -> Tree:
    """Transform outputs, or each of a tree of them, back to the targets' own units.

    Args:
        targets: The study's preprocessing of y.
        stats: What it was fitted to.
        outputs: [rows, *row]; or [rows, *row, levels], such as quantiles; or with several times
            the last axis of a row, such as means followed by log variances. Every output is
            transformed as if it were a target, including outputs that are not, such as log
            variances.
        row: Shape of a row of y, or the shapes of its parts; None if outputs have it.

    Raises:
        ValueError: If the preprocessing cannot transform them.
    """
    is_of_parts = isinstance(row, dict) or (isinstance(row, tuple) and not _is_shape(row))
    if targets.parts is None and is_of_parts:
        return targets.inverse(stats, outputs)
    if targets.parts is not None:
        return _parts_in_own_units(targets.parts, stats, outputs, row)

    def back(values: jax.Array) -> jax.Array:
        if row is None or not jax.tree.leaves(stats):
            return targets.inverse(stats, values)
        if values.ndim == len(row) + 2:
            return jnp.moveaxis(targets.inverse(stats, jnp.moveaxis(values, -1, 0)), 0, -1)
        if values.ndim < 2 or not row or values.shape[-1] % row[-1]:
            return targets.inverse(stats, values)
        parts = jnp.split(values, values.shape[-1] // row[-1], axis=-1)
        return jnp.concatenate([targets.inverse(stats, part) for part in parts], axis=-1)

    subject = (
        f"Study.targets cannot transform outputs of shape {shapes_of(outputs)} back to targets "
        f"of shape {row} a row"
    )
    with explained(subject):
        return jax.tree.map(back, outputs)


def _parts_in_own_units(parts: Any, stats: Any, outputs: Tree, row: Any) -> Tree:
    """Transform the outputs that have the names of parts of the targets back to their units."""
    places: Any = ()
    if isinstance(outputs, dict):
        places = outputs.keys()
    elif isinstance(outputs, tuple):
        places = range(len(outputs))
    if not all(key in places for key in parts):
        raise ValueError(
            f"The outputs must have the parts {list(parts)} that Study.targets transforms, got "
            f"{list(places) or 'one array'}. Name them as the targets are."
        )
    changed = {
        key: in_own_units(parts[key], stats[str(key)], outputs[key], row and row[key])
        if key in parts
        else outputs[key]
        for key in places
    }
    return changed if isinstance(outputs, dict) else tuple(changed.values())


def row_shapes(y: Tree) -> Any:
    """Return the shape of a row of y, or those of its parts; None where there are no targets."""
    if hasattr(y, "shape"):
        return y.shape[1:]
    if isinstance(y, dict):
        return {name: row_shapes(part) for name, part in y.items()}
    return tuple(map(row_shapes, y)) if isinstance(y, tuple) else None


def _is_shape(row: tuple[Any, ...]) -> bool:
    return all(isinstance(size, int) for size in row)


def _updated(name: str, metric: Metric, predictions: Tree, y: Tree, weights: jax.Array) -> Any:
    """Return the sums of a metric over one batch."""
    with explained(_misfit(name, predictions, y)):
        return metric.update(metric.init(), predictions, y, weights)


def _of_all(name: str, metric: Metric, everything: tuple[Tree, Tree, jax.Array]) -> jax.Array:
    """Return a metric that takes all rows at once."""
    with explained(_misfit(name, *everything[:2])):
        return metric(*everything)


def _misfit(name: str, predictions: Tree, y: Tree) -> str:
    return (
        f"The metric {name!r} failed on predictions of shape {shapes_of(predictions)} and targets "
        f"of shape {shapes_of(y)}"
    )


def sum_over(score: Callable[[Any], tuple[Any, Any]], batches: Any) -> tuple[Any, Any]:
    """Return the summed first results of `score` over batches, and the joined second ones."""

    def body(sums: Any, batch: Any) -> tuple[Any, Any]:
        batch_sums, everything = score(batch)
        return jax.tree.map(jnp.add, sums, batch_sums), everything

    first = jax.tree.map(lambda array: array[0], batches)
    zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda b: score(b)[0], first))
    sums, everything = jax.lax.scan(body, zeros, batches)
    return sums, jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), everything)


def even_batches(rows: int, most: int) -> tuple[int, int]:
    """Return the number of batches of at most `most` rows, and their size."""
    batches = -(-rows // most)
    return batches, -(-rows // batches)
