"""Targets of all shapes: amounts in their own units, several at once, one for each position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from tests.studies import DIABETES, IDENTITY, IRIS, linear, study


def test_a_regression_on_standardised_targets_scores_in_their_own_units():
    made = study(
        model=functools.partial(jnn.models.MLP, 10, (), 1),
        loss=jnn.losses.squared_error,
        metrics={"rmse": jnn.metrics.rmse, "r2": jnn.metrics.r2},
        targets=jnn.preprocess.standardize,
        epochs=60,
    )
    result = jnn.run(made, DIABETES, jnn.holdout(0.25))
    ((train, _, test),) = jnn.holdout(0.25).split.rows(DIABETES)
    predicted = result.predict(DIABETES.x[test]).mean.reshape(-1)
    rmse = np.sqrt(np.mean((predicted - DIABETES.y[test]) ** 2))
    np.testing.assert_allclose(result.final()["rmse"].item(), rmse, rtol=1e-4)
    from sklearn.linear_model import LinearRegression

    best = LinearRegression().fit(DIABETES.x[train], DIABETES.y[train]).predict(DIABETES.x[test])
    # A linear model that Adam trains nearly finds it.
    assert rmse < 1.03 * np.sqrt(np.mean((best - DIABETES.y[test]) ** 2))


def test_several_outputs_are_one_regression():
    y = np.stack([DIABETES.y, -2 * DIABETES.y + 5], axis=1)
    data = jnn.Dataset.from_arrays(DIABETES.x, y)
    made = study(
        model=functools.partial(jnn.models.MLP, 10, (), 2),
        loss=jnn.losses.squared_error,
        metrics={"r2": jnn.metrics.r2},
        targets=jnn.preprocess.standardize,
        epochs=60,
    )
    from sklearn.linear_model import LinearRegression

    ((train, _, test),) = jnn.holdout(0.2).split.rows(data)
    best = LinearRegression().fit(data.x[train], data.y[train]).score(data.x[test], data.y[test])
    np.testing.assert_allclose(
        jnn.run(made, data, jnn.holdout(0.2)).final()["r2"].item(), best, atol=0.02
    )


def test_one_study_predicts_a_classification_and_a_regression():
    model = functools.partial(jnn.models.MLP, 4, (8,), 2)
    loss = lambda o, y: jnn.losses.squared_error(o, jax.nn.one_hot(y, 2) if y.ndim == 1 else y)  # noqa: E731
    made = jnn.Study(model, loss, optax.adam(0.01), epochs=1)
    labels, amounts = IRIS.y % 2, np.stack([IRIS.x[:, 0], IRIS.x[:, 1]], axis=1)
    for target, total in ((labels, True), (amounts, False)):
        mean = (
            jnn.run(made, jnn.Dataset.from_arrays(IRIS.x, target), jnn.seeds(1))
            .predict(IRIS.x)
            .mean
        )
        assert np.allclose(mean.sum(axis=1), 1) is total  # probabilities, or numbers


SERIES = np.random.default_rng(0).normal(size=(120, 6, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "task", "loss", "metric", "outputs"),
    [
        (
            (SERIES[..., 0] > 0).astype(int),
            "classification",
            jnn.losses.softmax_cross_entropy,
            "accuracy",
            2,
        ),
        (np.cumsum(SERIES, axis=1), "regression", jnn.losses.squared_error, "r2", 1),
    ],
    ids=["sign of each value", "cumulative sum"],
)
def test_every_position_of_a_row_may_have_a_label_or_a_number_of_its_own(
    y, task, loss, metric, outputs
):
    data = jnn.Dataset.from_arrays(SERIES, y, task=task)
    made = jnn.Study(
        linear(6 * outputs, 6, outputs, inputs=6),
        loss,
        optax.adam(3e-2),
        metrics={metric: getattr(jnn.metrics, metric)},
        epochs=20,
        batch_size=20,
        validation=0.1,
    )
    result = jnn.run(made, data, jnn.folds(2))
    assert result.final()[metric].mean() > 0.8
    assert result.predict(SERIES[:3]).mean.shape == (3, 6, outputs)


X4 = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


TWO = jnn.Dataset.from_arrays(X4, np.stack([1e3 * X4[:, 0] + 5e3, X4[:, 1]], axis=1))


def test_means_and_variances_of_several_targets_are_transformed_back_each_by_its_own():
    made = study(
        model=linear(4, 4),
        loss=jnn.losses.gaussian_nll,
        metrics={},
        targets=jnn.preprocess.standardize,
    )
    result = jnn.run(made, TWO)
    w, b = result.trained.params["w"][0], result.trained.params["b"][0]
    raw = (X4 - X4.mean(axis=0)) / X4.std(axis=0) @ w + b
    wanted = raw * np.tile(TWO.y.std(axis=0), 2) + np.tile(TWO.y.mean(axis=0), 2)
    np.testing.assert_allclose(result.predict(X4).mean, wanted, rtol=1e-3, atol=1e-2)


def test_quantiles_of_several_targets_are_transformed_back_by_their_targets():
    """The axes of levels and targets have one length; each quantile belongs to one target."""

    def loss(outputs, y):
        return jnp.abs(outputs - y[..., None]).mean(axis=(1, 2))

    error = jnn.metrics.Metric(
        lambda: (0.0, 0.0),
        lambda s, p, y, w: (
            s[0] + jnp.sum(w * jnp.abs(p - y[..., None]).mean((1, 2))),
            s[1] + jnp.sum(w),
        ),
        lambda s: s[0] / s[1],
        higher_is_better=False,
        task="regression",
    )
    made = study(
        model=linear(4, 2, 2),
        loss=loss,
        metrics={"error": error},
        targets=jnn.preprocess.standardize,
        inputs=IDENTITY,
    )
    result = jnn.run(made, TWO, jnn.holdout(0.3))
    ((train, _, test),) = jnn.holdout(0.3).split.rows(TWO)
    raw = (X4 @ result.trained.params["w"][0] + result.trained.params["b"][0]).reshape(-1, 2, 2)
    wanted = raw * TWO.y[train].std(axis=0)[:, None] + TWO.y[train].mean(axis=0)[:, None]
    np.testing.assert_allclose(result.predict(X4).mean, wanted, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        result.final()["error"].item(), np.abs(wanted - TWO.y[..., None])[test].mean(), rtol=1e-3
    )
