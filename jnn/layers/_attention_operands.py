"""What attention asks of its operands, before they become rows that no longer tell which batch and head they are of."""

import jax.numpy as jnp


def check_qkv(q, k, v) -> None:
    """Refuse queries, keys and values that do not belong to each other."""
    shapes = f"q {q.shape}, k {k.shape} and v {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 3 or not all(
        jnp.issubdtype(array.dtype, jnp.floating) for array in (q, k, v)
    ):
        raise ValueError(
            f"wanted q (*batch, time, heads, dim), k and v (*batch, source, kv_heads, dim), all of floating point, "
            f"but got {shapes} of {q.dtype}, {k.dtype} and {v.dtype}; split the channels into heads"
        )
    one_batch = q.shape[:-3] == k.shape[:-3] == v.shape[:-3]
    if not one_batch or k.shape[-3:-1] != v.shape[-3:-1] or q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"wanted q, k and v of the same batch axes, k and v of the same source and kv_heads, and q and k of the "
            f"same dim, but got {shapes}; broadcast what is shared with jnp.broadcast_to"
        )
    heads, kv_heads = q.shape[-2], k.shape[-2]
    if kv_heads == 0 or heads % kv_heads:
        raise ValueError(
            f"wanted query heads that are a multiple of the {kv_heads} key heads, but got {heads}"
        )


def check_mask_and_bias(mask, bias, shape: tuple) -> None:
    """Refuse a mask of numbers, a bias of truth values, and what does not broadcast to the scores."""
    if mask is not None and mask.dtype != bool:
        raise ValueError(
            f"wanted a boolean mask, True where a query may look, but got {mask.dtype}; "
            "compare it (mask != 0), or give numbers to add as the bias"
        )
    if bias is not None and bias.dtype == bool:
        raise ValueError(
            "wanted a bias of numbers, which are added to the scores, but got bool; give it as the mask"
        )
    for array in (mask, bias):
        if array is not None and not _broadcasts(array.shape, shape):
            raise ValueError(
                f"wanted a mask or bias that broadcasts to (*batch, heads, time, source) {shape}, but got {array.shape}"
            )


def check_positions(x, positions) -> None:
    """Refuse x without heads, and positions that are not one for each of its steps."""
    if x.ndim < 3 or not _broadcasts(positions.shape, x.shape[:-2]):
        raise ValueError(
            f"wanted x (*batch, time, heads, dim) and positions that broadcast to (*batch, time), "
            f"but got x {x.shape} and positions {positions.shape}; give one position for each step"
        )


def check_steps(room: tuple, **steps) -> None:
    """Refuse keys and values that differ from the cache's room (*batch, capacity, kv_heads, dim) beside their time."""
    shapes = {name: array.shape for name, array in steps.items()}
    fit = [
        len(shape) == len(room) and (*shape[:-3], *shape[-2:]) == (*room[:-3], *room[-2:])
        for shape in shapes.values()
    ]
    if not all(fit) or len(set(shapes.values())) > 1:
        raise ValueError(
            f"wanted k and v of one shape, that of the cache {room} but for the steps on its third last axis, "
            f"but got {', '.join(f'{name} {shape}' for name, shape in shapes.items())}; make the cache for this batch"
        )


def _broadcasts(shape: tuple, to: tuple) -> bool:
    """Tell whether an array of one shape broadcasts to another."""
    try:
        return jnp.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
