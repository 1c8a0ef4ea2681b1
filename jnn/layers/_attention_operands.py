"""Input checks for attention."""

import jax.numpy as jnp


def check_qkv(q, k, v) -> None:
    """Raise an error if the queries, keys and values do not match."""
    shapes = f"q {q.shape}, k {k.shape} and v {v.shape}"
    if not all(jnp.issubdtype(array.dtype, jnp.floating) for array in (q, k, v)):
        raise TypeError(
            f"q, k and v must be floating-point arrays, got {q.dtype}, {k.dtype} and {v.dtype}. "
            "Convert them with astype."
        )
    if min(q.ndim, k.ndim, v.ndim) < 3:
        raise ValueError(
            "q must be (*batch, time, heads, dim), k and v must be (*batch, source, kv_heads, "
            f"dim), got {shapes}. Split the channels into heads."
        )
    if not q.shape[:-3] == k.shape[:-3] == v.shape[:-3]:
        raise ValueError(
            f"q, k and v must have the same batch axes, got {shapes}. "
            "Broadcast shared arrays with jnp.broadcast_to."
        )
    if k.shape[-3:-1] != v.shape[-3:-1]:
        raise ValueError(f"k and v must have the same source and kv_heads, got {shapes}.")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same dim, got {shapes}.")
    if q.shape[-1] == 0:
        raise ValueError(f"q and k must have a dim of 1 or more, got {shapes}.")
    heads = q.shape[-2]
    kv_heads = k.shape[-2]
    if kv_heads == 0 or heads % kv_heads:
        raise ValueError(
            f"q must have a number of heads that is a multiple of the {kv_heads} key heads, "
            f"got {heads}."
        )


def check_mask_and_bias(mask, bias, shape: tuple) -> None:
    """Raise an error if the mask or bias has the wrong type or does not broadcast to the scores."""
    if mask is not None and mask.dtype != bool:
        raise TypeError(
            f"mask must be boolean, True where a query may attend, got {mask.dtype}. "
            "Compare it (mask != 0), or pass numbers that are added to the scores as bias."
        )
    if bias is not None and bias.dtype == bool:
        raise TypeError(
            "bias must hold numbers that are added to the scores, got bool. Pass it as mask."
        )
    for name, array in (("mask", mask), ("bias", bias)):
        if array is not None and not _broadcasts(array.shape, shape):
            raise ValueError(
                f"{name} must broadcast to (*batch, heads, time, source) {shape}, "
                f"got {array.shape}."
            )


def check_positions(x, positions) -> None:
    """Raise an error if x has no heads, or the positions do not match its steps."""
    if x.ndim < 3:
        raise ValueError(f"x must be (*batch, time, heads, dim), got {x.shape}. Add the heads.")
    if not _broadcasts(positions.shape, x.shape[:-2]):
        raise ValueError(
            f"positions must broadcast to (*batch, time) {x.shape[:-2]}, got {positions.shape}. "
            "Pass one position for each step of x."
        )


def check_steps(room: tuple, **steps) -> None:
    """Raise an error if keys or values differ from the cache `room` in another axis than the time.

    The axes of `room` are (*batch, capacity, kv_heads, dim).
    """
    shapes = {name: array.shape for name, array in steps.items()}
    fit = [
        len(shape) == len(room) and (*shape[:-3], *shape[-2:]) == (*room[:-3], *room[-2:])
        for shape in shapes.values()
    ]
    if not all(fit) or len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"k and v must both have the shape of the cache {room}, except for the number of steps "
            f"on the third last axis, got {got}. Make the cache for this batch."
        )


def _broadcasts(shape: tuple, to: tuple) -> bool:
    """Return whether an array of shape `shape` broadcasts to the shape `to`."""
    try:
        return jnp.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
