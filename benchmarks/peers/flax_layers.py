"""Plain lax and Flax's own modules, in a loop or called by the host: what one has without jnn."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks import jax_loops

prepare = jax_loops.layer


def conv(params, x, key, *, strides=1):
    space = "HW"[: x.ndim - 2]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return jax.lax.conv_general_dilated(
        x, params["kernel"], (strides,) * len(space), "SAME", dimension_numbers=numbers
    )


def dense(params, x, key):
    return nn.Dense(params["bias"].size).apply({"params": params}, x)


def lstm(params, x, key):
    """The equations in a scan, the input's product before it."""

    def step(carry, inputs):
        h, c = carry
        i, f, g, o = jnp.split(inputs + h @ params["recurrent_kernel"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    inputs = x @ params["input_kernel"] + params["bias"]
    zeros = jnp.zeros((len(x), params["recurrent_kernel"].shape[0]), x.dtype)
    return jax.lax.scan(step, (zeros, zeros), inputs.swapaxes(0, 1))[1].swapaxes(0, 1)


def gru(params, x, key):
    """As `lstm`, the reset gate after the recurrent product."""

    def step(h, inputs):
        products = jnp.split(h @ params["recurrent_kernel"] + params["recurrent_bias"], 3, -1)
        r, z, n = (jnp.split(inputs, 3, -1)[i] + (products[i] if i < 2 else 0) for i in range(3))
        n = jnp.tanh(n + jax.nn.sigmoid(r) * products[2])
        z = jax.nn.sigmoid(z)
        h = (1 - z) * n + z * h
        return h, h

    inputs = x @ params["input_kernel"] + params["bias"]
    zeros = jnp.zeros((len(x), params["recurrent_kernel"].shape[0]), x.dtype)
    return jax.lax.scan(step, zeros, inputs.swapaxes(0, 1))[1].swapaxes(0, 1)


def attention(params, x, key, *, causal=False):
    return jax.nn.dot_product_attention(*x, is_causal=causal)


def layer_norm(params, x, key):
    return nn.LayerNorm().apply({"params": params}, x)


def rms_norm(params, x, key):
    return nn.RMSNorm().apply({"params": params}, x)


def batch_norm(params, x, key):
    zeros = jnp.zeros(x.shape[-1])
    variables = {"params": params, "batch_stats": {"mean": zeros, "var": zeros}}
    return nn.BatchNorm(use_running_average=False).apply(variables, x, mutable=["batch_stats"])[0]


def group_norm(params, x, key, *, groups):
    return nn.GroupNorm(groups).apply({"params": params}, x)


def max_pool(params, x, key):
    return nn.max_pool(x, (2, 2), (2, 2))


def avg_pool(params, x, key):
    return nn.avg_pool(x, (2, 2), (2, 2))


def dropout(params, x, key, *, rate):
    return nn.Dropout(rate, deterministic=False).apply({}, x, rngs={"dropout": key})


def embedding(params, x, key):
    table = params["table"]
    return nn.Embed(*table.shape).apply({"params": {"embedding": table}}, x)
