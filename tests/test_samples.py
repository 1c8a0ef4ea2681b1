"""Predictions with dropout switched on, against their closed forms."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn.engine import make_sample
from tests.networks import Linen, Nnx
from tests.studies import IDENTITY, IRIS, study

RANDOM = np.random.default_rng(9)
X = RANDOM.normal(size=(10, 6)).astype(np.float32)
DATA = jnn.Dataset.from_arrays(X, RANDOM.normal(size=(10, 1)).astype(np.float32))
RATE = 0.4


class Dropped(nnx.Module):
    """A linear map of inputs some of which are dropped."""

    def __init__(self, rate, *, rngs):
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.linear = nnx.Linear(6, 1, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.drop(x))


@functools.cache
def trained(rate=RATE):
    made = jnn.Study(
        functools.partial(Dropped, rate),
        jnn.losses.squared_error,
        optax.sgd(0.01),
        epochs=1,
        batch_size=10,
    )
    return jnn.run(made, DATA, jnn.seeds(2))


def test_samples_have_the_mean_and_the_variance_of_dropout():
    count = 4000
    sampled = trained().predict(X, samples=count, batch=4)
    assert sampled.members.shape == (2, count, 10, 1) and sampled.mean.shape == (10, 1)
    plain = trained().predict(X).members
    params = trained().trained.params["linear"]["kernel"]
    for member in range(2):
        terms = X * np.asarray(params[member])[:, 0]
        variance = RATE / (1 - RATE) * np.sum(terms**2, axis=1)
        values = sampled.members[member][..., 0]
        error = np.abs(values.mean(axis=0) - plain[member][:, 0])
        assert (error < 5 * np.sqrt(variance / count)).all()  # 6e-7 each by chance
        np.testing.assert_allclose(values.var(axis=0), variance, rtol=0.15)
    np.testing.assert_allclose(sampled.mean, sampled.members.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(sampled.std, sampled.members.std(axis=(0, 1)), rtol=1e-4)


def test_samples_are_reproduced_by_their_seed_for_each_member_alone():
    result = trained()
    both = result.predict(X, samples=3).members
    np.testing.assert_array_equal(result.predict(X, samples=3, seed=0).members, both)
    alone = result.member(1).predict(X, samples=3).members
    np.testing.assert_allclose(alone[0], both[1], rtol=1e-5, atol=1e-6)
    masks = [set(np.round(result.member(m).predict(X, samples=3).std.ravel(), 6)) for m in (0, 1)]
    assert not masks[0] & masks[1]
    assert not np.allclose(result.predict(X, samples=3, seed=1).members, both)
    in_parts = result.predict(np.r_[X[:2], X[:2]], samples=3, batch=2).members
    assert not np.allclose(in_parts[:, :, :2], in_parts[:, :, 2:])  # each batch has its own draws


@pytest.mark.parametrize("network", [Linen(), functools.partial(Nnx, 4)])
def test_samples_normalize_by_the_running_averages(network):
    made = study(model=network, inputs=IDENTITY)
    params, state = made.model.init(jax.random.key(0), IRIS.x[:2])
    state = jax.tree.map(lambda values: values + 0.5, state)  # other averages than the batch's
    member = jnn.Trained(params, state, ((), ()), {"dropout_rate": jnp.float32(0)})
    sampled = make_sample(made)(member, IRIS.x[:20], None, jax.random.key(1))
    plain = jnn.make_predict(made)(member, IRIS.x[:20])
    np.testing.assert_allclose(sampled, plain, rtol=1e-5)


def test_batch_norm_that_is_told_by_its_call_is_fixed_too():
    class Told(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = nn.BatchNorm()(x, not train)
            return nn.Dropout(0.5, deterministic=not train)(x)

    model = jnn.as_model(Told())
    params, state = model.init(jax.random.key(0), X)
    with jnn.model.fixed_statistics():
        y, _ = model.apply(params, state, X, key=jax.random.key(1), train=True)
    scale = np.sqrt(1 + 1e-5)  # mean 0 and variance 1 from the start
    dropped = np.isclose(y, 0, atol=1e-7)
    np.testing.assert_allclose(y, np.where(dropped, 0, 2 * X / scale), rtol=1e-5)
    assert 10 < dropped.sum() < 50


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: trained(0.0).predict(X, samples=2), "draws none, so that all samples"),
        (lambda: trained().predict(X, samples=0), "samples must be"),
        (lambda: trained().predict(X, samples=1.5), "samples must be"),
    ],
)
def test_samples_that_cannot_be_are_refused(call, error):
    with pytest.raises((TypeError, ValueError), match=error):
        call()
