"""How texts become rows of token ids, for texts that come later."""

import dataclasses
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data._columns import check_complete, columns_by_name
from jnn.data._text import BytePairTokenizer, CharTokenizer, Tokenizer, WordTokenizer, pad

if TYPE_CHECKING:
    import pandas as pd

_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (BytePairTokenizer, CharTokenizer, WordTokenizer)
}


@dataclasses.dataclass(frozen=True)
class TextEncoding:
    """How texts become rows of token ids of one length, padded with 0 or cut off.

    Attributes:
        column: Name of the column that holds the texts in a table.
        tokenizer: Tokenizer that turns a text into ids.
        length: Number of ids in a row.
    """

    column: str
    tokenizer: Tokenizer
    length: int

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """Encode the texts of a table as int32 [rows, length].

        They are in its only column, or in the one with the name `column`.
        """
        columns = columns_by_name(frame)
        name = self._sole(*columns) if len(columns) == 1 else self.column
        if name not in columns:
            raise ValueError(
                f"The table must have the texts in a column {name!r}, got only {list(columns)}. "
                "Add it."
            )
        check_complete({name: columns[name]})
        return self.encode_texts(map(str, columns[name]))

    def encode_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Encode texts as int32 [rows, length]."""
        return pad([self.tokenizer.encode(text) for text in texts], self.length)

    def to_json(self) -> str:
        """Return the encoding as JSON; of a tokenizer of your own it holds the name only."""
        kind = type(self.tokenizer).__name__
        return json.dumps(
            {
                "column": self.column,
                "length": self.length,
                "kind": kind,
                "tokenizer": self.tokenizer.to_json(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "TextEncoding":
        """Return the encoding that `to_json` wrote."""
        fields = json.loads(text)
        if fields["kind"] not in _KINDS:
            raise ValueError(
                f"The tokenizer of the texts must be one of {sorted(_KINDS)}, got "
                f"{fields['kind']}. Encode the texts yourself and pass the ids."
            )
        return cls(
            fields["column"],
            _KINDS[fields["kind"]].from_json(fields["tokenizer"]),
            fields["length"],
        )

    def _sole(self, name: str) -> str:
        """Return the name of the only column, unless it is an unseparated header."""
        parts = [part.strip(' "') for part in re.split(r"[;,\t|]", name)]
        if name != self.column and self.column in parts:
            raise ValueError(
                f"The table must have the texts in a column {self.column!r}, got the only column "
                f"{name!r}. Pass the separator that stands between these names."
            )
        return name
