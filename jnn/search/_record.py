"""The folder of a search: what was asked, what came out, round by round."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jnn.population import Plan
from jnn.search._space import Setting, key_of
from jnn.search._strategy import Schedule, Score
from jnn.storage import damaged, read_json, write_text

if TYPE_CHECKING:
    from filelock import BaseFileLock

_FILE = "search.json"
_LOCK = "search.lock"
_OF_A_WINNER = ("result.json", "run.json", "members.safetensors", "scores.nc")


class Round(NamedTuple):
    """One batch of settings: what a strategy asked for, and what it was told.

    Attributes:
        asked: Number of settings that the strategy was asked for.
        settings: The settings that it named, in their order.
        scores: Their scores.
        steps: Steps that the members of each setting took together; 0 if its score was known.
        seconds: Seconds that each setting took.
        places: Where the settings of each saved result stand among the settings.
        parameters: Number of parameters of a member of each saved result.
        schedules: How the numbers of each setting changed while it trained; None if they did not.
        failed: Why each setting has no score; empty if it has one.
        elapsed: Seconds of asking and training.
    """

    asked: int
    settings: Sequence[Setting]
    scores: Sequence[Score]
    steps: Sequence[int]
    seconds: Sequence[float]
    places: Sequence[Sequence[int]]
    parameters: Sequence[int]
    schedules: Sequence[Schedule | None]
    failed: Sequence[str]
    elapsed: float


class OtherStudyError(ValueError):
    """`study_of` makes another study than the one that a folder was searched with."""


class Folder:
    """Keeps the rounds of a search, so that a search that was killed goes on.

    A lock refuses a second process in the folder, until `close`.

    Args:
        directory: The folder; created if it does not exist. None keeps nothing.
        search: What identifies the search: space, data, folds, seeds.

    Raises:
        ValueError: If the folder holds another search, or the result of something else, or if
            another process searches in it.
    """

    def __init__(self, directory: pathlib.Path | None, search: dict[str, Any]) -> None:
        self.directory = directory
        self.rounds: list[Round] = []
        self._search = search
        self._begun: dict[str, Any] | None = None
        self._winner: dict[str, Any] | None = None
        self._programs: dict[str, dict[str, Any]] = {}
        self._known: set[str] = set()  # the programs that were compared in this process
        self._lock: BaseFileLock | None = None
        if directory is None:
            return
        file = directory / _FILE
        if not file.exists() and _holds_run(directory):
            raise ValueError(
                f"directory must be a folder for a search, but {directory} holds a run. Choose "
                "another folder."
            )
        if file.exists():
            self._lock = _lock(directory)
            self._read(file)

    def close(self) -> None:
        """Release the lock; a folder in which nothing was written is left as it was."""
        if self._lock is None or self.directory is None:
            return
        self._lock.release()
        if not (self.directory / _FILE).exists():
            (self.directory / _LOCK).unlink(missing_ok=True)

    def asked(self, number: int) -> int | None:
        """Return for how many settings a strategy was asked in a round; None if it is new."""
        if number < len(self.rounds):
            return self.rounds[number].asked
        return None if self._begun is None else self._begun["asked"]

    def begin(self, asked: int, settings: Sequence[Setting]) -> None:
        """Write what a strategy asked for, before it is trained.

        Raises:
            ValueError: If the round had begun with other settings.
        """
        named = [dict(setting) for setting in settings]
        if self._begun is not None:
            self.check_settings(len(self.rounds), self._begun["settings"], settings)
        self._begun = {"asked": asked, "settings": named}
        self._write()

    def check_settings(
        self, number: int, former: Sequence[Setting], settings: Sequence[Setting]
    ) -> None:
        """Raise ValueError if a round had other settings."""
        if [dict(setting) for setting in former] != [dict(setting) for setting in settings]:
            raise ValueError(
                f"The strategy must ask for the settings that {self.directory} holds, but in round "
                f"{number} it asks for others. Give it the same seed and options."
            )

    def add(self, finished: Round, plans: Mapping[str, Plan]) -> None:
        """Write a round that has ended, with the layouts of its programs."""
        self.rounds.append(finished)
        self._begun = None
        for key, plan in plans.items():
            self._programs.setdefault(key, {})["plan"] = dataclasses.asdict(plan)
        self._write()
        unfinished = self.unfinished(len(self.rounds) - 1)
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)

    def withdraw(self) -> None:
        """Forget a round that has begun, and its programs."""
        self._begun = None
        if not self.rounds:
            self._programs = {}
        self._write()

    def plan(self, key: str) -> Plan | None:
        """Return the layout that a program had, if there are enough devices for it."""
        fields = self._programs.get(key, {}).get("plan")
        plan = None if fields is None else Plan(**fields)
        return plan if plan and plan.devices <= jax.local_device_count() else None

    def is_known(self, key: str) -> bool:
        """Return whether a program needs no comparison, because it was made or nothing is kept."""
        return self.directory is None or key in self._known

    def compare(self, key: str, digest: str) -> None:
        """Compare a program with the one that had its name, or write that it is new.

        Raises:
            OtherStudyError: If it is another one.
        """
        self._known.add(key)
        former = self._programs.get(key, {}).get("digest")
        if former is None:
            self._programs.setdefault(key, {})["digest"] = digest
            self._write()
        elif former != digest:
            raise self.other_study(key, "returns another one")

    def other_study(self, key: str, what: str) -> OtherStudyError:
        """Return the error that `study_of` does something else than before."""
        return OtherStudyError(
            f"study_of must return the study that {self.directory} was searched with, but for "
            f"{key} it {what}. Use the former study, or choose another folder."
        )

    def winner(self, setting: Setting, members: int) -> pathlib.Path | None:
        """Return the folder of the winner, without what an earlier winner has left in it."""
        if self.directory is None:
            return None
        winner = {"setting": dict(setting), "members": members}
        if self._winner not in (None, winner):
            for name in _OF_A_WINNER:
                (self.directory / name).unlink(missing_ok=True)
            shutil.rmtree(self.directory / "unfinished", ignore_errors=True)
        self._winner = winner
        self._write()
        return self.directory

    def part(self, number: int, index: int) -> pathlib.Path | None:
        """Return the folder of a program's result in a round."""
        return self._below(f"{number:04d}-{index:02d}")

    def unfinished(self, number: int) -> pathlib.Path | None:
        """Return the folder of what a round has reached before it ends."""
        return self._below(f"{number:04d}-unfinished")

    def _below(self, name: str) -> pathlib.Path | None:
        return None if self.directory is None else self.directory / "rounds" / name

    def _write(self) -> None:
        if self.directory is None:
            return
        if self._lock is None:
            self._lock = _lock(self.directory)
        content = {
            "search": self._search,
            "programs": self._programs,
            "rounds": [_as_json(each) for each in self.rounds],
            "begun": self._begun,
            "winner": self._winner,
        }
        write_text(self.directory / _FILE, json.dumps(content, indent=1))

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
        try:
            self.rounds = [_from_json(each) for each in content["rounds"]]
            self._programs = content["programs"]
            self._begun = content["begun"]
            self._winner = content["winner"]
        except (KeyError, TypeError) as error:
            raise damaged(file, error) from error


def _lock(directory: pathlib.Path) -> "BaseFileLock":
    from filelock import FileLock, Timeout

    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another search runs in {directory}. Wait until it ends, or choose another directory."
        ) from error
    return lock


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
        "parameters": list(finished.parameters),
        "schedules": [
            None if s is None else [list(step) for step in s] for s in finished.schedules
        ],
        "failed": list(finished.failed),
        "elapsed": finished.elapsed,
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
        fields["parameters"],
        schedules,
        fields["failed"],
        fields["elapsed"],
    )
