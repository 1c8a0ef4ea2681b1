"""Initial values have the distributions that their docstrings state.

Every statistical bound is set for a false alarm in one of a million runs if the seed were
redrawn; the seeds are fixed.
"""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnn import initializers

FALSE_ALARM = 1e-6
SHAPE = (3, 3, 16, 32)  # a window of 9, fan in 144, fan out 288


def draw(init, shape=SHAPE, seed=0):
    return np.asarray(init(jax.random.key(seed), shape, jnp.float32), np.float64)


def variance_interval(variance: float, n: int, kurtosis: float):
    """Bound the sample variance of n values by its normal limit."""
    spread = variance * math.sqrt((kurtosis - 1) / n)
    width = stats.norm.ppf(1 - FALSE_ALARM / 2) * spread
    return variance - width, variance + width


@pytest.mark.parametrize(
    ("make", "variance", "kurtosis"),
    [
        (
            initializers.lecun_normal,
            1 / 144,
            3.0,
        ),  # a truncated normal has less kurtosis, so the bound is safe
        (initializers.he_normal, 2 / 144, 3.0),
        (initializers.glorot_normal, 2 / (144 + 288), 3.0),
        (initializers.lecun_uniform, 1 / 144, 1.8),
        (initializers.he_uniform, 2 / 144, 1.8),
        (initializers.glorot_uniform, 2 / (144 + 288), 1.8),
    ],
)
def test_the_variance_follows_the_fans_of_a_convolution_kernel(make, variance, kurtosis):
    values = draw(make())
    low, high = variance_interval(variance, values.size, kurtosis)
    assert low < values.var() < high


def test_a_grouped_kernel_counts_the_inputs_of_one_group():
    values = draw(initializers.he_normal(), (3, 3, 16 // 4, 256))
    low, high = variance_interval(2 / (9 * 4), values.size, 3.0)
    assert low < values.var() < high


def test_uniform_kernels_stay_inside_the_bound_and_fill_it():
    values = draw(initializers.glorot_uniform(), (64, 64))
    bound = math.sqrt(6 / 128)
    assert np.abs(values).max() <= bound
    assert stats.kstest(values.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > FALSE_ALARM


def test_normal_kernels_are_normal():
    values = draw(initializers.normal(0.5), (64, 64))
    assert stats.kstest(values.ravel(), stats.norm(0, 0.5).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("shape", [(12, 12), (20, 8), (8, 20)])
def test_orthogonal_kernels_keep_lengths(shape):
    kernel = draw(initializers.orthogonal(), shape)
    gram = kernel.T @ kernel if shape[0] >= shape[1] else kernel @ kernel.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


def test_per_gate_orthogonal_gives_an_orthogonal_kernel_for_every_gate():
    kernel = draw(initializers.per_gate(initializers.orthogonal(), 4), (6, 24))
    gates = np.split(kernel, 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(6), atol=1e-5)
    assert not np.allclose(gates[0], gates[1])


def test_delta_orthogonal_is_one_orthogonal_tap():
    kernel = draw(initializers.delta_orthogonal(), (3, 3, 4, 4))
    np.testing.assert_allclose(kernel[1, 1].T @ kernel[1, 1], np.eye(4), atol=1e-5)
    assert np.count_nonzero(kernel) == np.count_nonzero(kernel[1, 1])


def test_an_identity_convolution_passes_its_input_on():
    x = jax.random.normal(jax.random.key(0), (1, 5, 6, 2))
    kernel = initializers.identity()(jax.random.key(1), (3, 2, 2, 2))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(y, x, rtol=1e-6)


def test_sparse_kernels_have_the_stated_zeros_in_every_column_and_a_normal_rest():
    values = draw(initializers.sparse(0.3, stddev=2.0), (50, 200))
    np.testing.assert_array_equal((values == 0).sum(axis=0), 15)
    rest = values[values != 0]
    assert stats.kstest(rest, stats.norm(0, 2).cdf).pvalue > FALSE_ALARM
    zeros_a_row = (values == 0).sum(axis=1)
    assert stats.binomtest(int(zeros_a_row.max()), 200, 0.3).pvalue > FALSE_ALARM / 50


def test_forget_bias_opens_the_forget_gate_alone():
    np.testing.assert_array_equal(
        draw(initializers.forget_bias(2.0), (8,)), [0, 0, 2, 2, 0, 0, 0, 0]
    )


@pytest.mark.parametrize(
    "init",
    [
        initializers.identity(),
        initializers.sparse(0.5),
        initializers.per_gate(initializers.identity(), 2),
    ],
    ids=["identity", "sparse", "per_gate"],
)
def test_the_dtype_is_the_one_asked_for_and_a_key_fixes_the_bits(init):
    first, again = (init(jax.random.key(3), (4, 4), jnp.bfloat16) for _ in range(2))
    assert first.dtype == jnp.bfloat16
    np.testing.assert_array_equal(first, again)


def test_a_deviation_with_a_type_of_its_own_leaves_the_dtype_alone():
    assert (
        initializers.sparse(0.5, np.float64(0.3))(jax.random.key(0), (4, 3), jnp.bfloat16).dtype
        == jnp.bfloat16
    )


def test_wrong_settings_are_refused_in_a_sentence():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="sparsity must be between 0 and 1"):
        inspect.unwrap(initializers.sparse)(1.5)
    with pytest.raises(ValueError, match="in, out"):
        initializers.identity()(key, (3,))
    with pytest.raises(ValueError, match="divisor of the 5 columns"):
        initializers.per_gate(initializers.zeros, 2)(key, (2, 5))
    with pytest.raises(ValueError, match="multiple of 4"):
        initializers.forget_bias()(key, (6,))
