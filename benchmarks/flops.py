"""Operations and least memory traffic, counted on paper: XLA counts the body of a loop once, however often it runs."""

import math
from collections.abc import Mapping, Sequence

Shape = Sequence[int]


def conv(x: Shape, kernel: Shape, strides: int = 1) -> float:
    """2 x batch x places x window x in x out, with padding "SAME"."""
    places = math.prod(-(-n // strides) for n in x[1:-1])
    return 2.0 * x[0] * places * math.prod(kernel)


def dense(x: Shape, kernel: Shape) -> float:
    """2 x rows x in x out."""
    return 2.0 * math.prod(x[:-1]) * math.prod(kernel)


def attention(batch: int, time: int, heads: int, dim: int, causal: bool = False) -> float:
    """Two products of time x time for each head; half of them are not needed under a causal mask."""
    return 4.0 * batch * heads * time**2 * dim / (2 if causal else 1)


def transformer(
    batch: int, time: int, width: int, depth: int, heads: int, causal: bool, outputs: int
) -> float:
    """Forward pass: 12 width^2 kernel entries for each block and token, attention, the last layer."""
    tokens = batch * time
    blocks = depth * (
        2.0 * tokens * 12 * width**2 + attention(batch, time, heads, width // heads, causal)
    )
    return blocks + 2.0 * (tokens if causal else batch) * width * outputs


def training(forward: float) -> float:
    """A product backward for each of the two operands."""
    return 3 * forward


def traffic(parameters: float) -> float:
    """Bytes of an Adam step in float32 that no cache spares a large network: nine passes over the parameters.

    Forward and update read the parameters once each and the update writes them; both moments are read and written; the
    gradient is written and read. What activations move depends on what is fused, and is not counted.
    """
    return 4.0 * 9 * parameters


def elements(shapes: Mapping[str, Shape]) -> int:
    """Numbers in all arrays."""
    return sum(math.prod(shape) for shape in shapes.values())
