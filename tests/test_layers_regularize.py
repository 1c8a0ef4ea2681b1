"""Dropout keeps the mean, the rate and the bits that it promises; penalties equal their sums.

Statistical bounds are set for a false alarm in one of a million runs if the seed were redrawn.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from jnn import layers
from jnn.layers._random import threefry_words

FALSE_ALARM = 1e-6


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9])
def test_dropout_drops_the_rate_and_keeps_the_mean(rate):
    n = 200_000
    y = np.asarray(layers.dropout(jnp.ones(n), rate, key=jax.random.key(1)))
    assert stats.binomtest(int((y == 0).sum()), n, rate).pvalue > FALSE_ALARM
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=2**-16 / (1 - rate))


def test_the_mean_is_exact_for_the_rounded_rate():
    rate = 0.3
    kept = round((1 - rate) * 2**16) / 2**16
    y = layers.dropout(jnp.ones(64), rate, key=jax.random.key(0))
    np.testing.assert_allclose(y.max() * kept, 1, rtol=1e-7)


def test_dropped_values_are_independent_of_their_neighbours():
    dropped = np.asarray(layers.dropout(jnp.ones((1000, 64)), 0.5, key=jax.random.key(2))) == 0
    for shift in (1, 2, 4, 32, 64):
        flat = dropped.ravel()
        same = int((flat[shift:] == flat[:-shift]).sum())
        assert stats.binomtest(same, flat.size - shift, 0.5).pvalue > FALSE_ALARM


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_rates_zero_and_one_are_exact_also_when_traced(rate):
    x = jax.random.normal(jax.random.key(0), (5, 3))

    @jax.jit
    def value_and_gradients(x, rate):
        total = lambda x, rate: (layers.dropout(x, rate, key=jax.random.key(1)) ** 2).sum()  # noqa: E731
        return layers.dropout(x, rate, key=jax.random.key(1)), jax.grad(total, argnums=(0, 1))(
            x, rate
        )

    y, (dx, drate) = value_and_gradients(x, jnp.array(rate))
    np.testing.assert_array_equal(y, x * (1 - rate))
    np.testing.assert_array_equal(dx, 2 * x * (1 - rate))
    assert drate == 0


def test_the_gradient_is_the_mask():
    x = jax.random.normal(jax.random.key(0), (8, 5))
    drop = lambda x: layers.dropout(x, 0.4, key=jax.random.key(3))  # noqa: E731
    np.testing.assert_allclose(
        jax.grad(lambda x: drop(x).sum())(x), drop(jnp.ones_like(x)), rtol=1e-6
    )


def test_without_a_key_nothing_is_dropped():
    x = jnp.arange(4.0)
    np.testing.assert_array_equal(layers.dropout(x, 0.9), x)


def test_broadcast_axes_share_one_mask():
    y = np.asarray(
        layers.dropout(jnp.ones((4, 5, 6, 3)), 0.5, key=jax.random.key(0), broadcast_axes=(1, -2))
    )
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert 0 < (y[:, 0, 0] == 0).sum() < 12


@pytest.mark.parametrize("shape", [(), (1,), (7,), (0, 3)])
def test_any_shape_will_do(shape):
    assert layers.dropout(jnp.ones(shape), 0.5, key=jax.random.key(0)).shape == shape


@pytest.mark.parametrize("count", [1, 7, 256])
def test_the_random_words_are_those_of_jax(count):
    key = jax.random.key_data(jax.random.key(3))
    wanted = threefry_2x32(key, jnp.arange(count + count % 2, dtype=jnp.uint32))[:count]
    np.testing.assert_array_equal(threefry_words(jax.random.wrap_key_data(key), count), wanted)


def test_old_style_keys_give_the_same_mask():
    new, old = jax.random.key(5), jax.random.PRNGKey(5)
    np.testing.assert_array_equal(
        *(layers.dropout(jnp.ones(50), 0.5, key=key) for key in (new, old))
    )


def test_wrong_rates_and_keys_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="between 0 and 1"):
        layers.dropout(jnp.ones(3), 1.5, key=jax.random.key(0))
    with pytest.raises(ValueError, match="between 0 and 1"):
        inspect.unwrap(layers.dropout)(jnp.ones(3), np.float32(1.5), key=jax.random.key(0))
    for axis in (7, -4):
        with pytest.raises(ValueError, match="among the 3 axes"):
            layers.dropout(jnp.ones((2, 3, 4)), 0.5, key=jax.random.key(0), broadcast_axes=(axis,))
    with pytest.raises(ValueError, match="threefry"):
        layers.dropout(jnp.ones(3), 0.5, key=jax.random.key(0, impl="rbg"))


def test_penalties_are_the_sums_over_floating_leaves():
    params = {
        "a": {"kernel": jnp.array([[1.0, -2.0]])},
        "b": jnp.array([3.0]),
        "steps": jnp.array([7]),
    }
    assert layers.l1(params) == 6
    assert layers.l2(params) == 14
    assert layers.elastic_net(params, 0.25) == 0.25 * 6 + 0.375 * 14
    assert layers.l1({}) == 0
    of_plain = {"a": [1.0, -2], "key": jax.random.key(0)}
    assert inspect.unwrap(layers.l2)(of_plain) == 1


def test_penalties_of_half_precision_are_summed_in_single():
    assert layers.l2({"kernel": jnp.ones(4097, jnp.bfloat16)}) == 4097


def test_weight_decay_is_half_the_square_penalty():
    params = {"kernel": jnp.array([1.0, -2.0])}
    gradient = jax.grad(lambda p: 0.1 / 2 * inspect.unwrap(layers.l2)(p))(params)
    np.testing.assert_allclose(gradient["kernel"], 0.1 * params["kernel"], rtol=1e-6)
