"""Tokenizers against Python's own text functions and the package tokenizers; padding; JSON."""

import collections
import os

import numpy as np
import pytest

from jnn.data import BytePairTokenizer, CharTokenizer, Dataset, WordTokenizer, pad

TEXTS = ["the cat sat on the mat .", "a cat , a mat and the rat !", "été — 日本 🙂"]


def tokenizers():
    examples = {"characters": CharTokenizer.fit(TEXTS), "words": WordTokenizer.fit(TEXTS)}
    try:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        examples["byte pairs"] = BytePairTokenizer.fit(TEXTS, 280)
    except ImportError:
        pass
    return examples


TOKENIZERS = tokenizers()
every_tokenizer = pytest.mark.parametrize("name", ["characters", "words", "byte pairs"])


def get(name: str):
    if name not in TOKENIZERS:
        pytest.skip("needs the extra 'text'")
    return TOKENIZERS[name]


@every_tokenizer
@pytest.mark.parametrize("text", [*TEXTS, ""])
def test_what_is_decoded_is_what_was_encoded(name, text):
    tokenizer = get(name)
    ids = tokenizer.encode(text)
    assert (
        ids.dtype == np.int32
        and ids.ndim == 1
        and (ids < tokenizer.size).all()
        and (ids >= 0).all()
    )
    assert tokenizer.decode(ids) == text


@every_tokenizer
def test_json_brings_a_tokenizer_back(name):
    tokenizer = get(name)
    again = type(tokenizer).from_json(tokenizer.to_json())
    assert again == tokenizer and again.size == tokenizer.size
    np.testing.assert_array_equal(again.encode(TEXTS[1]), tokenizer.encode(TEXTS[1]))


def test_characters_are_numbered_in_the_order_of_unicode():
    text = "To be, or not\nto be"
    alphabet = sorted(set(text))
    np.testing.assert_array_equal(
        CharTokenizer.fit([text]).encode(text), [alphabet.index(c) for c in text]
    )


def test_an_unknown_character_is_refused_or_replaced():
    with pytest.raises(ValueError, match="Characters must be among 'abc', got 'x'"):
        CharTokenizer("abc").encode("abx")
    np.testing.assert_array_equal(CharTokenizer("cab", unknown="b").encode("axc"), [1, 2, 0])
    assert CharTokenizer.fit(["ba"], unknown="?").characters == "?ab"
    with pytest.raises(ValueError, match="characters must be different and unknown one of them"):
        CharTokenizer("aba")


def test_words_are_numbered_by_frequency_and_then_by_alphabet():
    tokenizer = WordTokenizer.fit(TEXTS)
    counts = collections.Counter(" ".join(TEXTS).split())
    expected = sorted(counts, key=lambda word: (-counts[word], word))
    assert tokenizer.words == tuple(expected) and tokenizer.words[0] == "the"
    assert WordTokenizer.fit(TEXTS, min_count=2).words == ("the", "a", "cat", "mat")
    assert WordTokenizer.fit(TEXTS, size=4).words == ("the", "a")


def test_unknown_words_are_1_and_padding_is_left_out():
    tokenizer = WordTokenizer(("cat", "dog"))
    rows = pad([tokenizer.encode("dog bird"), tokenizer.encode("cat")], 3)
    np.testing.assert_array_equal(rows, [[3, 1, 0], [2, 0, 0]])
    assert [tokenizer.decode(row) for row in rows] == ["dog <unknown>", "cat"]


def test_a_pattern_parts_off_punctuation():
    assert WordTokenizer.fit(["Stop! Don't."], pattern=r"\w+|[^\w\s]").words == (
        "!",
        "'",
        ".",
        "Don",
        "Stop",
        "t",
    )


def test_words_of_a_pattern_with_groups_are_whole_matches():
    tokenizer = WordTokenizer.fit(["don't stop"], pattern=r"\w+('\w+)?")
    assert tokenizer.words == ("don't", "stop")
    np.testing.assert_array_equal(tokenizer.encode("stop don't go"), [3, 2, 1])


def test_an_alphabet_without_characters_is_one_sentence():
    with pytest.raises(
        ValueError,
        match=r"must have at least one character, got none\. Fit on texts that have some",
    ):
        CharTokenizer.fit([])


def test_a_text_that_says_pad_is_no_padding():
    tokenizer = get("byte pairs")
    ids = tokenizer.encode("a <pad> b")
    assert ids.all() and tokenizer.decode(ids) == "a <pad> b"


def test_a_text_that_is_none_is_one_sentence():
    with pytest.raises(
        TypeError, match=r"all be text, got None \(NoneType\) at texts\[1\]\. Drop such rows"
    ):
        Dataset.from_texts(["a", None], [0, 1])


def test_pad_fills_up_and_cuts_off():
    rows = pad([[1, 2, 3], []], 2, padding=-1)
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(rows, [[1, 2], [-1, -1]])
    assert pad([[1], [2, 3]]).shape == (2, 2)


def test_byte_pairs_are_those_of_the_package_and_read_any_text():
    package = pytest.importorskip("tokenizers", reason="needs the extra 'text'")
    tokenizer = get("byte pairs")
    peer = package.Tokenizer.from_str(tokenizer.model)
    assert (
        tokenizer.size == 280 and tokenizer.encode("the cat").tolist() == peer.encode("the cat").ids
    )
    assert len(tokenizer.encode("the")) < 3  # merged
    assert (
        tokenizer.decode(pad([tokenizer.encode("Ω\x00 never seen")], 40)[0]) == "Ω\x00 never seen"
    )
    with pytest.raises(
        ValueError, match=r"size must be at least 257, .* got 200\. Use 257 or more"
    ):
        BytePairTokenizer.fit(TEXTS, 200)


def test_a_data_set_of_texts_keeps_them_with_their_tokenizer():
    data = Dataset.from_texts(TEXTS, ["no", "yes", "no"])
    assert (data.x.dtype, data.rows, data.target_names) == (np.int32, 3, ("no", "yes"))
    assert [data.tokenizer.decode(row) for row in data.x] == TEXTS == list(data.texts)
    part = data.take([2, 0])
    assert list(part.texts) == [TEXTS[2], TEXTS[0]] and part.tokenizer is data.tokenizer


def test_a_vocabulary_may_come_from_other_texts_and_rows_be_cut():
    known = WordTokenizer.fit(TEXTS[:1])
    data = Dataset.from_texts(TEXTS, [0, 1, 0], tokenizer=known, length=4)
    assert data.x.shape == (3, 4) and data.tokenizer == known
    assert known.decode(data.x[1]) == "<unknown> cat <unknown> <unknown>"


def test_fewer_labels_than_texts_are_one_sentence():
    with pytest.raises(ValueError, match="y must have one row for each of the 3 rows of x"):
        Dataset.from_texts(TEXTS, [0, 1])
    with pytest.raises(ValueError, match="texts must have one row for each of the 3 rows of x"):
        Dataset(np.zeros((3, 1)), np.array([0, 1, 0]), "classification", texts=TEXTS[:2])
