"""The data sets that come with scikit-learn; no file, no network."""

from typing import Any

from jnn.data._dataset import Dataset


def read_bundled(loader: str, scale: float = 1.0, target: str = "", **options: Any) -> Dataset:
    """What `sklearn.datasets.<loader>(**options)` gives, divided by `scale`; `target` names a regression's output."""
    from sklearn import datasets

    raw = getattr(datasets, loader)(**options)
    return Dataset.from_arrays(
        raw.data / scale,
        raw.target,
        feature_names=tuple(map(str, raw.feature_names)),
        target_names=(target,) if target else tuple(map(str, raw.target_names)),
    )
