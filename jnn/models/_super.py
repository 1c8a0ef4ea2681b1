"""Networks that contain smaller ones, so that one program trains many architectures.

The architecture of a member is a few numbers, which are `jnn.Hyper` variables:
`jnn.grid(width_1=[8, 16, 32], activation=[0, 1])` makes a population of six architectures. A masked
network equals the smaller one with the same weights. Its initial weights are drawn for the whole
network, and a step costs as much as one of the whole network. Pham et al. (2018), arXiv:1802.03268.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import avg_pool, conv, global_avg_pool, max_pool
from jnn.model import Hyper
from jnn.modules import Dense, Dropout

ACTIVATIONS = (jax.nn.relu, jnp.tanh, jax.nn.gelu, jax.nn.silu)


@with_signature
class SuperMLP(nnx.Module):
    """All multi-layer perceptrons up to a depth and a width.

    Members may set
    - `depth`: number of hidden layers, from 1 to the largest; the layers above do nothing;
    - `width_1`, `width_2`, ...: number of units of each hidden layer, from 1 to the largest;
    - `activation`: index into `activations`, one for the whole network;
    - `dropout_rate`, unless it is None.

    Args:
        inputs: Number of features of a row; x of shape [batch, ...] is flattened.
        width: Largest number of units of a hidden layer.
        depth: Largest number of hidden layers.
        outputs: Number of classes, or of targets of a regression.
        activations: Activations that members choose from.
        dropout_rate: Share of the hidden units that is dropped in training; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

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
                f"width and depth must be at least 1, got width={width} and depth={depth}. Set "
                "them to the largest sizes that members may choose."
            )
        sizes = [inputs] + [width] * (depth - 1)
        self.hidden = nnx.List([Dense(size, width, rngs=rngs) for size in sizes])
        self.output = Dense(width, outputs, rngs=rngs)
        self.activations = tuple(activations)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        self.depth = Hyper(jnp.float32(depth), choices=range(1, depth + 1))
        self.activation = Hyper(jnp.float32(0), choices=range(len(self.activations)))
        for i in range(1, depth + 1):
            setattr(self, f"width_{i}", Hyper(jnp.float32(width), choices=range(1, width + 1)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs: [batch, ...] -> [batch, outputs]."""
        x = jax.lax.collapse(x, 1)
        for i, layer in enumerate(self.hidden):
            y = _select(self.activation[...], self.activations, layer(x))
            y = self.dropout(y)
            y = y * _leading_ones(getattr(self, f"width_{i + 1}")[...], y)
            x = y if i == 0 else jnp.where(i < self.depth[...], y, x)
        return self.output(x)


@with_signature
class SuperCNN(nnx.Module):
    """All convolutional networks up to some widths and window sizes.

    Convolution, relu and pooling in each layer; then the mean over space and a linear layer.

    Members may set
    - `width_1`, `width_2`, ...: number of maps of each convolution, from 1 to the largest;
    - `window_1`, ...: size of its window, the middle of the kernel: an odd number up to the
      largest;
    - `pool_1`, ...: 0 for max-pooling after it, 1 for average-pooling, 2 for every second pixel.

    Args:
        channels: Number of channels of an image, whose sides have at least 2^layers pixels.
        maps: Largest number of maps of each convolution.
        outputs: Number of classes.
        window: Largest size of the windows; odd.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the window is not odd.
    """

    def __init__(
        self, channels: int, maps: Sequence[int], outputs: int, *, window: int = 5, rngs: nnx.Rngs
    ):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be an odd positive integer, got {window}. Use e.g. 5.")
        draw = nnx.initializers.he_normal()
        shapes = [
            (window, window, inputs, width)
            for inputs, width in zip([channels, *maps], maps, strict=False)
        ]
        self.kernels = nnx.List([nnx.Param(draw(rngs.params(), shape)) for shape in shapes])
        self.biases = nnx.List([nnx.Param(jnp.zeros(width)) for width in maps])
        self.output = Dense(maps[-1], outputs, rngs=rngs)
        for i, width in enumerate(maps, 1):
            widths = Hyper(jnp.float32(width), choices=range(1, width + 1))
            setattr(self, f"width_{i}", widths)
            windows = Hyper(jnp.float32(window), choices=range(1, window + 1, 2))
            setattr(self, f"window_{i}", windows)
            setattr(self, f"pool_{i}", Hyper(jnp.float32(0), choices=range(len(_POOLS))))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True), 1):
            width = getattr(self, f"width_{i}")[...]
            window = getattr(self, f"window_{i}")[...]
            pool = getattr(self, f"pool_{i}")[...]
            taps = _is_middle(window, kernel.shape[0])
            masked = jnp.where((taps[:, None] & taps)[..., None, None], kernel[...], 0)
            y = jax.nn.relu(conv(x, masked, bias[...]))
            x = _select(pool, _POOLS, y) * _leading_ones(width, y)
        return self.output(global_avg_pool(x))


def _max_pool(x: jax.Array) -> jax.Array:
    return max_pool(x, 2)


def _avg_pool(x: jax.Array) -> jax.Array:
    return avg_pool(x, 2)


def _subsample(x: jax.Array) -> jax.Array:
    """Take every second pixel of an even number of them."""
    return x[:, : x.shape[1] // 2 * 2 : 2, : x.shape[2] // 2 * 2 : 2]


_POOLS = (_max_pool, _avg_pool, _subsample)


def _select(
    index: jax.Array, functions: Sequence[Callable[[jax.Array], jax.Array]], x: jax.Array
) -> jax.Array:
    """Return functions[index](x); all are computed, as those of a branch would be under vmap."""
    y = functions[0](x)
    for i, function in enumerate(functions[1:], 1):
        y = jnp.where(index == i, function(x), y)
    return y


def _leading_ones(count: jax.Array, x: jax.Array) -> jax.Array:
    """Return 1 for the first `count` channels of x and 0 for the others."""
    return (jnp.arange(x.shape[-1]) < count).astype(x.dtype)


def _is_middle(count: jax.Array, size: int) -> jax.Array:
    """Return whether each of `size` places is among the middle `count`; both are odd."""
    return 2 * jnp.abs(jnp.arange(size) - size // 2) < count
