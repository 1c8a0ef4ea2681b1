"""Several predictions of each member with the random numbers of training, such as dropout."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import check_integer
from jnn.engine import ProgramKey, Trained, default_settings, make_sample, programs_of
from jnn.result._predict import Part, batches_of, first_rows, join_parts, probabilities
from jnn.result._schema import Schema
from jnn.study import Members, Study


def samples_of(
    parts: Sequence[Part],
    schema: Schema,
    members: Members,
    x: Any,
    batch: int,
    samples: int,
    seed: int,
) -> Iterator[Any]:
    """Yield every member's samples batch by batch, [members, samples, rows, ...].

    Args:
        parts: Of the result.
        schema: Of the result.
        members: The population, whose seeds and folds tell the draws of its members apart.
        x: Rows that are read as they are needed.
        batch: Rows at a time.
        samples: Number of samples.
        seed: Of the draws.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If `samples` is less than 1, or if nothing can be sampled.
    """
    samples = check_integer("samples", samples)
    seed = check_integer("seed", seed, 0)
    keys = _keys(members, seed)
    streams = [_part_samples(part, schema, keys[part.places], x, batch, samples) for part in parts]
    for pieces in zip(*streams, strict=True):
        yield join_parts(pieces, parts)


def _part_samples(
    part: Part, schema: Schema, keys: np.ndarray, x: Any, batch: int, samples: int
) -> Iterator[Any]:
    """Yield the samples of the members of one study."""
    programs = programs_of(part.known_study())
    study = programs.study
    details = schema.task, schema.classes, schema.target_shape, samples
    apply = programs.get(
        ProgramKey("samples", details), lambda: jax.jit(_over_members(study, schema, samples))
    )
    trained, shared = jax.device_put((part.trained, study.shared))
    for number, (rows, count) in enumerate(batches_of(x, batch)):
        with default_settings():
            values = apply((trained, keys), rows, shared, np.int32(number))
        yield first_rows(values, count, axis=2)


def _over_members(study: Study, schema: Schema, samples: int) -> Any:
    """Return the function of all members that gives their samples of a batch of rows."""
    answer = _make_answer(study, schema)

    def of_members(members: Any, x: Any, shared: Any, number: Any) -> Any:
        def of_member(member: tuple[Trained, jax.Array]) -> Any:
            trained, words = member
            key = jax.random.wrap_key_data(words, impl="threefry2x32")
            keys = jax.random.split(jax.random.fold_in(key, number), samples)
            return jax.lax.map(lambda key: answer(trained, x, shared, key), keys)

        return jax.lax.map(of_member, members)

    return of_members


def _make_answer(study: Study, schema: Schema) -> Any:
    """Make `answer(trained, x, shared, key)`, as `make_answer` but with random numbers."""
    if study.trainer is not None:
        raise ValueError(
            "samples needs a network trained by a loss, but the study has a trainer, whose predict "
            "takes no key. Leave samples out."
        )
    sample = make_sample(study, None if schema.y is None else schema.y.shape)
    if schema.task != "classification":
        return sample
    axes = 1 + len(schema.target_shape)

    def answer(trained: Trained, x: Any, shared: Any, key: jax.Array) -> jax.Array:
        return probabilities(sample(trained, x, shared, key), axes, schema.classes)

    return answer


def _keys(members: Members, seed: int) -> np.ndarray:
    """Return the words of a key for each member, by its seed and fold, uint32 [members, 2]."""
    columns = members.columns()
    zeros = np.zeros(len(members), np.int32)
    own = [np.asarray(columns.get(name, zeros), np.int32) for name in ("seed", "fold")]

    def key_of(own_seed: Any, fold: Any) -> jax.Array:
        key = jax.random.key(seed, impl="threefry2x32")
        key = jax.random.fold_in(jax.random.fold_in(key, own_seed), fold)
        return jax.random.key_data(key)

    return np.asarray(jax.vmap(key_of)(*map(jnp.asarray, own)))
