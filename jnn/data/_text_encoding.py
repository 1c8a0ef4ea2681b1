"""How texts became rows of token ids, kept in a data set and its results for texts that come later."""

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
    """How texts become rows of token ids of one length, filled up with 0 or cut off.

    Attributes:
        column: Of a table, where the texts came from one.
        tokenizer: From text to ids.
        length: Of a row.
    """

    column: str
    tokenizer: Tokenizer
    length: int

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """The texts of a table as int32 [rows, length]; of its only column, or of that whose name is `column`."""
        columns = columns_by_name(frame)
        name = self._sole(*columns) if len(columns) == 1 else self.column
        if name not in columns:
            raise ValueError(
                f"wanted the texts in a column {name!r}, got none of that name in {list(columns)}: add it"
            )
        check_complete({name: columns[name]})
        return self.encode_texts(map(str, columns[name]))

    def encode_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Texts as int32 [rows, length]."""
        return pad([self.tokenizer.encode(text) for text in texts], self.length)

    def to_json(self) -> str:
        """The encoding as JSON; a tokeniser of your own is kept by its name alone."""
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
        """The encoding that `to_json` wrote."""
        fields = json.loads(text)
        if fields["kind"] not in _KINDS:
            raise ValueError(
                f"wanted one of the tokenisers {sorted(_KINDS)}, but the texts were read by {fields['kind']}: "
                "encode them yourself and give the ids"
            )
        return cls(
            fields["column"],
            _KINDS[fields["kind"]].from_json(fields["tokenizer"]),
            fields["length"],
        )

    def _sole(self, name: str) -> str:
        """The only column of a table, whatever its name, unless that is a whole header with another separator."""
        if name != self.column and self.column in (
            part.strip(' "') for part in re.split(r"[;,\t|]", name)
        ):
            raise ValueError(
                f"wanted the texts in a column {self.column!r}, got the only column {name!r}: give the separator that "
                "stands between these names"
            )
        return name
