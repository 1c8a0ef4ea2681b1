"""The last linear layer of a network that classifies."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from jnn.modules import Dense


def output_layer(
    features: int, outputs: int | None, *, rngs: nnx.Rngs, **options: Any
) -> Callable[[jax.Array], jax.Array]:
    """Return the layer from features to outputs; for None a function that returns the features."""
    if outputs is None:
        return _same
    return Dense(features, outputs, rngs=rngs, **options)


def _same(x: jax.Array) -> jax.Array:
    return x
