"""`jnn predict`: from a folder and a file of rows to a table of predictions with their spread."""

import dataclasses
import gzip
import json
import pathlib
import tracemalloc
from types import SimpleNamespace

import chex
import jax
import numpy as np
import pandas
import pytest

import jnn
from jnn.cli import main
from jnn.cli._command import Run
from jnn.cli._job import make_job, study_of
from jnn.cli._predict_file import predict_file, usable
from jnn.recipes import About
from jnn.result import Prediction, Schema, prepare_rows, read_schema


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)


def study_in(folder, command):
    """The study of the result in a folder."""
    return study_of(command, About.from_schema(read_schema(folder)))


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A run on a table, whose file is gone; its rows."""
    folder = tmp_path_factory.mktemp("houses")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {"size": random.normal(1e3, 1e2, 80), "town": random.choice(["north", "south"], 80)}
    )
    frame["price"] = 3 * frame["size"] + 500 * (frame["town"] == "north")
    frame.to_csv(folder / "houses.csv", index=False)
    arguments = [
        "--seeds",
        "2",
        "--folds",
        "2",
        "--epochs",
        "30",
        "--model",
        "mlp:",
        "--grid",
        "learning_rate=0.001,0.1",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jnn.cli._setup.configure_jax", lambda: None)
        main(
            [
                "run",
                str(folder / "houses.csv"),
                "--target",
                "price",
                *arguments,
                "--out",
                str(folder / "run"),
            ]
        )
    (folder / "houses.csv").unlink()
    return folder / "run", frame


def test_predictions_are_the_best_members_mean_and_spread(houses, tmp_path, capsys):
    folder, frame = houses
    new = frame.iloc[:7][
        ["town", "price", "size"]
    ]  # columns in another order, the target among them
    new.to_csv("new.csv", index=False)
    main(["predict", str(folder), "new.csv", "--batch", "3"])
    assert "7 rows by 4 members of learning_rate=0.1" in capsys.readouterr().out
    got = pandas.read_csv("predictions.csv")
    command = Run("houses.csv", target="price", model="mlp:", grid=("learning_rate=0.001,0.1",))
    result = jnn.Result.load(folder, study_in(folder, command)).select(learning_rate=0.1)
    x = np.stack([new["size"], new["town"] == "north", new["town"] == "south"], axis=1).astype(
        np.float32
    )
    wanted = result.predict(x)
    np.testing.assert_allclose(got["price"], wanted.mean[:, 0], rtol=1e-5)
    np.testing.assert_allclose(got["std(price)"], wanted.std[:, 0], rtol=1e-3)
    assert np.abs(got["price"] - new["price"].to_numpy()).max() < 150  # prices spread by 390


def test_a_packed_table_and_one_of_tabs_are_predicted_alike(houses, tmp_path):
    folder, frame = houses
    tables = []
    for name, separator in (("new.csv", ","), ("new.csv.gz", ","), ("new.tsv", "\t")):
        frame[:5].to_csv(name, sep=separator, index=False)
        main(["predict", str(folder), name])
        tables.append((tmp_path / "predictions.csv").read_text())
    assert tables[0] == tables[1] == tables[2] and tables[0].count("\n") == 6


WORDS = ["true", "false", "unknown", "true"] * 10
CODES = ["01", "A1", "B1", "02"] * 10
FLAGS = ["true", "false", "true", "true", "false"] * 8


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rows_of_training_are_predicted_by_whatever_rows_stand_beside_them(coded, batch, tmp_path):
    """Alone, rows 0 and 3 hold words that pandas reads as bools and codes it reads as numbers."""
    folder, lines = coded
    wanted = predictions(folder, lines, 64)
    for rows in ([0, 3], [0], [1, 0], [3, 20, 2]):
        got = predictions(folder, [lines[0], *(lines[1 + row] for row in rows)], batch)
        np.testing.assert_allclose(got.iloc[:, 1:], wanted.iloc[rows, 1:], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A run on categories that look like bools and numbers, and the lines of its table."""
    folder = tmp_path_factory.mktemp("coded")
    rows = zip(WORDS, CODES, FLAGS, ["yes", "no", "no", "yes"] * 10, strict=True)
    lines = ["word,code,flag,answer", *map(",".join, rows)]
    (folder / "coded.csv").write_text("\n".join(lines))
    arguments = [
        "--target",
        "answer",
        "--seeds",
        "2",
        "--folds",
        "1",
        "--epochs",
        "2",
        "--model",
        "mlp:",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jnn.cli._setup.configure_jax", lambda: None)
        main(["run", str(folder / "coded.csv"), *arguments, "--out", str(folder / "run")])
    return folder / "run", lines


def predictions(folder, lines, batch):
    pathlib.Path("new.csv").write_text("\n".join(lines))
    main(["predict", str(folder), "new.csv", "--members", "all", "--batch", str(batch)])
    return pandas.read_csv("predictions.csv")


def test_classes_come_by_name_from_an_array_or_a_table(tmp_path, capsys):
    main(
        [
            "run",
            "iris",
            "--seeds",
            "2",
            "--folds",
            "1",
            "--epochs",
            "30",
            "--model",
            "mlp:",
            "--out",
            "run",
        ]
    )
    iris = jnn.data.load("iris")
    np.save("rows.npy", iris.x)
    main(["predict", "run", "rows.npy", "--members", "all"])
    assert "150 rows by 6 members" in capsys.readouterr().out
    got = pandas.read_csv("predictions.csv")
    names = [f"p({name})" for name in iris.target_names]
    np.testing.assert_allclose(got[names].sum(axis=1), 1, rtol=1e-5)
    assert (
        got["prediction"] == np.array(iris.target_names)[got[names].to_numpy().argmax(axis=1)]
    ).all()
    assert (got["prediction"] == np.array(iris.target_names)[iris.y]).mean() > 0.8
    pandas.DataFrame(iris.x, columns=list(iris.feature_names)).to_csv("rows.csv", index=False)
    main(["predict", "run", "rows.csv", "--members", "all", "--out", "table.csv"])
    np.testing.assert_allclose(
        pandas.read_csv("table.csv")[names], got[names], rtol=1e-5, atol=1e-6
    )


def test_members_that_diverged_are_left_out(houses):
    folder, _ = houses
    result = jnn.Result.load(folder)
    result.scores["rmse"][0, 1, 1, -1] = np.nan
    kept, diverged = usable(result)
    assert diverged == 1 and len(kept.members) == 7
    result.scores["rmse"][:] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        usable(result)


def test_predictions_that_are_not_finite_are_told(houses, tmp_path):
    folder, frame = houses
    frame[:2].to_csv("new.csv", index=False)
    command = Run("houses.csv", target="price", model="mlp:", grid=("learning_rate=0.001,0.1",))
    result = jnn.Result.load(folder, study_in(folder, command))
    lost = jax.tree.map(lambda a: np.full_like(a, np.nan), result.trained.params)
    part = dataclasses.replace(result.parts[0], trained=result.trained._replace(params=lost))
    result = dataclasses.replace(result, parts=(part,))
    with pytest.raises(
        ValueError, match=r"predictions must be finite, but number 1 of those for new\.csv"
    ):
        predict_file(result, pathlib.Path("new.csv"), tmp_path / "out.csv")
    assert not list(tmp_path.glob("out*"))


def test_the_models_are_listed(capsys):
    main(["models"])
    assert "resnet:18" in capsys.readouterr().out


WRONG = [
    (["nowhere", "new.csv"], "no command.json"),
    (["unfinished", "new.csv"], "no result.json"),
    (["RUN", "absent.csv"], "absent.csv does not exist"),
    (["RUN", "new.json"], "must be a table (.csv, .tsv) or an array"),
    (["RUN", "empty.csv"], "header"),
    (["RUN", "header.csv"], "at least one row"),
    (["RUN", "fewer.csv"], "'town'"),
    (["RUN", "hole.csv"], "missing"),
    (["RUN", "wide.npy"], "rows of shape (3,)"),
    (["RUN", "twice.csv"], "['size'] more than once"),
    (["RUN", "long.csv"], "Expected 2 fields"),
    (["RUN", "infinite.csv"], "row 2 of infinite.csv has NaN"),
    (["RUN", "nan.npy", "--batch", "2"], "row 4 of nan.npy has NaN"),
    (["RUN", "late.csv", "--batch", "1"], "missing values: 1 in 'town'"),
    (["RUN", "slip.csv", "--batch", "1"], "got 'big' in row 3"),
    (["RUN", "new.csv", "--batch", "0"], "at least 1 row"),
    (["RUN", "new.csv", "--out", "new.csv"], "a file of its own"),
    (["RUN", "new.csv", "--out", "RUN/result.json"], "a file of its own"),
    (["RUN", "new.csv", "--out", "nowhere/p.csv"], "an existing folder"),
    (["RUN", "cut.npy"], "cut.npy must hold an array of numbers"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_input_gets_one_sentence_and_no_file(houses, arguments, words, tmp_path, capsys):
    files = {
        "new.csv": "size,town\n1000,north",
        "new.json": "",
        "empty.csv": "",
        "header.csv": "size,town",
    }
    files |= {
        "fewer.csv": "size\n1000",
        "hole.csv": "size,town\n,north",
    }
    files |= {
        "infinite.csv": "size,town\n1,north\n-inf,north",
        "late.csv": "size,town\n1,north\n1,",
    }
    files |= {"slip.csv": "size,town\n1,north\n2,north\nbig,north"}
    files |= {"twice.csv": "size,size,town\n1,1,north", "long.csv": "size,town\n1,north,0"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "cut.npy").write_bytes(b"")
    np.save("wide.npy", np.zeros((2, 5)))
    np.save("nan.npy", np.where(np.arange(5)[:, None] == 3, [1, np.nan, 0], 0.0))
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "command.json").write_text(json.dumps({"data": "iris", "grid": []}))
    with pytest.raises(SystemExit) as stop:
        main(["predict", *(a.replace("RUN", str(houses[0])) for a in arguments)])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and words in told and told.count("\n") == 1
    assert not list(tmp_path.glob("predictions.csv*"))


REVIEWS = ["a fine film", "so bad", "fine and moving", "bad and dull", "a moving film", "dull"] * 8
OPINIONS = ["good", "bad", "good", "bad", "good", "bad"] * 8
TEXTS = [
    "--seeds",
    "2",
    "--folds",
    "2",
    "--epochs",
    "15",
    "--batch-size",
    "8",
    "--model",
    "textcnn:8,8",
    "--grid",
    "learning_rate=0.03",
]


def test_texts_of_ones_own_are_read_and_predicted_as_they_are(tmp_path, capsys):
    frame = pandas.DataFrame({"number": range(48), "review": REVIEWS, "opinion": OPINIONS})
    frame.to_csv("reviews.csv", index=False)
    main(["run", "reviews.csv", "--target", "opinion", "--text", "review", *TEXTS, "--out", "run"])
    (tmp_path / "reviews.csv").unlink()
    new = [
        "a fine and moving film",
        "dull and bad indeed",
    ]  # longer than any before, with an unknown word
    (tmp_path / "new.txt").write_text("\n".join(new) + "\n")
    pandas.DataFrame({"review": new, "year": [1, 2]}).to_csv("new.csv", index=False)
    pandas.DataFrame({"review": new, "year": [1, 2]}).to_csv("semicolons.csv", index=False, sep=";")
    (tmp_path / "new.txt.gz").write_bytes(gzip.compress((tmp_path / "new.txt").read_bytes()))
    files = {"new.txt": [], "new.txt.gz": [], "new.csv": [], "semicolons.csv": ["--separator", ";"]}
    for file, options in files.items():
        main(["predict", "run", file, "--out", f"{file}.csv", *options])
    tables = [pandas.read_csv(f"{file}.csv") for file in files]
    assert list(tables[0]["prediction"]) == ["good", "bad"]
    for table in tables[1:]:
        pandas.testing.assert_frame_equal(tables[0], table)
    command = Run(
        "reviews.csv",
        target="opinion",
        text="review",
        model="textcnn:8,8",
        grid=("learning_rate=.03",),
    )
    result = jnn.Result.load("run", study_in("run", command))
    np.testing.assert_allclose(result.predict(new).mean[:, 1], tables[0]["p(good)"], rtol=1e-5)
    chex.assert_trees_all_equal(result.predict(new), result.predict(np.array(new, object)))
    pandas.DataFrame({"words": new, "year": [1, 2]}).to_csv("other.csv", index=False)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes("un caf\xe9".encode("latin-1"))
    (tmp_path / "lines.txt").write_bytes("a fine\u2028film\r\n\r\nso\x0cbad\x85indeed\n".encode())
    main(["predict", "run", "lines.txt", "--out", "lines.csv"])
    assert len(pandas.read_csv("lines.csv")) == 3
    wrong = (
        ("other.csv", "texts in a column 'review'"),
        ("empty.txt", "must have a text in each line"),
        ("latin.txt", "latin.txt"),
    )
    main(["predict", "run", "semicolons.csv"])  # its separator is told from the file
    assert len(pandas.read_csv("predictions.csv")) == 2
    for file, words in wrong:
        with pytest.raises(SystemExit):
            main(["predict", "run", file])
        assert words in capsys.readouterr().err


def test_a_series_of_ones_own_is_forecast_from_its_last_steps(tmp_path, capsys):
    time = np.arange(260)
    frame = pandas.DataFrame({
        "date": pandas.date_range("2020-01-01", periods=260).astype(str),
        "load": 50 + 10 * np.sin(time * np.pi / 6), "heat": 5 + 2 * np.cos(time * np.pi / 6),
    })  # fmt: skip
    frame[:240].to_csv("load.csv", index=False)
    arguments = [
        "--window",
        "24",
        "--horizon",
        "6",
        "--model",
        "nlinear",
        "--seeds",
        "2",
        "--folds",
        "2",
    ]
    main(
        [
            "run",
            "load.csv",
            *arguments,
            "--epochs",
            "30",
            "--grid",
            "learning_rate=0.01",
            "--out",
            "run",
        ]
    )
    frame[150:240].to_csv("last.csv", index=False)
    main(["predict", "run", "last.csv"])
    assert "6 rows by 4 members" in capsys.readouterr().out
    got = pandas.read_csv("predictions.csv")
    assert list(got.columns) == ["step", "date", "load", "heat", "std(load)", "std(heat)"]
    assert got["date"].tolist() == frame["date"][240:246].tolist()
    for name, most in (("load", 1.0), ("heat", 0.2)):
        assert np.abs(got[name] - frame[name][240:246].to_numpy()).max() < most
    frame[:20].to_csv("short.csv", index=False)
    wrong = (
        (["short.csv"], "must have at least 24 steps of 2 channels"),
        (["last.csv", "--out", "load.csv"], "of its own"),
    )
    for arguments, words in wrong:
        with pytest.raises(SystemExit):
            main(["predict", "run", *arguments])
        assert words in capsys.readouterr().err


def test_one_channel_of_a_series_may_be_chosen(tmp_path):
    pandas.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0)[::-1]}).to_csv(
        "two.csv", index=False
    )
    job = make_job(Run("two.csv", target="b", window=8, horizon=2, model="nlinear"))
    assert job.data.feature_names == ("b",) and job.data.x.shape[1:] == (8, 1)
    np.testing.assert_array_equal(job.data.x[np.array([0])][0, :, 0], np.arange(59.0, 51.0, -1))
    dropped = make_job(Run("two.csv", drop="a", window=8, horizon=2, model="nlinear"))
    assert dropped.data.feature_names == ("b",)
    for target, words in (
        ("c", "must be among the columns"),
        ("a,b,c", "must be among the columns"),
    ):
        with pytest.raises(ValueError, match=words):
            make_job(Run("two.csv", target=target, window=8, horizon=2, model="nlinear"))


def test_a_channel_called_step_stays_beside_the_numbers_of_the_steps(tmp_path):
    frame = pandas.DataFrame({"step": np.arange(9.0)})
    data = jnn.Dataset.from_series(frame, 3, 2)
    answer = Prediction(None, np.full((1, 2, 1), 7.0), np.zeros((1, 2, 1)))
    result = SimpleNamespace(schema=Schema.of_data(data, data), predict=lambda x: answer)
    frame.to_csv("new.csv", index=False)
    predict_file(result, pathlib.Path("new.csv"), pathlib.Path("out.csv"))
    table = pandas.read_csv("out.csv")
    assert table.to_dict("list") == {"step_": [1, 2], "step": [7, 7], "std(step)": [0, 0]}


KNOWN = jnn.Dataset.from_texts(
    ["so bad", "good film"], [0, 1]
)  # 4 words, padding and the unknown word


@pytest.mark.parametrize(
    ("ids", "words"), [([0, 6], "from 0 to 5, .* got 6"), ([-1, 0], "from 0 to 5, .* got -1")]
)
def test_ids_of_no_word_are_told_as_they_are_read(ids, words):
    schema = Schema.of_data(KNOWN, KNOWN)
    checked = prepare_rows(np.array([[0, 5], ids]), schema)
    np.testing.assert_array_equal(checked[:1], [[0, 5]])
    with pytest.raises(ValueError, match=words):
        checked[1:]


def test_arrays_of_ids_bound_them_only_below():
    seen = jnn.Dataset.from_arrays(
        [[0, 3], [1, 2]], [0, 1], ids=True
    )  # of a vocabulary that may be larger
    checked = prepare_rows(np.array([[9, 0], [0, -1]]), Schema.of_data(seen, seen))
    np.testing.assert_array_equal(checked[:1], [[9, 0]])
    with pytest.raises(ValueError, match=r"token ids from 0 on, .* got -1"):
        checked[1:]


def test_a_long_text_does_not_make_the_others_as_long():
    texts = ["short"] * 500 + ["long " * 20_000]
    tracemalloc.start()
    checked = prepare_rows(texts, Schema.of_data(KNOWN, KNOWN))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(checked) == 501 and peak < 50e6  # an array of characters takes 200 MB
