"""Names of the columns of predictions, none of which stands twice."""

from collections.abc import Collection, Sequence

import numpy as np


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name, with as many underscores behind it as make it free.

    >>> free_name("step", ["load"]), free_name("step", ["step"])
    ('step', 'step_')
    """
    while name in taken:
        name += "_"
    return name


def mean_and_std(
    names: Sequence[str],
    mean: np.ndarray,
    std: np.ndarray,
    mean_name: str = "{}",
    taken: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Name the columns of the means, then those of the standard deviations.

    A target may be called std(y) beside another called y, whose deviation is then std(y)_.

    Args:
        names: Names of the classes, targets or channels.
        mean: Means [rows, names].
        std: Standard deviations [rows, names].
        mean_name: How the column of a mean is called.
        taken: Names of other columns.
    """
    columns: dict[str, np.ndarray] = {}
    for i, name in enumerate(names):
        columns[free_name(mean_name.format(name), {*columns, *taken})] = mean[:, i]
    for i, name in enumerate(names):
        columns[free_name(f"std({name})", {*columns, *taken})] = std[:, i]
    return columns
