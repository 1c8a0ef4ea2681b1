"""Linear maps from the past of a series to its future, which many deep forecasters do not beat."""

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import avg_pool, broadcast_parameter
from jnn.models._shape import check_shape


@with_signature
class NLinear(nnx.Module):
    """A linear map over time of the series minus its last value: y = (x - x_last) W + b + x_last.

    Zeng et al. (2023), arXiv:2205.13504. `NLinear(336, 96)` has 32 352 parameters.

    Args:
        length: Number of time steps of the input.
        horizon: Number of time steps of the output.
        channels: Number of channels of the series; it only matters if `individual`.
        individual: Whether each channel has a map of its own; otherwise all share one.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If a call's x has another length, or other channels if `individual`.
    """

    def __init__(
        self,
        length: int,
        horizon: int,
        channels: int = 1,
        *,
        individual: bool = False,
        rngs: nnx.Rngs,
    ):
        copies = channels if individual else None
        self.kernel, self.bias = _linear_map(length, horizon, copies, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the future: [batch, length, channels] -> [batch, horizon, channels]."""
        _check_series(x, self.kernel)
        last = x[:, -1:]
        return _over_time(x - last, self.kernel[...], self.bias[...]) + last


@with_signature
class DLinear(nnx.Module):
    """A linear map over time of the trend and one of the rest: y = t W_t + b_t + (x - t) W_r + b_r.

    t is the moving average of x over `window` steps, where the first and the last value are
    repeated outside the series. Zeng et al. (2023), arXiv:2205.13504. `DLinear(336, 96)` has 64 704
    parameters.

    Args:
        length: Number of time steps of the input.
        horizon: Number of time steps of the output.
        channels: Number of channels of the series; it only matters if `individual`.
        individual: Whether each channel has a pair of maps of its own; otherwise all share one.
        window: Number of time steps of the moving average; odd.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the window is even, or if a call's x has another length, or other channels if
            `individual`.
    """

    def __init__(
        self,
        length: int,
        horizon: int,
        channels: int = 1,
        *,
        individual: bool = False,
        window: int = 25,
        rngs: nnx.Rngs,
    ):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be an odd positive integer, got {window}. Use e.g. 25.")
        copies = channels if individual else None
        self.window = window
        self.trend_kernel, self.trend_bias = _linear_map(length, horizon, copies, rngs)
        self.rest_kernel, self.rest_bias = _linear_map(length, horizon, copies, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the future: [batch, length, channels] -> [batch, horizon, channels]."""
        _check_series(x, self.trend_kernel)
        # Averaging the kernels instead would leave one product: on a CPU that is no faster.
        reach = self.window // 2
        padded = jnp.pad(x, [(0, 0), (reach, reach), (0, 0)], mode="edge")
        trend = avg_pool(padded, self.window, strides=1)
        y = _over_time(trend, self.trend_kernel[...], self.trend_bias[...])
        return y + _over_time(x - trend, self.rest_kernel[...], self.rest_bias[...])


def _check_series(x: jax.Array, kernel: nnx.Param) -> None:
    *copies, length, _ = kernel.shape
    check_shape(x, length, copies[0] if copies else None)


def _over_time(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return y[b, h, c] = sum over t of x[b, t, c] kernel[c, t, h] + bias[c, h].

    A kernel [t, h] and a bias [h] serve all channels.
    """
    if kernel.ndim == 2:
        y = jnp.swapaxes(x, 1, 2) @ kernel
        return jnp.swapaxes(y + broadcast_parameter(bias, y.shape), 1, 2)
    y = jnp.einsum("btc,cth->bhc", x, kernel)
    return y + broadcast_parameter(bias.T, y.shape)


def _linear_map(
    length: int, horizon: int, copies: int | None, rngs: nnx.Rngs
) -> tuple[nnx.Param, nnx.Param]:
    """Draw kernel and bias, uniform within 1 / sqrt(length) as in the authors' code."""
    channels = () if copies is None else (copies,)

    def draw(*shape):
        uniform = jax.random.uniform(rngs.params(), (*channels, *shape), jnp.float32, -1, 1)
        return nnx.Param(uniform / length**0.5)

    kernel = draw(length, horizon)
    bias = draw(horizon)
    return kernel, bias
