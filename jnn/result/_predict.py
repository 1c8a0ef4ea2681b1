"""What trained members say of new rows, batch by batch: neither rows nor members need to fit into memory at once."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import ProgramKey, Trained, make_predict, programs_of
from jnn.result._schema import row_of
from jnn.study import Study


class Prediction(NamedTuple):
    """What the members say of some rows.

    Attributes:
        members: [members, rows, ...], each member's own prediction; None where it was not asked for. A tuple or dict of
            such arrays where the model gives one, and so the others.
        mean: [rows, ...], the ensemble's.
        std: [rows, ...], the members' disagreement.
    """

    members: Any
    mean: Any
    std: Any


def make_answer(study: Study, about: Mapping[str, Any]) -> Callable[[Trained, jax.Array], Any]:
    """Makes `answer(one member, x)`: probabilities for a classification, else outputs in the targets' own units.

    Args:
        study: What was trained.
        about: The attributes of a result's scores.
    """
    outputs = make_outputs(study, about)
    if about["task"] != "classification":
        return outputs
    axes = 1 + len(row_of(about, "y")[0])
    return lambda trained, x: _probabilities(outputs(trained, x), axes, about["classes"])


def make_outputs(study: Study, about: Mapping[str, Any]) -> Callable[[Trained, jax.Array], Any]:
    """Makes `outputs(one member, x)`, raw, in the targets' own units; arguments as in `make_answer`."""
    predict = make_predict(study, row_of(about, "y")[0])
    return lambda trained, x: predict(trained, x, study.shared)


def in_batches(
    study: Study, name: Any, function: Callable, trained: Trained, x: Any, batch: int
) -> Iterator[Any]:
    """Every member's `function(member, rows)` for a batch of rows after the other: arrays [members, rows, ...].

    Args:
        study: Keeps the compiled program, under `name`.
        name: Of the function.
        function: Of one member and rows.
        trained: All members.
        x: Rows that are read as they are needed.
        batch: Rows at a time; the last batch is filled up, so that it needs no program of its own.
    """
    check_batch(batch)
    trained = jax.device_put(trained)
    apply = programs_of(study).get(
        ProgramKey(name[0], name[1:]),
        lambda: jax.jit(lambda trained, x: jax.lax.map(lambda one: function(one, x), trained)),
    )
    for start in range(0, len(x), batch):
        rows = np.asarray(x[start : start + batch])
        missing = batch - len(rows) if len(x) > batch else 0
        padded = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
        yield _first_rows(apply(trained, padded), len(rows))


def _first_rows(found: Any, count: int) -> Any:
    return jax.tree.map(lambda a: np.asarray(a)[:, :count], found)


def joined(pieces: Iterable[Any], axis: int) -> Any:
    """Arrays, or trees of them, of one batch of rows after the other as those of all rows, which are on this axis."""
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=axis), *pieces)


def check_batch(batch: int) -> None:
    """Raises a `ValueError` for a number of rows that is none."""
    if not isinstance(batch, int | np.integer) or batch < 1:
        raise ValueError(
            f"wanted batches of at least 1 row, a whole number, but got batch={batch}; use e.g. 1024"
        )


def write_program(
    path: Any, function: Callable, about: Mapping[str, Any], platforms: Sequence[str]
) -> pathlib.Path:
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


def ensemble(
    answer: Callable, trained: Trained
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """`f(x) -> (mean, std)` over the members, one after the other: only sums are kept."""
    count = jax.tree.leaves(trained)[0].shape[0]

    def f(x):
        first = answer(jax.tree.map(lambda a: a[0], trained), x)

        def add(sums, one):
            far = jax.tree.map(
                jnp.subtract, answer(one, x), first
            )  # from one of them, so that squares lose no digits
            return jax.tree.map(lambda s, far: s + jnp.stack([far, far**2]), sums, far), None

        zeros = jax.tree.map(lambda a: jnp.zeros((2, *a.shape), a.dtype), first)
        means = jax.tree.map(lambda s: s / count, jax.lax.scan(add, zeros, trained)[0])
        mean = jax.tree.map(lambda a, m: a + m[0], first, means)
        return mean, jax.tree.map(lambda m: jnp.sqrt(jnp.maximum(m[1] - m[0] ** 2, 0)), means)

    return f


def _probabilities(outputs: Any, axes: int, classes: int) -> jax.Array:
    """Probabilities [..., classes] for labels that have so many axes, with that of the rows.

    Softmax over the axis that the outputs have beyond these, if it counts the classes; else the sigmoid of each label's
    only logit, as two classes.
    """
    if not hasattr(outputs, "ndim"):
        raise ValueError(
            f"wanted one array of logits to make probabilities of, but the model gives a {type(outputs).__name__}; "
            "take Result.outputs(x)"
        )
    has_logits = outputs.ndim == axes + 1
    if has_logits and outputs.shape[-1] == classes:
        return jax.nn.softmax(outputs, axis=-1)
    logits = outputs[..., 0] if has_logits else outputs
    return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], axis=-1)
