"""What is trained: the rows and the network of every job, by name.

All contenders read the same rows. Digits come from scikit-learn, everything else from `jnn.data`,
which is imported by the functions that need it, so that a process which trains on digits does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.work import Product, Workload

SEARCH_RATES = (1e-4, 1e-2)  # bounds of the random search's learning rate, log-uniform
SEARCH_FOLDS = 3
SETTINGS_FOLDS = 5
SETTINGS_TEST_SHARE = 0.2  # of the rows that no search sees
SETTINGS_RATES = (1e-4, 1e-2)  # bounds of the learning rate, log-uniform
SETTINGS_DECAYS = (1e-6, 1e-3)  # bounds of the L2 penalty, log-uniform
HEADS_LABELS = (16, 64, 256, 1024)
HEADS_TEST_SHARE = 0.4
TEXT_LENGTH = 64  # characters
INPUT = 336  # hours
HORIZON = 96  # hours
UCI_HIDDEN = 50
GAN_LATENT = {"gan_mlp": 2, "dcgan": 100}  # numbers that an example is made from
GAN_WIDTH = 128  # of the hidden layers of both players of points
GAN_MAPS = 64  # next to the image, in both players of images
GAN_TEST = 500  # rows that the score is taken on

DIGITS_LAYERS = (Product(1, 64, 32, data=64), Product(1, 32, 10))
SETTINGS_LAYERS = (Product(1, 64, 64, data=64), Product(1, 64, 10))
HEADS_LAYERS = (Product(1, 64, 512, data=64), Product(1, 512, 512), Product(1, 512, 10))
SMALL_LAYERS = (Product(1, 64, 62, data=64), Product(1, 62, 10))  # 4660 parameters
WIDE_LAYERS = (Product(1, 784, 256, data=784), Product(1, 256, 256), Product(1, 256, 10))
FLAT_LAYERS = (Product(1, 784, 128, data=784), Product(1, 128, 128), Product(1, 128, 10))
RECURRENT_LAYERS = (Product(8, 8 + 32, 128, data=8), Product(1, 32, 10))
RESIDUAL_LAYERS = (
    Product(64, 9, 16, data=9),
    *[Product(64, 144, 16)] * 2,
    Product(16, 144, 32),
    Product(16, 288, 32),
    Product(4, 288, 64),
    Product(4, 576, 64),
    Product(1, 64, 10),
)
TEXT_LAYERS = (*(Product(64, window * 16, 8) for window in (3, 4, 5)), Product(1, 24, 10))
# Of the two transformers the products of weights alone.
TOKENS_LAYERS = (*[Product(63, 12 * 32, 32)] * 2, Product(63, 32, 17))
VIT_LAYERS = (Product(16, 4, 32, data=4), *[Product(17, 12 * 32, 32)] * 2, Product(1, 32, 10))
LENET_LAYERS = (
    Product(784, 9, 16, data=9),
    Product(196, 144, 32),
    Product(1, 1568, 64),
    Product(1, 64, 10),
)
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
# The products of a block of width 128 for each character; causal attention reads half the window.
_BLOCK = (
    Product(TEXT_LENGTH, 128, 384),
    Product(TEXT_LENGTH, TEXT_LENGTH, 128),
    Product(TEXT_LENGTH, 128, 128),
    Product(TEXT_LENGTH, 128, 512),
    Product(TEXT_LENGTH, 512, 128),
)
GPT_LAYERS = (*_BLOCK * 4, Product(TEXT_LENGTH, 128, 65))
LSTM_LAYERS = (Product(TEXT_LENGTH, 256, 512), Product(TEXT_LENGTH, 128, 65))
DLINEAR_LAYERS = (Product(7, INPUT, HORIZON, data=INPUT), Product(7, INPUT, HORIZON, data=INPUT))
# A player of points, with 2 inputs; those of images, whose maps have 14 x 14 and 7 x 7 places.
_POINTS = (Product(1, 2, GAN_WIDTH, data=2), Product(1, GAN_WIDTH, GAN_WIDTH))
_MAKER = (
    Product(1, 100, 49 * 2 * GAN_MAPS, data=100),
    Product(49, 2 * GAN_MAPS, 16 * GAN_MAPS),
    Product(196, GAN_MAPS, 16),
)
_JUDGE = (
    Product(196, 16, GAN_MAPS, data=16),
    Product(49, 16 * GAN_MAPS, 2 * GAN_MAPS),
    Product(1, 49 * 2 * GAN_MAPS, 1),
)


def digits() -> Workload:
    """Return scikit-learn's digits: 1797 rows of 64 values in [0, 1], split 80 : 20."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return _split(bunch.data / 16, bunch.target, "mlp", DIGITS_LAYERS, "scikit-learn digits")


def small() -> Workload:
    """Return the rows of `digits` for the network 64-62-10."""
    return replace(digits(), layers=SMALL_LAYERS)


def search() -> Workload:
    """Return the training rows of `digits`, two of three folds to train and the third to score."""
    work = digits()
    n = len(work.train_x) * (SEARCH_FOLDS - 1) // SEARCH_FOLDS
    x = work.train_x
    y = work.train_y
    return replace(work, train_x=x[:n], train_y=y[:n], test_x=x[n:], test_y=y[n:])


def heads() -> Workload:
    """Return digits and a trunk of 512 features, on which heads learn."""
    return replace(digits(), network="mlp", layers=HEADS_LAYERS)


def settings() -> Workload:
    """Return the digits without the test rows of a search: four of five folds, and the fifth."""
    from sklearn.model_selection import train_test_split

    x, y = all_rows(digits())
    options: Any = {"test_size": SETTINGS_TEST_SHARE, "stratify": y, "random_state": 0}
    x, _, y, _ = train_test_split(x, y, **options)
    n = len(x) - len(x) // SETTINGS_FOLDS
    parts = (x[:n], y[:n], x[n:], y[n:])
    return Workload(*parts, "mlp", SETTINGS_LAYERS, "scikit-learn digits")


def all_rows(work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the training rows, followed by those of the test rows."""
    x = np.concatenate([work.train_x, work.test_x])
    y = np.concatenate([work.train_y, work.test_y])
    return x, y


def recurrent() -> Workload:
    """Return the digits as sequences of 8 rows of 8 pixels."""
    return replace(_reshaped(8, 8), network="recurrent", layers=RECURRENT_LAYERS)


def patches() -> Workload:
    """Return the digits as images of 8x8x1."""
    return replace(_reshaped(8, 8, 1), network="vit", layers=VIT_LAYERS)


def residual() -> Workload:
    """Return the images of `patches` for a residual network of depth 8."""
    return replace(_reshaped(8, 8, 1), network="residual", layers=RESIDUAL_LAYERS)


def text() -> Workload:
    """Return the digits as texts of 64 ids: a bright pixel's id is its place, any other's is 0."""
    work = digits()

    def ids(rows: np.ndarray) -> np.ndarray:
        return np.where(rows > 0.5, np.arange(1, 65), 0).astype(np.int32)

    x = ids(work.train_x)
    test_x = ids(work.test_x)
    return replace(work, train_x=x, test_x=test_x, network="text", layers=TEXT_LAYERS)


def tokens() -> Workload:
    """Return the digits as 64 ids, each one of 17 shades, to be predicted from those before it."""
    work = digits()
    x = np.rint(16 * work.train_x).astype(np.int32)
    test_x = np.rint(16 * work.test_x).astype(np.int32)
    parts = (x[:, :-1], x[:, 1:], test_x[:, :-1], test_x[:, 1:])
    return Workload(*parts, "tokens", TOKENS_LAYERS, work.source)


def wide() -> Workload:
    """Return flat 28x28 images for the network 784-256-256-10: 60 batches of 128."""
    x, y, source = _images(9600)
    return _split(x.reshape(len(x), -1), y, "mlp", WIDE_LAYERS, source)


def flat() -> Workload:
    """Return the rows of `wide` for the network 784-128-128-10."""
    return replace(wide(), layers=FLAT_LAYERS)


def lenet() -> Workload:
    """Return 28x28x1 images for the LeNet-like network: 30 batches of 64."""
    x, y, source = _images(2400)
    return _split(x[..., None], y, "lenet", LENET_LAYERS, source)


def mnist1d(network: str) -> Workload:
    """Return MNIST-1D as published: 4000 and 1000 series of 40 points, in their order."""
    import jnn

    train = jnn.data.load("mnist1d", split="train")
    test = jnn.data.load("mnist1d", split="test")
    if "generated" in train.source:
        raise ValueError(
            "The rows of MNIST-1D must be the published ones, but mnist1d/mnist1d.npz is not in "
            f"{jnn.data.data_folder()}. Put the file there."
        )
    parts = (train.x, train.y, test.x, test.y)
    return Workload(*parts, network, MNIST1D_LAYERS[network], "MNIST-1D")


def shakespeare(network: str) -> Workload:
    """Return windows of 64 characters, side by side, and the characters that follow them.

    There are 80 batches of them, of 12 windows for the GPT and of 32 for the LSTM. The last 200
    windows of the text are the test rows.
    """
    import jnn

    layers, batch_size = {"gpt": (GPT_LAYERS, 12), "lstm": (LSTM_LAYERS, 32)}[network]
    data = jnn.data.load("tinyshakespeare", split="all", length=TEXT_LENGTH)
    train = TEXT_LENGTH * np.arange(80 * batch_size)
    test = data.rows - 1 - TEXT_LENGTH * np.arange(200)[::-1]
    parts = (data.x[train], data.y[train], data.x[test], data.y[test])
    return Workload(*map(np.asarray, parts), network, layers, "tinyshakespeare")


def etth1() -> Workload:
    """Return windows of 336 hours of ETTh1 and of the 96 hours after them, for DLinear.

    All windows of the 12 training months train, those of the 4 test months are scored. The channels
    are standardized by the training months.
    """
    import jnn

    data = jnn.data.load("etth1", split="all", length=INPUT, horizon=HORIZON)
    series = np.asarray(data.x.values, np.float64)
    month = 30 * 24
    train = series[: 12 * month]
    test = series[16 * month - INPUT : 20 * month]
    mean = train.mean(axis=0)
    deviation = train.std(axis=0)

    def windows(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = ((part - mean) / deviation).astype(np.float32)
        views = np.lib.stride_tricks.sliding_window_view(part, INPUT + HORIZON, axis=0)
        views = views.swapaxes(1, 2)  # [windows, hours, channels]
        return np.ascontiguousarray(views[:, :INPUT]), np.ascontiguousarray(views[:, INPUT:])

    return Workload(*windows(train), *windows(test), "dlinear", DLINEAR_LAYERS, "ETTh1")


def gan_ring() -> Workload:
    """Return points of a ring of 8 Gaussians of deviation .01, as PacGAN's: 200 batches of 100."""
    random = np.random.default_rng(0)
    angles = np.pi / 4 * random.integers(0, 8, 20_000 + GAN_TEST)
    means = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x = (means + 0.01 * random.normal(size=means.shape)).astype(np.float32)
    maker = (*_POINTS, Product(1, GAN_WIDTH, 2))
    return _game(x, "gan_mlp", maker, (*_POINTS, Product(1, GAN_WIDTH, 1)), "generated")


def gan_images() -> Workload:
    """Return images [n, 28, 28, 1] from -1 to 1: 8 batches of 64."""
    x, _, source = _images(512 + GAN_TEST)
    return _game((2 * x - 1)[..., None].astype(np.float32), "dcgan", _MAKER, _JUDGE, source)


def _game(
    x: np.ndarray,
    network: str,
    generator: tuple[Product, ...],
    discriminator: tuple[Product, ...],
    source: str,
) -> Workload:
    """Return the rows of a game, without labels.

    In a step the discriminator works on real rows, on generated ones, and for the generator, which
    needs the gradient of its examples in place of those of kernels.
    """
    parts = (x[:-GAN_TEST], np.zeros(len(x) - GAN_TEST), x[-GAN_TEST:], np.zeros(GAN_TEST))
    for_generator = tuple(product._replace(data=product.inputs) for product in discriminator)
    layers = (*generator, *discriminator)
    return Workload(*parts, network, layers, source, again=(*discriminator, *for_generator))


class Grid(NamedTuple):
    """The grid of a UCI reproduction: 20 splits x 4 dropout rates x 3 precisions, 240 fits.

    Attributes:
        x: Rows.
        y: Targets.
        folds: For each split the rows to fit and the rows to score.
        rates: Dropout rates.
        taus: Precisions.
    """

    x: np.ndarray
    y: np.ndarray
    folds: Sequence[tuple[np.ndarray, np.ndarray]]
    rates: Sequence[float]
    taus: Sequence[float]

    def fit(self, member: int) -> tuple[tuple[np.ndarray, np.ndarray], float, float]:
        """Return the fold, rate and precision of a member.

        The last axis runs fastest. After the last fit the first follows again.
        """
        shape = (len(self.folds), len(self.rates), len(self.taus))
        fold, rate, tau = np.unravel_index(member % np.prod(shape), shape)
        return self.folds[fold], self.rates[rate], self.taus[tau]

    def standardize(self, fold: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return x and y of a fold's two parts, standardized by the rows that are fitted."""
        x = self.x[fold[0]]
        y = self.y[fold[0]]
        deviation = np.where(x.std(0) == 0, 1, x.std(0))
        parts: list[np.ndarray] = []
        for rows in fold:
            parts += [(self.x[rows] - x.mean(0)) / deviation, (self.y[rows] - y.mean()) / y.std()]
        return tuple(parts)


def yacht_grid() -> Grid:
    """Return the grid of yacht: 308 rows with 6 features, 221 of them fitted."""
    import jnn

    data = jnn.data.load("yacht")
    folds = [tuple(np.split(train, [int(0.8 * len(train))])) for train, _ in data.splits]
    return Grid(data.x, data.y, folds, (0.005, 0.01, 0.05, 0.1), (0.25, 0.5, 0.75))


def uci_yacht() -> Workload:
    """Return the first split of yacht; the last fifth of its training rows is scored."""
    grid = yacht_grid()
    train, test = grid.folds[0]
    features = grid.x.shape[1]
    layers = (Product(1, features, UCI_HIDDEN, data=features), Product(1, UCI_HIDDEN, 1))
    parts = (grid.x[train], grid.y[train], grid.x[test], grid.y[test])
    return Workload(*parts, "dropout", layers, "UCI yacht")


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "digits": digits,
    "small": small,
    "search": search,
    "settings": settings,
    "heads": heads,
    "recurrent": recurrent,
    "patches": patches,
    "residual": residual,
    "text": text,
    "tokens": tokens,
    "wide": wide,
    "flat": flat,
    "lenet": lenet,
    "uci_yacht": uci_yacht,
    "gan_ring": gan_ring,
    "gan_images": gan_images,
    "gpt": partial(shakespeare, "gpt"),
    "lstm": partial(shakespeare, "lstm"),
    "dlinear": etth1,
    **{f"mnist1d_{network}": partial(mnist1d, network) for network in MNIST1D_LAYERS},
}


def _split(
    x: np.ndarray, y: np.ndarray, network: str, layers: tuple[Product, ...], source: str
) -> Workload:
    order = np.random.default_rng(0).permutation(len(x))
    x = x[order].astype(np.float32)
    y = y[order].astype(np.int32)
    n = len(x) - round(0.2 * len(x))
    return Workload(x[:n], y[:n], x[n:], y[n:], network, layers, source)


def _reshaped(*shape: int) -> Workload:
    work = digits()
    x = work.train_x.reshape(-1, *shape)
    return replace(work, train_x=x, test_x=work.test_x.reshape(-1, *shape))


def _images(n: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return `n` images [n, 28, 28] in [0, 1], their labels and their source.

    They are of MNIST, or where it is absent the digits enlarged.
    """
    import jnn

    if not (jnn.data.data_folder() / "mnist").is_dir():
        return *_enlarged_digits(n), "scikit-learn digits enlarged to 28x28, rows repeated"
    data = jnn.data.load("mnist", split="train")
    return data.x[:n, ..., 0], data.y[:n], "MNIST, first training images"


def _enlarged_digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.repeat(np.repeat(bunch.images / 16, 3, axis=1), 3, axis=2)  # [1797, 24, 24]
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    row = np.arange(n) % len(images)
    return images[row], bunch.target[row]
