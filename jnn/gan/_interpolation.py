"""Examples between two latents."""

from typing import Any

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.engine import programs_of
from jnn.gan._check import check_result
from jnn.gan._sample import checked_labels, game_of, in_order, of_part
from jnn.result import Result


def interpolation(
    result: Result, rows: int, steps: int, *, seed: int = 0, labels: Any = None
) -> np.ndarray:
    """Return examples on the way from one latent to another, [members, rows, steps, ...].

    Between two latents a and b lie a cos(t pi / 2) + b sin(t pi / 2) with t from 0 to 1, so that
    independent normal numbers stay normal at every step. Latents of another kind leave their
    range on the way: those of `jnn.gan.uniform` by up to 41 %.

    Args:
        result: What `jnn.run` returned for a study of `jnn.gan.Study`.
        rows: Number of ways.
        steps: Number of examples on each, with both ends.
        seed: Of the latents.
        labels: Class of each way, [rows], for a conditional pair; by default the classes in turn.
    """
    check_result(result)
    rows, steps = check_integer("rows", rows), check_integer("steps", steps, 2)
    seed = check_integer("seed", seed, None)
    pieces = []
    for part in result.parts:
        game = game_of(programs_of(part.known_study()).study)
        ends = game.latents(jax.random.key(seed, impl="threefry2x32"), 2 * rows)
        latents = jax.tree.map(lambda array: _between(array, steps), ends)
        classes = checked_labels(game, labels, rows)
        classes = None if classes is None else np.repeat(classes, steps)
        pieces.append(of_part(part, rows * steps, seed, classes, latents))
    examples = in_order(result, pieces)
    return examples.reshape(len(examples), rows, steps, *examples.shape[2:])


def _between(ends: Any, steps: int) -> np.ndarray:
    """Return arrays [rows * steps, ...] on the way from the first half of the rows to the other."""
    first, last = np.split(np.asarray(ends)[:, None], 2)  # [rows, 1, ...]
    angle = np.linspace(0, np.pi / 2, steps, dtype=np.float32)
    angle = angle.reshape(-1, *(1,) * (first.ndim - 2))
    ways = np.cos(angle) * first + np.sin(angle) * last
    return ways.reshape(-1, *ways.shape[2:])
