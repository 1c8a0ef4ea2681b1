"""Metrics where float32 ends: tiny and huge numbers and weights, ties, certain predictions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import sklearn.metrics as sk

import jnn
from jnn import metrics

rng = np.random.default_rng(0)


OF_NUMBERS = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "mse": sk.mean_squared_error,
}
ROWS = 30


@jax.jit
def scores_at_once_and_in_parts(y, t, w):
    """Each metric of all rows, and of the sums of two parts, which a streaming metric adds."""
    result = {}
    for name in OF_NUMBERS:
        metric = getattr(metrics, name)
        first = metric.update(metric.init(), y[:10], t[:10], w[:10])
        if metric.streams:
            other = metric.update(metric.init(), y[10:], t[10:], w[10:])
            both = jax.tree.map(jnp.add, first, other)
        else:
            both = metric.update(first, y[10:], t[10:], w[10:])
        result[name] = metric(y, t, w), metric.value(both)
    return result


@pytest.mark.parametrize("weight", [1e-19, 1.0, 1.8e19])
def test_metrics_of_numbers_are_scikit_learns_at_every_scale_of_targets_and_weights(weight):
    for scale, outputs in itertools.product((1e-30, 1e-27, 1e-19, 1.0, 1e9, 1e25), ((), (2,))):
        t = (scale * (3 + rng.normal(size=(ROWS, *outputs)))).astype(np.float32)
        y = (t + 0.3 * scale * rng.normal(size=t.shape)).astype(np.float32)
        w = (weight * rng.uniform(0.1, 1, ROWS)).astype(np.float32)
        values = scores_at_once_and_in_parts(y, t, w)
        for name, truth in OF_NUMBERS.items():
            with np.errstate(over="ignore", under="ignore"):
                wide = truth(*(a.astype(np.float64) for a in (t, y)), sample_weight=w.astype(float))
                expected = np.float32(wide)  # MSE: 0 or infinite where float32 ends
            tiny = float(np.finfo(np.float32).tiny)
            np.testing.assert_allclose(
                values[name], [expected] * 2, rtol=2e-5, atol=tiny, err_msg=f"{name} {scale}"
            )


def test_a_study_in_si_units_is_scored_in_them():
    x = rng.normal(size=(40, 1)).astype(np.float32)
    noise = rng.normal(size=(40, 1)).astype(np.float32)
    scores = {}
    for unit in (1.0, 1e-27):
        data = jnn.Dataset.from_arrays(x, ((x + noise) * unit).astype(np.float32))
        study = jnn.Study(
            model=(lambda key, x: jnp.zeros((1, 1)), lambda params, x: x @ params),
            loss=jnn.losses.squared_error,
            optimizer=lambda h: optax.sgd(0.1),
            metrics={"rmse": metrics.rmse, "r2": metrics.r2},
            targets=jnn.preprocess.standardize,
            epochs=2,
            batch_size=10,
        )
        final = jnn.run(study, data, jnn.seeds(1) * jnn.holdout(0.5)).final()
        scores[unit] = float(final["rmse"].squeeze()), float(final["r2"].squeeze())
    rmse, r2 = scores[1.0]
    np.testing.assert_allclose(scores[1e-27], (rmse * 1e-27, r2), rtol=1e-4)


@jax.jit
def rankings(*rows):
    return metrics.roc_auc(*rows), metrics.average_precision(*rows)


def test_rankings_are_free_of_the_scale_of_the_weights():
    scores, labels = jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])
    shares = np.array([1.0, 2.0, 1.5, 0.5])
    expected = [
        truth(labels, scores, sample_weight=shares)
        for truth in (sk.roc_auc_score, sk.average_precision_score)
    ]
    for scale in (1e-25, 1e-19, 1.0, 1e20):
        weights = jnp.asarray(scale * shares, jnp.float32)
        np.testing.assert_allclose(rankings(scores, labels, weights), expected, rtol=1e-6)


def test_rows_of_equal_probability_tie_wherever_their_classes_stand():
    logits = rng.integers(0, 3, (40, 4)).astype(np.float32)
    labels = np.arange(40) % 4
    shares = scipy.special.softmax(np.sort(logits, axis=1).astype(np.float64), axis=1)
    order = logits.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    p = np.round(np.take_along_axis(shares, order, axis=1), 12)
    expected = [
        np.mean([truth(labels == c, p[:, c]) for c in range(4)])
        for truth in (sk.roc_auc_score, sk.average_precision_score)
    ]
    value = rankings(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


OF_CERTAIN = {"log_loss": 0.0, "perplexity": 1.0, "brier": 0.0, "bits_per_character": 0.0}
OF_UNDEFINED = ("roc_auc", "accuracy", "log_loss", "average_precision")


@jax.jit
def of_probabilities(logits, labels):
    return {name: getattr(metrics, name)(logits, labels) for name in OF_CERTAIN}


@jax.jit
def of_ranks(logits, labels):
    every = {name: getattr(metrics, name) for name in OF_UNDEFINED}
    every |= {"top_k": metrics.top_k(2), "error": metrics.expected_calibration_error()}
    return {name: metric(logits, labels) for name, metric in every.items()}


def test_an_infinite_logit_on_the_right_side_is_a_certain_and_right_prediction():
    inf = jnp.inf
    assert of_probabilities(jnp.array([inf, -inf]), jnp.array([1, 0])) == OF_CERTAIN
    three = jnp.array([[0.0, inf, 1.0], [-inf, -inf, 0.0]])
    assert of_probabilities(three, jnp.array([1, 2])) == OF_CERTAIN
    wrong = of_probabilities(three, jnp.array([0, 2]))
    assert wrong.pop("brier") == 1  # (1^2 + 1^2) / 2 rows
    assert set(map(float, wrong.values())) == {np.inf}


def test_certain_predictions_are_calibrated_and_rank_first():
    logits = jnp.array([[np.inf, 5.0, 3.0], [0.0, 1.0, np.inf], [-np.inf, 0.0, -np.inf]])
    values = of_ranks(logits, jnp.array([0, 2, 1]))
    assert values["error"] == 0 and values["roc_auc"] == 1
    assert of_ranks(logits, jnp.array([1, 1, 1]))["top_k"] == 1


def test_logits_without_a_softmax_have_no_score():
    for row in ((np.inf, np.inf, 0.0), (-np.inf, -np.inf, -np.inf)):
        values = of_ranks(jnp.array([row, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]), jnp.array([1, 1, 0]))
        for name in OF_UNDEFINED:
            assert np.isnan(values[name]), name


def test_labels_of_64_bits_do_not_wrap_around(any_types):
    labels = {"int64": np.array([2**32, 1]), "uint32": np.array([2**32 - 1, 1], np.uint32)}
    logits = jnp.array([[9.0, 0.0], [0.0, 9.0]])
    for name, values in labels.items():
        assert metrics.accuracy(logits, values) == 0.5, name
        assert np.isnan(metrics.log_loss(logits, values)), name
