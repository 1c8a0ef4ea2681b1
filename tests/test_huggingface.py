"""Columns of a Hugging Face data set, by a stand-in: the package itself is heavy."""

from types import SimpleNamespace

import numpy as np
import pytest

from jnn.data import Dataset, Stream, WordTokenizer


class Rows:
    """`column_names`, `features`, `len` and indexing by name or row, as of `datasets.Dataset`."""

    def __init__(self, columns, classes=None):
        self._columns = columns
        self.column_names = list(columns)
        self.features = {name: SimpleNamespace() for name in columns}
        if classes:
            self.features["label"] = SimpleNamespace(names=classes)

    def __len__(self):
        return len(next(iter(self._columns.values())))

    def __getitem__(self, key):
        return (
            self._columns[key]
            if isinstance(key, str)
            else {name: v[key] for name, v in self._columns.items()}
        )


IMAGES = [np.full((4, 3), 51 * i, np.uint8) for i in range(5)]


def test_images_become_floats_with_channels_and_classes_keep_their_names():
    data = Dataset.from_huggingface(
        Rows({"image": IMAGES, "label": [0, 1, 1, 0, 0]}, ["cat", "dog"]), "image", "label"
    )
    assert (data.x.shape, data.x.dtype, data.target_names) == (
        (5, 4, 3, 1),
        np.float32,
        ("cat", "dog"),
    )
    np.testing.assert_allclose(data.x[:, 0, 0, 0], np.arange(5) / 5, rtol=1e-6)
    colour = Rows({"image": [np.stack([i] * 3, -1) for i in IMAGES], "label": [0, 1, 1, 0, 0]})
    assert Dataset.from_huggingface(colour, "image", "label").x.shape == (5, 4, 3, 3)


def test_text_becomes_token_ids():
    rows = Rows({"text": ["a b", "b b c"], "label": [0, 1]}, ["neg", "pos"])
    data = Dataset.from_huggingface(rows, "text", "label", length=2, name="two")
    np.testing.assert_array_equal(data.x, [[3, 2], [2, 2]])
    assert (data.name, list(data.texts), data.tokenizer) == (
        "two",
        ["a b", "b b c"],
        WordTokenizer(("b", "a", "c")),
    )


@pytest.mark.parametrize("texts", [["a b", None], [None, "a b"]])
def test_a_text_that_is_missing_is_one_sentence(texts):
    with pytest.raises(TypeError, match=r"texts must all be text, got None \(NoneType\) at texts"):
        Dataset.from_huggingface(Rows({"text": texts, "label": [0, 1]}), "text", "label")


def test_columns_of_numbers_become_features():
    rows = Rows({"age": [1, 2, 3], "size": [0.5, 1.5, 2.5], "price": [1.0, 2.5, 3.5]})
    data = Dataset.from_huggingface(rows, ["age", "size"], "price")
    assert (data.feature_names, data.task) == (("age", "size"), "regression")
    np.testing.assert_array_equal(data.x, [[1, 0.5], [2, 1.5], [3, 2.5]])
    assert Dataset.from_huggingface(rows, "size", "price").x.shape == (3, 1)


def test_rows_can_be_streamed():
    pytest.importorskip("grain", reason="needs the extra 'stream'")
    x, y = Stream(Rows({"image": IMAGES, "label": list(range(5))}), 5, columns=("image", "label"))[
        0
    ]
    np.testing.assert_array_equal(x[:, 0, 0], 51 * y)


def test_a_wrong_column_or_no_split_is_one_sentence():
    with pytest.raises(ValueError, match=r"among the columns \['label', 'text'\], got \['txt'\]"):
        Dataset.from_huggingface(Rows({"text": ["a"], "label": [0]}), "txt", "label")
    with pytest.raises(
        TypeError,
        match=r"rows must be one split of a Hugging Face data set, got dict\. Choose a split",
    ):
        Dataset.from_huggingface({"train": Rows({"text": ["a"], "label": [0]})}, "text", "label")
