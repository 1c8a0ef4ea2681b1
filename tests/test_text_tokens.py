"""What texts are read as, and sentences for arguments that no data set can be made of."""

import io

import numpy as np
import pytest

from jnn.data import CharTokenizer, Dataset, WordTokenizer, pad

CODES = ["".join(np.random.default_rng(i).choice(list("abcdef"), 8)) for i in range(40)]
X = np.arange(12.0).reshape(6, 2)


def test_texts_without_spaces_are_read_by_characters_and_it_is_told():
    data = Dataset.from_texts(CODES, [i % 2 for i in range(40)])
    assert isinstance(data.tokenizer, CharTokenizer) and "most texts have no spaces" in repr(data)
    assert [data.tokenizer.decode(row) for row in data.x] == CODES
    words = Dataset.from_texts(CODES, tokenizer="words")
    assert isinstance(words.tokenizer, WordTokenizer) and words.x.shape == (40, 1)
    assert isinstance(
        Dataset.from_texts([f"{a} and {b}" for a, b in zip(CODES, CODES, strict=True)]).tokenizer,
        WordTokenizer,
    )


def test_characters_pad_and_replace_without_being_confused():
    data = Dataset.from_texts(["ab", "b"], tokenizer="characters")
    first = data.tokenizer.characters.index
    np.testing.assert_array_equal(data.x, [[first("a"), first("b")], [first("b"), 0]])
    later = data.encoding.encode_texts(["bz"])
    assert later[0, 1] not in (0, first("a"), first("b"))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Dataset.from_texts(["a"], length=0), ValueError, "length .* got 0"),
        (lambda: Dataset.from_texts(["a"], length=-1), ValueError, "length .* got -1"),
        (lambda: Dataset.from_texts(["a"], length=2.0), TypeError, r"length .* got 2\.0"),
        (lambda: pad([[1]], True), TypeError, "length .* got True"),
        (lambda: Dataset.from_texts("abc"), TypeError, "got a single text"),
        (lambda: Dataset.from_texts(b"abc"), TypeError, r"got a bytes\. Pass \[text\]"),
        (lambda: Dataset.from_texts(3), TypeError, "got a int"),
        (lambda: Dataset.from_texts(["a"], tokenizer="bpe"), ValueError, "'words', 'characters'"),
        (lambda: Dataset.from_texts(["a"], tokenizer=3), TypeError, "a method encode"),
        (lambda: Dataset.from_arrays(X, np.eye(3)[[0, 1, 2, 0, 1, 2]]), ValueError, "one-hot rows"),
        (lambda: Dataset.from_arrays(X, np.array([[0], [1]] * 3)), ValueError, r"y\[:, 0\]"),
        (lambda: Dataset.from_arrays(X, np.array([["a"], ["b"]] * 3)), ValueError, "one label per"),
        (lambda: Dataset.from_series(io.StringIO("a\n1\n"), 1, 1), TypeError, "got a StringIO"),
        (lambda: Dataset.from_series(b"t.csv", 1, 1), TypeError, "values must be a path.* a bytes"),
    ],
)
def test_what_no_rows_can_be_made_of_is_one_sentence(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_column_of_amounts_and_one_hot_outputs_that_are_meant_stay_a_regression():
    assert Dataset.from_arrays(X, X[:, :1]).task == "regression"
    rows = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    assert Dataset.from_arrays(X, rows, task="regression").outputs == 3


def test_few_rows_get_enough_steps_and_a_batch_that_fits(tmp_path, monkeypatch):
    from jnn.cli._command import Run
    from jnn.cli._job import make_job

    monkeypatch.chdir(tmp_path)
    lines = [f"{i},{i % 3}.5,{'ab'[i % 2]}" for i in range(30)]
    (tmp_path / "t.csv").write_text("u,v,y\n" + "\n".join(lines) + "\n")
    study = make_job(Run("t.csv", target="y")).study
    rows = 24  # of 30, in 5 folds
    assert study.batch_size == rows and study.epochs * 1 >= 800
    chosen = make_job(Run("t.csv", target="y", epochs=3, batch_size=5)).study
    assert (chosen.epochs, chosen.batch_size) == (3, 5)
    digits = make_job(Run("digits")).study
    assert (digits.epochs, digits.batch_size, digits.model.name) == (20, 32, "MLP")


@pytest.mark.parametrize(
    ("options", "network"), [({"text": "t"}, "TextCNN"), ({"model": "mlp:4"}, "MLP"), ({}, "MLP")]
)
def test_the_command_line_chooses_a_network_for_the_kind_of_data(
    options, network, tmp_path, monkeypatch
):
    from jnn.cli._command import Run
    from jnn.cli._job import make_job

    monkeypatch.chdir(tmp_path)
    lines = [f"so {'good' if i % 2 else 'bad'},{i},{i % 2}" for i in range(30)]
    (tmp_path / "t.csv").write_text("t,n,y\n" + "\n".join(lines) + "\n")
    assert make_job(Run("t.csv", target="y", **options)).study.model.name == network
