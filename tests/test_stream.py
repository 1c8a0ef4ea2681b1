"""Streams by Grain: each row once an epoch, in an order fixed by seed and epoch alone."""

import itertools
import sys

import numpy as np
import pytest

from jnn.data import Stream

grain = pytest.importorskip("grain", reason="needs the extra 'stream'")

X, Y = np.arange(46.0, dtype=np.float32).reshape(23, 2), np.arange(23, dtype=np.int32)


def take(batches, count: int) -> list[np.ndarray]:
    return [y for _, y in itertools.islice(batches, count)]


def test_an_epoch_is_every_row_once_but_for_an_incomplete_batch():
    stream = Stream((X, Y), 5)
    assert (stream.rows, stream.steps_per_epoch) == (23, 4)
    for epoch in range(3):
        batches = [stream[epoch * 4 + i] for i in range(4)]
        assert all(x.shape == (5, 2) and y.dtype == np.int32 for x, y in batches)
        assert len({int(i) for _, y in batches for i in y}) == 20
        assert all(np.array_equal(x, X[y]) for x, y in batches)


def test_epochs_and_seeds_have_orders_of_their_own():
    one, other = Stream((X, Y), 23, seed=1), Stream((X, Y), 23, seed=2)
    orders = [tuple(y) for stream in (one, other) for y in take(stream, 3)]
    assert len(set(orders)) == 6 and tuple(range(23)) not in orders
    assert [tuple(y) for y in take(one, 3)] == orders[:3]


def test_a_stream_goes_on_where_it_was_cut_off():
    whole = take(Stream((X, Y), 4, threads=3), 14)
    np.testing.assert_array_equal(take(Stream((X, Y), 4).start(9), 5), whole[9:])
    np.testing.assert_array_equal(Stream((X, Y), 4)[13][1], whole[13])


@pytest.mark.parametrize(
    "ask", [lambda s: s[0], iter, lambda s: s.start(3)], ids=["a batch", "all", "the rest"]
)
def test_without_grain_it_is_told_what_to_install(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)  # so that its import fails
    with pytest.raises(
        ImportError, match=r"Streams need Grain. Run pip install 'jnn-jax\[stream\]'"
    ):
        ask(Stream((X, Y), 5))


def test_a_file_on_disk_is_read_batch_by_batch(tmp_path):
    stored = np.memmap(tmp_path / "x.bin", np.uint8, "w+", shape=(50, 3))
    stored[:] = np.arange(150).reshape(50, 3)
    to_unit = lambda x, y: (x.astype(np.float32) / 255, y)  # noqa: E731
    x, y = next(iter(Stream((stored, np.arange(50)), 8, transform=to_unit)))
    assert type(x) is np.ndarray and x.dtype == np.float32
    np.testing.assert_allclose(x * 255, np.arange(150).reshape(50, 3)[y], rtol=1e-6)


def test_rows_may_be_pairs_or_mappings():
    pairs = Stream(list(zip(X, Y, strict=True)), 6, seed=3)[1]
    named = Stream(
        [{"image": x, "label": y} for x, y in zip(X, Y, strict=True)],
        6,
        3,
        columns=("image", "label"),
    )[1]
    arrays = Stream((X, Y), 6, seed=3)[1]
    for got in (pairs, named):
        np.testing.assert_array_equal(got[0], arrays[0])
        np.testing.assert_array_equal(got[1], arrays[1])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Stream((X, Y), 24),
            "batch_size must be from 1 to the 23 rows of the source, got 24",
        ),
        (
            lambda: Stream((X, Y), 0),
            "batch_size must be from 1 to the 23 rows of the source, got 0",
        ),
        (lambda: Stream((X, Y[1:]), 4), r"equally many rows, got 2 parts of \[23, 22\] rows"),
        (lambda: Stream((X, Y), 4, threads=0), "threads and ahead must be at least 1"),
        (
            lambda: Stream((X, Y), 4, transform=lambda x, y: (x[:3], y[:3]))[0],
            "transform must return a batch .* of 4 rows, got a tuple",
        ),
        (
            lambda: Stream((X, Y), 4, transform=lambda x, y: x)[0],
            "transform must return a batch .* of 4 rows, got a ndarray",
        ),
        (
            lambda: Stream([{"a": 1, "b": 2}] * 4, 2)[0],
            r"for rows that are mappings, got None where rows have \['a', 'b'\]",
        ),
    ],
)
def test_what_cannot_be_streamed_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
