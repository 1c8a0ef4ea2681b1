"""Norms equal Flax with equal weights, leave padded rows out and survive hard numbers."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jnn import layers


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_close(got, wanted, tolerance=1e-5):
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


SCALE, BIAS = normal(8, 4), normal(9, 4)


@pytest.mark.parametrize(
    ("ours", "module"),
    [
        (layers.layer_norm, nnx.LayerNorm(4, rngs=nnx.Rngs(0))),
        (lambda x, scale, bias: layers.rms_norm(x, scale), nnx.RMSNorm(4, rngs=nnx.Rngs(0))),
        (
            lambda x, *affine: layers.group_norm(x, 2, *affine),
            nnx.GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0)),
        ),
        (layers.instance_norm, nnx.InstanceNorm(4, rngs=nnx.Rngs(0))),
    ],
    ids=["layer", "rms", "group", "instance"],
)
def test_a_norm_is_flax_own(ours, module):
    module.scale[...] = SCALE
    if hasattr(module, "bias"):
        module.bias[...] = BIAS
    x = 3 * normal(0, 2, 5, 3, 4) + 1
    assert_close(ours(x, SCALE, BIAS), module(x))


def test_batch_norm_is_flax_own_in_training_and_at_inference():
    module = nnx.BatchNorm(4, momentum=0.0, epsilon=1e-5, rngs=nnx.Rngs(0))
    module.scale[...], module.bias[...] = SCALE, BIAS
    x = 3 * normal(0, 6, 5, 4) + 1
    y, (mean, var) = layers.batch_norm_train(x, SCALE, BIAS)
    assert_close(y, module(x, use_running_average=False))
    assert_close(mean, module.mean[...])
    assert_close(var, module.var[...])
    assert_close(layers.batch_norm(x, mean, var, SCALE, BIAS), module(x, use_running_average=True))


@pytest.mark.parametrize("size", [100.0, 1e30, np.inf, np.nan])
def test_rows_that_weigh_nothing_change_neither_statistics_nor_gradients(size):
    x, padding = normal(0, 5, 3, 4), size * normal(1, 2, 3, 4)
    weights = jnp.array([1.0] * 5 + [0.0] * 2)

    def loss(rows, weights=None):
        y, statistics = layers.batch_norm_train(rows, SCALE, BIAS, weights=weights)
        return jnp.sin(y[:5]).sum(), statistics

    gradient_and_statistics = jax.jit(jax.grad(loss, has_aux=True))
    gradient, statistics = gradient_and_statistics(jnp.concatenate([x, padding]), weights)
    wanted_gradient, wanted_statistics = gradient_and_statistics(x)
    jax.tree.map(assert_close, statistics, wanted_statistics)
    assert_close(gradient[:5], wanted_gradient, 1e-4)
    assert_close(gradient[5:], np.zeros((2, 3, 4)))


def test_whole_weights_keep_their_digits_in_float64():
    with jax.enable_x64(True):
        _, (mean, _) = layers.batch_norm_train(
            jnp.array([[0.0], [1.0]]), weights=jnp.array([2**24 + 1, 1])
        )
    np.testing.assert_allclose(mean, 1 / (2**24 + 2), rtol=1e-12)


def test_a_row_of_weight_two_counts_as_two_rows():
    x = normal(0, 3, 4)
    doubled = layers.batch_norm_train(x[jnp.array([0, 1, 1, 2])])[1]
    jax.tree.map(
        assert_close, layers.batch_norm_train(x, weights=jnp.array([1.0, 2.0, 1.0]))[1], doubled
    )


def test_positions_that_weigh_nothing_leave_the_statistics_of_the_others():
    x, weights = normal(0, 3, 5, 4), jnp.arange(5) < jnp.array([[5], [2], [0]])
    alone = layers.batch_norm_train(x[np.asarray(weights)])[1]
    jax.tree.map(assert_close, layers.batch_norm_train(x, weights=weights)[1], alone)
    with pytest.raises(ValueError, match="leading axes of x"):
        inspect.unwrap(layers.batch_norm_train)(x, weights=jnp.ones(5))


def test_weights_that_are_all_zero_give_finite_numbers():
    def total(x):
        y, (mean, var) = layers.batch_norm_train(x, weights=jnp.zeros(3))
        return (y + mean + var).sum()

    value, gradient = jax.jit(jax.value_and_grad(total))(normal(0, 3, 4))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


ROW_NORMS = {
    "layer": layers.layer_norm,
    "rms": layers.rms_norm,
    "group": lambda x: layers.group_norm(x, 2),
    "batch": lambda x: layers.batch_norm_train(x)[0],
}


@pytest.mark.parametrize("norm", ROW_NORMS.values(), ids=ROW_NORMS)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30, -1e30])
def test_constant_and_extreme_rows_stay_finite(norm, value):
    x = jnp.full((3, 4), value).at[0, 0].multiply(2)
    y, pullback = jax.vjp(jax.jit(norm), x)
    assert np.isfinite(y).all()
    assert np.isfinite(pullback(jnp.arange(12.0).reshape(3, 4))[0]).all()


@pytest.mark.parametrize("name", ["layer", "group", "batch"])
def test_a_large_mean_costs_no_digits(name):
    x = normal(0, 8, 4)
    assert_close(ROW_NORMS[name](x + 4096.0), ROW_NORMS[name](x), 3e-3)


def test_half_precision_is_summed_in_single():
    x = (normal(0, 2, 4096) + 8).astype(jnp.bfloat16)
    wanted = layers.layer_norm(x.astype(jnp.float32))
    got = layers.layer_norm(x)
    assert got.dtype == jnp.bfloat16
    assert_close(got.astype(jnp.float32), wanted, 8e-3)
    assert layers.batch_norm_train(x)[1][0].dtype == jnp.float32


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="divisor of the 4 channels of x, got 3"):
        inspect.unwrap(layers.group_norm)(jnp.ones((2, 4)), 3)


def _by_definition(x, scale, bias, eps, weights, axes):
    """The formula that the docstrings give, left to JAX to differentiate."""
    shares = (
        jnp.ones(x.shape) if weights is None else jnp.broadcast_to(weights[:, None, None], x.shape)
    )
    shares /= shares.sum(axis=axes, keepdims=True)
    mean = (shares * x).sum(axis=axes, keepdims=True)
    var = (shares * (x - mean) ** 2).sum(axis=axes, keepdims=True)
    return (x - mean) / jnp.sqrt(var + eps) * scale + bias


@pytest.mark.parametrize("name", ["layer", "batch", "weighted batch"])
def test_derivatives_by_every_argument_are_those_of_the_definition(name):
    x, scale, bias, w = (
        jax.random.normal(jax.random.key(i), s)
        for i, s in enumerate([(4, 3, 2), (2,), (2,), (4, 3, 2)])
    )
    arguments = [x, scale, bias, jnp.float32(0.1)] + [jnp.array([0.5, 2.0, 0.0, 1.0])] * (
        name == "weighted batch"
    )

    def ours(x, scale, bias, eps, weights=None):
        if name == "layer":
            return layers.layer_norm(x, scale, bias, eps=eps)
        return layers.batch_norm_train(x, scale, bias, eps=eps, weights=weights)[0]

    def truth(x, scale, bias, eps, weights=None):
        return _by_definition(x, scale, bias, eps, weights, (-1,) if name == "layer" else (0, 1))

    def slopes(function):
        loss = lambda *a: (w * jnp.sin(function(*a))).sum()  # noqa: E731
        every = tuple(range(len(arguments)))
        return jax.grad(loss, every)(*arguments), jax.hessian(loss, every)(
            *arguments
        )  # backward; forward over backward

    for got, wanted in zip(
        jax.tree.leaves(slopes(ours)), jax.tree.leaves(slopes(truth)), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-4)


EVERY_NORM = {
    "batch": lambda x, **affine: inspect.unwrap(layers.batch_norm)(
        x, jnp.zeros(4), jnp.ones(4), **affine
    ),
    "batch training": lambda x, **affine: inspect.unwrap(layers.batch_norm_train)(x, **affine)[0],
    "layer": inspect.unwrap(layers.layer_norm),
    "rms": inspect.unwrap(layers.rms_norm),
    "group": lambda x, **affine: inspect.unwrap(layers.group_norm)(x, 2, **affine),
    "instance": inspect.unwrap(layers.instance_norm),
}


@pytest.mark.parametrize("norm", EVERY_NORM.values(), ids=EVERY_NORM)
def test_whole_numbers_are_normalised_in_single_precision(norm):
    x = jnp.array([[0, 1, 5, 9], [3, 2, 7, 7]])
    y = norm(x)
    assert y.dtype == jnp.float32
    assert_close(y, norm(x.astype(jnp.float32)))


@pytest.mark.parametrize(
    "name", sorted(EVERY_NORM.keys() - {"instance"})
)  # which is that of groups
def test_a_scale_that_is_not_one_number_for_each_channel_is_refused(name):
    for shape in [(), (1,), (3, 4)]:
        with pytest.raises(
            ValueError, match=r"must have the shape \(4,\), one number for each channel"
        ):
            EVERY_NORM[name](jnp.ones((3, 4)), scale=jnp.ones(shape))


def test_statistics_of_another_shape_and_rows_without_a_batch_are_refused():
    with pytest.raises(ValueError, match=r"mean and var must .* got mean \(3, 1\), var \(1, 4\)"):
        inspect.unwrap(layers.batch_norm)(jnp.ones((3, 4)), jnp.zeros((3, 1)), jnp.ones((1, 4)))
    with pytest.raises(ValueError, match="rank 2 or more"):
        inspect.unwrap(layers.group_norm)(jnp.ones(4), 2)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_argument_alone_may_be_float64(part):
    with jax.enable_x64(True):
        arguments = [jnp.ones((2, 3)).astype(jnp.float32), *jnp.ones((2, 3), jnp.float32)]
        arguments[part] = arguments[part].astype(jnp.float64)
        for i, argument in enumerate(arguments):
            slope = jax.grad(lambda *a: (layers.layer_norm(*a) ** 2).sum(), i)(*arguments)
            assert slope.dtype == argument.dtype


@pytest.mark.parametrize("name", sorted(EVERY_NORM.keys() - {"instance"}))
def test_parameters_may_be_lists(name):
    x = normal(0, 3, 4)
    np.testing.assert_array_equal(
        EVERY_NORM[name](x, scale=[1.0, 2.0, 3.0, 4.0]),
        EVERY_NORM[name](x, scale=jnp.arange(1.0, 5.0)),
    )
