"""Random changes of a batch that leave its labels true, as pure functions on the device.

All take x [batch, *space, channels] and a key, draw anew for every example, and keep shape and dtype. They go into a
study as one function of the batch,

    def augment(batch, *, key):
        flip_key, crop_key = jax.random.split(key)
        return batch._replace(x=crop(flip(batch.x, key=flip_key), 4, key=crop_key))

    jnn.Study(..., augment=augment)

and every member draws from its own key. A series [batch, time, channels] has one axis of space: `crop` shifts it in
time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray, Shaped

Number = float | int | Shaped[Array, ""]


def flip(
    x: Shaped[Array, "batch *shape"], rate: Number = 0.5, *, key: PRNGKeyArray, axis: int = -2
) -> Shaped[Array, "batch *shape"]:
    """Mirror a random share of the examples.

    Args:
        x: [batch, ...].
        rate: The share that is mirrored, 0 to 1; it may be traced.
        key: For the choice of examples.
        axis: The axis that is reversed: left and right of an image by default.

    Raises:
        ValueError: If the axis is that of the examples, or none.

    >>> flip(jnp.arange(3.0).reshape(1, 3, 1), 1.0, key=jax.random.key(0)).ravel()
    Array([2., 1., 0.], dtype=float32)
    """
    if axis not in (*range(1, x.ndim), *range(1 - x.ndim, 0)):
        raise ValueError(
            f"wanted an axis of the examples, but got axis {axis} of shape {x.shape}; axis 0 counts them"
        )
    is_flipped = jax.random.bernoulli(key, rate, (x.shape[0],))
    return jnp.where(_per_example(is_flipped, x), jnp.flip(x, axis), x)


def crop(
    x: Shaped[Array, "batch *space channels"], padding: int, *, key: PRNGKeyArray
) -> Shaped[Array, "batch *space channels"]:
    """Pad every axis of space by reflection, and cut the original size out at a random place.

    The content moves by -padding..padding along each axis, all of them equally likely; what was outside is filled with
    the mirror image of what is inside, without its edge.

    Args:
        x: [batch, *space, channels].
        padding: Positions on each side, at most one less than the smallest axis of space.
        key: For the places.

    Raises:
        ValueError: If there is no axis of space, or one is too small to be reflected.
    """
    space = _space_of(x)
    if not 0 <= padding < min(space):
        raise ValueError(
            f"wanted padding below each size of space, but got x [batch, *space, channels] of shape {x.shape} and "
            f"padding {padding}; reflect fewer positions"
        )
    padded = jnp.pad(x, ((0, 0), *((padding, padding) for _ in space), (0, 0)), mode="reflect")
    starts = jax.random.randint(key, (x.shape[0], len(space)), 0, 2 * padding + 1)
    return jax.vmap(lambda image, start: jax.lax.dynamic_slice(image, (*start, 0), x.shape[1:]))(
        padded, starts
    )


def cutout(
    x: Shaped[Array, "batch *space channels"], size: int | Integer[Array, ""], *, key: PRNGKeyArray
) -> Shaped[Array, "batch *space channels"]:
    """Set a square at a random place to 0: the part of it that lies inside, for its centre may be at the edge.

    (DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552)

    Args:
        x: [batch, *space, channels]; 0 should be the mean, so that a hole is no signal.
        size: Positions of the square along each axis; it may be traced.
        key: For the places.

    Raises:
        ValueError: If there is no axis of space.
    """
    space = _space_of(x)
    is_hole = jnp.ones((x.shape[0], *(1 for _ in x.shape[1:])), bool)
    for axis, (axis_key, length) in enumerate(
        zip(jax.random.split(key, len(space)), space, strict=True), start=1
    ):
        start = jax.random.randint(axis_key, (x.shape[0],), 0, length) - size // 2  # [batch]
        position = jnp.arange(length).reshape(length, *(1 for _ in x.shape[axis + 1 :]))
        is_hole &= (position >= _per_example(start, x)) & (position < _per_example(start + size, x))
    return jnp.where(is_hole, jnp.zeros((), x.dtype), x)


def noise(x: Float[Array, "*shape"], std: Number, *, key: PRNGKeyArray) -> Float[Array, "*shape"]:
    """Add normal noise: y = x + std * e,  e ~ N(0, 1); for series also called jitter.

    Args:
        x: Any shape.
        std: The noise's standard deviation, in the units of x; it may be traced.
        key: For the noise.

    Raises:
        ValueError: If x is not of floating point, to which no noise can be added.
    """
    x = jnp.asarray(x)
    _check_floating(x)
    return (x + std * jax.random.normal(key, x.shape)).astype(x.dtype)


def mixup(
    x: Float[Array, "batch *shape"],
    targets: Shaped[Array, "batch *outputs"],
    alpha: Number,
    *,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "batch *shape"], Float[Array, "batch *outputs"]]:
    """Mix each example and its target with those of another, randomly chosen one of the batch.

    y_i = s_i x_i + (1 - s_i) x_j(i),  s_i ~ Beta(alpha, alpha),  j a random permutation; the targets alike
    (Zhang et al. 2018, https://arxiv.org/abs/1710.09412)

    Args:
        x: [batch, ...].
        targets: One-hot rows, `jax.nn.one_hot(y, classes)`, or the numbers of a regression.
        alpha: 0 mixes nothing, 1 mixes evenly; it may be traced.
        key: For partners and shares.

    Raises:
        ValueError: If x or the targets are integers, such as bytes or labels, of which no mixture can be kept.
    """
    x, targets = jnp.asarray(x), jnp.asarray(targets)
    _check_floating(x)
    if not jnp.issubdtype(targets.dtype, jnp.floating):
        raise ValueError(
            f"wanted targets that can be mixed, but got {targets.dtype}; pass jax.nn.one_hot(y, classes), or a "
            "regression's numbers as floats"
        )
    partner_key, share_key = jax.random.split(key)
    partner = jax.random.permutation(partner_key, x.shape[0])
    concentration = jnp.maximum(alpha, 1e-6)
    share = jax.random.beta(share_key, concentration, concentration, (x.shape[0],))
    share = jnp.where(alpha > 0, share, 1.0)

    def mixed(values: Array) -> Array:
        weight = _per_example(share, values)
        return (weight * values + (1 - weight) * values[partner]).astype(values.dtype)

    return mixed(x), mixed(targets)


def _check_floating(x: Array) -> None:
    """Refuse whole numbers, which would be cut off or begin anew."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"wanted x of floating point, but got {x.dtype}; pass x.astype(float), scaled as the model wants it"
        )


def _space_of(x: Array) -> tuple[int, ...]:
    """The sizes of the axes between those of the examples and of the channels, at least one."""
    if x.ndim < 3:
        raise ValueError(
            f"wanted x [batch, *space, channels] with an axis of space, but got shape {x.shape}; pass x[..., None] if "
            "the channels are missing"
        )
    return x.shape[1:-1]


def _per_example(values: Array, like: Array) -> Array:
    """[batch] -> [batch, 1, ...], with as many axes as `like`."""
    return values.reshape(values.shape[0], *(1 for _ in like.shape[1:]))
