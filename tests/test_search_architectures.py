"""Supernets and inherited weights, differentiable search, and the report of methods."""

import dataclasses
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
from jnn.search._inherit import (
    inherited_result,
    inheriting_members,
    inheriting_study,
    supernet_study,
)
from jnn.search._programs import _constant

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
    result = jnn.run(
        mixture_study(epochs=50), rows_of_power(power, rows=32, factor=3), jnn.seeds(2)
    )
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


SHAPES = search.space(width=[1, 2, 4], sign=[-1, 1])


def masked():
    """A network x -> sign * (the first `width` features of x) @ kernel."""

    def init(key, x):
        return {"kernel": jax.random.normal(key, (x.shape[1], 3))}

    def apply(params, x, hyper):
        mask = jnp.arange(x.shape[1]) < hyper["width"]
        return hyper["sign"] * (x * mask) @ params["kernel"]

    return init, apply


@functools.cache
def super_study():
    return jnn.Study(
        model=masked(),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(1e-2),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=4,
    )


@functools.cache
def iris():
    return jnn.data.load("iris")


def test_an_architecture_is_scored_with_the_weights_of_its_seed_and_fold():
    settings = SHAPES.at(np.random.default_rng(0).random((5, 2)))
    options = {name: SHAPES.distribution(name).options for name in SHAPES.dimensions}
    members = jnn.seeds(2) * jnn.folds(3)
    supernets = jnn.run(supernet_study(super_study(), options), iris(), members)
    columns = {name: [setting[name] for setting in settings] for name in options}
    draws = jnn.sample(5, **{name: _constant(values) for name, values in columns.items()})
    scoring = inheriting_study(super_study(), supernets.trained, folds=3, calibration=0)
    result = jnn.run(scoring, iris(), inheriting_members(members) * draws)
    scores = np.asarray(result.final()["accuracy"])
    x, y = np.asarray(iris().x), np.asarray(iris().y)
    folds = jnn.folds(3).split.rows(iris())
    for seed, fold, place in np.ndindex(2, 3, 5):
        kernel = supernets.trained.params["kernel"][3 * seed + fold]
        width, sign = settings[place]["width"], settings[place]["sign"]
        rows = folds[fold].test
        logits = sign * x[rows, :width] @ kernel[:width]
        expected = np.mean(logits.argmax(axis=1) == y[rows])
        np.testing.assert_allclose(scores[seed, fold, place], expected, atol=1e-6)


def centered():
    """A network x -> (x - mean) @ kernel, whose mean is that of the last batch times `width`."""

    def init(key, x):
        kernel = jax.random.normal(key, (x.shape[1], 3))
        return {"kernel": kernel}, {"mean": jnp.zeros(x.shape[1])}

    def apply(params, state, x, hyper, train):
        mean = hyper["width"] * x.mean(axis=0) if train else state["mean"]
        return (x - mean) @ params["kernel"], {"mean": mean}

    return init, apply


def test_statistics_become_those_of_the_architecture_before_it_is_scored():
    whole_fold = dataclasses.replace(super_study(), model=centered(), batch_size=75)
    members = jnn.seeds(1) * jnn.folds(2)
    supernets = jnn.run(supernet_study(whole_fold, {"width": [1, 2]}), iris(), members)
    widths = jnn.sample(2, width=_constant([1, 2]))
    scoring = inheriting_study(whole_fold, supernets.trained, folds=2, calibration=1)
    result = jnn.run(scoring, iris(), inheriting_members(members) * widths)
    result = inherited_result(result, whole_fold, supernets.trained, members * widths)
    x = np.asarray(iris().x)
    for fold, rows in enumerate(jnn.folds(2).split.rows(iris())):
        first, second = result.trained.model_state["mean"][2 * fold : 2 * fold + 2]
        np.testing.assert_allclose(second, 2 * first, rtol=1e-5)
        error = x[rows.train].std(axis=0) / np.sqrt(75)  # of a batch that is drawn from the fold
        assert (np.abs(first - x[rows.train].mean(axis=0)) < 4 * error).all()


def test_a_one_shot_search_trains_one_supernet_and_keeps_what_it_scores(tmp_path):
    calls = functools.partial(
        search.run,
        lambda c: super_study(),
        iris(),
        SHAPES,
        by=search.one_shot(epochs=6, batch=4),
        trials=6,
        folds=2,
        test_seeds=2,
        directory=tmp_path,
    )
    found = calls()
    steps_per_epoch = 2  # 60 of the 120 rows of the search train a fold, in batches of 32
    assert [trial.steps for trial in found.trials] == [2 * 6 * steps_per_epoch // 4] * 4 + [0] * 2
    assert found.winner is not None and len(found.winner.members) == 2
    part = found.parts[0].load()
    kernels = part.trained.params["kernel"].reshape(2, 4, 4, 3)
    assert (kernels == kernels[:, :1]).all()  # of each fold one, which all architectures share
    (tmp_path / "result.json").unlink()
    again = calls()
    assert [trial.score.mean for trial in again.trials] == [t.score.mean for t in found.trials]
    assert sum(trial.steps for trial in again.trials) == 2 * 6 * steps_per_epoch


@pytest.mark.parametrize(
    "study_of, space, sentence",
    [
        (lambda c: super_study(), {"learning_rate": jnn.uniform(0, 1)}, "are ranges"),
        (lambda c: super_study() if c.width else None, {"width": [1, 2]}, "reads every choice"),
        (
            lambda c: dataclasses.replace(super_study(), averaging=jnn.averaging.ema(0.9)),
            {"width": [1, 2]},
            "no averaging",
        ),
    ],
)
def test_what_no_supernet_can_be_is_refused(study_of, space, sentence):
    with pytest.raises(ValueError, match=sentence):
        search.run(study_of, iris(), search.space(**space), by=search.one_shot(), trials=2, folds=2)
