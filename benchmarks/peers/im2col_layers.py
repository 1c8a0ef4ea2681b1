"""Convolution as one matrix product over copied patches, differentiated by JAX: the usual way round a slow lowering."""

import itertools

import jax.numpy as jnp

from benchmarks import jax_loops

prepare = jax_loops.layer


def conv(params, x, key, *, strides=1):
    *window, _, out = params["kernel"].shape
    places = [-(-n // strides) for n in x.shape[1:-1]]
    short = [
        max((p - 1) * strides + w - n, 0)
        for p, w, n in zip(places, window, x.shape[1:-1], strict=True)
    ]
    padded = jnp.pad(x, [(0, 0), *((s // 2, s - s // 2) for s in short), (0, 0)])
    taps = itertools.product(*map(range, window))
    seen = [
        padded[
            :,
            *(
                slice(t, t + strides * (p - 1) + 1, strides)
                for t, p in zip(tap, places, strict=True)
            ),
        ]
        for tap in taps
    ]
    rows = jnp.concatenate(seen, -1).reshape(-1, params["kernel"].size // out)
    return (rows @ params["kernel"].reshape(-1, out)).reshape(len(x), *places, out)
