"""Rows that have a group or a time: folds that respect them, from arrays and from tables."""

import numpy as np
import pandas as pd
import pytest

import jnn
from jnn.cli._command import Run
from jnn.cli._job import make_job
from jnn.study import cross_validation
from jnn.study._holdout import part_off


@pytest.fixture
def table():
    """40 rows of 8 patients; two rows share each day, and the rows are shuffled."""
    random = np.random.default_rng(0)
    days = pd.Series(pd.date_range("2024-01-25", periods=20).repeat(2))
    return pd.DataFrame(
        {
            "dose": random.normal(size=40),
            "patient": np.repeat(list("abcdefgh"), 5),
            "day": days.dt.strftime("%d.%m.%Y"),
            "weight": random.uniform(0.5, 2, 40),
            "ill": random.integers(0, 2, 40),
        }
    ).sample(frac=1, random_state=1, ignore_index=True)


def days_of(table):
    return pd.to_datetime(table["day"], format="%d.%m.%Y").to_numpy()


def test_a_group_is_no_feature_and_in_one_part_of_a_fold(table):
    drop = ["day", "weight"]
    data = jnn.Dataset.from_dataframe(table, "ill", groups="patient", drop=drop)
    assert data.feature_names == ("dose",)
    for fold in cross_validation(4).rows(data):
        assert not {*table["patient"][fold.train]} & {*table["patient"][fold.test]}


@pytest.mark.parametrize("split", ["folds", "holdout"])
def test_folds_in_time_train_on_earlier_days_only(table, split):
    data = jnn.Dataset.from_dataframe(table, "ill", times="day", drop=["patient", "weight"])
    days = days_of(table)
    assert data.feature_names == ("dose",) and (data.times == days).all()
    folds = jnn.folds(4) if split == "folds" else jnn.holdout(0.2)
    tested = []
    for fold in folds.split.rows(data):
        assert days[fold.train].max() < days[fold.test].min()
        tested += [*fold.test]
    assert len(set(tested)) == len(tested) == (32 if split == "folds" else 8)


def test_rows_of_one_day_are_never_in_both_parts():
    days = [0, 1, 1, 1, 2, 2]  # the test rows of a third of the rows begin within a day
    data = jnn.Dataset.from_arrays(np.arange(6.0)[:, None], np.arange(6.0), times=days)
    (first, second) = cross_validation(2).rows(data)
    assert [*first.train] == [0] and [*first.test] == [2, 3]
    assert [*second.train] == [0, 1, 2, 3] and [*second.test] == [4, 5]


def test_the_validation_rows_inside_a_fold_are_the_latest(table):
    data = jnn.Dataset.from_dataframe(table, "ill", times="day", drop=["patient", "weight"])
    days = days_of(table)
    (fold,) = jnn.holdout(0.2).split.rows(data)
    train, validation = part_off(fold.train, 0.25, data, kind="time", seed=0)
    assert days[train].max() < days[validation].min() < days[fold.test].min()


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["1/2/2024", "3/4/2024", "5/6/2024"], "the month or the day may come first"),
        (["2024-01-01", "soon", "2024-01-03"], "got 'soon' in row 2"),
        (["2024-01-01", None, "2024-01-03"], "got 1 missing values in column 'day'"),
        ([1.0, np.nan, 2.0], "got 1 missing values in column 'day'"),
    ],
)
def test_unclear_times_are_refused(times, words):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "day": times, "y": [0.0, 1.0, 2.0]})
    with pytest.raises(ValueError, match=words):
        jnn.Dataset.from_dataframe(frame, "y", times="day")


@pytest.mark.parametrize(
    ("times", "error", "words"),
    [
        (["a", "b", "c"], TypeError, "must be numbers or dates"),
        ([[1], [2], [3]], ValueError, "must be of shape"),
        ([1, np.inf, 2], ValueError, "at times.1."),
        ([1, 2], ValueError, "one row for each of the 3 rows"),
    ],
)
def test_wrong_times_of_arrays_are_refused(times, error, words):
    with pytest.raises(error, match=words):
        jnn.Dataset.from_arrays(np.ones((3, 1)), np.arange(3.0), times=times)


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        (["31/01/2024", "01/02/2024"], ["2024-01-31", "2024-02-01"]),
        (["01/31/2024", "02/01/2024"], ["2024-01-31", "2024-02-01"]),
        (["2024-02-01", "2024-02-02"], ["2024-02-01", "2024-02-02"]),
        (["2024-02-01T00:00+02:00", "2024-02-01T00:00+01:00"],
         ["2024-01-31T22:00", "2024-01-31T23:00"]),
    ],
)  # fmt: skip
def test_dates_are_read_as_they_are_written(texts, right):
    frame = pd.DataFrame({"x": [1.0, 2.0], "day": texts, "y": [0.0, 1.0]})
    data = jnn.Dataset.from_dataframe(frame, "y", times="day")
    assert (data.times == np.array(right, "datetime64[ns]")).all()


def test_the_command_line_names_groups_times_weights_and_metrics(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.to_csv("t.csv", index=False)
    job = make_job(Run("t.csv", "ill", group="patient", drop="day", weights="weight", folds=2))
    assert (job.data.groups == table["patient"]).all()
    assert np.allclose(job.data.weights, table["weight"], rtol=1e-6)
    metric = ("roc_auc", "f1")
    job = make_job(Run("t.csv", "ill", time="day", drop="patient,weight", metric=metric, folds=2))
    assert list(job.study.metrics) == ["roc_auc", "f1"]
    days = days_of(table)
    for fold in job.members.split.rows(job.data):
        assert days[fold.train].max() < days[fold.test].min()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": ("auc",)}, "must be among those for a classification, accuracy, .*got 'auc'"),
        ({"metric": ("rmse",)}, "got 'rmse'"),
        ({"metric": ("f1", "f1")}, "got 'f1' again"),
        ({"time": "day", "group": "patient"}, "--group must be left out"),
        ({"time": "ill"}, "must name a column of its own, got 'ill'"),
        ({"group": "nobody"}, "must be among the columns"),
        ({"time": "day", "weights": "patient"}, "must hold a number"),
    ],
)
def test_wrong_options_of_rows_get_one_sentence(table, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    table.to_csv("t.csv", index=False)
    options = {"drop": "day,weight" if "time" not in options else None, **options}
    with pytest.raises(ValueError, match=words):
        make_job(Run("t.csv", "ill", **options))
