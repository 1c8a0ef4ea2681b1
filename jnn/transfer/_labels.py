"""Which rows are labeled: nested draws from the training rows of each fold."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.study import Fold, Members, folds

Draw = Literal["auto", "stratified", "balanced", "random"]


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """The members of a few-shot curve, and the rows that each of them learns from.

    Attributes:
        members: The user's members with the setting `labels`, on one axis `member`.
        folds: The folds of the user, whose test rows score.
        split: Description of these folds.
        classes: The class of each row, of which draws have their share; None for random draws.
        draw: How rows are drawn.
    """

    members: Members
    folds: list[Fold]
    split: str
    classes: np.ndarray | None
    draw: Draw

    @property
    def labels(self) -> np.ndarray:
        """The number of labels of each member, int [members]."""
        return self.members.columns()["labels"]

    def rows(self, place: int) -> Fold:
        """Return the rows that a member learns from, and those that validate and score it."""
        columns = self.members[place].columns()
        seed = columns["seed"][0] if "seed" in columns else 0
        key = np.array([[seed, columns["fold"][0], columns["labels"][0]]])
        ((train, *_),) = self._listed(key)
        return self.folds[columns["fold"][0]]._replace(train=train)

    def trained(self, places: np.ndarray, *, with_labels: bool) -> Members:
        """Return some members as the engine trains them, with labeled rows for their folds.

        Args:
            places: Places of the members.
            with_labels: Whether they have the number of labels as a hyper-parameter.
        """
        columns = self.members[places].columns()
        seeds = columns.get("seed", np.zeros(len(places), int))
        keys = np.stack([seeds, columns["fold"], columns["labels"]], axis=1)
        distinct, numbers = np.unique(keys, axis=0, return_inverse=True)
        columns |= {"member": np.arange(len(places)), "fold": numbers.reshape(-1)}
        if not with_labels:
            del columns["labels"]
        return Members({"member": columns}, folds(self._listed(distinct)).split)

    def _listed(self, distinct: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """Return the labeled rows of each seed, fold and number, and the fold's other rows."""
        orders: dict[tuple[int, int], np.ndarray] = {}
        listed = []
        for seed, number, size in distinct.tolist():
            fold = self.folds[number]
            if (seed, number) not in orders:
                orders[seed, number] = drawn(fold, self.classes, self.draw, seed, number)
            rows = orders[seed, number][:size]
            listed.append(tuple(part for part in (rows, *fold[1:]) if part is not None))
        return listed


def draws(data: Dataset, members: Members, labels: Sequence[int], draw: Draw) -> Draws:
    """Return the draws of labels from the training rows of each fold, after all checks.

    Args:
        data: The rows.
        members: The population of each number of labels; it has folds.
        labels: Numbers of labeled rows.
        draw: How rows are drawn, see `jnn.transfer.run`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If there are no folds, or too few training rows.
    """
    sizes = _checked_sizes(labels)
    if members.split is None:
        raise ValueError(
            "members must have folds, whose test rows score the heads. Multiply them by "
            "jnn.holdout(0.2), jnn.folds(5), or by any folds of scikit-learn: "
            "jnn.folds(StratifiedShuffleSplit(20, test_size=0.2, random_state=0))."
        )
    if "labels" in members.columns():
        raise ValueError("members must not have an axis named labels, which run adds to them.")
    user_folds = members.split.rows(data)
    classes = _classes(data, draw)
    _check_rows(user_folds, sizes, classes, data)
    joined = members * Members({"labels": {"labels": np.asarray(sizes)}})
    joined = joined[np.arange(len(joined))]
    return Draws(joined, user_folds, members.split.description, classes, draw)


def _checked_sizes(labels: Any) -> list[int]:
    is_list = isinstance(labels, Sequence | np.ndarray) and not isinstance(labels, str | bytes)
    if not is_list or (isinstance(labels, np.ndarray) and labels.ndim != 1):
        raise TypeError(f"labels must be a list of numbers of rows, got {labels!r}. Use [16, 64].")
    sizes = [check_integer("labels", size) for size in labels]
    if not sizes:
        raise ValueError("labels must name at least one number of rows, got none. Use [16, 64].")
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"labels must be different numbers of rows, got {sizes}.")
    return sizes


def _classes(data: Dataset, draw: Draw) -> np.ndarray | None:
    """Return the class of each row, of which draws have their share; None for random draws."""
    if draw not in get_args(Draw):
        raise ValueError(f"draw must be one of {get_args(Draw)}, got {draw!r}.")
    labels = data.row_labels
    if draw == "random" or (draw == "auto" and labels is None):
        return None
    if labels is None:
        raise ValueError(
            f"draw={draw!r} needs one label per row, got a {data.task} data set. Use draw='random'."
        )
    return labels


def _check_rows(
    user_folds: Sequence[Fold], sizes: Sequence[int], classes: np.ndarray | None, data: Dataset
) -> None:
    fewest = min(len(_pool(fold, classes)) for fold in user_folds)
    if max(sizes) > fewest:
        raise ValueError(
            f"labels must be at most the number of training rows of each fold, {fewest} of "
            f"{data.name} that have a label, got {max(sizes)}."
        )
    count = 0 if classes is None else len(np.unique(classes[classes >= 0]))
    if min(sizes) < count:
        raise ValueError(
            f"labels must be at least the number of classes, {count}, so that each is drawn, got "
            f"{min(sizes)}. Use more labels, or draw='random'."
        )


def drawn(fold: Fold, classes: np.ndarray | None, draw: Draw, seed: int, number: int) -> np.ndarray:
    """Return the training rows of a fold in the order in which they are labeled.

    Every number of labels takes the first ones, so that fewer are among more. With classes the
    first n rows have the share of each class, up to one row.

    Args:
        fold: The rows.
        classes: The class of each row of the data; None to draw at random.
        draw: "balanced" to draw from each class alike, any other to draw by the classes' shares.
        seed: The seed of the member; -1 and others below 0 are seeds too.
        number: The number of the fold.
    """
    random = np.random.default_rng([seed % 2**32, number])
    rows = random.permutation(_pool(fold, classes))
    if classes is None:
        return rows
    _, places, counts = np.unique(classes[rows], return_inverse=True, return_counts=True)
    ranks = np.empty(len(rows))
    for place, count in enumerate(counts):
        ranks[places == place] = np.arange(count)
    steps = ranks if draw == "balanced" else (ranks + 0.5) / counts[places]
    return rows[np.argsort(steps, kind="stable")]


def _pool(fold: Fold, classes: np.ndarray | None) -> np.ndarray:
    """Return the training rows of a fold that have a label."""
    return fold.train if classes is None else fold.train[classes[fold.train] >= 0]
