"""Networks that classify return the features before their last layer if `outputs` is None."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import models

IMAGES = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
SERIES = jax.random.normal(jax.random.key(0), (2, 8, 3))
IDS = jnp.array([[1, 2, 3, 0], [4, 2, 1, 5]])
NETWORKS = {
    "MLP": (lambda n: functools.partial(models.MLP, 24, (5, 4), n), SERIES, 4),
    "LeNet": (
        lambda n: functools.partial(models.LeNet, (16, 16, 3), n, maps=(2, 3), hidden=6),
        IMAGES,
        6,
    ),
    "ResNet": (lambda n: functools.partial(models.ResNet, 3, n, 8, width=2), IMAGES, 8),
    "ViT": (
        lambda n: functools.partial(
            models.ViT, (16, 16, 3), n, patch=8, layers=1, num_heads=2, features=4
        ),
        IMAGES,
        4,
    ),
    "ConvNeXt": (
        lambda n: functools.partial(models.ConvNeXt, 3, n, depths=(1,), widths=(4,)),
        IMAGES,
        4,
    ),
    "SpeedNet": (lambda n: functools.partial(models.SpeedNet, 3, n, widths=(2, 3, 4)), IMAGES, 4),
    "CellNet": (lambda n: functools.partial(models.CellNet, 2, 1, n), IMAGES, 8),
    "CNN1D": (lambda n: functools.partial(models.CNN1D, (8, 3), n, maps=(2, 2, 2)), SERIES, 2),
    "TextCNN": (lambda n: functools.partial(models.TextCNN, 6, n, features=3, maps=2), IDS, 6),
    "SequenceClassifier": (
        lambda n: functools.partial(models.SequenceClassifier, (8, 3), 5, n),
        SERIES,
        5,
    ),
    "TextEncoder": (
        lambda n: functools.partial(models.TextEncoder, 6, 4, n, layers=1, num_heads=2, features=4),
        IDS,
        4,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_without_outputs_a_network_returns_what_its_last_layer_reads(name):
    make, x, width = NETWORKS[name]
    whole, trunk = jnn.as_model(make(3)), jnn.as_model(make(None))
    numbers = np.random.default_rng(0)
    shapes = jax.eval_shape(whole.init, jax.random.key(0), x)
    params, state = jax.tree.map(
        lambda a: jnp.asarray(numbers.uniform(0.1, 0.5, a.shape), a.dtype), shapes
    )
    last = params["output"]
    rest = {key: value for key, value in params.items() if key != "output"}
    shapes_of = lambda tree: jax.tree.map(jnp.shape, tree)  # noqa: E731
    assert shapes_of(rest) == shapes_of(jax.eval_shape(trunk.init, jax.random.key(0), x)[0])

    @jax.jit
    def both(x):
        return whole.apply(params, state, x)[0], trunk.apply(rest, state, x)[0]

    logits, features = both(x)
    assert features.shape == (2, width)
    expected = features @ last["kernel"] / (9 if name == "SpeedNet" else 1) + last.get("bias", 0)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_mini_xception_without_outputs_returns_the_mean_of_what_its_last_convolution_reads():
    small = functools.partial(models.MiniXception, 3, stem=(2,), widths=(3,))
    whole, trunk = (jnn.as_model(functools.partial(small, outputs=n)) for n in (2, None))
    numbers = np.random.default_rng(0)
    shapes = jax.eval_shape(whole.init, jax.random.key(0), IMAGES)
    params, state = jax.tree.map(
        lambda a: jnp.asarray(numbers.uniform(0.1, 0.5, a.shape), a.dtype), shapes
    )
    middle = jnp.zeros((3, 3, 3, 2)).at[1, 1, :, 0].set(jnp.array([1.0, 2.0, 4.0]))
    output = {"kernel": middle, "bias": jnp.ones(2)}
    rest = {key: value for key, value in params.items() if key != "output"}

    @jax.jit
    def both(x):
        logits, _ = whole.apply({**rest, "output": output}, state, x)
        return logits, trunk.apply(rest, state, x)[0]

    logits, features = both(IMAGES)
    assert features.shape == (2, 3)
    expected = features @ jnp.array([1.0, 2.0, 4.0]) + 1
    np.testing.assert_allclose(logits[:, 0], expected, rtol=1e-5, atol=1e-6)
