"""Examples between two latents."""

from typing import Any

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.engine import programs_of
from jnn.gan._sample import game_of, sample
from jnn.result import Result


def interpolation(
    result: Result, rows: int, steps: int, *, seed: int = 0, labels: Any = None
) -> np.ndarray:
    """Return examples on the way from one latent to another, [members, rows, steps, ...].

    The way between two latents a and b has the lengths of latents drawn at random:
    a cos(t pi / 2) + b sin(t pi / 2) with t from 0 to 1, so that independent normal numbers stay
    normal at every step.

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
    key = jax.random.key(seed, impl="threefry2x32")
    angles = np.linspace(0, np.pi / 2, steps, dtype=np.float32)

    def between(ends: Any) -> np.ndarray:
        first, last = np.split(np.asarray(ends)[:, None], 2)  # [rows, 1, ...]
        angle = angles.reshape(-1, *(1,) * (first.ndim - 2))
        ways = np.cos(angle) * first + np.sin(angle) * last
        return ways.reshape(rows * steps, *ways.shape[2:])

    latents = jax.tree.map(between, game.latents(key, 2 * rows))
    if game.classes is not None:
        labels = np.arange(rows) % game.classes if labels is None else np.asarray(labels)
        labels = np.repeat(labels, steps)
    examples = sample(result, latents=latents, labels=labels)
    return examples.reshape(len(examples), rows, steps, *examples.shape[2:])
