"""The command `jnn export`."""

import pathlib
import sys
from typing import TYPE_CHECKING

import jax

from jnn.cli import _setup
from jnn.cli._command import Export
from jnn.cli._predict_file import usable
from jnn.cli._saved_command import read_command
from jnn.cli._saved_study import saved_study
from jnn.cli._terminal import check_output, is_standard_output, open_output
from jnn.result import Result
from jnn.storage import atomic_path, save

if TYPE_CHECKING:
    import pandas

_TABLES = (".csv", ".tsv", ".parquet")
_ENDINGS = (*_TABLES, ".safetensors", ".stablehlo")


def export(command: Export) -> None:
    """Write scores, parameters or the network of a run, by the ending of the file."""
    ending = ".csv" if is_standard_output(command.out) else command.out.suffix.lower()
    if ending not in _ENDINGS:
        raise ValueError(
            f"--out must end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}, got {command.out}."
        )
    check_output(command.out)
    if ending in _TABLES:
        text = _write_scores(_selected(Result.load(command.folder), command, "all"), command.out)
    elif ending == ".safetensors":
        text = _write_parameters(_selected(Result.load(command.folder), command, "best"), command)
    else:
        text = _write_network(command)
    print(f"{text}: {command.out}", file=sys.stderr if is_standard_output(command.out) else None)


def _write_scores(result: Result, out: pathlib.Path) -> str:
    """Write one line for each member and epoch."""
    axes = {*result.members.axes, "epoch"}
    names = [name for name, scores in result.scores.items() if {*scores.dims} <= axes]
    frame = result.scores[names].to_dataframe().reset_index()
    frame = frame.loc[:, ~frame.columns.duplicated()]
    if out.suffix.lower() == ".parquet":
        with atomic_path(out) as partial:
            _write_parquet(frame, partial)
    else:
        separator = "\t" if out.suffix.lower() == ".tsv" else ","
        with open_output(out) as file:
            frame.to_csv(file, index=False, sep=separator, lineterminator="\n")
    return f"scores of {_counted(result)}, {len(frame)} lines"


def _write_parquet(frame: "pandas.DataFrame", path: pathlib.Path) -> None:
    try:
        frame.to_parquet(path, index=False)
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow, which is not installed. Install it with: pip install "
            "pyarrow, or write a .csv file."
        ) from error


def _write_parameters(result: Result, command: Export) -> str:
    """Write the trained arrays: with a first axis of members, unless one member is asked for."""
    tree = result.trained._asdict()
    if command.member is not None:
        tree = jax.tree.map(lambda array: array[0], tree)
    save(command.out, tree)
    return f"parameters of {_counted(result)}"


def _write_network(command: Export) -> str:
    _setup.configure_jax()
    original = read_command(command.folder)
    study = saved_study(command.folder, original)
    result = _selected(Result.load(command.folder, study), command, "best")
    if command.member is None:
        result, _ = usable(result)
        result.export(command.out)
        return f"mean and deviation over {_counted(result)}"
    result.export(command.out, member=0)
    return "network of 1 member"


def _counted(result: Result) -> str:
    count = len(result.members)
    return f"{count} member" + "s" * (count != 1)


def _selected(result: Result, command: Export, default: str) -> Result:
    """Return the members that a command names."""
    setting = result.best().setting if (command.members or default) == "best" else {}
    selected = result.select(**setting) if setting else result
    if command.member is None:
        return selected
    count = len(selected.members)
    if not 0 <= command.member < count:
        raise ValueError(
            f"--member must be the number of one of {count} members, from 0 to {count - 1}, got "
            f"{command.member}."
        )
    return selected.member(command.member)
