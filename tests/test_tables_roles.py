"""Tables as people write them: what a column is for, and what its holes mean."""

import pathlib
import shlex

import numpy as np
import pandas as pd
import pytest

from jnn import Dataset, folds, holdout
from jnn.cli._command import Predict, Run, parse
from jnn.cli._job import make_job
from jnn.cli._predict import _id_of
from jnn.cli._run import run
from jnn.cli._show import _member_count
from jnn.cli._words import in_words_of_options, sentence_of
from jnn.data._csv import read_csv


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(rows, header="x,z,y", name="t.csv", encoding="utf-8"):
    pathlib.Path(name).write_text("\n".join([header, *rows]) + "\n", encoding=encoding)


def data_of(words):
    return make_job(parse(shlex.split(f"run t.csv --target y --seeds 1 --folds 2 {words}"))).data


def sentence(words):
    with pytest.raises(ValueError) as error:
        make_job(parse(shlex.split(words)))
    return sentence_of(error.value)


@pytest.mark.parametrize("missing", ["drop", "fill"])
def test_a_hole_in_whole_numbers_does_not_make_labels_amounts(missing):
    write(["1,2,0", "2,3,1", "3,1,", "4,5,1", "5,2,0", "6,1,1"])
    data = data_of(f"--missing {missing}")
    assert (data.task, data.target_names) == ("classification", ("0", "1"))
    assert data.y.tolist() == [0, 1, 1, 0, 1]


def test_a_hole_in_fractions_leaves_a_regression():
    write(["1,2,0.5", "2,3,1", "3,1,", "4,5,1", "5,2,0", "6,1,1"])
    assert data_of("--missing drop").task == "regression"


@pytest.mark.parametrize("role", ["group", "time", "weights"])
@pytest.mark.parametrize("missing", ["drop", "fill"])
def test_rows_without_a_group_a_time_or_a_weight_are_left_out_and_told(role, missing):
    write([f"{i},{'' if i == 3 else i // 2 + 1},{'ab'[i % 2]}" for i in range(12)])
    data = data_of(f"--{role} z --missing {missing}")
    assert data.x[:, 0].tolist() == [i for i in range(12) if i != 3]
    assert any("1 of 12 rows are left out, missing are 1 in 'z'" in note for note in data.notes)
    assert "--missing drop" in sentence(f"run t.csv --target y --{role} z")


@pytest.mark.parametrize("words", ["--id z --group z", "--drop z --group z", "--id z --time z"])
def test_a_column_that_names_the_rows_may_be_their_group_or_time(words):
    write([f"{i},{i // 2},{'ab'[i % 2]}" for i in range(12)])
    data = data_of(words)
    assert data.feature_names == ("x",)
    assert (data.groups if "group" in words else data.times).tolist() == [i // 2 for i in range(12)]


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("--weights z --group z", "--group must name a column of its own"),
        ("--group y", "--group must name a column of its own"),
        ("--category z --numeric z", "--category and --numeric must name different columns"),
        ("--category z --weights z", "--weights must name a column of numbers"),
        ("--task regression", "Leave out --task regression"),
        ("--metric nope", "--metric must be among"),
    ],
)
def test_roles_that_exclude_each_other_are_one_sentence(words, right):
    write([f"{i},{i // 2},{'ab'[i % 2]}" for i in range(12)])
    assert right in sentence(f"run t.csv --target y {words}")


def test_marks_among_weights_are_missing_and_metrics_may_have_commas():
    write([f"{i},{'?' if i == 3 else 1},{'ab'[i % 2]}" for i in range(12)])
    assert data_of("--weights z --missing drop").weights.tolist() == [1] * 11
    job = make_job(parse(shlex.split("run t.csv --target y --drop z --metric f1,roc_auc")))
    assert list(job.study.metrics) == ["f1", "roc_auc"]


def test_a_hint_that_has_been_followed_is_not_repeated():
    write([f"{i},{'' if i == 3 else 'abc'[i % 3]},{'ab'[i % 2]}" for i in range(12)])
    assert "--category z" in sentence("run t.csv --target y")
    assert "--category z keeps" not in sentence("run t.csv --target y --category z")


def test_text_among_numbers_of_later_rows_names_no_option_of_training():
    write([f"{i},{'3+' if i == 3 else i % 5},{'ab'[i % 2]}" for i in range(12)])
    dropped = data_of("--numeric z --missing drop")
    assert len(dropped.x) == 11
    with pytest.raises(ValueError, match="Every row must have a value, got missing values: 1 in"):
        dropped.encoding.encode(read_csv("t.csv"))
    write([f"{i},{i % 5},{'ab'[i % 2]}" for i in range(12)])
    data = data_of("")
    write([f"{i},{'3+' if i == 3 else i % 5},{'ab'[i % 2]}" for i in range(12)])
    with pytest.raises(ValueError, match="in row 4") as error:
        data.encoding.encode(read_csv("t.csv"))
    assert "category=" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_the_encoding_that_is_named_reads_the_table(encoding):
    write([f"{i},{i % 5},{'ab'[i % 2]}" for i in range(12)], encoding=encoding)
    assert f"--encoding {encoding}" in sentence("run t.csv --target y")
    assert f"--encoding {encoding}" in sentence("run t.csv --target y --encoding utf-16")
    assert data_of(f"--encoding {encoding}").rows == 12


def test_a_series_is_no_channel_and_its_text_is_left_out_as_told():
    write([f"2024-01-{d + 1:02d},{k},{d}" for k in "ab" for d in range(20)], "day,id,v")
    words = "run t.csv --horizon 1 --window 2"
    assert "Channels must be other" in sentence(f"{words} --series id --target v,id")
    write([f"2024-01-{d + 1:02d},{d},{'n/k' if d == 3 else d * d}" for d in range(20)], "day,v,w")
    assert "or leave the column out with --drop w" in sentence(words)
    assert make_job(parse([*words.split(), "--drop", "w"])).data.encoding.channels == ("v",)


def test_a_class_of_one_row_is_named():
    data = Dataset.from_arrays(np.arange(9.0)[:, None], list("ababababc"))
    for split in (folds(2), holdout(0.2)):
        with pytest.raises(ValueError, match=r"'c'.*Leave it out or add rows"):
            split.split.rows(data)


def test_members_are_counted_on_the_published_split_of_pictures(own_folder):
    for part in ("train", "test"):
        (own_folder / "pictures" / part / "cat").mkdir(parents=True)
    assert _member_count(parse(["run", "pictures", "--seeds", "3"])) == 3 * 3
    assert _member_count(parse(["run", "other", "--seeds", "3"])) == 3 * 5 * 3


def test_a_metric_without_a_value_on_a_fold_is_refused_before_training(monkeypatch):
    monkeypatch.setattr("jnn.cli._run._setup.configure_jax", lambda: None)
    for i, (words, right) in enumerate(
        [
            ("--group g --metric roc_auc", "all those of fold"),
            ("--group g --metric average_precision accuracy", "all those of fold"),
            ("--folds 12 --task regression", "needs 2 test rows or more"),
        ]
    ):
        target = "ab" if "group" in words else "12"
        write([f"{i},{i // 6},{target[i // 6]}" for i in range(12)], "x,g,y")
        words = f"run t.csv --target y --seeds 1 --folds 2 --epochs 1 --out run{i} {words}"
        with pytest.raises(ValueError, match=right) as error:
            run(parse(shlex.split(words)))
        assert "or choose others by --metric" in sentence_of(error.value)
        assert not pathlib.Path(f"run{i}").exists()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_group_of_an_array_is_refused(missing):
    groups = np.array(["nan", missing, "a", "a"], object)
    with pytest.raises(ValueError, match=r"groups must not be missing, got .* at groups\[1\]"):
        Dataset.from_arrays(np.ones((4, 1)), [0, 1, 0, 1], groups=groups)


def test_a_series_is_named_as_in_its_table():
    text = "The last 4 steps of series id='b' must have no gap. Pass id='b'."
    assert in_words_of_options(text).endswith("series id='b' must have no gap. Pass --id b.")


@pytest.mark.parametrize(
    ("rows", "option", "right"),
    [("x.npy", None, None), ("x.txt", None, None), ("x.txt", "k", "k"), ("x.csv", None, "id")],
)
def test_the_names_of_rows_are_those_of_the_run_where_rows_have_columns(rows, option, right):
    command = Predict(pathlib.Path("folder"), pathlib.Path(rows), id=option)
    assert _id_of(command, Run("t.csv", text="t", id="id")) == right
    assert _id_of(Predict(pathlib.Path("folder"), pathlib.Path(rows), id=""), Run("t.csv")) == ""


def test_a_path_that_does_not_exist_is_no_name_of_a_data_set():
    assert "does not exist. Check the path." in sentence("run some/where.neg --target y")
