"""Tables as they are found: `jnn run FILE --target ...` with defaults, or with one option."""

import io
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from jnn.cli import main
from jnn.cli._command import Run, parse
from jnn.cli._job import load_data
from jnn.data import Dataset, TableForm
from jnn.data._csv import read_pieces
from tests.fuzz_tables import fuzz

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)


def write(text, name="t.csv", encoding="utf-8"):
    pathlib.Path(name).write_bytes(text.encode(encoding))
    return name


def data_of(*words):
    """The data set of a command, without training."""
    return load_data(parse(["run", *words]))


def sentence(*words, capsys):
    with pytest.raises(SystemExit):
        main(["run", *words, "--folds", "2", "--seeds", "1"])
    text = capsys.readouterr().err.strip()
    assert text.startswith("jnn: ") and "\n" not in text
    return text


ROWS = [(f"{i / 2}", "red" if i % 3 else "blue", "a" if i % 2 else "b") for i in range(30)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_is_told_from_the_file(separator, end):
    lines = [separator.join(row) for row in [("x", "colour", "y"), *ROWS]]
    data = data_of(write(end.join(lines) + end), "--target", "y")
    assert data.feature_names == ("x", "colour=blue", "colour=red") and data.rows == 30
    assert data.x[:, 0].tolist() == [i / 2 for i in range(30)]


def test_a_decimal_comma_goes_with_semicolons(capsys):
    text = "x;z;y\n" + "".join(f"{i},5;{i};{i % 2}\n" for i in range(30))
    assert "with --decimal ','," in sentence(write(text), "--target", "y", capsys=capsys)
    data = data_of("t.csv", "--target", "y", "--decimal", ",")
    assert data.x[:, 0].tolist() == [i + 0.5 for i in range(30)]
    headless = "".join(f"{i},5;{i},25;{i % 2}\n" for i in range(30))
    data = data_of(write(headless), "--target", "2", "--decimal", ",", "--no-header")
    assert data.x[1].tolist() == [1.5, 1.25] and data.rows == 30


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8-sig", ()),
        ("utf-16", ()),
        ("cp1252", ("--encoding", "cp1252")),
        ("utf-16-le", ("--encoding", "utf-16-le")),
    ],
)
def test_the_encoding_is_told_from_the_first_bytes_or_by_an_option(encoding, words, capsys):
    text = "größe,y\n" + "".join(f"{i}.5,{'äß'[i % 2]}\n" for i in range(30))
    write(text, encoding=encoding)
    if words:
        assert "--encoding" in sentence("t.csv", "--target", "y", capsys=capsys)
    data = data_of("t.csv", "--target", "y", *words)
    assert data.feature_names == ("größe",) and data.target_names == ("ß", "ä")


def test_names_are_found_in_each_form_of_unicode():
    data = data_of(write("gro\u0308\u00dfe,b,y\n" + "1,3,a\n2,4,b\n" * 9), "--target", "y",
                   "--drop", "gr\u00f6\u00dfe")  # fmt: skip
    assert data.feature_names == ("b",)


@pytest.mark.parametrize(
    "line", ["1,14.23,1.71", "39,State-gov,77516", "5.1,red,x", "red,1.5,2", "p,x,s"]
)
def test_a_first_line_that_is_a_row_is_not_eaten(line, capsys):
    values = line.split(",")
    rows = []
    for i in range(20):
        row = [v if not v[0].isdigit() else f"{float(v) + i % 3}" for v in values]
        rows.append(",".join(row))
    write("\n".join([line, *rows[1:]]) + "\n")
    last = str(len(values) - 1)
    assert "--no-header" in sentence("t.csv", "--target", values[-1], capsys=capsys)
    target = "0" if values[0][0].isdigit() else "1"
    if line != "p,x,s":
        data = data_of("t.csv", "--target", target, "--no-header", "--task", "regression")
        assert data.rows == 20 and last


@pytest.mark.parametrize(
    "header", ["0,1,2", "country,1990,1991", "a,b,c", "x,2.5e,y"], ids=["pandas", "years", "", "e"]
)
def test_a_header_of_numbers_that_names_columns_is_one(header):
    text = header + "\n" + "".join(f"{'DE' if i % 2 else 'FR'},{i}.5,{i + 3}\n" for i in range(20))
    if header == "0,1,2":
        text = text.replace("DE", "1").replace("FR", "7")
    target = header.split(",")[2]
    assert data_of(write(text), "--target", target).rows == 20
    assert data_of("t.csv", "--target", target, "--header").rows == 20


def test_columns_are_categories_if_they_are_called_so(capsys):
    text = "deps,x,label\n" + "".join(f"{'0123'[i % 4]}{'+' * (i % 4 == 3)},{i}.5,{'ab'[i % 2]}\n"
                                      for i in range(40))  # fmt: skip
    assert "--category deps" in sentence(write(text), "--target", "label", capsys=capsys)
    data = data_of("t.csv", "--target", "label", "--category", "deps")
    assert data.feature_names == ("deps=0", "deps=1", "deps=2", "deps=3+", "x")
    bands = data_of("t.csv", "--target", "deps", "--task", "classification")
    assert bands.target_names == ("0", "1", "2", "3+")


@pytest.mark.parametrize(
    ("value", "other", "told"),
    [
        ("27.06.2022", "28.06.2022", "got dates such as '27.06.2022'"),
        ("1.5", "2.25", r"such as '1.5'. Pass numeric=\['v'\]"),
        ("1.234,5", "12.34", "Write them in one way"),
    ],
)
def test_thousands_separators_between_other_digits_are_none(value, other, told):
    """Without its points a date would be a number."""
    write("a;v;y\n" + "".join(f"{i};{[value, other][i % 2]};{i}\n" for i in range(60)))
    with pytest.raises(ValueError, match=told):
        Dataset.from_csv("t.csv", "y", decimal=",", thousands=".")
    pieces = read_pieces("t.csv", 7, TableForm(decimal=",", thousands="."))
    assert pd.concat(pieces)["v"].tolist() == [value, other] * 30


@pytest.mark.parametrize(
    "date",
    ["27.06.2022", "27. 6. 2022", "6/27/22", "27 Jun 2022", "27-jun-22", "June 27, 2022 9:30"],
)
def test_dates_are_told_however_they_are_written(date):
    write("v;y\n" + f"{date};1\n" * 30)
    with pytest.raises(ValueError, match=f"got dates such as '{date}'.* pass times='v'"):
        Dataset.from_csv("t.csv", "y", task="regression")


def test_numbers_with_thousands_are_read_if_they_are_called_so(capsys):
    text = "a,y\n" + "".join(f'"{i},23{i % 9}",{"ab"[i % 2]}\n' for i in range(1, 31))
    said = sentence(write(text), "--target", "y", capsys=capsys)
    assert "with --thousands ',' or --decimal ','," in said and "astype" not in said
    data = data_of("t.csv", "--target", "y", "--thousands", ",")
    assert data.x[1].tolist() == [2232]
    said = sentence(write(text.replace(",23", " 23")), "--target", "y", capsys=capsys)
    assert "--thousands ' '" in said
    assert data_of("t.csv", "--target", "y", "--thousands", " ").x[1].tolist() == [2232]


@pytest.mark.parametrize("amount", ["${}", "{}%", "{} €", '"{},000"', "-{}%"])
def test_amounts_are_not_made_categories_in_silence(amount, capsys):
    text = "a,y\n" + "".join(f"{amount.format(i % 9 + 1)},{'ab'[i % 2]}\n" for i in range(40))
    assert "written as text" in sentence(write(text), "--target", "y", capsys=capsys)
    assert data_of("t.csv", "--target", "y", "--category", "a").x.shape == (40, 9)


def test_a_name_may_have_a_comma():
    text = '"price, EUR",x,"a ""b"""\n' + "".join(f"{i}.5,{i},{i % 7}\n" for i in range(30))
    for target in ("price, EUR", '"price, EUR"'):
        assert data_of(write(text), "--target", target).target_names == ("price, EUR",)
    assert data_of("t.csv", "--target", '"price, EUR", x').target_names == ("price, EUR", "x")
    data = data_of("t.csv", "--target", "x", "--drop", '"price, EUR"')
    assert data.feature_names == ('a "b"',)


QUOTES = {
    "two open ones": 'a,b,y\n1,"x,0\n' + "2,z,1\n" * 38 + '3,"x,1\n',
    "one open": 'a,b,y\n1,x,0\n2,"z,1\n' + "2,z,1\n" * 38,
    "an opening and a closing one": 'a,b,y\n1,"x,0\n' + "2,z,1\n" * 9 + '3,x",1\n' + "2,z,1\n",
}


@pytest.mark.parametrize("kind", QUOTES)
def test_quotes_without_a_partner_swallow_no_rows(kind, capsys):
    said = sentence(write(QUOTES[kind]), "--target", "y", capsys=capsys)
    line = 3 if kind == "one open" else 2
    assert f"in line {line} of t.csv" in said and "--quote none" in said
    rows = QUOTES[kind].count("\n") - 1
    assert data_of("t.csv", "--target", "y", "--quote", "none").rows == rows


def test_a_value_of_several_lines_is_one():
    text = 'text,y\n"a fine\nfilm, indeed",good\n"so ""bad""\n\n",bad\n' + "ok,good\nno,bad\n" * 9
    data = data_of(write(text), "--target", "y", "--text", "text", "--model", "textcnn:2,2")
    assert data.rows == 20 and data.texts[0] == "a fine\nfilm, indeed"


def test_a_dash_in_most_rows_is_a_missing_number(capsys):
    text = "a,b,y\n" + "".join(f"{i if i % 3 == 0 else '-'},{i},{i % 2}\n" for i in range(60))
    said = sentence(write(text), "--target", "y", capsys=capsys)
    assert "40 in 'a'" in said and "--missing fill" in said
    data = data_of("t.csv", "--target", "y", "--missing", "fill")
    assert data.x.shape == (60, 2) and "40 in 'a'" in repr(data)


def test_an_option_that_says_nothing_is_refused(capsys):
    text = "t,z,y\n" + "good one,0,p\nbad one,1,n\n" * 15
    for words in (("--drop", "nonexistent,t"), ("--drop", "t"), ("--missing", "fil")):
        with pytest.raises(SystemExit):
            main(["run", write(text), "--target", "y", "--text", "t", *words])
    capsys.readouterr()
    assert "--missing must be left out" in sentence("iris", "--missing", "drop", capsys=capsys)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("http://example.com/a.csv", "address"),
        ("x.npz", "bytes that are no text"),
        ("wine.data", "--target must name the column of wine.data to predict, one of 'a', 'y'"),
    ],
)
def test_what_is_no_table_of_text_is_one_sentence(name, words, capsys):
    np.savez("x.npz", a=np.arange(3))
    write("a,y\n1,2\n3,4\n", "wine.data")
    target = () if name == "wine.data" else ("--target", "y")
    assert words in sentence(name, *target, capsys=capsys)


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_other_files_name_the_extra_that_reads_them(name, capsys, monkeypatch):
    for package in ("pyarrow", "fastparquet", "openpyxl"):
        monkeypatch.setitem(sys.modules, package, None)
    write("x", name)
    assert "pip install 'jnn-jax[" in sentence(name, "--target", "y", capsys=capsys)


@pytest.mark.parametrize(("name", "package"), [("t.parquet", "pyarrow"), ("t.xlsx", "openpyxl")])
def test_other_files_are_read_like_text(name, package):
    pytest.importorskip(package)
    frame = pd.DataFrame(ROWS, columns=["x", "colour", "y"]).astype({"x": float})
    getattr(frame, {"pyarrow": "to_parquet", "openpyxl": "to_excel"}[package])(name, index=False)
    data = data_of(name, "--target", "y")
    np.testing.assert_array_equal(data.x, Dataset.from_dataframe(frame, "y").x)


def test_a_run_from_standard_input_predicts_rows_with_their_names(monkeypatch, capsys):
    """Ids stay as written, gaps are filled, and what no training row had is told."""
    frame = pd.DataFrame({"id": [f"{i:03}" for i in range(40)], "a": RANDOM.normal(size=40)})
    frame["town"] = np.where(frame.index % 2, "Ulm", "Bonn")
    frame["std(y)"] = 1e9 + np.round(frame["a"], 3)
    frame["y"] = np.where(frame.index % 2, 4.5, 1.25) + frame["a"]
    frame.loc[:7, "a"] = np.nan

    class Input:
        buffer = io.BytesIO(frame.to_csv(index=False).encode())

    from jnn.cli._table import _copy_of_standard_input

    _copy_of_standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", Input())
    quick = ["--seeds", "1", "--folds", "2", "--epochs", "60", "--batch-size", "10",
             "--model", "mlp:", "--grid", "learning_rate=0.05"]  # fmt: skip
    main(["run", "-", "--target", "y,std(y)", "--id", "id", "--missing", "fill", *quick,
          "--out", "here"])  # fmt: skip
    assert "8 in 'a'" in capsys.readouterr().out
    frame["town"] = frame["town"].replace("Bonn", "Köln")
    rows = frame.drop(columns=["y", "std(y)"])
    rows.to_csv("new.csv", index=False, sep=";")
    main(["predict", "here", "new.csv", "--batch", "16"])
    said = capsys.readouterr().out
    assert "filled as in training: 8 in 'a'" in said and "20 in 'town'" in said
    got = pd.read_csv("predictions.csv", dtype={"id": str})
    assert list(got) == ["id", "y", "std(y)", "std(y)_", "std(std(y))"]
    assert got["id"].tolist() == frame["id"].tolist()
    known = (frame.index >= 8) & (frame["town"] == "Ulm")
    error = got["std(y)"][known] - frame["std(y)"][known]
    assert np.abs(error).max() < 0.5  # float32 has steps of 64 there
    rows.to_csv("other.csv", index=False, sep=";", decimal=",", quotechar="'", encoding="cp1252")
    main(["predict", "here", "other.csv", "--decimal", ",", "--thousands", ".", "--quote", "'",
          "--encoding", "cp1252", "--out", "others.csv"])  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv("others.csv", dtype={"id": str}), got)


def test_a_stamp_far_from_zero_tells_the_classes_apart():
    """The minutes of 202401150000 + HHMM are lost in float32, and so is every score."""
    minutes = RANDOM.permutation(24)[:, None] * 100 + np.arange(0, 60, 7)
    stamps = 202401150000 + minutes.ravel()
    frame = pd.DataFrame({"ts": stamps, "y": np.where(minutes.ravel() < 1200, "am", "pm")})
    data = Dataset.from_dataframe(frame, "y")
    small = Dataset.from_dataframe(frame.assign(ts=minutes.ravel()), "y")
    shift = data.x[:, 0] - small.x[:, 0]
    assert (shift == shift[0]).all() and data.encoding.columns[0].offset > 2e11
    later = data.encoding.encode(frame[["ts"]].astype(float))
    np.testing.assert_array_equal(later, data.x)


def test_a_command_keeps_how_its_table_is_read(tmp_path, capsys):
    from jnn.cli._saved_command import read_command, write_command

    command = Run("-", target="y", no_header=True, decimal=",", missing="fill", id="a,b")
    write_command(command, tmp_path)
    assert read_command(tmp_path).no_header and read_command(tmp_path).missing == "fill"
    with pytest.raises(SystemExit):
        main(["resume", str(tmp_path)])
    assert "--data FILE" in capsys.readouterr().err


def test_damaged_files_give_data_or_a_sentence(tmp_path):
    outcomes = fuzz(60, 0, tmp_path)
    assert set(outcomes) == {"data", "sentence"} and min(outcomes.values()) > 4


def test_spellings_of_one_class_are_told_unless_they_are_meant(capsys):
    kinds = ["Rosa", "Rosa ", "rosa", "tulip"]
    text = "a;y\n" + "".join(f"{i};{kinds[i % 4]}\n" for i in range(40))
    with pytest.warns(UserWarning, match="'y' .* capitals only, such as 'Rosa' and 'Rosa ' and"):
        assert Dataset.from_csv(write(text), "y").classes == 4
    assert Dataset.from_csv("t.csv", "y", category="y").classes == 4  # warnings are errors here
    letters = text.replace("Rosa", "R").replace("rosa", "r").replace("R ", "R")
    assert Dataset.from_csv(write(letters), "y").target_names == ("R", "r", "tulip")
    frame = pd.DataFrame({"a": kinds * 10, "y": range(40)})
    with pytest.warns(UserWarning, match="Column 'a'"):
        Dataset.from_dataframe(frame, "y", task="regression")
    Dataset.from_dataframe(frame.astype({"a": "category"}), "y", task="regression")


def test_a_data_set_tells_what_guessing_scores_and_how_rows_belong_together():
    kinds = ["no"] * 36 + ["yes"] * 4
    frame = pd.DataFrame({"a": np.arange(40) ** 2, "y": kinds, "who": [0, 1, 2, 3] * 10})
    data = Dataset.from_dataframe(frame, "y", groups="who")
    assert repr(data).endswith("2 classes (90 % of the rows are 'no'), 4 groups")
    even = frame.assign(y=["no", "yes"] * 20, day=pd.date_range("2024-01-01", periods=40))
    assert repr(Dataset.from_dataframe(even, "y", times="day")).endswith("2 classes, in time")


def test_a_table_of_pandas_in_place_of_a_file_is_told_where_to_go():
    with pytest.raises(TypeError, match=r"got a DataFrame\. Pass .* to Dataset\.from_dataframe"):
        Dataset.from_csv(pd.DataFrame({"a": [1], "y": [2]}), "y")


def test_a_column_with_points_and_commas_names_both_marks(capsys):
    text = "a;y\n" + "".join(f"{1 + i % 2}.{i:03d},5;{i % 2}\n" for i in range(30))
    said = sentence(write(text), "--target", "y", capsys=capsys)
    assert "Read the file with --decimal ',' and --thousands '.', or" in said
    data = data_of("t.csv", "--target", "y", "--decimal", ",", "--thousands", ".")
    assert data.x[1].tolist() == [2001.5]
    later = pd.DataFrame({"a": ["1.000,5", "2.000"]})
    with pytest.raises(ValueError, match=r"1 in all.*file with decimal=',' and thousands='\.'"):
        data.encoding.encode(later)


def test_numbers_with_commas_are_not_advised_to_be_categories(capsys):
    text = "a;y\n" + "".join(f"{f'{i},5' if i else ''};{i % 2}\n" for i in range(30))
    said = sentence(write(text), "--target", "y", capsys=capsys)
    assert "1 in 'a'" in said and "--category" not in said
