"""Workloads of sequences: characters of Shakespeare in windows, hours of the electricity transformer in windows."""

import csv
import gzip
from pathlib import Path

import numpy as np

from benchmarks.workloads import Product, Workload

LENGTH = 64  # characters
INPUT, HORIZON = 336, 96  # hours

_BLOCK = (  # the products of a block of width 128 for each character; causal attention reads half of the window
    Product(LENGTH, 128, 384), Product(LENGTH, LENGTH, 128), Product(LENGTH, 128, 128),
    Product(LENGTH, 128, 512), Product(LENGTH, 512, 128),
)  # fmt: skip
GPT_LAYERS = (*_BLOCK * 4, Product(LENGTH, 128, 65))
LSTM_LAYERS = (Product(LENGTH, 256, 512), Product(LENGTH, 128, 65))
DLINEAR_LAYERS = (Product(7, INPUT, HORIZON, data=INPUT), Product(7, INPUT, HORIZON, data=INPUT))


def shakespeare(folder: Path, layers: tuple[Product, ...], rows: int) -> Workload:
    """The first `rows` windows, side by side, and the characters that follow; 200 windows of the end test."""
    text = np.frombuffer((folder / "tinyshakespeare" / "input.txt").read_bytes(), np.uint8)
    ids = np.unique(text, return_inverse=True)[1].astype(np.int32)

    def windows(part):
        count = (len(part) - 1) // LENGTH
        return part[: count * LENGTH].reshape(count, LENGTH), part[1 : count * LENGTH + 1].reshape(
            count, LENGTH
        )

    train, test = ids[: rows * LENGTH + 1], ids[-200 * LENGTH - 1 :]
    return Workload(*windows(train), *windows(test), layers, "tinyshakespeare")


def etth1(folder: Path) -> Workload:
    """Every window of the 12 training months, and those of the 4 test months, standardised by the training months."""
    with gzip.open(folder / "ett" / "ETTh1.csv.gz", "rt") as file:
        table = np.asarray([row[1:] for row in list(csv.reader(file))[1:]], np.float64)
    months = 30 * 24
    train, test = table[: 12 * months], table[16 * months - INPUT : 20 * months]
    mean, deviation = train.mean(axis=0), train.std(axis=0)

    def windows(part):
        part = ((part - mean) / deviation).astype(np.float32)
        seen = np.lib.stride_tricks.sliding_window_view(part, INPUT + HORIZON, axis=0).swapaxes(
            1, 2
        )
        return np.ascontiguousarray(seen[:, :INPUT]), np.ascontiguousarray(seen[:, INPUT:])

    return Workload(*windows(train), *windows(test), DLINEAR_LAYERS, "ETTh1")
