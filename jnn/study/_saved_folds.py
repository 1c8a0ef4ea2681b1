"""Folds as a saved result knows them: by their description."""

import dataclasses

import numpy as np

from jnn.data import Dataset
from jnn.study._kind import Kind


@dataclasses.dataclass(frozen=True)
class SavedFolds:
    """The description of a split without its rule, which a saved result does not keep."""

    description: str
    count: int

    @property
    def kind(self) -> Kind:
        """The kind of the validation split inside each fold."""
        return "auto"

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Raise ValueError, because a file does not keep the rule."""
        raise ValueError(
            f"The split {self.description!r} was read from a file, which does not keep the rule. "
            "Make the members again, e.g. with jnn.folds."
        )
