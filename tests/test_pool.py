"""Pooling equals Flax's and the definition, with PyTorch's rules for ties and counts."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

from jnn.layers._pool import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
)

CASES = {
    "halves": ((2, 6, 4, 3), 2, {}),
    "overlap": ((2, 7, 6, 3), 3, {"strides": 2, "padding": "SAME"}),
    "unused border": ((2, 7, 5, 2), (3, 2), {"strides": (2, 2)}),
    "pairs": ((2, 5, 6, 2), 3, {"strides": 2, "padding": [(2, 0), (1, 1)]}),
    "series": ((2, 9, 3), 3, {"strides": 1}),
    "volume": ((1, 4, 4, 6, 2), 2, {"strides": (2, 1, 2)}),
    "many taps": ((2, 9, 8, 2), (7, 6), {"strides": 2, "padding": "SAME"}),
}
every_case = pytest.mark.parametrize("case", CASES)


def distinct(shape):
    """Return values of which no two are equal, so that each window has one winner."""
    return jnp.asarray(
        np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape) / 7 - 3,
        jnp.float32,
    )


def with_gradient(function):
    def loss(x):
        y = function(x)
        return (y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)).sum(), y

    return jax.jit(jax.grad(loss, has_aux=True))


def assert_close(got, wanted, tolerance=1e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), got, wanted
    )


@every_case
def test_max_pool_and_its_gradient_are_those_of_flax(case):
    shape, window, moves = CASES[case]
    windows = (window,) * (len(shape) - 2) if isinstance(window, int) else window
    strides = moves.get("strides", window)
    strides = (strides,) * len(windows) if isinstance(strides, int) else strides
    x = distinct(shape)
    wanted = with_gradient(
        lambda x: linen.max_pool(x, windows, strides, moves.get("padding", "VALID"))
    )(x)
    assert_close(with_gradient(functools.partial(max_pool, window=window, **moves))(x), wanted)


@pytest.mark.parametrize("count_padding", [False, True])
@every_case
def test_avg_pool_and_its_gradient_are_those_of_flax(case, count_padding):
    shape, window, moves = CASES[case]
    windows = (window,) * (len(shape) - 2) if isinstance(window, int) else window
    strides = moves.get("strides", window)
    strides = (strides,) * len(windows) if isinstance(strides, int) else strides
    x = distinct(shape)

    def flax_pool(x):
        return linen.avg_pool(
            x, windows, strides, moves.get("padding", "VALID"), count_include_pad=count_padding
        )

    function = functools.partial(avg_pool, window=window, count_padding=count_padding, **moves)
    assert_close(with_gradient(function)(x), with_gradient(flax_pool)(x))


def test_the_first_of_equal_values_gets_the_gradient():
    x = jnp.zeros((1, 4, 4, 1))
    gradient = jax.grad(lambda x: max_pool(x, 2).sum())(x)
    assert_close(gradient[0, :, :, 0], jnp.array([[1.0, 0, 1, 0], [0, 0, 0, 0]] * 2))


def test_second_derivatives_and_forward_mode_are_those_of_the_definition():
    x = distinct((1, 4, 4, 2))

    def by_definition(x):
        return lax.reduce_max(x.reshape(1, 2, 2, 2, 2, 2), axes=(2, 4))

    def curved(pool):
        return lambda x: (pool(jnp.sin(x)) ** 3).sum()

    pool = functools.partial(max_pool, window=2)
    assert_close(jax.hessian(curved(pool))(x), jax.hessian(curved(by_definition))(x))
    assert_close(jax.jvp(pool, (x,), (jnp.cos(x),)), jax.jvp(by_definition, (x,), (jnp.cos(x),)))


def test_padding_never_wins():
    y, gradient = jax.value_and_grad(lambda x: max_pool(x, 3, padding="SAME", strides=1).sum())(
        -jnp.ones((1, 2, 2, 1))
    )
    assert float(y) == -4.0 and float(gradient.sum()) == 4.0


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_vmap_and_scan_are_loops(pool):
    x = jnp.stack([distinct((2, 5, 4, 3)), -distinct((2, 5, 4, 3))])
    function = with_gradient(functools.partial(pool, window=2, strides=1))
    single = jax.tree.map(lambda *parts: jnp.stack(parts), *(function(one) for one in x))
    assert_close(jax.vmap(function)(x), single)
    assert_close(lax.scan(lambda carry, one: (carry, function(one)), 0, x)[1], single)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_bfloat16_stays_bfloat16(pool):
    x = jnp.full((1, 4, 4, 1), 0.1, jnp.bfloat16)
    y, pull = jax.vjp(functools.partial(pool, window=4), x)
    assert y.dtype == pull(y)[0].dtype == jnp.bfloat16
    assert float(y[0, 0, 0, 0]) == float(x[0, 0, 0, 0])


@every_case
def test_whole_numbers_are_pooled_as_they_are_and_averaged_in_single_precision(case):
    shape, window, moves = CASES[case]
    whole = (7 * distinct(shape)).astype(int) - 200
    largest, average = max_pool(whole, window, **moves), avg_pool(whole, window, **moves)
    assert largest.dtype == whole.dtype and average.dtype == jnp.float32
    np.testing.assert_array_equal(largest, max_pool(whole.astype(jnp.float32), window, **moves))
    np.testing.assert_array_equal(average, avg_pool(whole.astype(jnp.float32), window, **moves))


@pytest.mark.parametrize("window", [2, 40])  # by slices and by reduce_window
def test_the_largest_of_truth_values_is_whether_any_is_true(window):
    x = distinct((2, 80, 3)) > 1.5
    y = max_pool(x, window, strides=1)
    assert y.dtype == bool
    np.testing.assert_array_equal(y, max_pool(x.astype(int), window, strides=1) > 0)


def test_the_mean_of_a_bin_is_rounded_to_bfloat16_once():
    x = jnp.array([[100.0, 100, 100, 101], [100.5, 100.5, 100.5, 101]], jnp.bfloat16)[
        None, ..., None
    ]
    y = adaptive_avg_pool(x, 1)
    assert (
        y.dtype == jnp.bfloat16 and float(y.ravel()[0]) == 100.5
    )  # of 100.4375; by way of rounded means 100


def test_global_pools_reduce_all_of_space():
    x = distinct((2, 3, 4, 5))
    assert_close(global_max_pool(x), np.asarray(x).max((1, 2)))
    assert_close(global_avg_pool(x), np.asarray(x).mean((1, 2)))


@pytest.mark.parametrize(
    ("size", "bins"), [(1, [(0, 5)]), (2, [(0, 3), (2, 5)]), (3, [(0, 2), (1, 4), (3, 5)])]
)
def test_adaptive_pools_reduce_near_equal_bins(size, bins):
    x = distinct((2, 5, 3))
    wanted = np.stack([np.asarray(x)[:, first:last] for first, last in bins[:1]])[0].max(1)
    assert_close(adaptive_max_pool(x, size)[:, 0], wanted)
    for j, (first, last) in enumerate(bins):
        assert_close(adaptive_avg_pool(x, size)[:, j], np.asarray(x)[:, first:last].mean(1))
    assert adaptive_avg_pool(distinct((1, 6, 4, 2)), (3, 2)).shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("shape", "window", "moves", "says"),
    [
        ((4, 3), 2, {}, "rank 3 or more"),
        ((2, 6, 6, 3), (2, 2, 2), {}, "window must be a positive integer"),
        ((2, 6, 6, 3), 0, {}, "window must be a positive integer"),
        ((2, 6, 6, 3), 2, {"strides": 0}, "strides must be a positive integer"),
        ((2, 6, 6, 3), 7, {}, "window must fit into the padded input"),
        ((2, 6, 6, 3), 2, {"padding": [(2, 0), (0, 0)]}, "smaller than the window"),
        ((2, 6, 6, 3), 2, {"padding": [(-1, 0), (0, 0)]}, "padding must be 0 or more"),
        ((2, 6, 6, 3), 2, {"padding": [(0, 0), (1, -1)]}, "padding must be 0 or more"),
        ((2, 6, 6, 3), 2, {"padding": "FULL"}, "padding must be 'SAME'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(shape, window, moves, says):
    for pool in (max_pool, avg_pool):
        with pytest.raises(ValueError, match=says):
            inspect.unwrap(pool)(jnp.zeros(shape), window, **moves)
