"""What a study records of each epoch beside the scores, against the same numbers by hand."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn

RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(16, 2)).astype(np.float32)
Y = (X @ [[1.0], [-2.0]]).astype(np.float32)
DATA = jnn.Dataset.from_arrays(X, Y)
TRAIN, TEST = np.arange(12), np.arange(12, 16)
SPLIT = jnn.folds([(TRAIN, TEST)])
SCHEDULE = optax.linear_schedule(0.2, 0.0, 12)
STUDY = jnn.Study(
    (lambda key, x: {"w": jnp.zeros((2, 1))}, lambda params, x: x @ params["w"]),
    jnn.losses.squared_error,
    optax.inject_hyperparams(optax.sgd)(learning_rate=SCHEDULE),
    metrics={"rmse": jnn.metrics.rmse},
    epochs=3,
    batch_size=4,
    order="sequential",
    record=("train_scores", "gradient_norm", "learning_rate"),
)


def test_an_epoch_records_training_scores_gradient_norm_and_learning_rate():
    result = jnn.run(STUDY, DATA, SPLIT)
    w, rates, norms, expected = np.zeros((2, 1)), [], [], []
    for step in range(9):
        x, y = X[step % 3 * 4 :][:4], Y[step % 3 * 4 :][:4]
        gradient = 2 * x.T @ (x @ w - y) / 4
        rates.append(float(SCHEDULE(step)))
        norms.append(np.linalg.norm(gradient))
        w = w - rates[-1] * gradient
        if step % 3 == 2:
            errors = (
                np.sqrt(np.mean((X @ w - Y)[TRAIN] ** 2)),
                np.sqrt(np.mean((X @ w - Y)[TEST] ** 2)),
            )
            expected.append((*errors, np.mean(norms[-3:]), np.mean(rates[-3:])))
    names = ("train_rmse", "rmse", "train_gradient_norm", "train_learning_rate")
    for name, values in zip(names, np.transpose(expected), strict=True):
        np.testing.assert_allclose(result.scores[name].values.ravel(), values, rtol=1e-5)
    assert list(result.summary().rows[0]) and "gradient" not in str(result.summary())
    assert not result.higher_is_better("train_gradient_norm")


def test_a_learning_rate_that_nothing_holds_is_asked_for():
    plain = dataclasses.replace(STUDY, optimizer=optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"Make the optimizer by optax\.inject_hyperparams"):
        jnn.run(plain, DATA)


@pytest.mark.parametrize(
    ("record", "error"),
    [(("rate",), "record must be some of"), (3, "record must be some of")],
)
def test_other_records_are_refused(record, error):
    with pytest.raises((TypeError, ValueError), match=error):
        dataclasses.replace(STUDY, record=record)
    assert dataclasses.replace(STUDY, record="train_scores").record == ("train_scores",)
