"""The command `jnn show`."""

import dataclasses
import os
import pathlib

from rich.console import Console

from jnn.cli._command import Run, Search, Show
from jnn.cli._found import RECORD, show_settings
from jnn.cli._job import members_of
from jnn.cli._run import RUN_FILES, SEARCH_FILES, show_scores
from jnn.cli._saved_command import read_command
from jnn.cli._terminal import make_console, print_text
from jnn.data._image_folder import has_published_split
from jnn.population import trained_epochs
from jnn.result import Result, read_versions
from jnn.search import rounds_of
from jnn.storage import as_folder


def show(command: Show) -> None:
    """Print what a run is, how far it is, its scores and where its files are."""
    folder = as_folder(command.folder, "FOLDER")
    is_complete = (folder / "result.json").exists()
    has_command = (folder / "command.json").exists()
    if not (is_complete or has_command or (folder / "unfinished").exists()):
        raise ValueError(
            f"{folder} must be the folder of a run, but has neither result.json nor command.json. "
            "See results/."
        )
    console = make_console()
    original = read_command(folder) if has_command else None
    if original is not None:
        print_text(console, _words_of(original))
    if isinstance(original, Search):
        _show_search(folder, original, console)
    elif is_complete:
        _show_result(folder, console)
    else:
        _show_progress(folder, original, console)
    _show_files(folder, console)


def _show_result(folder: pathlib.Path, console: Console) -> None:
    show_scores(_show_members(folder, console), console)


def _show_members(folder: pathlib.Path, console: Console) -> Result:
    """Print what the members of a result are."""
    result = Result.load(folder)
    versions = ", ".join(f"{name} {text}" for name, text in read_versions(folder).items())
    print_text(console, f"{result!r}\n  made by  {versions or 'jnn 0.2 or older'}")
    return result


def _show_search(folder: pathlib.Path, original: Search, console: Console) -> None:
    """Print what a search has found, or how far it is."""
    if (folder / RECORD).exists():
        if (folder / "result.json").exists():
            _show_members(folder, console)
        show_settings(folder, console)
        return
    rounds, settings = rounds_of(folder)
    of = "" if original.trials is None else f" of {original.trials}"
    print_text(console, f"unfinished: {settings}{of} settings are saved, in {rounds} rounds")
    print_text(console, f"`jnn resume {folder}` continues the search")


def _show_progress(folder: pathlib.Path, original: Run | None, console: Console) -> None:
    """Print how far a run is that has no result yet."""
    parts = trained_epochs(folder)
    members = None if original is None else _member_count(original)
    parts = [(epoch, min(count, members or count)) for epoch, count in parts]  # not the padding
    done = sum(epoch * count for epoch, count in parts)
    text = ", ".join(f"{count} members after epoch {epoch}" for epoch, count in parts)
    share = ""
    if original is not None and original.epochs and members:
        share = f" {min(done / (original.epochs * members), 1):.0%} saved"
    print_text(console, f"unfinished:{share} ({text or 'nothing'})")
    again = "the same jnn.run" if original is None else f"`jnn resume {folder}`"
    print_text(console, f"{again} continues the run")


def _member_count(command: Run) -> int:
    """Return the number of members, of which a folder of pictures may publish the only split."""
    path = pathlib.Path(command.data)
    if command.folds is None and has_published_split(path):
        command = dataclasses.replace(command, folds=1)
    return len(members_of(command))


def _show_files(folder: pathlib.Path, console: Console) -> None:
    known = (*RUN_FILES, *SEARCH_FILES, "unfinished")
    names = [name for name in known if (folder / name).exists()]
    print_text(console, f"files: {folder.absolute()}{os.sep} ({', '.join(names)})")


def _words_of(command: Run | Search) -> str:
    """Return a command as it could be typed, without options that have their defaults."""
    words = ["jnn search" if isinstance(command, Search) else "jnn run", command.data]
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if field.name in ("data", "out") or value == field.default:
            continue
        words.append("--" + field.name.replace("_", "-"))
        if value is not True:
            words.append(" ".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return " ".join(words)
