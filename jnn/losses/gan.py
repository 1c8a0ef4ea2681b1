"""Adversarial losses: each is a pair of losses, one for the discriminator and one for the generator.

`discriminator(predictions, targets)` takes the discriminator's raw outputs and targets 1 for real, 0 for fake examples;
`generator(predictions)` takes its raw outputs on fakes. Both give one value per example, to be minimised.

non_saturating   -log sigmoid(D(real)) - log(1 - sigmoid(D(fake)));   -log sigmoid(D(fake))
least_squares    (D(real) - 1)^2 + D(fake)^2;                         (D(fake) - 1)^2
hinge            max(0, 1 - D(real)) + max(0, 1 + D(fake));           -D(fake)
wasserstein      D(fake) - D(real);                                   -D(fake)

(non_saturating: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661; least_squares: Mao et al. 2016,
https://arxiv.org/abs/1611.04076; hinge: Miyato et al. 2018, https://arxiv.org/abs/1802.05957; wasserstein: Arjovsky et
al. 2017, https://arxiv.org/abs/1701.07875)

>>> hinge.discriminator(jnp.array([0.5, -2.0]), jnp.array([1, 0])).tolist()
[0.5, 0.0]
>>> hinge.generator(jnp.array([-2.0])).tolist()
[2.0]
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jnn.losses._classification import binary_cross_entropy, binary_hinge
from jnn.losses._form import as_float, mean_over_outputs, paired
from jnn.losses._regression import squared_error


class Adversarial(NamedTuple):
    """The two sides of one game."""

    discriminator: Callable[[Float[Array, "..."], Shaped[Array, "..."]], Float[Array, "..."]]
    generator: Callable[[Float[Array, "..."]], Float[Array, "..."]]


def gradient_penalty(
    critic: Callable[[Float[Array, "batch *shape"]], Float[Array, "..."]],
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    *,
    key: PRNGKeyArray,
) -> Float[Array, " batch"]:
    """The penalty that keeps a Wasserstein critic's slope near 1, per example; usually weighted by 10.

    (||d critic(z) / dz|| - 1)^2,  z = e real + (1 - e) fake,  e uniform in [0, 1]

    Gulrajani et al., Improved Training of Wasserstein GANs (2017), https://arxiv.org/abs/1704.00028

    Raises:
        ValueError: If real and fake have not one shape.

    >>> real, fake = jnp.ones((2, 3)), jnp.zeros((2, 3))
    >>> gradient_penalty(lambda z: z @ jnp.array([3.0, 0.0, 4.0]), real, fake, key=jax.random.key(0))
    Array([16., 16.], dtype=float32)
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"wanted real and fake of one shape, but got {real.shape} and {fake.shape}; pair them"
        )
    share = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1), real.dtype)
    between = share * real + (1 - share) * fake
    slope = jax.grad(lambda z: as_float(critic(z)).sum())(between)  # [batch, *shape]
    norm = optax.safe_norm(
        as_float(slope).reshape(len(real), math.prod(real.shape[1:])), 0.0, axis=1
    )
    return (norm - 1) ** 2


def _negative(predictions: Float[Array, "..."]) -> Float[Array, "..."]:
    """-D(fake)."""
    return mean_over_outputs(-as_float(predictions))


def _wasserstein_critic(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """D(fake) - D(real), one side at a time."""
    outputs, is_real = paired(predictions, targets)
    return mean_over_outputs(jnp.where(is_real > 0, -outputs, outputs))


def _as_real(
    loss: Callable[..., Float[Array, "..."]],
) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """The generator's side of a loss by which fakes shall pass for real."""

    def generator(predictions: Float[Array, "..."]) -> Float[Array, "..."]:
        return loss(predictions, jnp.ones_like(predictions))

    return generator


non_saturating = Adversarial(binary_cross_entropy, _as_real(binary_cross_entropy))
least_squares = Adversarial(squared_error, _as_real(squared_error))
hinge = Adversarial(binary_hinge, _negative)
wasserstein = Adversarial(_wasserstein_critic, _negative)
