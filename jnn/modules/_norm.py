"""Normalization: Flax's modules with variances computed as E[(x - E[x])^2], in two passes.

Flax computes E[x^2] - E[x]^2 by default, in one pass, which loses precision when the mean is large
compared with the standard deviation. As in `jnn.layers`, one of the values is subtracted from all
before, which takes out exactly a mean that float32 could not hold. Names, parameters, statistics
and the other defaults are those of Flax.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import first_along, minus_first_of_groups
from jnn.model import promote_but_statistics

_ZEROS = nnx.initializers.zeros_init()
_ONES = nnx.initializers.ones_init()


@with_signature
class BatchNorm(nnx.BatchNorm):
    """Batch normalization: y = (x - mean) / sqrt(var + epsilon) * scale + bias.

    Ioffe and Szegedy (2015), arXiv:1502.03167. Mean and variance are those of the batch, over all
    axes but the last, in training, otherwise the running averages. The parameters are `scale` and
    `bias`, the statistics `mean` and `var`, each [num_features]. Input and output have the shape
    [*batch, num_features].

    >>> import jax.numpy as jnp
    >>> BatchNorm(3, rngs=nnx.Rngs(0))(jnp.ones((8, 3))).shape
    (8, 3)

    Args:
        num_features: Number of features, the size of the last axis of x.
        use_running_average: Whether to normalize by the running averages. `jnn.as_model` sets it;
            elsewhere call `train()` or `eval()` of the network.
        momentum: Share of the old running average that is kept at each step:
            average = momentum * average + (1 - momentum) * statistic of the batch.
        epsilon: Number added to the variance.
        use_bias: Whether to add a learned bias.
        use_scale: Whether to multiply by a learned scale.
        bias_init: Initializer of the bias.
        scale_init: Initializer of the scale.
        use_fast_variance: Whether to compute the variance as E[x^2] - E[x]^2, in one pass, instead
            of E[(x - E[x])^2].
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.BatchNorm`, such as `dtype`.
    """

    def __init__(
        self,
        num_features: int,
        *,
        use_running_average: bool | None = False,
        momentum: float = 0.99,
        epsilon: float = 1e-5,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: nnx.Initializer = _ZEROS,
        scale_init: nnx.Initializer = _ONES,
        use_fast_variance: bool = False,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            num_features,
            use_running_average=use_running_average,
            momentum=momentum,
            epsilon=epsilon,
            use_bias=use_bias,
            use_scale=use_scale,
            bias_init=bias_init,
            scale_init=scale_init,
            use_fast_variance=use_fast_variance,
            rngs=rngs,
            **{"promote_dtype": promote_but_statistics, **options},
        )

    def __call__(
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """Normalize x, [*batch, num_features], over the positions where `mask` is True.

        `use_running_average` takes the place of the module's own.
        """
        running = self.use_running_average if use_running_average is None else use_running_average
        if running is not False:
            return super().__call__(x, use_running_average, mask=mask)
        axes = [axis for axis in range(x.ndim) if axis not in _positive(x, self.axis)]
        pivot = _pivot(x, axes, mask)
        if self.axis_name is not None:  # all devices must subtract the same
            groups = self.axis_index_groups
            pivot = jax.lax.pmean(pivot, self.axis_name, axis_index_groups=groups)
        y = super().__call__(x - pivot, use_running_average, mask=mask)
        if pivot.ndim:
            self.mean[...] += (1 - self.momentum) * pivot.reshape(self.mean.shape)
        return y


@with_signature
class LayerNorm(nnx.LayerNorm):
    """Layer normalization: y = (x - mean) / sqrt(var + epsilon) * scale + bias.

    Ba et al. (2016), arXiv:1607.06450. Mean and variance are those of the last axis of each row.
    The parameters are `scale` and `bias`, each [num_features]. Input and output have the shape
    [*batch, num_features].

    Args:
        num_features: Number of features, the size of the last axis of x.
        epsilon: Number added to the variance.
        use_bias: Whether to add a learned bias.
        use_scale: Whether to multiply by a learned scale.
        bias_init: Initializer of the bias.
        scale_init: Initializer of the scale.
        use_fast_variance: Whether to compute the variance as E[x^2] - E[x]^2, in one pass, instead
            of E[(x - E[x])^2].
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.LayerNorm`, such as `dtype`.
    """

    def __init__(
        self,
        num_features: int,
        *,
        epsilon: float = 1e-6,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: nnx.Initializer = _ZEROS,
        scale_init: nnx.Initializer = _ONES,
        use_fast_variance: bool = False,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            num_features,
            epsilon=epsilon,
            use_bias=use_bias,
            use_scale=use_scale,
            bias_init=bias_init,
            scale_init=scale_init,
            use_fast_variance=use_fast_variance,
            rngs=rngs,
            **options,
        )

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Normalize x, [*batch, num_features], by the positions where `mask` is True."""
        if self.axis_name is not None:
            return super().__call__(x, mask=mask)
        return super().__call__(x - _pivot(x, _positive(x, self.reduction_axes), mask), mask=mask)


@with_signature
class RMSNorm(nnx.RMSNorm):
    """Normalization by the root mean square: y = x / sqrt(E[x^2] + epsilon) * scale.

    Zhang and Sennrich (2019), arXiv:1910.07467. The mean is that of the last axis of each row. The
    parameter is `scale` [num_features]. Input and output have the shape [*batch, num_features].

    It computes as `flax.nnx.RMSNorm` does, which subtracts no mean and so loses no precision; the
    class documents the arguments that all norms share.

    Args:
        num_features: Number of features, the size of the last axis of x.
        epsilon: Number added to the mean square.
        use_scale: Whether to multiply by a learned scale.
        scale_init: Initializer of the scale.
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.RMSNorm`, such as `dtype`.
    """

    def __init__(
        self,
        num_features: int,
        *,
        epsilon: float = 1e-6,
        use_scale: bool = True,
        scale_init: nnx.Initializer = _ONES,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            num_features,
            epsilon=epsilon,
            use_scale=use_scale,
            scale_init=scale_init,
            rngs=rngs,
            **options,
        )


@with_signature
class GroupNorm(nnx.GroupNorm):
    """Group normalization: y = (x - mean) / sqrt(var + epsilon) * scale + bias.

    Wu and He (2018), arXiv:1803.08494. Mean and variance are those of each row over space and a
    group of neighboring channels. The parameters are `scale` and `bias`, each [num_features]. Input
    and output have the shape [batch, *spatial, num_features].

    Args:
        num_features: Number of features, the size of the last axis of x.
        num_groups: Number of groups; None if `group_size` is given.
        group_size: Number of channels of a group, in place of `num_groups`.
        epsilon: Number added to the variance.
        use_bias: Whether to add a learned bias.
        use_scale: Whether to multiply by a learned scale.
        bias_init: Initializer of the bias.
        scale_init: Initializer of the scale.
        use_fast_variance: Whether to compute the variance as E[x^2] - E[x]^2, in one pass, instead
            of E[(x - E[x])^2].
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.GroupNorm`, such as `dtype`.

    Raises:
        ValueError: If the groups do not divide the features.
    """

    def __init__(
        self,
        num_features: int,
        num_groups: int | None = 32,
        group_size: int | None = None,
        *,
        epsilon: float = 1e-6,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: nnx.Initializer = _ZEROS,
        scale_init: nnx.Initializer = _ONES,
        use_fast_variance: bool = False,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            num_features,
            num_groups,
            group_size,
            epsilon=epsilon,
            use_bias=use_bias,
            use_scale=use_scale,
            bias_init=bias_init,
            scale_init=scale_init,
            use_fast_variance=use_fast_variance,
            rngs=rngs,
            **options,
        )

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Normalize x, [batch, *spatial, num_features], by the positions where `mask` is True."""
        is_plain = mask is None and self.reduction_axes is None and self.axis_name is None
        if is_plain and _has_pivot(x) and x.shape[-1] == self.num_groups * self.group_size:
            x = minus_first_of_groups(x, self.num_groups)
        return super().__call__(x, mask=mask)


def _pivot(x: jax.Array, axes: Sequence[int], mask: jax.Array | None) -> jax.Array:
    """Return a value near to all others along the axes, to be subtracted from them; 0 if in vain.

    It is the first value, or the mean of those where the mask is True.
    """
    if not _has_pivot(x):
        return jnp.zeros((), x.dtype)
    if mask is None:
        return first_along(x, tuple(axes))
    mean = x.mean(axis=tuple(axes), keepdims=True, where=mask)
    return jax.lax.stop_gradient(jnp.where(jnp.isnan(mean), 0, mean))


def _has_pivot(x: jax.Array) -> bool:
    """Return whether float32 may fail to hold the mean of x: not of bfloat16, float16, integers."""
    return jnp.issubdtype(x.dtype, jnp.floating) and jnp.finfo(x.dtype).bits >= 32


def _positive(x: jax.Array, axes: int | Sequence[int]) -> list[int]:
    """Return axes counted from the first."""
    return [axis % x.ndim for axis in ([axes] if isinstance(axes, int) else axes)]
