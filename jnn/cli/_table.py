"""The tables that a command names: where they are, how they are written, and their columns."""

import atexit
import csv
import functools
import pathlib
import sys
import tempfile
from typing import Any

from jnn.cli._command import DataOptions
from jnn.data import Dataset, TableForm, names
from jnn.data._columns import clean_name
from jnn.data._csv import read_header

STANDARD_INPUT = "-"
TABLE_ENDINGS = (
    *(".csv", ".tsv", ".txt", ".tab", ".psv", ".data", ".dat", ".test"),
    *(".parquet", ".xlsx"),
)
CHARACTER_OPTIONS = ("separator", "encoding", "decimal", "thousands", "quote")
FORM_OPTIONS = (
    *CHARACTER_OPTIONS,
    *("header", "no_header", "missing", "category", "numeric", "id"),
)


def is_table(data: str) -> bool:
    """Tell a file of a table, which may be compressed, from the name of a data set."""
    if data == STANDARD_INPUT:
        return True
    if "://" in data:
        raise ValueError(
            f"DATA must be the name of a data set or a file, got the address {data}. Download it "
            "first."
        )
    path = pathlib.Path(data)
    if any(ending.lower() in TABLE_ENDINGS for ending in path.suffixes[-2:]):
        return True
    return data not in names() and path.exists() and not path.is_dir()


def local_file(data: str | pathlib.Path) -> pathlib.Path:
    """Return the file of a table; a pipe or standard input is copied to one.

    Raises:
        ValueError: If there is no such file.
    """
    if str(data) == STANDARD_INPUT:
        return _copy_of_standard_input()
    path = pathlib.Path(data)
    if not path.exists():
        raise ValueError(f"CSV file {path} does not exist. Check the path.")
    if path.is_dir():
        raise ValueError(f"DATA must be the file of a table, but {path} is a folder. Name a file.")
    if path.is_file():
        return path
    with path.open("rb") as pipe:
        return _copy("stdin.csv", pipe.read())


def form_of(command: DataOptions) -> TableForm:
    """Return how the table of a command is written, as far as its options say it."""
    if command.header and command.no_header:
        raise ValueError("--header must be left out where --no-header is given. Use one of them.")
    header = True if command.header else None
    return TableForm(
        separator=command.separator,
        encoding=command.encoding,
        decimal=command.decimal or ".",
        thousands=command.thousands,
        header=False if command.no_header else header,
        quote=command.quote,
    )


def load_table(command: DataOptions) -> Dataset:
    """Read the table of a command, whose rows are independent of each other.

    Raises:
        ValueError: If an option does not fit the table.
    """
    path = local_file(command.data)
    if command.target is None:
        known = ", ".join(map(repr, read_header(path, form_of(command))[:30]))
        raise ValueError(
            f"--target must name the column of {path} to predict, one of {known}. Add it."
        )
    columns = Columns(path, form_of(command))
    target = columns.names(command.target)
    return Dataset.from_csv(
        path,
        target[0] if len(target) == 1 else target,
        **_form_fields(command),
        task=command.task,
        weights=columns.name(command.weights),
        groups=columns.name(command.group),
        times=columns.name(command.time),
        text=columns.name(command.text),
        drop=columns.names(command.drop),
        id=columns.names(command.id) or None,
        missing=command.missing or "error",
        category=columns.names(command.category),
        numeric=columns.names(command.numeric),
        **_tokenizer_field(command),
    )


class Columns:
    """The names of a table's columns, as options list them.

    Args:
        path: File of the table.
        form: How it is written.
    """

    def __init__(self, path: pathlib.Path, form: TableForm):
        self._path = path
        self._form = form

    def names(self, text: str | None) -> list[str]:
        """Return the names that an option lists between commas; quotes keep a comma in a name."""
        if not text:
            return []
        if "," not in text or clean_name(text) in self._known:
            return [text]
        try:
            (fields,) = csv.reader([text], skipinitialspace=True, strict=True)
        except (csv.Error, ValueError) as error:
            raise ValueError(
                f"Names must be separated by commas, and quoted where they have a comma, got "
                f"{text!r}. Write 'a,\"b, c\"', for example."
            ) from error
        return [field.strip() for field in fields if field.strip()]

    def name(self, text: str | None) -> str | None:
        """Return the single name that an option holds, without quotes around it."""
        listed = self.names(text)
        return listed[0] if len(listed) == 1 else text

    @functools.cached_property
    def _known(self) -> list[str]:
        return read_header(self._path, self._form)


def _tokenizer_field(command: DataOptions) -> dict[str, Any]:
    return {"tokenizer": command.tokenizer} if command.tokenizer else {}


def _form_fields(command: DataOptions) -> dict[str, Any]:
    return dict(vars(form_of(command)))


@functools.cache  # standard input can be read once only
def _copy_of_standard_input() -> pathlib.Path:
    return _copy("stdin.csv", sys.stdin.buffer.read())


def _copy(name: str, content: bytes) -> pathlib.Path:
    folder = tempfile.TemporaryDirectory(prefix="jnn-")
    atexit.register(folder.cleanup)
    path = pathlib.Path(folder.name) / name
    path.write_bytes(content)
    return path
