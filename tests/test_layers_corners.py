"""Layers in corners: masked NaN, integers, padding against -inf, rounded counts and sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import layers

KEY = jax.random.key(0)
rng = np.random.default_rng(0)


def test_keys_that_a_mask_hides_reach_neither_result_nor_gradient():
    q, k, v = rng.normal(size=(3, 2, 4, 2, 3)).astype(np.float32)
    mask = np.array([[True, True, False, True], [True, False, False, True]])[:, None, None]
    hidden = ~mask[:, 0, 0, :, None, None]

    @jax.jit
    def program(q, k, v):
        def total(q, k, v):
            y = layers.attention(q, k, v, mask=jnp.asarray(mask))
            return jnp.sum(y**2), y

        return jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True)(q, k, v)

    (_, y), gradients = program(q, np.where(hidden, np.nan, k), np.where(hidden, np.inf, v))
    scores = np.einsum("bthd,bshd->bhts", q, k) / np.sqrt(3)
    weights = np.where(mask, np.exp(scores), 0)
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(y, np.einsum("bhts,bshd->bthd", weights, v), rtol=1e-4, atol=1e-6)
    clean = program(q, np.where(hidden, 0, k), np.where(hidden, 0, v))[1]
    for gradient, expected in zip(gradients, clean, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)
    np.testing.assert_array_equal(gradients[1][0, 2], 0)


@pytest.mark.parametrize(("value", "kind"), [(1, "int32"), (200, "uint8"), (3, "int8")])
def test_dropout_of_whole_numbers_keeps_their_mean(value, kind, any_types):
    x = jnp.full(20000, value, kind)
    y = jax.jit(lambda x: layers.dropout(x, 0.3, key=KEY))(x)
    assert y.dtype == layers.dropout(x, 0.3).dtype == jnp.float32
    np.testing.assert_allclose(y.mean(), value, rtol=0.03)


def test_whole_numbers_are_multiplied_without_losing_digits(any_types):
    x = rng.integers(-(2**20), 2**20, (2, 5, 6, 3)).astype(np.int32)
    kernel = rng.integers(-50, 50, (3, 3, 3, 2)).astype(np.int32)
    y = jax.jit(lambda x, kernel: layers.conv(x, kernel, padding="VALID"))(x, kernel)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.int64), (3, 3), axis=(1, 2))
    np.testing.assert_array_equal(y, np.einsum("bpqcij,ijco->bpqo", windows, kernel))
    bytes_, ones = jnp.full((1, 4), 250, jnp.uint8), jnp.ones((4, 1), jnp.uint8)
    assert layers.dense(bytes_, ones).ravel() == 1000
    image = jnp.full((1, 4, 1), 250, jnp.uint8)
    assert layers.conv(image, ones[:, :, None], padding="VALID").ravel() == 1000
    integers = jnp.ones(2, jnp.int32)
    update = layers.lora(integers, jnp.eye(2, dtype=int), jnp.full((2, 1), 0.3), jnp.ones((1, 2)))
    np.testing.assert_allclose(update, [1.6, 1.6], rtol=1e-6)


def test_bytes_are_whitened_as_the_numbers_that_they_are():
    images = rng.integers(0, 256, (6, 5, 5, 1)).astype(np.uint8)
    kernel = jax.jit(jnn.models.whitening_kernel)(jnp.asarray(images))
    wide = np.lib.stride_tricks.sliding_window_view(images.astype(np.float64), (2, 2), axis=(1, 2))
    patches = wide.reshape(-1, 4)
    white = patches @ np.asarray(kernel, np.float64).reshape(4, 8)[:, :4]
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(4), atol=1e-3)


def test_padding_never_wins_a_maximum_not_even_against_minus_infinity():
    x = jnp.full((1, 2, 3, 1), -jnp.inf).at[0, 1, 2, 0].set(-5.0)
    slope = jax.jit(jax.grad(lambda x: layers.max_pool(x, 2, padding=((1, 1), (1, 0))).sum()))(x)
    # Four windows: by hand, the first value inside x wins where all are -inf.
    np.testing.assert_array_equal(slope[0, :, :, 0], [[1, 1, 0], [1, 0, 1]])


SPARSEMAX = jax.jit(layers.sparsemax)


@pytest.mark.parametrize("row", [(np.nan, 0.0, 1.0), (np.inf, 0.0, 1.0), (-np.inf,) * 3])
def test_sparsemax_hides_no_divergence(row):
    y = SPARSEMAX(jnp.array([row, (2.0, 1.5, -np.inf)]))
    assert np.isnan(y[0]).all()
    np.testing.assert_allclose(y[1], [0.75, 0.25, 0])
    assert np.isnan(jax.nn.softmax(jnp.array(row))).all()


@pytest.mark.parametrize(("share", "inputs"), [(0.07, 100), (0.14, 50), (0.29, 100), (0.07, 99)])
def test_a_sparse_kernel_has_its_share_of_zeros(share, inputs):
    kernel = jnn.initializers.sparse(share)(KEY, (inputs, 2))
    percent = round(100 * share)
    zeros = -(-percent * inputs // 100)  # in whole numbers, which do not round
    np.testing.assert_array_equal((kernel == 0).sum(0), zeros)


KEEP = jax.jit(jnn.generation.keep_top_p)


@pytest.mark.parametrize(
    ("shares", "p", "ids"),
    [
        ((0.3, 0.1, 0.1, 0.5), 0.8, 2),
        ((0.2, 0.2, 0.1, 0.5), 0.7, 3),
        ((0.4, 0.3, 0.2, 0.1), 0.9, 3),
        ((0.4, 0.3, 0.2, 0.1), 0.91, 4),
        ((0.05, 0.6, 0.25, 0.1), 0.6, 1),
        ((0.05, 0.6, 0.25, 0.1), 1.0, 4),
        ((0.05, 0.6, 0.25, 0.1), 0.0, 1),
    ],
)
def test_the_likely_ids_end_where_their_sum_meets_p(shares, p, ids):
    kept = KEEP(jnp.log(jnp.array(shares)), p)
    assert (kept > -jnp.inf).sum() == ids


FIT = jax.jit(jnn.preprocess.standardize_channels.fit)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_channels_are_standardized_at_every_offset_and_scale(scale):
    x = (scale * (1e4 + 0.1 * rng.normal(size=(8, 5, 4, 2)))).astype(np.float32)
    x[0] = np.nan
    weights = jnp.array([0.0, *[3e38] * 7])
    stats = FIT(jnp.asarray(x), weights)
    wide = x[1:].astype(np.float64)
    np.testing.assert_allclose(stats.shift, wide.mean((0, 1, 2)), rtol=2e-7)
    np.testing.assert_allclose(stats.scale, wide.std((0, 1, 2)), rtol=1e-5)
