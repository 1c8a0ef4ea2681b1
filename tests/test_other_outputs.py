"""Outputs that are not one for each class or target train wherever loss and metrics take them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from tests.studies import IRIS, linear, study

AMOUNTS = jnn.Dataset.from_arrays(IRIS.x, IRIS.x[:, :1] * 2.0)


def cumulative(outputs, y):
    """Ordinal regression: one logit for each threshold between classes."""
    above = (y[:, None] > jnp.arange(2)).astype(jnp.float32)
    return optax.sigmoid_binary_cross_entropy(outputs, above).sum(axis=-1)


def ordinal_error(sums, outputs, y, weights):
    right = (outputs > 0).sum(axis=-1) == y
    return sums + jnp.stack([(right * weights).sum(), weights.sum()])


ORDINAL = jnn.metrics.Metric(
    lambda: jnp.zeros(2), ordinal_error, lambda sums: sums[0] / sums[1], True, None
)


def prototypes(outputs, y):
    """Embeddings near a corner of their class."""
    return ((outputs - jnp.eye(3, 8)[y]) ** 2).sum(axis=-1)


def test_thresholds_of_an_ordinal_regression_are_scored_saved_and_predicted(tmp_path):
    made = study(model=linear(2, 2), loss=cumulative, metrics={"right": ORDINAL}, epochs=2)
    result = jnn.run(made, IRIS, jnn.seeds(2) * jnn.holdout(0.3))
    result.save(tmp_path)
    outputs = jnn.Result.load(tmp_path, made).predict(IRIS.x).members
    ((_, _, test),) = jnn.holdout(0.3).split.rows(IRIS)
    assert outputs.shape == (2, 150, 2)
    right = ((outputs[:, test] > 0).sum(axis=-1) == IRIS.y[test]).mean(axis=1)
    np.testing.assert_allclose(result.final()["right"].values.ravel(), right, rtol=1e-6)
    from jnn.cli._predict_file import _make_table

    with pytest.raises(ValueError, match=r"one output for each of the 3 classes .* got 2 "):
        _make_table(result, result.predict(IRIS.x))


def test_embeddings_are_predicted_as_they_are():
    made = study(model=linear(8, 8), loss=prototypes, metrics={}, epochs=1, inputs=AS_IS)
    result = jnn.run(made, IRIS)
    params = jax.tree.map(lambda array: array[0].astype(np.float64), result.trained.params)
    predicted = result.predict(IRIS.x).mean
    np.testing.assert_allclose(predicted, IRIS.x @ params["w"] + params["b"], rtol=1e-5, atol=1e-6)


AS_IS = jnn.preprocess.identity


def mixture(outputs, y):
    """A density of three normal distributions for one target."""
    means, logits = jnp.split(outputs, 2, axis=-1)
    return -jax.nn.logsumexp(jax.nn.log_softmax(logits) - (y - means) ** 2 / 2, axis=-1)


def distilled(outputs, y):
    """The teacher's two outputs and the target stand in y, the student's logits in outputs."""
    return ((outputs[:, :2] - y[:, 1:]) ** 2).mean(axis=-1) + (outputs[:, 0] - y[:, 0]) ** 2


@pytest.mark.parametrize(("loss", "outputs", "columns"), [(mixture, 6, 1), (distilled, 5, 3)])
def test_a_regression_may_have_other_outputs_than_targets(loss, outputs, columns):
    data = jnn.Dataset.from_arrays(IRIS.x, IRIS.x[:, :columns] * 2.0)
    made = study(model=linear(outputs, outputs), loss=loss, metrics={}, epochs=1, inputs=AS_IS)
    result = jnn.run(made, data, jnn.holdout(0.3))
    ((_, _, test),) = jnn.holdout(0.3).split.rows(data)
    values = result.outputs(IRIS.x[test])[0]
    np.testing.assert_allclose(
        result.final()["loss"].item(), np.mean(loss(values, data.y[test])), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "data", "sentence"),
    [
        ({"model": linear(8, 8)}, IRIS, r"outputs of shape \(3,\) per row for iris, got \(8,\)"),
        (
            {"model": linear(8, 8), "loss": prototypes},
            IRIS,
            r"outputs of shape \(3,\) per row for iris",  # accuracy reads one for each class
        ),
        (
            {"model": linear(8, 8), "loss": lambda o, y: o @ y, "metrics": {}},
            IRIS,
            r"outputs of shape \(3,\) per row for iris, got \(8,\).* Study.loss failed",
        ),
        (
            {"model": linear(3, 3), "loss": jnn.losses.squared_error, "metrics": {}},
            AMOUNTS,
            r"outputs of shape \(1,\) per row",
        ),
        (
            {"model": linear(3, 3), "metrics": {}, "loss": lambda o, y: ((o - y) ** 2).mean(-1)},
            AMOUNTS,
            r"outputs of shape \(1,\) per row",  # each output is paired with the one target
        ),
        (
            {"model": linear(1), "metrics": {}, "loss": lambda o, y: ((o - y) ** 2).mean(-1)},
            AMOUNTS,
            r"outputs of shape \(1,\) per row for arrays, got \(\)",
        ),
    ],
)
def test_outputs_that_are_read_as_classes_or_targets_must_be(settings, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        jnn.run(study(**settings), data)
