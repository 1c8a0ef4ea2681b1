"""Whether a study, its data and its members fit together: looked at by shapes, before anything is compiled."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._errors import reason_of
from jnn.data import Windows
from jnn.engine import (
    STEP,
    Batch,
    Data,
    Hypers,
    MissingNumber,
    State,
    in_own_units,
    key_of,
    make_forward,
    make_start,
    make_step_of,
    member_of,
    prepared,
    training_forward,
)
from jnn.model import check_numbers
from jnn.population._plan import Sizes, bytes_of
from jnn.study import Study


def check_study(
    study: Study, data: Any, arrays: Data, columns: Mapping[str, np.ndarray]
) -> tuple[Data, Sizes]:
    """Raises one clear `ValueError` if the parts do not fit.

    Returns:
        The arrays, with y given a last axis of 1 if the model's output has one; the sizes of a member.
    """
    _check_batches(study, data, arrays)
    _check_metrics(study, data)
    _check_names(study, columns)
    one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in columns.items()}
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.result_type(a.dtype)), arrays)
    signature = ("check", data.task, data.classes, repr(one), repr(shapes))
    if signature not in study.compiled:  # tracing takes a tenth of a second
        study.compiled[signature] = _look(study, data, one, shapes)
    y_shape, sizes = study.compiled[signature]
    check_numbers(study.model, {**study.hyper, **columns})
    if arrays.y.shape[1:] != y_shape:
        arrays = arrays._replace(y=arrays.y.reshape(-1, *y_shape))
    return arrays, sizes


def _look(
    study: Study, data: Any, one: Mapping[str, Any], shapes: Data
) -> tuple[tuple[int, ...], Sizes]:
    """The shape that a row of y must have, and the sizes of a member, by tracing a start and a step."""
    read: set[str] = set()
    state = _started(study, one, shapes, read)
    batch = _batch(study, shapes)
    _check_augment(study, batch)
    outputs, activations = _outputs(study, state, batch, read)
    _check_outputs(study, state, outputs, batch)
    y_shape = _target_shape(data, shapes.y.shape[1:], outputs)
    y = jax.ShapeDtypeStruct((study.batch_size, *y_shape), batch.y.dtype)
    batch = batch._replace(y=y)
    _check_loss(study, outputs, batch)
    _check_objective(study, state, batch, read)
    _check_penalty(study, state, read)
    _check_step(study, state, batch, read)
    _check_scores(study, state, outputs, batch)
    _check_read(study, state, batch, read, one)
    touched = (
        2 * bytes_of(state.params) + bytes_of(state.opt_state) + 2 * activations + bytes_of(batch.x)
    )
    return y_shape, Sizes(touched, 2 * bytes_of((state.params, state.model_state, state.opt_state)))


def _started(study: Study, one: Mapping[str, Any], shapes: Data, read: set[str]) -> State:
    """The state of a member as shapes."""
    from flax.errors import FlaxError

    start = make_start(study, read=read)
    try:
        state = jax.eval_shape(lambda columns, data: start(member_of(columns), data), one, shapes)
    except (TypeError, FlaxError) as error:
        raise ValueError(
            f"wanted a model and an optimizer that start on x of shape {shapes.x.shape}, but {study.model.name} "
            f"answered: {reason_of(error)}; give the model the data's sizes, e.g. by functools.partial"
        ) from error
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    if whole := [
        jax.tree_util.keystr(path) for path, a in leaves if not jnp.issubdtype(a.dtype, jnp.inexact)
    ]:
        raise ValueError(
            f"wanted parameters that a gradient can change, but {whole[:5]} are whole numbers; make them floats, "
            "or keep them in the model's state"
        )
    return state


def _check_batches(study: Study, data: Any, arrays: Data) -> None:
    fewest = int(np.min(arrays.train.count))
    if study.steps_per_epoch is None and study.batch_size > fewest:
        raise ValueError(
            f"wanted batches no larger than the training rows, but got batch_size={study.batch_size} for {fewest} "
            f"rows of {data.name}; use batch_size={fewest} or less"
        )


def _check_metrics(study: Study, data: Any) -> None:
    for name, metric in study.metrics.items():
        if metric.task not in (None, data.task):
            raise ValueError(
                f"wanted metrics for {data.task}, but {name!r} is for {metric.task}; "
                f"choose one that fits, or load the data with task={metric.task!r}"
            )


def _check_names(study: Study, columns: Mapping[str, Any]) -> None:
    scores = {
        "best_epoch",
        *(
            part + name
            for part in ("", "train_", "validation_")
            for name in ("loss", *study.metrics)
        ),
    }
    if taken := sorted(scores & columns.keys()):
        raise ValueError(
            f"wanted numbers of the members with names of their own, but {taken} are scores; rename them"
        )


def _batch(study: Study, arrays: Data) -> Batch:
    rows = study.batch_size
    x, y = (
        jax.ShapeDtypeStruct((rows, *a.shape[1:]), jnp.result_type(a.dtype))
        for a in (arrays.x, arrays.y)
    )
    return Batch(x, y, jax.ShapeDtypeStruct((rows,), jnp.float32))


def _outputs(study: Study, state: State, batch: Batch, read: set[str]) -> tuple[Any, int]:
    """The model's outputs as shapes, and the bytes of everything it computes on the way."""
    forward = make_forward(study.model, study.inputs, study.precision, read=read)

    def train(state, x):
        return forward(state, x, key=key_of(state.key, STEP), train=True)

    try:
        jaxpr, outputs = jax.make_jaxpr(train, return_shape=True)(state, batch.x)
    except MissingNumber:
        raise
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"wanted a model that takes x of shape {batch.x.shape}, but {study.model.name} answered: "
            f"{reason_of(error)}; give the model the data's sizes"
        ) from error
    steps = [v.aval for eqn in jaxpr.jaxpr.eqns for v in eqn.outvars]
    return outputs[0], sum(a.size * a.dtype.itemsize for a in steps if hasattr(a, "size"))


def _check_outputs(study: Study, state: State, outputs: Any, batch: Batch) -> None:
    """Each output of a row that is scored is its own; what comes in training only, such as a loss, is no output."""
    rows = batch.x.shape[:1]
    if all(leaf.shape[:1] == rows for leaf in jax.tree.leaves(outputs)):
        return
    scored, _ = jax.eval_shape(
        make_forward(study.model, study.inputs, study.precision), state, batch.x
    )
    if found := [leaf.shape for leaf in jax.tree.leaves(scored) if leaf.shape[:1] != rows]:
        raise ValueError(
            f"wanted outputs [rows, ...] of a network that is scored, here of {rows[0]} rows, but got some of shape "
            f"{found[0]}; give them for each row, as by jnp.broadcast_to, or only while it trains"
        )


def _target_shape(data: Any, wanted: tuple[int, ...], outputs: Any) -> tuple[int, ...]:
    """The shape of a row of y that goes with the outputs: a last axis of 1 is added where a regression has one."""
    found = getattr(outputs, "shape", None)
    if found is None:
        return wanted
    found = found[1:]
    if data.task == "regression":
        if found == (*wanted, 1):
            return wanted if isinstance(data.y, Windows) else found
        twice = wanted[-1:] and found == (
            *wanted[:-1],
            2 * wanted[-1],
        )  # the means, then the variances
        fits = found == wanted or twice or found[:-1] == wanted  # or quantiles, say
        shape = wanted or (1,)
    else:
        fits = found[len(wanted) :] == (data.classes,) or (
            data.classes == 2 and found in ((1,), wanted, (*wanted, 1))
        )
        shape = (*wanted, data.classes)
    if not fits:
        raise ValueError(
            f"wanted a model with an output of size {shape[-1]} for {data.name}, {shape} per row, but it gives "
            f"{tuple(found)}; change its last layer"
        )
    return wanted


def _check_loss(study: Study, outputs: Any, batch: Batch) -> None:
    """One loss for each row, or for each of its targets or outputs: others would be paired, or averaged, wrongly."""
    given = [leaf.shape for leaf in jax.tree.leaves(outputs)]
    shapes = f"outputs of shape {given} and targets of shape {batch.y.shape}"
    losses = _asked(f"wanted a loss that takes {shapes}", study.loss, outputs, batch.y)
    found = getattr(losses, "shape", None)
    is_per_row = found == batch.x.shape[:1]
    if not is_per_row and not (
        found and any(found == shape[: len(found)] for shape in (*given, batch.y.shape))
    ):
        raise ValueError(
            f"wanted one loss per row, ({batch.x.shape[0]},), or one per target, but the loss gives {found} for "
            f"{shapes}; let it average nothing over rows, and pair equal shapes"
        )


def _check_objective(study: Study, state: State, batch: Batch, read: set[str]) -> None:
    """Losses per row and a state: a mean over rows would count those that only fill up a batch."""
    objective, rows = study.objective, batch.x.shape[0]
    if objective is None:
        return
    forward = make_forward(study.model, study.inputs, study.precision, read=read)

    def ask(state, batch):
        key = key_of(state.key, STEP)
        batch = prepared(batch, state, key, study.augment, study.targets)
        return objective(training_forward(forward, state, key), batch)

    answer = _asked(
        "wanted objective(forward, batch) -> (losses per row, model_state)", ask, state, batch
    )
    if (
        not isinstance(answer, tuple)
        or len(answer) != 2
        or getattr(answer[0], "shape", ())[:1] != (rows,)
    ):
        raise ValueError(
            f"wanted an objective that gives (losses per row, model_state), losses [{rows}], but got {_shapes(answer)}"
            "; let it average nothing over rows, and return the state that forward gives"
        )


def _check_augment(study: Study, batch: Batch) -> None:
    augment = study.augment
    if augment is None:
        return
    wanted = "wanted augment(batch, *, key) -> batch of as many rows"
    key = jax.eval_shape(lambda: jax.random.key(0))
    answer = _asked(wanted, lambda batch, key: augment(batch, key=key), batch, key)
    if not isinstance(answer, Batch) or answer.x.shape[:1] != batch.x.shape[:1]:
        raise ValueError(
            f"{wanted}, but it gives {_shapes(answer)}; return e.g. batch._replace(x=...)"
        )


def _check_penalty(study: Study, state: State, read: set[str]) -> None:
    """One number, to be added to the mean loss."""
    penalty = study.penalty
    if penalty is None:
        return
    answer = jax.eval_shape(lambda state: penalty(state.params, Hypers(state.hyper, read)), state)
    if getattr(answer, "shape", None) != ():
        raise ValueError(
            f"wanted a penalty that gives one number, but it gives {_shapes(answer)}; sum it, as jnn.layers.l2 does"
        )


def _check_step(study: Study, state: State, batch: Batch, read: set[str]) -> None:
    after, _ = jax.eval_shape(make_step_of(study, read=read), state, batch)
    if changed := _changed(state, after):
        raise ValueError(
            f"wanted a step that keeps the shapes and dtypes of its state, but changed are {changed[:5]}; "
            "check the model, which may sow into intermediates only, and the objective"
        )


def _changed(before: State, after: State) -> list[str]:
    """The names of the arrays in which two states differ by shape or type; of their parts where only the trees do."""
    ours, theirs = (
        {
            jax.tree_util.keystr(path): (a.shape, a.dtype)
            for path, a in jax.tree_util.tree_leaves_with_path(state)
        }
        for state in (before, after)
    )
    leaves = sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )
    structures = [[jax.tree.structure(part) for part in state] for state in (before, after)]
    return leaves or [name for name, a, b in zip(State._fields, *structures, strict=True) if a != b]


def _check_scores(study: Study, state: State, outputs: Any, batch: Batch) -> None:
    """Targets are transformed back, and metrics take the result: what is found after training loses the training."""
    shapes = f"outputs of shape {_shapes(outputs)} and targets of shape {batch.y.shape}"
    row = batch.y.shape[1:]
    predictions = _asked(
        f"wanted targets=... that transforms {shapes} back",
        lambda scale, outputs: in_own_units(study.targets, scale, outputs, row),
        *(state.scale[1], outputs),
    )
    for name, metric in study.metrics.items():
        wanted = f"wanted a metric {name!r} that takes {shapes}"
        score = _asked(
            wanted,
            lambda *a, m=metric: m.value(m.update(m.init(), *a)),
            predictions,
            batch.y,
            batch.weights,
        )
        if study.keep == "best" and name == study.monitor and jnp.shape(score):
            raise ValueError(
                f"wanted monitor as one number, but {name!r} gives {score.shape}; monitor another metric"
            )


def _asked(wanted: str, function: Callable, *arguments: Any) -> Any:
    """The shapes of what a function answers; what it raises instead becomes one sentence."""
    try:
        return jax.eval_shape(function, *arguments)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{wanted}, but got: {reason_of(error)}") from error


def _shapes(outputs: Any) -> Any:
    return jax.tree.map(lambda a: a.shape, outputs)


def _check_read(
    study: Study, state: State, batch: Batch, read: set[str], columns: Mapping[str, Any]
) -> None:
    if columns.keys() - read - {"seed", "fold"}:  # some may be for predictions alone
        forward = make_forward(study.model, study.inputs, study.precision, read=read)
        jax.eval_shape(lambda state, x: forward(state, x, train=False), state, batch.x)
    if idle := sorted(columns.keys() - read - {"seed", "fold"}):
        raise ValueError(
            f"wanted every number of the members to be used, but nothing reads {idle}; "
            f"read it in the optimizer, penalty or model, or leave it out (read are {sorted(read) or 'none'})"
        )
