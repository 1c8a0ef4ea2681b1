"""Every row of the catalogue keeps every promise that floor 0 makes.

A row is compiled once, in a program that computes the results of all its tests. They are compared
with the same calls in a Python loop without `jit`.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import layers
from tests.catalog import BATCH, NOT_OF_ARRAYS, ROWS, Row

MEMBERS = 3


def call(row: Row, key, *arguments):
    return row.function(*arguments, key=key) if row.random else row.function(*arguments)


def examples(row: Row):
    """Return the arguments of MEMBERS calls, and a key for each."""
    keys = jax.random.split(jax.random.key(7), MEMBERS)
    return list(keys), [row.arguments(key) for key in keys]


def stack(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def is_float(x) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def cast(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype) if is_float(x) else x, tree)


def assert_close(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, expected)


def with_batch_axes(tree):
    return jax.tree.map(lambda x: x.reshape(2, BATCH // 2, *x.shape[1:]), tree)


def without_batch_axes(tree):
    return jax.tree.map(lambda x: x[0], tree)


def rearranged(row: Row, rearrange, arguments: tuple) -> tuple:
    """Return the arguments with other batch axes where they are free."""
    return tuple(rearrange(a) if i in row.free_batch else a for i, a in enumerate(arguments))


def only_params(row: Row, changed: tuple, arguments: tuple) -> tuple:
    """Return the arguments with the row's parameters taken from `changed`."""
    return tuple(changed[i] if i in row.params else a for i, a in enumerate(arguments))


def gradients(row: Row, key, arguments):
    """Differentiate the sum of all floating-point results, at the arguments and at zero."""
    leaves, structure = jax.tree.flatten(arguments)
    at_floats = [index for index, leaf in enumerate(leaves) if is_float(leaf)]

    def total(floats):
        filled = dict(enumerate(leaves)) | dict(zip(at_floats, floats, strict=True))
        out = call(row, key, *jax.tree.unflatten(structure, filled.values()))
        return sum((leaf.sum() for leaf in jax.tree.leaves(out) if is_float(leaf)), jnp.zeros(()))

    if not at_floats:
        return []
    floats = [leaves[index] for index in at_floats]
    points = [jnp.stack([leaf, jnp.zeros_like(leaf)]) for leaf in floats]
    return jax.lax.map(jax.grad(total), points)


def in_one_program(row: Row, keys, stacked, half):
    """Compute the results of a row in all the ways that are tested."""
    first = jax.tree.map(lambda x: x[0], stacked)
    params_axes = tuple(0 if index in row.params else None for index in range(len(first)))

    def one(key, arguments):
        return call(row, key, *arguments)

    results = {
        "jit": one(keys[0], first),
        "scan": jax.lax.scan(lambda n, xs: (n + 1, one(*xs)), 0, (keys, stacked))[1],
        "vmap": jax.vmap(one)(keys, stacked),
        "bfloat16": one(keys[0], half),
        "rounded": one(keys[0], cast(half, jnp.float32)),
        "gradients": gradients(row, keys[0], first),
    }
    if row.params:
        mixed = only_params(row, stacked, first)
        results["vmap over params"] = jax.vmap(one, (0, params_axes))(keys, mixed)
    if row.random:
        results["another key"] = one(keys[1], first)
    if row.free_batch:
        results["with batch axes"] = one(keys[0], rearranged(row, with_batch_axes, first))
        results["without batch axes"] = one(keys[0], rearranged(row, without_batch_axes, first))
    return results


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def row(request) -> Row:
    return request.param


@pytest.fixture(scope="module")
def program(row):
    """Return the row's program, with its operands, as a function without arguments."""
    keys, arguments = examples(row)
    operands = jnp.stack(keys), stack(arguments), cast(arguments[0], jnp.bfloat16)
    return functools.partial(jax.jit(functools.partial(in_one_program, row)), *operands)


@pytest.fixture(scope="module")
def results(program):
    return program()


@pytest.fixture(scope="module")
def loop(row):
    """Return the results of a Python loop over the examples, without `jit`."""
    keys, arguments = examples(row)
    return [call(row, key, *a) for key, a in zip(keys, arguments, strict=True)]


def test_jit_changes_nothing(results, loop):
    assert_close(results["jit"], loop[0])


def test_vmap_is_a_loop(results, loop):
    assert_close(results["vmap"], stack(loop))


def test_vmap_over_parameters_is_a_loop(row, results):
    if not row.params:
        pytest.skip("the row has no parameters")
    keys, arguments = examples(row)
    mixed = [only_params(row, a, arguments[0]) for a in arguments]
    singles = [call(row, key, *a) for key, a in zip(keys, mixed, strict=True)]
    assert_close(results["vmap over params"], stack(singles))


def test_scan_is_a_loop(results, loop):
    assert_close(results["scan"], stack(loop))


def test_bfloat16_gives_the_promised_dtype_near_float32(row, results):
    promised = jnp.bfloat16 if row.keeps_bfloat16 else jnp.float32
    half = results["bfloat16"]
    assert {leaf.dtype for leaf in jax.tree.leaves(half) if is_float(leaf)} <= {jnp.dtype(promised)}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.astype(b.dtype), b, rtol=0.05, atol=0.05),
        half,
        results["rounded"],
    )


def test_gradients_are_finite_also_at_zero(results):
    for leaf in results["gradients"]:
        assert np.isfinite(leaf).all()


def test_a_key_fixes_the_bits(row, program, results):
    if not row.random:
        pytest.skip("the row is not random")
    np.testing.assert_array_equal(results["jit"], program()["jit"])
    assert not np.array_equal(results["jit"], results["another key"])


def test_leading_batch_axes_are_free(row, results):
    if not row.free_batch:
        pytest.skip("the row has one batch axis")
    assert_close(results["with batch axes"], with_batch_axes(results["jit"]))
    assert_close(results["without batch axes"], without_batch_axes(results["jit"]))


def test_every_public_layer_is_in_the_catalogue():
    public = {name for name in layers.__all__ if inspect.isfunction(getattr(layers, name))}
    # The row "activations" is of them all.
    rows = {row.name.split()[0] for row in ROWS} | set(layers.ACTIVATIONS)
    assert public - rows - NOT_OF_ARRAYS == set()
