"""From texts to rows of token ids."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from jnn.data._check import check_length, check_texts
from jnn.data._choose_tokenizer import choose_tokenizer
from jnn.data._text import Tokenizer, pad
from jnn.data._text_encoding import TextEncoding


class TokenRows(NamedTuple):
    """What texts become.

    Attributes:
        ids: Token ids [rows, length].
        fields: Other fields of a data set.
    """

    ids: np.ndarray
    fields: dict[str, Any]


def read_texts(
    texts: Iterable[str],
    tokenizer: Tokenizer | Literal["words", "characters"] | None,
    length: int | None,
    column: str,
    fields: Mapping[str, Any],
) -> TokenRows:
    """Return texts as rows of token ids; see `Dataset.from_texts`.

    Args:
        texts: One text for each row.
        tokenizer: Tokenizer, or the name of one; by default chosen for the texts.
        length: Number of ids in a row.
        column: Name of the column that holds the texts in a table.
        fields: Fields of the data set, which win over those that are read.
    """
    texts = check_texts(texts)
    check_length(length)
    tokenizer, note = choose_tokenizer(tokenizer, texts)
    ids = pad([tokenizer.encode(text) for text in texts], length)
    known = {
        "name": "texts",
        "tokenizer": tokenizer,
        "encoding": TextEncoding(column, tokenizer, ids.shape[1]),
        "texts": np.array(texts, object),
    }
    notes = (*fields.get("notes", ()), *([note] if note else []))
    return TokenRows(ids, {**known, **fields, "notes": notes})
