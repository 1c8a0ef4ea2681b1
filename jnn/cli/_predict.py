"""The command `jnn predict`."""

import dataclasses
import functools
import pathlib
import sys

from jnn.cli import _setup
from jnn.cli._command import DataOptions, Predict
from jnn.cli._predict_file import notes_of, predict_file, usable
from jnn.cli._run import RUN_FILES, SEARCH_FILES
from jnn.cli._saved_command import read_command
from jnn.cli._saved_study import saved_study
from jnn.cli._table import CHARACTER_OPTIONS, Columns, form_of, local_file
from jnn.cli._terminal import check_output, is_standard_output
from jnn.data import Counts, TableForm
from jnn.data._csv import uncompressed
from jnn.result import Result, setting_text


def predict(command: Predict) -> None:
    """Write a table of predictions for the rows of a file."""
    _setup.configure_jax()
    original = read_command(command.folder)
    _check_out(command, original)
    result = Result.load(command.folder, saved_study(command.folder, original))
    setting = result.best().setting if command.members == "best" else {}
    selected = result.select(**setting) if setting else result
    ensemble, diverged = usable(selected)
    form = _form_of(command, original)
    is_there = command.rows.is_file() or command.rows.is_dir()
    rows = command.rows if is_there else local_file(command.rows)
    counts = Counts.zero()
    count = predict_file(
        ensemble,
        rows,
        command.out,
        batch=command.batch,
        form=form,
        id=Columns(rows, form).names(_id_of(command, original)),
        counts=counts,
        more=command.more,
    )
    words = setting_text(setting)
    source = f"{len(ensemble.members)} members" + (f" of {words}" if words else "")
    is_printed = is_standard_output(command.out)
    print_report = functools.partial(print, file=sys.stderr if is_printed else sys.stdout)
    print_report(f"{count} rows by {source}: {command.out}")
    for note in notes_of(counts):
        print_report(note)
    if diverged:
        print_report(f"{diverged} members are left out because their training diverged")


def _form_of(command: Predict, original: DataOptions) -> TableForm:
    """Return how the table of rows is written: as that of the run, unless an option says it."""
    given = {name: getattr(command, name) for name in CHARACTER_OPTIONS}
    said = {name: value for name, value in given.items() if value is not None}
    if "decimal" in said:  # the separator of thousands of the run may be this decimal point
        said.setdefault("thousands", None)
    return dataclasses.replace(form_of(original), **said)


def _id_of(command: Predict, original: DataOptions) -> str | None:
    """Return the columns that name the rows; those of the run only where rows have columns."""
    suffix = uncompressed(command.rows).suffix.lower()
    has_columns = suffix != ".npy" and not (suffix == ".txt" and original.text is not None)
    return original.id if command.id is None and has_columns else command.id


def _check_out(command: Predict, original: DataOptions) -> None:
    """Raise if the predictions would replace a file that is still needed."""
    out = command.out
    if is_standard_output(out):
        return
    needed = [command.rows, *command.more, pathlib.Path(original.data)]
    needed += [command.folder / name for name in (*RUN_FILES, *SEARCH_FILES)]
    if out.exists() and any(path.exists() and path.samefile(out) for path in needed):
        raise ValueError(f"--out must be a file of its own, but {out} is needed. Choose another.")
    check_output(out)
