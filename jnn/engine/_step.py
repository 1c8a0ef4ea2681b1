"""One member's step, as pure functions.

What changes the program (the study) is closed over by a `make_...`; what changes only numbers
(data, keys, rows, hyper-parameters) is an argument. So the functions made here can be jitted,
vmapped over members, mapped and sharded. What the functions of a study return is checked as they
are traced.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jnn.engine._absent import weighted
from jnn.engine._average import averaged_after
from jnn.engine._checks import (
    check_unchanged,
    checked_objective,
    checked_penalty,
    shapes_of,
)
from jnn.engine._explain import explained, explained_model
from jnn.engine._half_precision import in_bfloat16
from jnn.engine._hyper import HyperParameters
from jnn.engine._ignored import labelled_losses, labelled_mean, per_row
from jnn.engine._keys import STEP, key_of
from jnn.engine._keywords import keywords_for
from jnn.engine._precision import from_bfloat16, in_types_of, to_bfloat16
from jnn.engine._record import logs_of
from jnn.engine._schedules import nan_if_wrong, optimizer_of
from jnn.engine._scoring_network import scoring_network
from jnn.engine._start import MISSING, TRACED_NUMBER
from jnn.engine._state import (
    Batch,
    State,
    Trained,
    Tree,
    row_count,
)
from jnn.engine._update import Known, updates_of
from jnn.model import take_effects, with_effects, written_over
from jnn.study import OptimizerFactory, Study, as_optimizer

_AUGMENT = 0xA06  # folded into a step's key for augmentation; large, as layers fold in small ones
_DRAW = 0xD4A  # and for further forward passes of an objective


def make_step(study: Study) -> Callable[[State, Batch], tuple[State, Any]]:
    """Make `step(state, batch) -> (state, loss)`.

    It updates one member by the gradient of the weighted mean loss of a batch, which it returns, in
    a dict with what `Study.record` names of the step, if it names something.

    Raises:
        ValueError: While tracing, if the loss, objective, penalty or augmentation of the study
            returns something else than documented, or if the state would change its shapes.
    """
    if study.optimizer is None:
        raise ValueError(MISSING.format("optimizer"))
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
        params, opt_state = optimized(optimizer, state, params, known)
        trained = state.trained._replace(params=params, model_state=model_state)
        after = state._replace(trained=trained, opt_state=opt_state, step=state.step + 1)
        after = averaged_after(study, after, "step", after.step)
        check_unchanged(state, after)
        return after, logs_of(study, mean, gradients, opt_state)

    return step


def optimized(
    optimizer: OptimizerFactory, state: State, params: Tree, known: Known
) -> tuple[Tree, Tree]:
    """Return the parameters after a step of an optimizer, and its next state.

    Args:
        optimizer: Function of the member's hyper-parameters.
        state: Before the step; its parameters may be other ones than `params`.
        params: The parameters to update.
        known: The gradients, and what else the optimizer may ask for.
    """
    with explained("Study.optimizer failed", values=TRACED_NUMBER):
        transform, wrong = optimizer_of(optimizer, state.trained.hyper)
        updates, opt_state = updates_of(transform, state.opt_state, params, known)
    return optax.apply_updates(params, nan_if_wrong(updates, wrong)), opt_state


def make_forward(study: Study) -> Callable[..., tuple[Tree, Tree]]:
    """Make `forward(trained, x, *, shared=None, key=None, train=False)`.

    It preprocesses x, applies the network and returns `(outputs, model_state)`.
    """
    model = study.model
    is_half = study.precision == "bfloat16"
    apply = in_bfloat16(model.apply) if is_half else model.apply
    scoring = scoring_network(study)

    def forward(trained: Trained, x: Tree, *, shared: Tree = None, key=None, train: bool = False):
        x = study.inputs.forward(trained.input_stats, x)
        params = trained.params
        options = {"key": key, "train": train, "hyper": HyperParameters(trained.hyper)}
        if shared is not None:
            options["shared"] = shared
        subject = f"The model {model.name} failed on x of shape {shapes_of(x)}"
        with explained_model(subject, shared):
            if train or key is not None or is_half:
                outputs, model_state = apply(params, trained.model_state, x, **options)
            else:
                state = trained.model_state
                outputs, model_state = scoring(params, state, x, trained.hyper, shared)
        if is_half:
            outputs = from_bfloat16(outputs)
            model_state, effects = take_effects(model_state)
            model_state = in_types_of(trained.model_state, model_state)
            model_state = with_effects(model_state, effects, params, to_bfloat16(params))
        return outputs, model_state

    return forward


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
        raise ValueError(MISSING.format("loss"))
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
