"""Every row of the catalogue keeps every promise that floor 0 makes."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import layers
from tests.catalog import NOT_OF_ARRAYS, ROWS, Row

MEMBERS = 3

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def call(row: Row, key, *arguments):
    return row.function(*arguments, key=key) if row.random else row.function(*arguments)


@functools.cache
def compiled(row: Row):
    """Compile the row's call once for all tests that loop over it."""
    return jax.jit(lambda key, *arguments: call(row, key, *arguments))


def with_batch_axes(tree, axes: tuple[int, ...]):
    return jax.tree.map(lambda x: x.reshape(*axes, *x.shape[1:]), tree)


def examples(row: Row):
    """Return the arguments of MEMBERS calls, and a key for each."""
    keys = jax.random.split(jax.random.key(7), MEMBERS)
    return list(keys), [row.arguments(key) for key in keys]


def stack(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def assert_close(got, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, wanted)


def is_float(x) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


@every_row
def test_jit_changes_nothing(row):
    keys, arguments = examples(row)
    assert_close(compiled(row)(keys[0], *arguments[0]), call(row, keys[0], *arguments[0]))


@every_row
def test_vmap_over_inputs_and_over_parameters_is_a_loop(row):
    keys, arguments = examples(row)
    only_params = tuple(0 if index in row.params else None for index in range(len(arguments[0])))
    first = arguments[0]

    def both(keys, stacked):
        population = jax.vmap(lambda key, a: call(row, key, *a))(keys, stacked)
        if not row.params:
            return population, population
        mixed = tuple(
            s if axis == 0 else a for s, a, axis in zip(stacked, first, only_params, strict=True)
        )
        return population, jax.vmap(lambda key, *a: call(row, key, *a), in_axes=(0, *only_params))(
            keys, *mixed
        )

    population, kernels = jax.jit(both)(jnp.stack(keys), stack(arguments))
    assert_close(
        population, stack([compiled(row)(key, *a) for key, a in zip(keys, arguments, strict=True)])
    )
    if row.params:
        swapped = [
            tuple(a[i] if i in row.params else first[i] for i in range(len(first)))
            for a in arguments
        ]
        assert_close(
            kernels, stack([compiled(row)(key, *a) for key, a in zip(keys, swapped, strict=True)])
        )


@every_row
def test_scan_is_a_loop(row):
    keys, arguments = examples(row)

    def body(count, key_and_arguments):
        key, a = key_and_arguments
        return count + 1, call(row, key, *a)

    _, got = jax.jit(lambda xs: jax.lax.scan(body, 0, xs))((jnp.stack(keys), stack(arguments)))
    assert_close(
        got, stack([compiled(row)(key, *a) for key, a in zip(keys, arguments, strict=True)])
    )


@every_row
def test_bfloat16_gives_the_promised_dtype_near_float32(row):
    keys, arguments = examples(row)
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if is_float(x) else x, arguments[0])
    rounded = jax.tree.map(lambda x: x.astype(jnp.float32) if is_float(x) else x, half)
    got = compiled(row)(keys[0], *half)
    wanted = jnp.bfloat16 if row.keeps_bfloat16 else jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(got) if is_float(leaf)} <= {jnp.dtype(wanted)}
    in_float32 = compiled(row)(keys[0], *rounded)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.astype(b.dtype), b, rtol=0.05, atol=0.05),
        got,
        in_float32,
    )


@every_row
def test_gradients_are_finite_also_at_zero(row):
    keys, arguments = examples(row)
    leaves, structure = jax.tree.flatten(arguments[0])
    at_floats = [index for index, leaf in enumerate(leaves) if is_float(leaf)]

    def total(floats):
        filled = list(leaves)
        for index, leaf in zip(at_floats, floats, strict=True):
            filled[index] = leaf
        out = call(row, keys[0], *jax.tree.unflatten(structure, filled))
        return sum((leaf.sum() for leaf in jax.tree.leaves(out) if is_float(leaf)), jnp.zeros(()))

    floats = [leaves[index] for index in at_floats]
    gradient = jax.jit(jax.grad(total))
    for point in (floats, [jnp.zeros_like(leaf) for leaf in floats]):
        for leaf in gradient(point):
            assert np.isfinite(leaf).all()


@pytest.mark.parametrize("row", [row for row in ROWS if row.random], ids=lambda row: row.name)
def test_a_key_fixes_the_bits(row):
    keys, arguments = examples(row)
    first, again, other = (compiled(row)(key, *arguments[0]) for key in (keys[0], keys[0], keys[1]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("row", [row for row in ROWS if row.free_batch], ids=lambda row: row.name)
def test_leading_batch_axes_are_free(row):
    keys, arguments = examples(row)
    flat = compiled(row)(keys[0], *arguments[0])
    for rearrange in (
        lambda tree: with_batch_axes(tree, (2, 3)),
        lambda tree: jax.tree.map(lambda x: x[0], tree),
    ):
        pieces = [rearrange(a) if i in row.free_batch else a for i, a in enumerate(arguments[0])]
        assert_close(compiled(row)(keys[0], *pieces), rearrange(flat))


def test_every_public_layer_is_in_the_catalogue():
    public = {name for name in layers.__all__ if inspect.isfunction(getattr(layers, name))}
    rows = {row.name.split()[0] for row in ROWS} | set(
        layers.ACTIVATIONS
    )  # the row "activations" is of them all
    assert public - rows - NOT_OF_ARRAYS == set()
