"""Networks that hold many smaller ones: which of them a member is, is a number, so that one program trains them all.

The numbers are `jnn.Hyper` variables: `jnn.grid(width_1=[8, 16, 32], activation=[0, 1])` makes a population of six
architectures. A masked network equals the smaller one with the same weights; its initial weights are drawn for the
whole network, and its steps cost as much as those of the whole. Pham et al. (2018), arXiv:1802.03268.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import avg_pool, conv, global_avg_pool, max_pool
from jnn.model import Hyper
from jnn.modules import Dense
from jnn.modules._dropout import dropout_or_none

ACTIVATIONS = (jax.nn.relu, jnp.tanh, jax.nn.gelu, jax.nn.silu)


class SuperMLP(nnx.Module):
    """All multi-layer perceptrons up to a depth and a width.

    Members may set
    - `depth`: hidden layers, 1 to the largest; layers above it hand on what they get;
    - `width_1`, `width_2`, ...: units of each hidden layer, 1 to the largest;
    - `activation`: the place in `activations`, one for the whole network;
    - `dropout_rate`, unless it is None.

    Args:
        inputs: Features of a row; x of shape [batch, ...] is flattened.
        width: Largest number of units of a hidden layer.
        depth: Largest number of hidden layers.
        outputs: Classes, or targets of a regression.
        activations: To choose from.
        dropout_rate: Share of hidden units dropped in training; None for no dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If width or depth is below 1.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        depth: int,
        outputs: int,
        *,
        activations: Sequence[Callable[[jax.Array], jax.Array]] = ACTIVATIONS,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        if min(width, depth) < 1:
            raise ValueError(
                f"wanted a width and a depth of at least 1, but got {width} and {depth}"
            )
        self.hidden = nnx.List(
            [Dense(width if i else inputs, width, rngs=rngs) for i in range(depth)]
        )
        self.output = Dense(width, outputs, rngs=rngs)
        self.activations = tuple(activations)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        self.depth = Hyper(jnp.float32(depth), choices=range(1, depth + 1))
        self.activation = Hyper(jnp.float32(0), choices=range(len(self.activations)))
        for i in range(depth):
            setattr(self, f"width_{i + 1}", Hyper(jnp.float32(width), choices=range(1, width + 1)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, ...] -> [batch, outputs]."""
        x = jax.lax.collapse(x, 1)
        for i, layer in enumerate(self.hidden):
            y = _chosen(self.activation[...], self.activations, layer(x))
            y = self.dropout(y)
            y = y * _first(getattr(self, f"width_{i + 1}")[...], y)
            x = jnp.where(i < self.depth[...], y, x) if i else y
        return self.output(x)


class SuperCNN(nnx.Module):
    """All convolutional networks up to some widths and window sizes: convolution, relu, pooling; mean; linear layer.

    Members may set
    - `width_1`, `width_2`, ...: maps of each convolution, 1 to the largest;
    - `window_1`, ...: its window, an odd number up to the largest: the middle of the kernel;
    - `pool_1`, ...: 0 for max-pooling after it, 1 for average-pooling, 2 for none but every second pixel.

    Args:
        channels: Of an image; its sides have at least 2^layers pixels.
        maps: Largest number of maps of each convolution.
        outputs: Classes.
        window: Largest window of the convolutions; odd.
        rngs: Stream `params`.

    Raises:
        ValueError: If the window is not odd.
    """

    def __init__(
        self, channels: int, maps: Sequence[int], outputs: int, *, window: int = 5, rngs: nnx.Rngs
    ):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"wanted an odd largest window, but got {window}; use e.g. 5")
        draw = nnx.initializers.he_normal()
        sizes = list(zip([channels, *maps], maps, strict=False))
        self.kernels = nnx.List(
            [nnx.Param(draw(rngs.params(), (window, window, a, b))) for a, b in sizes]
        )
        self.biases = nnx.List([nnx.Param(jnp.zeros(b)) for _, b in sizes])
        self.output = Dense(maps[-1], outputs, rngs=rngs)
        for i, width in enumerate(maps):
            for name, value, choices in (
                ("width", width, range(1, width + 1)),
                ("window", window, range(1, window + 1, 2)),
                ("pool", 0, range(len(_POOLS))),
            ):
                setattr(self, f"{name}_{i + 1}", Hyper(jnp.float32(value), choices=choices))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, outputs]."""
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True), 1):
            width, window, pool = (
                getattr(self, f"{name}_{i}")[...] for name in ("width", "window", "pool")
            )
            seen = _middle(window, kernel.shape[0])
            masked = jnp.where((seen[:, None] & seen)[..., None, None], kernel[...], 0)
            y = jax.nn.relu(conv(x, masked, bias[...]))
            x = _chosen(pool, _POOLS, y) * _first(width, y)
        return self.output(global_avg_pool(x))


def _every_second(x: jax.Array) -> jax.Array:
    return x[:, : x.shape[1] // 2 * 2 : 2, : x.shape[2] // 2 * 2 : 2]


_POOLS = (lambda x: max_pool(x, 2), lambda x: avg_pool(x, 2), _every_second)


def _chosen(number: jax.Array, functions: Sequence[Callable], x: jax.Array) -> jax.Array:
    """functions[number](x), by computing all of them: under vmap a branch would do the same."""
    y = functions[0](x)
    for i, function in enumerate(functions[1:], 1):
        y = jnp.where(number == i, function(x), y)
    return y


def _first(count: jax.Array, x: jax.Array) -> jax.Array:
    """1 for the first `count` channels of x, 0 for the others."""
    return (jnp.arange(x.shape[-1]) < count).astype(x.dtype)


def _middle(count: jax.Array, size: int) -> jax.Array:
    """True at the middle `count` of `size` places, both odd."""
    return 2 * jnp.abs(jnp.arange(size) - size // 2) < count
