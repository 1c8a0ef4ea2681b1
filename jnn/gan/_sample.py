"""Examples of trained generators."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import check_integer
from jnn.engine import ProgramKey, Trained, default_settings, programs_of
from jnn.gan._check import check_result, kind_of
from jnn.gan._game import Game, generate
from jnn.result import Part, Result
from jnn.study import Study

_BATCH = 1024  # examples at a time


def sample(
    result: Result,
    count: int | None = None,
    *,
    seed: int = 0,
    labels: Any = None,
    latents: Any = None,
    batch: int = _BATCH,
) -> np.ndarray:
    """Return examples that the generator of each member makes, [members, count, ...].

    With the same seed all members draw the same latents, so that their examples can be compared
    one by one.

    Args:
        result: What `jnn.run` returned for a study of `jnn.gan.Study`.
        count: Number of examples of each member.
        seed: Of the latents.
        labels: Class of each example, [count], for a conditional pair; by default the classes in
            turn.
        latents: What the examples are made from, [count, ...], in place of drawn latents and of
            `count`.
        batch: Examples at a time; with another number other latents are drawn.

    Raises:
        ValueError: If neither a count nor latents are given, or both; if the study is none of
            `jnn.gan.Study`; or if labels are given to a pair that takes none.
    """
    check_result(result)
    if (count is None) == (latents is None):
        raise ValueError("Exactly one of count and latents must be given to jnn.gan.sample.")
    if latents is None:
        rows = check_integer("count", count)
    else:
        latents, rows = _checked_latents(latents)
    seed, batch = check_integer("seed", seed, None), check_integer("batch", batch)
    pieces = [of_part(part, rows, seed, labels, latents, batch) for part in result.parts]
    return in_order(result, pieces)


def in_order(result: Result, pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Return the examples of each part of a result as those of its members, in their order."""
    if len({piece.shape[1:] for piece in pieces}) > 1:
        raise ValueError("The members make examples of different shapes. Take those of one study.")
    order = np.argsort(np.concatenate([part.places for part in result.parts]))
    return np.concatenate(pieces)[order]


def of_part(
    part: Part, rows: int, seed: int, labels: Any, latents: Any, batch: int = _BATCH
) -> np.ndarray:
    """Return the examples of the members of one study."""
    programs = programs_of(part.known_study())
    game = game_of(programs.study)
    labels = checked_labels(game, labels, rows)
    apply = programs.get(ProgramKey("gan samples"), lambda: _over_members(game, programs.study))
    key = jax.random.key(seed, impl="threefry2x32")
    pieces = []
    for number, first in enumerate(range(0, rows, batch)):
        size = min(batch, rows - first)
        here = slice(first, first + size)
        if latents is None:
            given = game.latents(jax.random.fold_in(key, number), size)
        else:
            given = jax.tree.map(lambda array, here=here: jnp.asarray(array[here]), latents)
        with default_settings():
            pieces.append(
                np.asarray(apply(part.trained, given, None if labels is None else labels[here]))
            )
    return np.concatenate(pieces, axis=1)


def game_of(study: Study) -> Game:
    """Return the game that a study plays.

    Raises:
        ValueError: If it plays none.
    """
    if not isinstance(study.trainer, Game):
        raise ValueError(
            "The result must be that of a study made by jnn.gan.Study, got one of "
            f"{study.model.name}. Use result.predict."
        )
    return study.trainer


def _over_members(game: Game, study: Study) -> Any:
    """Return the compiled function of all members that makes their examples of latents."""
    generator, _ = game.players(study)

    def of_members(trained: Trained, latents: Any, labels: Any) -> jax.Array:
        return jax.lax.map(lambda one: generate(study, generator, one, latents, labels), trained)

    return jax.jit(of_members)


def _checked_latents(latents: Any) -> tuple[Any, int]:
    """Return latents as arrays, and their number of rows."""
    if isinstance(latents, list) and not any(map(np.ndim, jax.tree.leaves(latents))):
        latents = np.asarray(latents)
    leaves = jax.tree.leaves(latents)
    rows = {len(leaf) if np.ndim(leaf) else 0 for leaf in leaves}
    are_numbers = all(np.asarray(leaf).dtype.kind not in "OSU" for leaf in leaves)
    if len(rows) != 1 or 0 in rows or not are_numbers:
        came = [kind_of(np.asarray(leaf)) for leaf in leaves]
        raise ValueError(
            f"latents must be arrays [count, ...] of one number of rows, got {came}. Draw them as "
            "the study does."
        )
    return latents, rows.pop()


def checked_labels(game: Game, labels: Any, rows: int) -> np.ndarray | None:
    """Return the labels of rows of examples: those given, or the classes in turn.

    Raises:
        ValueError: If they are no classes, one for each row, or if the pair is not conditional.
    """
    if game.classes is None:
        if labels is not None:
            raise ValueError("labels must be None, as the pair is not conditional.")
        return None
    labels = np.arange(rows) % game.classes if labels is None else np.asarray(labels)
    are_integers = labels.dtype.kind in "iu" and labels.shape == (rows,)
    if not are_integers or labels.min() < 0 or labels.max() >= game.classes:
        came = f"{labels.min()} to {labels.max()}" if are_integers else ""
        came = came or f"{labels.dtype} of the shape {labels.shape}"
        raise ValueError(
            f"labels must be integers from 0 to {game.classes - 1}, one for each of {rows} rows, "
            f"got {came}."
        )
    return labels.astype(np.int32)
