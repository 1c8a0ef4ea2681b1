"""One member's start as a pure function: parameters, preprocessing, the optimizer's state."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnn.data import Windows
from jnn.engine._average import with_average
from jnn.engine._checks import shapes_of
from jnn.engine._explain import explained, explained_model
from jnn.engine._keys import INIT, key_of
from jnn.engine._keywords import reads_epoch
from jnn.engine._schedules import optimizer_of
from jnn.engine._state import Data, Member, State, Trained, Tree, on_device, row_count, take_rows
from jnn.engine._update import initial_opt_state
from jnn.preprocess import Preprocess
from jnn.study import Study, as_optimizer

MISSING = (
    "Study.{} is None, so this study can be trained only by its own trainer. Call the functions of "
    "study.trainer(study)."
)
TRACED_NUMBER = (
    "A number of the member is not known while the study is compiled, and Python asked for its "
    "value. Multiply a schedule of fixed numbers by it: lambda step: h.learning_rate * "
    "schedule(step)."
)
_PARTS = "Preprocess several parts by jnn.preprocess.by_name({'name': preprocessing})."


def make_start(study: Study) -> Callable[[Member, Data], State]:
    """Make `start(member, data) -> State`.

    It draws parameters from the member's key and fits preprocessing on its training rows.
    """
    first_state = make_first_state(study)

    def start(member: Member, data: Data) -> State:
        data = on_device(data)
        hyper = numbers_of(study, member)
        _check_key(member.key)
        fold = jnp.asarray(member.fold, jnp.int32)
        scale = fit_preprocessing(study, data, fold)
        first_rows = take_rows(data.x, slice(0, 2))  # of which only shape and dtype matter
        x = study.inputs.forward(scale[0], first_rows)
        params, model_state = _initial(study, key_of(member.key, INIT), x, data.shared)
        return first_state(Trained(params, model_state, scale, hyper), member.key, fold)

    return start


def numbers_of(study: Study, member: Member) -> dict[str, jax.Array]:
    """Return the hyper-parameters of a member: the study's, with its own in their place."""
    return {name: jnp.asarray(value) for name, value in {**study.hyper, **member.hyper}.items()}


def make_first_state(study: Study) -> Callable[[Trained, jax.Array, jax.Array], State]:
    """Make `first_state(trained, key, fold) -> State`, before the first step.

    It begins the state of the optimizer, and what is averaged, from the parameters.
    """
    if study.optimizer is None:
        raise ValueError(MISSING.format("optimizer"))
    optimizer = as_optimizer(study.optimizer)

    def first_state(trained: Trained, key: jax.Array, fold: jax.Array) -> State:
        with explained("Study.optimizer failed", values=TRACED_NUMBER):
            transform, _ = optimizer_of(optimizer, trained.hyper)
            opt_state = initial_opt_state(transform, trained.params, key)
        words = jax.random.key_data(key)
        epoch = jnp.int32(0) if reads_epoch(study) else None
        state = State(trained, opt_state, fold, words, jnp.int32(0), epoch)
        return with_average(study, state)

    return first_state


def make_restart(study: Study) -> Callable[[State, Trained], State]:
    """Make `restart(state, trained) -> State`: the first state of a member, with other parameters.

    The state of the optimizer, and what is averaged, begin from these.
    """
    first_state = make_first_state(study)

    def restart(state: State, trained: Trained) -> State:
        key = state.key
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key, impl="threefry2x32")
        return first_state(trained, key, state.fold)

    return restart


def _initial(study: Study, key: jax.Array, x: Tree, shared: Tree) -> tuple[Tree, Tree]:
    """Return the first parameters and variables of the network."""
    options = {} if shared is None else {"shared": shared}
    subject = f"The model {study.model.name} cannot be initialized for x of shape {shapes_of(x)}"
    with explained_model(subject, shared):
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


def _check_key(key: jax.Array) -> None:
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not is_typed or str(jax.random.key_impl(key)) != "threefry2x32":
        raise ValueError(
            "The key of a member must be a threefry2x32 key, such as jax.random.key(0), got "
            f"{key.dtype}. Other kinds of keys are not exact under vmap."
        )


def fit_preprocessing(study: Study, data: Data, fold: jax.Array) -> tuple[Any, ...]:
    """Return what preprocessing is fitted to on a fold's training rows, a `Trained.scale`.

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
