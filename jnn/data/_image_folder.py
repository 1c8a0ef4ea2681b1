"""A folder of pictures: a subfolder for each class, perhaps below train/ and test/."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn._errors import reason_of
from jnn.data._image_encoding import ImageEncoding
from jnn.data._pixels import stack_pictures

if TYPE_CHECKING:
    from PIL.Image import Image

_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx"}


class ImageFolder(NamedTuple):
    """What a folder of pictures holds.

    Attributes:
        x: Pictures [rows, height, width, channels].
        labels: Number of the class of each row.
        fields: Other fields of a data set: names, splits, encoding and notes.
    """

    x: np.ndarray
    labels: np.ndarray
    fields: dict[str, Any]


def read_image_folder(
    folder: str | PathLike[str], size: tuple[int, int] | None = None
) -> ImageFolder:
    """Read the pictures of a folder; see `Dataset.from_images`.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If there are no subfolders with pictures, a picture is damaged, or sizes differ.
    """
    folder = checked_folder(folder)
    parts = _parts_of(folder)
    others: list[Path] = []
    classes = {
        part: {name: list(_pictures_in(inner, others)) for name, inner in _subfolders(root)}
        for part, root in parts.items()
    }
    others += [p for root in {folder, *parts.values()} for p in root.iterdir() if _is_other(p)]
    names = sorted({name for part in classes.values() for name, files in part.items() if files})
    empty = sorted({name for part in classes.values() for name in part} - set(names))
    if len(names) < 2:
        raise ValueError(
            f"{folder} must have a subfolder with pictures for each of two classes or more, got "
            f"{names or 'none'}. Put the pictures of each class into a folder of their own."
        )
    files = []
    labels = []
    splits = []
    for part in classes.values():
        begin = len(files)
        for number, name in enumerate(names):
            files += part.get(name, [])
            labels += [number] * len(part.get(name, []))
        splits.append(np.arange(begin, len(files)))
    x = read_pictures(files, size)
    fields = {
        "name": folder.name,
        "source": folder.name,
        "target_names": tuple(names),
        "splits": (tuple(splits),) if len(splits) > 1 else (),
        "encoding": ImageEncoding(x.shape[1:], size is not None),
        "notes": _notes(others, empty),
    }
    return ImageFolder(x, np.array(labels, np.int32), fields)


def read_pictures(files: Sequence[Path], size: tuple[int, int] | None = None) -> np.ndarray:
    """Read picture files as [rows, height, width, channels]; see `stack_pictures`."""
    return stack_pictures(map(_open, files), [str(file) for file in files], size)


def find_pictures(folder: Path) -> list[Path]:
    """Return the picture files in a folder and the folders in it, sorted by their paths."""
    return list(_pictures_in(folder, []))


def checked_folder(folder: str | PathLike[str]) -> Path:
    """Return a folder as a path, `~` being the home.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If there is no such folder.
    """
    require_pillow()
    if not isinstance(folder, str | PathLike):
        raise TypeError(f"folder must be the path of a folder, got a {type(folder).__name__}.")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"folder must be a folder of pictures, got {str(folder)!r}. Check the path."
        )
    return path.resolve()


def require_pillow() -> None:
    """Raise an ImportError that names the extra, unless Pillow is installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Pictures need the package Pillow. Run pip install 'jnn-jax[images]'."
        ) from error


def _open(file: Path) -> "Image":
    from PIL import Image

    try:
        picture = Image.open(file)
        picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"Every picture must be readable, but {file} is damaged or no picture "
            f"({reason_of(error)}). Remove it."
        ) from error
    return picture


def has_published_split(folder: Path) -> bool:
    """Return whether this is a folder with training and other pictures apart."""
    return folder.is_dir() and len(_parts_of(folder)) > 1


def _parts_of(folder: Path) -> dict[str, Path]:
    """Return the folders of training, validation and test; the folder itself if it has none."""
    found = {}
    names = [path.name for path in folder.iterdir() if path.is_dir() and not _is_hidden(path)]
    for name in names:
        part = _PARTS.get(name.lower())
        if part is None or part in found:
            return {"all": folder}
        found[part] = folder / name
    if "train" not in found or len(found) < 2:
        return {"all": folder}
    return {part: found[part] for part in ("train", "validation", "test") if part in found}


def _subfolders(folder: Path) -> list[tuple[str, Path]]:
    paths = [path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path)]
    return sorted((path.name, path) for path in paths)


def _pictures_in(folder: Path, others: list[Path]) -> Iterator[Path]:
    """Yield the picture files in a folder and in those in it; add the other files to a list."""
    from PIL import Image

    endings = Image.registered_extensions()
    for path in sorted(folder.iterdir()):
        if _is_hidden(path):
            continue
        if path.is_dir():
            yield from _pictures_in(path, others)
        elif path.suffix.lower() in endings:
            yield path
        else:
            others.append(path)


def _is_other(path: Path) -> bool:
    return path.is_file() and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM


def _notes(others: Sequence[Path], empty: Sequence[str]) -> tuple[str, ...]:
    """Say which files and folders are left out."""
    notes = []
    if others:
        count = "1 file" if len(others) == 1 else f"{len(others)} files"
        notes.append(
            f"{count} that are no pictures of a class are left out, such as {others[0].name}"
        )
    if empty:
        notes.append(f"folders without pictures are left out: {', '.join(empty)}")
    return tuple(notes)
