"""Networks that take labels beside their input."""

from typing import Any

import jax
import jax.numpy as jnp

from jnn import layers
from jnn._settings import check_integer
from jnn.model import Model, TrainKeyword, as_model, take_effects, with_effects

_NETWORK, _LABELS = "network", "labels"


def with_labels(
    network: Any, classes: int, features: int = 50, *, train_keyword: TrainKeyword = None
) -> Model:
    """Return a network of (x, labels) that joins a learned vector of each label to x.

    The vector of a class is appended to the last axis of x, at every position of an image. So a
    generator needs an input of `latent + features` numbers, and a discriminator of images
    `channels + features` channels; for `packing` examples at once, `packing` times as many.

    Mirza and Osindero (2014), https://arxiv.org/abs/1411.1784

    Args:
        network: Of any form that `jnn.as_model` takes, generator or discriminator.
        classes: Number of classes.
        features: Length of the vector.
        train_keyword: As in `jnn.Study`.
    """
    model = as_model(network, train_keyword=train_keyword)
    shape = check_integer("classes", classes), check_integer("features", features)

    def init(key: jax.Array, x: Any, *, shared: Any = None) -> tuple[Any, Any]:
        own_key, key = jax.random.split(key)
        table = jax.random.normal(own_key, shape, jnp.float32)
        options = {} if shared is None else {"shared": shared}
        params, state = model.init(key, _joined(table, x), **options)
        return {_NETWORK: params, _LABELS: {"embedding": table}}, state

    def apply(params: Any, state: Any, x: Any, **options: Any) -> tuple[Any, Any]:
        if options.get("shared") is None:
            options.pop("shared", None)
        joined = _joined(params[_LABELS]["embedding"], x)
        outputs, state = model.apply(params[_NETWORK], state, joined, **options)
        state, effects = take_effects(state)
        if effects.params is not None:
            effects = effects._replace(params={_NETWORK: effects.params})
        return outputs, with_effects(state, effects, params, params)

    return Model(init, apply, model.name, model.choices)


def _joined(table: jax.Array, x: Any) -> jax.Array:
    """Return [rows, ..., channels] with the vectors of labels [rows] or [rows, packing]."""
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(
            "A network of jnn.gan.with_labels must be called with (x, labels), got x alone. Set "
            "classes in jnn.gan.Study, or leave with_labels out."
        )
    x, labels = x
    vectors = layers.embedding(labels, table).reshape(len(x), -1)  # [rows, features]
    vectors = vectors.reshape(len(x), *(1,) * (x.ndim - 2), -1)
    spread = jnp.broadcast_to(vectors, (*x.shape[:-1], vectors.shape[-1]))
    return jnp.concatenate([x, spread.astype(x.dtype)], axis=-1)
