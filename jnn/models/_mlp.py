"""Feed-forward networks."""

import itertools
from collections.abc import Callable, Sequence

import jax
from flax import nnx

from jnn.modules import Dense
from jnn.modules._dropout import dropout_or_none


class MLP(nnx.Module):
    """A multi-layer perceptron: dense layers with an activation and optional dropout after each hidden one.

    h_0 = x, h_i = dropout(f(h_{i-1} W_i + b_i)), y = h_n W + b. Rumelhart, Hinton & Williams (1986).
    (i + 1) h_1 + ... parameters: `MLP(64, (128,), 10)` has 9 610.

    Args:
        inputs: Features of a row; x of shape [batch, ...] is flattened to [batch, inputs].
        hidden: Units of each hidden layer; empty for a linear model.
        outputs: Classes, or targets of a regression; y is [batch, outputs], without activation.
        activation: f.
        dropout_rate: Share of hidden units dropped in training, which members may set by that name; None for no
            dropout at all.
        rngs: Streams `params` and `dropout`.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        sizes = (inputs, *hidden)
        self.hidden = nnx.List([Dense(a, b, rngs=rngs) for a, b in itertools.pairwise(sizes)])
        self.output = Dense(sizes[-1], outputs, rngs=rngs)
        self.activation = activation
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, ...] -> [batch, outputs]."""
        x = jax.lax.collapse(x, 1)
        for layer in self.hidden:
            x = self.activation(layer(x))
            x = self.dropout(x)
        return self.output(x)
