"""Functions of a study receive the member's numbers, its step and epoch, and row numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn

ROWS, BATCH, EPOCHS = 12, 4, 3
X = np.zeros((ROWS, 1), np.float32)
DATA = jnn.Dataset.from_arrays(X, np.arange(ROWS, dtype=np.float32))


def apply(params, x):
    return x * params["w"]


def study(loss, **settings):
    defaults = {"epochs": EPOCHS, "batch_size": BATCH, "order": "sequential"}
    network = (lambda key, x: {"w": jnp.ones(1)}, apply)
    return jnn.Study(network, loss, optax.sgd(0.1), **(defaults | settings))


def of_progress(outputs, targets, *, h, step, epoch):
    """A loss of h.a + 10 epoch + 1000 step, whatever the network does."""
    return 0 * outputs[:, 0] + h.a + 10 * epoch + 1000 * step


def test_a_loss_knows_the_members_numbers_its_step_and_its_epoch():
    split = jnn.folds([(np.arange(8), np.arange(8, 12))])
    made = study(jax.jit(of_progress), penalty=jax.checkpoint(of_numbers))
    result = jnn.run(made, DATA, jnn.grid(a=[1, 2]) * split)
    epochs = np.arange(EPOCHS)
    steps = 2 * epochs + 0.5  # two steps an epoch: their mean, counted from 0
    for member, a in enumerate([1, 2]):
        scores = result.member(member).scores
        np.testing.assert_allclose(
            scores["train_loss"].values.ravel(), a + 10 * epochs + 1e3 * steps
        )
        held_out = a + 10 * epochs + 1e3 * 2 * (epochs + 1)  # after the epoch
        np.testing.assert_allclose(scores["loss"].values.ravel(), held_out)
    # The penalty's gradient is h.a (epoch + step + 1), by plain descent.
    slopes = sum(n // 2 + n + 1 for n in range(2 * EPOCHS))
    expected = 1 - 0.1 * slopes * np.array([1, 2])
    np.testing.assert_allclose(result.trained.params["w"].ravel(), expected, rtol=1e-5)


def of_numbers(params, h, *, step, epoch):
    return h.a * (epoch + step + 1) * jnp.sum(params["w"])


def test_a_batch_knows_the_numbers_of_its_rows():
    def numbered(batch, *, key, step, epoch, h):
        return batch._replace(x=batch.index[:, None] + 100.0 * epoch + 0 * step + h.a)

    def objective(forward, batch, *, epoch, h):
        outputs, state = forward(batch.x)
        return batch.x[:, 0] - batch.index - 100.0 * epoch - h.a + 0 * outputs[:, 0], state

    loss = jnn.losses.squared_error
    made = study(loss, augment=numbered, objective=objective, order="member", hyper={"a": 7})
    np.testing.assert_array_equal(jnn.run(made, DATA).scores["train_loss"].values, 0)
    rows = study(lambda o, y: o[:, 0], augment=numbered, hyper={"a": 0}, steps_per_epoch=3)
    first = 0.1 * np.mean(np.arange(ROWS)) + 0  # the loss's slope by w is the mean of x
    population = jnn.start(rows, DATA).advance(1)
    w = population.result().trained.params["w"].item()
    np.testing.assert_allclose(w, 1 - 3 * first, rtol=1e-5)


def test_a_keyword_that_a_partial_has_filled_is_left_alone():
    loss = functools.partial(of_progress, step=0, epoch=0, h=jnn.engine.HyperParameters({"a": 3}))
    result = jnn.run(study(loss, hyper={"a": 1}, penalty=lambda p, h: 0 * h.a), DATA)
    np.testing.assert_array_equal(result.scores["train_loss"].values, 3)


def test_a_missing_number_is_named():
    with pytest.raises(ValueError, match="The hyper-parameter 'a' is not set"):
        jnn.run(study(of_progress), DATA)


def test_a_stream_counts_epochs_and_has_no_row_numbers():
    pytest.importorskip("grain", reason="needs the extra 'stream'")
    stream = jnn.data.Stream((DATA.x, DATA.y), BATCH, seed=3)
    made = study(of_progress, hyper={"a": 1}, order="member")
    scores = jnn.run(made, stream, test=DATA).scores
    epochs = np.arange(EPOCHS)
    np.testing.assert_allclose(
        scores["train_loss"].values.ravel(), 1 + 10 * epochs + 1e3 * (3 * epochs + 1)
    )
    np.testing.assert_allclose(scores["loss"].values.ravel(), 1 + 10 * epochs + 3e3 * (epochs + 1))
    numbered = study(
        jnn.losses.squared_error,
        order="member",
        augment=lambda batch, *, key: batch._replace(x=batch.x + batch.index[:, None]),
    )
    with pytest.raises(ValueError, match=r"Batch.index must not be read on a stream"):
        jnn.run(numbered, stream, test=DATA)
