"""The folder of a search: what was asked, what came out, round by round."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jnn.search._space import Setting, key_of
from jnn.search._strategy import Schedule, Score
from jnn.storage import read_json, write_text

_FILE = "search.json"


class Round(NamedTuple):
    """One batch of settings: what a strategy asked for, and what it was told.

    Attributes:
        asked: Number of settings that the strategy was asked for.
        settings: The settings that it named, in their order.
        scores: Their scores.
        steps: Steps that the members of each setting took together; 0 if its score was known.
        seconds: Seconds that each setting took.
        places: Where the settings of each saved result stand among the settings.
        schedules: How the numbers of each setting changed while it trained; None if they did not.
    """

    asked: int
    settings: Sequence[Setting]
    scores: Sequence[Score]
    steps: Sequence[int]
    seconds: Sequence[float]
    places: Sequence[Sequence[int]]
    schedules: Sequence[Schedule | None]


class Folder:
    """Keeps the rounds of a search, so that a search that was killed goes on.

    Args:
        directory: The folder; created if it does not exist. None keeps nothing.
        search: What identifies the search: space, data, folds, seeds.

    Raises:
        ValueError: If the folder holds another search, or the result of something else.
    """

    def __init__(self, directory: pathlib.Path | None, search: dict[str, Any]) -> None:
        self.directory = directory
        self._search = search
        self.rounds: list[Round] = []
        if directory is None:
            return
        file = directory / _FILE
        if file.exists():
            self._read(file)
        elif _holds_run(directory):
            raise ValueError(
                f"directory must be a folder for a search, but {directory} holds a run. Choose "
                "another folder."
            )

    def add(self, finished: Round) -> None:
        """Write a round that has ended."""
        self.rounds.append(finished)
        if self.directory is not None:
            self.directory.mkdir(parents=True, exist_ok=True)
            rounds = [_as_json(each) for each in self.rounds]
            write_text(
                self.directory / _FILE,
                json.dumps({"search": self._search, "rounds": rounds}, indent=1),
            )

    def part(self, number: int, index: int) -> pathlib.Path | None:
        """Return the folder of a program's result in a round."""
        if self.directory is None:
            return None
        return self.directory / "rounds" / f"{number:04d}-{index:02d}"

    def _read(self, file: pathlib.Path) -> None:
        content = read_json(file)
        if content.get("search") != self._search:
            changed = sorted(
                name
                for name in {*content.get("search", {}), *self._search}
                if content.get("search", {}).get(name) != self._search.get(name)
            )
            raise ValueError(
                f"directory must be a new folder or that of the same search, but {file.parent} "
                f"holds one with another {', '.join(changed)}. Choose another folder."
            )
        self.rounds = [_from_json(each) for each in content["rounds"]]


def rounds_of(directory: pathlib.Path) -> tuple[int, int]:
    """Return how many rounds, and settings in them, the folder of a search holds."""
    if not (directory / _FILE).exists():
        return 0, 0
    rounds = [_from_json(each) for each in read_json(directory / _FILE)["rounds"]]
    settings = {key_of(setting) for finished in rounds for setting in finished.settings}
    return len(rounds), len(settings)


def _holds_run(directory: pathlib.Path) -> bool:
    """Return whether a folder holds a run, finished or not, that is none of a search."""
    command = directory / "command.json"
    if command.exists() and read_json(command).get("command") == "search":
        return False
    return command.exists() or (directory / "result.json").exists()


def _as_json(finished: Round) -> dict[str, Any]:
    return {
        "asked": finished.asked,
        "settings": [dict(setting) for setting in finished.settings],
        "scores": [
            {
                "mean": s.mean,
                "error": s.error,
                "values": s.values.tolist(),
                "epoch": s.epoch,
                "others": list(s.others),
            }
            for s in finished.scores
        ],
        "steps": list(finished.steps),
        "seconds": list(finished.seconds),
        "places": [list(places) for places in finished.places],
        "schedules": [
            None if s is None else [list(step) for step in s] for s in finished.schedules
        ],
    }


def _from_json(fields: dict[str, Any]) -> Round:
    scores = [
        Score(
            s["mean"],
            s["error"],
            np.asarray(s["values"], np.float64),
            s["epoch"],
            tuple(s.get("others", ())),
        )
        for s in fields["scores"]
    ]
    places = [tuple(places) for places in fields["places"]]
    schedules = [
        None if schedule is None else tuple((epoch, setting) for epoch, setting in schedule)
        for schedule in fields["schedules"]
    ]
    return Round(
        fields["asked"],
        fields["settings"],
        scores,
        fields["steps"],
        fields["seconds"],
        places,
        schedules,
    )
