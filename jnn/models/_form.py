"""What models ask of their input before anything is computed."""

import jax


def check_rows(x: jax.Array, *sizes: int | None) -> None:
    """Refuse x that is not [batch, *sizes], where None stands for any size.

    >>> check_rows(jax.numpy.ones((5, 4, 2)), 4, None)
    """
    if x.ndim != len(sizes) + 1 or any(
        size not in (None, given) for size, given in zip(sizes, x.shape[1:], strict=True)
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in sizes)
        raise ValueError(
            f"wanted x of shape [batch, {wanted}], but got {x.shape}; make the model for this shape"
        )
