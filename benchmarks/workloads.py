"""What is trained: the rows, the network's shape and the work that one step holds."""

import functools
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.flops import traffic

LEARNING_RATE = 1e-3
SEARCH_RATES, SEARCH_FOLDS = (
    (1e-4, 1e-2),
    3,
)  # of the random search: bounds of the learning rate, log-uniform


class Product(NamedTuple):
    """A kernel of a network: used at `positions` places of an example, it maps `inputs` to `outputs` numbers.

    `data` of the inputs are read from the rows, so that nobody asks for their gradient.
    """

    positions: int
    inputs: int
    outputs: int
    data: int = 0


DIGITS_LAYERS = (Product(1, 64, 32, data=64), Product(1, 32, 10))
SMALL_LAYERS = (Product(1, 64, 62, data=64), Product(1, 62, 10))  # 4660 parameters
WIDE_LAYERS = (Product(1, 784, 256, data=784), Product(1, 256, 256), Product(1, 256, 10))
FLAT_LAYERS = (Product(1, 784, 128, data=784), Product(1, 128, 128), Product(1, 128, 10))
RECURRENT_LAYERS = (Product(8, 8 + 32, 128, data=8), Product(1, 32, 10))
RESIDUAL_LAYERS = (
    Product(64, 9, 16, data=9), *[Product(64, 144, 16)] * 2, Product(16, 144, 32), Product(16, 288, 32),
    Product(4, 288, 64), Product(4, 576, 64), Product(1, 64, 10),
)  # fmt: skip
TEXT_LAYERS = (*(Product(64, window * 16, 8) for window in (3, 4, 5)), Product(1, 24, 10))
TOKENS_LAYERS = (
    *[Product(63, 12 * 32, 32)] * 2,
    Product(63, 32, 17),
)  # the products of weights alone, as next
VIT_LAYERS = (
    Product(16, 4, 32, data=4),
    *[Product(17, 12 * 32, 32)] * 2,
    Product(1, 32, 10),
)  # the products of weights alone
LENET_LAYERS = (
    Product(784, 9, 16, data=9),
    Product(196, 144, 32),
    Product(1, 1568, 64),
    Product(1, 64, 10),
)


@dataclass(frozen=True)
class Budget:
    """How much one job trains: members, epochs for each, rows in a batch."""

    members: int
    epochs: int
    batch_size: int


@dataclass(frozen=True)
class Workload:
    """Rows with a fixed split, the layers of the network that learns them, and where the rows come from."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    layers: tuple[Product, ...]
    source: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of a fully connected network, input first."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))


def steps_per_epoch(work: Workload, batch_size: int) -> int:
    """Updates in one epoch, the last short batch included."""
    return -(-len(work.train_x) // batch_size)


def step_flops(layers: tuple[Product, ...], batch_size: int) -> int:
    """Floating-point operations of one training step: two products backward for each forward, but none to the data."""
    return batch_size * sum(2 * p.positions * (3 * p.inputs - p.data) * p.outputs for p in layers)


def step_bytes(layers: tuple[Product, ...], batch_size: int) -> float:
    """Least memory traffic of one Adam step in float32: its gradients, moments and parameters, and the input rows.

    The parameters' part is `flops.traffic`.
    """
    parameters = sum((layer.inputs + 1) * layer.outputs for layer in layers)
    inputs = max(layers[0].positions, layers[0].inputs)
    return traffic(parameters) + 4 * batch_size * inputs


def digits() -> Workload:
    """Scikit-learn's digits, 1797 rows of 64 values in [0, 1], split 80 : 20."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return _split(bunch.data / 16, bunch.target, DIGITS_LAYERS, "scikit-learn digits")


def small() -> Workload:
    """The rows of `digits` for the network 64-62-10."""
    return replace(digits(), layers=SMALL_LAYERS)


def search() -> Workload:
    """The digits' training rows: an epoch has two of three folds, `train`; the third is scored, `test`."""
    work = digits()
    n = len(work.train_x) * (SEARCH_FOLDS - 1) // SEARCH_FOLDS
    x, y = work.train_x, work.train_y
    return replace(work, train_x=x[:n], train_y=y[:n], test_x=x[n:], test_y=y[n:])


def all_rows(work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the training rows, then the test rows."""
    return np.concatenate([work.train_x, work.test_x]), np.concatenate([work.train_y, work.test_y])


def recurrent() -> Workload:
    """The digits as sequences of 8 rows of 8 pixels."""
    work = digits()
    x, test_x = (a.reshape(-1, 8, 8) for a in (work.train_x, work.test_x))
    return replace(work, train_x=x, test_x=test_x, layers=RECURRENT_LAYERS)


def patches() -> Workload:
    """The digits as images of 8x8x1."""
    work = digits()
    x, test_x = (a.reshape(-1, 8, 8, 1) for a in (work.train_x, work.test_x))
    return replace(work, train_x=x, test_x=test_x, layers=VIT_LAYERS)


def residual() -> Workload:
    """The images of `patches` for a residual network of depth 8."""
    return replace(patches(), layers=RESIDUAL_LAYERS)


def text() -> Workload:
    """The digits as texts of 64 ids: a bright pixel's is its place, any other's is 0."""
    work = digits()
    x, test_x = (
        np.where(a > 0.5, np.arange(1, 65), 0).astype(np.int32) for a in (work.train_x, work.test_x)
    )
    return replace(work, train_x=x, test_x=test_x, layers=TEXT_LAYERS)


def tokens() -> Workload:
    """The digits as 64 ids, each one of 17 shades, which those before it foretell."""
    work = digits()
    x, test_x = (np.rint(16 * a).astype(np.int32) for a in (work.train_x, work.test_x))
    return Workload(x[:, :-1], x[:, 1:], test_x[:, :-1], test_x[:, 1:], TOKENS_LAYERS, work.source)


def wide() -> Workload:
    """Flat 28x28 images for the network 784-256-256-10: 60 batches of 128."""
    x, y, source = _images(9600)
    return _split(x.reshape(len(x), -1), y, WIDE_LAYERS, source)


def flat() -> Workload:
    """The rows of `wide` for the network 784-128-128-10."""
    return replace(wide(), layers=FLAT_LAYERS)


def lenet() -> Workload:
    """28x28x1 images for the LeNet-like network: 30 batches of 64."""
    x, y, source = _images(2400)
    return _split(x[..., None], y, LENET_LAYERS, source)


def mnist1d(layers: tuple[Product, ...]) -> Workload:
    """MNIST-1D as published: 4000 and 1000 series of 40 points, in their order."""
    with np.load(data_folder() / "mnist1d" / "mnist1d.npz") as file:
        x, y, test_x, test_y = (file[name] for name in ("x", "y", "x_test", "y_test"))
    return Workload(*_typed(x, y), *_typed(test_x, test_y), layers, "MNIST-1D")


def uci_yacht() -> Workload:
    """The first of the 20 published splits of yacht without a last fifth that validates; `uci_data` has them all."""
    from benchmarks.uci_data import yacht

    data = yacht()
    train, validation = data.folds[0]
    layers = (Product(1, data.x.shape[1], 50, data=data.x.shape[1]), Product(1, 50, 1))
    return Workload(
        data.x[train], data.y[train], data.x[validation], data.y[validation], layers, "UCI yacht"
    )


def _sequences(name: str) -> Workload:
    """The rows of `sequence_data`: 80 steps of a GPT or an LSTM in an epoch, 257 of DLinear."""
    from benchmarks import sequence_data as data

    if name == "dlinear":
        return data.etth1(data_folder())
    layers, batch_size = (data.GPT_LAYERS, 12) if name == "gpt" else (data.LSTM_LAYERS, 32)
    return data.shakespeare(data_folder(), layers, 80 * batch_size)


MNIST1D_LAYERS = {
    "logistic": (Product(1, 40, 10, data=40),),
    "mlp": (Product(1, 40, 100, data=40), Product(1, 100, 100), Product(1, 100, 10)),
    "cnn": (
        Product(19, 5, 25, data=5),
        Product(10, 75, 25),
        Product(5, 75, 25),
        Product(1, 125, 10),
    ),
    "gru": (Product(80, 7, 18, data=1), Product(1, 480, 10)),
}
WORKLOADS: dict[str, Callable[[], Workload]] = {
    "digits": digits,
    "small": small,
    "wide": wide,
    "flat": flat,
    "residual": residual,
    "text": text,
    "tokens": tokens,
    "lenet": lenet,
    "uci_yacht": uci_yacht,
}
WORKLOADS |= {"recurrent": recurrent, "patches": patches, "search": search}
WORKLOADS |= {name: functools.partial(_sequences, name) for name in ("gpt", "lstm", "dlinear")}
WORKLOADS |= {
    f"mnist1d_{name}": functools.partial(mnist1d, layers) for name, layers in MNIST1D_LAYERS.items()
}


def _split(x: np.ndarray, y: np.ndarray, layers: tuple[Product, ...], source: str) -> Workload:
    order = np.random.default_rng(0).permutation(len(x))
    x, y = _typed(x[order], y[order])
    n = len(x) - round(0.2 * len(x))
    return Workload(x[:n], y[:n], x[n:], y[n:], layers, source)


def _typed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.astype(np.float32), y.astype(np.int32)


def data_folder() -> Path:
    """The folder that `JNN_DATA` names.

    Raises:
        ValueError: If it names none.
    """
    if "JNN_DATA" not in os.environ:
        raise ValueError(
            "wanted the real data of this suite, but JNN_DATA names no folder; set it to the folder"
        )
    return Path(os.environ["JNN_DATA"])


def _images(n: int) -> tuple[np.ndarray, np.ndarray, str]:
    """`n` images [n, 28, 28] in [0, 1]: MNIST where `JNN_DATA` holds it, else the digits enlarged."""
    mnist = Path(os.environ.get("JNN_DATA", "nowhere")) / "mnist"
    if mnist.is_dir():
        return *_mnist(mnist, n), "MNIST, first training images"
    return *_enlarged_digits(n), "scikit-learn digits enlarged to 28x28, rows repeated"


def _mnist(folder: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = (
        _idx(folder, "train-images-idx3-ubyte.gz", 16),
        _idx(folder, "train-labels-idx1-ubyte.gz", 8),
    )
    return pixels[: n * 784].reshape(n, 28, 28) / 255, labels[:n]


def _idx(folder: Path, name: str, header: int) -> np.ndarray:
    with gzip.open(folder / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _enlarged_digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.repeat(np.repeat(bunch.images / 16, 3, axis=1), 3, axis=2)  # [1797, 24, 24]
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    row = np.arange(n) % len(images)
    return images[row], bunch.target[row]
