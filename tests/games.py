"""The ring of 8 Gaussians, and a study of a small pair on it, which the tests of games share."""

import functools

import numpy as np
import optax

import jnn
from jnn import gan

MEANS = gan.ring(8)
RING = jnn.Dataset.from_arrays(gan.draw_mixture(MEANS, 0.05, 96), np.arange(96) % 3, name="ring")
SCORES = {"modes": gan.modes(MEANS, 0.05), "share": gan.high_quality(MEANS, 0.05)}
MLP = jnn.models.MLP


def study(**settings):
    defaults = {
        "generator": functools.partial(MLP, 3, (4,), 2),
        "discriminator": functools.partial(MLP, 2 * settings.get("packing", 1), (4,), 1),
        "latent": 3,
        "optimizers": (lambda h: optax.sgd(h.rate, momentum=0.5), optax.sgd(0.1)),
        "epochs": 2,
        "batch_size": 16,
        "hyper": {"rate": 0.1},
        "metrics": SCORES,
        "samples": 24,
    }
    return gan.Study(**(defaults | settings))
