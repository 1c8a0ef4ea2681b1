"""What a search has found: its files, and what is printed of it."""

import math
import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from rich.console import Console

from jnn._errors import reason_of
from jnn.cli._terminal import print_text
from jnn.result import table_text
from jnn.search import Found
from jnn.stats import Interval
from jnn.storage import atomic_path, read_record, with_remedy, write_record

RECORD = "found.json"
TABLE = "search.csv"
FIGURES = ("search.png", "choices.png")
_MOST = 10  # settings that are printed
_FEWEST = 10  # settings from which the importance of a choice can be learned
_COUNTS = ("epochs", "diverged", "parameters")  # printed where they differ


class FoundRecord(TypedDict):
    """What found.json holds: the winner's setting, the metric, and what was printed."""

    setting: dict[str, float | int | bool | str] | None
    metric: str
    choices: Sequence[str]
    sentences: Sequence[str]


def write_found(found: Found, folder: pathlib.Path) -> None:
    """Write the table of all settings, and what the other commands must know of the winner."""
    with atomic_path(folder / TABLE) as partial:
        found.table.to_csv(partial, index=False, lineterminator="\n")
    best = found.best_trial
    record = FoundRecord(
        setting=None if best is None else dict(best.setting),
        metric=found.goal.metric,
        choices=_choices(found),
        sentences=[*repr(found).split("\n"), *_front(found), *_importance(found)],
    )
    write_record(folder / RECORD, record)


def read_found(folder: pathlib.Path) -> FoundRecord:
    """Read what a search has found.

    Raises:
        ValueError: If the search is not complete, or the record is damaged.
    """
    if not (folder / RECORD).exists():
        raise ValueError(
            f"The search in {folder} is not complete. Continue it with `jnn resume {folder}`."
        )
    with with_remedy(f"`jnn resume {folder}` writes it anew."):
        return read_record(folder / RECORD, FoundRecord)  # type: ignore[return-value]


def show_found(found: Found, folder: pathlib.Path, console: Console) -> None:
    """Print the best settings and how good the winner is, draw figures, and name the files."""
    show_settings(folder, console)
    files = [TABLE]
    try:
        _draw(found, folder)
        files += FIGURES
    except Exception as error:  # matplotlib is optional, and a figure is less than a result
        print_text(console, f"no {FIGURES[0]}: {reason_of(error)}")
    if found.winner is not None:
        files += ["scores.nc", "members.safetensors"]
    print_text(console, f"result: {folder}{os.sep} ({', '.join(files)})")


def show_settings(folder: pathlib.Path, console: Console) -> None:
    """Print the best settings of a search that is complete, and what was found."""
    import pandas

    record = read_found(folder)
    frame = pandas.read_csv(folder / TABLE, keep_default_na=False, na_values=[""])
    is_plain = console.options.ascii_only
    rows: Any = frame.to_dict("records")
    header, lines = cells(rows, record["metric"], record["choices"])
    count = f"the best {len(lines)} of {len(frame)} settings" if len(frame) > len(lines) else ""
    print_text(console, count or f"all {len(frame)} settings, the best first")
    table = table_text(header, lines, len(record["choices"]), console.width, is_plain=is_plain)
    print_text(console, table.rstrip("\n"))
    for sentence in record["sentences"]:
        print_text(console, sentence.replace("±", "+-") if is_plain else sentence)


class Cells(NamedTuple):
    """A table as text."""

    header: list[str]
    lines: list[list[str]]


def cells(rows: Sequence[Mapping[str, Any]], metric: str, choices: Sequence[str]) -> Cells:
    """Return settings as text: their choices, the counts that differ, the score with its error.

    Args:
        rows: The settings, the best first; only the first ones are shown.
        metric: Name of the score.
        choices: Names of the choices.
    """
    counts = [name for name in _COUNTS if len({row[name] for row in rows}) > 1]
    if any(row["diverged"] for row in rows) and "diverged" not in counts:
        counts.append("diverged")
    lines = []
    for row in rows[:_MOST]:
        line = [_text(row[name]) for name in (*choices, *counts)]
        score, error = row[metric], row["error"]
        lines.append([*line, Interval(score, score - error, score + error, 1, "").short()])
    return Cells([*choices, *counts, f"{metric} ± error"], lines)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value == round(value) else f"{value:.4g}"


def _choices(found: Found) -> list[str]:
    return list(dict.fromkeys(name for trial in found.trials for name in trial.setting))


def _front(found: Found) -> list[str]:
    """Return how many settings are on the Pareto front of a search by several metrics."""
    if not found.goal.others:
        return []
    names = ", ".join([found.goal.metric, *(name for name, _ in found.goal.others)])
    count = int(found.table["pareto"].to_numpy().sum())
    return [
        f"settings that no other one beats in {names}: {count}, in the column pareto of {TABLE}"
    ]


def _importance(found: Found) -> list[str]:
    """Return how much each choice matters, in one line, if there are enough settings."""
    finite = [trial for trial in found.trials if not math.isnan(trial.score.mean)]
    if len(finite) < _FEWEST or len(_choices(found)) < 2:
        return []
    table = found.importance
    pairs = zip(table["choice"], table["importance"], strict=True)
    parts = [f"{choice} {importance:.2f}" for choice, importance in pairs]
    return [f"importance (loss of R2 of a forest when permuted): {', '.join(parts)}"]


def _draw(found: Found, folder: pathlib.Path) -> None:
    from jnn import plots

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # such as characters that a font lacks
        for name, draw in zip(FIGURES, (plots.search_curve, plots.choices), strict=True):
            plots.write(draw(found), folder / name)
