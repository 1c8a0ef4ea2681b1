"""The training of one member from first to last epoch, scored after each, as pure functions."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jnn.engine._epoch import make_epoch
from jnn.engine._evaluate import make_scores, scores_when_due
from jnn.engine._step import Batch, Data, Member, State, make_start, make_step_of
from jnn.storage import to_host
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
    """The functions a study consists of; `advance` may be called again and again with later epochs.

    Attributes:
        begin: `begin(member, data) -> Progress`.
        advance: `advance(progress, member, data, first, stop) -> Progress`, epochs first..stop-1 (traced numbers).
        learn: `learn(state, batches) -> (state, losses)`, one step per batch of [steps, rows, ...].
        close: `close(progress, member, data, number, state, train_loss) -> Progress`, records the scores after an
            epoch. Both are for batches that come from the host.
    """

    begin: Callable[[Member, Data], Progress]
    advance: Callable[[Progress, Member, Data, Any, Any], Progress]
    learn: Callable[[State, Batch], tuple[State, jax.Array]]
    close: Callable[[Progress, Member, Data, Any, State, Any], Progress]


def make_program(
    study: Study, *, ragged: bool = False, spread: Callable[[Any], Any] = lambda batch: batch
) -> Program:
    """Makes the pure functions that train one member, cut at epochs so that a host can look in between.

    Args:
        study: What is trained.
        ragged: As in `make_epoch`.
        spread: Applied to the arrays of every batch, [rows, ...]; tells the compiler which devices share the rows.
    """
    start, step_of_batch = make_start(study), make_step_of(study)

    def step(state: State, batch: Batch):
        return step_of_batch(state, spread(batch))

    epoch = make_epoch(
        step, study.batch_size, order=study.order, steps=study.steps_per_epoch, ragged=ragged
    )
    scores = make_scores(study, spread)

    def begin(member: Member, data: Data) -> Progress:
        state = start(member, data)
        shapes = jax.eval_shape(scores, state, data, member.fold)
        names = {"train_loss": jnp.zeros(()), **shapes}
        history = {
            k: jnp.full((study.epochs, *v.shape), jnp.nan, jnp.float32) for k, v in names.items()
        }
        best = None
        if study.keep == "best":
            best = (jnp.float32(jnp.inf), jnp.int32(-1), state.params, state.model_state)
        return Progress(state, history, best)

    def close(
        progress: Progress, member: Member, data: Data, number, state: State, train_loss
    ) -> Progress:
        found = {
            "train_loss": train_loss,
            **scores_when_due(study, scores, number, state, data, member.fold),
        }
        goes_on, best = True, progress.best
        if best is not None:
            goes_on = True if study.patience is None else number - best[1] <= study.patience
            score = found["validation_" + study.monitor] * study.monitor_sign
            candidate = (score, jnp.int32(number), state.params, state.model_state)
            better = goes_on & (score < best[0])
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, best)
        history = {
            k: progress.history[k].at[number].set(jnp.where(goes_on, v, jnp.nan))
            for k, v in found.items()
        }
        return Progress(state, history, best)

    def advance(progress: Progress, member: Member, data: Data, first, stop) -> Progress:
        def one_epoch(number, progress):
            return close(
                progress, member, data, number, *epoch(progress.state, data, member.fold, number)
            )

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
    constants = [
        hashlib.sha256(np.asarray(c).tobytes()).hexdigest() for c in to_host([*_constants(traced)])
    ]
    return re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr)) + "".join(constants)


def _constants(closed: ClosedJaxpr) -> Iterator[Any]:
    """The arrays that a program closes over, those of programs inside it too."""
    yield from closed.consts
    for equation in closed.jaxpr.eqns:
        for inner in jax.tree.leaves(
            equation.params, is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)
        ):
            if isinstance(inner, ClosedJaxpr | Jaxpr):
                yield from _constants(
                    inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
                )
