"""The training of one member from first to last epoch, scored after each, as pure functions."""

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checkpoint import to_host
from jnn.engine import Batch, Data, Member, Rows, State, make_forward, make_start, make_step_of, per_row
from jnn.epoch import make_epoch
from jnn.study import Study


class Progress(NamedTuple):
    """A member in mid-study: its state, its scores so far and, with `keep="best"`, the best epoch's parameters.

    Attributes:
        history: name -> float32 [epochs]; NaN where not yet reached.
        best: (score, epoch, params, model_state) or None.
    """

    state: State
    history: dict[str, jax.Array]
    best: Any


class Program(NamedTuple):
    """The two functions a study consists of; `advance` may be called again and again with later epochs.

    Attributes:
        begin: `begin(member, data) -> Progress`.
        advance: `advance(progress, member, data, first, stop) -> Progress`, epochs first..stop-1 (traced numbers).
        learn: `learn(state, batches) -> (state, losses)`, a step for each of the batches [steps, rows, ...], and
        close: `close(progress, member, data, number, state, train_loss) -> Progress`, the scores after an epoch: what
            `advance` is made of, where the batches come from elsewhere.
    """

    begin: Callable[[Member, Data], Progress]
    advance: Callable[[Progress, Member, Data, Any, Any], Progress]
    learn: Callable[[State, Batch], tuple[State, jax.Array]]
    close: Callable[[Progress, Member, Data, Any, State, Any], Progress]


def make_program(study: Study, *, ragged: bool = False, spread: Callable[[Any], Any] = lambda batch: batch) -> Program:
    """Makes the pure functions that train one member, cut at epochs so that a host can look in between.

    Args:
        study: What is trained.
        ragged: As in `make_epoch`.
        spread: Applied to the arrays of every batch, [rows, ...]; tells the compiler which devices share the rows.
    """
    start, step_of_batch = make_start(study), make_step_of(study)

    def step(state: State, batch: Batch):
        return step_of_batch(state, spread(batch))

    epoch = make_epoch(step, study.batch_size, order=study.order, steps=study.steps_per_epoch, ragged=ragged)
    evaluate = make_evaluate(study, spread)

    def scores(state, data: Data, fold):
        found = {}
        for prefix, rows in (("", data.test), ("validation_", data.validation)):
            if rows is not None:
                found |= {prefix + k: v for k, v in evaluate(state, data, rows, fold).items()}
        if data.test is None:
            found |= {"train_" + k: v for k, v in evaluate(state, data, data.train, fold).items() if k != "loss"}
        return found

    def due_scores(number, *arguments):
        if study.evaluate_every == 1:
            return scores(*arguments)
        is_due = ((number + 1) % study.evaluate_every == 0) | (number + 1 == study.epochs)
        shapes = jax.eval_shape(scores, *arguments)
        absent = jax.tree.map(lambda a: jnp.full(a.shape, jnp.nan, a.dtype), shapes)
        return jax.lax.cond(is_due, scores, lambda *_: absent, *arguments)

    def begin(member: Member, data: Data) -> Progress:
        state = start(member, data)
        shapes = jax.eval_shape(functools.partial(scores, fold=member.fold), state, data)
        names = {"train_loss": jnp.zeros(()), **shapes}
        history = {k: jnp.full((study.epochs, *v.shape), jnp.nan, jnp.float32) for k, v in names.items()}
        best = None
        if study.keep == "best":
            best = (jnp.float32(jnp.inf), jnp.int32(-1), state.params, state.model_state)
        return Progress(state, history, best)

    def close(progress: Progress, member: Member, data: Data, number, state: State, train_loss) -> Progress:
        found = {"train_loss": train_loss, **due_scores(number, state, data, member.fold)}
        goes_on, best = True, progress.best
        if best is not None:
            goes_on = True if study.patience is None else number - best[1] <= study.patience
            score = found["validation_" + study.monitor] * study.monitor_sign
            candidate = (score, jnp.int32(number), state.params, state.model_state)
            better = goes_on & (score < best[0])
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, best)
        history = {k: progress.history[k].at[number].set(jnp.where(goes_on, v, jnp.nan)) for k, v in found.items()}
        return Progress(state, history, best)

    def advance(progress: Progress, member: Member, data: Data, first, stop) -> Progress:
        def one_epoch(number, progress):
            return close(progress, member, data, number, *epoch(progress.state, data, member.fold, number))

        return jax.lax.fori_loop(first, stop, one_epoch, progress)

    def learn(state: State, batches: Batch) -> tuple[State, jax.Array]:
        return jax.lax.scan(step, state, batches)

    return Program(begin, advance, learn, close)


def make_train(study: Study, *, ragged: bool = False) -> Callable[[Member, Data], Progress]:
    """Makes `train(member, data) -> Progress`: the whole training of one member as one pure function."""
    program = make_program(study, ragged=ragged)

    def train(member: Member, data: Data) -> Progress:
        return program.advance(program.begin(member, data), member, data, 0, study.epochs)

    return train


def text_of(study: Study, member: Member, data: Data, *, ragged: bool = False) -> str:
    """The training of one member as text that is the same in every process: its jaxpr and the constants in it.

    Args:
        study: What is trained.
        member: As shapes.
        data: Arrays or shapes.
        ragged: As in `make_program`.
    """
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.result_type(a.dtype)), data)
    traced = jax.make_jaxpr(make_train(study, ragged=ragged))(member, shapes)
    constants = [hashlib.sha256(np.asarray(c).tobytes()).hexdigest() for c in to_host(traced.consts)]
    return re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr)) + "".join(constants)


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
        predictions = study.targets.inverse(state.scale[1], outputs)
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
            zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda *a: sums_of_batch(state, *a)[0], *first))
            sums, predictions = jax.lax.scan(body, zeros, split)
            predictions = jax.tree.map(lambda a: a.reshape(batches * size, *a.shape[2:]), predictions)
        values = {"loss": sums["loss"][0] / sums["loss"][1]}
        values |= {k: m.value(sums[k]) for k, m in streaming.items()}
        return values | {k: m(predictions, data.y[index], weights) for k, m in whole.items()}

    return evaluate


def make_predict(study: Study) -> Callable[[State, jax.Array], Any]:
    """Makes `predict(state, x) -> predictions` of one member, in the targets' own units."""
    forward = make_forward(study.model, study.inputs, study.precision)
    return lambda state, x: study.targets.inverse(state.scale[1], forward(state, x)[0])


def _even_batches(rows: int, most: int) -> tuple[int, int]:
    batches = -(-rows // most)
    return batches, -(-rows // batches)
