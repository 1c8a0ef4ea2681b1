"""Results: named axes, honest intervals, choices that do not flatter, joined and saved results."""

import copy
import dataclasses
import functools
import json
import pathlib
import pickle

import jax
import numpy as np
import optax
import pandas
import pytest
import xarray

import jnn
from jnn import plots, stats
from jnn.engine import fold_data
from jnn.result import (
    Result,
    RowSpec,
    Schema,
    choose,
    compare,
    make_summary,
    prepare_rows,
    read_schema,
    shared_test_rows,
)
from jnn.result._digest import digest_of
from jnn.result._plots import _with_ended_members
from jnn.result._table import matches
from tests.studies import IRIS, study
from tests.trained import iris_result, iris_study, linear_result


@pytest.fixture(scope="module")
def result():
    return iris_result()


def scores(values, **more):
    """Final scores [seed, fold, setting] as a result would hold them."""
    values = np.asarray(values, float)
    coordinates = {
        name: np.arange(n) for name, n in zip(("seed", "fold", "rate"), values.shape, strict=True)
    }
    data = {"accuracy": (("seed", "fold", "rate"), values)} | more
    return xarray.Dataset(data, coordinates)


SCHEMA = Schema(
    data="made",
    task="classification",
    x=RowSpec((4,), "float32"),
    y=RowSpec((), "int32"),
    split="folds",
    train_rows=80.0,
    test_rows=20.0,
    higher_is_better=("accuracy",),
)


def summarized(scores, metric=None, **fields):
    return make_summary(scores, dataclasses.replace(SCHEMA, **fields), metric)


def chosen(scores, **fields):
    return choose(scores, dataclasses.replace(SCHEMA, **fields))


def compared(scores, a, b):
    return compare(scores, SCHEMA, a, b)


def test_axes_and_coordinates_are_the_members(result):
    assert dict(result.scores.sizes) == {"seed": 3, "fold": 4, "learning_rate": 2, "epoch": 3}
    assert result.scores["learning_rate"].values.tolist() == [0.003, 0.1]
    assert np.isfinite(result.scores["accuracy"]).all()


def test_a_member_is_the_entry_at_its_coordinates(result):
    member = result.member(2 * 8 + 3 * 2 + 1)
    wanted = result.scores.sel(seed=2, fold=3, learning_rate=0.1)
    np.testing.assert_array_equal(member.scores["log_loss"].values[0], wanted["log_loss"].values)
    assert float(member.scores["learning_rate"][0]) == 0.1 and len(member.members) == 1
    x = IRIS.x[:7]
    np.testing.assert_allclose(member.outputs(x)[0], result.outputs(x)[23], rtol=1e-5, atol=1e-6)


def test_a_summary_is_the_same_text_in_a_notebook(result, monkeypatch, capsys):
    text = str(result.summary())
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert str(result.summary()) == text
    assert capsys.readouterr().out == ""


def test_a_part_of_the_variance_that_is_rounding_is_zero_in_a_summary(result):
    summary = result.summary()
    row = summary.rows[0]
    parts = {name: stats.Parts(1e-12, 1e-5, 1e-4) for name in row.intervals}
    made = dataclasses.replace(summary, rows=(row._replace(parts=parts),))
    assert made.caption.endswith("by source: seed 0, fold 0.0032, residual 0.01")
    parts = {name: stats.Parts(0.0, 1623.0**2, 42.1**2) for name in row.intervals}
    made = dataclasses.replace(summary, rows=(row._replace(parts=parts),))
    assert made.caption.endswith("by source: seed 0, fold 1600, residual 42")


def test_the_summary_is_the_statistics_of_the_final_scores(result):
    table = result.summary()
    final = result.scores["accuracy"].isel(epoch=-1)
    for row, rate in zip(table.rows, (0.003, 0.1), strict=True):
        assert row.setting == {"learning_rate": rate} and row.members == 12
        values = final.sel(learning_rate=rate).transpose("seed", "fold").values
        wanted = stats.seed_fold_interval(values, 112.5, 37.5)
        np.testing.assert_allclose(row.intervals["accuracy"][:3], wanted[:3], rtol=1e-6)
    text = str(table)
    assert "Nadeau-Bengio" in text and "3 seeds x 4 folds" in text and "iris" in text
    frame = table.to_dataframe()
    assert len(frame) == 4 and set(frame["metric"]) == {"accuracy", "log_loss"}


def test_seeds_alone_get_a_t_interval_and_one_member_gets_none():
    values = np.random.default_rng(0).normal(size=(6, 1, 1))
    row = summarized(scores(values)).rows[0]
    assert row.intervals["accuracy"] == stats.t_interval(values.ravel())
    lone = summarized(scores([[[0.5]]]))
    assert np.isnan(lone.rows[0].intervals["accuracy"].low) and "none (n=1)" in str(lone)


def test_diverged_members_are_counted_and_told():
    values = np.full((4, 3, 1), 0.9) + np.random.default_rng(0).normal(size=(4, 3, 1)) / 100
    values[1, 2, 0] = np.nan
    table = summarized(scores(values))
    row = table.rows[0]
    assert row.diverged == 1 and "1 of 12" in str(table) and row.intervals["accuracy"].n == 9
    np.testing.assert_allclose(row.intervals["accuracy"].mean, values[[0, 2, 3]].mean())
    nothing = summarized(scores(values * np.nan)).rows[0]
    assert nothing.diverged == 12 and nothing.intervals["accuracy"].n == 0


def test_the_score_of_the_best_setting_is_not_flattered():
    noise = np.random.default_rng(1).normal(
        0.5, 0.1, size=(200, 1, 5, 30)
    )  # 30 settings that are all the same
    naive, honest = [], []
    for values in noise:
        choice = chosen(scores(values))
        naive.append(values.mean(axis=(0, 1)).max())
        honest.append(choice.interval.mean)
    error = np.std(honest) / np.sqrt(len(honest))
    assert (
        np.mean(naive) > 0.58 and abs(np.mean(honest) - 0.5) < 4 * error
    )  # false alarm: 1 in 15 000


def test_inner_rows_that_are_other_folds_test_rows_do_not_flatter():
    noise = np.random.default_rng(1).normal(0.5, 0.1, size=(200, 1, 5, 30))
    inner = [
        {"validation_accuracy": (("seed", "fold", "rate"), np.roll(values, 1, axis=1))}
        for values in noise
    ]
    honest = [chosen(scores(v, **i)).interval.mean for v, i in zip(noise, inner, strict=True)]
    error = np.std(honest) / np.sqrt(len(honest))
    assert (
        abs(np.mean(honest) - 0.5) < 4 * error
    )  # the pooled choice has 0.58; false alarm: 1 in 15 000


def test_repeated_folds_that_share_test_rows_do_not_flatter():
    split = jnn.folds(5, kind="plain", repeats=2).split
    parts = np.stack([fold.test for fold in split.rows(IRIS.take(slice(0, 50)))])
    shared = shared_test_rows(jnn.Rows(parts, np.full(10, 10)))
    noise = np.random.default_rng(1).normal(
        0.5, 0.3, size=(200, 50, 30)
    )  # of each row; 30 settings, all the same
    made = [scores(n[parts].mean(axis=1)[None]) for n in noise]
    honest = [chosen(one, shared_test_rows=shared).interval.mean for one in made]
    error = np.std(honest) / np.sqrt(len(honest))
    assert (
        abs(np.mean(honest) - 0.5) < 4 * error
    )  # choosing on all other folds has 0.55; false alarm: 1 in 15 000


def test_a_fold_is_scored_by_the_choice_of_folds_of_other_test_rows(result):
    overlapping = jnn.Rows(
        np.array([[0, 1], [2, 3], [1, 2], [4, 5]]), np.full(4, 2)
    )  # the third shares with two
    made = scores(np.array([[[0.9, 0.1], [0.9, 0.1], [0.6, 0.2], [0.3, 0.4]]]))
    shared = shared_test_rows(overlapping)
    choice = chosen(made, shared_test_rows=shared)
    assert choice.interval.mean == pytest.approx((0.9 + 0.9 + 0.2 + 0.3) / 4)
    assert chosen(made.isel(fold=[0, 1]), shared_test_rows=shared).interval.n == 2
    alone = chosen(made.isel(fold=[0, 2]), shared_test_rows=shared)
    assert np.isnan(alone.interval.mean)
    assert result.schema.shared_test_rows == ()


def test_the_title_tells_the_rows_of_the_columns():
    axes = ("seed", "fold", "rate")
    made = scores(np.full((2, 1, 1), 0.9), validation_loss=(axes, np.ones((2, 1, 1))))
    made = made.rename(accuracy="validation_accuracy").assign(train_loss=made["validation_loss"])
    table = summarized(made, keep="best")
    assert list(table.rows[0].intervals) == ["validation_accuracy"]
    assert table.title.endswith("on inner validation rows, which also chose the epoch")
    assert "TRAINING rows" in summarized(made, "train_loss").title


def test_finite_scores_that_are_left_out_are_told():
    values = np.full((1, 5, 1), 0.9)
    values[0, 2] = np.nan
    (row,) = summarized(scores(values)).rows
    assert (
        row.intervals["accuracy"].method
        == "none (no seed is finite in all folds), 4 finite scores left out"
    )
    members = (jnn.seeds(3) * jnn.folds(5))[:13]
    columns = {k: ("member", v) for k, v in members.columns().items()}
    made = scores([[[0.0]]]).drop_vars(["accuracy", "seed", "fold", "rate"])
    made = made.assign(accuracy=("member", np.random.default_rng(0).normal(size=13))).assign_coords(
        columns
    )
    (row,) = summarized(made).rows
    assert (
        row.intervals["accuracy"].n == 10
        and "3 finite scores left out" in row.intervals["accuracy"].method
    )


def test_a_comparison_tells_what_it_leaves_out():
    values = np.random.default_rng(0).normal(size=(4, 3, 2))
    values[1, 2, 0] = np.nan
    got = compared(scores(values), {"rate": 0}, {"rate": 1})
    for text in (str(got), got.method):
        assert "2 finite scores left out (1 diverged" in text


def test_a_number_is_found_by_what_distinguishes_it():
    assert matches([1e-8, 1e-9, 0.0], 1e-8).tolist() == [True, False, False]
    assert matches([0.0, 1e-8], 0).tolist() == [True, False]
    assert matches([20260101, 20260102], 20260101).tolist() == [True, False]
    assert matches([0.1, 0.10001], np.float32(0.1)).tolist() == [True, False]
    made = scores(np.random.default_rng(0).normal(size=(3, 2, 2))).assign_coords(rate=[1e-8, 1e-9])
    assert compared(made, {"rate": 1e-8}, {"rate": 1e-9}).difference.n == 6


def test_a_setting_named_like_a_column_of_the_table_keeps_its_numbers():
    frame = summarized(scores(np.full((3, 2, 2), 0.9)).rename(rate="n")).to_dataframe()
    assert frame["setting_n"].tolist() == [0, 1] and frame["n"].tolist() == [6, 6]


def test_a_setting_that_diverges_in_a_fold_is_not_chosen_there():
    values = np.stack([np.full((3, 4), 0.9), np.full((3, 4), 0.95)], axis=-1)
    values[0, 1, 1] = np.nan
    choice = chosen(scores(values))
    assert (
        choice.setting == {"rate": 0.0} and choice.interval.n == 8
    )  # fold 1 is scored with the one that diverged there
    assert (
        choice.interval.mean == pytest.approx((3 * 0.9 + 0.95) / 4)
        and "1 diverged" in choice.method
    )
    assert chosen(
        scores(np.where(np.arange(2), np.nan, values[:1]))
    ).interval.mean == pytest.approx(0.9)


def test_settings_with_other_seeds_are_not_paired_by_place():
    members = jnn.seeds(3) * jnn.grid(rate=[0.0]) + jnn.seeds(3, first=2) * jnn.grid(rate=[1.0])
    columns = {k: ("member", v) for k, v in members.columns().items()}
    made = scores([[[0.0]]]).drop_vars(["accuracy", "seed", "fold", "rate"])
    made = made.assign(accuracy=("member", np.arange(6.0))).assign_coords(columns)
    difference = compared(made, {"rate": 1.0}, {"rate": 0.0}).difference
    assert (difference.mean, difference.n) == (1.0, 1)  # seed 2 alone: 3 - 2
    table = summarized(made)
    assert [(row.members, row.diverged, row.intervals["accuracy"].n) for row in table.rows] == [
        (3, 0, 3)
    ] * 2
    assert table.repetitions.startswith("3 seeds")
    uneven = summarized(made.isel(member=slice(0, 5)))
    assert [row.members for row in uneven.rows] == [3, 2] and uneven.repetitions.startswith(
        "2 to 3 seeds"
    )
    with pytest.raises(ValueError, match="finite in both"):
        compared(made.isel(member=[0, 1, 4, 5]), {"rate": 1.0}, {"rate": 0.0})


def test_a_setting_is_chosen_by_inner_rows_where_there_are_some():
    test = np.stack([np.full((2, 1), 0.9), np.full((2, 1), 0.7)], axis=-1)
    inner = {"validation_accuracy": (("seed", "fold", "rate"), 1 - test)}
    choice = chosen(scores(test, **inner))
    assert (
        choice.setting == {"rate": 1.0} and choice.interval.mean == 0.7 and "inner" in choice.method
    )


def test_without_folds_or_inner_rows_the_choice_has_no_score():
    choice = chosen(scores(np.array([[[0.1, 0.4, 0.3]], [[0.2, 0.5, 0.3]]])))
    assert (
        choice.setting == {"rate": 1.0}
        and np.isnan(choice.interval.mean)
        and "add folds" in choice.method
    )


def test_lower_is_better_for_a_loss(result):
    final = result.final()["log_loss"].mean(("seed", "fold"))
    assert (
        result.best("log_loss").setting["learning_rate"] == [0.003, 0.1][int(final.values.argmin())]
    )


def test_two_settings_are_compared_by_paired_differences(result):
    got = result.compare({"learning_rate": 0.1}, {"learning_rate": 0.003}, "log_loss")
    final = result.final()["log_loss"].transpose("seed", "fold", "learning_rate").values
    wanted = stats.paired_comparison(final[..., 1], final[..., 0], 112.5, 37.5)
    np.testing.assert_allclose(got.difference[:3], wanted.difference[:3])
    with pytest.raises(ValueError, match="a must be one of the settings"):
        result.compare({"learning_rate": 5.0}, {"learning_rate": 0.1})
    for wrong, words in (
        (0.1, "a must be a setting"),
        ({"learning_rate": "0.1"}, "learning_rate holds numbers"),
    ):
        with pytest.raises(TypeError, match=words):
            result.compare(wrong, {"learning_rate": 0.1})
    with pytest.raises(TypeError, match="learning_rate holds numbers"):
        result.select(learning_rate="0.1")


def test_a_setting_must_be_named_whole():
    made = scores(np.random.default_rng(0).normal(size=(3, 2, 4))).stack(
        member=["rate"], create_index=False
    )
    made = made.assign_coords(a=("member", [1, 1, 2, 2]), b=("member", [3, 4, 3, 4])).drop_vars(
        "rate"
    )
    with pytest.raises(ValueError, match="Name all their values"):
        compared(made, {"a": 1}, {"a": 2})
    assert compared(made, {"a": 1, "b": 3}, {"a": 2, "b": 3}).difference.n == 6


def test_a_curve_of_many_epochs_keeps_its_ends_and_has_few_points(result):
    long = result.scores.isel(epoch=np.arange(5000) % 3).assign_coords(epoch=np.arange(1, 5001))
    figure = plots.learning_curves(dataclasses.replace(result, scores=long))
    x = figure.axes[0].lines[0].get_xdata()
    assert (x[0], x[-1]) == (1, 5000) and len(x) == 400


@pytest.mark.filterwarnings("ignore:No artists with labels")
def test_a_study_that_diverged_as_a_whole_has_a_figure_without_lines(result):
    nothing = dataclasses.replace(
        result, scores=result.scores.map(lambda a: a * np.nan, keep_attrs=True)
    )
    assert plots.learning_curves(nothing).axes[0].lines[:] == []


def test_members_that_patience_has_ended_stay_in_the_learning_curves():
    values = np.array([[0.5, 0.9, np.nan, np.nan], [0.1, 0.2, 0.3, 0.4]])
    coordinates = {"rate": [1.0, 2.0], "epoch": [1, 2, 3, 4]}
    made = xarray.Dataset(
        {"accuracy": (("rate", "epoch"), values), "best_epoch": ("rate", [2, 4])}, coordinates
    )
    filled = _with_ended_members(made, "accuracy")["accuracy"].values
    assert filled[0].tolist() == [0.5, 0.9, 0.9, 0.9]
    assert filled[1].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_a_saved_result_is_the_same_again(result, tmp_path):
    made = iris_study()
    folder = result.save(tmp_path / "result")
    again = jnn.Result.load(folder, made)
    xarray.testing.assert_identical(again.scores, result.scores)
    np.testing.assert_array_equal(again.outputs(IRIS.x[:9]), result.outputs(IRIS.x[:9]))
    assert (
        str(again.summary()) == str(result.summary())
        and again.members.shape == result.members.shape
    )
    with pytest.raises(ValueError, match="loaded without"):
        jnn.Result.load(folder).predict(IRIS.x)
    assert jnn.Result.load(folder).trained.params["output"]["kernel"].shape == (24, 8, 3)


def test_names_in_any_alphabet_are_saved(result, tmp_path):
    scores = result.scores.rename(accuracy="точность %", learning_rate="λ a/b")
    folder = dataclasses.replace(result, scores=scores).save(tmp_path)
    xarray.testing.assert_identical(jnn.Result.load(folder).scores, scores)


def test_files_of_two_results_are_not_read_as_one(result, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    folder = result.save(tmp_path)
    (folder / "run.json").write_text("{}")
    monkeypatch.setattr("jnn.storage.save", die)
    with pytest.raises(KeyboardInterrupt):
        result.member(0).save(folder)
    with pytest.raises(ValueError, match="holds no result"):
        jnn.Result.load(folder)
    assert not (folder / "run.json").exists()


def test_a_result_is_not_loaded_with_another_study(result, tmp_path):
    folder = result.save(tmp_path)
    other = jnn.Study(
        functools.partial(jnn.models.MLP, 4, (), 3),
        jnn.losses.softmax_cross_entropy,
        optax.sgd(0.1),
    )
    with pytest.raises(ValueError, match="left over are"):
        jnn.Result.load(folder, other)
    with pytest.raises(ValueError, match="holds no result"):
        jnn.Result.load(tmp_path / "nothing")


def test_predictions_in_batches_are_those_of_one(result):
    one, batched = result.predict(IRIS.x), result.predict(IRIS.x, batch=64)
    np.testing.assert_allclose(one.members, batched.members, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.mean, one.members.mean(axis=0))
    assert one.mean.shape == one.std.shape == (150, 3)


def test_learning_curves_have_a_line_and_a_band_for_each_setting(result, tmp_path):
    figure = plots.learning_curves(result, "log_loss")
    (axes,) = figure.axes
    assert len(axes.lines) == len(axes.collections) == 2
    drawn = {line.get_label(): line.get_ydata()[-1] for line in axes.lines}
    final = result.final()["log_loss"].mean(("seed", "fold"))
    np.testing.assert_allclose(drawn["learning_rate=0.1"], final.sel(learning_rate=0.1), rtol=1e-6)
    assert plots.write(figure, tmp_path / "curves.png").stat().st_size > 5000


SAVED = pathlib.Path(__file__).parent / "fixtures" / "results_0_1"


def study_of_version_0_1(model, loss, **settings):
    return jnn.Study(
        model,
        loss,
        lambda h: optax.adam(h.learning_rate),
        hyper={"learning_rate": 0.01},
        epochs=2,
        batch_size=8,
        inputs=jnn.preprocess.standardize,
        **settings,
    )


def test_a_classification_that_version_0_1_saved_is_loaded_and_predicts_the_same():
    network = functools.partial(jnn.models.MLP, 4, (3,), 3)
    made = study_of_version_0_1(network, jnn.losses.softmax_cross_entropy)
    loaded = Result.load(SAVED / "iris", made)
    mean = np.load(SAVED / "iris" / "mean.npy")
    np.testing.assert_allclose(loaded.predict(IRIS.x[:5]).mean, mean, rtol=1e-5)
    assert loaded.schema.x == RowSpec((4,), "float32") and loaded.schema.classes == 3
    assert loaded.schema.target_names == IRIS.target_names
    assert loaded.higher_is_better("accuracy in %") and not loaded.higher_is_better("loss")
    assert "2 seeds x 2 folds" in str(loaded.summary("accuracy in %"))
    assert read_schema(SAVED / "iris") == loaded.schema


def test_a_table_that_version_0_1_saved_is_encoded_as_it_was_trained():
    frame = pandas.DataFrame({"town": ["north", "south"], "size": [10.13, 9.87]})
    made = study_of_version_0_1(
        functools.partial(jnn.models.MLP, 3, (), 1),
        jnn.losses.squared_error,
        targets=jnn.preprocess.standardize,
        keep="best",
        validation=0.25,
    )
    loaded = Result.load(SAVED / "table", made)
    first = loaded.predict(frame).mean[0]
    np.testing.assert_allclose(first, np.load(SAVED / "table" / "mean.npy")[0], rtol=1e-5)
    folds = loaded.schema.shared_test_rows
    assert len(folds) == 6 and folds[0] == (True, False, False, True, True, True)
    assert loaded.schema.keep == "best" and loaded.schema.train_rows == 12


def test_a_forecast_that_version_0_1_saved_takes_windows():
    network = functools.partial(jnn.models.NLinear, 6, 2)
    loaded = Result.load(SAVED / "series", study_of_version_0_1(network, jnn.losses.squared_error))
    series = np.sin(np.arange(40)).round(3)[:, None]
    windows = jnn.Dataset.from_series(series, 6, 2).x[np.arange(3)]
    mean = np.load(SAVED / "series" / "mean.npy")
    np.testing.assert_allclose(loaded.predict(windows).mean, mean, rtol=1e-5)
    assert loaded.schema.is_windowed and loaded.schema.x == RowSpec((6, 1), "float32", (0, 8))


@pytest.mark.parametrize(
    "data",
    [
        IRIS,
        jnn.Dataset.from_series(np.arange(20.0)[:, None], 4, 2),
        jnn.Dataset.from_texts(["so bad", "good film"], ["no", "yes"]),
        jnn.Dataset.from_dataframe(pandas.DataFrame({"a": ["x", "y"] * 4, "b": range(8)}), "b"),
    ],
    ids=lambda data: data.name,
)
def test_a_schema_is_the_same_after_json(data):
    schema = Schema.of_data(data, data, shared_test_rows=((True, True), (True, True)))
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema and again.encoding == data.encoding


def test_texts_of_a_tokenizer_that_is_not_saved_are_refused_when_they_are_predicted():
    words = jnn.data.WordTokenizer(("a", "b"))
    own = type("Own", (), {"size": 4, "encode": words.encode, "to_json": words.to_json})()
    schema = dataclasses.replace(
        SCHEMA, x=RowSpec((2,), "int32"), encoding=jnn.data.TextEncoding("text", own, 2)
    )
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    with pytest.raises(ValueError, match="tokenizer Own"):
        prepare_rows(["a b"], again)


def test_joined_results_are_their_members_one_after_the_other():
    first, second = iris_result(), linear_result()
    joined = Result.concat([first, second], architecture=["mlp", "linear"])
    assert len(joined.members) == 36
    assert joined.members.columns()["architecture"].tolist() == ["mlp"] * 24 + ["linear"] * 12
    assert "architecture" not in joined.members.numbers()
    x = IRIS.x[:5]
    members = joined.predict(x).members
    np.testing.assert_array_equal(members[:24], first.predict(x).members)
    np.testing.assert_array_equal(members[24:], second.predict(x).members)
    alone = joined.member(30).predict(x)
    np.testing.assert_allclose(alone.members[0], members[30], rtol=1e-5, atol=1e-6)
    mixed = joined.take(np.array([30, 2, 25]))
    np.testing.assert_allclose(mixed.predict(x).members, members[[30, 2, 25]], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="2 studies"):
        _ = joined.trained


def test_a_setting_of_text_is_a_column_of_the_summary_and_singles_out_members():
    first, second = iris_result(), linear_result()
    joined = Result.concat([first, second], architecture=["mlp", "linear"])
    rows = joined.summary().rows
    assert [row.setting["architecture"] for row in rows] == ["mlp", "mlp", "linear"]
    for row, mine in zip(rows, (*first.summary().rows, *second.summary().rows), strict=True):
        assert row.intervals == mine.intervals
    assert "linear" in str(joined.summary()) and "architecture=" in str(joined.best())
    chosen = joined.select(architecture="linear")
    np.testing.assert_array_equal(chosen.final()["loss"], second.final()["loss"].values.ravel())
    difference = joined.compare(
        {"architecture": "mlp", "learning_rate": 0.1}, {"architecture": "linear"}, "loss"
    ).difference
    mlp = first.final()["loss"].sel(learning_rate=0.1).values
    linear = second.final()["loss"].values[..., 0]
    assert difference.mean == pytest.approx((mlp - linear).mean(), rel=1e-5)
    with pytest.raises(TypeError, match="architecture holds text"):
        joined.select(architecture=1)
    labels = [line.get_label() for line in plots.learning_curves(joined).axes[0].lines]
    assert "learning_rate=0.1, architecture=linear" in labels


def test_joined_members_end_with_their_own_last_epoch():
    first, second = iris_result(), linear_result()
    joined = Result.concat([first, second], architecture=["mlp", "linear"])
    assert joined.scores.sizes["epoch"] == 4
    assert np.isnan(joined.scores["loss"].sel(epoch=4)[:24]).all()
    final = joined.final()["loss"].values
    np.testing.assert_array_equal(final[:24], first.final()["loss"].values.ravel())
    np.testing.assert_array_equal(final[24:], second.final()["loss"].values.ravel())


def test_joined_results_are_saved_and_loaded_with_the_studies_of_their_parts(tmp_path):
    first, second = iris_result(), linear_result()
    joined = Result.concat([first, second], architecture=["mlp", "linear"])
    folder = joined.save(tmp_path)
    again = Result.load(folder, [first.study, second.study])
    xarray.testing.assert_identical(again.scores, joined.scores)
    assert again.schema == joined.schema and str(again.summary()) == str(joined.summary())
    x = IRIS.x[:5]
    np.testing.assert_array_equal(again.predict(x).mean, joined.predict(x).mean)
    assert len(Result.load(folder).parts) == 2
    with pytest.raises(ValueError, match="2 studies, got 1"):
        Result.load(folder, first.study)


def test_parts_of_one_study_are_stacked():
    result = iris_result()
    places = np.arange(24)
    parts = [result.take(places[:10]), result.take(places[10:])]
    joined = Result.concat(parts)
    np.testing.assert_array_equal(joined.predict(IRIS.x).mean, result.predict(IRIS.x).mean)
    assert len(joined.parts) == 1
    assert str(joined.summary()) == str(result.summary())


def with_members(result, study, **columns):
    """A result whose members are said to have these columns and to be of this study."""
    seeds = jnn.seeds(3) * jnn.folds(4)
    table = seeds.columns() | columns
    members = jnn.Members({"member": {"member": np.arange(12), **table}}, seeds.split)
    part = dataclasses.replace(result.take(np.arange(12)).parts[0], study=study)
    return dataclasses.replace(result.take(np.arange(12)), members=members, parts=(part,))


def test_a_number_that_some_members_lack_is_that_of_their_study_or_none():
    fixed = with_members(linear_result(), iris_study(hyper={"learning_rate": 0.5}))
    numbers = {"learning_rate": np.full(12, 0.1), "weight_decay": np.full(12, 0.2)}
    joined = Result.concat([fixed, with_members(linear_result(), iris_study(), **numbers)])
    columns = joined.members.columns()
    assert columns["learning_rate"].tolist() == [0.5] * 12 + [0.1] * 12
    np.testing.assert_array_equal(columns["weight_decay"], [np.nan] * 12 + [0.2] * 12)
    assert [row.members for row in joined.summary().rows] == [12, 12]
    assert len(joined.select(weight_decay=np.nan).members) == 12
    assert "weight_decay" not in str(Result.concat([fixed]).summary())


def with_masks(masks, first=0):
    """A result of two seeds for each mask."""
    result = linear_result().take(np.arange(2 * len(masks)))
    members = (jnn.seeds(2, first=first) * jnn.grid(mask=masks))[:]
    coordinates = {"seed": ("member", members.columns()["seed"])}
    scores = result.scores.drop_vars(["fold", "learning_rate"]).assign_coords(coordinates)
    return dataclasses.replace(result, members=members, scores=scores)


def test_arrays_of_joined_results_are_told_apart_by_their_values():
    one, two = [1.0, 0.0], [0.0, 1.0]
    joined = Result.concat([with_masks([one, two]), with_masks([two, one], first=2)])
    columns = joined.members.columns()
    for index, mask in enumerate((one, two)):
        assert (columns["mask"][columns["mask_index"] == index] == mask).all()
    assert joined.scores["mask_index"].values.tolist() == columns["mask_index"].tolist()
    assert len(Result.concat([with_masks([one]), with_masks([two])]).summary().rows) == 2
    with pytest.raises(ValueError, match="comes twice"):
        Result.concat([with_masks([one]), with_masks([two, one])])


@pytest.mark.parametrize(
    "name", ["accuracy", "train_loss", "best_epoch", "kept_epoch", "rate_by_epoch"]
)
def test_a_setting_does_not_take_the_name_of_a_score(name):
    result = linear_result()
    with pytest.raises(ValueError, match="has a meaning"):
        Result.concat([result, result], **{name: ["a", "b"]})


def test_copies_within_one_result_and_numbers_by_epoch_are_joined():
    copies = linear_result().take(np.array([0, 0, 1]))
    rates = ("member", "epoch"), np.ones((3, 4))
    copies = dataclasses.replace(copies, scores=copies.scores.assign_coords(rate_by_epoch=rates))
    other = dataclasses.replace(copies, scores=copies.scores.isel(epoch=slice(2)))
    joined = Result.concat([copies, other], kind=["a", "b"])
    assert len(joined.members) == 6
    np.testing.assert_array_equal(joined.scores["rate_by_epoch"][:3], np.ones((3, 4)))
    np.testing.assert_array_equal(joined.scores["rate_by_epoch"][3:].isnull().sum("epoch"), 2)
    plain = dataclasses.replace(other, scores=other.scores.drop_vars("rate_by_epoch"))
    assert "rate_by_epoch" not in Result.concat([copies, plain], kind=["a", "b"]).scores.coords


def test_results_that_cannot_be_paired_are_not_joined():
    result = iris_result()
    few = result.member(0)
    other_rows = dataclasses.replace(few, schema=dataclasses.replace(few.schema, digest="other"))
    other_folds = dataclasses.replace(few, schema=dataclasses.replace(few.schema, split="5 folds"))
    other_data = dataclasses.replace(few, schema=dataclasses.replace(few.schema, data="wine"))
    other_scores = dataclasses.replace(few, scores=few.scores.drop_vars("log_loss"))
    for other, words in (
        (other_rows, "same rows"),
        (other_folds, "same rows"),
        (other_data, "same data"),
        (other_scores, "same scores"),
        (few, "comes twice"),
    ):
        with pytest.raises(ValueError, match=words):
            Result.concat([few, other])
    for settings, words in (
        ({"kind": ["a"]}, "one value for each"),
        ({"learning_rate": [1, 2]}, "has a meaning"),
    ):
        with pytest.raises(ValueError, match=words):
            Result.concat([few, few], **settings)
    for results in ([few, 3], [few, few.scores]):
        with pytest.raises(TypeError, match="list of results"):
            Result.concat(results)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: Result.concat(r), "results must be a list"),
        (lambda r: Result.concat(None), "results must be a list"),
        (lambda r: Result.concat([r, r], kind=3), "kind must be a list"),
        (lambda r: Result.concat([r, r], kind=[[1], [2, 3]]), "kind must hold"),
        (lambda r: Result.load("nothing", 3), "study must be a jnn.Study"),
        (lambda r: Result.load("nothing", [r.study, 3]), "study must be a jnn.Study"),
        (lambda r: r.take(0), "indices must be"),
        (lambda r: r.take("a"), "indices must be"),
        (lambda r: r.take([0.5]), "indices must be"),
        (lambda r: r.member("a"), "index must be"),
        (lambda r: r.member(1.5), "index must be"),
        (lambda r: r.member(True), "index must be"),
        (lambda r: r.export("nothing", member="a"), "member must be"),
        (lambda r: r.summary(confidence="a"), "confidence must be"),
        (lambda r: r.best(confidence=None), "confidence must be"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(call, words):
    with pytest.raises(TypeError, match=words):
        call(linear_result())


def test_members_that_are_not_there_are_refused():
    result = linear_result()
    assert len(result.take([]).members) == 0 and len(result.take(slice(2)).members) == 2
    for indices in ([12], np.ones(3, bool)):
        with pytest.raises(ValueError, match="indices must be places of 12 members"):
            result.take(indices)


def test_folds_of_other_rows_have_another_digest():
    digests = [
        digest_of(fold_data(iris_study(), IRIS, jnn.folds(2, seed=seed) * jnn.seeds(count)))
        for seed, count in ((0, 1), (0, 2), (1, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_rows_of_other_weights_have_another_digest():
    arrays = fold_data(iris_study(), IRIS, jnn.seeds(1))
    weights = np.ones(len(IRIS.x), np.float32)
    weighted = [arrays._replace(weights=w) for w in (None, weights, weights * IRIS.y)]
    assert len({digest_of(arrays) for arrays in weighted}) == 3


def test_a_result_is_not_loaded_with_other_shared_arrays(tmp_path):
    def apply(params, x, *, shared):
        return x @ shared["trunk"] @ params["w"]

    def made(trunk):
        model = (lambda key: {"w": np.zeros((2, 3), np.float32)}, apply)
        return study(model=model, epochs=1, shared={"trunk": trunk})

    trunk = np.ones((4, 2), np.float32)
    result = jnn.run(made(trunk), IRIS, jnn.seeds(1))
    folder = result.save(tmp_path)
    again = Result.load(folder, made(trunk.astype(np.float64)))
    np.testing.assert_array_equal(again.outputs(IRIS.x[:3]), result.outputs(IRIS.x[:3]))
    with pytest.raises(ValueError, match=r"Study\.shared must hold"):
        Result.load(folder, made(2 * trunk))
    notes = json.loads((folder / "result.json").read_text())
    del notes["schema"]["shared_digest"], notes["sha256"]  # as a former version wrote it
    (folder / "result.json").write_text(json.dumps(notes))
    assert Result.load(folder, made(2 * trunk)).schema.shared_digest == ""


def test_a_result_shows_itself_in_some_lines():
    text = repr(iris_result())
    assert len(text.splitlines()) < 12
    assert "24 members = 3 seed x 4 fold x 2 learning_rate" in text
    for words in ("iris", "classification, 3 classes", "MLP", "accuracy", "n=12", "seconds"):
        assert words in text
    assert "12 members: 3 seeds x 4 folds, 1 setting" in repr(linear_result().take(range(12)))
    assert repr(iris_result().summary()) == str(iris_result().summary())
    assert repr(iris_result().predict(IRIS.x[:2])).startswith(
        "Prediction(members=float32[24, 2, 3]"
    )
    assert repr(iris_result().best()).startswith("Choice(learning_rate=")


def test_a_forest_has_a_point_and_an_interval_for_each_setting_best_first():
    result = iris_result()
    (axes,) = result.plot.forest("log_loss").figure.axes
    points, _, (bars,) = axes.containers[0]
    intervals = [row.intervals["log_loss"] for row in result.summary("log_loss").rows]
    intervals.sort(key=lambda interval: interval.mean)
    np.testing.assert_allclose(points.get_xdata(), [i.mean for i in intervals])
    ends = [segment[:, 0] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [(i.low, i.high) for i in intervals])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(labels) == ["learning_rate=0.003", "learning_rate=0.1"]


def test_html_of_a_result_is_escaped():
    result = iris_result()
    named = dataclasses.replace(
        result,
        schema=dataclasses.replace(result.schema, data="<b>iris</b>"),
        scores=result.scores.rename(accuracy="<i>"),
    )
    for shown in (named._repr_html_(), named.summary()._repr_html_()):
        assert "<table>" in shown and "<b>" not in shown and "<i>" not in shown
        assert "&lt;b&gt;iris" in shown


def pickled(result):
    return pickle.loads(pickle.dumps(result))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_a_copied_or_pickled_result_is_the_same_after_it_predicted_too(duplicate):
    result = iris_result()
    x = IRIS.x[:3]
    members = result.predict(x).members
    again = duplicate(duplicate(result))
    np.testing.assert_array_equal(again.predict(x).members, members)
    xarray.testing.assert_identical(again.scores, result.scores)
    assert again.schema == result.schema and str(again.summary()) == str(result.summary())
    leaves = jax.tree.leaves([part.trained for part in again.parts])
    assert all(isinstance(leaf, np.ndarray) for leaf in leaves)


def test_a_result_whose_study_holds_a_lambda_says_which_field_cannot_be_pickled():
    result = iris_result()
    part = dataclasses.replace(
        result.parts[0], study=iris_study(optimizer=lambda h: optax.adam(h.learning_rate))
    )
    with pytest.raises(pickle.PicklingError, match=r"Study\.optimizer cannot be pickled"):
        pickle.dumps(dataclasses.replace(result, parts=(part,)))


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), jnn.storage.atomic_path(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_a_tree_is_not_mistaken_for_a_data_set_or_a_result(tmp_path):
    with pytest.raises(ValueError, match=r"jnn\.data\.load\('digits'\)"):
        jnn.load("digits")
    with pytest.raises(ValueError, match=r"jnn\.Result\.load"):
        jnn.load(iris_result().member(0).save(tmp_path / "result"))
    with pytest.raises(TypeError, match=r"jnn\.load\('tree', like\)"):
        jnn.load("tree")
