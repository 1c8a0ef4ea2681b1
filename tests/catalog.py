"""The catalogue: one row for each function of floor 0. Joining the library costs a row, and a row inherits every test.

`tests/test_catalog.py` tests over all rows that jit, vmap and scan change nothing, that bfloat16 stays bfloat16, that
gradients are finite, that a key fixes the bits and that leading batch axes are free.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnn import layers

BATCH = 6  # shared out as (2, 3) where leading batch axes are free


class Row(NamedTuple):
    """One function with its example arguments."""

    name: str
    function: Callable[..., Any]  # of (*arguments), or (*arguments, key=key) if random
    arguments: Callable[[jax.Array], tuple]  # key -> arrays or pytrees of arrays
    params: tuple[int, ...] = ()  # the arguments that a population carries one of for each member
    free_batch: tuple[int, ...] = ()  # the arguments whose first axis, BATCH long, may be any leading axes
    random: bool = False  # takes key=...
    keeps_bfloat16: bool = True  # bfloat16 in all float arguments gives bfloat16 in all float results


def shaped(*shapes: tuple[int, ...]) -> Callable[[jax.Array], tuple]:
    """Make example arguments: normal values of these shapes."""

    def arguments(key):
        keys = jax.random.split(key, len(shapes))
        return tuple(jax.random.normal(k, shape) for k, shape in zip(keys, shapes, strict=True))

    return arguments


def dict_of(**shapes: tuple[int, ...]) -> Callable[[jax.Array], dict]:
    """Make an example dictionary of parameters: normal values of these shapes."""

    def values(key):
        keys = jax.random.split(key, len(shapes))
        return {name: 0.5 * jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}

    return values


def _ids_and_table(key):
    ids_key, table_key = jax.random.split(key)
    return jax.random.randint(ids_key, (BATCH,), 0, 5), jax.random.normal(table_key, (5, 3))


def _batch_statistics(key):
    x, mean, var, scale, bias = shaped((BATCH, 3), (3,), (3,), (3,), (3,))(key)
    return x, mean, jnp.exp(var), scale, bias


def _weighted_rows(key):
    x, scale, bias = shaped((BATCH, 2, 3), (3,), (3,))(key)
    return x, scale, bias, jnp.array([1.0, 1.0, 0.0, 1.0, 0.5, 0.0])


def _all_activations(x):
    return {name: activation(x) for name, activation in layers.ACTIVATIONS.items()}


ACTIVATION = [
    Row("activations", _all_activations, shaped((BATCH, 4)), free_batch=(0,)),
    Row("glu", layers.glu, shaped((BATCH, 4)), free_batch=(0,)),
    Row("prelu", layers.prelu, shaped((BATCH, 4), (4,)), params=(1,), free_batch=(0,)),
    Row("maxout", lambda x: layers.maxout(x, 2), shaped((BATCH, 6)), free_batch=(0,)),
    Row("sparsemax", layers.sparsemax, shaped((BATCH, 4)), free_batch=(0,)),
]

LINEAR = [
    Row("dense", layers.dense, shaped((BATCH, 3), (3, 4), (4,)), params=(1, 2), free_batch=(0,)),
    Row("embedding", layers.embedding, _ids_and_table, params=(1,), free_batch=(0,)),
    Row("lora", layers.lora, shaped((BATCH, 3), (3, 4), (3, 2), (2, 4)), params=(2, 3), free_batch=(0,)),
]

NORM = [
    Row("batch_norm", layers.batch_norm, _batch_statistics, params=(1, 2, 3, 4), free_batch=(0,)),
    Row(
        "batch_norm_train",
        lambda x, scale, bias, weights: layers.batch_norm_train(x, scale, bias, weights=weights)[0],
        _weighted_rows,
        params=(1, 2),
    ),
    Row(
        "batch_norm_train statistics",
        lambda x: layers.batch_norm_train(x)[1],
        shaped((BATCH, 3)),
        keeps_bfloat16=False,
    ),
    Row("layer_norm", layers.layer_norm, shaped((BATCH, 4), (4,), (4,)), params=(1, 2), free_batch=(0,)),
    Row("rms_norm", layers.rms_norm, shaped((BATCH, 4), (4,)), params=(1,), free_batch=(0,)),
    Row(
        "group_norm",
        lambda x, scale, bias: layers.group_norm(x, 2, scale, bias),
        shaped((2, 3, 4), (4,), (4,)),
        params=(1, 2),
    ),
    Row("instance_norm", layers.instance_norm, shaped((2, 3, 4), (4,), (4,)), params=(1, 2)),
]

REGULARIZE = [
    Row("dropout", layers.dropout, lambda key: (*shaped((BATCH, 3))(key), jnp.array(0.4)), params=(1,), random=True),
    Row(
        "dropout of channels",
        lambda x, key: layers.dropout(x, 0.4, key=key, broadcast_axes=(1,)),
        shaped((2, 3, 4)),
        random=True,
    ),
    Row("l1", layers.l1, lambda key: (dict_of(kernel=(2, 3))(key),), params=(0,), keeps_bfloat16=False),
    Row("l2", layers.l2, lambda key: (dict_of(kernel=(2, 3))(key),), params=(0,), keeps_bfloat16=False),
    Row(
        "elastic_net",
        lambda params: layers.elastic_net(params, 0.3),
        lambda key: (dict_of(kernel=(2, 3))(key),),
        params=(0,),
        keeps_bfloat16=False,
    ),
]

ROWS = [*ACTIVATION, *LINEAR, *NORM, *REGULARIZE]
