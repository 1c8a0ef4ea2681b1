"""jnn.preprocess against scikit-learn's scalers on the rows that count."""

import doctest
import inspect
import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import jnn.preprocess
from jnn.preprocess import Preprocess, identity, min_max, standardize, standardize_channels

SCALERS = [(standardize, StandardScaler), (min_max, MinMaxScaler)]
ALL = [standardize, standardize_channels, min_max, identity]


@cache
def compiled(preprocess):
    return jax.jit(preprocess.fit)


def fit(preprocess, values, weights):
    """The stats by a compiled program that tests of equal shapes share."""
    return compiled(preprocess)(jnp.asarray(values), jnp.asarray(weights))


def table(seed: int = 0, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different size, one of them constant, and a 0/1 weight for each row."""
    rng = np.random.default_rng(seed)
    values = rng.normal([0, 1e4, -3, 0], [1, 1, 1e-3, 1e5], (rows, 4)).astype(np.float32)
    values[:, 2] = 0.1
    return values, (rng.random(rows) < 0.6).astype(np.float32)


@pytest.mark.parametrize(("preprocess", "scaler"), SCALERS)
def test_equals_scikit_learn_on_the_weighted_rows(preprocess, scaler):
    values, weights = table()
    expected = scaler().fit(values[weights > 0].astype(np.float64)).transform(values)
    ours = preprocess.forward(fit(preprocess, values, weights), values)
    # A float32 at 1e4 is 1e-3 wide.
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-3)


def test_fractional_weights_equal_sample_weight():
    values, _ = table()
    weights = np.random.default_rng(1).uniform(0.1, 2, len(values)).astype(np.float32)
    expected = StandardScaler().fit(values.astype(np.float64), sample_weight=weights)
    stats = fit(standardize, values, weights)
    np.testing.assert_allclose(stats.shift, expected.mean_, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(stats.scale, expected.scale_, rtol=1e-4)


@pytest.mark.parametrize("size", [1e-25, 1e30])
def test_standardize_equals_scikit_learn_where_squares_do_not_fit_float32(size):
    values = (size * np.random.default_rng(0).normal(size=(20, 1))).astype(np.float32)
    stats = fit(standardize, values, np.ones(20, np.float32))
    ours = standardize.forward(stats, values)
    exact = StandardScaler().fit_transform(values.astype(np.float64))
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(standardize.inverse(stats, ours), values, rtol=1e-5)


@pytest.mark.parametrize("mean", [1e4, 1e6])
def test_standardize_is_as_exact_as_float32_for_a_large_mean(mean):
    values = np.random.default_rng(0).normal(mean, 1, (20_000, 16)).astype(np.float32)
    stats = fit(standardize, values, np.ones(len(values), np.float32))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(stats.shift, exact.mean(0), atol=0.6 * np.spacing(np.float32(mean)))
    np.testing.assert_allclose(stats.scale, exact.std(0), rtol=1e-6)


@pytest.mark.parametrize("preprocess", [standardize, min_max])
def test_a_constant_feature_becomes_zero(preprocess):
    values, weights = table()
    stats = fit(preprocess, values, weights)
    assert stats.scale[2] == 1
    np.testing.assert_allclose(preprocess.forward(stats, values)[:, 2], 0, atol=1e-7)


@pytest.mark.parametrize("preprocess", [standardize, min_max, identity])
def test_rows_of_weight_zero_change_no_bit(preprocess):
    values, weights = table()
    poisoned = np.where(weights[:, None] > 0, values, np.nan)
    both = (fit(preprocess, v, weights) for v in (values, poisoned))
    jax.tree.map(np.testing.assert_array_equal, *both)


@pytest.mark.parametrize("preprocess", [standardize, min_max, identity])
def test_inverse_undoes_forward_on_images(preprocess):
    images = jnp.asarray(table(rows=32)[0].reshape(32, 2, 2, 1))
    stats = fit(preprocess, images, jnp.ones(32))
    back = preprocess.inverse(stats, preprocess.forward(stats, images))
    np.testing.assert_allclose(back, images, rtol=1e-5)


@pytest.mark.parametrize("preprocess", [standardize, min_max])
def test_vmap_over_members_equals_each_member_alone(preprocess):
    values = jnp.asarray(table()[0])
    weights = jnp.stack([table(seed)[1] for seed in range(3)])
    together = jax.jit(jax.vmap(preprocess.fit, in_axes=(None, 0)))(values, weights)
    for member in range(3):
        alone = fit(preprocess, values, weights[member])
        np.testing.assert_allclose(together.shift[member], alone.shift, rtol=1e-6)
        np.testing.assert_allclose(together.scale[member], alone.scale, rtol=1e-6)


def test_identity_leaves_token_ids_as_they_are():
    ids = jnp.arange(6).reshape(3, 2)
    assert identity.forward(identity.fit(ids, jnp.ones(3)), ids) is ids


@pytest.mark.parametrize("preprocess", [standardize, min_max])
def test_a_target_of_one_axis_is_transformed_too(preprocess):
    target = jnp.asarray([1.0, 2.0, 6.0])
    stats = fit(preprocess, target, jnp.ones(3))
    assert stats.shift.shape == ()
    back = preprocess.inverse(stats, preprocess.forward(stats, target))
    np.testing.assert_allclose(back, target, rtol=1e-6)


@pytest.mark.parametrize("preprocess", ALL, ids=str)
def test_a_pickled_preprocessing_is_the_same(preprocess):
    copy = pickle.loads(pickle.dumps(preprocess))
    assert copy == preprocess and copy.__doc__ == preprocess.__doc__


@pytest.mark.parametrize("preprocess", ALL, ids=str)
def test_a_preprocessing_shows_its_name_and_an_example_that_runs(preprocess):
    assert getattr(jnn.preprocess, preprocess.name) is preprocess
    assert repr(preprocess) == f"Preprocess({preprocess.name!r})"
    names = vars(jnn.preprocess)
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(preprocess), dict(names), preprocess.name, None, None
    )
    assert test.examples and doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_a_preprocessing_of_ones_own_needs_three_functions_only():
    halve = Preprocess(lambda values, weights: (), lambda _, v: v / 2, lambda _, v: 2 * v)
    assert halve.inverse((), halve.forward((), 3.0)) == 3 and halve.name == "preprocess"
