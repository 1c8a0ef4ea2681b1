"""What the functions of a study return, checked while they are traced."""

from typing import Any

import jax
import jax.numpy as jnp

from jnn.engine._state import Batch, State, Tree, row_count

USER_ERRORS = (AttributeError, LookupError, TypeError, ValueError)  # of functions of a study


def check_unchanged(before: State, after: State) -> None:
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
            f"A step must keep the shapes and dtypes of its state, but it changes {changed[:5]}. "
            "Check the model, which may sow into intermediates only, the objective and the "
            "optimizer."
        )


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
