"""The figure of a number by depth: activations, gradients or ratios, layer by layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text
from jnn._names import natural_key
from jnn.plots._axes import as_numbers, class_color, class_marker, counted, drawn_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAND = (5, 95)  # percentiles of the members
_MOST_NAMES = 24  # of layers on the axis


def by_depth(
    values: Mapping[str, Any], *, label: str = "value", axes: "Axes | None" = None
) -> "Figure":
    """Draw the size of activations, of gradients or of ratios, layer by layer on a log axis.

    The size of an array is its root mean square over all but the members, which for one number is
    its absolute value. (For activations it is what the initialization of He et al. 2015,
    https://arxiv.org/abs/1502.01852, keeps from layer to layer.) The line is the median over the
    members, the band reaches from the 5th to the 95th percentile of them.

    Args:
        values: Name of a layer -> array [members, ...], in the order of the layers; or several of
            such mappings by name, each with a line of its own. Of the alphabetical order in which
            JAX returns a dict, numbers are sorted by value: "layer_2" comes before "layer_10".
        label: What the values are, for the axis.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If there is no layer, the layers differ in their number of members, or no size
            is above 0 and finite.
    """
    groups = {key: _sizes(group) for key, group in _groups(values).items()}
    if not any(_are_shown(size).any() for sizes in groups.values() for size in sizes.values()):
        raise ValueError("values must be finite and other than 0 somewhere, got none that are.")
    names = list(dict.fromkeys(name for sizes in groups.values() for name in sizes))
    names = sorted(names, key=natural_key) if names == sorted(names) else names
    figure, axes = drawn_on(axes)
    for index, (group, sizes) in enumerate(groups.items()):
        there = [name for name in names if name in sizes]
        places = [names.index(name) for name in there]
        _draw(axes, places, np.array([sizes[name] for name in there]), index, group)
    shown = range(0, len(names), -(-len(names) // _MOST_NAMES))
    angle = 45 if max(map(len, names)) * len(shown) > 70 else 0
    axes.set_xticks(
        shown, [drawn_text(names[place]) for place in shown], rotation=angle,
        ha="right" if angle else "center", rotation_mode="anchor",
    )  # fmt: skip
    axes.set_yscale("log", nonpositive="mask")
    axes.set(xlabel="layer", ylabel=drawn_text(f"root mean square of {label}"))
    axes.set_title(_title(groups), fontsize="small")
    if len(groups) > 1:
        axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def _groups(values: Any) -> dict[str, Mapping[str, Any]]:
    """Return the mappings of layers by name; a single one has no name."""
    if not isinstance(values, Mapping) or not values:
        raise ValueError(
            f"values must map the name of each layer to an array [members, ...], got {values!r}."
        )
    are_groups = [isinstance(value, Mapping) for value in values.values()]
    if any(are_groups) and not all(are_groups):
        raise ValueError("values must map names to arrays, or to mappings of layers, got both.")
    return dict(values) if all(are_groups) else {"": values}


def _sizes(layers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the root mean square of each layer, [members]."""
    sizes = {str(name): _root_mean_square(str(name), value) for name, value in layers.items()}
    counts = {name: len(size) for name, size in sizes.items()}
    if not counts or len(set(counts.values())) != 1:
        raise ValueError(f"values must have arrays of as many members in each layer, got {counts}.")
    return sizes


def _root_mean_square(name: str, value: Any) -> np.ndarray:
    array = as_numbers(f"values[{name!r}]", value)
    if array.ndim == 0 or not array.size:
        raise ValueError(
            f"values[{name!r}] must be an array [members, ...], got the shape {array.shape}. "
            "For a single member pass value[None]."
        )
    array = np.abs(array.reshape(len(array), -1))
    largest = array.max(axis=1, keepdims=True)  # so that squares do not leave float64
    scale = np.where(np.isfinite(largest) & (largest > 0), largest, 1)
    return np.sqrt(np.mean((array / scale) ** 2, axis=1)) * scale[:, 0]


def _are_shown(sizes: np.ndarray) -> np.ndarray:
    """Return which sizes a log axis can show."""
    return np.isfinite(sizes) & (sizes > 0)


def _draw(axes: "Axes", places: list[int], sizes: np.ndarray, index: int, group: str) -> None:
    """Draw the sizes [layers, members] of one group; what a log axis cannot show is left out."""
    shown = np.where(_are_shown(sizes), sizes, np.nan)
    drawn = ~np.isnan(shown).all(axis=1)
    low, middle, high = np.full((3, len(sizes)), np.nan)
    if drawn.any():
        low[drawn], high[drawn] = np.nanpercentile(shown[drawn], _BAND, axis=1)
        middle[drawn] = np.nanmedian(shown[drawn], axis=1)
    color = class_color(index)
    axes.plot(places, middle, marker=class_marker(index), color=color, label=drawn_text(group))
    if sizes.shape[1] > 1:
        axes.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)


def _title(groups: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    sizes = [size for group in groups.values() for size in group.values()]
    counts = sorted({len(size) for size in sizes})
    members = counted(counts[0], "member") if len(counts) == 1 else f"{counts} members"
    text = members if counts == [1] else f"median of {members}; bands: 90 % of them"
    left_out = sum(int((~_are_shown(size)).sum()) for size in sizes)
    return text + (f"; {left_out} values of 0 or not finite left out" if left_out else "")
