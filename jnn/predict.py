"""What trained members say of new rows, batch by batch: neither rows nor members need to fit into memory at once."""

import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import State
from jnn.rows import row_of
from jnn.scoring import make_predict
from jnn.study import Study


class Trained(NamedTuple):
    """The trained members' arrays, each with a first axis [members]."""

    params: Any
    model_state: Any
    scale: Any
    hyper: dict[str, Any]


class Prediction(NamedTuple):
    """What the members say of some rows.

    Attributes:
        members: [members, rows, ...], each member's own prediction; None where it was not asked for.
        mean: [rows, ...], the ensemble's.
        std: [rows, ...], the members' disagreement.
    """

    members: Any
    mean: np.ndarray
    std: np.ndarray


def make_answer(study: Study, about: Mapping[str, Any]) -> Callable[[Trained, jax.Array], Any]:
    """Makes `answer(one member, x)`: probabilities for a classification, else outputs in the targets' own units.

    Args:
        study: What was trained.
        about: The attributes of a result's scores.
    """
    outputs = make_outputs(study)
    if about["task"] != "classification":
        return outputs
    return lambda trained, x: _probabilities(outputs(trained, x), about["classes"])


def make_outputs(study: Study) -> Callable[[Trained, jax.Array], Any]:
    """Makes `outputs(one member, x)`, raw, in the targets' own units."""
    predict = make_predict(study)
    return lambda trained, x: predict(State(trained.params, trained.model_state, None, *trained[2:], None, None), x)


def in_batches(
    study: Study, name: Any, function: Callable, trained: Trained, x: Any, batch: int
) -> Iterator[np.ndarray]:
    """Every member's `function(member, rows)` for a batch of rows after the other, [members, rows, ...].

    Args:
        study: Keeps the compiled program, under `name`.
        name: Of the function.
        function: Of one member and rows.
        trained: All members.
        x: Rows that are read as they are needed.
        batch: Rows at a time; the last batch is filled up, so that it needs no program of its own.
    """
    check_batch(batch)
    if name not in study.compiled:
        study.compiled[name] = jax.jit(lambda trained, x: jax.lax.map(lambda one: function(one, x), trained))
    trained, apply = jax.device_put(trained), study.compiled[name]
    for start in range(0, len(x), batch):
        rows = np.asarray(x[start : start + batch])
        missing = batch - len(rows) if len(x) > batch else 0
        padded = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
        yield np.asarray(apply(trained, padded))[:, : len(rows)]


def check_batch(batch: int) -> None:
    """Raises a `ValueError` for a number of rows that is none."""
    if batch < 1:
        raise ValueError(f"wanted batches of at least 1 row, but got batch={batch}; use e.g. 1024")


def write_program(path: Any, function: Callable, about: Mapping[str, Any], platforms: Sequence[str]) -> pathlib.Path:
    """Writes `function(x)` for any number of rows x as one file of StableHLO, which `jax.export` reads.

    Args:
        path: The file.
        function: Of rows.
        about: The attributes of a result's scores.
        platforms: On which it is to run.
    """
    try:
        import flatbuffers  # noqa: F401  (what jax.export writes by)
    except ImportError:
        raise ImportError(
            "wanted flatbuffers to write the file, but it is not installed; pip install 'jnn-jax[export]'"
        ) from None
    from jax import export

    shape, dtype = row_of(about, "x")
    x = jax.ShapeDtypeStruct((*export.symbolic_shape("rows"), *shape), dtype)
    exported = export.export(jax.jit(function), platforms=tuple(platforms))(x)
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(exported.serialize())
    return partial.replace(path)


def ensemble(answer: Callable, trained: Trained) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """`f(x) -> (mean, std)` over the members, one after the other: only sums are kept."""
    count = jax.tree.leaves(trained)[0].shape[0]

    def f(x):
        first = answer(jax.tree.map(lambda a: a[0], trained), x)

        def add(sums, one):
            far = answer(one, x) - first  # from one of them, so that squares lose no digits
            return (sums[0] + far, sums[1] + far**2), None

        sums, squares = jax.lax.scan(add, (jnp.zeros_like(first), jnp.zeros_like(first)), trained)[0]
        mean = sums / count
        return first + mean, jnp.sqrt(jnp.maximum(squares / count - mean**2, 0))

    return f


def _probabilities(outputs: jax.Array, classes: int) -> jax.Array:
    """Softmax over the last axis if it counts the classes; else the sigmoid of a single logit, as two classes."""
    if outputs.ndim > 1 and outputs.shape[-1] == classes:
        return jax.nn.softmax(outputs, axis=-1)
    logits = outputs[..., 0] if outputs.ndim > 1 else outputs
    return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], axis=-1)
