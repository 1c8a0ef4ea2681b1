"""What a piece of work costs, counted on paper: operations and least memory traffic.

XLA counts the body of a loop once, however often it runs, so its counts do not serve here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LEARNING_RATE = 1e-3

Shape = Sequence[int]


class Product(NamedTuple):
    """A kernel of a network.

    Attributes:
        positions: Number of places of an example that the kernel is used at.
        inputs: Number of inputs at each place.
        outputs: Number of outputs at each place.
        data: Number of those inputs that are read from the rows, so that nobody asks for their
            gradient.
    """

    positions: int
    inputs: int
    outputs: int
    data: int = 0


@dataclass(frozen=True)
class Budget:
    """How much one job trains: members, epochs of each, rows in a batch."""

    members: int
    epochs: int
    batch_size: int


@dataclass(frozen=True)
class Workload:
    """The rows of a job with a fixed split, and the network that learns them.

    Attributes:
        train_x: Rows that are trained on.
        train_y: Their targets.
        test_x: Rows that are scored.
        test_y: Their targets.
        network: Name by which the contenders know the network.
        layers: Kernels of the network.
        source: Where the rows come from, for the report.
        again: Further products of a step with the same kernels.
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    network: str
    layers: tuple[Product, ...]
    source: str
    again: tuple[Product, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of a fully connected network, input first."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of updates in one epoch, the last short batch included."""
        return -(-len(self.train_x) // batch_size)


def step_flops(layers: tuple[Product, ...], batch_size: int) -> int:
    """Return the floating-point operations of one training step.

    Each product forward has two backward, but none to the data.
    """
    return batch_size * sum(2 * p.positions * (3 * p.inputs - p.data) * p.outputs for p in layers)


def forward_flops(layers: tuple[Product, ...], batch_size: int) -> float:
    """Return the floating-point operations of one prediction."""
    return batch_size * sum(2.0 * p.positions * p.inputs * p.outputs for p in layers)


def step_bytes(layers: tuple[Product, ...], batch_size: int) -> float:
    """Return the least memory traffic of one Adam step in float32.

    It is the traffic of the optimizer (`traffic`) and the reading of the input rows.
    """
    parameters = sum((layer.inputs + 1) * layer.outputs for layer in layers)
    inputs = max(layers[0].positions, layers[0].inputs)
    return traffic(parameters) + 4 * batch_size * inputs


def conv(x: Shape, kernel: Shape, strides: int = 1) -> float:
    """Return 2 x batch x places x window x in x out, with padding "SAME"."""
    places = math.prod(-(-n // strides) for n in x[1:-1])
    return 2.0 * x[0] * places * math.prod(kernel)


def dense(x: Shape, kernel: Shape) -> float:
    """Return 2 x rows x in x out."""
    return 2.0 * math.prod(x[:-1]) * math.prod(kernel)


def attention(batch: int, time: int, heads: int, dim: int, causal: bool = False) -> float:
    """Return the operations of attention: two products of time x time for each head.

    Half of them are not needed under a causal mask.
    """
    return 4.0 * batch * heads * time**2 * dim / (2 if causal else 1)


def transformer(
    batch: int, time: int, width: int, depth: int, heads: int, causal: bool, outputs: int
) -> float:
    """Return the operations of a transformer's forward pass.

    They are those of 12 width^2 kernel entries for each block and token, of attention, and of the
    last layer.
    """
    tokens = batch * time
    per_head = attention(batch, time, heads, width // heads, causal)
    blocks = depth * (2.0 * tokens * 12 * width**2 + per_head)
    return blocks + 2.0 * (tokens if causal else batch) * width * outputs


def resnet20(images: int = 1) -> float:
    """Return the operations of ResNet-20 on 32x32 images.

    After the stem come three stages of three blocks of two convolutions.
    """
    total = conv((1, 32, 32, 3), (3, 3, 3, 16))
    for stage, side in enumerate((32, 16, 8)):
        maps = 16 << stage
        inputs = maps // 2 if stage else maps
        total += conv((1, side, side, inputs), (3, 3, inputs, maps))
        total += 5 * conv((1, side, side, maps), (3, 3, maps, maps))
    return images * (total + 2 * 64 * 10)


def resnet18(images: int = 1) -> float:
    """Return the operations of ResNet-18 on 32x32 images.

    After the stem come four stages of two blocks of two convolutions, with a 1x1 convolution where
    the number of maps doubles.
    """
    total = conv((1, 32, 32, 3), (3, 3, 3, 64))
    for stage, side in enumerate((32, 16, 8, 4)):
        maps = 64 << stage
        inputs = maps // 2 if stage else maps
        total += conv((1, side, side, inputs), (3, 3, inputs, maps))
        total += 3 * conv((1, side, side, maps), (3, 3, maps, maps))
        if stage:
            total += conv((1, side, side, inputs), (1, 1, inputs, maps))
    return images * (total + 2 * 512 * 10)


def training(forward: float) -> float:
    """Return the operations of a training step: a product backward for each of two operands."""
    return 3 * forward


def traffic(parameters: float) -> float:
    """Return the bytes of an Adam step in float32 that no cache spares a large network.

    There are nine passes over the parameters. Forward and update read the parameters once each and
    the update writes them; both moments are read and written; the gradient is written and read.
    What activations move depends on what is fused, and is not counted.
    """
    return 4.0 * 9 * parameters


def elements(shapes: Mapping[str, Shape]) -> int:
    """Return the number of elements in all arrays."""
    return sum(math.prod(shape) for shape in shapes.values())
