"""The types of arrays on their way into and out of a network that computes in bfloat16."""

import jax
import jax.numpy as jnp

from jnn.engine._state import Tree


def to_bfloat16(tree: Tree) -> Tree:
    """Return the tree with floating-point arrays in bfloat16.

    Integers such as ids, booleans, complex numbers and keys stay as they are.
    """

    def cast(array: jax.Array) -> jax.Array:
        return array.astype(jnp.bfloat16) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(cast, tree)


def from_bfloat16(tree: Tree) -> Tree:
    """Return the tree with arrays of bfloat16 in float32, in which losses and scores are taken."""

    def cast(array: jax.Array) -> jax.Array:
        return array.astype(jnp.float32) if array.dtype == jnp.bfloat16 else array

    return jax.tree.map(cast, tree)


def in_types_of(before: Tree, after: Tree) -> Tree:
    """Return the state after a call in the types of that before.

    A state of another structure is returned as it is, for the check of the step to refuse.
    """
    if jax.tree.structure(before) != jax.tree.structure(after):
        return after

    def cast(old: jax.Array, new: jax.Array) -> jax.Array:
        are_floats = all(jnp.issubdtype(array.dtype, jnp.floating) for array in (old, new))
        return new.astype(old.dtype) if are_floats else new

    return jax.tree.map(cast, before, after)
