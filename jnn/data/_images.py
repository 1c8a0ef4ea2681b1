"""Readers of images: x is [rows, height, width, channels] in 0..1, training rows first."""

import gzip
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset

_OBJECTS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def read_idx(
    train_images: Path,
    train_labels: Path,
    test_images: Path,
    test_labels: Path,
    target_names: Sequence[str] = (),
) -> Dataset:
    """Read gray images in the idx format of MNIST."""
    images = [_read_idx_array(path) for path in (train_images, test_images)]
    labels = np.concatenate([_read_idx_array(path) for path in (train_labels, test_labels)])
    return _dataset(np.concatenate(images)[..., None], labels, len(images[0]), target_names)


def read_cifar10(archive: Path) -> Dataset:
    """Read CIFAR-10: for each image a label and three planes of 32 x 32 bytes."""
    parts = []
    with tarfile.open(archive) as tar:
        for name in _CIFAR10_FILES:
            file = tar.extractfile(f"cifar-10-batches-bin/{name}")
            content = file.read() if file else b""
            parts.append(np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32))
    rows = np.concatenate(parts)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _dataset(images, rows[:, 0], len(rows) - len(parts[-1]), _OBJECTS)


def _dataset(
    images: np.ndarray, labels: np.ndarray, train: int, target_names: Sequence[str]
) -> Dataset:
    pixels = images.astype(np.float32, order="C")
    pixels /= 255
    splits = ((np.arange(train), np.arange(train, len(labels))),)
    return Dataset(
        pixels, labels, "classification", target_names=tuple(target_names), splits=splits
    )


def _read_idx_array(path: Path) -> np.ndarray:
    """Read the array in an idx file of bytes.

    It holds two zeros, the type 8 (unsigned byte), the number of axes, their sizes, and the values.
    """
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(f"an idx file of bytes starts with 0, 0, 8, not with {tuple(content[:3])}")
    axes = content[3]
    shape = struct.unpack_from(f">{axes}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
