"""A figure as a file."""

import os
import pathlib
from typing import TYPE_CHECKING

from jnn.storage import expand

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(figure: "Figure", path: str | os.PathLike[str]) -> pathlib.Path:
    """Write a figure to a file, whose ending says the format."""
    path = expand(path)
    figure.savefig(path, dpi=150)
    return path
