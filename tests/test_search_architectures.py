"""Supernets whose architectures inherit weights, differentiable search, and the report of methods."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

import jnn
from jnn import search
from jnn.search._darts import _half

RATES = {"weights": 0.1, "logits": 0.5}


def mixture():
    """A network x -> w * (p_0 x + p_1 x^2 + p_2 0), p = softmax of the logits."""

    def init(key, x):
        del key, x
        return {"w": jnp.full(1, 0.5), "mixture_power": jnp.zeros(3)}

    def apply(params, x):
        share = jax.nn.softmax(params["mixture_power"])
        return params["w"] * (share[0] * x + share[1] * x**2)

    return init, apply


def mixture_study(**options):
    return jnn.Study(
        model=mixture(),
        loss=jnn.losses.squared_error,
        optimizer=optax.sgd(RATES["weights"]),
        trainer=search.darts(optax.sgd(RATES["logits"])),
        metrics={"mse": jnn.metrics.mse},
        batch_size=8,
        **options,
    )


def rows_of_power(power, rows=8, factor=1):
    x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    return jnn.Dataset.from_arrays(x, factor * x**power)


def by_hand(x, y, steps):
    """Descend in float64: the logits on one half of the rows, then the weight on the other."""
    x, y = np.float64(x[:, 0]), np.float64(y[:, 0])
    in_logits = np.asarray(_half(jnp.arange(len(x))))
    w, logits = 0.5, np.zeros(3)
    features = np.stack([x, x**2, 0 * x])
    for _ in range(steps):
        share = np.exp(logits) / np.exp(logits).sum()
        error = (w * share @ features - y)[in_logits]
        by_share = (2 * error * w * features[:, in_logits]).mean(axis=1)
        new_logits = logits - RATES["logits"] * share * (by_share - share @ by_share)
        share = np.exp(new_logits) / np.exp(new_logits).sum()
        mixed = share @ features[:, ~in_logits]
        error = w * mixed - y[~in_logits]
        w = w - RATES["weights"] * (2 * error * mixed).mean()
        logits = new_logits
    return w, logits


def test_a_differentiable_search_is_two_descents_on_two_halves_of_the_rows():
    data = rows_of_power(2)
    result = jnn.run(mixture_study(epochs=5), data, jnn.seeds(1))
    w, logits = by_hand(np.asarray(data.x), np.asarray(data.y), steps=5)
    params = result.trained.params
    np.testing.assert_allclose(params["w"][0], [w], rtol=1e-5)
    np.testing.assert_allclose(params["mixture_power"][0], logits, rtol=1e-4)


@pytest.mark.parametrize("power", [1, 2])
def test_the_operation_that_fits_the_data_becomes_the_strongest(power):
    result = jnn.run(mixture_study(epochs=50), rows_of_power(power, rows=32, factor=3), jnn.seeds(2))
    assert search.strongest(result) == [{"power": power - 1}] * 2


def test_the_halves_are_even_and_independent_of_the_order_of_the_rows():
    half = np.asarray(_half(jnp.arange(20_000)))
    assert scipy.stats.binomtest(int(half.sum()), len(half)).pvalue > 0.01
    for stride in (2, 3, 5, 8, 10, 16):  # rows may be sorted, or alternate between classes
        part = half[::stride]
        assert scipy.stats.binomtest(int(part.sum()), len(part)).pvalue > 0.001


def test_a_network_without_mixtures_is_refused_before_training():
    study = jnn.Study(
        model=functools.partial(jnn.models.MLP, 1, (2,), 1),
        loss=jnn.losses.squared_error,
        optimizer=optax.sgd(0.1),
        trainer=search.darts(),
        batch_size=8,
    )
    with pytest.raises(ValueError, match="names begin with 'mixture_'"):
        jnn.run(study, rows_of_power(1), jnn.seeds(1))


def test_the_relative_improvement_is_a_t_interval_over_pairs():
    method, random = np.array([0.92, 0.94, 0.95]), np.array([0.90, 0.93, 0.96])
    gains = 100 * (method / random - 1)
    interval = search.relative_improvement(method, random)
    expected = scipy.stats.t.interval(0.95, 2, gains.mean(), scipy.stats.sem(gains))
    np.testing.assert_allclose([interval.low, interval.high], expected)
    with pytest.raises(ValueError, match="one score for each repeat"):
        search.relative_improvement(method, random[:2])


def test_listed_settings_are_named_in_their_order_and_checked():
    space = search.space(width=[4, 8])
    strategy = search.listed([{"width": 8}, {"width": 4}], batch=8)(space, 0)
    assert strategy.ask(1) == [{"width": 8}]
    assert strategy.ask(5) == [{"width": 4}]
    assert strategy.ask(5) == []
    with pytest.raises(ValueError, match="width must be one of"):
        search.listed([{"width": 5}])(space, 0)
