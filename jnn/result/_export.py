"""A trained network as one StableHLO file that runs without jnn: `Result.export`."""

import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jnn.data import map_parts
from jnn.result._predict import Predict
from jnn.result._schema import Schema
from jnn.storage import atomic_path, expand


def write_program(
    path: str | os.PathLike[str],
    function: Callable[[jax.Array], Any],
    schema: Schema,
    platforms: Sequence[str],
) -> pathlib.Path:
    """Write `function(x)` for any number of rows as a StableHLO file, which `jax.export` reads.

    Args:
        path: The file to write.
        function: Function of rows.
        schema: The schema of the result.
        platforms: Platforms that the file is to run on.

    Raises:
        ImportError: If flatbuffers is not installed.
    """
    try:
        import flatbuffers  # noqa: F401  (jax.export writes with it)
    except ImportError:
        raise ImportError(
            "Exporting needs flatbuffers, which is not installed. "
            "Install it with: pip install 'jnn-jax[export]'"
        ) from None
    from jax import export

    if schema.target_offset is not None:
        warnings.warn(
            "The exported program gives predictions less the offset of the targets, "
            f"{schema.target_offset}, which float32 cannot hold. Add it in float64.",
            stacklevel=3,
        )
    rows = export.symbolic_shape("rows")
    x = map_parts(lambda part: jax.ShapeDtypeStruct((*rows, *part.shape), part.dtype), schema.x)
    exported = export.export(jax.jit(function), platforms=tuple(platforms))(x)
    path = expand(path)
    with atomic_path(path) as partial:
        partial.write_bytes(exported.serialize())
    return path


def make_ensemble(
    answers: Sequence[Predict], groups: Sequence[Any]
) -> Callable[[jax.Array], tuple[Any, Any]]:
    """Make `f(x) -> (mean, std)` over all members; in memory are only sums over them.

    Args:
        answers: `answer(trained, x)` of each group.
        groups: The trained members of each group, arrays [members, ...].
    """
    counts = [jax.tree.leaves(trained)[0].shape[0] for trained in groups]

    def f(x: jax.Array) -> tuple[Any, Any]:
        # Deviations from one of the members, because squares of the values themselves lose digits.
        first = answers[0](jax.tree.map(lambda array: array[0], groups[0]), x)
        sums = jax.tree.map(lambda array: jnp.zeros((2, *array.shape), array.dtype), first)
        for answer, trained in zip(answers, groups, strict=True):
            sums = _add_deviations(answer, trained, x, first, sums)
        means = jax.tree.map(lambda array: array / sum(counts), sums)
        mean = jax.tree.map(lambda array, m: array + m[0], first, means)
        std = jax.tree.map(lambda m: jnp.sqrt(jnp.maximum(m[1] - m[0] ** 2, 0)), means)
        return mean, std

    return f


def _add_deviations(answer: Predict, trained: Any, x: jax.Array, first: Any, sums: Any) -> Any:
    """Add to the sums each member's deviation from `first`, and its square."""

    def add(sums: Any, one: Any) -> tuple[Any, None]:
        deviations = jax.tree.map(jnp.subtract, answer(one, x), first)
        return jax.tree.map(lambda s, d: s + jnp.stack([d, d**2]), sums, deviations), None

    return jax.lax.scan(add, sums, trained)[0]
