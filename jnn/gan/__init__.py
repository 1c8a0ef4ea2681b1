"""Generative adversarial networks as populations: players, losses, and scores of examples.

study = jnn.gan.Study(
    generator, discriminator, latent=64,
    optimizers=(optax.adam(1e-4, b1=0.5), optax.adam(4e-4, b1=0.5)),
    packing=2, metrics={"modes": jnn.gan.modes(means, std)}, epochs=20, batch_size=128,
)
result = jnn.run(study, data, jnn.seeds(20))
examples = jnn.gan.sample(result, 2500)
"""

from jnn.gan._distances import (
    DensityCoverage,
    Moments,
    PrecisionRecall,
    density_coverage,
    frechet_distance,
    kernel_distance,
    moments,
    precision_recall,
)
from jnn.gan._features import (
    by_channels,
    classified_kl,
    classified_modes,
    features_of,
    frechet,
)
from jnn.gan._game import Game
from jnn.gan._interpolation import interpolation
from jnn.gan._labels import with_labels
from jnn.gan._latents import Latents, normal, uniform
from jnn.gan._mixtures import (
    draw_mixture,
    grid,
    high_quality,
    mode_counts,
    modes,
    reverse_kl,
    ring,
)
from jnn.gan._packing import pack
from jnn.gan._penalties import Penalty, gradient_penalty, r1, r2
from jnn.gan._sample import sample
from jnn.gan._spectral_norm import spectral_norm
from jnn.gan._study import Study
from jnn.losses.gan import (
    Adversarial,
    Relativistic,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    relativistic,
    relativistic_average,
    wasserstein,
)

__all__ = [
    "Adversarial",
    "DensityCoverage",
    "Game",
    "Latents",
    "Moments",
    "Penalty",
    "PrecisionRecall",
    "Relativistic",
    "Study",
    "by_channels",
    "classified_kl",
    "classified_modes",
    "density_coverage",
    "draw_mixture",
    "features_of",
    "frechet",
    "frechet_distance",
    "gradient_penalty",
    "grid",
    "high_quality",
    "hinge",
    "interpolation",
    "kernel_distance",
    "least_squares",
    "minimax",
    "mode_counts",
    "modes",
    "moments",
    "non_saturating",
    "normal",
    "pack",
    "precision_recall",
    "r1",
    "r2",
    "relativistic",
    "relativistic_average",
    "reverse_kl",
    "ring",
    "sample",
    "spectral_norm",
    "uniform",
    "wasserstein",
    "with_labels",
]
