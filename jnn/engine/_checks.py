"""What the functions of a study return, checked while they are traced."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine._state import Batch, State, Trained, Tree, row_count

_RESERVED = {  # names of the columns and axes of a result
    "all_members",
    "best_epoch",
    "epoch",
    "fold",
    "kept_epoch",
    "member",
    "sample",
    "seed",
}
_SUPERVISED = (
    "Check the model, which may sow into intermediates only, the objective and the optimizer."
)


def check_unchanged(
    before: State, after: State, subject: str = "A step", *, advice: str = _SUPERVISED
) -> None:
    """Raise ValueError if a step changes the shapes, dtypes or structure of its state."""
    old = _kinds(before)
    new = _kinds(after)
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if not changed and jax.tree.structure(before) != jax.tree.structure(after):
        old = _structures(before)
        new = _structures(after)
        changed = [name for name in old if old[name] != new[name]]
    if changed:
        raise ValueError(
            f"{subject} must keep the shapes and dtypes of its state, but it changes "
            f"{changed[:5]}. {advice}"
        )


def checked_start(state: Any) -> State:
    """Return what a trainer's start returned, if it is a state of arrays."""
    _check_state(state, "start", "a jnn.State")
    return state


def checked_restart(after: Any, before: State) -> State:
    """Return what a trainer's restart returned, if it is a state as before."""
    _check_state(after, "restart", "a jnn.State")
    check_unchanged(before, after, "The trainer's restart", advice="Check it.")
    return after


def checked_step(answer: Any, before: State) -> tuple[State, Any]:
    """Return what a trainer's step returned, if it is a state as before and logs."""
    form = "(jnn.State, logs)"
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise TypeError(_other_return("step", form, answer))
    after, logs = answer
    _check_state(after, "step", form)
    check_unchanged(before, after, advice="Check the step of the trainer.")
    if isinstance(logs, dict):
        _check_named(logs, "step", "logs")
    elif not _is_array(logs):
        raise TypeError(
            "The logs of the trainer's step must be a number or a dict of numbers, got "
            f"{_kind_of(logs)}. Return for example (state, {{'gap': gap}})."
        )
    for value in jax.tree.leaves(logs):
        if jnp.shape(value):
            raise ValueError(
                "The logs of the trainer's step must be single numbers, got the shapes "
                f"{shapes_of(logs)}. Average them over the batch."
            )
    return after, logs


def checked_scores(scores: Any) -> dict[str, Any]:
    """Return what a trainer's evaluate returned, if it is a dict of arrays."""
    if not isinstance(scores, dict):
        raise TypeError(_other_return("evaluate", "a dict of scores by name", scores))
    _check_named(scores, "evaluate", "scores")
    return scores


def _check_state(state: Any, function: str, form: str) -> None:
    if not isinstance(state, State):
        raise TypeError(_other_return(function, form, state))
    if not isinstance(state.trained, Trained):
        raise TypeError(
            f"State.trained of the trainer's {function} must be a jnn.Trained, got "
            f"{_kind_of(state.trained)}. Return jnn.State(jnn.Trained(...), ...)."
        )
    others = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if not _is_array(leaf)
    ]
    if others:
        raise TypeError(
            f"The state of the trainer's {function} must hold arrays only, but {others[:5]} are "
            "none. Leave them out, or keep them in the trainer."
        )


def _check_named(values: dict[Any, Any], function: str, what: str) -> None:
    """Raise an error unless the scores of a trainer have names of their own and are arrays."""
    for name, value in values.items():
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"The {what} of the trainer's {function} must have text as names, got {name!r}. "
                "Return for example {'distance': distance}."
            )
        if name in _RESERVED or name.startswith(("train_", "validation_")):
            raise ValueError(
                f"The {what} of the trainer's {function} have the reserved name {name!r}. Choose "
                "another name."
            )
        if not _is_array(value):
            raise TypeError(
                f"The {what} of the trainer's {function} must be arrays, but {name!r} is "
                f"{_kind_of(value)}. Return a number or an array."
            )


def _other_return(function: str, form: str, value: Any) -> str:
    return f"The trainer's {function} must return {form}, got {_kind_of(value)}."


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | np.generic | bool | int | float | complex)


def checked_objective(answer: Any, batch: Batch) -> tuple[jax.Array, Tree]:
    """Return what an objective returned, if it is a pair with one loss per row.

    A mean over rows would count the rows that only fill up a batch.
    """
    rows = row_count(batch.x)
    is_pair = isinstance(answer, tuple) and len(answer) == 2
    if not is_pair or jnp.shape(answer[0])[:1] != (rows,):
        raise ValueError(
            f"Study.objective must return (losses of shape [{rows}, ...], model_state), got "
            f"{shapes_of(answer)}. It must not average over rows, and must return the state "
            "that forward returns."
        )
    return answer


def checked_penalty(penalty: Any) -> jax.Array:
    if not jax.tree_util.all_leaves([penalty]) or jnp.shape(penalty) != ():
        raise ValueError(
            f"Study.penalty must return one number, got {shapes_of(penalty)}. Sum it, as "
            "jnn.layers.l2 does."
        )
    return penalty


def check_rows(outputs: Tree, rows: int) -> None:
    """Raise ValueError unless each output has a row for each row of x."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(outputs)]
    others = [shape for shape in shapes if shape[:1] != (rows,)]
    if others:
        raise ValueError(
            f"The outputs of a network that is scored must have the shape [rows, ...], here with "
            f"{rows} rows, got {others[0]}. Return one for each row, for example by "
            "jnp.broadcast_to, or return it only in training mode."
        )


def shapes_of(tree: Tree) -> Any:
    """Return the tree with the shape of each array."""
    return jax.tree.map(jnp.shape, tree)


def _kinds(tree: Tree) -> dict[str, Any]:
    """Return the shape and dtype of each array by its name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): (jnp.shape(leaf), jnp.result_type(leaf))
        for path, leaf in leaves
    }


def _structures(state: State) -> dict[str, Any]:
    """Return the structure of each part of a state by its name."""
    parts = {**state._asdict(), **state.trained._asdict()}
    del parts["trained"]
    return {name: jax.tree.structure(part) for name, part in parts.items()}
