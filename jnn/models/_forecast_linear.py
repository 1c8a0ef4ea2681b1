"""Linear maps from the past of a series to its future, which many deep forecasters do not beat."""

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import avg_pool
from jnn.models._form import check_rows


class NLinear(nnx.Module):
    """One linear map over time of what the series is above its last value: y = (x - x_last) W + b + x_last.

    Zeng et al. (2023), arXiv:2205.13504. `NLinear(336, 96)` has 32 352 parameters.

    Args:
        length: Time steps of the input.
        horizon: Time steps of the output.
        channels: Of the series; asked for only if `individual`.
        individual: Whether each channel has a map of its own rather than all one.
        rngs: Stream `params`.

    Raises:
        ValueError: If a call's x is of another length, or of other channels if `individual`.
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
        self.kernel, self.bias = _line(length, horizon, copies, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, length, channels] -> [batch, horizon, channels]."""
        _check(x, self.kernel)
        last = x[:, -1:]
        return _over_time(x - last, self.kernel[...], self.bias[...]) + last


class DLinear(nnx.Module):
    """A linear map over time of the trend and another one of the rest: y = t W_t + b_t + (x - t) W_r + b_r.

    t is the moving average of x over `window` steps, the series' ends repeated outside. Zeng et al. (2023),
    arXiv:2205.13504. `DLinear(336, 96)` has 64 704 parameters.

    Args:
        length: Time steps of the input.
        horizon: Time steps of the output.
        channels: Of the series; asked for only if `individual`.
        individual: Whether each channel has maps of its own rather than all one pair.
        window: Time steps of the moving average; odd.
        rngs: Stream `params`.

    Raises:
        ValueError: If the window is even, or a call's x is of another length, or of other channels if `individual`.
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
            raise ValueError(
                f"wanted an odd window of the moving average, but got {window}; use e.g. 25"
            )
        copies, self.window = channels if individual else None, window
        self.trend_kernel, self.trend_bias = _line(length, horizon, copies, rngs)
        self.rest_kernel, self.rest_bias = _line(length, horizon, copies, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, length, channels] -> [batch, horizon, channels]."""
        _check(x, self.trend_kernel)
        # The average could be taken of the kernels, and the two products be one: on a CPU that is no faster.
        reach = self.window // 2
        trend = avg_pool(
            jnp.pad(x, [(0, 0), (reach, reach), (0, 0)], mode="edge"), self.window, strides=1
        )
        y = _over_time(trend, self.trend_kernel[...], self.trend_bias[...])
        return y + _over_time(x - trend, self.rest_kernel[...], self.rest_bias[...])


def _check(x: jax.Array, kernel: nnx.Param) -> None:
    *copies, length, _ = kernel.shape
    check_rows(x, length, copies[0] if copies else None)


def _over_time(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """y[b, h, c] = sum over t of x[b, t, c] kernel[t, h, c] + bias[h, c]; a kernel without c serves all channels."""
    if kernel.ndim == 2:
        return jnp.swapaxes(jnp.swapaxes(x, 1, 2) @ kernel + bias, 1, 2)
    return jnp.einsum("btc,cth->bhc", x, kernel) + bias.T


def _line(
    length: int, horizon: int, copies: int | None, rngs: nnx.Rngs
) -> tuple[nnx.Param, nnx.Param]:
    """Kernel and bias, uniform within 1 / sqrt(length), as the authors' code has it."""
    first = () if copies is None else (copies,)
    kernel, bias = (
        jax.random.uniform(rngs.params(), (*first, *shape), jnp.float32, -1, 1) / length**0.5
        for shape in ((length, horizon), (horizon,))
    )
    return nnx.Param(kernel), nnx.Param(bias)
