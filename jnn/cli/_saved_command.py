"""The file command.json, which keeps the command that started a run or a search."""

import dataclasses
import pathlib
import typing
from typing import Any, NotRequired, TypedDict

from jnn.cli._command import Run, Search
from jnn.data import names
from jnn.storage import read_json, read_record, with_remedy, write_record

_NAME = "command.json"
_KIND = "command"  # the field that tells a search; a run has none


def write_command(command: Run | Search, folder: pathlib.Path) -> None:
    """Write a command to the folder of its result, with the whole path of its data."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {**vars(command), "data_as_typed": command.data}
    path = pathlib.Path(command.data)
    if command.data not in names() and path.exists():
        fields["data"] = str(path.absolute())
    fields["out"] = None if command.out is None else str(command.out)
    if isinstance(command, Run) and command.start_from is not None:
        fields["start_from"] = str(command.start_from.absolute())
    if isinstance(command, Search):
        fields[_KIND] = "search"
    # Without a digest, because people change it by hand; what they write is checked.
    write_record(folder / _NAME, fields, sealed=False)


def forget_command(folder: pathlib.Path) -> None:
    """Remove the command from the folder of a search that was refused."""
    (folder / _NAME).unlink(missing_ok=True)


def read_command(folder: pathlib.Path) -> Run | Search:
    """Read the command that started a run or a search.

    Raises:
        ValueError: If the folder is that of neither, or its record is damaged, of a newer
            version, or changed by hand into something else.
    """
    path = folder / _NAME
    if not path.exists():
        raise ValueError(
            f"{folder} must be the folder of a run, but has no command.json. See results/."
        )
    with with_remedy(_remedy(folder)):
        kind = Search if read_json(path).get(_KIND) == "search" else Run
        fields = read_record(path, _form(kind))
    for name in ("data_as_typed", _KIND):
        fields.pop(name, None)
    fields = {name: _as_tuple(value) for name, value in fields.items()}
    if fields.get("start_from") is not None:
        fields["start_from"] = pathlib.Path(fields["start_from"])
    return kind(**{**fields, "out": folder})


def _form(kind: type[Run | Search]) -> Any:
    """Return the form of command.json: the options of the command, and the data as typed."""
    form: dict[str, Any] = {"data_as_typed": NotRequired[str]}
    if kind is Search:
        form[_KIND] = str
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        is_required = field.default is dataclasses.MISSING
        form[field.name] = hints[field.name] if is_required else NotRequired[hints[field.name]]
    return TypedDict("CommandRecord", form)  # type: ignore[operator]


def _remedy(folder: pathlib.Path) -> str:
    if (folder / "result.json").exists():
        return f"Correct it by hand; jnn.Result.load({str(folder)!r}) reads the result without it."
    return "Correct it by hand, or run the command again with another --out."


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
