"""How much each choice of a space matters for the score."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.search._space import Setting

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 10  # settings from which anything can be learned
_REPEATS = 10  # permutations on each fold


def importance_of(settings: Sequence[Setting], scores: Sequence[float]) -> "pd.DataFrame":
    """Return the permutation importance of each choice; see `Found.importance`.

    It is NaN if there are fewer than ten settings with a score, from which nothing can be learned.
    """
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    names = list(dict.fromkeys(name for setting in settings for name in setting))
    if len(settings) < _FEWEST:
        return pd.DataFrame({"choice": names, "importance": np.nan, "deviation": np.nan})
    x = np.stack([_codes([setting.get(name) for setting in settings]) for name in names], axis=1)
    y = np.asarray(scores, np.float64)
    drops = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        forest = RandomForestRegressor(200, random_state=0).fit(x[train], y[train])
        drop: Any = permutation_importance(
            forest, x[test], y[test], n_repeats=_REPEATS, random_state=0
        )
        drops.append(drop.importances.mean(axis=1))
    table = pd.DataFrame(
        {
            "choice": names,
            "importance": np.mean(drops, axis=0),
            "deviation": np.std(drops, axis=0, ddof=1),
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _codes(values: Sequence[object]) -> np.ndarray:
    """Return one choice as numbers: texts by their order, and -1 where it does not apply."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, int | float) for value in present):
        low = min(float(value) for value in present)  # type: ignore[arg-type]
        return np.array([low - 1 if value is None else float(value) for value in values])  # type: ignore[arg-type]
    order = {value: place for place, value in enumerate(sorted(map(str, present)))}
    return np.array([-1 if value is None else order[str(value)] for value in values], np.float64)
