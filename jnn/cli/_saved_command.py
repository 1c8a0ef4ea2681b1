"""The file command.json, which keeps the command that started a run."""

import dataclasses
import pathlib
import typing
from typing import Any, NotRequired, TypedDict

from jnn.cli._command import Run
from jnn.data import names
from jnn.storage import read_record, with_remedy, write_record

_NAME = "command.json"


def write_command(command: Run, folder: pathlib.Path) -> None:
    """Write a command to the folder of its run, with the whole path of its data."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {**vars(command), "data_as_typed": command.data}
    path = pathlib.Path(command.data)
    if command.data not in names() and path.exists():
        fields["data"] = str(path.absolute())
    fields["out"] = None if command.out is None else str(command.out)
    # Without a digest, because people change it by hand; what they write is checked.
    write_record(folder / _NAME, fields, sealed=False)


def read_command(folder: pathlib.Path) -> Run:
    """Read the command that started a run.

    Raises:
        ValueError: If the folder is not that of a run, or its record is damaged, of a newer
            version, or changed by hand into something else.
    """
    path = folder / _NAME
    if not path.exists():
        raise ValueError(
            f"{folder} must be the folder of a run, but has no command.json. See results/."
        )
    with with_remedy(_remedy(folder)):
        fields = read_record(path, _form())
    fields.pop("data_as_typed", None)
    fields = {name: _as_tuple(value) for name, value in fields.items()}
    return Run(**{**fields, "out": folder})


def _form() -> Any:
    """Return the form of command.json: the options of `jnn run`, and the data as typed."""
    form: dict[str, Any] = {"data_as_typed": NotRequired[str]}
    hints = typing.get_type_hints(Run)
    for field in dataclasses.fields(Run):
        is_required = field.default is dataclasses.MISSING
        form[field.name] = hints[field.name] if is_required else NotRequired[hints[field.name]]
    return TypedDict("CommandRecord", form)  # type: ignore[operator]


def _remedy(folder: pathlib.Path) -> str:
    if (folder / "result.json").exists():
        return f"Correct it by hand; jnn.Result.load({str(folder)!r}) reads the result without it."
    return "Correct it by hand, or run the command again with another --out."


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
