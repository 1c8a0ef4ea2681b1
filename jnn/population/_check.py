"""What is checked before a study is compiled: that study, data and members fit together."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import Dataset, Encoding
from jnn.engine import (
    STEP,
    Batch,
    Columns,
    Data,
    ProgramKey,
    Programs,
    State,
    example_batch,
    key_of,
    make_forward,
    make_program,
    member_of,
    recording_names,
)
from jnn.model import check_numbers
from jnn.population._batch import batch_text
from jnn.population._check_precision import check_precision
from jnn.population._check_scored import check_scored_rows
from jnn.population._outputs import check_outputs, outputs_told
from jnn.population._plan import Sizes, bytes_of
from jnn.study import Study

_RELATIVE = ("mape",)  # names of metrics that change if targets and predictions are shifted alike


def check_filled(study: Study, data: Dataset) -> None:
    """Raise ValueError if rows have missing numbers that nothing fills."""
    fills = isinstance(data.encoding, Encoding) and data.encoding.fills
    if not fills or study.inputs.fills or not _uses_study(study):
        return
    x = np.asarray(data.x)
    if np.isnan(x).any():
        raise ValueError(
            f"Study.inputs must fill the missing numbers of {data.name}, {int(np.isnan(x).sum())} "
            f"in all, got {study.inputs!r}. Use jnn.preprocess.fill_median(...) of it."
        )


def _uses_study(study: Study) -> bool:
    """Return whether inputs are preprocessed, and the members' numbers read by name, as they say.

    Another trainer may read both in other ways; `jnn.gan.Game` says that it does not.
    """
    return study.trainer is None or getattr(study.trainer, "uses_study", False)


def check_study(programs: Programs, data: Dataset, arrays: Data, columns: Columns) -> Sizes:
    """Raise one clear ValueError if the parts do not fit; return the sizes of a member.

    What the functions of the study return is checked by the engine, while they are traced here.

    Args:
        programs: Of the study.
        data: The rows.
        arrays: The rows as all members share them.
        columns: The members' numbers, [members, ...].
    """
    study = programs.study
    check_filled(study, data)
    _check_batches(study, data, arrays)
    _check_classes(study, data)
    _check_inner_split(study, arrays)
    _check_metrics(study, data)
    check_scored_rows(study, data, arrays)
    check_precision(study, data)
    _check_names(_score_names(study), columns)
    one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in columns.items()}
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.result_type(a.dtype)), arrays)
    key = ProgramKey("check", (data.task, data.classes, repr(one), repr(shapes)))
    sizes = programs.get(key, lambda: _traced_sizes(programs, data, one, shapes))
    check_numbers(study.model, {**study.hyper, **columns})
    return sizes


def _traced_sizes(programs: Programs, data: Dataset, columns: Columns, shapes: Data) -> Sizes:
    """Trace a start, a step and a scoring, and return the sizes of a member."""
    study, trainer = programs.study, programs.trainer
    program = make_program(study, trainer)
    batch = example_batch(study, shapes)
    with recording_names() as names:
        state = jax.eval_shape(
            lambda columns, data: trainer.start(member_of(columns), data), columns, shapes
        )
        if study.trainer is None:
            outputs, activations = _traced_network(study, state, batch)
            check_outputs(study, data, shapes, outputs, state)
        else:
            outputs = None
            activations = _intermediate_bytes(jax.make_jaxpr(trainer.step)(state, batch))
            jax.eval_shape(trainer.predict, state.trained, batch.x, batch.shared)
        with outputs_told(data, shapes, outputs):
            training = jax.eval_shape(
                lambda columns, data: program.begin(member_of(columns), data), columns, shapes
            )
    _check_names({"best_epoch", *training.history}, columns)
    unread = sorted(columns.keys() - names - {"seed", "fold"})
    if unread and _uses_study(study):
        raise ValueError(
            f"Nothing reads the hyper-parameters {unread} of the members. Read them in the "
            "optimizer, the penalty or the model, or leave them out; read are "
            f"{sorted(names) or 'none'}."
        )
    trained = state.trained
    parameters = bytes_of(trained.params)
    optimizer = bytes_of((state.opt_state, state.average))
    touched = 2 * parameters + optimizer + 2 * activations + bytes_of(batch.x)
    return Sizes(touched, 2 * (parameters + bytes_of(trained.model_state) + optimizer))


def _traced_network(study: Study, state: State, batch: Batch) -> tuple[Any, int]:
    """Return the shapes of the outputs in training, and the bytes of all that leads to them."""
    forward = make_forward(study)

    def train(state: State, x: Any, shared: Any) -> Any:
        key = key_of(state.key, STEP)
        return forward(state.trained, x, shared=shared, key=key, train=True)[0]

    jaxpr, outputs = jax.make_jaxpr(train, return_shape=True)(state, batch.x, batch.shared)
    return outputs, _intermediate_bytes(jaxpr)


def _intermediate_bytes(jaxpr: Any) -> int:
    values = [variable.aval for equation in jaxpr.jaxpr.eqns for variable in equation.outvars]
    return sum(value.size * value.dtype.itemsize for value in values if hasattr(value, "size"))


def _check_batches(study: Study, data: Dataset, arrays: Data) -> None:
    fewest = int(np.min(arrays.train.count))
    if study.steps_per_epoch is None and study.batch_size > fewest:
        name, value, batches = batch_text(study)
        largest = fewest // batches
        largest -= largest % getattr(study.trainer, "packing", 1)  # see jnn.gan.Game
        advice = f"batch_size={largest} or less" if largest else "more rows, or set steps_per_epoch"
        raise ValueError(
            f"{name} must be at most the number of training rows, {fewest} of {data.name}, got "
            f"{value}. Use {advice}."
        )


def _check_classes(study: Study, data: Dataset) -> None:
    classes = getattr(study.trainer, "classes", None)  # of a conditional pair, see jnn.gan.Game
    if classes is not None and data.classes is not None and data.classes > classes:
        raise ValueError(
            f"classes must be at least the number of classes of {data.name}, {data.classes}, got "
            f"{classes}. Use classes={data.classes}."
        )


def _check_inner_split(study: Study, arrays: Data) -> None:
    if study.keep == "best" and arrays.validation is None:
        raise ValueError(
            "keep='best' needs validation rows, because a score on the rows that chose the epoch "
            "would be too good. Set for example Study(validation=0.1), or name the rows: "
            "jnn.folds([(train, validation, test)])."
        )


def _check_metrics(study: Study, data: Dataset) -> None:
    for name, metric in study.metrics.items():
        if metric.task not in (None, data.task):
            advice = f"Choose another metric, or load the data with task={metric.task!r}."
            if data.task == "multitask":
                advice = "Name its part of the targets, as jnn.metrics.of('label', metric)."
            raise ValueError(
                f"metrics[{name!r}] is for {metric.task}, but {data.name} is a {data.task}. "
                + advice
            )
        if data.target_offset is not None and metric.name in _RELATIVE:
            raise ValueError(
                f"metrics[{name!r}] must not depend on an offset of the targets, because what "
                f"float32 cannot hold was taken out of those of {data.name} "
                f"({data.target_offset}). Choose another metric, such as jnn.metrics.mae."
            )


def _score_names(study: Study) -> set[str]:
    """Return the names that the scores of supervised training may have."""
    names = {"best_epoch"}
    for name in ("loss", *study.metrics):
        names |= {name, "train_" + name, "validation_" + name}
    return names


def _check_names(scores: set[str], columns: Columns) -> None:
    taken = sorted(scores & columns.keys())
    if taken:
        raise ValueError(f"The hyper-parameters {taken} have the names of scores. Rename them.")
