"""Settings grouped by the program that trains them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnn.population import Plan
from jnn.search._space import Choices, Setting, Space
from jnn.search._trouble import sentence_of
from jnn.study import Choice, Members, Study, sample

StudyOf = Callable[[Choices], Study]


class Program(NamedTuple):
    """Settings that one study trains, as members that differ in numbers only.

    Attributes:
        study: What is trained.
        name: The choices that shaped the study, as text.
        numbers: Names of the choices that are numbers of the members.
        places: Where these settings stand among those that were asked for.
    """

    study: Study
    name: str
    numbers: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def key(self) -> str:
        """What tells the program from others of the search, the same in every process."""
        return f"{self.name or 'any'} with the numbers {', '.join(self.numbers) or 'none'}"


class StudyError(ValueError):
    """`study_of` has failed on a setting."""


class Programs:
    """Makes studies from settings, one for all settings that need the same program.

    A choice that `study_of` reads shapes the program. All others must be numbers: they become
    hyper-parameters of the members, which the optimizer or the network reads.
    """

    def __init__(self, study_of: StudyOf, space: Space) -> None:
        self._study_of = study_of
        self._space = space
        self._studies: dict[tuple, Study] = {}
        self.plans: dict[Study, Plan] = {}  # so that later rounds share the compiled program

    def group(self, settings: Sequence[Setting]) -> tuple[list[Program], dict[int, Exception]]:
        """Return the programs of settings, in the order of their first one.

        Returns:
            The programs, and the errors of settings for which `study_of` failed, by their place.
        """
        places: dict[tuple, list[int]] = {}
        errors: dict[int, Exception] = {}
        for place, setting in enumerate(settings):
            try:
                places.setdefault(self._signature(setting), []).append(place)
            except StudyError as error:
                errors[place] = error
        programs = [
            Program(self._studies[signature], _name_of(signature[0]), signature[1], tuple(found))
            for signature, found in places.items()
        ]
        return programs, errors

    def program_of(self, setting: Setting) -> Program:
        """Return the program of one setting; raise if its study cannot be made."""
        signature = self._signature(setting)
        return Program(self._studies[signature], _name_of(signature[0]), signature[1], (0,))

    def members(self, program: Program, settings: Sequence[Setting]) -> Members | None:
        """Return the settings of a program as members, or None if they have no numbers."""
        columns = self.columns(program, [settings[place] for place in program.places])
        draws: dict[str, Any] = {name: _constant(values) for name, values in columns.items()}
        return sample(len(program.places), **draws) if draws else None

    def columns(self, program: Program, settings: Sequence[Setting]) -> dict[str, np.ndarray]:
        """Return the numbers of settings of a program, [settings] each."""
        return {
            name: np.asarray(
                [self._number(name, setting) for setting in settings], self._dtype(name)
            )
            for name in program.numbers
        }

    def _signature(self, setting: Setting) -> tuple:
        """Return what the settings of one program share: the choices that were read, and numbers.

        A choice under a condition that does not hold has no value; where others of the program have
        one, it is a number of this setting too, which changes nothing.
        """
        choices = Choices(setting, tuple(self._space.dimensions))
        study = self._study(choices)
        read = choices.names_read
        self._check(setting, read)
        possible = self._space.possible({name: setting[name] for name in read})
        numbers = tuple(
            name
            for name in self._space.dimensions
            if name not in read and name in possible and (name in setting or self._is_number(name))
        )
        signature = tuple((name, setting[name]) for name in sorted(read)), numbers
        self._studies.setdefault(signature, study)
        return signature

    def _study(self, choices: Choices) -> Study:
        try:
            study = self._study_of(choices)
        except Exception as error:
            raise StudyError(f"study_of failed: {sentence_of(error)}") from error
        if not isinstance(study, Study):
            raise TypeError(
                f"study_of must return a jnn.Study, got {study!r}. Write for example "
                "lambda c: jnn.Study(model=..., ...)."
            )
        return study

    def _check(self, setting: Setting, read: Sequence[str]) -> None:
        for name in setting:
            distribution = self._space.distribution(name)
            if name in read and not isinstance(distribution, Choice):
                raise ValueError(
                    f"study_of must not read {name!r}, because each value of a range would need a "
                    f"program of its own. Read it as a number of the member, h.{name}, in the "
                    "optimizer or the network, or use jnn.choice."
                )
            if name not in read and isinstance(setting[name], str):
                raise ValueError(
                    f"Nothing reads the choice {name!r}, and texts cannot be numbers of members. "
                    f"Read it in study_of, as c.{name}."
                )

    def _dtype(self, name: str) -> Any:
        """Return the type of a number, the same for every batch of settings."""
        distribution = self._space.distribution(name)
        if not isinstance(distribution, Choice):
            return np.dtype(np.float64)
        return np.result_type(*map(type, distribution.options))

    def _is_number(self, name: str) -> bool:
        distribution = self._space.distribution(name)
        if not isinstance(distribution, Choice):
            return True
        return not any(isinstance(option, str) for option in distribution.options)

    def _number(self, name: str, setting: Setting) -> Any:
        """Return a member's number; any value of the space where the choice does not apply."""
        if name in setting:
            return setting[name]
        return self._space.distribution(name).quantile(np.float64(0.5))


def check_study_of(study_of: Any) -> None:
    """Raise TypeError unless a function takes one argument."""
    if isinstance(study_of, Study):
        raise TypeError(
            "study_of must be a function of the choices that returns a study, got a study. If all "
            "choices are numbers of the members, write lambda c: study."
        )
    if not callable(study_of):
        raise TypeError(f"study_of must be a function of the choices, got {study_of!r}.")
    try:
        inspect.signature(study_of).bind(None)
    except TypeError as error:
        raise TypeError(f"study_of must take the choices as its one argument: {error}.") from error


def _constant(values: np.ndarray) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda generator, count: values


def _name_of(read: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in read)
