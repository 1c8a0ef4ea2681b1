"""jnn: the layers inside a compiled loop, with a population laid out as `jnn.run` does it."""

import jax

from benchmarks import jax_calls
from benchmarks.peers import nets_jnn
from jnn import layers
from jnn.population import Sizes, bytes_of, make_layout, make_plan


def call(*, layer, members=1, **arguments):
    if members > 1:
        arguments["lay_out"] = _lay_out
    compiler = nets_jnn.compiler_options()
    return jax_calls.layer(globals()[layer], members=members, compiler=compiler, **arguments)


def _lay_out(program, own, inputs):
    """Lay out all members by what a call of one touches: its parameters and one of the inputs."""
    params, numbers = own
    kept = bytes_of(params) // len(numbers)
    touched = 2 * kept + 3 * bytes_of(inputs) // len(inputs)
    plan = make_plan(len(numbers), Sizes(touched, kept), jax.local_devices())
    layout = make_layout(plan, jax.local_devices())
    return layout.over_members(program, 3), layout.split(own), layout.share(inputs)


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
    """Dense, ReLU, dropout, dense; with a rate of None the same without random numbers."""
    hidden = jax.nn.relu(layers.dense(x, params["first"]))
    if rate is not None:
        hidden = layers.dropout(hidden, rate, key=key)
    return layers.dense(hidden, params["second"])
