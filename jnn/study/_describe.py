"""The settings of a study in words."""

from collections.abc import Mapping
from typing import Any

from jnn.averaging import Averaging
from jnn.metrics import Metric
from jnn.model import Model, name_of
from jnn.preprocess import Preprocess


def described(value: Any) -> Any:
    """Return a setting as text, number, list or dict."""
    if value is None:
        return "none"
    if isinstance(value, Model | Preprocess | Averaging):
        return value.name
    if isinstance(value, Mapping):
        return {name: described(inner) for name, inner in value.items()}
    if hasattr(value, "describe"):
        return {name: described(inner) for name, inner in value.describe().items()}
    if hasattr(value, "tolist"):
        return value.tolist() if value.size <= 100 else f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [described(inner) for inner in value]
    return value if isinstance(value, int | float | str) else name_of(value)


def short(value: Any) -> str:
    """Return a setting in a few words."""
    if isinstance(value, Mapping):
        pairs = (
            name if isinstance(v, Metric) else f"{name}: {short(v)}" for name, v in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        return repr(value)
    if hasattr(value, "describe"):
        return name_of(value)
    if hasattr(value, "shape") and getattr(value, "ndim", 0):
        return f"{value.dtype}{list(value.shape)}"
    return str(described(value))
