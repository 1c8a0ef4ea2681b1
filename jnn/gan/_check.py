"""What is told of a game before it is compiled: data, latents and networks that do not fit."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import paths
from jnn.engine import Data, explained
from jnn.gan._latents import Latents
from jnn.result import Result

_TABLES = ("labels/embedding", "classes/embedding", "norm/scale/embedding")
"""Names of a row for each class in the networks of `with_labels` and of the SNGAN pair."""


def check_result(result: Any) -> None:
    """Raise TypeError unless this is the result of a run."""
    if not isinstance(result, Result):
        raise TypeError(f"result must be what jnn.run returned, got {type(result).__name__}.")


def check_data(data: Data, classes: int | None) -> None:
    """Raise ValueError unless the data are one array, with a label for each row if need be."""
    if not _is_array(data.x):
        raise ValueError(
            f"The data of a generative adversarial network must be one array x, got "
            f"{type(data.x).__name__}. Join its parts, or write a trainer of your own."
        )
    if classes is None:
        return
    subject = f"A conditional pair, classes={classes}, needs data with integer labels y [rows]"
    y = data.y
    if not _is_array(y) or not jnp.issubdtype(y.dtype, jnp.integer) or y.ndim != 1:
        came = "none" if y is None else kind_of(y)
        raise ValueError(f"{subject}, got {came}. Give labels, or leave classes out.")
    if data.ignoring is not None:
        raise ValueError(
            f"{subject}, got some that may be ignored (ignore_index). Leave these rows out."
        )


@contextlib.contextmanager
def called_with_labels(player: str, classes: int | None) -> Iterator[None]:
    """Say how a network of a conditional pair is called, if it fails for another type of input."""
    try:
        yield
    except ValueError as error:
        if classes is None or not isinstance(error.__cause__, AttributeError | TypeError):
            raise
        raise ValueError(
            f"The {player} of a conditional pair is called with a pair (x, labels). {error} "
            "jnn.gan.with_labels makes such a network of one of x."
        ) from error


def check_tables(params: Any, classes: int | None, player: str) -> None:
    """Raise ValueError if a network has fewer classes than the game, whose lookup would clip."""
    for name, leaf in zip(paths.names(params), jax.tree.leaves(params), strict=True):
        if classes is not None and name in _TABLES and len(leaf) < classes:
            raise ValueError(
                f"The {player} must have a row for each of the study's {classes} classes, got "
                f"{len(leaf)} in {name}. Give both the same number of classes."
            )


def draw_latents(draw: Latents, key: jax.Array, rows: int) -> Any:
    """Return what `draw(key, rows)` returns, or raise ValueError unless it has as many rows."""
    with explained("latent failed"):
        latents = draw(key, rows)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(latents)]
    if not shapes or any(shape[:1] != (rows,) for shape in shapes):
        raise ValueError(
            f"latent must be a function draw(key, rows) that returns arrays [rows, ...], got the "
            f"shapes {shapes} for {rows} rows."
        )
    return latents


def check_examples(examples: Any, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless a generator returns one array of floats like the data."""
    if not _are_floats(examples) or examples.shape != expected:
        raise ValueError(
            f"The generator must return floats of the data's shape, {list(expected)} for "
            f"{expected[0]} rows, got {kind_of(examples)}. Change its last layer."
        )


def check_outputs(outputs: Any, packs: int) -> None:
    """Raise ValueError unless a discriminator returns an output for each of its rows."""
    if not _are_floats(outputs) or outputs.shape[:1] != (packs,):
        raise ValueError(
            f"The discriminator must return floats, an output for each of its {packs} rows, got "
            f"{kind_of(outputs)}. End it in a layer of one output."
        )


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _are_floats(value: Any) -> bool:
    return _is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)


def kind_of(value: Any) -> str:
    """Return what a value is, such as float32[4, 2]."""
    if _is_array(value):
        return f"{value.dtype}{list(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
