"""The training of one member from its first to its last epoch, scored after each."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine._average import averaged_after, evaluated_variables
from jnn.engine._debugging import absent, debugging, is_absent, worst
from jnn.engine._early_stopping import has_patience
from jnn.engine._epoch import make_epoch
from jnn.engine._state import Batch, Data, Member, State, Trained, Tree, row_count, take_rows
from jnn.engine._trainer import Trainer, make_trainer
from jnn.study import Study


class Best(NamedTuple):
    """The epoch whose parameters a member keeps, with `Study(keep="best")`.

    Attributes:
        score: The monitored score, negated if higher is better; infinity before the first.
        epoch: The number of the epoch, counted from 0; -1 before the first.
        trained: What the member had learned then.
    """

    score: jax.Array
    epoch: jax.Array
    trained: Trained


class Training(NamedTuple):
    """A member in the middle of its training.

    Attributes:
        state: What the next step reads.
        history: Scores by name, float32 [epochs, ...]; NaN in epochs not yet reached.
        best: The best epoch so far with `Study(keep="best")`, else None.
        averaged: Averaged parameters and model state after the last epoch, the pair that a member
            keeps with `Study(averaging=...)` if it keeps no best epoch; else None.
    """

    state: State
    history: dict[str, jax.Array]
    best: Best | None
    averaged: tuple[Tree, Tree] | None = None

    @property
    def trained(self) -> Trained:
        """What the member keeps: of its best epoch, or of its last one; averaged if it is so."""
        if self.best is not None:
            return self.best.trained
        return with_variables(self.state.trained, self.averaged)


class Program(NamedTuple):
    """The functions that train one member; `advance` may be called again with later epochs.

    Attributes:
        begin: `begin(member, data) -> Training`.
        advance: `advance(training, data, first, stop) -> Training` trains the epochs first, ...,
            stop - 1, which may be traced numbers.
        learn: `learn(state, batches, shared) -> (state, logs)`, one step per batch of
            [steps, rows, ...].
        close: `close(training, data, number, state, logs) -> Training` records the scores after an
            epoch. `learn` and `close` are for batches that come from the host.
    """

    begin: Callable[[Member, Data], Training]
    advance: Callable[[Training, Data, Any, Any], Training]
    learn: Callable[[State, Batch, Tree], tuple[State, Any]]
    close: Callable[[Training, Data, Any, State, Any], Training]


def make_program(
    study: Study,
    trainer: Trainer | None = None,
    *,
    ragged: bool = False,
    spread: Callable[[Any], Any] = lambda batch: batch,
) -> Program:
    """Make the pure functions that train one member, cut at epochs.

    Args:
        study: What is trained.
        trainer: Its trainer; made from the study by default.
        ragged: Whether some folds have fewer batches than others; see `make_epoch`.
        spread: Applied to the arrays of every training batch, [rows, ...]; tells the compiler which
            devices share the rows. A trainer that is given scores without it.
    """
    trainer = make_trainer(study, spread=spread) if trainer is None else trainer

    def step(state: State, batch: Batch) -> tuple[State, Any]:
        x, y, weights = spread((batch.x, batch.y, batch.weights))
        return trainer.step(state, batch._replace(x=x, y=y, weights=weights))

    epoch = make_epoch(study, step=step, ragged=ragged)
    scores = _make_scores(trainer, with_train="train_scores" in study.record)
    begin = _make_begin(study, trainer, scores)
    close = _make_close(study, trainer, scores)

    def advance(training: Training, data: Data, first: Any, stop: Any) -> Training:
        def one_epoch(number: jax.Array, training: Training) -> Training:
            return close(training, data, number, *epoch(training.state, data, number))

        return jax.lax.fori_loop(first, stop, one_epoch, training)

    def learn(state: State, batches: Batch, shared: Tree) -> tuple[State, Any]:
        return jax.lax.scan(
            lambda state, batch: step(state, _unnumbered(batch)._replace(shared=shared)),
            state,
            batches,
        )

    return Program(begin, advance, learn, close)


def make_train(study: Study, *, ragged: bool = False) -> Callable[[Member, Data], Training]:
    """Make `train(member, data) -> Training`: a whole training as one pure function.

    Args:
        study: What is trained.
        ragged: Whether some folds have fewer batches than others; see `make_epoch`.
    """
    program = make_program(study, ragged=ragged)

    def train(member: Member, data: Data) -> Training:
        return program.advance(program.begin(member, data), data, 0, study.epochs)

    return train


def example_batch(study: Study, data: Data) -> Batch:
    """Return the shapes of a training batch."""
    index = jax.ShapeDtypeStruct((study.batch_size,), jnp.int32)
    x, y = jax.eval_shape(take_rows, (data.x, data.y), index)
    weights = jax.ShapeDtypeStruct((study.batch_size,), jnp.float32)
    return Batch(x, y, weights, data.shared, data.ignoring, index)


def _make_begin(
    study: Study, trainer: Trainer, scores: Callable[..., Any]
) -> Callable[[Member, Data], Training]:
    """Make `begin(member, data)`; see `Program`."""

    def begin(member: Member, data: Data) -> Training:
        state = trainer.start(member, data)

        def step(state: State, batch: Batch) -> tuple[State, Any]:
            # A function that JAX knows would not be called, which notes the numbers that it reads.
            return trainer.step(state, batch)

        _, logs = jax.eval_shape(step, state, example_batch(study, data))
        logged = _train_names(logs)
        shapes = _joined(logged, jax.eval_shape(functools.partial(scores, logged), state, data))
        history = {
            name: jnp.full((study.epochs, *shape.shape), absent(), jnp.float32)
            for name, shape in shapes.items()
        }
        averaged = evaluated_variables(study, state)
        # Traced for its errors, and so that the check of a study sees which numbers it reads.
        jax.eval_shape(lambda state: averaged_after(study, state, "epoch", 1), state)
        if study.keep != "best":
            return Training(state, history, None, averaged)
        _check_monitor(study, shapes)
        trained = with_variables(state.trained, averaged)
        return Training(state, history, Best(jnp.float32(worst()), jnp.int32(-1), trained))

    return begin


def _make_close(
    study: Study, trainer: Trainer, scores: Callable[..., Any]
) -> Callable[..., Training]:
    """Make `close(training, data, number, state, logs)`; see `Program`."""

    def close(training: Training, data: Data, number: Any, state: State, logs: Any) -> Training:
        state = averaged_after(study, state, "epoch", number + 1)
        averaged = evaluated_variables(study, state)
        scored = state._replace(trained=with_variables(state.trained, averaged))
        logged = _train_names(logs)
        due = functools.partial(scores, logged)
        values = {**logged, **_scores_when_due(study, due, number, scored, data)}
        best = training.best
        continues: Any = True
        if best is not None:
            continues = has_patience(study, number, best.epoch)
            score = values["validation_" + study.monitor] * _sign(study, trainer)
            candidate = Best(score, jnp.int32(number), scored.trained)
            better = continues & (score < best.score)
            if debugging()[0]:
                better = better & ~is_absent(values["validation_" + study.monitor])
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, best)
        history = {
            name: training.history[name].at[number].set(jnp.where(continues, value, absent()))
            for name, value in values.items()
        }
        if state.epoch is not None:
            state = state._replace(epoch=jnp.asarray(number + 1, jnp.int32))
        return Training(state, history, best, averaged if best is None else None)

    return close


def _unnumbered(batch: Batch) -> Batch:
    """Return a batch of a stream, whose rows have no numbers, in the form of another batch."""
    return batch._replace(index=np.full(row_count(batch.x), -1, np.int32))


def with_variables(trained: Trained, variables: tuple[Tree, Tree] | None) -> Trained:
    """Return what a member has learned, with other parameters and model state if there are some."""
    if variables is None:
        return trained
    params, model_state = variables
    return trained._replace(params=params, model_state=model_state)


def _make_scores(
    trainer: Trainer, *, with_train: bool
) -> Callable[[Any, State, Data], dict[str, jax.Array]]:
    """Make `scores(logged, state, data)` on held-out rows, and on training rows too if need be.

    On training rows the loss is left out if it is among what the steps have logged.
    """

    def scores(logged: Any, state: State, data: Data) -> dict[str, jax.Array]:
        values = {}
        for prefix, rows in (("", data.test), ("validation_", data.validation)):
            if rows is not None:
                scored = trainer.evaluate(state, data, rows)
                values |= {prefix + name: value for name, value in scored.items()}
        if with_train or data.test is None:
            scored = trainer.evaluate(state, data, data.train)
            named = {"train_" + name: value for name, value in scored.items()}
            if "train_loss" in logged:
                named.pop("train_loss", None)
            values |= named
        return {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}

    return scores


def _scores_when_due(
    study: Study, scores: Callable[..., dict[str, jax.Array]], number: Any, state: State, data: Data
) -> dict[str, jax.Array]:
    """Return the scores after every `evaluate_every`-th epoch and the last one, else NaN."""
    if study.evaluate_every == 1:
        return scores(state, data)
    is_due = ((number + 1) % study.evaluate_every == 0) | (number + 1 == study.epochs)
    shapes = jax.eval_shape(scores, state, data)
    nothing = jax.tree.map(lambda a: jnp.full(a.shape, absent(), a.dtype), shapes)
    return jax.lax.cond(is_due, scores, lambda *_: nothing, state, data)


def _train_names(logs: Any) -> dict[str, Any]:
    """Return the logs of training as scores by name."""
    named = logs if isinstance(logs, dict) else {"loss": logs}
    return {"train_" + name: value for name, value in named.items()}


def _joined(logs: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    """Return logs and scores, which must have names of their own."""
    both = sorted(logs.keys() & scores.keys())
    if both:
        raise ValueError(
            f"The trainer's step and evaluate both give {both}: on data without test rows, "
            "evaluate gives train_<name>, as the logs of a step do. Rename one of them."
        )
    return {**logs, **scores}


def _sign(study: Study, trainer: Trainer) -> int:
    return -1 if study.monitor in trainer.higher_is_better else 1


def _check_monitor(study: Study, shapes: dict[str, Any]) -> None:
    name = "validation_" + study.monitor
    if name not in shapes:
        known = sorted(n.removeprefix("validation_") for n in shapes if n.startswith("validation_"))
        if not known:
            raise ValueError(
                "keep='best' needs a score on validation rows, but the trainer's evaluate returns "
                "none. Return one."
            )
        raise ValueError(
            f"keep='best' needs one of the scores on validation rows, {known}, and none of them is "
            f"Study.monitor, {study.monitor!r}. Set for example Study(monitor={known[0]!r})."
        )
    if shapes[name].shape:
        raise ValueError(
            f"Study.monitor must be a score of one number, but {study.monitor!r} has the shape "
            f"{shapes[name].shape}. Monitor another metric."
        )
