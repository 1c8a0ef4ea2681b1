"""Preprocessing that learns from data, as pure functions on the device.

A `Preprocess` is three functions: `fit(values, weights) -> stats`, `forward(stats, values)`, and
`inverse(stats, values)`. The engine fits inside the compiled program, on each member's own training
rows (every other row has weight 0). So nothing of a validation fold can reach the numbers that a
member trains on.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

__all__ = [
    "Affine",
    "Preprocess",
    "Stats",
    "by_name",
    "fill_median",
    "identity",
    "min_max",
    "standardize",
    "standardize_channels",
]


def __dir__() -> list[str]:
    return __all__


Stats = Any  # a pytree of arrays, each with the shape of one row

_COLUMNS = 8  # fitted at a time: enough to fill the vector units, few enough to stay in the cache


@dataclasses.dataclass(frozen=True, repr=False)
class Preprocess:
    """How values are transformed before training and transformed back after it.

    All three functions work under `jit` and `vmap`, and `inverse(stats, forward(stats, values))`
    returns `values`. A preprocessing can be pickled if its functions can, so these should not be
    lambdas.

    Attributes:
        fit: Function `fit(values, weights) -> stats` of values [rows, ...] and weights [rows]. A
            row of weight 0 counts as absent.
        forward: Function `forward(stats, values) -> values` that is applied before training.
        inverse: Function `inverse(stats, values) -> values` that undoes `forward`.
        name: What `repr` and the records of a run show.
        doc: Docstring of this preprocessing.
        parts: For values of several parts, the preprocessing of each, see `by_name`.
        fills: Whether NaN among the values stands for a missing one, which is filled.

    >>> standardize
    Preprocess('standardize')
    >>> standardize.forward(Affine(shift=jnp.array(2.0), scale=jnp.array(4.0)), jnp.array(10.0))
    Array(2., dtype=float32, weak_type=True)
    """

    fit: Callable[[Array, Array], Stats]
    forward: Callable[[Stats, Array], Array]
    inverse: Callable[[Stats, Array], Array]
    name: str = "preprocess"
    doc: str | None = None
    parts: Mapping[str | int, "Preprocess"] | None = None
    fills: bool = False

    def __post_init__(self) -> None:
        if self.doc:
            object.__setattr__(self, "__doc__", self.doc)

    def __repr__(self) -> str:
        return f"Preprocess({self.name!r})"


class Filled(NamedTuple):
    """The stats of `fill_median`.

    Attributes:
        median: Median of each feature, with the shape of one row.
        stats: Stats of the preprocessing that follows.
    """

    median: Array
    stats: Stats


class Affine(NamedTuple):
    """The stats of the transform (value - shift) / scale, each with the shape of one row."""

    shift: Array
    scale: Array


def _forward(stats: Affine, values: Array) -> Array:
    return (values - stats.shift) / stats.scale


def _inverse(stats: Affine, values: Array) -> Array:
    return values * stats.scale + stats.shift


def _fit_standardize(values: Array, weights: Array) -> Affine:
    return _fit_columns(_mean_and_deviation, values, weights)


def _fit_min_max(values: Array, weights: Array) -> Affine:
    return _fit_columns(_low_and_range, values, weights)


def _fit_columns(
    fit_column: Callable[[Array, Array], Affine], values: Array, weights: Array
) -> Affine:
    """Return the stats of each column, a few columns at a time.

    All at once, `vmap` over members would write the whole table for each of them: 6 to 18 times the
    memory and 4 to 12 times the time (measured on 2 CPU cores: 60 members on digits, 8 members on
    20000 x 784).
    """
    dtype = jnp.promote_types(values.dtype, jnp.float32)
    columns = values.reshape(values.shape[0], -1).T.astype(dtype)
    weights = weights.astype(dtype)

    def fit_present(column: Array) -> Affine:
        # Absent rows may hold NaN, and 0 * NaN is NaN.
        return fit_column(jnp.where(weights > 0, column, 0), weights)

    stats = jax.lax.map(fit_present, columns, batch_size=_COLUMNS)
    return jax.tree.map(lambda stat: stat.reshape(values.shape[1:]), stats)


def _mean_and_deviation(column: Array, weights: Array) -> Affine:
    share = _shares(weights)
    guess = (share * column).sum()
    centered = column - guess
    # What rounding left in the first mean; values of 1e4 +- 1 need it in float32.
    error = (share * centered).sum()
    # A range of 0 is exact, where a threshold on the variance would depend on the mean.
    low, high = _range(column, weights)
    is_constant = low == high
    # Scaled by the range, because the squares of 1e-25 or 1e25 would not fit float32.
    span = jnp.where(is_constant, 1.0, high - low)
    variance = (share * ((centered - error) / span) ** 2).sum()
    return Affine(guess + error, jnp.where(is_constant, 1.0, span * jnp.sqrt(variance)))


def _low_and_range(column: Array, weights: Array) -> Affine:
    low, high = _range(column, weights)
    return Affine(low, jnp.where(low == high, 1.0, high - low))


def _range(column: Array, weights: Array) -> tuple[Array, Array]:
    """Return the lowest and the highest value of the rows of positive weight."""
    low = jnp.where(weights > 0, column, jnp.inf).min()
    high = jnp.where(weights > 0, column, -jnp.inf).max()
    return low, high


def _fit_channels(values: Array, weights: Array) -> Affine:
    """Return the mean and deviation of each channel, from the moments of each row.

    mean = sum_r w_r m_r,  variance = sum_r w_r (v_r + (m_r - mean)^2),  m and v those of row r

    The moments of the rows are the same for all members, who differ only in their weights: under
    `vmap` the data are read once.
    """
    dtype = jnp.promote_types(values.dtype, jnp.float32)
    values = values.astype(dtype).reshape(values.shape[0], -1, values.shape[-1])
    # Means as distances from a value of their own row, because float32 holds 1e4 only to 1e-3.
    first = values[:, 0]
    means, deviations = _moments_of_rows(values - first[:, None])  # [rows, channels]
    present = (weights > 0)[:, None]
    share = _shares(weights)[:, None]
    origin = jnp.where(present, share * first, 0).sum(axis=0)
    means = means + (first - origin)
    mean = jnp.where(present, share * means, 0).sum(axis=0)
    low = jnp.where(present, values.min(axis=1), jnp.inf).min(axis=0)
    high = jnp.where(present, values.max(axis=1), -jnp.inf).max(axis=0)
    # Scaled by the range, because the squares of 1e-25 or 1e25 would not fit float32.
    span = jnp.where(low == high, 1.0, high - low)
    squares = jnp.square(deviations / span) + jnp.square((means - mean) / span)
    spread = jnp.where(present, share * squares, 0).sum(axis=0)
    return Affine(origin + mean, jnp.where(low == high, 1.0, span * jnp.sqrt(spread)))


def _moments_of_rows(values: Array) -> tuple[Array, Array]:
    """Return the mean and the deviation of each channel of each row, over its positions."""
    means = values.mean(axis=1)
    centered = values - means[:, None]
    largest = jnp.abs(centered).max(axis=1)
    scale = jnp.where(largest > 0, largest, 1.0)
    variances = jnp.square(centered / scale[:, None]).mean(axis=1)
    return means, scale * jnp.sqrt(variances)


def _shares(weights: Array) -> Array:
    """Return the weights divided by their sum, which large ones would take out of float32."""
    weights = weights * jnp.where(weights.max(initial=0) > 1e19, 2.0**-64, 1.0)
    return weights / weights.sum()


def _fit_filled(then: Preprocess, values: Array, weights: Array) -> Filled:
    """Return the median of each feature, and the stats of what follows on the filled features.

    One feature at a time, because all of them, filled for each member, would be many tables.
    """
    dtype = jnp.promote_types(values.dtype, jnp.float32)
    columns = values.reshape(values.shape[0], -1).T.astype(dtype)

    def fit_column(column: Array) -> Filled:
        median = _median(column, weights.astype(dtype))
        return Filled(median, then.fit(jnp.where(jnp.isnan(column), median, column), weights))

    fitted = jax.lax.map(fit_column, columns, batch_size=_COLUMNS)
    return jax.tree.map(lambda stat: stat.reshape(values.shape[1:]), fitted)


def _median(column: Array, weights: Array) -> Array:
    """Return the weighted median of the values that are not NaN; 0 if there are none."""
    order = jnp.argsort(column)  # the same for all members, who differ only in their weights
    column = column[order]
    present = jnp.where(jnp.isnan(column), 0, weights[order])
    below = jnp.cumsum(present)
    half = below[-1] / 2
    low = column[jnp.argmax(below >= half)]
    high = column[jnp.argmax(below > half)]
    return jnp.where(half > 0, low + (high - low) / 2, 0)


def _forward_filled(then: Preprocess, stats: Filled, values: Array) -> Array:
    return then.forward(stats.stats, jnp.where(jnp.isnan(values), stats.median, values))


def _inverse_filled(then: Preprocess, stats: Filled, values: Array) -> Array:
    return then.inverse(stats.stats, values)


@functools.cache  # one object, so that studies of it share their compiled programs
def fill_median(then: Preprocess) -> Preprocess:
    """Make a preprocessing that fills NaN with the median of its feature before another follows.

    The median is that of the rows that are fitted, weighted, as scikit-learn's
    `SimpleImputer(strategy="median")` takes it. A feature that is NaN in all of them is filled with
    0.

    Args:
        then: What follows; it must treat each feature by itself, as `standardize` does.

    >>> fill = fill_median(identity)
    >>> values = jnp.array([[1.0], [jnp.nan], [3.0], [8.0]])
    >>> fill.forward(fill.fit(values, jnp.ones(4)), values)[:, 0].tolist()
    [1.0, 3.0, 3.0, 8.0]
    """
    return Preprocess(
        functools.partial(_fit_filled, then),
        functools.partial(_forward_filled, then),
        functools.partial(_inverse_filled, then),
        f"fill_median({then.name})",
        fills=True,
    )


def _fit_nothing(values: Array, weights: Array) -> tuple[()]:
    return ()


def _unchanged(stats: tuple[()], values: Array) -> Array:
    return values


def by_name(parts: "Mapping[str | int, Preprocess]") -> Preprocess:
    """Make the preprocessing of values of several parts: of each by its name, or its place.

    Parts that are not named stay as they are.

    Args:
        parts: Name of a part of a dict, or place in a tuple, -> its preprocessing.

    Raises:
        TypeError: If a part has no preprocessing as its value.
        ValueError: When values are fitted that have no part of such a name.

    >>> both = by_name({"size": standardize})
    >>> values = {"size": jnp.array([1.0, 3.0]), "id": jnp.array([7, 8])}
    >>> both.forward(both.fit(values, jnp.ones(2)), values)["size"].tolist()
    [-1.0, 1.0]
    """
    for key, part in parts.items():
        if not isinstance(part, Preprocess):
            raise TypeError(
                f"The part {key!r} of by_name must have a preprocessing, got {part!r}. Use for "
                "example jnn.preprocess.standardize."
            )
    name = ", ".join(f"{key!r}: {part.name}" for key, part in parts.items())
    parts = dict(parts)
    return Preprocess(
        functools.partial(_fit_parts, parts),
        functools.partial(_map_parts, parts, _forward_part),
        functools.partial(_map_parts, parts, _inverse_part),
        f"by_name({{{name}}})",
        parts=parts,
    )


def _fit_parts(parts: Mapping[Any, Preprocess], values: Any, weights: Array) -> dict[str, Stats]:
    named = _named(values)
    others = [key for key in parts if key not in named]
    if others:
        raise ValueError(
            f"by_name must name parts of the values, which are {list(named)}, got {others}."
        )
    return {str(key): part.fit(named[key], weights) for key, part in parts.items()}


def _map_parts(
    parts: Mapping[Any, Preprocess], change: Callable[..., Any], stats: Any, values: Any
) -> Any:
    named = _named(values)
    changed = {
        key: change(parts[key], stats[str(key)], part) if key in parts else part
        for key, part in named.items()
    }
    return tuple(changed.values()) if isinstance(values, tuple) else changed


def _forward_part(part: Preprocess, stats: Stats, values: Array) -> Array:
    return part.forward(stats, values)


def _inverse_part(part: Preprocess, stats: Stats, values: Array) -> Array:
    return part.inverse(stats, values)


def _named(values: Any) -> dict[Any, Any]:
    """Return the parts of a dict by name, or of a tuple by place."""
    if isinstance(values, Mapping):
        return dict(values)
    if isinstance(values, tuple):
        return dict(enumerate(values))
    raise ValueError(
        f"by_name needs values of several parts, a dict or a tuple, got {type(values).__name__}."
    )


standardize = Preprocess(
    _fit_standardize,
    _forward,
    _inverse,
    "standardize",
    """Shift and scale each feature to mean 0 and deviation 1, as scikit-learn's StandardScaler.

    (value - mean) / deviation

    A constant feature is divided by 1.

    >>> values = jnp.array([[1.0, 5.0], [3.0, 5.0]])
    >>> standardize.forward(standardize.fit(values, jnp.ones(2)), values).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """,
)

standardize_channels = Preprocess(
    _fit_channels,
    _forward,
    _inverse,
    "standardize_channels",
    """Shift and scale each channel of rows [*space, channels] to mean 0 and deviation 1.

    (value - mean) / deviation

    A constant channel is divided by 1.

    >>> images = jnp.array([[[1.0], [2.0]], [[2.0], [3.0]]])  # [rows, space, channels]
    >>> stats = standardize_channels.fit(images, jnp.ones(2))
    >>> stats.shift.tolist(), stats.scale.round(3).tolist()
    ([2.0], [0.7070000171661377])
    """,
)

min_max = Preprocess(
    _fit_min_max,
    _forward,
    _inverse,
    "min_max",
    """Shift and scale each feature to the range 0 to 1, as scikit-learn's MinMaxScaler.

    (value - low) / (high - low)

    A constant feature is divided by 1.

    >>> values = jnp.array([1.0, 2.0, 5.0])
    >>> min_max.forward(min_max.fit(values, jnp.ones(3)), values).tolist()
    [0.0, 0.25, 1.0]
    """,
)

identity = Preprocess(
    _fit_nothing,
    _unchanged,
    _unchanged,
    "identity",
    """Leave values of any type as they are, such as token ids or images already in 0 to 1.

    >>> identity.forward(identity.fit(jnp.arange(2), jnp.ones(2)), jnp.arange(2)).tolist()
    [0, 1]
    """,
)
