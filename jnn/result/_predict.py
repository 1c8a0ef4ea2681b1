"""What trained members predict for new rows, batch by batch, so that rows may exceed memory."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import check_integer
from jnn.data import count_rows, map_parts, with_offset
from jnn.engine import ProgramKey, Trained, default_settings, make_predict, programs_of
from jnn.result._kept import Kept
from jnn.result._schema import Schema
from jnn.study import Study

Predict = Callable[..., Any]
"""`predict(trained, x, shared)` of one member; `shared` is `Study.shared` by default."""


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The members of a result that one study trained, whose arrays have one structure.

    Attributes:
        study: What was trained; None when loaded without it.
        trained: The members' arrays, each with a first axis [members of this part].
        places: Where these members stand in the result, int [members of this part].
        kept: The state of their training, from which it can go on; None if it was not kept.
    """

    study: Study | None
    trained: Trained
    places: np.ndarray
    kept: Kept | None = None

    def known_study(self) -> Study:
        """Return the study.

        Raises:
            ValueError: If the result was loaded without its study.
        """
        if self.study is None:
            raise ValueError(
                "This result was loaded without its study, so nothing can be predicted. "
                "Load it by Result.load(path, study)."
            )
        return self.study

    def take(self, places: np.ndarray, count: int) -> "Part | None":
        """Return those of its members that stand at these places of a result of `count` members.

        In the part that comes back a member's place is that in `places`. None if there is no such
        member.
        """
        row_of_place = np.full(count, -1)
        row_of_place[self.places] = np.arange(len(self.places))
        rows = row_of_place[places]
        there = rows >= 0
        if not there.any():
            return None
        rows = rows[there]
        trained = jax.tree.map(lambda array: array[rows], self.trained)
        kept = None if self.kept is None else self.kept.take(rows)
        return Part(self.study, trained, np.flatnonzero(there), kept)


class Prediction(NamedTuple):
    """What the members predict for some rows.

    Where a model gives a tuple or dict of arrays, each attribute is one of such arrays.

    Attributes:
        members: [members, rows, ...], each member's own prediction, or [members, samples, rows,
            ...] of samples; None where it was not asked for.
        mean: [rows, ...], the mean over the members and their samples.
        std: [rows, ...], the standard deviation over the members and their samples.
    """

    members: Any
    mean: Any
    std: Any

    def __repr__(self) -> str:
        def shapes(tree: Any) -> Any:
            return jax.tree.map(lambda array: f"{array.dtype}{list(array.shape)}", tree)

        fields = ", ".join(f"{name}={shapes(tree)}" for name, tree in self._asdict().items())
        return f"Prediction({fields})".replace("'", "")


def make_answer(study: Study, schema: Schema) -> Predict:
    """Make `answer(trained, x)`: probabilities, or for a regression values in the targets' units.

    Args:
        study: What was trained.
        schema: The schema of the result.
    """
    outputs = make_outputs(study, schema)
    if schema.task != "classification":
        return outputs
    axes = 1 + len(schema.target_shape)

    def answer(trained: Trained, x: jax.Array, shared: Any = study.shared) -> jax.Array:
        return probabilities(outputs(trained, x, shared), axes, schema.classes)

    return answer


def make_outputs(study: Study, schema: Schema) -> Predict:
    """Make `outputs(trained, x)`: the model's outputs in the targets' units; see `make_answer`."""
    if study.trainer is None:
        predict = make_predict(study, schema.target_shapes)
    else:
        predict = study.trainer(study).predict

    def outputs(trained: Trained, x: jax.Array, shared: Any = study.shared) -> Any:
        return predict(trained, x, shared)

    return outputs


def with_target_offset(predictions: Any, schema: Schema, *, axes: int) -> Any:
    """Return predictions, or a tree of them, with what was taken out of the targets, in float64.

    Args:
        predictions: Arrays [..., *row of targets], as they are without such an offset.
        schema: The schema of the result.
        axes: Number of axes before those of a row of targets.
    """
    if schema.target_offset is None:
        return predictions
    offset = np.asarray(schema.target_offset, np.float64)
    row = schema.target_shape
    return jax.tree.map(lambda array: with_offset(array, offset, row, axes=axes), predictions)


def in_batches(part: Part, key: ProgramKey, function: Predict, x: Any, batch: int) -> Iterator[Any]:
    """Yield every member's `function(trained, rows)` batch by batch: [members, rows, ...].

    Args:
        part: The members; the compiled program is remembered with their study.
        key: Key of the function among the study's programs.
        function: Function of one member and rows.
        x: Rows that are read as they are needed.
        batch: Rows at a time; the last batch is padded, so that it needs no program of its own.
    """

    def make() -> Any:
        def of_members(trained: Trained, x: jax.Array, shared: Any) -> Any:
            return jax.lax.map(lambda one: function(one, x, shared), trained)

        return jax.jit(of_members)

    apply = programs_of(part.known_study()).get(key, make)
    trained, shared = jax.device_put((part.trained, part.known_study().shared))
    for rows, count in batches_of(x, batch):
        with default_settings():
            values = apply(trained, rows, shared)
        yield first_rows(values, count, axis=1)


def batches_of(x: Any, batch: int) -> Iterator[tuple[Any, int]]:
    """Yield rows batch by batch, the last batch padded, and how many of them are real."""
    check_batch(batch)
    for start in range(0, len(x), batch):
        rows = map_parts(np.asarray, x[start : start + batch])
        count = count_rows(rows)
        if count < batch < len(x):
            rows = map_parts(functools.partial(_padded, rows=batch), rows)
        yield rows, count


def _padded(array: np.ndarray, rows: int) -> np.ndarray:
    """Return an array with its last row repeated up to a number of rows."""
    return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])


def join_batches(pieces: Iterable[Any], axis: int) -> Any:
    """Join arrays, or trees of them, that were made batch by batch; `axis` is that of the rows."""
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=axis), *pieces)


def join_parts(pieces: Sequence[Any], parts: Sequence[Part]) -> Any:
    """Join arrays [members of a part, ...], or trees of them, into those of all members.

    Raises:
        ValueError: If the parts give outputs of different forms.
    """
    if len(parts) == 1:
        return pieces[0]
    forms = [jax.tree.map(lambda a: a.shape[1:], piece) for piece in pieces]
    if any(form != forms[0] for form in forms):
        raise ValueError(
            f"The members must give outputs of one shape to be joined, got {forms}. "
            "Predict with one group of them at a time, by result.select(...)."
        )
    order = np.argsort(np.concatenate([part.places for part in parts]))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays)[order], *pieces)


def check_batch(batch: int) -> None:
    """Check a number of rows.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is less than 1.
    """
    check_integer("batch", batch, advice="Set it to at least 1 row, e.g. 1024.")


def first_rows(values: Any, count: int, *, axis: int) -> Any:
    """Return the first rows of arrays, or of trees of them; `axis` is that of the rows."""
    rows = (slice(None),) * axis + (slice(count),)
    return jax.tree.map(lambda array: np.asarray(array)[rows], values)


def probabilities(outputs: Any, axes: int, classes: int) -> jax.Array:
    """Return probabilities [..., classes] for labels of `axes` axes, that of rows included.

    They are the softmax over the axis that the outputs have beyond these, if it counts the classes;
    or the sigmoid of each label's only logit, as two classes. Other outputs, such as embeddings,
    are returned as they are.
    """
    if not hasattr(outputs, "ndim"):
        raise ValueError(
            "Probabilities are made of one array of logits, got a model that gives a "
            f"{type(outputs).__name__}. Use Result.outputs(x)."
        )
    has_logits = outputs.ndim == axes + 1
    if has_logits and outputs.shape[-1] == classes:
        return jax.nn.softmax(outputs, axis=-1)
    is_one_logit = outputs.ndim == axes or (has_logits and outputs.shape[-1] == 1)
    if classes != 2 or not is_one_logit:
        return outputs
    logits = outputs[..., 0] if has_logits else outputs
    return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], axis=-1)
