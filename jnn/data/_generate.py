"""Generated data sets: any number of rows, and the same rows for the same seed."""

from typing import NamedTuple

import numpy as np

from jnn.data._dataset import Dataset

# One row per digit, 12 points each: the drawings that define MNIST-1D (numbers of
# greydanus/mnist1d, Apache-2.0).
_DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)

_LENGTH = 72  # points of a signal before it is resampled


def spirals(
    rows: int = 1000, *, classes: int = 3, turns: float = 1.0, noise: float = 0.02, seed: int = 0
) -> Dataset:
    """Generate interleaved spirals in the plane, one per class.

    A line cannot separate them, but a small network can.

    radius = t, angle = 2 pi (turns t + class / classes), t uniform in 0..1; `noise` is added to
    both coordinates.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    t = rng.uniform(size=rows)
    angle = 2 * np.pi * (turns * t + labels / classes)
    x = t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x += noise * rng.standard_normal(x.shape)
    target_names = tuple(map(str, range(classes)))
    return Dataset.from_arrays(
        x, labels, name="spirals", feature_names=("x", "y"), target_names=target_names
    )


def sines(rows: int = 500, *, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Generate a noisy sum of two sines to regress on.

    y = sin(2 pi x) + sin(6 pi x) / 2 + noise, x uniform in -1..1.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows)
    y = np.sin(2 * np.pi * x) + np.sin(6 * np.pi * x) / 2 + noise * rng.standard_normal(rows)
    return Dataset.from_arrays(
        x[:, None], y, name="sines", feature_names=("x",), target_names=("y",)
    )


def mnist1d(rows: int = 5000, *, seed: int = 42) -> Dataset:
    """Generate MNIST-1D: drawn digits as series of 40 points.

    Ten digits are padded, stretched, scaled, shifted, sheared, and made noisy. The default sizes,
    the split (first 80 % for training), and the order of the random numbers are those of Greydanus
    2020, "Scaling down deep learning" (https://arxiv.org/abs/2011.14439), so that the default gives
    the published rows, up to rounding.
    """
    labels = np.sort(np.arange(rows) % 10)
    draws = _draw(rows, seed)
    signal, is_digit = _place(_templates()[labels], draws.padding, draws.shift)
    signal *= 1 + 0.4 * (draws.scale[:, None] - 0.5)
    signal = np.where(is_digit, signal, _smooth(0.25 * draws.background))
    signal += 0.02 * draws.noise
    signal -= 0.75 * (draws.shear[:, None] - 0.5) * np.linspace(-0.5, 0.5, _LENGTH)
    series = _resample(signal, 40)[draws.order]
    series = (series - series.mean()) / series.std()
    split = (np.arange(rows * 4 // 5), np.arange(rows * 4 // 5, rows))
    return Dataset.from_arrays(
        series,
        labels[draws.order],
        name="mnist1d",
        target_names=tuple("0123456789"),
        source="https://github.com/greydanus/mnist1d, made by the same procedure",
        splits=(split,),
    )


class _Draws(NamedTuple):
    """The random numbers of MNIST-1D.

    Attributes:
        padding: Number of zeros behind a digit [rows], 36..60.
        scale: Uniform in 0..1 [rows].
        shift: Number of points that a signal is rolled by [rows], 0..47.
        background: Standard normal [rows, 72].
        noise: Standard normal [rows, 72].
        shear: Uniform in 0..1 [rows].
        order: Permutation of the rows.
    """

    padding: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    background: np.ndarray
    noise: np.ndarray
    shear: np.ndarray
    order: np.ndarray


def _draw(rows: int, seed: int) -> _Draws:
    """Draw row by row with NumPy's first generator, as the published procedure does."""
    rng = np.random.RandomState(seed)
    draws = [
        (
            36 + int(rng.random_sample() * 25),
            rng.random_sample(),
            rng.randint(48),
            rng.standard_normal(_LENGTH),
            rng.standard_normal(_LENGTH),
            rng.random_sample(),
        )
        for _ in range(rows)
    ]
    columns = [np.array(values) for values in zip(*draws, strict=True)]
    return _Draws._make([*columns, rng.permutation(rows)])


def _templates() -> np.ndarray:
    """Return the digits with standard deviation 1/6, beginning and ending at 0 like the padding."""
    digits = np.array(_DIGITS)
    return (digits - digits[:, :1]) / digits.std(1, keepdims=True) / 6


def _place(
    points: np.ndarray, padding: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Append `padding` zeros to each digit, stretch it to 72 points, and roll it by `shift`.

    Returns:
        The signals [rows, 72], and where the digit is in them.
    """
    length = points.shape[1]
    # [rows, 72], in points of the template
    positions = np.linspace(0, length - 1 + padding, _LENGTH, axis=1)
    signals = [
        np.interp(position, np.arange(length + 1), [*template, 0])
        for position, template in zip(positions, points, strict=True)
    ]
    order = (np.arange(_LENGTH) - shift[:, None]) % _LENGTH
    signal = np.take_along_axis(np.stack(signals), order, 1)
    return signal, np.take_along_axis(positions < length, order, 1)


def _smooth(noise: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(noise, sigma=2, axis=-1)


def _resample(series: np.ndarray, length: int) -> np.ndarray:
    """Interpolate linearly at `length` even positions from the first point to the last."""
    positions = np.linspace(0, series.shape[-1] - 1, length)
    left = np.minimum(positions.astype(int), series.shape[-1] - 2)
    share = positions - left
    return (1 - share) * series[..., left] + share * series[..., left + 1]
