"""Results: named axes, tables with honest intervals, choices that do not flatter, and folders that give them back."""

import dataclasses
import functools

import numpy as np
import optax
import pytest
import xarray

import jnn
from jnn import plots, stats
from jnn.result import (
    Result,
    RowSpec,
    Schema,
    choose,
    compare,
    make_summary,
    read_schema,
    shared_test_rows,
)
from jnn.result._table import matches

IRIS = jnn.data.load("iris")
MEMBERS = jnn.seeds(3) * jnn.folds(4) * jnn.grid(learning_rate=[0.003, 0.1])


def study():
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, (8,), 3, dropout_rate=0.1),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy, "log_loss": jnn.metrics.log_loss},
        epochs=3,
        batch_size=16,
        inputs=jnn.preprocess.standardize,
    )


@pytest.fixture(scope="module")
def result():
    return jnn.run(study(), IRIS, MEMBERS)


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
    filled = plots._with_ended_members(made, "accuracy")["accuracy"].values
    assert filled[0].tolist() == [0.5, 0.9, 0.9, 0.9]
    assert filled[1].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_a_saved_result_is_the_same_again(result, tmp_path):
    made = study()
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
