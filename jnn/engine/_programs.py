"""The programs that a study has been traced and compiled into, remembered while the study lives."""

import collections
import copy
import weakref
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from jnn.engine._trainer import Trainer, make_trainer, traced_once
from jnn.study import Study

_MOST = 32  # programs of a study; the least recently used one is dropped first
_Program = TypeVar("_Program")


class ProgramKey(NamedTuple):
    """What tells a program of a study from its others.

    Attributes:
        kind: What the program does, such as "population".
        details: The layout, shapes and settings that it was made for.
    """

    kind: str
    details: Hashable = ()


class Programs:
    """The most recently used programs of one study.

    Attributes:
        study: A copy of the study to make programs of: a program that held the study itself would
            keep it, and so itself, alive.
        trainer: The study's trainer, traced once for arguments of the same shapes.
    """

    def __init__(self, study: Study) -> None:
        self.study = copy.copy(study)
        self.trainer: Trainer = traced_once(make_trainer(self.study))
        self._programs: collections.OrderedDict[ProgramKey, Any] = collections.OrderedDict()

    def get(self, key: ProgramKey, make: Callable[[], _Program]) -> _Program:
        """Return the program of this key; make it if there is none."""
        if key in self._programs:
            self._programs.move_to_end(key)
            return self._programs[key]
        program = make()
        self._programs[key] = program
        while len(self._programs) > _MOST:
            self._programs.popitem(last=False)
        return program

    def __contains__(self, key: ProgramKey) -> bool:
        return key in self._programs

    def __len__(self) -> int:
        return len(self._programs)


_PROGRAMS: "weakref.WeakKeyDictionary[Study, Programs]" = weakref.WeakKeyDictionary()


def programs_of(study: Study) -> Programs:
    """Return the programs of a study. They are dropped together with the study."""
    if study not in _PROGRAMS:
        _PROGRAMS[study] = Programs(study)
    return _PROGRAMS[study]
