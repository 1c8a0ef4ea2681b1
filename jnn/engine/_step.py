"""One member's start and step, as pure functions.

What changes the program (the study) is closed over by a `make_...`; what changes only numbers
(data, keys, rows, hyper-parameters) is an argument. So the functions made here can be jitted,
vmapped over members, mapped and sharded. What the functions of a study return is checked as they
are traced.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jnn.data import Windows
from jnn.engine._absent import weighted
from jnn.engine._average import averaged_after, with_average
from jnn.engine._checks import (
    check_unchanged,
    checked_objective,
    checked_penalty,
    shapes_of,
)
from jnn.engine._explain import explained
from jnn.engine._half_precision import in_bfloat16
from jnn.engine._hyper import HyperParameters
from jnn.engine._ignored import labelled_losses, labelled_mean, per_row
from jnn.engine._keywords import keywords_for, reads_epoch
from jnn.engine._precision import from_bfloat16, in_types_of, to_bfloat16
from jnn.engine._record import logs_of
from jnn.engine._schedules import nan_if_wrong, optimizer_of
from jnn.engine._state import (
    Batch,
    Data,
    Member,
    State,
    Trained,
    Tree,
    on_device,
    row_count,
    take_rows,
)
from jnn.engine._update import Known, initial_opt_state, updates_of
from jnn.model import take_effects, with_effects, written_over
from jnn.preprocess import Preprocess
from jnn.study import Study, as_optimizer

INIT, ORDER, STEP = range(3)  # streams of random numbers that are folded into a member's key
_STREAMS = 3
_AUGMENT = 0xA06  # folded into a step's key for augmentation; large, as layers fold in small ones
_DRAW = 0xD4A  # and for further forward passes of an objective


_MISSING = (
    "Study.{} is None, so this study can be trained only by its own trainer. Call the functions of "
    "study.trainer(study)."
)
_TRACED_NUMBER = (
    "A number of the member is not known while the study is compiled, and Python asked for its "
    "value. Multiply a schedule of fixed numbers by it: lambda step: h.learning_rate * "
    "schedule(step)."
)
_PARTS = "Preprocess several parts by jnn.preprocess.by_name({'name': preprocessing})."


def make_start(study: Study) -> Callable[[Member, Data], State]:
    """Make `start(member, data) -> State`.

    It draws parameters from the member's key and fits preprocessing on its training rows.
    """
    if study.optimizer is None:
        raise ValueError(_MISSING.format("optimizer"))
    optimizer = as_optimizer(study.optimizer)

    def start(member: Member, data: Data) -> State:
        data = on_device(data)
        settings = {**study.hyper, **member.hyper}
        hyper = {name: jnp.asarray(value) for name, value in settings.items()}
        _check_key(member.key)
        fold = jnp.asarray(member.fold, jnp.int32)
        scale = _fit(study, data, fold)
        first_rows = take_rows(data.x, slice(0, 2))  # of which only shape and dtype matter
        x = study.inputs.forward(scale[0], first_rows)
        params, model_state = _initial(study, key_of(member.key, INIT), x, data.shared)
        with explained("Study.optimizer failed", values=_TRACED_NUMBER):
            transform, _ = optimizer_of(optimizer, hyper)
            opt_state = initial_opt_state(transform, params, member.key)
        trained = Trained(params, model_state, scale, hyper)
        key = jax.random.key_data(member.key)
        epoch = jnp.int32(0) if reads_epoch(study) else None
        state = State(trained, opt_state, fold, key, jnp.int32(0), epoch)
        return with_average(study, state)

    return start


def make_step(study: Study) -> Callable[[State, Batch], tuple[State, Any]]:
    """Make `step(state, batch) -> (state, loss)`.

    It updates one member by the gradient of the weighted mean loss of a batch, which it returns, in
    a dict with what `Study.record` names of the step, if it names something.

    Raises:
        ValueError: While tracing, if the loss, objective, penalty or augmentation of the study
            returns something else than documented, or if the state would change its shapes.
    """
    if study.optimizer is None:
        raise ValueError(_MISSING.format("optimizer"))
    optimizer = as_optimizer(study.optimizer)
    forward = make_forward(study)

    def total_loss(params: Tree, state: State, batch: Batch, key: jax.Array):
        trained = state.trained._replace(params=params)

        def train_forward(x: Tree, draw: int = 0) -> tuple[Tree, Tree]:
            draw_key = key
            if draw:
                draw_key = jax.random.fold_in(jax.random.fold_in(key, _DRAW), draw)
            return forward(trained, x, shared=batch.shared, key=draw_key, train=True)

        losses, model_state = _losses_of(study, train_forward, batch, state)
        model_state, effects = take_effects(model_state)
        mean = mean_loss(losses, batch)
        if effects.loss is not None:
            mean = mean + effects.loss
        total = mean
        if study.penalty is not None:
            with explained("Study.penalty failed"):
                options = keywords_for(study, "penalty", state)
                penalty = study.penalty(params, HyperParameters(trained.hyper), **options)
            total = mean + checked_penalty(penalty)
        return total, (mean, model_state, effects.params)

    def step(state: State, batch: Batch) -> tuple[State, Any]:
        key = key_of(state.key, STEP, state.step)
        batch = _prepared(study, batch, state, key)
        gradient = jax.value_and_grad(total_loss, has_aux=True)
        params = state.trained.params
        (total, (mean, model_state, written)), gradients = gradient(params, state, batch, key)
        params = written_over(params, written)
        objective = lambda params: total_loss(params, state, batch, key)[0]  # noqa: E731
        known = Known(gradients, mean, total, objective, key)
        with explained("Study.optimizer failed", values=_TRACED_NUMBER):
            transform, wrong = optimizer_of(optimizer, state.trained.hyper)
            updates, opt_state = updates_of(transform, state.opt_state, params, known)
        params = optax.apply_updates(params, nan_if_wrong(updates, wrong))
        trained = state.trained._replace(params=params, model_state=model_state)
        after = state._replace(trained=trained, opt_state=opt_state, step=state.step + 1)
        after = averaged_after(study, after, "step", after.step)
        check_unchanged(state, after)
        return after, logs_of(study, mean, gradients, opt_state)

    return step


def make_forward(study: Study) -> Callable[..., tuple[Tree, Tree]]:
    """Make `forward(trained, x, *, shared=None, key=None, train=False)`.

    It preprocesses x, applies the network and returns `(outputs, model_state)`.
    """
    model = study.model
    is_half = study.precision == "bfloat16"
    apply = in_bfloat16(model.apply) if is_half else model.apply

    def forward(trained: Trained, x: Tree, *, shared: Tree = None, key=None, train: bool = False):
        x = study.inputs.forward(trained.input_stats, x)
        params = trained.params
        options = {"key": key, "train": train, "hyper": HyperParameters(trained.hyper)}
        if shared is not None:
            options["shared"] = shared
        subject = f"The model {model.name} failed on x of shape {shapes_of(x)}"
        with _explained_model(subject, shared):
            outputs, model_state = apply(params, trained.model_state, x, **options)
        if is_half:
            outputs = from_bfloat16(outputs)
            model_state, effects = take_effects(model_state)
            model_state = in_types_of(trained.model_state, model_state)
            model_state = with_effects(model_state, effects, params, to_bfloat16(params))
        return outputs, model_state

    return forward


def key_of(key: jax.Array, stream: int, number: Any = 0) -> jax.Array:
    """Return the key of the number-th use of a stream.

    Stream and number are folded in together, because each `fold_in` is a loop to compile and run.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.random.fold_in(key, _STREAMS * number + stream)


def mean_loss(losses: jax.Array, batch: Batch) -> jax.Array:
    """Return the weighted mean loss of a batch, over the labels that are not to be ignored."""
    if batch.ignoring is None:
        return weighted_mean(losses, batch.weights)
    losses, share = labelled_losses(losses, batch.y)
    return labelled_mean(losses, share, batch.weights)


def weighted_mean(losses: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Return sum(w l) / sum(w) over rows; 0 where all weights are 0.

    The loss of a row is the mean over its further axes. A row of weight 0 adds nothing even if its
    loss is NaN or infinite.
    """
    if weights is None:
        return jnp.mean(per_row(losses))
    return jnp.sum(weighted(per_row(losses), weights)) / jnp.maximum(jnp.sum(weights), 1e-9)


def aligned(y: Tree, outputs: Tree) -> Tree:
    """Add a last axis of size 1 to float targets if the outputs have one.

    A network with outputs [rows, 1] may be trained on numbers [rows], which would be broadcast to
    [rows, rows] otherwise. Labels stay as they are.
    """
    is_array = hasattr(outputs, "shape") and hasattr(y, "shape")
    if is_array and jnp.issubdtype(y.dtype, jnp.floating) and outputs.shape == (*y.shape, 1):
        return y[..., None]
    return y


def loss_of(study: Study, outputs: Tree, y: Tree, state: State) -> jax.Array:
    """Return the losses [rows, ...] of outputs of a member.

    Raises:
        ValueError: If the loss fails on these outputs and targets, or returns other shapes.
    """
    if study.loss is None:
        raise ValueError(_MISSING.format("loss"))
    y = aligned(y, outputs)
    shapes = f"outputs of shape {shapes_of(outputs)} and targets of shape {shapes_of(y)}"
    with explained(f"Study.loss failed on {shapes}"):
        losses = study.loss(outputs, y, **keywords_for(study, "loss", state))
    shape = jnp.shape(losses)
    array_shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves((outputs, y))]
    is_per_row = shape == array_shapes[0][:1]
    is_per_target = shape and any(shape == other[: len(shape)] for other in array_shapes)
    if not is_per_row and not is_per_target:
        raise ValueError(
            f"Study.loss must return one loss per row, {array_shapes[0][:1]}, or one per target, "
            f"got {shape} for {shapes}. It must not average over rows, and must pair equal shapes."
        )
    return losses


def _initial(study: Study, key: jax.Array, x: Tree, shared: Tree) -> tuple[Tree, Tree]:
    """Return the first parameters and variables of the network."""
    options = {} if shared is None else {"shared": shared}
    subject = f"The model {study.model.name} cannot be initialized for x of shape {shapes_of(x)}"
    with _explained_model(subject, shared):
        variables = study.model.init(key, x, **options)
    params, model_state = jax.tree.map(jnp.asarray, variables)
    integers = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    if integers:
        raise ValueError(
            f"Parameters must be floats, which a gradient can change, but {integers[:5]} are "
            "integers. Convert them, or keep them in the state of the model."
        )
    return params, model_state


def _explained_model(subject: str, shared: Tree) -> AbstractContextManager[None]:
    """Return `explained` for a network, with what to check."""
    names = ""
    if isinstance(shared, Mapping):
        names = f" and reads the names of Study.shared, {sorted(map(str, shared))}"
    return explained(
        subject,
        sizes=f"Check that it was built for the sizes of the data{names}.",
        names=f"Check that it was built for the data{names}." if names else "",
    )


def _check_key(key: jax.Array) -> None:
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not is_typed or str(jax.random.key_impl(key)) != "threefry2x32":
        raise ValueError(
            "The key of a member must be a threefry2x32 key, such as jax.random.key(0), got "
            f"{key.dtype}. Other kinds of keys are not exact under vmap."
        )


def _fit(study: Study, data: Data, fold: jax.Array) -> tuple[Any, ...]:
    """Fit preprocessing on a fold's training rows.

    Rows enter by weights over all rows, so that vmap copies no data.
    """
    index = data.train.index[fold]
    count = data.train.count[fold]
    real = (jnp.arange(index.shape[0]) < count).astype(jnp.float32)
    weights = jnp.zeros(row_count(data.x)).at[index].add(real)
    if data.weights is not None:
        weights = weights * data.weights

    def fit(name: str, preprocess: Preprocess, values: Tree) -> Any:
        if values is None:
            return ()
        subject = f"Study.{name} failed on values of shape {shapes_of(values)}"
        with explained(subject, otherwise="" if hasattr(values, "shape") else _PARTS):
            if isinstance(values, Windows):  # each step of the series counts once
                return preprocess.fit(values.values, values.covered(weights))
            return preprocess.fit(values, weights)

    scale = (fit("inputs", study.inputs, data.x), fit("targets", study.targets, data.y))
    if data.class_weights is None:
        return scale
    return (*scale, data.class_weights[fold])


def _losses_of(
    study: Study, forward: Callable[..., tuple[Tree, Tree]], batch: Batch, state: State
) -> tuple[jax.Array, Tree]:
    """Return the losses of a batch, by the objective of the study or by the loss of its outputs."""
    if study.objective is None:
        outputs, model_state = forward(batch.x)
        answer = loss_of(study, outputs, batch.y, state), model_state
    else:
        with explained("Study.objective failed"):
            options = keywords_for(study, "objective", state)
            answer = study.objective(forward, batch, **options)
    return checked_objective(answer, batch)


def _prepared(study: Study, batch: Batch, state: State, key: jax.Array) -> Batch:
    """Return the batch that a step trains on: augmented, weighted, its targets preprocessed."""
    trained = state.trained
    if study.augment is not None:
        batch = _augmented(study, batch, state, jax.random.fold_in(key, _AUGMENT))
    if trained.class_weights is not None:
        class_weights = trained.class_weights[batch.y]
        batch = batch._replace(weights=_times(class_weights, batch.weights))
    return batch._replace(y=as_trained(study, trained.target_stats, batch.y))


def as_trained(study: Study, stats: Any, y: Tree) -> Tree:
    """Return targets preprocessed, as the loss is computed on them; None of None."""
    if y is None:
        return None
    with explained(f"Study.targets failed on targets of shape {shapes_of(y)}"):
        return study.targets.forward(stats, y)


def _times(class_weights: jax.Array, weights: jax.Array | None) -> jax.Array:
    return class_weights if weights is None else class_weights * weights


def _augmented(study: Study, batch: Batch, state: State, key: jax.Array) -> Batch:
    rows = row_count(batch.x)
    form = f"Study.augment must map a batch of {rows} rows to one of as many rows"
    with explained(f"{form}, but it failed"):
        options = keywords_for(study, "augment", state)
        augmented = study.augment(batch, key=key, **options)  # type: ignore[misc]
    if not isinstance(augmented, Batch) or row_count(augmented.x) != rows:
        raise ValueError(
            f"{form}, got {shapes_of(augmented)}. Return for example batch._replace(x=...)."
        )
    return augmented._replace(shared=batch.shared)
