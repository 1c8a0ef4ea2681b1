"""A stream trains as a plain loop over its batches does, and what does not fit it is refused."""

import functools

import jax
import numpy as np
import optax
import pytest

import jnn
from jnn.data import Stream
from tests.networks import Nnx

pytest.importorskip("grain", reason="needs the extra 'stream'")

IRIS = jnn.data.load("iris")
TRAIN, TEST = IRIS.take(np.arange(0, 150, 2)), IRIS.take(np.arange(1, 150, 2))
STREAM = Stream((TRAIN.x, TRAIN.y), 10, seed=3)


def study(**settings):
    defaults = {
        "metrics": {"accuracy": jnn.metrics.accuracy},
        "epochs": 3,
        "batch_size": 10,
        "inputs": jnn.preprocess.standardize,
        "hyper": {"learning_rate": 0.1},
    }
    optimizer = lambda h: optax.sgd(h.learning_rate)  # noqa: E731
    return jnn.Study(
        functools.partial(Nnx, 4),
        jnn.losses.softmax_cross_entropy,
        optimizer,
        **(defaults | settings),
    )


def test_a_member_on_a_stream_is_a_loop_over_its_batches(monkeypatch):
    monkeypatch.setattr(
        "jnn.population._streaming._STEPS", 3
    )  # 7 steps an epoch: two stacks of 3 and one of 1
    made, members = study(), jnn.seeds(3) * jnn.grid(learning_rate=[0.1, 0.2])
    result = jnn.run(made, STREAM, members, test=TEST)
    sample = np.concatenate(
        [STREAM[i][0] for i in range(STREAM.steps_per_epoch)]
    )  # what preprocessing is fitted on
    rows = jnn.Rows(np.arange(len(sample))[None], np.array([len(sample)]))
    member = jnn.Member(jax.random.key(2), 0, {"learning_rate": np.float32(0.2)})
    state = jnn.make_start(made)(member, jnn.Data(sample, np.zeros(len(sample), np.int32), rows))
    step = jax.jit(jnn.make_step(made))
    losses = []
    for number in range(3 * STREAM.steps_per_epoch):
        state, loss = step(state, jnn.Batch(*STREAM[number], np.ones(10, np.float32)))
        losses.append(float(loss))
    got = result.member(5)
    np.testing.assert_allclose(
        got.scores["train_loss"][0], np.reshape(losses, (3, 7)).mean(axis=1), rtol=1e-4
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-5),
        got.trained.params,
        state.trained.params,
    )
    predicted = got.predict(TEST.x).mean.argmax(-1)
    np.testing.assert_allclose(
        got.final()["accuracy"].item(), np.mean(predicted == TEST.y), atol=1e-6
    )
    assert result.schema.train_rows == 75


def test_a_stream_that_was_cut_off_goes_on_with_the_same_bits(tmp_path):
    often = {"directory": tmp_path, "save_every": 0.0, "look_every": 0.0}
    made = study(steps_per_epoch=4)
    wanted = jnn.run(made, STREAM, jnn.seeds(2), test=TEST)

    def die(status):
        if status.stage == "training" and status.done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(made, STREAM, jnn.seeds(2), test=TEST, progress=die, **often)
    got = jnn.run(made, STREAM, jnn.seeds(2), test=TEST, **often)
    for name in wanted.scores:
        np.testing.assert_array_equal(got.scores[name], wanted.scores[name])


def test_a_second_run_on_a_stream_compiles_nothing():
    made = study()
    first, second = (jnn.run(made, STREAM, jnn.seeds(2), test=TEST) for _ in range(2))
    assert second.timing["compile"] == 0.0 < first.timing["compile"]
    np.testing.assert_array_equal(first.scores["train_loss"], second.scores["train_loss"])


def test_devices_share_the_batches_of_a_stream():
    plans = jnn.Plan(1, 2, 1), jnn.Plan(4, 1, 1, split=2)
    alone, shared = (jnn.run(study(), STREAM, jnn.seeds(2), test=TEST, plan=plan) for plan in plans)
    for name in alone.scores:
        np.testing.assert_allclose(shared.scores[name], alone.scores[name], rtol=1e-3, atol=1e-5)


WRONG = [
    ({}, {}, "A stream needs a test set"),
    ({"batch_size": 9}, {"test": TEST}, "must be the batch_size of the stream"),
    ({"validation": 0.1}, {"test": TEST}, "cannot be set aside"),
    ({}, {"test": TEST, "members": jnn.folds(2)}, "have folds and a test set"),
]


@pytest.mark.parametrize(("settings", "arguments", "words"), WRONG, ids=[w[-1] for w in WRONG])
def test_what_does_not_fit_a_stream_is_told(settings, arguments, words):
    with pytest.raises(ValueError, match=words):
        jnn.run(study(**settings), STREAM, **arguments)


def test_bytes_are_not_scored_against_numbers_of_another_scale():
    raw = Stream((TRAIN.x.astype(np.uint8), TRAIN.y), 10)
    with pytest.raises(ValueError, match="scale of the test set, whose x is float32, got uint8"):
        jnn.run(study(), raw, test=TEST)


def nan_in_x(x, y):
    return np.where(np.arange(len(x))[:, None] == 7, np.nan, x), y


def label_3(x, y):
    return x, np.where(np.arange(len(y)) == 7, 3, y)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (nan_in_x, "x of a stream must hold finite numbers, but batch"),
        (label_3, "y of a stream must hold labels from 0 to 2, but batch .* has 3"),
    ],
)
def test_rows_that_could_not_be_looked_at_before_are_looked_at_as_they_come(spoil, words):
    calls = iter(range(1000))
    late = lambda x, y: (x, y) if next(calls) < 90 else spoil(x, y)  # noqa: E731
    with pytest.raises(ValueError, match=words):
        jnn.run(
            study(epochs=50), Stream((TRAIN.x, TRAIN.y), 10, transform=late, threads=1), test=TEST
        )


def test_rows_that_change_their_shape_are_told():
    """The first batches are seen once to be checked, and then read again."""
    calls = iter(range(1000))
    changing = Stream(
        (TRAIN.x, TRAIN.y),
        10,
        transform=lambda x, y: (x if next(calls) < 90 else x[:, :3], y),
        threads=1,
    )
    with pytest.raises(ValueError, match=r"one shape, .* \(4,\), but later ones have \(3,\)"):
        jnn.run(study(epochs=50), changing, test=TEST)
