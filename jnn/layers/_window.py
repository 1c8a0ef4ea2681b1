"""Sliding windows of convolution and pooling: geometry, padding and shifted slices of an array."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array

Sizes = int | Sequence[int]
Padding = str | int | Sequence[int | tuple[int, int]]
Lowering = Literal["auto", "lax", "direct"]


@dataclass(frozen=True)
class Geometry:
    """A window that slides over space, with one number or pair for each spatial axis."""

    spatial: tuple[int, ...]  # sizes of the space that the window slides over
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    # The rest is for convolutions.
    groups: int = 1
    precision: lax.PrecisionLike = None
    lowering: Lowering = "auto"

    def __post_init__(self) -> None:
        check_lowering(self.lowering)

    @property
    def out_spatial(self) -> tuple[int, ...]:
        """Return the number of places: floor((size + padding - reach) / stride) + 1."""
        reach = [d * (w - 1) + 1 for w, d in zip(self.window, self.dilation, strict=True)]
        sizes = [n + lo + hi for n, (lo, hi) in zip(self.spatial, self.padding, strict=True)]
        return tuple(
            max(0, (n - r) // s + 1) for n, r, s in zip(sizes, reach, self.strides, strict=True)
        )


def make_geometry(
    spatial: Sequence[int],
    window: Sequence[int],
    strides: Sizes,
    padding: Padding,
    dilation: Sizes = 1,
    **options: Any,
) -> Geometry:
    """Resolve sizes and padding, and raise an error if the window does not fit."""
    geometry = resolve_geometry(spatial, window, strides, padding, dilation, **options)
    if 0 in geometry.out_spatial:
        raise ValueError(
            f"window must fit into the padded input, got window {geometry.window} with dilation "
            f"{geometry.dilation} over {geometry.spatial} padded by {geometry.padding}. Use a "
            "smaller window or padding 'SAME'."
        )
    return geometry


def resolve_geometry(
    spatial: Sequence[int],
    window: Sequence[int],
    strides: Sizes,
    padding: Padding,
    dilation: Sizes = 1,
    **options: Any,
) -> Geometry:
    """Resolve sizes given as one number and padding given by name.

    Raise an error if they do not match the number of spatial axes.
    """
    rank = len(spatial)
    if len(window) != rank:
        raise ValueError(
            f"window must have one size for each of the {rank} spatial axes, got {tuple(window)}. "
            "x is (batch, *spatial, channels)."
        )
    steps = per_axis("strides", strides, rank)
    gaps = per_axis("dilation", dilation, rank)
    pairs = resolve_padding(padding, spatial, window, steps, gaps)
    return Geometry(tuple(spatial), tuple(window), steps, pairs, gaps, **options)


def check_lowering(lowering: str) -> None:
    """Raise an error if the lowering is unknown."""
    if lowering not in get_args(Lowering):
        raise ValueError(f"lowering must be 'auto', 'lax' or 'direct', got {lowering!r}.")


def per_axis(name: str, sizes: Sizes, rank: int) -> tuple[int, ...]:
    """Return one positive integer for each spatial axis."""
    each = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,) * rank
    are_integers = all(isinstance(n, int | np.integer) for n in each)
    if not are_integers or len(each) != rank or min(each, default=1) < 1:
        error = ValueError if are_integers else TypeError
        raise error(
            f"{name} must be a positive integer, or {rank} of them, one for each spatial axis, "
            f"got {sizes!r}."
        )
    return tuple(int(n) for n in each)


def resolve_padding(
    padding: Padding,
    spatial: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Return the padding as a pair (before, after) for each spatial axis."""
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True)]
    if isinstance(padding, str):
        name = padding.upper()
        if name == "CAUSAL" and len(window) == 1:
            return ((reach[0] - 1, 0),)
        if name not in ("SAME", "SAME_LOWER", "VALID"):
            raise ValueError(
                "padding must be 'SAME', 'SAME_LOWER', 'VALID', 'CAUSAL' (1-D only) or pairs, "
                f"got {padding!r} for a window of {len(window)} axes."
            )
        return tuple(
            (int(lo), int(hi)) for lo, hi in lax.padtype_to_pads(spatial, reach, strides, name)
        )
    sides = tuple(padding) if isinstance(padding, Iterable) else (padding,) * len(window)
    pairs = [tuple(side) if isinstance(side, Iterable) else (side, side) for side in sides]
    are_integers = all(isinstance(size, int | np.integer) for pair in pairs for size in pair)
    if len(pairs) != len(window) or any(len(pair) != 2 for pair in pairs) or not are_integers:
        error = ValueError if are_integers else TypeError
        raise error(
            "padding must be an integer, or an integer or a pair (before, after) for each of the "
            f"{len(window)} spatial axes, got {padding!r}."
        )
    return tuple((int(lo), int(hi)) for lo, hi in pairs)


def taps(g: Geometry) -> Iterator[tuple[int, ...]]:
    """Yield the positions inside the window, last axis fastest."""
    yield from np.ndindex(g.window)


def shifts(g: Geometry, x: Array, fill: ArrayLike = 0) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield each tap and the slice of x under it in all places of the window.

    A tap is a position inside the window. A slice has the shape (batch, *out_spatial, channels).
    """
    padded = pad_space(x, [(lo, hi, 0) for lo, hi in g.padding], fill)
    for tap in taps(g):
        first = [t * d for t, d in zip(tap, g.dilation, strict=True)]
        last = [
            a + (n - 1) * s + 1 for a, n, s in zip(first, g.out_spatial, g.strides, strict=True)
        ]
        start = (0, *first, 0)
        stop = (x.shape[0], *last, x.shape[-1])
        yield tap, lax.slice(padded, start, stop, (1, *g.strides, 1))


def unshift(g: Geometry, tap: tuple[int, ...], y: Array) -> Array:
    """Scatter y to where the tap reads x, with zeros elsewhere: the transpose of `shifts`."""
    pads = []
    for n, places, t, d, s, (lo, _) in zip(
        g.spatial, g.out_spatial, tap, g.dilation, g.strides, g.padding, strict=True
    ):
        before = t * d - lo
        pads.append((before, n - before - (places - 1) * s - 1, s - 1))
    return pad_space(y, pads)


def pad_space(x: Array, pads: Sequence[tuple[int, int, int]], fill: ArrayLike = 0) -> Array:
    """Pad the spatial axes by (before, after, between); negative numbers crop."""
    return lax.pad(x, jnp.asarray(fill, x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
