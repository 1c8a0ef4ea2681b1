"""The encoding of a data set, read from JSON."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jnn.data import Encoding, ImageEncoding, SeriesEncoding, TextEncoding


@dataclasses.dataclass(frozen=True)
class LostTokenizer:
    """A tokenizer of the user's own, of which a saved result keeps the name alone."""

    name: str

    def encode(self, text: str) -> np.ndarray:
        """Refuse: the tokenizer was not saved."""
        raise ValueError(
            f"Texts were read by the tokenizer {self.name}, which a saved result does not keep. "
            "Encode the texts yourself and pass their ids."
        )


def encoding_from_json(
    content: Any,
) -> Encoding | TextEncoding | SeriesEncoding | ImageEncoding | None:
    """Return the encoding whose `to_json` gave this content; None for none."""
    if not content:
        return None
    if not isinstance(content, Mapping):
        return Encoding.from_json(json.dumps(content))
    if content["kind"] == "series":
        return SeriesEncoding.from_json(json.dumps(content))
    if content["kind"] == "images":
        return ImageEncoding.from_json(json.dumps(content))
    try:
        return TextEncoding.from_json(json.dumps(content))
    except ValueError:
        lost: Any = LostTokenizer(content["kind"])
        return TextEncoding(content["column"], lost, content["length"])
