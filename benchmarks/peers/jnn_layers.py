"""The layers of jnn, inside a loop, one or many members by vmap."""

import jax

from benchmarks import jax_loops
from jnn import layers

ON_CPU = {"xla_backend_optimization_level": 1}  # as `jnn.run` compiles its loops on a CPU


def prepare(function, **arguments):
    compiler = ON_CPU if jax.default_backend() == "cpu" else None
    return jax_loops.layer(function, compiler=compiler, **arguments)


def conv(params, x, key, *, strides=1):
    return layers.conv(x, params["kernel"], strides=strides)


def dense(params, x, key):
    return layers.dense(x, params["kernel"], params["bias"])


def lstm(params, x, key):
    return layers.lstm(x, params)[1]


def gru(params, x, key):
    return layers.gru(x, params)[1]


def attention(params, x, key, *, causal=False):
    return layers.attention(*x, causal=causal)


def layer_norm(params, x, key):
    return layers.layer_norm(x, params["scale"], params["bias"])


def rms_norm(params, x, key):
    return layers.rms_norm(x, params["scale"])


def batch_norm(params, x, key):
    return layers.batch_norm_train(x, params["scale"], params["bias"])[0]


def group_norm(params, x, key, *, groups):
    return layers.group_norm(x, groups, params["scale"], params["bias"])


def max_pool(params, x, key):
    return layers.max_pool(x, 2)


def avg_pool(params, x, key):
    return layers.avg_pool(x, 2)


def dropout(params, x, key, *, rate):
    return layers.dropout(x, rate, key=key)


def embedding(params, x, key):
    return layers.embedding(x, params["table"])


def dropout_step(params, x, key, *, rate):
    """Dense, ReLU, dropout, dense: with a rate of None the same without random numbers."""
    hidden = jax.nn.relu(layers.dense(x, params["first"]))
    if rate is not None:
        hidden = layers.dropout(hidden, rate, key=key)
    return layers.dense(hidden, params["second"])
