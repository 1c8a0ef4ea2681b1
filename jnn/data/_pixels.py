"""Pictures of any Pillow mode as arrays: what a pixel means, not how its mode stores it."""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_DIRECT = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # modes whose values are no bytes
_LARGEST_16 = 65535
_COLORS = 3


def stack_pictures(
    pictures: Iterable[Any], labels: Sequence[str], size: tuple[int, int] | None = None
) -> np.ndarray:
    """Return pictures as float32 [rows, height, width, channels], one channel if all are gray.

    Bytes and 16 bits are scaled to 0..1, palettes are looked up, and floats stay as they are. What
    is transparent lies on white, and of several frames the first is taken; a warning tells of both.

    Args:
        pictures: Pillow images, or arrays [height, width] or [height, width, channels].
        labels: Name of each picture for messages, such as "row 3".
        size: Height and width to which all are resized; by default all must have one size.

    Raises:
        TypeError: If one is no picture.
        ValueError: If sizes differ, or if a mode has no meaning as gray or color.
    """
    arrays = []
    transparent = frames = 0
    for picture, label in zip(pictures, labels, strict=True):
        frames += int(getattr(picture, "n_frames", 1) > 1)
        array, has_alpha = _as_array(picture, label, size)
        transparent += has_alpha
        arrays.append(array)
    _check_sizes(arrays, labels)
    if transparent:
        warnings.warn(f"{transparent} pictures are transparent and lie on white.", stacklevel=2)
    if frames:
        warnings.warn(f"Of {frames} pictures with frames the first one is taken.", stacklevel=2)
    channels = max(array.shape[-1] for array in arrays)
    rows = np.empty((len(arrays), *arrays[0].shape[:2], channels), np.float32)
    arrays.reverse()
    for row in rows:
        row[...] = arrays.pop()  # freed at once, because they may fill the memory together
    return rows


def is_picture(value: object) -> bool:
    """Return whether a value is a Pillow image; Pillow itself is not imported."""
    return hasattr(value, "getbands") and hasattr(value, "convert")


def checked_size(size: object) -> tuple[int, int] | None:
    """Return a size as (height, width); one number stands for a square."""
    if size is None:
        return None
    sides: Any = (size, size) if isinstance(size, int | np.integer) else size
    is_pair = isinstance(sides, tuple | list) and len(sides) == 2
    if not is_pair or not all(isinstance(n, int | np.integer) and n > 0 for n in sides):
        raise ValueError(
            f"size must be a height and a width in pixels, got {size!r}. Pass e.g. size=(32, 32)."
        )
    return int(sides[0]), int(sides[1])


def scaled(array: np.ndarray) -> np.ndarray:
    """Return unsigned bytes and 16 bits as float32 in 0..1, and other numbers as they are."""
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return array.astype(np.float32) / _LARGEST_16
    return array


def _as_array(picture: Any, label: str, size: tuple[int, int] | None) -> tuple[np.ndarray, bool]:
    """Return a picture as [height, width, channels], and whether some of it was transparent."""
    if not is_picture(picture):
        array = np.asarray(picture)
        if array.dtype.kind not in "biuf" or array.ndim not in (2, 3):
            raise TypeError(
                f"Every picture must be an image or an array of pixels, got {picture!r:.60} in "
                f"{label}. Drop it."
            )
        array = array if array.ndim == 3 else array[..., None]
        return _resized(scaled(array).astype(np.float32), size), False
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in _DIRECT:
        return _resized(_values_of(picture, label)[..., None], size), False
    picture, has_alpha = _opaque(picture)
    picture = _gray_or_color(picture, label)
    if size is not None:
        picture = picture.resize(size[::-1], resample=2)  # bilinear, over all pixels that it merges
    array = np.asarray(picture, np.float32) / 255
    return (array if array.ndim == 3 else array[..., None]), has_alpha


def _values_of(picture: "Image", label: str) -> np.ndarray:
    """Return the values of a mode that does not hold bytes."""
    values = np.asarray(picture)
    if picture.mode == "F":
        return values.astype(np.float32)
    if values.min() < 0 or values.max() > _LARGEST_16:
        raise ValueError(
            f"Pictures of whole numbers must have 16 bits, got {values.min()} to {values.max()} in "
            f"{label}. Scale them to 0..1 yourself and pass arrays."
        )
    return values.astype(np.float32) / _LARGEST_16


def _opaque(picture: "Image") -> "tuple[Image, bool]":
    """Return a picture on white without transparency, and whether it had any."""
    from PIL import Image

    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode not in _WITH_ALPHA and "transparency" not in picture.info:
        return picture, False
    is_gray = picture.mode in _GRAY
    picture = picture.convert("RGBA")
    lowest, _ = picture.getchannel("A").getextrema()
    white = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(white, picture).convert("L" if is_gray else "RGB")
    return flat, lowest < 255  # type: ignore[operator]


def _gray_or_color(picture: "Image", label: str) -> "Image":
    """Return a picture of bytes as gray, or as red, green and blue."""
    if picture.mode in _GRAY:
        return picture.convert("L")
    if picture.mode == "P" and _has_gray_palette(picture):
        return picture.convert("RGB").convert("L")
    try:
        return picture.convert("RGB")
    except ValueError as error:
        raise ValueError(
            f"Pictures must be gray or have colors, got mode {picture.mode!r} in {label}. Convert "
            "it to RGB first."
        ) from error


def _has_gray_palette(picture: "Image") -> bool:
    palette = np.asarray(picture.convert("RGB")).reshape(-1, _COLORS)
    return bool((palette == palette[:, :1]).all())


def _resized(array: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Return an array of float32 in another size, channel by channel."""
    if size is None:
        return array
    from PIL import Image

    height, width = size
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(array[..., i])).resize((width, height), 2))
        for i in range(array.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _check_sizes(arrays: Sequence[np.ndarray], labels: Sequence[str]) -> None:
    """Raise unless all pictures have one size, and channels that can be made one."""
    if not arrays:
        raise ValueError("There must be pictures, got none. Check where they are read from.")
    first = arrays[0]
    for array, label in zip(arrays, labels, strict=True):
        if array.shape[:2] != first.shape[:2]:
            raise ValueError(
                f"All pictures must have one size, got {_size(first)} in {labels[0]} but "
                f"{_size(array)} in {label}. Pass size=(height, width) to resize them."
            )
        if array.shape[-1] != first.shape[-1] and {array.shape[-1], first.shape[-1]} != {1, 3}:
            raise ValueError(
                f"All pictures must have the same channels, got {first.shape[-1]} in {labels[0]} "
                f"but {array.shape[-1]} in {label}. Convert them to one form."
            )


def _size(array: np.ndarray) -> str:
    """Return height and width as text."""
    return f"{array.shape[0]} x {array.shape[1]} pixels"
