"""The catalogue: one row for each function of floor 0, which inherits every test.

`tests/test_catalog.py` tests over all rows that jit, vmap and scan change nothing, that bfloat16
stays bfloat16, that gradients are finite, that a key fixes the bits and that leading batch axes
are free.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnn import layers

NOT_OF_ARRAYS = {
    "conv_plan",
    "empty_cache",
    "sinusoidal_positions",
}  # public functions of sizes alone need no row

BATCH = 6  # shared out as (2, 3) where leading batch axes are free


class Row(NamedTuple):
    """One function with its example arguments."""

    name: str
    function: Callable[..., Any]  # of (*arguments), or (*arguments, key=key) if random
    arguments: Callable[[jax.Array], tuple]  # key -> arrays or pytrees of arrays
    params: tuple[int, ...] = ()  # the arguments that a population carries one of for each member
    free_batch: tuple[
        int, ...
    ] = ()  # the arguments whose first axis, BATCH long, may be any leading axes
    random: bool = False  # takes key=...
    keeps_bfloat16: bool = (
        True  # bfloat16 in all float arguments gives bfloat16 in all float results
    )


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
        return {
            name: 0.5 * jax.random.normal(k, shape)
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

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


def recurrent(gates: int, *carry: tuple[int, ...]) -> Callable[[jax.Array], tuple]:
    """Make example arguments of a recurrent layer with 3 features and 2 hidden units."""
    columns = 2 * gates
    params = dict_of(input_kernel=(3, columns), recurrent_kernel=(2, columns), bias=(columns,))

    def arguments(key):
        x_key, params_key, carry_key = jax.random.split(key, 3)
        first = shaped(*carry)(carry_key)
        return (
            *shaped((BATCH, 4, 3))(x_key),
            params(params_key),
            first if len(first) > 1 else first[0],
        )

    return arguments


def _one_step(cell):
    return lambda x, params, carry: cell(carry, x[..., 0, :], params)


def _two_ways(x, params, lengths):
    return layers.bidirectional(layers.gru, x, params, params, lengths=lengths)


def _sequences_of_lengths(key):
    return *recurrent(3, (BATCH, 2))(key)[:2], jnp.array([4, 3, 0, 1, 2, 4])


def _cached_attention(q, k, v):
    cache, mask = layers.extend_cache(layers.empty_cache((), 5, 2, 4, k.dtype), k, v)
    return layers.attention(q, cache.k, cache.v, mask=mask)


ACTIVATION = [
    Row("activations", _all_activations, shaped((BATCH, 4)), free_batch=(0,)),
    Row("glu", layers.glu, shaped((BATCH, 4)), free_batch=(0,)),
    Row("prelu", layers.prelu, shaped((BATCH, 4), (4,)), params=(1,), free_batch=(0,)),
    Row("maxout", lambda x: layers.maxout(x, 2), shaped((BATCH, 6)), free_batch=(0,)),
    Row("sparsemax", layers.sparsemax, shaped((BATCH, 4)), free_batch=(0,)),
]

LINEAR = [
    Row("dense", layers.dense, shaped((BATCH, 3), (3, 4), (4,)), params=(1, 2), free_batch=(0,)),
    Row(
        "dot_general",
        lambda x, kernel: layers.dot_general(x, kernel, (((1,), (0,)), ((), ()))),
        shaped((BATCH, 3), (3, 4)),
        params=(1,),
    ),
    Row("embedding", layers.embedding, _ids_and_table, params=(1,), free_batch=(0,)),
    Row(
        "lora",
        layers.lora,
        shaped((BATCH, 3), (3, 4), (3, 2), (2, 4)),
        params=(2, 3),
        free_batch=(0,),
    ),
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
    Row(
        "layer_norm",
        layers.layer_norm,
        shaped((BATCH, 4), (4,), (4,)),
        params=(1, 2),
        free_batch=(0,),
    ),
    Row("rms_norm", layers.rms_norm, shaped((BATCH, 4), (4,)), params=(1,), free_batch=(0,)),
    Row(
        "group_norm",
        lambda x, scale, bias: layers.group_norm(x, 2, scale, bias),
        shaped((2, 3, 4), (4,), (4,)),
        params=(1, 2),
    ),
    Row(
        "minibatch_std",
        lambda x: layers.minibatch_std(x, 2),
        shaped((BATCH, 3, 2)),
    ),
    Row("instance_norm", layers.instance_norm, shaped((2, 3, 4), (4,), (4,)), params=(1, 2)),
]

REGULARIZE = [
    Row(
        "dropout",
        layers.dropout,
        lambda key: (*shaped((BATCH, 3))(key), jnp.array(0.4)),
        params=(1,),
        random=True,
    ),
    Row(
        "dropout of channels",
        lambda x, key: layers.dropout(x, 0.4, key=key, broadcast_axes=(1,)),
        shaped((2, 3, 4)),
        random=True,
    ),
    Row(
        "l1",
        layers.l1,
        lambda key: (dict_of(kernel=(2, 3))(key),),
        params=(0,),
        keeps_bfloat16=False,
    ),
    Row(
        "l2",
        layers.l2,
        lambda key: (dict_of(kernel=(2, 3))(key),),
        params=(0,),
        keeps_bfloat16=False,
    ),
    Row(
        "elastic_net",
        lambda params: layers.elastic_net(params, 0.3),
        lambda key: (dict_of(kernel=(2, 3))(key),),
        params=(0,),
        keeps_bfloat16=False,
    ),
]

RECURRENT = [
    Row("rnn", layers.rnn, recurrent(1, (BATCH, 2)), params=(1,), free_batch=(0, 2)),
    Row("gru", layers.gru, recurrent(3, (BATCH, 2)), params=(1,), free_batch=(0, 2)),
    Row(
        "gru reset before the product",
        lambda x, params, carry: layers.gru(x, params, carry, reset_after=False, reverse=True),
        recurrent(3, (BATCH, 2)),
        params=(1,),
        free_batch=(0, 2),
    ),
    Row("lstm", layers.lstm, recurrent(4, (BATCH, 2), (BATCH, 2)), params=(1,), free_batch=(0, 2)),
    Row(
        "rnn_cell",
        _one_step(layers.rnn_cell),
        recurrent(1, (BATCH, 2)),
        params=(1,),
        free_batch=(0, 2),
    ),
    Row(
        "gru_cell",
        _one_step(layers.gru_cell),
        recurrent(3, (BATCH, 2)),
        params=(1,),
        free_batch=(0, 2),
    ),
    Row(
        "lstm_cell",
        _one_step(layers.lstm_cell),
        recurrent(4, (BATCH, 2), (BATCH, 2)),
        params=(1,),
        free_batch=(0, 2),
    ),
    Row("bidirectional", _two_ways, _sequences_of_lengths, params=(1,), free_batch=(0, 2)),
]

ATTENTION = [
    Row(
        "attention",
        layers.attention,
        shaped(*[(BATCH, 3, 2, 4)] * 3),
        params=(1, 2),
        free_batch=(0, 1, 2),
    ),
    Row(
        "attention of grouped heads, masked",
        lambda q, k, v, bias, key: layers.attention(
            q, k, v, mask=jnp.arange(3) < 2, bias=bias, causal=True, key=key, dropout_rate=0.5
        ),
        shaped((2, 3, 4, 4), (2, 3, 2, 4), (2, 3, 2, 4), (4, 3, 3)),
        params=(3,),
        random=True,
    ),
    Row(
        "causal_mask",
        lambda offset: layers.causal_mask(2, 3, offset=offset),
        lambda key: (jnp.array(1),),
    ),
    Row(
        "rotary",
        lambda x: layers.rotary(x, jnp.arange(3)),
        shaped((BATCH, 3, 2, 4)),
        free_batch=(0,),
    ),
    Row("extend_cache", _cached_attention, shaped((3, 2, 4), (3, 2, 4), (3, 2, 4))),
]

CONV = [
    Row(
        "conv",
        lambda x, kernel, bias: layers.conv(x, kernel, bias, strides=2),
        shaped((2, 5, 4, 3), (3, 2, 3, 4), (4,)),
        params=(1, 2),
    ),
    Row("conv of one channel", layers.conv, shaped((2, 5, 4, 1), (3, 3, 1, 2)), params=(1,)),
    Row(
        "conv by lax",
        lambda x, kernel: layers.conv(x, kernel, lowering="lax"),
        shaped((2, 6, 3), (3, 3, 4)),
        params=(1,),
    ),
    Row(
        "conv causal",
        lambda x, kernel: layers.conv(x, kernel, padding="CAUSAL", dilation=2),
        shaped((2, 6, 3), (3, 3, 4)),
        params=(1,),
    ),
    Row(
        "conv depthwise",
        lambda x, kernel: layers.conv(x, kernel, groups=4),
        shaped((2, 5, 4), (3, 1, 4)),
        params=(1,),
    ),
    Row(
        "conv_transpose",
        lambda x, kernel, bias: layers.conv_transpose(x, kernel, bias, strides=2),
        shaped((2, 3, 2), (3, 2, 4), (4,)),
        params=(1, 2),
    ),
]

POOL = [
    Row(
        "conv_general_dilated",
        lambda x, kernel: layers.conv_general_dilated(
            x, kernel, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        shaped((2, 5, 4, 3), (3, 3, 3, 2)),
        params=(1,),
    ),
    Row("max_pool", lambda x: layers.max_pool(x, 2, padding="SAME"), shaped((2, 5, 4, 3))),
    Row("avg_pool", lambda x: layers.avg_pool(x, 2, padding="SAME"), shaped((2, 5, 4, 3))),
    Row("global_max_pool", layers.global_max_pool, shaped((2, 5, 4, 3))),
    Row("global_avg_pool", layers.global_avg_pool, shaped((2, 5, 4, 3))),
    Row("adaptive_max_pool", lambda x: layers.adaptive_max_pool(x, 2), shaped((2, 5, 3))),
    Row("adaptive_avg_pool", lambda x: layers.adaptive_avg_pool(x, 2), shaped((2, 5, 3))),
]

ROWS = [*ACTIVATION, *LINEAR, *NORM, *REGULARIZE, *RECURRENT, *ATTENTION, *CONV, *POOL]
