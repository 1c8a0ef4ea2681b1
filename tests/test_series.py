"""Series of a table: in order, of one step, told apart, and continued under their own dates."""

import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jnn
from jnn.cli._forecast import forecast
from jnn.data import Dataset, SeriesEncoding, Windows
from jnn.data._time_step import count_steps, find_step, next_times

HOURS = pd.date_range("2024-01-01", periods=40, freq="h")
LOAD = np.random.default_rng(0).standard_normal(40).cumsum()
TABLE = pd.DataFrame({"date": HOURS.astype(str), "load": LOAD})
TWO = pd.concat([TABLE.assign(id=3), TABLE.assign(id=1, load=-LOAD).iloc[:30]], ignore_index=True)


def windows(table, **options):
    return Dataset.from_series(table, 5, 2, **options)


def sliding(values, length):
    return np.lib.stride_tricks.sliding_window_view(values, length)[..., None]


@pytest.mark.parametrize(
    ("table", "how"),
    [
        (TABLE[::-1], "the newest came first"),
        (TABLE.sample(frac=1, random_state=0), "were not in the order of time"),
        (TABLE.assign(date=HOURS)[::-1], "the newest came first"),
        (TABLE[["load"]].set_axis(HOURS)[::-1], "the newest came first"),
        (TABLE.assign(date=HOURS.as_unit("s").asi8).rename(columns={"date": "ts"})[::-1], "newest"),
        (TABLE.assign(date=np.arange(40) / 10).rename(columns={"date": "t"})[::-1], "newest"),
        (
            pd.DataFrame({"day": HOURS.strftime("%d/%m/%Y"), "at": HOURS.strftime("%H:%M")}).assign(
                load=LOAD
            )[::-1],
            "newest",
        ),
        (
            pd.DataFrame({"year": 2024, "month": 1, "day": HOURS.day, "hour": HOURS.hour}).assign(
                load=LOAD
            )[::-1],
            "newest",
        ),
    ],
    ids=["text", "shuffled", "dates", "index", "stamps", "seconds", "clock", "parts"],
)
def test_rows_are_sorted_by_their_times_and_it_is_told(table, how):
    with pytest.warns(UserWarning, match=how):
        data = windows(table)
    np.testing.assert_allclose(data.x[:], sliding(LOAD, 5)[:-2], rtol=1e-6)
    assert data.feature_names == ("load",)


@pytest.mark.parametrize(
    "frequency",
    ["h", "15min", "D", "W-MON", "B", "MS", "ME", "QS", "QE", "YS", "YE", "BMS", "BME", "ms"],
)
def test_the_step_is_that_of_pandas_and_next_times_follow_it(frequency):
    times = pd.date_range("2024-02-05", periods=33, freq=frequency)
    known = pd.DatetimeIndex(times[:30], freq=None)
    step = find_step(known)
    assert (next_times(known[-1], step, 3) == times[30:]).all()
    assert (count_steps(known, step) == 1).all()
    assert count_steps(known.delete([7, 8, 20]), step)[[6, 17]].tolist() == [3, 2]


def test_days_of_a_zone_that_changes_its_clocks_are_one_step_apart():
    times = pd.date_range("2024-03-20", periods=30, freq="D", tz="Europe/Berlin")
    assert find_step(times) == "D" and (count_steps(times, "D") == 1).all()
    clocks = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin")
    table = pd.DataFrame({"date": clocks.tz_localize(None).astype(str), "v": np.sin(clocks.hour)})
    with pytest.warns(UserWarning, match="clocks in Europe/Berlin"):
        assert windows(table).rows == 60 - 7 + 1


@pytest.mark.parametrize(
    ("dates", "step"),
    [
        (pd.date_range("2020-01-01", periods=40, freq="MS").strftime("%d/%m/%Y"), "MS"),
        (pd.date_range("2020-01-01", periods=40, freq="D").strftime("%d.%m.%Y"), "D"),
        (pd.date_range("2020-01-01", periods=40, freq="D").strftime("%Y%m%d").astype(int), "D"),
        (pd.date_range("2020-01-01", periods=40, freq="MS").strftime("%b %Y"), "MS"),
        (pd.period_range("1990Q1", periods=40, freq="Q").astype(str), "3MS"),
        (pd.date_range("2020-01-15", periods=40, freq="D") + pd.DateOffset(months=0), "D"),
        (np.arange(1960, 2000), "12MS"),
    ],
    ids=["months", "days", "numbers", "names", "quarters", "midmonth", "years"],
)
def test_dates_are_read_as_they_are_written(dates, step):
    data = windows(TABLE.assign(date=dates))
    assert (data.encoding.step, data.feature_names) == (step, ("load",))
    again = SeriesEncoding.from_json(data.encoding.to_json())
    tails = again.tails(TABLE.assign(date=dates)[:-2])
    written = again.next_times(tails.last[0], 2)
    expected = np.asarray(dates)[-2:].astype(str)
    assert [str(time)[:10] for time in written] == [text[:10] for text in expected]


def test_no_window_reaches_across_a_gap_and_no_target_is_on_both_sides_of_a_fold():
    table = TABLE.drop(index=[12, 13, 25])
    with pytest.warns(UserWarning, match=r"2 gaps in 'date' \(3 missing, at .* 1 hour\)"):
        data = windows(table)
    parts = [LOAD[:12], LOAD[14:25], LOAD[26:]]
    expected = np.concatenate([sliding(part, 7) for part in parts])
    np.testing.assert_allclose(np.concatenate([data.x[:], data.y[:]], axis=1), expected, rtol=1e-6)
    for fold in jnn.folds(3).split.rows(data):
        assert data.until[fold.train].max() < data.times[fold.test].min()
    assert windows(table, gaps="ignore").rows == 37 - 6


def test_several_series_share_folds_in_time_and_no_window():
    data = windows(TWO, series="id")
    for name, values in ((3, LOAD), (1, -LOAD[:30])):
        rows = data.groups == name
        expected = sliding(values, 7)
        np.testing.assert_allclose(data.x[rows], expected[:, :5], rtol=1e-6)
        np.testing.assert_allclose(data.y[rows], expected[:, 5:], rtol=1e-6)
        assert (data.times[rows] == HOURS[5:][: len(expected)]).all()
    for members in (jnn.folds(3), jnn.holdout(0.3)):
        for fold in members.split.rows(data):
            assert data.until[fold.train].max() < data.times[fold.test].min()
            assert len(set(data.groups[fold.train])) == 2
    for fold in jnn.folds(2, kind="grouped").split.rows(data):
        assert not set(data.groups[fold.train]) & set(data.groups[fold.test])
    part = data.take(data.times < HOURS[20])
    np.testing.assert_array_equal(part.x[:], data.x[data.times < HOURS[20]])


@pytest.mark.parametrize("form", [list, dict, np.stack])
def test_several_series_may_be_arrays(form):
    values = np.random.default_rng(1).standard_normal((2, 20, 3))
    several = {"a": values[0], "b": values[1]} if form is dict else form(list(values))
    data = windows(several)
    assert data.rows == 2 * (20 - 7 + 1) and data.x.shape[1:] == (5, 3)
    own = windows(values[1])
    np.testing.assert_array_equal(data.x[data.groups == ("b" if form is dict else 1)], own.x[:])
    for fold in jnn.folds(3).split.rows(data):
        assert data.until[fold.train].max() < data.times[fold.test].min()


def test_windows_that_begin_anywhere_train_as_the_same_rows_written_out():
    values = np.random.default_rng(2).standard_normal((30, 2)).astype(np.float32)
    starts = np.array([3, 0, 15, 16, 22], np.int32)
    x, y = Windows(values, 5, 0, 7, starts), Windows(values, 2, 5, 7, starts)
    assert x.shape == (5, 5, 2)
    np.testing.assert_array_equal(x[[2]], values[None, 15:20])
    covered = np.zeros(30)
    covered[15:23] = 1  # rows 2 and 3
    np.testing.assert_array_equal(x.covered(jnp.array([0, 0, 1, 1, 0])), covered)

    def study(apply):
        model = (lambda key, x: {"w": jnp.ones((5, 2))}, apply)
        return jnn.Study(model, jnn.losses.squared_error, optax.sgd(0.1), epochs=2, batch_size=2)

    series = Dataset(x, y, "regression")
    rows = Dataset(x[:].reshape(5, -1), y[:].reshape(5, -1), "regression")
    split = jnn.folds([(np.array([0, 1, 2]), np.array([3, 4]))])
    one = jnn.run(study(lambda p, x: jnp.einsum("btc,th->bhc", x, p["w"])), series, split)
    flat = lambda p, x: jnp.einsum("btc,th->bhc", x.reshape(-1, 5, 2), p["w"]).reshape(-1, 4)  # noqa: E731
    two = jnn.run(study(flat), rows, split)
    np.testing.assert_allclose(one.scores["loss"], two.scores["loss"], rtol=1e-5)


def test_each_series_is_continued_under_its_id_and_the_next_dates(tmp_path):
    shifted = TWO.assign(load=TWO["load"] + 1e9)  # float32 has steps of 64 there
    data = windows(shifted, series="id")
    last = (lambda key, x: {"b": jnp.zeros(1)}, lambda p, x: x[:, -2:] + p["b"])  # repeats two
    study = jnn.Study(last, jnn.losses.squared_error, optax.sgd(0.0), epochs=1, batch_size=8)
    result = jnn.run(study, data, jnn.seeds(2) * jnn.holdout(0.2))
    result.save(tmp_path / "run")
    loaded = jnn.Result.load(tmp_path / "run", study)
    shifted[::-1].to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(UserWarning, match="newest"):
        mean = loaded.predict(pd.read_csv(tmp_path / "t.csv")).mean
    np.testing.assert_allclose(mean[1, :, 0], LOAD[38:] + 1e9, rtol=1e-13)
    table = forecast(loaded, tmp_path / "t.csv")
    assert list(table.columns) == ["id", "step", "date", "load", "std(load)"]
    assert table["id"].tolist() == [1, 1, 3, 3] and table["step"].tolist() == [1, 2, 1, 2]
    assert table["date"].tolist() == [
        *("2024-01-02 06:00:00", "2024-01-02 07:00:00"),
        *("2024-01-02 16:00:00", "2024-01-02 17:00:00"),
    ]
    np.testing.assert_allclose(table["load"][:2], -LOAD[28:30] + 1e9, rtol=1e-13)


IRREGULAR = HOURS + pd.to_timedelta(np.random.default_rng(0).integers(0, 3000, 40), unit="min")
REFUSED = [
    (TWO, {}, r"be different within.*Pass series='id', because 'id' seem"),
    (
        pd.concat([TWO.assign(item="a"), TWO.assign(item="b")]),
        {},
        r"Pass series=\['id', 'item'\], because 'id' and 'item' seem to tell",
    ),
    (pd.concat([TABLE, TABLE[:3]]), {}, r"be different within.* \(3 rows repeat a time\). Drop"),
    (TWO.drop(columns="date"), {}, r"column 'id' has 2 values.*series='id'"),
    (TWO.drop(columns="date"), {"channels": ["load"]}, "column 'id' has 2 values"),
    (
        TWO.drop(columns="date").sample(frac=1, random_state=0).assign(day=range(70)),
        {},
        "column 'id' has 2 values",
    ),
    (TABLE.assign(date=IRREGULAR.sort_values()), {}, "'date' must have one step, got steps from"),
    (TABLE[np.arange(40) % 5 > 0], {}, "none because of 7 gaps.*gaps='ignore'"),
    (
        pd.concat(
            [TWO[:40], TWO[40:].assign(date=HOURS[:1].repeat(30) + pd.to_timedelta(range(30), "D"))]
        ),
        {"series": "id"},
        "of series id=1 must have the step of 1 hour, got steps from 1 days",
    ),
    (TABLE.assign(date=TABLE["date"].where(TABLE.index != 4, "?")), {}, r"date, got '\?' in row 5"),
    (TABLE.assign(date=TABLE["date"].where(TABLE.index != 4)), {}, "1 missing .* in row 5"),
    (TABLE.assign(made=TABLE["date"]), {}, r"one time axis, got .*\['date', 'made'\]"),
    (TABLE[:9].assign(date=[f"{i}/1/2024" for i in range(1, 10)]), {}, "the day may come first"),
    (TABLE.assign(load=5), {}, "must vary, got 5.0 at all 40 steps of channel 'load'"),
    (TABLE, {"series": "who"}, "among the columns"),
    (TABLE, {"gaps": "x"}, "gaps must be"),
    (TABLE.assign(load="a"), {}, "must have a column of numbers"),
    (np.ones((30, 2)), {}, "must vary, got 1.0 at all 30 steps"),
    (LOAD, {}, r"must be of shape \[time, channels\]"),
    ([np.ones((9, 2)), np.ones((9, 1))], {}, "must have the same channels"),
]


@pytest.mark.parametrize(("table", "options", "words"), REFUSED, ids=[w for *_, w in REFUSED])
def test_what_windows_cannot_be_cut_from_is_refused_with_the_way_out(table, options, words):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=words):
        windows(table, **options)


@pytest.mark.parametrize(
    ("length", "horizon", "error", "words"),
    [
        (4.0, 2, TypeError, "length must be a positive integer, got 4.0"),
        (4, 0, ValueError, "horizon must be a positive integer, got 0"),
        (True, 2, TypeError, "length must be a positive integer, got True"),
        (40, 2, ValueError, "fit the series of 40 steps, got 40 steps and 2"),
    ],
)
def test_numbers_of_steps_are_whole_and_positive(length, horizon, error, words):
    with pytest.raises(error, match=words):
        Dataset.from_series(TABLE, length, horizon)


def test_the_last_steps_of_a_forecast_are_whole_but_earlier_ones_may_be_missing():
    encoding = windows(TABLE).encoding
    early = TABLE.assign(load=TABLE["load"].where(TABLE.index != 3))
    np.testing.assert_allclose(encoding.tails(early).values[0, :, 0], LOAD[-5:])
    with pytest.raises(ValueError, match=r"none in 'load', 2 rows from the end"):
        encoding.tails(TABLE.assign(load=TABLE["load"].where(TABLE.index != 38)))
    with pytest.raises(ValueError, match="must have no gap in 'date'"):
        encoding.tails(TABLE.drop(index=37))
    with pytest.raises(ValueError, match=r"at least 5 steps of 1 channels, but has 4"):
        encoding.tails(TABLE[:4])
    with pytest.raises(ValueError, match="step of training, 1 hour, got 1 day"):
        encoding.tails(TABLE.assign(date=pd.date_range("2024-01-01", periods=40).astype(str)))
    assert encoding.tails(TABLE[["load"]]).last is None  # a table without dates is in order


def test_a_target_called_as_a_deviation_keeps_its_predictions():
    from jnn.cli._column_names import mean_and_std

    mean, std = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    columns = mean_and_std(["y", "std(y)"], mean, std)
    assert {name: values[0] for name, values in columns.items()} == {
        "y": 1,
        "std(y)": 2,
        "std(y)_": 3,
        "std(std(y))": 4,
    }


def test_the_command_line_tells_what_was_sorted_and_which_series_there_are(
    tmp_path, monkeypatch, capsys
):
    from jnn.cli._command import parse
    from jnn.cli._job import make_job

    monkeypatch.chdir(tmp_path)
    TWO[::-1].to_csv("two.csv", index=False)
    words = ["run", "two.csv", "--horizon", "2", "--window", "5", "--model", "nlinear"]
    with pytest.raises(ValueError, match="series='id'"):
        make_job(parse(words))
    assert capsys.readouterr().err == ""
    job = make_job(parse([*words, "--series", "id", "--time", "date"]))
    assert "note: The rows are sorted by 'date'" in capsys.readouterr().err
    assert job.data.encoding.description == (
        "steps of 1 hour in 'date', series by 'id', channels: load"
    )
