"""Windows of a series train like the same rows written out, and never leak between folds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import plots
from jnn.data import Windows

SERIES = np.random.default_rng(0).standard_normal((60, 2)).cumsum(axis=0).astype(np.float32)
DATA = jnn.Dataset.from_series(SERIES, 8, 3)
LINEAR = (
    lambda key, x: {"w": jnp.zeros((8, 3))},
    lambda p, x: jnp.einsum("btc,th->bhc", x, p["w"]),
)


def study(**settings):
    defaults = {"metrics": {"mse": jnn.metrics.mse}, "epochs": 3, "batch_size": 8}
    return jnn.Study(LINEAR, jnn.losses.squared_error, optax.adam(0.01), **(defaults | settings))


def test_windows_are_the_rows_of_numpys_sliding_window():
    expected = np.lib.stride_tricks.sliding_window_view(SERIES, 8, axis=0).swapaxes(1, 2)
    rows = np.array([[0, 7], [49, 3]])
    windows = Windows(SERIES, 8, 0, 11)
    assert (
        windows.shape == (50, 8, 2)
        and windows.ndim == 3
        and np.array_equal(windows[rows], expected[rows])
    )
    assert np.array_equal(jax.jit(lambda w, i: w[i])(windows, rows), expected[rows])
    assert np.array_equal(windows[1:3], expected[1:3])
    assert np.array_equal(
        DATA.y[rows],
        np.lib.stride_tricks.sliding_window_view(SERIES[8:], 3, axis=0).swapaxes(1, 2)[rows],
    )


@pytest.mark.parametrize(
    "values", [SERIES, jnp.asarray(SERIES)], ids=["on the host", "on the device"]
)
def test_rows_are_chosen_as_from_an_array(values):
    windows, written = (
        Windows(values, 8, 0, 11),
        np.lib.stride_tricks.sliding_window_view(SERIES, 8, 0)[:50],
    )
    written = written.swapaxes(1, 2)
    for rows in (-1, [-1, 3], written[:, 0, 0] > 0, slice(-3, None), np.array([[-50, 49]])):
        np.testing.assert_array_equal(windows[rows], written[rows])
    for rows in (50, [-51], np.ones(49, bool)):
        with pytest.raises(IndexError):
            windows[rows]


@pytest.mark.parametrize(
    "rows", [slice(5, 30), np.arange(5, 30), (np.arange(50) >= 5) & (np.arange(50) < 30)]
)
def test_a_slice_of_a_series_is_a_series(rows):
    part, numbers = DATA.take(rows), np.arange(50)[rows]
    assert part.is_series and part.rows == 25 and part.gap == DATA.gap
    np.testing.assert_array_equal(part.x[:], DATA.x[numbers])
    np.testing.assert_array_equal(part.y[:], DATA.y[numbers])
    for fold in jnn.folds(3).split.rows(part):
        assert fold.train.max() + part.gap < fold.test.min()


def test_training_on_windows_is_training_on_their_rows_written_out():
    rows = np.arange(DATA.rows)
    written = jnn.Dataset(DATA.x[rows].reshape(50, -1), DATA.y[rows].reshape(50, -1), "regression")
    flat = lambda p, x: LINEAR[1](p, x.reshape(-1, 8, 2)).reshape(-1, 6)  # noqa: E731
    split = jnn.folds([(rows[:30], rows[33:])])
    one = jnn.run(study(), DATA, jnn.seeds(2) * split)
    other = jnn.Study(
        (LINEAR[0], flat),
        jnn.losses.squared_error,
        optax.adam(0.01),
        {"mse": jnn.metrics.mse},
        3,
        8,
    )
    two = jnn.run(other, written, jnn.seeds(2) * split)
    for name in one.scores:
        np.testing.assert_allclose(one.scores[name], two.scores[name], rtol=1e-5)


def test_a_series_is_standardised_by_the_steps_that_training_rows_touch_each_once():
    train = np.arange(5, 25)
    forecaster = study(
        inputs=jnn.preprocess.standardize, targets=jnn.preprocess.standardize, epochs=1
    )
    result = jnn.run(forecaster, DATA, jnn.folds([(train, np.arange(30, 40))]))
    touched = SERIES[5 : 24 + 11]
    for stats in result.trained.scale:
        np.testing.assert_allclose(stats.shift[0], touched.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(stats.scale[0], touched.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("members", [jnn.folds(3), jnn.holdout(0.25)])
def test_folds_of_windows_are_in_time_and_no_target_stands_on_both_sides(members):
    for fold in members.split.rows(DATA):
        assert (
            fold.train.max() + 8 + 2 < fold.test.min() + 8
        )  # last step of the training targets, first of the test's


def test_a_language_model_reads_the_next_token_at_every_step():
    ids = np.tile(np.arange(5), 12)
    data = jnn.Dataset.from_tokens(ids, 4)
    assert np.array_equal(data.y[np.arange(3)], (data.x[np.arange(3)] + 1) % 5)
    table = (lambda key, x: jnp.zeros((5, 5)), lambda table, x: table[x])
    forecaster = jnn.Study(
        table,
        jnn.losses.softmax_cross_entropy,
        optax.adam(0.3),
        {"accuracy": jnn.metrics.accuracy},
        epochs=2,
        batch_size=8,
        steps_per_epoch=20,
    )
    result = jnn.run(forecaster, data, jnn.holdout(0.2))
    assert result.final()["accuracy"].item() == 1.0 and result.final()["loss"].item() < 0.1


def test_a_result_of_windows_is_saved_and_predicts_again(tmp_path):
    forecaster = study(inputs=jnn.preprocess.standardize, targets=jnn.preprocess.standardize)
    result = jnn.run(forecaster, DATA, jnn.seeds(2) * jnn.holdout(0.2))
    result.save(tmp_path)
    x = DATA.x[np.arange(4)]
    np.testing.assert_array_equal(
        jnn.Result.load(tmp_path, forecaster).predict(x).mean, result.predict(x).mean
    )


def test_a_forecast_is_drawn_with_its_past_and_a_band_for_each_ensemble():
    result = jnn.run(study(epochs=1), DATA, jnn.seeds(2) * jnn.holdout(0.2))
    (axes,) = plots.forecast({"one": result, "two": result}, DATA, 7 - DATA.rows, channel=0).axes
    series, one, _ = axes.lines
    assert np.array_equal(
        series.get_ydata(), SERIES[7:18, 0]
    ) and series.get_xdata().tolist() == list(range(-8, 3))
    np.testing.assert_array_equal(
        one.get_ydata(), result.predict(DATA.x[np.array([7])]).mean[0, :, 0]
    )
    assert len(axes.collections) == 2


def test_a_separate_part_of_a_series_scores_like_a_fold_of_the_whole():
    train, test = np.arange(30), np.arange(40, 50)
    options = {"inputs": jnn.preprocess.standardize, "targets": jnn.preprocess.standardize}
    apart = jnn.run(study(**options), DATA.take(train), test=DATA.take(test))
    fold = jnn.run(study(**options), DATA, jnn.folds([(train, test)]))
    np.testing.assert_allclose(
        apart.scores["mse"].values.ravel(), fold.scores["mse"].values.ravel(), rtol=1e-5
    )


WRONG = [
    (lambda: jnn.Dataset.from_series(SERIES[:, 0], 3, 1), "A series must be of shape"),
    (lambda: jnn.Dataset.from_series(SERIES, 58, 3), "fit the series"),
    (lambda: jnn.Dataset.from_tokens([1, 5, 2], 1, classes=3), "labels from 0 to 2"),
    (lambda: jnn.run(study(), DATA, jnn.folds(3, kind="plain")), "must be 'time' for windows"),
    (
        lambda: jnn.run(study(), DATA, test=jnn.Dataset.from_arrays(DATA.x[:5], DATA.y[:5])),
        "must be cut as those",
    ),
    (
        lambda: DATA.take([4, 2]),
        "must be a slice of it, got 2 rows .*Pass the rows to jnn.folds",
    ),
    (lambda: DATA.take(slice(None, None, 2)), "must be a slice of it, got 25 rows"),
]


@pytest.mark.parametrize(("make", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_no_series_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_token_ids_are_integers():
    with pytest.raises(TypeError, match="Token ids must be integers, got x of type float32"):
        jnn.Dataset.from_tokens(SERIES[:, 0], 3)
