"""The cell space of NAS-Bench-201 as one network, of which each member is one architecture.

Dong and Yang, NAS-Bench-201 (2020), https://arxiv.org/abs/2001.00326. A cell has four nodes and six
edges. Node 0 is the input of the cell, and each later node is the sum of its edges from all earlier
nodes. Each edge is one of five operations, the same in all cells: 5^6 = 15,625 architectures.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import avg_pool, batch_norm, batch_norm_train, conv, global_avg_pool
from jnn.model import Hyper
from jnn.models._cells import CELL_OPERATIONS, EDGES
from jnn.models._output import output_layer
from jnn.modules import BatchNorm, Conv

# What PyTorch draws kernels from by default, as the benchmark did: uniform within 1 / sqrt(inputs).
_KERNEL = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_MOMENTUM = 0.9
_WINDOWS = {"conv_1x1": 1, "conv_3x3": 3}


@with_signature
class CellNet(nnx.Module):
    """All 15,625 networks of NAS-Bench-201.

    A 3x3 convolution; three stages of cells, with `channels`, twice and four times as many maps;
    between them residual blocks that halve the sides; batch normalization and ReLU, the mean over
    space and a linear layer. A convolution of a cell is ReLU, convolution and batch normalization.

    Members may set `edge_1` to `edge_6`, the operations of the edges, as indices into
    `jnn.models.CELL_OPERATIONS`; by default all are 3x3 convolutions. The edges are in the order of
    the benchmark's text `|1~0|+|2~0|3~1|+|4~0|5~1|6~2|`, see `jnn.models.cell_edges`.

    The parameters of both convolutions exist for each edge. Those of an operation that is not
    chosen do nothing. Members that train one at a time compute only what their edges choose;
    members under one `vmap` compute all operations.

    The initial parameters are drawn as PyTorch draws them by default.

    If it is mixed, each edge is the sum of all five operations, weighted by the softmax of a
    parameter `mixture_edge_1` .. `mixture_edge_6` [5], members set no edges, and the
    normalization of a cell has no scale and no bias; see `jnn.search.darts`.

    Args:
        channels: Number of maps of the first stage.
        cells: Number of cells of each stage.
        classes: Number of classes; None to return the mean of the last maps over space.
        inputs: Number of channels of an image.
        mixed: Whether the edges are mixtures of operations.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If a size is below 1.
    """

    def __init__(
        self,
        channels: int = 16,
        cells: int = 5,
        classes: int | None = 10,
        *,
        inputs: int = 3,
        mixed: bool = False,
        rngs: nnx.Rngs,
    ):
        sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        for name, size in sizes.items():
            if (name, size) != ("classes", None):
                check_integer(name, size, least=1)
        widths = [channels, 2 * channels, 4 * channels]
        self.stem = _conv(inputs, channels, 3, rngs=rngs)
        self.stem_norm = _norm(channels, rngs=rngs)
        self.stages = nnx.List([_Stage(cells, width, rngs=rngs) for width in widths])
        self.blocks = nnx.List([_Block(width, rngs=rngs) for width in widths[:2]])
        self.norm = _norm(widths[2], rngs=rngs)
        bias = functools.partial(_uniform, widths[2] ** -0.5)
        self.output = output_layer(
            widths[2], classes, kernel_init=_KERNEL, bias_init=bias, rngs=rngs
        )
        self.mixed = mixed
        choices = range(len(CELL_OPERATIONS))
        strongest = CELL_OPERATIONS.index("nor_conv_3x3")
        for i in range(1, len(EDGES) + 1):
            if mixed:
                logits = 1e-3 * jax.random.normal(rngs.params(), (len(choices),))
                setattr(self, f"mixture_edge_{i}", nnx.Param(logits))
            else:
                setattr(self, f"edge_{i}", Hyper(jnp.float32(strongest), choices=choices))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, inputs] -> [batch, classes]."""
        name = "mixture_edge_{}" if self.mixed else "edge_{}"
        numbers = [getattr(self, name.format(i))[...] for i in range(1, len(EDGES) + 1)]
        edges = jnp.stack(numbers)
        edges = jax.nn.softmax(edges, axis=-1) if self.mixed else edges.astype(jnp.int32)
        x = self.stem_norm(self.stem(x))
        x = self.stages[0](x, edges)
        for block, stage in zip(self.blocks, self.stages[1:], strict=True):
            x = stage(block(x), edges)
        return self.output(global_avg_pool(jax.nn.relu(self.norm(x))))


class _Block(nnx.Module):
    """A residual block that doubles the maps and halves the sides."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.conv1 = _conv(channels, 2 * channels, 3, 2, rngs=rngs)
        self.norm1 = _norm(2 * channels, rngs=rngs)
        self.conv2 = _conv(2 * channels, 2 * channels, 3, rngs=rngs)
        self.norm2 = _norm(2 * channels, rngs=rngs)
        self.shortcut = _conv(channels, 2 * channels, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm1(self.conv1(jax.nn.relu(x)))
        y = self.norm2(self.conv2(jax.nn.relu(y)))
        return y + self.shortcut(avg_pool(x, 2, padding="SAME"))


class _Stage(nnx.Module):
    """Cells of equal size, one after the other."""

    def __init__(self, cells: int, channels: int, *, rngs: nnx.Rngs):
        self.conv_1x1 = _Convolutions(cells, channels, 1, rngs=rngs)
        self.conv_3x3 = _Convolutions(cells, channels, 3, rngs=rngs)

    def __call__(self, x: jax.Array, edges: jax.Array) -> jax.Array:
        """Return the output of the last cell, of the shape of x."""
        convolutions = {name: getattr(self, name) for name in _WINDOWS}
        training = not self.conv_3x3.use_running_average

        def cell(x: jax.Array, layers: Any) -> tuple[jax.Array, Any]:
            return _cell(x, edges, layers, training)

        layers = {name: module.arrays() for name, module in convolutions.items()}
        x, statistics = jax.lax.scan(cell, x, layers)
        if training:
            for name, module in convolutions.items():
                module.mean[...], module.var[...] = statistics[name]
        return x


class _Convolutions(nnx.Module):
    """The convolutions of one size with their batch normalization, [cells, edges, ...].

    They are stacked, so that one compiled cell serves all cells of a stage.
    """

    def __init__(self, cells: int, channels: int, window: int, *, rngs: nnx.Rngs):
        lead = (cells, len(EDGES))
        keys = jax.random.split(rngs.params(), lead)
        shape = (window, window, channels, channels)
        draw = jax.vmap(jax.vmap(lambda key: _KERNEL(key, shape, jnp.float32)))
        self.kernel = nnx.Param(draw(keys))
        self.scale = nnx.Param(jnp.ones((*lead, channels)))
        self.bias = nnx.Param(jnp.zeros((*lead, channels)))
        self.mean = nnx.BatchStat(jnp.zeros((*lead, channels)))
        self.var = nnx.BatchStat(jnp.ones((*lead, channels)))
        self.use_running_average = False  # Flax's train() and eval() set it

    def arrays(self) -> dict[str, jax.Array]:
        """Return the parameters and statistics."""
        names = ("kernel", "scale", "bias", "mean", "var")
        return {name: getattr(self, name)[...] for name in names}


def _cell(x: jax.Array, edges: jax.Array, layers: Any, training: bool) -> tuple[jax.Array, Any]:
    """Return the last node of a cell, and the running statistics after it."""
    nodes: dict[int, jax.Array] = {0: x}
    statistics = []
    for i, (source, target) in enumerate(EDGES):
        layer = jax.tree.map(lambda a, i=i: a[i], layers)
        y, after = _edge_once(nodes[source], layer, training, edges[i])
        nodes[target] = nodes[target] + y if target in nodes else y
        statistics.append(after)
    return nodes[3], jax.tree.map(lambda *a: jnp.stack(a), *statistics)


def _recomputed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of (x, layer, training, ...) that its gradient computes again.

    Otherwise each branch of a switch would fill with zeros what all the others remember. For most
    cells that takes longer than to compute their convolutions twice.
    """
    return jax.checkpoint(function, static_argnums=(2,), prevent_cse=False)


def _edge(
    x: jax.Array, layer: Any, training: bool, number: jax.Array
) -> tuple[jax.Array, dict[str, Any]]:
    """Return the operation of this number on x, and the running statistics after it.

    Only the operation that is chosen is computed, unless the number has a vmapped axis.

    Args:
        number: Index of the operation; or the weights of all operations, of whose sum x becomes.
        x: Maps [batch, height, width, channels].
        layer: Parameters and statistics of the convolutions by name.
        training: Whether batches are normalized by their own statistics.
    """
    if number.ndim:  # scales would do what the weights of a mixture are to do
        layer = {name: _unscaled(arrays) for name, arrays in layer.items()}
    before = {name: (arrays["mean"], arrays["var"]) for name, arrays in layer.items()}

    def convolution(name: str) -> Any:
        def operation(x: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
            y, after = _recomputed(_relu_conv_norm)(x, layer[name], training)
            return y.astype(x.dtype), {**before, name: after}

        return operation

    operations = {
        "none": lambda x: (jnp.zeros_like(x), before),
        "skip_connect": lambda x: (x, before),
        "nor_conv_1x1": convolution("conv_1x1"),
        "nor_conv_3x3": convolution("conv_3x3"),
        "avg_pool_3x3": lambda x: (avg_pool(x, 3, strides=1, padding="SAME"), before),
    }
    in_order = [operations[name] for name in CELL_OPERATIONS]
    if number.ndim == 0:
        return jax.lax.switch(number, in_order, x)
    return _mixture(number, [operation(x) for operation in in_order], before)


def _unscaled(arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return the arrays of a convolution whose normalization has no scale and no bias."""
    ones, zeros = jnp.ones_like(arrays["scale"]), jnp.zeros_like(arrays["bias"])
    return {**arrays, "scale": ones, "bias": zeros}


def _mixture(
    weights: jax.Array, results: list[tuple[jax.Array, dict[str, Any]]], before: dict[str, Any]
) -> tuple[jax.Array, dict[str, Any]]:
    """Return the weighted sum of all operations, and the statistics of their convolutions."""
    outputs = jnp.stack([y for y, _ in results])
    mixed = jnp.tensordot(weights.astype(outputs.dtype), outputs, axes=1)
    after = {name: results[CELL_OPERATIONS.index(f"nor_{name}")][1][name] for name in before}
    return mixed, after


# Edges of equal shapes are traced once.
_edge_once = jax.jit(_recomputed(_edge), static_argnums=(2,))


def _relu_conv_norm(
    x: jax.Array, layer: dict[str, jax.Array], training: bool
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Return norm(conv(relu(x))), and the running statistics after it."""
    y = conv(jax.nn.relu(x), layer["kernel"])
    mean, var = layer["mean"], layer["var"]
    if not training:
        return batch_norm(y, mean, var, layer["scale"], layer["bias"]), (mean, var)
    y, (batch_mean, batch_var) = batch_norm_train(y, layer["scale"], layer["bias"])
    mean = _MOMENTUM * mean + (1 - _MOMENTUM) * batch_mean
    var = _MOMENTUM * var + (1 - _MOMENTUM) * batch_var
    return y, (mean.astype(layer["mean"].dtype), var.astype(layer["var"].dtype))


def _uniform(bound: float, key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _conv(channels: int, maps: int, window: int, stride: int = 1, *, rngs: nnx.Rngs) -> Conv:
    return Conv(
        channels,
        maps,
        (window, window),
        stride,
        padding=window // 2,
        use_bias=False,
        kernel_init=_KERNEL,
        rngs=rngs,
    )


def _norm(maps: int, *, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(maps, momentum=_MOMENTUM, rngs=rngs)
