"""The tables of defaults in `docs/from_pytorch.md` and `docs/from_keras.md`: measured numbers.

    python -m docs._generate.differences     # writes the tables into the pages

tests/test_docs_peers.py measures them again.
"""

import importlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

import jnn

DOCS = Path(__file__).parents[1]


class Row(NamedTuple):
    """A number that a default decides, in another library and in jnn."""

    what: str  # is measured
    theirs: Callable[[], Any]  # measures it
    ours: Callable[..., Any]  # measures it with jnn's defaults, or with these arguments
    same: str = ""  # arguments with which jnn gives the number of the other library
    write: str = ""  # what a user writes for that, if it is something else


def arguments(text: str) -> dict[str, Any]:
    """Return keyword arguments that are written as in a call."""
    return eval(f"dict({text})", {"jax": jax, "jnn": jnn})


def shown(value: Any) -> str:
    """Return a number, a list of numbers or a text as it stands in a table."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    value = float(value) + 0.0  # no -0
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"


def table(library: str, rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [f"| what | {library} | jnn | as {library} |", "| --- | --- | --- | --- |"]
    for row in rows:
        write = row.write or row.same
        cells = (row.what, shown(row.theirs()), shown(row.ours()), write and f"`{write}`")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page_with(text: str, table: str, name: str = "differences") -> str:
    """Return the text of a page with the table between its marks, `<!-- name -->` and an end."""
    first, last = f"<!-- {name} -->\n", "<!-- end -->\n"
    return re.sub(f"{first}.*?{last}", lambda _: f"{first}\n{table}\n{last}", text, flags=re.DOTALL)


PAGES = {"from_pytorch.md": "PyTorch", "from_keras.md": "Keras"}


def rows_of(page: str) -> tuple[str, Sequence[Row]]:
    """Return the library of a page and the rows of its table."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    module = importlib.import_module(f"docs._generate.{page.removesuffix('.md')}")
    return PAGES[page], module.ROWS


if __name__ == "__main__":
    for page in PAGES:
        path = DOCS / page
        path.write_text(page_with(path.read_text(), table(*rows_of(page))))
