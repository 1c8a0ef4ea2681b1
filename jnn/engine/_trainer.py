"""The functions that train, score and predict with one member; `Study.trainer` replaces them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jnn.engine._checks import (
    check_rows,
    checked_restart,
    checked_scores,
    checked_start,
    checked_step,
)
from jnn.engine._evaluate import make_evaluate, make_predict
from jnn.engine._explain import explained
from jnn.engine._start import make_restart, make_start
from jnn.engine._state import Batch, Data, Member, Rows, State, Trained, Tree, row_count
from jnn.engine._step import make_step
from jnn.engine._traced import Traced
from jnn.study import Study, check_call

_FORMS = {  # functions of a trainer: how they are called, and their number of arguments
    "start": ("start(member, data) -> jnn.State", 2),
    "step": ("step(state, batch) -> (jnn.State, logs)", 2),
    "evaluate": ("evaluate(state, data, rows) -> {name: score}", 3),
    "predict": ("predict(trained, x, shared) -> outputs", 3),
    "restart": ("restart(state, trained) -> jnn.State", 2),
}


class Trainer(NamedTuple):
    """Training, scoring and predicting of one member.

    Populations, plans, resuming and intervals use only these functions, and settings of the study
    such as epochs, batch size and patience.

    Attributes:
        start: `start(member, data) -> State`.
        step: `step(state, batch) -> (state, logs)`; logs are a scalar, the training loss, or a dict
            of scalars. An epoch records their weighted means as `train_loss` or `train_<name>`.
        evaluate: `evaluate(state, data, rows) -> {name: score}` on the rows of the member's fold.
        predict: `predict(trained, x, shared) -> outputs` [rows, ...].
        higher_is_better: The names of the scores whose higher values are better.
        restart: `restart(state, trained) -> State`, what `start` has returned, but with `trained`
            in place of what it drew, and the state of the optimizers begun from there. None if
            members of this training cannot begin with given parameters (`jnn.run(start_from=...)`).
    """

    start: Callable[[Member, Data], State]
    step: Callable[[State, Batch], tuple[State, Any]]
    evaluate: Callable[[State, Data, Rows], dict[str, jax.Array]]
    predict: Callable[[Trained, Tree, Tree], Tree]
    higher_is_better: frozenset[str] = frozenset()
    restart: Callable[[State, Trained], State] | None = None


def supervised(study: Study, *, spread: Callable[[Any], Any] = lambda batch: batch) -> Trainer:
    """Return the trainer of a study with one network, one loss and one optimizer."""
    higher = (name for name, metric in study.metrics.items() if metric.higher_is_better)
    evaluate = make_evaluate(study, spread=spread)
    return Trainer(
        make_start(study),
        make_step(study),
        evaluate,
        make_predict(study),
        frozenset(higher),
        make_restart(study),
    )


def make_trainer(study: Study, *, spread: Callable[[Any], Any] = lambda batch: batch) -> Trainer:
    """Return the study's own trainer (`Study.trainer`), or the supervised one.

    Args:
        study: What is trained.
        spread: Applied to the arrays of every batch of the supervised trainer's scoring.

    Raises:
        TypeError: If the study's function returns no trainer of such functions, and while tracing,
            if a function of it returns something else than documented.
        ValueError: While tracing, if a step changes the shapes of its state, if a name of a score
            is reserved, or if an output has not one row for each row of x.
    """
    if study.trainer is None:
        return supervised(study, spread=spread)
    with explained("Study.trainer failed"):
        trainer = study.trainer(study)
    if not isinstance(trainer, Trainer):
        raise TypeError(
            f"Study.trainer must return a jnn.Trainer, got {type(trainer).__name__}. Return "
            "jnn.Trainer(start, step, evaluate, predict)."
        )
    for name, (form, arguments) in _FORMS.items():
        if name == "restart" and trainer.restart is None:
            continue
        check_call(f"The trainer's {name}", getattr(trainer, name), form, arguments)
    higher = trainer.higher_is_better
    is_collection = isinstance(higher, set | frozenset | tuple | list)
    if not is_collection or not all(isinstance(name, str) for name in higher):
        raise TypeError(
            f"The trainer's higher_is_better must be a set of names of scores, got {higher!r}. "
            'Write for example {"accuracy"}.'
        )
    return _checked(trainer)


def _checked(trainer: Trainer) -> Trainer:
    """Return a trainer that checks, while it is traced, what its functions return."""

    def start(member: Member, data: Data) -> State:
        with explained("The trainer's start failed"):
            state = trainer.start(member, data)
        return checked_start(state)

    def step(state: State, batch: Batch) -> tuple[State, Any]:
        with explained("The trainer's step failed"):
            answer = trainer.step(state, batch)
        return checked_step(answer, state)

    def evaluate(state: State, data: Data, rows: Rows) -> dict[str, jax.Array]:
        with explained("The trainer's evaluate failed"):
            scores = trainer.evaluate(state, data, rows)
        return checked_scores(scores)

    def predict(trained: Trained, x: Tree, shared: Tree = None) -> Tree:
        with explained("The trainer's predict failed"):
            outputs = trainer.predict(trained, x, shared)
        check_rows(outputs, row_count(x))
        return outputs

    def restart(state: State, trained: Trained) -> State:
        assert trainer.restart is not None
        with explained("The trainer's restart failed"):
            after = trainer.restart(state, trained)
        return checked_restart(after, state)

    return Trainer(
        start,
        step,
        evaluate,
        predict,
        frozenset(trainer.higher_is_better),
        None if trainer.restart is None else restart,
    )


def traced_once(trainer: Trainer) -> Trainer:
    """Return a trainer whose functions Python traces once per shapes and dtypes of the arguments.

    Checking a study, recording its program and compiling it then share one trace of the network.
    """
    return Trainer(
        Traced(trainer.start),
        Traced(trainer.step),
        Traced(trainer.evaluate),
        Traced(trainer.predict),
        trainer.higher_is_better,
        None if trainer.restart is None else Traced(trainer.restart),
    )
