"""The command `jnn predict`."""

import pathlib

from jnn.cli import _setup
from jnn.cli._command import Predict, Run
from jnn.cli._job import read_command, study_of
from jnn.cli._predict_file import predict_file, usable
from jnn.recipes import About
from jnn.result import Result, read_schema, setting_text

_RUN_FILES = (
    "command.json",
    "result.json",
    "run.json",
    "scores.nc",
    "members.safetensors",
    "curves.png",
)


def predict(command: Predict) -> None:
    """Write a table of predictions for the rows of a file."""
    _setup.configure_jax()
    original = read_command(command.folder)
    _check_out(command, original)
    about = About.from_schema(read_schema(command.folder))
    result = Result.load(command.folder, study_of(original, about))
    setting = result.best().setting if command.members == "best" else {}
    selected = result.select(**setting) if setting else result
    ensemble, diverged = usable(selected)
    count = predict_file(
        ensemble,
        command.rows,
        command.out,
        batch=command.batch,
        separator=command.separator or original.separator,
    )
    words = setting_text(setting)
    source = f"{len(ensemble.members)} members" + (f" of {words}" if words else "")
    print(f"{count} rows by {source}: {command.out}")
    if diverged:
        print(f"{diverged} members are left out because their training diverged")


def _check_out(command: Predict, original: Run) -> None:
    """Raise if the predictions would replace a file that is still needed."""
    out = command.out
    needed = [command.rows, pathlib.Path(original.data)]
    needed += [command.folder / name for name in _RUN_FILES]
    if out.exists() and any(path.exists() and path.samefile(out) for path in needed):
        raise ValueError(f"--out must be a file of its own, but {out} is needed. Choose another.")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(
            f"--out must be a file in an existing folder, got {out}. Choose another file, or "
            "create the folder."
        )
