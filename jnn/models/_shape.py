"""The check of an input's shape before anything is computed."""

import jax


def check_shape(x: jax.Array, *sizes: int | None) -> None:
    """Raise ValueError unless x is [batch, *sizes], where None stands for any size.

    >>> check_shape(jax.numpy.ones((5, 4, 2)), 4, None)
    """
    matches = x.ndim == len(sizes) + 1 and all(
        expected is None or expected == size
        for expected, size in zip(sizes, x.shape[1:], strict=True)
    )
    if not matches:
        expected = ", ".join("any" if size is None else str(size) for size in sizes)
        raise ValueError(
            f"x must have the shape [batch, {expected}], got {x.shape}. Build the network for the "
            "shape of the data."
        )
