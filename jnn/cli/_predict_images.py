"""Predictions for picture files, a batch at a time."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from jnn.cli._column_names import free_name
from jnn.cli._input import user_input
from jnn.cli._notes import notes
from jnn.data import ImageEncoding
from jnn.data._image_folder import find_pictures, require_pillow
from jnn.result import Prediction, Result

if TYPE_CHECKING:
    import pandas

MakeTable = Callable[[Result, Prediction], "pandas.DataFrame"]


def reads_pictures(result: Result, path: pathlib.Path) -> bool:
    """Return whether rows come from picture files: from all in a folder, or from a single one."""
    is_array = path.suffix.lower() == ".npy"
    return isinstance(result.schema.encoding, ImageEncoding) and not is_array


def predict_pictures(
    result: Result, paths: Sequence[pathlib.Path], batch: int, make_table: MakeTable
) -> "Iterator[pandas.DataFrame]":
    """Yield the predictions for pictures, and for those in folders, with the column `file`."""
    encoding = result.schema.encoding
    assert isinstance(encoding, ImageEncoding)
    require_pillow()
    files = [file for path in paths for file in _pictures_at(path)]
    root = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    for start in range(0, len(files), batch):
        part = files[start : start + batch]
        with user_input(), notes():
            rows = encoding.encode_files(part)
        table = make_table(result, result.predict(rows, batch=batch))
        names = [(file if root is None else file.relative_to(root)).as_posix() for file in part]
        table.insert(0, free_name("file", table.columns), names)
        yield table


def _pictures_at(path: pathlib.Path) -> list[pathlib.Path]:
    """Return the pictures in a folder, or a picture itself."""
    files = find_pictures(path) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ValueError(f"rows must be a picture or a folder of pictures, got {path}. Check it.")
    return files
