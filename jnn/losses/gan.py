"""Adversarial losses: pairs of a loss for the discriminator and one for the generator.

`discriminator(predictions, targets)` takes the discriminator's raw outputs and targets 1 for real
and 0 for fake examples. `generator(predictions)` takes its raw outputs on fake examples. Both
return one value per example, to be minimized. The losses of the two relativistic games take the raw
outputs of both kinds, `discriminator(real, fake)` and `generator(real, fake)`, pair by pair.

minimax          -log sigmoid(D(real)) - log(1 - sigmoid(D(fake)));   log(1 - sigmoid(D(fake)))
non_saturating   -log sigmoid(D(real)) - log(1 - sigmoid(D(fake)));   -log sigmoid(D(fake))
least_squares    (D(real) - 1)^2 + D(fake)^2;                         (D(fake) - 1)^2
hinge            max(0, 1 - D(real)) + max(0, 1 + D(fake));           -D(fake)
wasserstein      D(fake) - D(real);                                   -D(fake)

relativistic
    -log sigmoid(D(real) - D(fake));
    -log sigmoid(D(fake) - D(real))
relativistic_average, with the means R of D(real) and F of D(fake) over the batch:
    -log sigmoid(D(real) - F) - log(1 - sigmoid(D(fake) - R));
    -log sigmoid(D(fake) - R) - log(1 - sigmoid(D(real) - F))

Sources:
    minimax, non_saturating: Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661
    relativistic, relativistic_average: Jolicoeur-Martineau, 2018, https://arxiv.org/abs/1807.00734
    least_squares: Mao et al., 2016, https://arxiv.org/abs/1611.04076
    hinge: Miyato et al., 2018, https://arxiv.org/abs/1802.05957
    wasserstein: Arjovsky et al., 2017, https://arxiv.org/abs/1701.07875

>>> hinge.discriminator(jnp.array([0.5, -2.0]), jnp.array([1, 0])).tolist()
[0.5, 0.0]
>>> hinge.generator(jnp.array([-2.0])).tolist()
[2.0]
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jnn._arrays import as_array, as_arrays
from jnn._targets import as_float, paired
from jnn.losses._classification import binary_cross_entropy, binary_hinge
from jnn.losses._form import mean_over_outputs
from jnn.losses._regression import squared_error

__all__ = [
    "Adversarial",
    "Relativistic",
    "gradient_penalty",
    "hinge",
    "least_squares",
    "minimax",
    "non_saturating",
    "relativistic",
    "relativistic_average",
    "squared_slope",
    "wasserstein",
]


class Adversarial(NamedTuple):
    """The losses of the two players of one game.

    Attributes:
        discriminator: `discriminator(predictions, targets)`, one value per example.
        generator: `generator(predictions)` of the predictions on fake examples, one value per
            example.
    """

    discriminator: Callable[[Float[Array, "..."], Shaped[Array, "..."]], Float[Array, "..."]]
    generator: Callable[[Float[Array, "..."]], Float[Array, "..."]]


class Relativistic(NamedTuple):
    """The losses of the two players of a game in which real examples are compared with fake ones.

    Attributes:
        discriminator: `discriminator(real, fake)` of the predictions on real and on fake examples,
            one value per pair.
        generator: `generator(real, fake)`, likewise.
    """

    discriminator: Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]
    generator: Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]


def gradient_penalty(
    critic: Callable[[Float[Array, "batch *shape"]], Float[Array, "..."]],
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    *,
    key: PRNGKeyArray,
    center: float = 1.0,
) -> Float[Array, " batch"]:
    """Return the penalty that keeps the slope of a Wasserstein critic near 1, per example.

    (||d critic(z) / dz|| - center)^2,  z = e real + (1 - e) fake,  e uniform in [0, 1]

    It is usually added to the critic's loss with a weight of 10.

    Gulrajani et al., Improved Training of Wasserstein GANs (2017), https://arxiv.org/abs/1704.00028

    Args:
        critic: Function from examples to raw outputs.
        real: Real examples.
        fake: Generated examples, one for each real example.
        key: PRNG key for e.
        center: The slope that is not penalized; 0 for the zero-centered penalty of Thanh-Tung et
            al. (2019), https://arxiv.org/abs/1902.03984

    Raises:
        ValueError: If real and fake differ in shape.

    >>> real, fake = jnp.ones((2, 3)), jnp.zeros((2, 3))
    >>> critic = lambda z: z @ jnp.array([3.0, 0.0, 4.0])
    >>> gradient_penalty(critic, real, fake, key=jax.random.key(0))
    Array([16., 16.], dtype=float32)
    """
    real, fake = as_arrays(real, fake)
    if real.shape != fake.shape:
        raise ValueError(
            f"real and fake must have one shape, got {real.shape} and {fake.shape}. "
            "Pair each real example with one fake."
        )
    share = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1), real.dtype)
    between = share * real + (1 - share) * fake
    return (optax.safe_norm(_slopes(critic, between), 0.0, axis=1) - center) ** 2


def squared_slope(
    critic: Callable[[Float[Array, "batch *shape"]], Float[Array, "..."]],
    x: Float[Array, "batch *shape"],
) -> Float[Array, " batch"]:
    """Return the squared length of the gradient of a critic by its input, per example.

    ||d critic(x) / dx||^2

    Half of it, times a weight gamma, is the penalty R1 at real examples and R2 at fake ones.

    Mescheder et al., Which Training Methods for GANs do actually Converge? (2018),
    https://arxiv.org/abs/1801.04406

    Args:
        critic: Function from examples to raw outputs.
        x: Examples.

    >>> squared_slope(lambda x: x @ jnp.array([3.0, 4.0]), jnp.ones((1, 2)))
    Array([25.], dtype=float32)
    """
    return jnp.sum(_slopes(critic, as_array(x)) ** 2, axis=1)


def _slopes(
    critic: Callable[[Float[Array, "batch *shape"]], Float[Array, "..."]],
    x: Float[Array, "batch *shape"],
) -> Float[Array, "batch size"]:
    """Return the gradient by each example, flattened to rows."""
    slope = jax.grad(lambda x: as_float(critic(x)).sum())(x)  # [batch, *shape]
    return as_float(slope).reshape(len(x), math.prod(x.shape[1:]))


def _negative(predictions: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return -D(fake)."""
    return mean_over_outputs(-as_float(predictions))


def _wasserstein_critic(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Return -D for real and D for fake examples, whose sum is D(fake) - D(real)."""
    outputs, is_real = paired(predictions, targets)
    return mean_over_outputs(jnp.where(is_real > 0, -outputs, outputs))


def _detected(predictions: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log(1 - sigmoid(D(fake)))."""
    return -binary_cross_entropy(predictions, jnp.zeros_like(as_array(predictions)))


def _not_above(
    lower: Float[Array, "..."], upper: Float[Array, "..."], *, swapped: bool = False
) -> Float[Array, "..."]:
    """Return -log sigmoid(lower - upper), or with the two swapped."""
    first, second = paired(lower, upper)
    difference = second - first if swapped else first - second
    return mean_over_outputs(jax.nn.softplus(-difference))


def _not_above_mean(
    real: Float[Array, "..."], fake: Float[Array, "..."], *, swapped: bool = False
) -> Float[Array, "..."]:
    """Return -log sigmoid(real - mean fake) - log(1 - sigmoid(fake - mean real)), or swapped."""
    real, fake = paired(real, fake)
    first, second = (fake, real) if swapped else (real, fake)
    above = jax.nn.softplus(-(first - second.mean(axis=0)))
    below = jax.nn.softplus(second - first.mean(axis=0))
    return mean_over_outputs(above + below)


def _as_real(
    loss: Callable[..., Float[Array, "..."]], predictions: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the loss of fake examples that should pass for real."""
    return loss(predictions, jnp.ones_like(as_array(predictions)))


non_saturating = Adversarial(binary_cross_entropy, partial(_as_real, binary_cross_entropy))
"""The generator maximizes log sigmoid(D(fake)), so that its slope does not vanish."""

least_squares = Adversarial(squared_error, partial(_as_real, squared_error))
"""Squared distances of the outputs from 1 for real and 0 for fake examples."""

hinge = Adversarial(binary_hinge, _negative)
"""Outputs beyond a margin of 1 on the right side cost the discriminator nothing."""

wasserstein = Adversarial(_wasserstein_critic, _negative)
"""The difference of the mean outputs, of a critic whose slope is bounded."""

minimax = Adversarial(binary_cross_entropy, _detected)
"""The zero-sum game of the first paper, whose slope for the generator vanishes early."""

relativistic = Relativistic(_not_above, partial(_not_above, swapped=True))
"""Whether a real example looks more real than the fake one beside it."""

relativistic_average = Relativistic(_not_above_mean, partial(_not_above_mean, swapped=True))
"""Whether an example looks more real than the mean of the other kind."""
