"""The random keys of a member, by stream and number."""

from typing import Any

import jax
import jax.numpy as jnp

INIT, ORDER, STEP = range(3)  # streams of random numbers that are folded into a member's key
_STREAMS = 3


def key_of(key: jax.Array, stream: int, number: Any = 0) -> jax.Array:
    """Return the key of the number-th use of a stream.

    Stream and number are folded in together, because each `fold_in` is a loop to compile and run.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.random.fold_in(key, _STREAMS * number + stream)
