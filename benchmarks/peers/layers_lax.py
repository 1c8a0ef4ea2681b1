"""Plain lax and Flax's own modules, in a loop or called by the host: what one has without jnn."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks import jax_calls


def call(*, layer, **arguments):
    return jax_calls.layer(globals()[layer], **arguments)


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
        products = h @ params["recurrent_kernel"] + params["recurrent_bias"]
        recurrent_r, recurrent_z, recurrent_n = jnp.split(products, 3, -1)
        r, z, n = jnp.split(inputs, 3, -1)
        r = jax.nn.sigmoid(r + recurrent_r)
        z = jax.nn.sigmoid(z + recurrent_z)
        n = jnp.tanh(n + r * recurrent_n)
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


def im2col(params, x, key, *, strides=1):
    """Convolution as one product over copied patches: the usual way around a slow lowering."""
    *window, _, out = params["kernel"].shape
    places = [-(-n // strides) for n in x.shape[1:-1]]
    sides = zip(places, window, x.shape[1:-1], strict=True)
    missing = [max((p - 1) * strides + w - n, 0) for p, w, n in sides]
    padded = jnp.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)])

    def tap(offsets):
        sides = zip(offsets, places, strict=True)
        slices = (slice(t, t + strides * (p - 1) + 1, strides) for t, p in sides)
        return padded[:, *slices]

    taps = [tap(offsets) for offsets in itertools.product(*map(range, window))]
    rows = jnp.concatenate(taps, -1).reshape(-1, params["kernel"].size // out)
    return (rows @ params["kernel"].reshape(-1, out)).reshape(len(x), *places, out)
