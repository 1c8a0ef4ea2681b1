"""Optimizers by name, with the learning rate and the weight decay of each member."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import optax

MakeOptimizer: TypeAlias = Callable[[Any], optax.GradientTransformation]

_MOMENTUM = 0.9


def make_optimizer(name: str, *, decays: bool) -> MakeOptimizer:
    """Return the function of a member's numbers that makes an optimizer.

    Args:
        name: One of `OPTIMIZERS`.
        decays: Whether the weights decay by `h.weight_decay`, apart from the gradient as in AdamW:
            Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019),
            https://arxiv.org/abs/1711.05101

    Raises:
        ValueError: If there is no optimizer of this name.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {list(OPTIMIZERS)}, got {name!r}.")
    plain, decaying = OPTIMIZERS[name]
    return decaying if decays else plain


def _adam(hyper: Any) -> optax.GradientTransformation:
    return optax.adam(hyper.learning_rate)


def _adamw(hyper: Any) -> optax.GradientTransformation:
    return optax.adamw(hyper.learning_rate, weight_decay=hyper.weight_decay)


def _nadam(hyper: Any) -> optax.GradientTransformation:
    return optax.nadam(hyper.learning_rate)


def _nadamw(hyper: Any) -> optax.GradientTransformation:
    return optax.nadamw(hyper.learning_rate, weight_decay=hyper.weight_decay)


def _lion(hyper: Any) -> optax.GradientTransformation:
    return optax.lion(hyper.learning_rate, weight_decay=0.0)


def _lion_with_decay(hyper: Any) -> optax.GradientTransformation:
    return optax.lion(hyper.learning_rate, weight_decay=hyper.weight_decay)


def _rmsprop(hyper: Any) -> optax.GradientTransformation:
    return optax.rmsprop(hyper.learning_rate)


def _rmsprop_with_decay(hyper: Any) -> optax.GradientTransformation:
    return _decayed(optax.scale_by_rms(), hyper)


def _sgd(hyper: Any) -> optax.GradientTransformation:
    return optax.sgd(hyper.learning_rate, momentum=_MOMENTUM)


def _sgd_with_decay(hyper: Any) -> optax.GradientTransformation:
    return _decayed(optax.trace(decay=_MOMENTUM), hyper)


def _decayed(update: optax.GradientTransformation, hyper: Any) -> optax.GradientTransformation:
    return optax.chain(
        update,
        optax.add_decayed_weights(hyper.weight_decay),
        optax.scale_by_learning_rate(hyper.learning_rate),
    )


OPTIMIZERS: Mapping[str, tuple[MakeOptimizer, MakeOptimizer]] = {
    "adam": (_adam, _adamw),
    "nadam": (_nadam, _nadamw),
    "lion": (_lion, _lion_with_decay),
    "rmsprop": (_rmsprop, _rmsprop_with_decay),
    "sgd": (_sgd, _sgd_with_decay),
}
"""Name -> the optimizer without weight decay, and with it."""
