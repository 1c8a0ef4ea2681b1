"""Random changes of a batch that keep its labels true, as pure functions on the device.

All take x [batch, *space, channels] and a key, draw anew for every example, and keep shape and
dtype. They enter a study as one function of the batch,

    def augment(batch, *, key):
        flip_key, crop_key = jax.random.split(key)
        return batch._replace(x=crop(flip(batch.x, key=flip_key), 4, key=crop_key))

    jnn.Study(..., augment=augment)

and every member draws from its own key. A series [batch, time, channels] has one axis of space:
`crop` shifts it in time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray, Shaped

from jnn._arrays import as_array, as_arrays
from jnn._settings import NOT_NEGATIVE, SHARE, check_integer, check_number

__all__ = ["crop", "cutout", "flip", "mixup", "noise"]


def __dir__() -> list[str]:
    return __all__


Number = float | int | Shaped[Array, ""]


def flip(
    x: Shaped[Array, "batch *shape"], rate: Number = 0.5, *, key: PRNGKeyArray, axis: int = -2
) -> Shaped[Array, "batch *shape"]:
    """Mirror a random share of the examples.

    Args:
        x: Examples [batch, ...].
        rate: Share of the examples that is mirrored, 0 to 1. It may be traced.
        key: PRNG key for the choice of examples.
        axis: Axis that is reversed. The default exchanges left and right of an image.

    Raises:
        ValueError: If `axis` is the axis of the examples, x has no such axis, or the rate is not
            one number from 0 to 1.

    >>> flip(jnp.arange(3.0).reshape(1, 3, 1), 1.0, key=jax.random.key(0)).ravel()
    Array([2., 1., 0.], dtype=float32)
    """
    x = as_array(x)
    check_number("rate", rate, SHARE, "It is the share of the examples that is mirrored.")
    if axis not in (*range(1, x.ndim), *range(1 - x.ndim, 0)):
        raise ValueError(
            f"axis must be an axis of the examples, got axis {axis} for x of shape {x.shape}. "
            "Choose any axis of x but axis 0, which counts the examples."
        )
    is_flipped = jax.random.bernoulli(key, rate * 1.0, (x.shape[0],))
    return jnp.where(_per_example(is_flipped, x), jnp.flip(x, axis), x)


def crop(
    x: Shaped[Array, "batch *space channels"], padding: int, *, key: PRNGKeyArray
) -> Shaped[Array, "batch *space channels"]:
    """Pad every axis of space by reflection, and cut out the original size at a random place.

    The content moves by -padding..padding along each axis, with equal probability. What was outside
    is filled with the mirror image of what is inside, without its edge.

    Args:
        x: Examples [batch, *space, channels].
        padding: Number of positions added on each side, less than the smallest axis of space.
        key: PRNG key for the places.

    Raises:
        ValueError: If x has no axis of space, one is too small to be reflected, or the padding is
            not one integer of 0 or more.

    >>> series = jnp.arange(4.0).reshape(1, 4, 1)
    >>> crop(series, 1, key=jax.random.key(1)).shape
    (1, 4, 1)
    """
    x = as_array(x)
    space = _space_of(x)
    padding = check_integer("padding", padding, 0, advice="It counts positions on each side.")
    if not 0 <= padding < min(space):
        raise ValueError(
            f"padding must be less than each size of space, got padding {padding} for x [batch, "
            f"*space, channels] of shape {x.shape}. Reflect fewer positions."
        )
    padded = jnp.pad(x, ((0, 0), *((padding, padding) for _ in space), (0, 0)), mode="reflect")
    starts = jax.random.randint(key, (x.shape[0], len(space)), 0, 2 * padding + 1)

    def window(example: Array, start: Array) -> Array:
        return jax.lax.dynamic_slice(example, (*start, 0), x.shape[1:])

    return jax.vmap(window)(padded, starts)


def cutout(
    x: Shaped[Array, "batch *space channels"], size: int | Integer[Array, ""], *, key: PRNGKeyArray
) -> Shaped[Array, "batch *space channels"]:
    """Set a square at a random place to 0.

    The center of the square is any position of the example; of a square at the edge, only the part
    inside is set.

    DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017),
    https://arxiv.org/abs/1708.04552

    Args:
        x: Examples [batch, *space, channels]. Their mean should be 0, so that a hole is no signal.
        size: Number of positions of the square along each axis. It may be traced.
        key: PRNG key for the places.

    Raises:
        ValueError: If x has no axis of space, or the size is not one number of 0 or more.

    >>> holes = cutout(jnp.ones((1, 4, 1)), 1, key=jax.random.key(0))
    >>> float(holes.sum())
    3.0
    """
    x = as_array(x)
    space = _space_of(x)
    check_number("size", size, NOT_NEGATIVE, "It counts positions along each axis.")
    is_hole = jnp.ones((x.shape[0], *(1 for _ in x.shape[1:])), bool)
    axis_keys = jax.random.split(key, len(space))
    for axis, (axis_key, length) in enumerate(zip(axis_keys, space, strict=True), start=1):
        start = jax.random.randint(axis_key, (x.shape[0],), 0, length) - size // 2  # [batch]
        position = jnp.arange(length).reshape(length, *(1 for _ in x.shape[axis + 1 :]))
        is_hole &= (position >= _per_example(start, x)) & (position < _per_example(start + size, x))
    return jnp.where(is_hole, jnp.zeros((), x.dtype), x)


def noise(x: Float[Array, "*shape"], std: Number, *, key: PRNGKeyArray) -> Float[Array, "*shape"]:
    """Add normal noise, which for series is also called jitter.

    y = x + std e,  e ~ N(0, 1)

    Args:
        x: Examples of any shape.
        std: Standard deviation of the noise, in the units of x. It may be traced.
        key: PRNG key for the noise.

    Raises:
        TypeError: If x is not of floating point, to which no noise can be added.
        ValueError: If std is not one number of 0 or more.

    >>> noise(jnp.zeros(2), 0.0, key=jax.random.key(0)).tolist()
    [0.0, 0.0]
    """
    x = as_array(x)
    _check_floating(x)
    check_number("std", std, NOT_NEGATIVE, "It is a standard deviation in the units of x.")
    return (x + std * jax.random.normal(key, x.shape)).astype(x.dtype)


def mixup(
    x: Float[Array, "batch *shape"],
    targets: Shaped[Array, "batch *outputs"],
    alpha: Number,
    *,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "batch *shape"], Float[Array, "batch *outputs"]]:
    """Mix each example and its target with another, randomly chosen one of the batch.

    y_i = s_i x_i + (1 - s_i) x_j(i),  s_i ~ Beta(alpha, alpha),  j a random permutation

    The targets are mixed with the same s and j.

    Zhang et al., mixup: Beyond Empirical Risk Minimization (2018), https://arxiv.org/abs/1710.09412

    Args:
        x: Examples [batch, ...].
        targets: One-hot rows, `jax.nn.one_hot(y, classes)`, or the numbers of a regression.
        alpha: Concentration of the shares: 0 mixes nothing, 1 draws all shares with equal
            probability. It may be traced.
        key: PRNG key for partners and shares.

    Raises:
        TypeError: If x or the targets are integers, such as bytes or labels, which cannot hold a
            mixture.
        ValueError: If x and the targets differ in their number of rows, or alpha is not one number
            of 0 or more.
    """
    x, targets = as_arrays(x, targets)
    _check_floating(x)
    if not jnp.issubdtype(targets.dtype, jnp.floating):
        raise TypeError(
            f"targets of mixup must be of floating point, got {targets.dtype}. Pass "
            "jax.nn.one_hot(y, classes), or the numbers of a regression as floats."
        )
    if x.shape[:1] != targets.shape[:1] or not x.ndim:
        raise ValueError(
            f"x and targets of mixup must have as many rows, got shapes {x.shape} and "
            f"{targets.shape}. Give each example its target."
        )
    check_number("alpha", alpha, NOT_NEGATIVE, "0 mixes nothing; a usual value is 0.2.")
    partner_key, share_key = jax.random.split(key)
    partner = jax.random.permutation(partner_key, x.shape[0])
    concentration = jnp.maximum(alpha, 1e-6)
    share = jax.random.beta(share_key, concentration, concentration, (x.shape[0],))
    share = jnp.where(alpha > 0, share, 1.0)

    def mix(values: Array) -> Array:
        weight = _per_example(share, values)
        return (weight * values + (1 - weight) * values[partner]).astype(values.dtype)

    return mix(x), mix(targets)


def _check_floating(x: Array) -> None:
    """Raise TypeError for integers, which would be truncated or wrap around."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"x must be of floating point, got {x.dtype}. Pass x.astype(float), scaled as the "
            "model expects it."
        )


def _space_of(x: Array) -> tuple[int, ...]:
    """Return the sizes of the axes between the examples and the channels, at least one."""
    if x.ndim < 3:
        raise ValueError(
            f"x must be [batch, *space, channels] with an axis of space, got shape {x.shape}. "
            "Pass x[..., None] if the channels are missing."
        )
    return x.shape[1:-1]


def _per_example(values: Array, like: Array) -> Array:
    """Reshape [batch] to [batch, 1, ...], with as many axes as `like`."""
    return values.reshape(values.shape[0], *(1 for _ in like.shape[1:]))
