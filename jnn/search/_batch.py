"""A batch of settings: what a strategy trains, and what comes out."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jnn.engine import debugging
from jnn.result import Result
from jnn.search._cohort import Cohort
from jnn.search._goal import Replicas
from jnn.search._programs import Program, Programs
from jnn.search._record import OtherStudyError
from jnn.search._space import Setting
from jnn.search._strategy import Schedule, Score
from jnn.search._trouble import sentence_of
from jnn.storage import DamagedFileError


class Outcome:
    """What came out of a batch of settings.

    Attributes:
        scores: The score of each setting.
        steps: Number of steps that the members of each setting took together.
        seconds: Seconds that each setting took, its share of those of its program.
        failed: Why each setting has no score; empty if it has one.
        errors: The error that ended a setting, by its place.
        schedules: How the numbers of each setting changed while it trained; None if they did not.
        results: The trained members, as they ended.
        places: Where the settings of each result stand in the batch.
    """

    def __init__(self, settings: int, replicas: Replicas) -> None:
        nothing = Score(np.nan, np.nan, np.full(replicas.shape, np.nan), 0)
        self.scores: list[Score] = [nothing] * settings
        self.steps = [0] * settings
        self.seconds = [0.0] * settings
        self.failed = [""] * settings
        self.errors: dict[int, Exception] = {}
        self.schedules: list[Schedule | None] = [None] * settings
        self.results: list[Result] = []
        self.places: list[tuple[int, ...]] = []

    def fail(self, places: Sequence[int], error: Exception, steps: int = 0) -> None:
        """Note the error that ended settings, and the steps that they had taken."""
        for place in places:
            self.failed[place] = sentence_of(error)
            self.errors[place] = error
            self.steps[place] += steps


class Batch:
    """A batch of settings and all that their training needs.

    Attributes:
        settings: The settings.
        programs: Those whose study could be made, by the program that trains them.
        made: Makes studies and members of settings.
        replicas: What every setting is trained on.
        outcome: What has come out so far.
        common_folder: Folder for what all batches of a search share; None keeps nothing.
    """

    def __init__(
        self,
        settings: Sequence[Setting],
        made: Programs,
        replicas: Replicas,
        *,
        result_folder: Callable[[int], pathlib.Path | None] = lambda number: None,
        unfinished: pathlib.Path | None = None,
        check: Callable[[Program, Cohort], None] = lambda program, cohort: None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.replicas = replicas
        self.outcome = Outcome(len(settings), replicas)
        self.made = made
        self._result_folder = result_folder
        self.common_folder = None if unfinished is None else unfinished.parent
        self._unfinished = unfinished
        self._check = check
        self._looked = looked
        self._open: list[Cohort] = []
        self.programs, errors = made.group(settings)
        for place, error in errors.items():
            self.outcome.fail([place], error)

    @property
    def alive(self) -> int:
        """Number of settings in training."""
        return sum(len(cohort.places) for cohort in self._open)

    def cohorts(self, which: np.ndarray | None = None, *, seed: int | None = None) -> list[Cohort]:
        """Return settings ready to train, those of one program together.

        Settings whose study does not fit the data, or whose numbers it refuses, are noted as
        failed, and left out.

        Args:
            which: The settings to train, bool [settings]; all by default.
            seed: Number of the seed to train alone; all of them by default.
        """
        cohorts = []
        for number, program in enumerate(self.programs):
            places = [p for p in program.places if which is None or which[p]]
            name = f"{number:02d}" if seed is None else f"{number:02d}-{seed:02d}"
            folder = None if self._unfinished is None else self._unfinished / name
            part = program._replace(places=tuple(places))
            cohort = self._opened(part, seed, folder) if places else None
            if cohort is not None:
                cohorts.append(cohort)
        self._open = cohorts
        self._looked()
        return cohorts

    @contextlib.contextmanager
    def failing(self, trained: Cohort | Program) -> Iterator[None]:
        """Note an error as that of some settings, and let all others go on.

        Errors of the disk are raised, and all errors if JAX is asked to raise at the first NaN.
        """
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError | DamagedFileError) or any(debugging()):
                raise
            if isinstance(trained, Program):
                self.outcome.fail(trained.places, error)
            else:
                self.outcome.fail(trained.places, error, trained.steps)
                trained.close()
        self._looked()

    def end(self, cohort: Cohort, ends: np.ndarray | None = None) -> None:
        """Note scores and result of the settings of a cohort that end; all of them by default."""
        ends = np.ones(len(cohort.places), bool) if ends is None else ends
        if not ends.any():
            return
        outcome = self.outcome
        scores = cohort.scores
        for index in np.flatnonzero(ends).tolist():
            place = cohort.places[index]
            outcome.scores[place] = scores[index]
            outcome.failed[place] = outcome.failed[place] or cohort.look.troubles[index]
            outcome.steps[place] += cohort.steps
            outcome.seconds[place] += cohort.look.seconds
        places = tuple(np.asarray(cohort.places)[ends].tolist())
        outcome.results.append(cohort.take(ends, self._result_folder(len(outcome.results))))
        outcome.places.append(places)

    def add(self, result: Result, places: Sequence[int]) -> None:
        """Note, and keep in a folder, the members of settings that no cohort has trained."""
        folder = self._result_folder(len(self.outcome.results))
        if folder is not None:
            result.save(folder)
        self.outcome.results.append(result)
        self.outcome.places.append(tuple(places))

    def _opened(
        self, program: Program, seed: int | None, folder: pathlib.Path | None
    ) -> Cohort | None:
        """Return a cohort of the settings of a program that can be trained; None if none can."""
        try:
            return self._cohort(program, seed, folder)
        except Exception as error:
            if isinstance(error, OSError | DamagedFileError | OtherStudyError):
                raise
            common = error
        errors = {place: self._error(program, place, seed) for place in program.places}
        sound = tuple(place for place, error in errors.items() if error is None)
        if len(sound) in (0, len(errors)):  # together they may not fit where each one would
            sound = ()
        for place in set(program.places) - set(sound):
            self.outcome.fail([place], errors[place] or common)
        return self._opened(program._replace(places=sound), seed, folder) if sound else None

    def _cohort(self, program: Program, seed: int | None, folder: pathlib.Path | None) -> Cohort:
        replicas = self.replicas if seed is None else self.replicas.of_seed(seed)
        numbers = self.made.members(program, self.settings)
        members = replicas.members if numbers is None else replicas.members * numbers
        cohort = Cohort(program, members, replicas, self.made.plans, folder)
        cohort.open()
        self._check(program, cohort)
        return cohort

    def _error(self, program: Program, place: int, seed: int | None) -> Exception | None:
        """Return the error that a setting gives alone, or None."""
        try:
            self._cohort(program._replace(places=(place,)), seed, None)
        except Exception as error:
            return error
        return None
