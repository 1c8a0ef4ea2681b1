"""Predictions for picture files, a batch at a time."""

import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

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
    result: Result, path: pathlib.Path, batch: int, make_table: MakeTable
) -> "Iterator[pandas.DataFrame]":
    """Yield the predictions for a picture, or for those in a folder, with the column `file`."""
    encoding = result.schema.encoding
    assert isinstance(encoding, ImageEncoding)
    require_pillow()
    files = find_pictures(path) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ValueError(f"rows must be a picture or a folder of pictures, got {path}. Check it.")
    for start in range(0, len(files), batch):
        part = files[start : start + batch]
        with user_input(), notes():
            rows = encoding.encode_files(part)
        table = make_table(result, result.predict(rows, batch=batch))
        names = [str(file.relative_to(path)) if path.is_dir() else file.name for file in part]
        table.insert(0, "file" if "file" not in table else "file_", names)
        yield table
