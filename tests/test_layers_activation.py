"""The activations that jax lacks, against their definitions."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jnn import layers


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    x = np.asarray(jax.random.normal(jax.random.key(0), (5,)), np.float64)
    simplex = {"type": "eq", "fun": lambda p: p.sum() - 1}
    nearest = optimize.minimize(
        lambda p: ((p - x) ** 2).sum(),
        np.full(5, 0.2),
        bounds=[(0, 1)] * 5,
        constraints=simplex,
        tol=1e-12,
    )
    np.testing.assert_allclose(layers.sparsemax(jnp.asarray(x, jnp.float32)), nearest.x, atol=1e-5)


def test_the_gradient_of_sparsemax_is_that_of_a_projection_onto_its_support():
    x = jnp.array([1.0, 0.8, 0.1, -2.0])
    jacobian = jax.jit(jax.jacobian(layers.sparsemax))(x)
    support = np.array([1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(
        jacobian, np.diag(support) - np.outer(support, support) / 2, atol=1e-6
    )


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        ([1e30, 0.0, -1e30], [1.0, 0.0, 0.0]),
        ([1e30, 1e30, 0.0], [0.5, 0.5, 0.0]),
        ([-jnp.inf, 0.0, 0.0], [0.0, 0.5, 0.5]),
        ([3.0, 3.0, 3.0, 3.0], [0.25] * 4),
    ],
)
def test_sparsemax_takes_extreme_and_equal_scores(x, wanted):
    y, pullback = jax.vjp(jax.jit(layers.sparsemax), jnp.array(x))
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    assert np.isfinite(pullback(jnp.arange(1.0, len(x) + 1))[0]).all()


def test_maxout_takes_the_largest_of_each_group():
    x = np.asarray(jax.random.normal(jax.random.key(0), (4, 6)))
    np.testing.assert_array_equal(
        layers.maxout(jnp.asarray(x), 2), np.stack([x[:, :3].max(1), x[:, 3:].max(1)], 1)
    )
    with pytest.raises(ValueError, match="divisor of the 6 channels"):
        inspect.unwrap(layers.maxout)(x, 4)


@pytest.mark.parametrize("activation", [lambda x: layers.prelu(x, 0.25), layers.sparsemax])
def test_whole_numbers_keep_the_digits_of_the_result(activation):
    x = jnp.array([-3, 1, 2, 2])
    np.testing.assert_array_equal(activation(x), activation(x.astype(jnp.float32)))


def test_prelu_takes_infinities_and_refuses_a_slope_that_would_broadcast():
    x = jnp.array([jnp.inf, -2.0])
    value, slope = jax.value_and_grad(lambda slope: layers.prelu(x, slope).sum())(0.25)
    assert value == jnp.inf and slope == -2
    with pytest.raises(ValueError, match=r"shape \(4,\), .* got the shape \(4, 1\)"):
        inspect.unwrap(layers.prelu)(jnp.ones(4), jnp.ones((4, 1)))
