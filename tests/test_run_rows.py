"""Which rows train, choose and test, and what the scores and predictions are made of."""

import dataclasses
import functools

import numpy as np
import optax
import pytest
from sklearn.model_selection import TimeSeriesSplit

import jnn
from jnn import plots
from jnn.data import WordTokenizer
from jnn.engine import fold_data
from tests.studies import IRIS, QUICK, study, trained_at_once

MEMBERS = jnn.seeds(2) * jnn.folds(3, repeats=2)


@functools.cache
def learned(evaluate_every=1):
    """The result of a study that several tests look at."""
    return jnn.run(study(epochs=40, evaluate_every=evaluate_every), IRIS, MEMBERS)


def test_an_mlp_learns_iris_and_its_scores_are_those_of_its_predictions():
    result = learned()
    final = result.final()["accuracy"].values
    assert final.mean() > 0.93
    folds = MEMBERS.split.rows(IRIS)
    for i, (_, _, test) in enumerate(folds):
        probabilities = result.member(i).predict(IRIS.x[test]).mean
        accuracy = np.mean(probabilities.argmax(-1) == IRIS.y[test])
        np.testing.assert_allclose(accuracy, final[0, i], atol=1e-6)
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)


def test_the_best_epoch_is_chosen_on_inner_rows_and_its_parameters_are_kept():
    made = study(
        keep="best",
        validation=0.25,
        monitor="accuracy",
        optimizer=lambda h: optax.sgd(h.learning_rate),
        epochs=6,
    )
    members = jnn.seeds(3) * jnn.folds(2) * jnn.grid(learning_rate=[0.5, 3.0])
    result = jnn.run(made, IRIS, members)
    inner = result.scores["validation_accuracy"].values
    chosen = result.scores["best_epoch"].values
    assert np.array_equal(chosen, 1 + inner.argmax(axis=-1)) and len(np.unique(chosen)) > 1
    # One row per setting, whatever the epochs.
    assert "3 seeds x 2 folds" in str(result.summary())
    final = result.final()["accuracy"].values.ravel()
    folds = jnn.folds(2).split.rows(IRIS)
    for i in (0, 5, 11):
        test = folds[int(members.columns()["fold"][i])].test
        predicted = result.member(i).predict(IRIS.x[test]).mean.argmax(-1)
        np.testing.assert_allclose(np.mean(predicted == IRIS.y[test]), final[i], atol=1e-6)


def test_a_member_whose_monitored_score_is_never_finite_counts_as_diverged():
    two = jnn.Dataset.from_arrays(IRIS.x[:100], IRIS.y[:100])
    parts = [
        (np.r_[10:50, 60:100], np.r_[0:5], np.r_[5:10, 50:60])
    ]  # of one class alone, which has no AUC
    made = study(
        model=functools.partial(jnn.models.MLP, 4, (), 2),
        metrics={"auc": jnn.metrics.roc_auc},
        keep="best",
        monitor="auc",
        epochs=2,
    )
    result = jnn.run(made, two, jnn.seeds(2) * jnn.folds(parts))
    assert np.isfinite(result.scores["auc"]).all() and np.isnan(result.final()["auc"]).all()
    assert result.summary().rows[0].diverged == 2


def test_inner_rows_are_neither_trained_nor_tested_on():
    arrays = fold_data(study(validation=0.2), IRIS, jnn.folds(3))
    for fold, (train, _, test) in enumerate(jnn.folds(3).split.rows(IRIS)):
        parts = [
            set(r.index[fold][: r.count[fold]].tolist())
            for r in (arrays.train, arrays.validation, arrays.test)
        ]
        assert parts[0] | parts[1] == set(train.tolist()) and parts[2] == set(test.tolist())
        assert not parts[0] & parts[1] and len(parts[1]) == 20


@pytest.mark.parametrize("members", [jnn.folds(5, kind="time"), jnn.folds(TimeSeriesSplit(5))])
def test_an_inner_split_is_in_time_where_the_folds_are(members):
    arrays = fold_data(study(validation=0.2), IRIS, members)
    for train, validation, test in zip(
        arrays.train.index, arrays.validation.index, arrays.test.index, strict=True
    ):
        assert train.max() < validation.min() and validation.max() < test.min()


def test_an_inner_split_is_plain_where_the_folds_are():
    rare = jnn.Dataset.from_arrays(IRIS.x[:60], np.arange(60) == 0)
    assert (
        fold_data(study(validation=0.2), rare, jnn.folds(3, kind="plain")).validation.count == 8
    ).all()


def test_an_inner_split_that_leaves_no_rows_says_so():
    series = jnn.Dataset.from_series(np.arange(40.0)[:, None], 3, 8)
    with pytest.raises(ValueError, match="leaves no rows to train on: of 2 rows"):
        fold_data(study(validation=0.2), series, jnn.folds(3))


def test_a_test_set_that_was_prepared_otherwise_is_refused():
    texts = [
        jnn.Dataset.from_texts(words, [0, 1])
        for words in (["good film", "so bad"], ["fine film", "so dull"])
    ]
    reordered = dataclasses.replace(IRIS, feature_names=IRIS.feature_names[::-1])
    for data, test, name in ((*texts, "tokenizer"), (IRIS, reordered, "feature_names")):
        with pytest.raises(ValueError, match=f"The {name} of the test set differ"):
            fold_data(study(), data, jnn.seeds(1), test)
    again = jnn.Dataset.from_texts(
        ["so good", "bad"], [0, 1], tokenizer=WordTokenizer(texts[0].tokenizer.words)
    )
    assert len(fold_data(study(), texts[0], jnn.seeds(1), again).x) == 4


def test_a_result_tells_which_folds_share_test_rows():
    shared = learned().schema.to_json()["shared_test_rows"]
    assert shared == ["100111", "010111", "001111", "111100", "111010", "111001"]


def test_preprocessing_sees_a_members_training_rows_only():
    shift = learned().trained.scale[0].shift
    for fold, (train, _, _) in enumerate(MEMBERS.split.rows(IRIS)):
        np.testing.assert_allclose(shift[fold], IRIS.x[train].mean(axis=0), rtol=1e-5)


def test_without_held_out_rows_the_scores_are_named_for_the_training_rows():
    result = trained_at_once()
    assert set(result.scores) == {"train_loss", "train_accuracy"}
    assert "TRAINING" in str(result.summary())


def test_scores_of_every_third_epoch_and_the_last_are_those_of_all():
    every, third = learned(), learned(evaluate_every=3)
    due = np.array([*range(2, 40, 3), 39])
    for name in ("accuracy", "loss"):
        np.testing.assert_allclose(
            third.scores[name][..., due], every.scores[name][..., due], rtol=1e-5
        )
        assert np.isnan(np.delete(third.scores[name].values, due, axis=-1)).all()
    np.testing.assert_allclose(third.scores["train_loss"], every.scores["train_loss"], rtol=1e-5)
    curves = plots.learning_curves(third).axes[0].lines[0]
    assert curves.get_xdata().tolist() == [*range(3, 40, 3), 40]


def test_a_separate_test_set_gives_the_score():
    train, test = IRIS.take(slice(0, None, 2)), IRIS.take(slice(1, None, 2))
    result = jnn.run(study(), train, jnn.seeds(1), test=test)
    predicted = result.predict(test.x).mean.argmax(-1)
    np.testing.assert_allclose(
        result.final()["accuracy"].item(), np.mean(predicted == test.y), atol=1e-6
    )


def test_rank_metrics_see_all_rows_at_once():
    from sklearn.metrics import roc_auc_score

    data = jnn.data.load("breast_cancer")
    made = study(
        model=functools.partial(jnn.models.MLP, 30, (4,), 2),
        metrics={"auc": jnn.metrics.roc_auc, "accuracy": jnn.metrics.accuracy},
        epochs=1,
        evaluation_batch=50,
    )
    result = jnn.run(made, data, jnn.holdout(0.3))
    ((_, _, test),) = jnn.holdout(0.3).split.rows(data)
    wanted = roc_auc_score(data.y[test], result.predict(data.x[test]).mean[:, 1])
    np.testing.assert_allclose(result.final()["auc"].item(), wanted, atol=1e-5)


def test_an_optimizer_that_needs_the_loss_gets_it():
    reduce = lambda h: optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1))  # noqa: E731
    result = jnn.run(study(optimizer=reduce, epochs=2, hyper={}), IRIS, jnn.seeds(1))
    assert np.isfinite(result.scores["train_loss"]).all()


def test_cross_validation_takes_folds_as_a_number_or_as_members(monkeypatch):
    monkeypatch.setattr("jnn.population._cross_validate.run", lambda study, data, members: members)
    settings = jnn.grid(learning_rate=[0.01, 0.1])
    for folds in (3, jnn.folds(3)):
        members = jnn.cross_validate(QUICK, IRIS, settings, folds=folds, seeds=4)
        assert members.shape == (4, 3, 2) and members.split == jnn.folds(3).split
    assert jnn.cross_validate(QUICK, IRIS).shape == (1, 5)
    with pytest.raises(ValueError, match="fold"):
        jnn.cross_validate(QUICK, IRIS, jnn.folds(2))
