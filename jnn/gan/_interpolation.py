"""Examples between two latents."""

from typing import Any

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.engine import programs_of
from jnn.gan._sample import checked_labels, game_of, sample
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
    rows, steps = check_integer("rows", rows), check_integer("steps", steps, 2)
    study = programs_of(result.parts[0].known_study()).study
    game = game_of(study)
    key = jax.random.key(check_integer("seed", seed, None), impl="threefry2x32")
    angles = np.linspace(0, np.pi / 2, steps, dtype=np.float32)

    def between(ends: Any) -> np.ndarray:
        first, last = np.split(np.asarray(ends)[:, None], 2)  # [rows, 1, ...]
        angle = angles.reshape(-1, *(1,) * (first.ndim - 2))
        ways = np.cos(angle) * first + np.sin(angle) * last
        return ways.reshape(rows * steps, *ways.shape[2:])

    latents = jax.tree.map(between, game.latents(key, 2 * rows))
    labels = checked_labels(game, labels, rows)
    labels = None if labels is None else np.repeat(labels, steps)
    examples = sample(result, latents=latents, labels=labels)
    return examples.reshape(len(examples), rows, steps, *examples.shape[2:])
