"""CSV files: their names, what is refused, and categories that any reader finds again."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from jnn.data import Dataset, read_series
from jnn.data._csv import read_pieces

TABLE = "size,town,y\n1,Ulm,a\n2.5,Bonn,b\n4,Ulm,a\n"


@pytest.mark.parametrize(
    ("name", "separator"),
    [("t.csv", ","), ("t.tsv", "\t"), ("t.TSV", "\t"), ("t.csv.gz", ","), ("t.tsv.gz", "\t")],
)
def test_a_name_says_how_its_columns_are_parted_and_packed(tmp_path, name, separator):
    frame = pd.read_csv(io.StringIO(TABLE))
    frame.to_csv(tmp_path / name, sep=separator, index=False)
    data = Dataset.from_csv(tmp_path / name, "y")
    np.testing.assert_array_equal(data.x, Dataset.from_dataframe(frame, "y").x)
    assert (data.name, data.source) == ("t", name)
    values, channels = read_series(tmp_path / name)
    assert channels == ("size",) and values[:, 0].tolist() == [1, 2.5, 4]


def test_a_separator_that_is_given_counts_more_than_the_name(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text(TABLE.replace(",", ";"))
    assert Dataset.from_csv(path, "y", separator=";").feature_names == (
        "size",
        "town=Bonn",
        "town=Ulm",
    )
    assert read_series(path, separator=";")[1] == ("size",)
    assert Dataset.from_series(path, 1, 1, separator=";").rows == 2
    path.write_text(TABLE.replace(",", "\t"))
    assert Dataset.from_csv(path, "y", separator=r"\t").feature_names == (
        "size",
        "town=Bonn",
        "town=Ulm",
    )
    with pytest.raises(ValueError, match="separator must be one character, got 'ab'"):
        Dataset.from_csv(path, "y", separator="ab")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "a,b,y\n1,2,0,9\n3,4,1,9\n",
            "must be a CSV table in UTF-8 with a header line.*Expected 3 fields.*saw 4",
        ),
        (
            "a,b,y\n1,2,0\n3,4,1,9\n",
            "must be a CSV table in UTF-8 with a header line.*Expected 3 fields.*saw 4",
        ),
        ("a,a,y\n1,2,0\n3,4,1\n", r"Columns must have different names, got \['a'\] more than once"),
    ],
    ids=["longer rows", "a longer row", "a name twice"],
)
def test_what_pandas_would_shift_or_rename_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=sentence) as error:
        Dataset.from_csv(tmp_path / "t.csv", "y")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("end", ["gz", "bz2", "xz", "zip"])
def test_a_damaged_archive_is_one_sentence(tmp_path, end):
    path = tmp_path / f"t.csv.{end}"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=rf"must be a CSV table .*{end}': .") as error:
        Dataset.from_csv(path, "y")
    assert "\n" not in str(error.value)


def test_an_archive_that_nothing_unpacks_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)  # so that its import fails
    (tmp_path / "t.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(ValueError, match=r"must be a CSV table .*zst.*install"):
        Dataset.from_csv(tmp_path / "t.csv.zst", "y")


def test_a_column_without_a_name_is_called_as_by_pandas(tmp_path):
    pd.DataFrame({"a": [3, 4, 4], "y": [0, 1, 1]}, [1, 5, 5]).to_csv(tmp_path / "t.csv")
    assert Dataset.from_csv(tmp_path / "t.csv", "y").feature_names == ("Unnamed: 0", "a")


@pytest.mark.parametrize("first", [0, 1])
def test_the_index_that_pandas_writes_is_no_feature_and_no_channel(tmp_path, first):
    path = tmp_path / "t.csv"
    pd.DataFrame({"a": [3, 4, 4], "y": [0, 1, 0]}, range(first, first + 3)).to_csv(path)

    def features(**drop):
        return Dataset.from_csv(path, "y", **drop).feature_names

    def channels(**drop):
        return read_series(path, **drop)[1]

    for read in (features, channels):
        with pytest.raises(
            ValueError, match=r"none for 'Unnamed: 0', which counts .* drop=\['Unnamed: 0'\]"
        ):
            read()
        assert read(drop="Unnamed: 0")[0] == "a"
    assert read_series(path, ["Unnamed: 0"])[0][0, 0] == first  # whoever names it means it


def test_an_empty_line_between_the_values_of_a_single_column_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("load\n1\n\n3\n\n")
    for read in (read_series, lambda path: list(read_pieces(path, 2))):
        with pytest.raises(ValueError, match="an empty line in row 2 of "):
            read(path)
    path.write_text("load\n1\n3\n\n\n")
    assert read_series(path)[0].tolist() == [[1], [3]]
    assert [len(piece) for piece in read_pieces(path, 1)] == [1, 1]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("?", r"column 'load' must hold a number, got '\?' in row 2 "),
        ("1,5", "Column 'load' .* as text, such as '1,5'"),
    ],
)
def test_a_channel_with_a_slip_is_refused_and_dates_are_left_out(tmp_path, cell, sentence):
    path = tmp_path / "t.csv"
    path.write_text(
        "day;town;load;heat\n" + "".join(f"2024-01-0{i};Ulm;{i}.5;{i}\n" for i in range(1, 6))
    )
    assert read_series(path, separator=";")[1] == ("load", "heat")
    path.write_text(path.read_text().replace("2.5", cell))
    with pytest.raises(ValueError, match=sentence):
        read_series(path, separator=";")
    assert read_series(path, separator=";", drop="load")[1] == ("heat",)


def test_sentences_are_kept_as_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("text,y\n007,0\n1,1\n")
    assert list(Dataset.from_csv(tmp_path / "t.csv", "y", text="text").texts) == ["007", "1"]


WORDS = "word,code,flag,y\n" + "".join(
    f"{word},{code},{flag},{number}\n"
    for number, (word, code, flag) in enumerate(
        [
            ("true", "01", "true"),
            ("false", "A1", "FALSE"),
            ("unknown", "02", "True"),
            ("true", "B1", "false"),
        ]
    )
)


@pytest.mark.parametrize(
    "types", [{}, {"word": str, "code": str, "flag": str}], ids=["inferred", "as written"]
)
def test_categories_are_found_again_whatever_types_a_reader_infers(tmp_path, types):
    """The first row alone is read as a bool, the number 1 and a bool."""
    (tmp_path / "t.csv").write_text(WORDS)
    data = Dataset.from_csv(tmp_path / "t.csv", "y")
    names = ("word=false", "word=true", "word=unknown", "code=01", "code=02", "code=A1", "code=B1")
    assert data.feature_names == (*names, "flag=False", "flag=True")
    first = pd.read_csv(io.StringIO("\n".join(WORDS.split("\n")[:2])), dtype=types)
    np.testing.assert_array_equal(data.encoding.encode(first), data.x[:1])


def test_a_category_that_is_a_number_is_found_as_text():
    frame = pd.DataFrame({"c": pd.Categorical([1.0, 2.0, 10.0]), "y": [0.5, 1, 2]})
    data = Dataset.from_dataframe(frame, "y")
    for written in (["10.0", "1.0"], ["10", "1"], [10, 1]):
        np.testing.assert_array_equal(
            data.encoding.encode(pd.DataFrame({"c": written})), data.x[[2, 0]]
        )


def test_two_categories_of_one_number_are_told_apart_or_refused():
    frame = pd.DataFrame({"c": ["1", "01", "x", "z"], "y": [0.5, 1, 2, 3]})
    encoding = Dataset.from_dataframe(frame, "y").encoding
    np.testing.assert_array_equal(encoding.encode(pd.DataFrame({"c": ["01", "1"]})), np.eye(4)[:2])
    with pytest.raises(ValueError, match=r"got \['001'\]: no row"):
        encoding.encode(pd.DataFrame({"c": ["001"]}))


@pytest.mark.parametrize(
    ("category", "other"),
    [("1.10", "1.1"), ("4E1", "40"), ("1_0", "10"), ("1", "001"), ("4E1", 40), ("1_0", 10)],
)
def test_a_category_is_not_taken_for_another_one_of_the_same_number(category, other):
    frame = pd.DataFrame({"c": [category, "x", category, "z"], "y": [0.5, 1, 2, 3]})
    encoding = Dataset.from_dataframe(frame, "y").encoding
    with pytest.raises(ValueError, match=rf"got \['{other}'\]: no row"):
        encoding.encode(pd.DataFrame({"c": [other]}))


def test_a_number_is_the_category_that_it_was_read_from():
    frame = pd.DataFrame({"c": ["1.10", "x", "4E1", "z"], "y": [0.5, 1, 2, 3]})
    encoding = Dataset.from_dataframe(frame, "y").encoding
    read = pd.read_csv(io.StringIO("c\n4E1\n1.10\n"))
    np.testing.assert_array_equal(encoding.encode(read), np.eye(4)[[1, 0]])


def test_a_column_without_rows_is_one_sentence(tmp_path):
    (tmp_path / "t.csv").write_text("load\n")
    for read in (lambda p: Dataset.from_csv(p, "load"), lambda p: read_series(p, ["load"])):
        with pytest.raises(ValueError, match="must h"):
            read(tmp_path / "t.csv")
    frame = pd.DataFrame({"a": [1.0, 2, 4], 0: ["x y", "z", "z"], "y": [1, np.nan, 0]})
    data = Dataset.from_dataframe(frame, "y", text=0, missing="fill")  # a name that is false
    assert data.rows == 2
