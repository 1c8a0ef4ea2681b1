"""How picture files become rows, for files that come later."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageEncoding:
    """How picture files become rows [height, width, channels].

    Attributes:
        shape: Height, width, and number of channels: 1 for gray, 3 for color.
        is_resized: Whether pictures of other sizes are resized; otherwise they are refused.
    """

    shape: tuple[int, ...]
    is_resized: bool = False

    def encode_files(self, files: Sequence[Path]) -> np.ndarray:
        """Read picture files as rows, float32 [rows, height, width, channels].

        Raises:
            ValueError: If a file is damaged, or has another size or colors that training had not.
        """
        from jnn.data._image_folder import read_pictures

        height, width, channels = self.shape
        rows = read_pictures(files, (height, width) if self.is_resized else None)
        if rows.shape[1:3] != (height, width):
            raise ValueError(
                f"Pictures must have the size of training, {height} x {width} pixels, got "
                f"{rows.shape[1]} x {rows.shape[2]} in {files[0]}. Resize them."
            )
        if rows.shape[-1] > channels:
            raise ValueError(
                f"Pictures must be gray as in training, got colors in one of {len(files)} files. "
                "Convert them to gray."
            )
        return np.broadcast_to(rows, (*rows.shape[:3], channels))

    def encode(self, frame: Any) -> np.ndarray:
        """Refuse a table: pictures are files."""
        raise ValueError(
            "The members were trained on pictures, got a table. Pass an array [rows, height, "
            "width, channels]."
        )

    def to_json(self) -> str:
        """Return the encoding as JSON, for `from_json`."""
        return json.dumps({"kind": "images", **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "ImageEncoding":
        """Return the encoding that `to_json` wrote."""
        fields = json.loads(text)
        return cls(tuple(fields["shape"]), bool(fields["is_resized"]))
