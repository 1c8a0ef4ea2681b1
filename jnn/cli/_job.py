"""What a command means: its study, its data and its members."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jnn.cli._command import Run
from jnn.cli._input import user_input
from jnn.cli._notes import notes
from jnn.data import Dataset, load
from jnn.recipes import About, make_study
from jnn.study import Members, Study, folds, grid, holdout, seeds

_LEARNING_RATES = (1e-3, 3e-3, 1e-2)
_WINDOW = 96  # steps, as in most papers on forecasting
_TABLE_ENDINGS = (".csv", ".tsv", ".txt")
_ROW_OPTIONS = ("group", "time", "weights")
_SERIES_OPTIONS = ("series", "gaps")
_TABLE_OPTIONS = (
    *("target", "task", "text", "drop", "separator", "horizon", "window"),
    *_ROW_OPTIONS,
    *_SERIES_OPTIONS,
)


class Job(NamedTuple):
    """The arguments of `jnn.run`.

    Attributes:
        study: Study to train.
        data: Data set to train on.
        members: Members of the population.
    """

    study: Study
    data: Dataset
    members: Members


def make_job(command: Run) -> Job:
    """Make study, data and members from a command.

    Raises:
        ValueError: If an option does not fit the data or the others.
    """
    if command.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {command.seeds}. Use e.g. --seeds 20.")
    with user_input(), notes():
        data = _load(command)
    with user_input():
        members = members_of(command)
        study = study_of(command, About.from_data(data))
    return Job(study, data, members)


def members_of(command: Run) -> Members:
    """Make the members of a command."""
    split = holdout(0.2) if command.folds == 1 else folds(command.folds)
    return seeds(command.seeds) * split * grid(**_settings_of(command))


def study_of(command: Run, about: About) -> Study:
    """Make the study of a command, given a description of its data."""
    optional = ("weight_decay", "dropout_rate")
    settings = _settings_of(command)
    return make_study(
        about,
        model=command.model,
        hyper={name: 0.0 for name in optional if name in settings},
        metrics=command.metric,
        epochs=command.epochs,
        batch_size=command.batch_size,
        steps_per_epoch=command.steps_per_epoch,
    )


def parse_grid(words: Sequence[str]) -> dict[str, list[float]]:
    """Parse the words after --grid.

    >>> parse_grid(["learning_rate=1e-3,1e-2", "weight_decay=0"])
    {'learning_rate': [0.001, 0.01], 'weight_decay': [0.0]}
    """
    if not words:
        raise ValueError("--grid must name settings, got none. Write learning_rate=1e-3,1e-2.")
    settings: dict[str, list[float]] = {}
    for word in words:
        name, values = _parse_setting(word)
        if name in settings:
            raise ValueError(
                f"--grid must name each setting once, got {name!r} again. "
                f"Write {name}=first,second."
            )
        settings[name] = values
    return settings


def _parse_setting(word: str) -> tuple[str, list[float]]:
    name, _, values = (part.strip() for part in word.partition("="))
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not name or not numbers:
        raise ValueError(
            f"--grid must be name=number,number, got {word!r}. Write learning_rate=1e-3,1e-2."
        )
    return name, numbers


def _settings_of(command: Run) -> Mapping[str, list[float]]:
    if command.grid is None:
        return {"learning_rate": list(_LEARNING_RATES)}
    return parse_grid(command.grid)


def _load(command: Run) -> Dataset:
    path = pathlib.Path(command.data)
    if not _is_table(path):
        reason = f"{command.data} is the name of a data set, and they are for CSV files"
        _refuse(command, _TABLE_OPTIONS, reason)
        return load(command.data)
    if not path.exists():
        raise ValueError(f"CSV file {path} does not exist. Check the path.")
    if command.horizon is not None:
        return _load_series(command, path, command.horizon)
    _refuse(command, ("window",), "a window needs --horizon")
    _refuse(command, _SERIES_OPTIONS, "series need --horizon")
    if command.time is not None:
        _refuse(command, ("group",), "with --time the folds are in time")
    if command.target is None:
        raise ValueError(f"--target must name the column of {path} to predict. Add it.")
    target = _names(command.target)
    return Dataset.from_csv(
        path,
        target[0] if len(target) == 1 else target,
        task=command.task,
        weights=command.weights,
        groups=command.group,
        times=command.time,
        text=command.text,
        drop=_names(command.drop),
        separator=command.separator,
    )


def _load_series(command: Run, path: pathlib.Path, horizon: int) -> Dataset:
    _refuse(
        command,
        ("task", "text", "group", "weights"),
        "with --horizon the rows are the steps of a series",
    )
    return Dataset.from_series(
        path,
        _WINDOW if command.window is None else command.window,
        horizon,
        channels=_names(command.target),
        time=_names(command.time) or None,
        series=_names(command.series) or None,
        gaps=command.gaps or "split",
        drop=_names(command.drop),
        separator=command.separator,
    )


def _refuse(command: Run, options: Sequence[str], reason: str) -> None:
    """Raise if any of these options is set, because it would have no effect."""
    present = [f"--{name}" for name in options if getattr(command, name) is not None]
    if present:
        raise ValueError(f"{', '.join(present)} must be left out: {reason}.")


def _names(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _is_table(path: pathlib.Path) -> bool:
    """Tell a CSV file, which may be compressed, from the name of a data set."""
    return any(ending.lower() in _TABLE_ENDINGS for ending in path.suffixes[-2:])
