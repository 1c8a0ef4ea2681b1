"""The settings of one program, side by side in training."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.population import Plan, Population, start
from jnn.result import Result
from jnn.search._goal import Replicas
from jnn.search._programs import Program
from jnn.search._strategy import Score
from jnn.storage import notes, read_json, write_text
from jnn.study import Members, Study

_SAVE_EVERY = 20.0  # seconds of training that a kill may cost


class Look(NamedTuple):
    """What is known of the settings in training after an epoch.

    Attributes:
        epoch: Number of epochs trained.
        values: The metric in its own units [settings, seeds, folds].
        troubles: What was not finite in each setting, as text; empty if nothing.
        seconds: Seconds that each setting took so far.
    """

    epoch: int
    values: np.ndarray
    troubles: Sequence[str]
    seconds: float


class Cohort:
    """The settings of one program that are in training, in the middle of it.

    With a folder, every look is kept there, with the state of the members. The same calls, after
    the process was killed, are answered from what was kept, and training goes on after it.

    Attributes:
        program: What trains them.
        places: Where the settings that are still in training stand in their batch.
        look: What is known of them.
        compiled: Done when a thread has compiled the program; None if there is no such thread.
    """

    def __init__(
        self,
        program: Program,
        members: Members,
        replicas: Replicas,
        plans: dict[Study, Plan],
        folder: pathlib.Path | None,
    ) -> None:
        self.program = program
        self.places = program.places
        self.look = Look(0, np.zeros((0, 0, 0)), (), 0.0)
        self.compiled: Future[None] | None = None
        self._replicas = replicas
        self._members = members
        self._remaining = np.arange(len(members))
        self._plans = plans
        self._journal = None if folder is None else _Journal(folder)
        self._population: Population | None = None
        self._is_live = False

    def open(self) -> Population:
        """Return the population; raise what is wrong with study, data or members.

        Nothing is compiled yet, and nothing is trained.
        """
        if self._population is None:
            study = self.program.study
            if self._journal is not None and self._journal.plan is not None:
                self._plans.setdefault(study, self._journal.plan)
            population = start(
                study, self._replicas.data, self._members, plan=self._plans.get(study)
            )
            if len(self._remaining) < len(self._members):
                population.keep(self._remaining)
            self._population = population
        return self._population

    @property
    def is_complete(self) -> bool:
        """Whether all that training can give has been kept in the folder."""
        return self._journal is not None and self._journal.look(self._epochs) is not None

    @property
    def scores(self) -> list[Score]:
        """The scores of the settings, after the epochs of the look."""
        goal = self._replicas.goal
        return [goal.score(values, self.look.epoch) for values in self.look.values]

    @property
    def steps(self) -> int:
        """Number of steps that the members of each setting took together."""
        return self._replicas.steps_per_epoch(self.program.study) * self.look.epoch

    def advance(self, epoch: int) -> None:
        """Train up to an epoch, and look."""
        look = None if self._journal is None else self._journal.look(epoch)
        if look is not None:
            self.look = look
            return
        started = time.perf_counter()
        population = self._live()
        self._train(population, epoch)
        seconds = (time.perf_counter() - started) / len(self.places)
        study = self.program.study
        self._plans[study] = population.plan
        values, troubles = self._replicas.seen(population.scores, study)
        self.look = Look(epoch, values, troubles, self.look.seconds + seconds)
        if self._journal is not None and epoch < self._epochs:
            self._journal.save(population)
            self._journal.add(self.look, population.plan)

    def take(self, ends: np.ndarray, folder: pathlib.Path | None) -> Result:
        """Return the result of the settings that end, and let the others go on.

        Args:
            ends: Which settings end, bool [settings].
            folder: Where the result is kept; None keeps nothing.
        """
        if folder is not None and (folder / "result.json").exists():
            result = Result.load(folder, self.program.study)
        else:
            result = self._live().result()
            if not ends.all():
                result = result.take(np.flatnonzero(self._of_members(ends)))
            if folder is not None:
                result.save(folder)
        if not ends.all():
            self._keep(~ends)
            return result
        if self._journal is not None and not self.is_complete:
            self._journal.add(self.look, self.open().plan)
        self.close()
        return result

    def gather(self, sources: np.ndarray, numbers: dict[str, np.ndarray]) -> None:
        """Let settings continue from what others have learned, with new numbers.

        Args:
            sources: The setting that each one copies, int [settings].
            numbers: New hyper-parameters by name, [settings] each.
        """
        saved = 0 if self._journal is None else self._journal.saved_epoch
        if not self._is_live and (saved > self.look.epoch or self.is_complete):
            return  # the members were saved after they had gathered
        copies = len(self._replicas.members)
        everyone = np.arange(copies)[:, None] * len(sources) + sources
        hyper = {name: np.tile(values, copies) for name, values in numbers.items()}
        self._live().gather(everyone.ravel(), hyper=hyper)

    def close(self) -> None:
        """End all settings, and free their memory."""
        self.places = ()
        self._population = None

    @property
    def _epochs(self) -> int:
        return self.program.study.epochs

    def _of_members(self, which: np.ndarray) -> np.ndarray:
        """Return a mask of settings as one of the members, whose last axis is the setting."""
        return np.tile(which, len(self._replicas.members))

    def _keep(self, stays: np.ndarray) -> None:
        which = self._of_members(stays)
        self.places = tuple(np.asarray(self.places)[stays].tolist())
        self._remaining = self._remaining[which]
        if self._population is not None:
            self._population.keep(which)

    def _live(self) -> Population:
        """Return the population at the epoch that it has reached."""
        population = self.open()
        if self.compiled is not None:
            self.compiled.result()
        if not self._is_live:
            if self._journal is not None and self._journal.saved_epoch > 0:
                population.restore(self._journal.members)
            self._is_live = True
        return population

    def _train(self, population: Population, epoch: int) -> None:
        """Train up to an epoch; with a folder, the members are saved on the way."""
        epochs = epoch if self._journal is None else 1
        saved = time.monotonic()
        while population.epoch < epoch:
            started = time.monotonic()
            first = population.epoch
            population.advance(min(epochs, epoch - first))
            now = time.monotonic()
            share = _SAVE_EVERY / max(now - started, 1e-9)
            epochs = max(1, int((population.epoch - first) * share))
            is_due = now - saved >= _SAVE_EVERY and population.epoch < epoch
            if self._journal is not None and is_due:
                self._journal.save(population)
                saved = time.monotonic()


class _Journal:
    """A folder with the looks of a cohort and the state of its members.

    Attributes:
        members: The file of the members.
        plan: Their layout; None before the first look, or if there are too few devices for it.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.members = folder / "members.safetensors"
        self._file = folder / "looks.json"
        content = read_json(self._file) if self._file.exists() else {"looks": [], "plan": None}
        self._looks = [_look_of(fields) for fields in content["looks"]]
        plan = None if content["plan"] is None else Plan(**content["plan"])
        self.plan = plan if plan and plan.devices <= jax.local_device_count() else None
        self.saved_epoch = self._read_epoch()

    def look(self, epoch: int) -> Look | None:
        """Return the look after an epoch, or None if it was not kept."""
        return next((look for look in self._looks if look.epoch == epoch), None)

    def save(self, population: Population) -> None:
        """Write the members as they are."""
        self.members.parent.mkdir(parents=True, exist_ok=True)
        population.save(self.members)
        self.saved_epoch = population.epoch

    def add(self, look: Look, plan: Plan) -> None:
        """Write one more look."""
        self._looks.append(look)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        looks = [{**each._asdict(), "values": each.values.tolist()} for each in self._looks]
        write_text(self._file, json.dumps({"looks": looks, "plan": dataclasses.asdict(plan)}))

    def _read_epoch(self) -> int:
        """Return the epoch at which the members were saved; 0 if they were not."""
        return notes(self.members)["epoch"] if self.members.exists() else 0


def _look_of(fields: dict[str, Any]) -> Look:
    values = np.asarray(fields["values"], np.float64)
    return Look(fields["epoch"], values, fields["troubles"], fields["seconds"])
