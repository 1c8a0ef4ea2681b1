"""Losses: `loss(predictions, targets, **options)` returns one value per example.

The caller averages. One rule holds for all shapes: the last axis of the predictions holds the
outputs (or classes) of one example and is reduced, by the mean over outputs or by the softmax over
classes. Every axis before it stays. Predictions of rank one hold one output per example. So
`[batch, outputs]` gives `[batch]`, a language model's `[batch, time, vocab]` gives `[batch, time]`,
and `[batch]` gives `[batch]`. A model with one output column, `[batch, 1]`, may meet targets
`[batch]`; nothing else is broadcast.

Predictions are raw model outputs (logits, log rates), never probabilities. Arithmetic and result
are float32 when the inputs are bfloat16 or float16, and stay float64 when the inputs are float64.
Losses over embeddings or sequences take the arguments of their equation. What a loss ignores, such
as a label outside the classes, has loss and gradient 0, even if it is NaN.
"""

from jnn.losses import gan as gan
from jnn.losses._class_weights import balanced_class_weights as balanced_class_weights
from jnn.losses._class_weights import class_weighted as class_weighted
from jnn.losses._classification import binary_cross_entropy as binary_cross_entropy
from jnn.losses._classification import focal as focal
from jnn.losses._classification import hinge as hinge
from jnn.losses._classification import kl_divergence as kl_divergence
from jnn.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from jnn.losses._embedding import contrastive as contrastive
from jnn.losses._embedding import triplet as triplet
from jnn.losses._regression import absolute_error as absolute_error
from jnn.losses._regression import gaussian_nll as gaussian_nll
from jnn.losses._regression import huber as huber
from jnn.losses._regression import log_cosh as log_cosh
from jnn.losses._regression import poisson_nll as poisson_nll
from jnn.losses._regression import quantile as quantile
from jnn.losses._regression import squared_error as squared_error
from jnn.losses._sequence import ctc as ctc

__all__ = [
    "absolute_error",
    "balanced_class_weights",
    "binary_cross_entropy",
    "class_weighted",
    "contrastive",
    "ctc",
    "focal",
    "gan",
    "gaussian_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "poisson_nll",
    "quantile",
    "softmax_cross_entropy",
    "squared_error",
    "triplet",
]
