"""A population in the middle of its training, as a file."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import jax
import numpy as np

from jnn.population._choose import first_numbers, with_numbers
from jnn.population._plan import Plan
from jnn.storage import FormError, check_form, damaged, load, notes, save
from jnn.study import Members, PathLike


class PopulationNotes(TypedDict):
    """What the file holds beside its arrays."""

    digest: str
    epoch: int
    members: Sequence[int]
    histories: Sequence[Sequence[Any]]
    plan: Mapping[str, Any]


class SavedPopulation(NamedTuple):
    """A file, and which of its members are wanted.

    Attributes:
        path: The file.
        epoch: Number of epochs trained.
        members: The members that are wanted, with the numbers that were in force.
        hyper_history: Their numbers that changed, [members, epochs] each.
        plan: The layout; None if there are too few devices for it.
        places: Where they stand in the file, int [members].
        size: Number of members in the file.
    """

    path: PathLike
    epoch: int
    members: Members
    hyper_history: dict[str, np.ndarray]
    plan: Plan | None
    places: np.ndarray
    size: int

    def load(self, like: Any) -> Any:
        """Return the training of the members.

        Args:
            like: A training of as many members, [members, ...].
        """
        training = load(self.path, _of_count(like, self.size))
        return jax.tree.map(lambda array: array[self.places], training)


def write_population(
    path: PathLike,
    training: Any,
    hyper_history: Mapping[str, np.ndarray],
    *,
    digest: str,
    epoch: int,
    members: Members,
    plan: Plan,
) -> None:
    """Write members to a file.

    Args:
        path: The file.
        training: Host arrays [members, ...].
        hyper_history: Numbers that changed, [members, epochs] each.
        digest: Of study and data.
        epoch: Number of epochs trained.
        members: The members.
        plan: Their layout.
    """
    save(
        path,
        training,
        digest=digest,
        epoch=epoch,
        members=first_numbers(members).tolist(),
        histories=[[name, values.tolist()] for name, values in hyper_history.items()],
        plan=dataclasses.asdict(plan),
    )


def read_population(path: PathLike, digest: str, members: Members, devices: int) -> SavedPopulation:
    """Read what a file says of its members.

    Args:
        path: The file.
        digest: Of study and data of the population that is to continue.
        members: Its members.
        devices: Number of devices.
    """
    about = notes(path)
    try:
        check_form(about, PopulationNotes)
        plan = Plan(**about["plan"])
    except (FormError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    if about["digest"] != digest:
        raise ValueError(
            f"{path} holds a population of another study or other data. Start the population with "
            "those that it was saved with."
        )
    numbers = {number: place for place, number in enumerate(about["members"])}
    wanted = first_numbers(members).tolist()
    missing = [number for number in wanted if number not in numbers]
    if missing:
        raise ValueError(f"{path} lacks the members {missing}. Keep only those that it holds.")
    places = np.array([numbers[number] for number in wanted])
    histories = {name: np.asarray(values)[places] for name, values in about["histories"]}
    if histories:
        members = with_numbers(members, {name: v[:, -1] for name, v in histories.items()})
    fitting = plan if plan.devices <= devices else None
    return SavedPopulation(
        path, about["epoch"], members, histories, fitting, places, len(about["members"])
    )


def _of_count(tree: Any, count: int) -> Any:
    """Return the shapes of a tree [members, ...] for another number of members."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((count, *a.shape[1:]), a.dtype), tree)
