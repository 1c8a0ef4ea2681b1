"""`jnn predict`: from a folder and a file of rows to a table of predictions with their spread."""

import json

import numpy as np
import pandas
import pytest

import jnn
from jnn import recipe
from jnn.cli import main
from jnn.inference import usable
from jnn.result import read_scores


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jnn.cli._configure_jax", lambda: None)


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A run on a table, whose file is gone; its rows."""
    folder = tmp_path_factory.mktemp("houses")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"size": random.normal(1e3, 1e2, 80), "town": random.choice(["north", "south"], 80)})
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
        patch.setattr("jnn.cli._configure_jax", lambda: None)
        main(["run", str(folder / "houses.csv"), "--target", "price", *arguments, "--out", str(folder / "run")])
    (folder / "houses.csv").unlink()
    return folder / "run", frame


def test_predictions_are_the_best_members_mean_and_spread(houses, tmp_path, capsys):
    folder, frame = houses
    new = frame.iloc[:7][["town", "price", "size"]]  # columns in another order, the target among them
    new.to_csv("new.csv", index=False)
    main(["predict", str(folder), "new.csv", "--batch", "3"])
    assert "7 rows by 4 members of learning_rate=0.1" in capsys.readouterr().out
    got = pandas.read_csv("predictions.csv")
    command = recipe.Run("houses.csv", target="price", model="mlp:", grid=("learning_rate=0.001,0.1",))
    result = jnn.Result.load(folder, recipe.study_of(command, read_scores(folder).attrs)).select(learning_rate=0.1)
    x = np.stack([new["size"], new["town"] == "north", new["town"] == "south"], axis=1).astype(np.float32)
    wanted = result.predict(x)
    np.testing.assert_allclose(got["price"], wanted.mean[:, 0], rtol=1e-5)
    np.testing.assert_allclose(got["std(price)"], wanted.std[:, 0], rtol=1e-3)
    assert np.abs(got["price"] - new["price"].to_numpy()).max() < 150  # prices spread by 390


def test_classes_come_by_name_from_an_array_or_a_table(tmp_path, capsys):
    main(["run", "iris", "--seeds", "2", "--folds", "1", "--epochs", "30", "--model", "mlp:", "--out", "run"])
    iris = jnn.data.load("iris")
    np.save("rows.npy", iris.x)
    main(["predict", "run", "rows.npy", "--members", "all"])
    assert "150 rows by 6 members" in capsys.readouterr().out
    got = pandas.read_csv("predictions.csv")
    names = [f"p({name})" for name in iris.target_names]
    np.testing.assert_allclose(got[names].sum(axis=1), 1, rtol=1e-5)
    assert (got["prediction"] == np.array(iris.target_names)[got[names].to_numpy().argmax(axis=1)]).all()
    assert (got["prediction"] == np.array(iris.target_names)[iris.y]).mean() > 0.8
    pandas.DataFrame(iris.x, columns=list(iris.feature_names)).to_csv("rows.csv", index=False)
    main(["predict", "run", "rows.csv", "--members", "all", "--out", "table.csv"])
    np.testing.assert_allclose(pandas.read_csv("table.csv")[names], got[names], rtol=1e-5, atol=1e-6)


def test_members_that_diverged_are_left_out(houses):
    folder, _ = houses
    result = jnn.Result.load(folder)
    result.scores["rmse"][0, 1, 1, -1] = np.nan
    kept, diverged = usable(result)
    assert diverged == 1 and len(kept.members) == 7
    result.scores["rmse"][:] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        usable(result)


def test_the_models_are_listed(capsys):
    main(["models"])
    assert "resnet:18" in capsys.readouterr().out


WRONG = [
    (["nowhere", "new.csv"], "no command.json"),
    (["unfinished", "new.csv"], "no result.json"),
    (["RUN", "absent.csv"], "none at absent.csv"),
    (["RUN", "new.parquet"], "a table (.csv, .tsv) or an array"),
    (["RUN", "empty.csv"], "header line"),
    (["RUN", "header.csv"], "at least one row"),
    (["RUN", "fewer.csv"], "'town'"),
    (["RUN", "other.csv"], "'east'"),
    (["RUN", "hole.csv"], "missing"),
    (["RUN", "wide.npy"], "rows of shape (3,)"),
    (["RUN", "new.csv", "--batch", "0"], "at least 1 row"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_input_gets_one_sentence_and_no_file(houses, arguments, words, tmp_path, capsys):
    files = {"new.csv": "size,town\n1000,north", "new.parquet": "", "empty.csv": "", "header.csv": "size,town"}
    files |= {"fewer.csv": "size\n1000", "other.csv": "size,town\n1000,east", "hole.csv": "size,town\n,north"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.save("wide.npy", np.zeros((2, 5)))
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "command.json").write_text(json.dumps({"data": "iris", "grid": []}))
    with pytest.raises(SystemExit) as stop:
        main(["predict", *(str(houses[0]) if a == "RUN" else a for a in arguments)])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and words in told and told.count("\n") == 1
    assert not (tmp_path / "predictions.csv").exists()
