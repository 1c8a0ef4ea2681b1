"""Rows of weight 0 change nothing, whatever they hold; the sum of losses has one order."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 3)).astype(np.float32)
Y = RANDOM.normal(size=(20, 1)).astype(np.float32)
WEIGHTS = np.ones(20)
WEIGHTS[[2, 9, 17]] = 0  # two rows that train and one that is scored
LINEAR = (lambda key, x: {"kernel": jnp.ones((3, 1))}, lambda params, x: x @ params["kernel"])


def trained(x, y, loss):
    study = jnn.Study(
        LINEAR,
        loss,
        optax.sgd(0.1),
        {"mae": jnn.metrics.mae},
        epochs=1,
        batch_size=15,
        inputs=jnn.preprocess.standardize,
    )
    data = jnn.Data.from_arrays(x, y, weights=WEIGHTS, test=np.arange(15, 20))
    training = jax.jit(jnn.make_train(study))(jnn.Member(jax.random.key(0), 0, {}), data)
    return {**training.history, "kernel": training.state.trained.params["kernel"]}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_rows_of_weight_0_reaches_neither_loss_nor_gradient(bad):
    x, y = X.copy(), Y.copy()
    x[[2, 17]] = bad
    y[[9, 17]] = bad
    got = trained(x, y, jnn.losses.squared_error)
    used = np.flatnonzero(WEIGHTS)
    train = used[used < 15]
    scaled = (X - X[train].mean(0)) / X[train].std(0)  # by hand, in NumPy
    residual = scaled[train].sum(1) - Y[train, 0]
    kernel = 1 - 0.1 * 2 * (scaled[train] * residual[:, None]).mean(0)
    test = used[used >= 15]
    error = scaled[test] @ kernel - Y[test, 0]
    np.testing.assert_allclose(got["kernel"][:, 0], kernel, rtol=1e-5)
    np.testing.assert_allclose(got["train_loss"], [(residual**2).mean()], rtol=1e-5)
    np.testing.assert_allclose(got["loss"], [(error**2).mean()], rtol=1e-4)
    np.testing.assert_allclose(got["mae"], [np.abs(error).mean()], rtol=1e-4)


def test_an_infinite_loss_of_weight_0_is_not_in_the_mean():
    y = np.abs(Y) + 0.1
    y[[2, 17]] = 0  # whose logarithm is infinite
    got = trained(X, y, lambda outputs, y: jnp.abs(outputs - jnp.log(y)).mean(-1))
    assert all(np.isfinite(values).all() for values in got.values())


def test_the_mean_loss_is_summed_in_one_order_for_every_evaluation_batch():
    """The network returns its inputs, so that no batch can round its losses otherwise."""
    x = RANDOM.normal(size=(200, 1)).astype(np.float32)
    data = jnn.Data.from_arrays(x, x * 0, test=np.arange(3, 200))
    totals = set()
    for batch in (200, 7, 64):
        study = jnn.Study(
            (lambda key, x: {"shift": jnp.zeros(1)}, lambda params, x: x + params["shift"]),
            lambda outputs, y: outputs[:, 0],
            optax.sgd(0.0),
            evaluation_batch=batch,
        )
        state = jnn.make_start(study)(jnn.Member(jax.random.key(0), 0, {}), data)
        totals.add(float(jax.jit(jnn.make_evaluate(study))(state, data, data.test)["loss"]))
    assert len(totals) == 1
    np.testing.assert_allclose(totals.pop(), x[3:].astype(np.float64).mean(), atol=1e-6)
