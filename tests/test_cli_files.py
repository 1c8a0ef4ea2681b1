"""The command line and the world around it: folders, links, devices, terminals and signals."""

import importlib.util
import io
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import jax
import numpy as np
import pandas
import pytest

import jnn
from jnn import _startup
from jnn.cli import main
from jnn.cli._command import Run, parse
from jnn.cli._run import new_folder
from jnn.cli._saved_command import read_command, write_command
from jnn.cli._stop import Terminated, told_how_to_continue
from jnn.cli._terminal import make_console, prepare_streams
from jnn.cli._words import in_words_of_options
from jnn.result import Choice
from jnn.stats import Interval

COMMAND = "run iris --seeds 2 --folds 2 --epochs 1 --model mlp: --grid learning_rate=0.01,0.1"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a run of iris."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jnn.cli._setup.configure_jax", lambda: None)
        main([*COMMAND.split(), "--out", str(folder)])
    return folder


@pytest.fixture
def folder(original, tmp_path, monkeypatch):
    """A copy of it as `run`, in the working directory."""
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "rows.npy", jnn.data.load("iris").x[:3])
    return shutil.copytree(original, tmp_path / "run")


def wrong(arguments, capsys, code=2):
    """The one line that a failing command prints."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    told = capsys.readouterr().err.strip()
    assert stop.value.code == code and len(told.splitlines()) == 1, told
    return told


def test_a_tilde_is_the_home_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = parse(["run", "~/a.csv", "--target", "y", "--out=~/runs/a"])
    assert made.out == tmp_path / "runs" / "a" and made.data == str(tmp_path / "a.csv")
    made = parse(["predict", "~/r", "~/x.csv", "--out=~/p.csv"])
    assert [made.folder, made.rows, made.out] == [tmp_path / n for n in ("r", "x.csv", "p.csv")]
    assert parse(["resume", "~/r", "--data", "~/x.csv"]).data == str(tmp_path / "x.csv")
    assert parse(["run", "iris"]).data == "iris"


def test_predictions_go_where_they_are_asked_to(folder, tmp_path, capsys):
    main(["predict", "run", "rows.npy", "--out", "-"])
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 4 and "3 rows by" in printed.err
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    main(["predict", "run", "rows.npy", "--out", "link"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == printed.out
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    main(["predict", "run", "rows.npy", "--out", "pipe"])
    assert os.read(reader, 1 << 16).decode() == printed.out
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_scores_are_exported_as_they_are(folder, tmp_path, capsys):
    main(["export", "run", "--out", "scores.csv"])
    frame = pandas.read_csv("scores.csv")
    scores = jnn.Result.load("run").scores
    assert len(frame) == scores["accuracy"].size == 8
    for row in frame.to_dict("records"):
        place = {name: row[name] for name in ("seed", "fold", "epoch")}
        value = scores["loss"].sel(place).sel(learning_rate=row["learning_rate"], method="nearest")
        assert row["loss"] == pytest.approx(float(value), rel=1e-6)
    main(["export", "run", "--out", "-", "--members", "best", "--member", "0"])
    assert len(capsys.readouterr().out.splitlines()) == 1 + 1 + 1  # that of scores.csv was told too
    assert "must end in .csv" in wrong(["export", "run", "--out", "x.pdf"], capsys)
    words = "one of 4 members, from 0 to 3, got 9"
    assert words in wrong(["export", "run", "--out", "x.safetensors", "--member", "9"], capsys)


def test_an_exported_member_and_network_are_those_that_predict(folder, tmp_path):
    x = np.load("rows.npy")
    main(["export", "run", "--out", "one.safetensors", "--member", "1"])
    arrays = jnn.storage.load_nested("one.safetensors")
    params, scale = arrays["params"]["output"], arrays["scale"]["0"]
    z = (x - scale["shift"]) / scale["scale"] @ params["kernel"] + params["bias"]
    main(["export", "run", "--out", "one.stablehlo", "--member", "1"])
    program = jax.export.deserialize(pathlib.Path("one.stablehlo").read_bytes())
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(program.call(x), expected, rtol=1e-4, atol=1e-6)


def test_a_run_is_shown_with_its_versions_and_files(folder, capsys):
    before = (folder / "curves.png").stat().st_mtime_ns
    main(["show", "run"])
    told = capsys.readouterr().out
    for words in ("jnn run iris", "--seeds 2", "accuracy", f"jnn {jnn.__version__}", "scores.nc"):
        assert words in told
    assert (folder / "curves.png").stat().st_mtime_ns == before
    for name in ("result.json", "scores.nc"):
        (folder / name).unlink()
    main(["show", "run"])
    assert "unfinished: 0% saved (nothing)" in capsys.readouterr().out
    assert "neither result.json nor command.json" in wrong(["show", "."], capsys)


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"jnn {jnn.__version__}\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_table_is_printed_in_any_encoding(folder, encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    main(["show", "run"])
    told = raw.getvalue().decode(encoding)
    assert "accuracy" in told and ("┃" in told) == (encoding == "utf-8")
    lines = [line for line in told.splitlines() if line[:1] in "|┃│"]
    assert len({len(line) for line in lines}) == 1 and "?" not in told


def test_characters_that_cannot_be_written_have_a_likeness_or_an_escape(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    prepare_streams()
    print("größe ± 1 中 \udcff ┃─┼")
    sys.stdout.flush()
    assert raw.getvalue() == b"gro\\xdfe +- 1 \\u4e2d \\udcff |-+\n"


def test_no_number_is_cut_on_a_narrow_terminal(folder, monkeypatch, capsys):
    summary = jnn.Result.load("run").summary()
    numbers = [interval.short() for row in summary.rows for interval in row.intervals.values()]
    for width in (10, 40, 70, 120):
        told = summary.text(width)
        assert all(number in told for number in numbers) and "…" not in told
    monkeypatch.setenv("COLUMNS", "30")
    assert make_console().width == 30


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.97, 0.02, "0.970 ± 0.020"),
        (1.234e-19, 5e-21, "(1.23 ± 0.05)e-19"),
        (4.2e9, 1.5e8, "(4.20 ± 0.15)e+09"),
        (0.0, 3e-6, "(0 ± 3)e-06"),
        (3e300, 2e299, "(3.00 ± 0.20)e+300"),
        (0.0, 0.0, "0.0000 ± 0.0000"),
        (123456.0, 1200.0, "123456 ± 1200"),
    ],
)
def test_small_and_large_numbers_have_an_exponent(mean, half, text):
    assert Interval(mean, mean - half, mean + half, 5, "t").short() == text


def test_a_choice_without_a_score_of_its_own_shows_no_nan():
    nothing = Interval(np.nan, np.nan, np.nan, 0, "none")
    told = str(Choice({"learning_rate": 0.1}, nothing, "chosen on all rows"))
    assert "nan" not in told and told.startswith("learning_rate=0.1: no score")


def test_a_folder_that_is_none_or_holds_other_files_is_refused_before_reading(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "scores.nc").write_text("mine")
    for name, words in (("file", "is a file"), ("file/x", "is a file"), ("own", "holds scores.nc")):
        with pytest.raises(ValueError, match=f"--out must be a.* folder.*{words}"):
            new_folder(Run("absent.csv", out=tmp_path / name))


def test_a_command_is_kept_with_the_whole_path_of_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    write_command(Run("a.csv", target="y", grid=("learning_rate=0.1",)), tmp_path / "run")
    fields = json.loads((tmp_path / "run" / "command.json").read_text())
    assert fields["data_as_typed"] == "a.csv" and fields["jnn"] == jnn.__version__
    monkeypatch.chdir("/")
    again = read_command(tmp_path / "run")
    assert again.data == str(tmp_path / "a.csv") and again.grid == ("learning_rate=0.1",)


def test_data_that_were_moved_are_named_with_what_helps(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    write_command(Run(str(tmp_path / "a.csv"), target="y"), tmp_path / "run")
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    told = wrong(["resume", str(tmp_path / "run")], capsys)
    assert f"no longer at {tmp_path / 'a.csv'}" in told and "--data FILE" in told
    given = []
    monkeypatch.setattr(
        "jnn.cli._run._train_and_show", lambda *given_to, begin: given.append(given_to)
    )
    monkeypatch.setattr("jnn.cli._run.make_job", lambda command: command.data)
    main(["resume", str(tmp_path / "run"), "--data", str(tmp_path / "b.csv")])
    (job, _, _, command), *_ = given
    assert job == command.data == str(tmp_path / "b.csv")


def test_data_of_a_complete_run_cannot_be_changed(folder, capsys):
    assert "run in run is complete" in wrong(["resume", "run", "--data", "rows.npy"], capsys)


EDITS = [
    ({"data": 3}, "data must be text, got 3"),
    ({"data": None}, "data must be text, got null"),
    ({"seeds": "20"}, "seeds must be a whole number, got '20'"),
    ({"grid": [1]}, "grid[0] must be text, got 1"),
    ({"model": []}, "model must be text or null, got []"),
    ({"speed": 1}, "has the unknown entry speed"),
    ({"speed": 1, "jnn": "99.0"}, "was written by jnn 99.0, but this is jnn"),
]


@pytest.mark.parametrize(("edit", "words"), EDITS, ids=[words for _, words in EDITS])
def test_an_edited_command_is_named_with_field_and_value(tmp_path, edit, words):
    write_command(Run("iris"), tmp_path)
    path = tmp_path / "command.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
    with pytest.raises(ValueError) as error:
        read_command(tmp_path)
    assert words in str(error.value)


def test_an_interruption_says_in_which_folder_the_run_goes_on(tmp_path, capsys, monkeypatch):
    def stop(kind):
        def interrupted(*_):
            with told_how_to_continue(tmp_path):
                raise kind

        monkeypatch.setattr("jnn.recipes.describe_families", interrupted)

    stop(KeyboardInterrupt)
    assert "nothing was saved" in wrong(["models"], capsys, 130)
    write_command(Run("iris"), tmp_path)
    assert f"interrupted. `jnn resume {tmp_path}`" in wrong(["models"], capsys, 130)
    stop(Terminated)
    assert f"terminated. `jnn resume {tmp_path}`" in wrong(["models"], capsys, 143)
    stop(OSError(28, "No space left on device", "a"))
    told = wrong(["models"], capsys)
    assert "a: No space left on device. When" in told and f"jnn resume {tmp_path}`" in told


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_the_command_is_imported_is_one_line(name, code):
    program = f"""
import importlib.util, os, signal, sys
sys.argv = ["/usr/bin/jnn", "run"]
spec = importlib.util.spec_from_file_location("startup", {_startup.__file__!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
try:
    os.kill(os.getpid(), signal.{name})
except BaseException:  # as some packages do
    pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code and len(done.stderr.splitlines()) == 1
    assert not _startup.is_command()  # this process is none
    assert importlib.util.find_spec("jnn.__main__")


def test_a_reader_that_leaves_ends_the_command_quietly(capsys, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(SystemExit) as stop:
        main(["models"])
    assert stop.value.code == 141 and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("python", "options"),
    [
        ("Leave it out with drop=['d'].", "Leave it out with --drop d."),
        ("drop=['a b', 'c']", "--drop 'a b,c'"),
        ("batch_size must be at most 9.", "--batch-size must be at most 9."),
        (
            "got batch_size=32. Use fewer folds or kind='plain'.",
            "got --batch-size 32. Use fewer folds.",
        ),
        ("Pass missing='drop', or header=False.", "Pass --missing drop, or --no-header."),
        ("The model must have 3 outputs.", "The model must have 3 outputs."),
        ("Use jnn.holdout(0.2).", "Use --folds 1."),
        ("learning_rate=0.1 stays", "learning_rate=0.1 stays"),
        ("Look at result.members.columns().", "Look at the table of `jnn show FOLDER`."),
    ],
)
def test_sentences_name_options_as_they_are_typed(python, options):
    assert in_words_of_options(python) == options
