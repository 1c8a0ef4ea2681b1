"""Norms whose input is far from zero, against NumPy in float64; layers and modules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jnn import layers, modules

rng = np.random.default_rng(0)
SHAPE = (3, 4, 6)


def exact(x, axes, eps):
    x = np.asarray(x, np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def exact_in_groups(x):
    return exact(np.reshape(x, (3, 4, 2, 3)), (1, 3), 1e-6).reshape(SHAPE)


@pytest.fixture(scope="module")
def norms():
    @jax.jit
    def of(x):
        network, other = (modules.BatchNorm(6, rngs=nnx.Rngs(0)) for _ in range(2))
        return {
            "layer_norm": layers.layer_norm(x),
            "batch_norm_train": layers.batch_norm_train(x),
            "weighted": layers.batch_norm_train(x, weights=jnp.array([1e38, 0, 3e38])),
            "group_norm": layers.group_norm(x, 2),
            "instance_norm": layers.instance_norm(x),
            "BatchNorm": (network(x), (network.mean[...], network.var[...])),
            "masked": other(x, mask=jnp.array([True, False, True])[:, None, None])[::2],
            "LayerNorm": modules.LayerNorm(6, rngs=nnx.Rngs(0))(x),
            "GroupNorm": modules.GroupNorm(6, num_groups=2, rngs=nnx.Rngs(0))(x),
        }

    return of


@pytest.mark.parametrize(
    ("offset", "spread"), [(0, 1), (1e4, 0.01), (-1e7, 3), (3e9, 1e4), (12345.678, 0), (1e15, 0)]
)
def test_a_norm_is_exact_wherever_its_input_lies(norms, offset, spread):
    x = (offset + spread * rng.normal(size=SHAPE)).astype(np.float32)
    x[1] = x[1] if spread else x[0]
    y = norms(x)
    two = x[::2].astype(np.float64)
    truth = {
        "layer_norm": exact(x, -1, 1e-6),
        "batch_norm_train": exact(x, (0, 1), 1e-5),
        "weighted": None,
        "group_norm": exact_in_groups(x),
        "instance_norm": exact(x, 1, 1e-6),
        "BatchNorm": exact(x, (0, 1), 1e-5),
        "masked": exact(two, (0, 1), 1e-5),
        "LayerNorm": exact(x, -1, 1e-6),
        "GroupNorm": exact_in_groups(x),
    }
    (weighted, (mean, var)), (trained, running) = y.pop("weighted"), y.pop("BatchNorm")
    y["batch_norm_train"], moments = y["batch_norm_train"]
    for name, value in {**y, "BatchNorm": trained}.items():
        np.testing.assert_allclose(value, truth[name], atol=3e-6, err_msg=name)
    shares = np.repeat([0.25, 0, 0.75], 4)
    wide = x.reshape(12, 6).astype(np.float64)
    expected = np.average(wide, axis=0, weights=shares)
    expected_var = np.average((wide - expected) ** 2, axis=0, weights=shares)
    np.testing.assert_allclose(mean, expected, rtol=2e-7, atol=1e-6)
    np.testing.assert_allclose(var, expected_var, rtol=1e-5, atol=1e-12)
    there = (wide - expected) / np.sqrt(expected_var + 1e-5)
    np.testing.assert_allclose(weighted[::2], there.reshape(SHAPE)[::2], atol=3e-6)
    np.testing.assert_allclose(moments[0], wide.mean(0), rtol=2e-7, atol=1e-6)
    np.testing.assert_allclose(running[0], 0.01 * wide.mean(0), rtol=3e-5, atol=1e-7)
    np.testing.assert_allclose(running[1], 0.99 + 0.01 * wide.var(0), rtol=1e-5)


def test_a_norm_of_nothing_keeps_its_shapes():
    y, (mean, var) = layers.batch_norm_train(jnp.zeros((0, 3)))
    assert y.shape == (0, 3) and mean.shape == var.shape == (3,)
    assert layers.group_norm(jnp.zeros((2, 0, 4)), 2).shape == (2, 0, 4)


def test_batch_norm_ignores_what_weighs_nothing_even_nan_and_infinite():
    x = jnp.array([[1.0], [3.0], [jnp.nan], [jnp.inf]])
    weights = jnp.array([1.0, 1.0, 0.0, 0.0])

    def total(x):
        y, moments = layers.batch_norm_train(x, weights=weights)
        return jnp.sum(weights[:2, None] * y[:2] ** 3), moments

    gradient, (mean, var) = jax.grad(total, has_aux=True)(x)
    assert mean == 2 and var == 1 and np.isfinite(gradient).all()
    _, moments = layers.batch_norm_train(x[:2], weights=jnp.zeros(2))
    assert np.all(np.asarray(moments) == 0)
