"""The command line as a user meets it: tables, folders, and one sentence for whatever is wrong."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import jnn
from jnn.cli import main
from jnn.cli._command import Run
from jnn.cli._job import make_job
from jnn.cli._run import new_folder
from jnn.cli._setup import cache_folder, configure_jax
from jnn.data import data_folder
from jnn.population import Group

QUICK = ["--seeds", "2", "--folds", "2", "--epochs", "2", "--model", "mlp:8"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The tests have configured JAX already.
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)


def wrong(arguments, capsys):
    """The one sentence that a failing command prints."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    told = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and told.startswith("jnn: ") and len(told.splitlines()) == 1, told
    return told


def test_a_run_prints_a_table_and_leaves_a_result(tmp_path, capsys):
    main(
        [
            "run",
            "iris",
            *QUICK,
            "--grid",
            "learning_rate=0.01,0.1",
            "dropout_rate=0,0.2",
            "--out",
            "here",
        ]
    )
    told = capsys.readouterr().out
    for words in (
        "plan:",
        "Members: 16",
        "accuracy",
        "± 95 % interval",
        "2 seeds x 2 folds",
        "Nadeau-Bengio",
        "compile",
    ):
        assert words in told, words
    assert {p.name for p in (tmp_path / "here").iterdir()} == {
        "command.json", "result.json", "run.json", "scores.nc", "members.safetensors", "curves.png",
    }  # fmt: skip
    assert jnn.Result.load("here").scores.sizes["dropout_rate"] == 2
    main(["resume", "here"])
    again = capsys.readouterr().out
    assert "best: " in again and "curves.png" in again and again in told


def test_results_get_a_new_folder_each(tmp_path):
    for _ in range(2):
        main(["run", "iris", "--seeds", "1", "--folds", "1", "--epochs", "1", "--model", "mlp:"])
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_runs_of_one_second_get_a_folder_each(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda *_: "now")
    folders = [new_folder(Run("iris")) for _ in range(3)]
    assert [folder.name for folder in folders] == ["iris-now", "iris-now-2", "iris-now-3"]


def test_a_table_of_ones_own_is_standardised_and_encoded(tmp_path, capsys):
    random = np.random.default_rng(0)
    size, town = random.normal(1e4, 1e3, 120), random.choice(["north", "south"], 120)
    price = 3 * size + np.where(town == "north", 5e3, 0) + random.normal(0, 100, 120)
    rows = [f"{s},{t},{p}" for s, t, p in zip(size, town, price, strict=True)]
    (tmp_path / "my.csv").write_text("\n".join(["size,town,price", *rows]))
    main(["run", "my.csv", "--target", "price", *QUICK, "--model", "mlp:", "--epochs", "60",
          "--grid", "learning_rate=0.05", "--out", "own"])  # fmt: skip
    result = jnn.Result.load("own")
    best = result.final()["rmse"].min().item()
    assert best < 200 and "rmse" in capsys.readouterr().out  # noise 100, price spread 3000


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_an_interrupted_run_is_resumed_from_its_folder(tmp_path, capsys, monkeypatch):
    original = Group.advance
    monkeypatch.setattr(Group, "advance", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["run", "iris", *QUICK, "--out", "here"])
    assert stop.value.code == 130 and "jnn resume" in capsys.readouterr().err
    monkeypatch.setattr(Group, "advance", original)
    main(["resume", "here"])
    assert "accuracy" in capsys.readouterr().out and (tmp_path / "here" / "result.json").exists()
    note = (tmp_path / "here" / "run.json").read_text()
    (tmp_path / "here" / "unfinished").mkdir()  # as by a kill when the result was saved
    (tmp_path / "here" / "run.json").replace(tmp_path / "here" / "unfinished" / "run.json")
    (tmp_path / "here" / "curves.png").unlink()
    main(["resume", "here"])
    assert "accuracy" in capsys.readouterr().out and (tmp_path / "here" / "curves.png").exists()
    assert (tmp_path / "here" / "run.json").read_text() == note and not (
        tmp_path / "here" / "unfinished"
    ).exists()
    assert "holds a run already" in wrong(["run", "iris", *QUICK, "--out", "here"], capsys)


def test_a_run_begins_with_the_members_of_another(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jnn.cli._run._draw_curves", lambda *_: None)
    main(["run", "iris", *QUICK, "--grid", "learning_rate=0.01,0.1", "--out", "first"])
    still = [*QUICK, "--grid", "learning_rate=0", "--start-from", "first"]
    original = Group.advance
    monkeypatch.setattr(Group, "advance", interrupted)
    with pytest.raises(SystemExit):
        main(["run", "iris", *still, "--fresh", "output/*", "--out", "second"])
    monkeypatch.setattr(Group, "advance", original)
    main(["resume", "second"])
    capsys.readouterr()
    first, second = (jnn.Result.load(name).trained.params for name in ("first", "second"))
    kernels = jnn.Result.load("first").best_members().trained.params["hidden"]["0"]["kernel"]
    np.testing.assert_array_equal(second["hidden"]["0"]["kernel"], kernels)
    drawn = first["output"]["kernel"][::2]  # one for each seed and fold
    assert (second["output"]["kernel"] != drawn).all()
    told = wrong(["run", "iris", *still, "--seeds", "3", "--out", "third"], capsys)
    assert "--start-from must have one member" in told and "as many --seeds" in told
    assert "--fresh must be left out" in wrong(["run", "iris", "--fresh", "output/*"], capsys)


def test_info_and_data_list(capsys):
    main(["info"])
    told = capsys.readouterr().out
    assert "jax" in told and "devices" in told
    main(["data", "list"])
    told = capsys.readouterr().out
    assert "digits" in told and "classification" in told


def test_a_home_that_cannot_be_written_takes_the_cache_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jnn.population.use_cpu_cores", lambda: None)  # JAX has its devices already
    (tmp_path / "home").write_text("a file where the folder should be")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "home" / "cache"))
    configure_jax()
    main(["info"])
    assert "cache (cannot be created)" in capsys.readouterr().out


def test_a_home_is_not_looked_for_where_the_cache_is_named(tmp_path, monkeypatch):
    monkeypatch.delattr("pathlib.Path.home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("JNN_DATA", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert (data_folder(), cache_folder()) == (tmp_path / "jnn", tmp_path / "jnn" / "compiled")


WRONG = [
    (["run", "nothing"], "name must be the name of a known data set"),
    (["run", "absent.csv", "--target", "y"], "absent.csv does not exist"),
    (["run", "good.csv"], "--target"),
    (["run", "good.csv", "--target", "z"], "z"),
    (["run", "nan.csv", "--target", "y"], "missing"),
    (["run", "text.csv", "--target", "y"], "abc"),
    (["run", "iris", "--epochs", "0"], "epochs"),
    (["run", "iris", "--seeds", "0"], "--seeds must be at least 1"),
    (["run", "iris", "--folds", "400"], "400 folds"),
    (["run", "iris", "--batch-size", "1000"], "--batch-size must be at most"),
    (["run", "iris", "--grid", "learning_rate=-1"], "must be at least 0"),
    (["run", "iris", "--grid", "learning_rate="], "learning_rate=1e-3,1e-2"),
    (["run", "iris", "--grid", "speed=1"], "Nothing reads"),
    (["run", "iris", "--grid"], "--grid must name settings"),
    (["run", "iris", "--grid", "learning_rate=0.1", "learning_rate=0.2"], "'learning_rate' again"),
    (["run", "iris", "--grid", "dropout_rate=1.5"], "at most 1"),
    (["run", "iris", "--target", "y"], "--target must be left out"),
    (["run", "good.csv", "--target", "y", "--drop", "z"], "z"),
    (["run", "iris", "--window", "8"], "--window must be left out"),
    (
        ["run", "good.csv", "--target", "y", "--window", "8"],
        "--window must be left out: a window needs --horizon",
    ),
    (
        ["run", "good.csv", "--horizon", "2", "--text", "a"],
        "--text must be left out: with --horizon",
    ),
    (
        ["run", "good.csv", "--horizon", "2", "--task", "regression"],
        "--task must be left out: with --horizon",
    ),
    (["run", "good.csv", "--horizon", "2", "--window", "8", "--drop", "z"], "['z']"),
    (["run", "iris", "--model", "tree"], "model must be one of"),
    (["run", "iris", "--model", "mlp:x"], "whole numbers"),
    (["run", "iris", "--model", "lenet"], "images"),
    (["resume", "nowhere"], "no command.json"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_input_gets_one_sentence(arguments, words, tmp_path, capsys):
    table = ["a,y", *(f"{i},{i % 2}.5" for i in range(40))]
    (tmp_path / "good.csv").write_text("\n".join(table))
    (tmp_path / "nan.csv").write_text("\n".join([*table, ",1"]))
    (tmp_path / "text.csv").write_text("\n".join([*table, "abc,1"]))
    assert words in wrong(arguments, capsys)


def test_only_a_wrong_type_in_the_input_gets_one_sentence(capsys, monkeypatch):
    def fail(*arguments, **keywords):
        raise TypeError("x must hold numbers, got text. Convert it.")

    with monkeypatch.context() as patch:
        patch.setattr("jnn.cli._job.load", fail)
        assert "x must hold numbers" in wrong(["run", "iris"], capsys)
    monkeypatch.setattr("jnn.cli._run.run_study", fail)
    with pytest.raises(TypeError):  # an error in the program keeps its traceback
        main(["run", "iris"])


def test_a_run_that_was_refused_leaves_its_folder_free(tmp_path, capsys):
    for data in ("iris", "absent.csv"):
        wrong(["run", data, "--batch-size", "1000"], capsys)
    assert not list(tmp_path.iterdir())
    folder = str(tmp_path / "mine")
    wrong(["run", "iris", "--batch-size", "1000", "--out", folder], capsys)
    main(["run", "iris", *QUICK, "--out", folder])
    assert "accuracy" in capsys.readouterr().out


def test_a_damaged_command_is_named(tmp_path, capsys):
    (tmp_path / "command.json").write_text("{}")
    assert "command.json is damaged" in wrong(["resume", str(tmp_path)], capsys)


def test_a_column_is_left_out(tmp_path):
    (tmp_path / "t.csv").write_text(
        "day;a;y\n" + "\n".join(f"2024-01-{i + 1:02};{i};{i}.5" for i in range(20))
    )
    made = make_job(Run(str(tmp_path / "t.csv"), target="y", drop="day", separator=";", folds=2))
    assert made.data.feature_names == ("a",)


def test_a_recipe_says_what_it_makes():
    made = make_job(Run("diabetes", grid=("weight_decay=0,0.1",), folds=1, seeds=2))
    assert made.members.shape == (2, 1, 2) and set(made.study.metrics) == {"rmse", "mae", "r2"}
    assert made.study.targets is jnn.preprocess.standardize


def test_the_installed_command_uses_every_core(tmp_path):
    environment = {
        k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
    }
    done = subprocess.run(
        [sys.executable, "-m", "jnn", "run", "iris", *QUICK, "--out", "x"],
        env=environment | {"JAX_PLATFORMS": "cpu"}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (
        f"plan: {min(12, len(os.sched_getaffinity(0)))} device" in done.stdout and done.stderr == ""
    )
    assert json.loads((tmp_path / "x" / "command.json").read_text())["seeds"] == 2
