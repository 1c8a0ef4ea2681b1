"""Feed-forward networks."""

import itertools
from collections.abc import Callable, Sequence

import jax
from flax import nnx

from jnn._signature import with_signature
from jnn.models._output import output_layer
from jnn.modules import Dense, Dropout


@with_signature
class MLP(nnx.Module):
    """A multi-layer perceptron: dense layers, each hidden one with an activation and dropout.

    h_0 = x, h_i = dropout(f(h_{i-1} W_i + b_i)), y = h_n W + b. Rumelhart, Hinton & Williams
    (1986). A layer from m to n units has (m + 1) n parameters: `MLP(64, (128,), 10)` has 9 610.

    Args:
        inputs: Number of features of a row; x of shape [batch, ...] is flattened to
            [batch, inputs].
        hidden: Number of units of each hidden layer; empty for a linear model.
        outputs: Number of classes, or of targets of a regression; y is [batch, outputs], without
            activation. None to return the last hidden units.
        activation: Activation f of the hidden layers.
        dropout_rate: Share of the hidden units that is dropped in training, which members may set
            by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int | None,
        *,
        activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        sizes = (inputs, *hidden)
        self.hidden = nnx.List([Dense(m, n, rngs=rngs) for m, n in itertools.pairwise(sizes)])
        self.output = output_layer(sizes[-1], outputs, rngs=rngs)
        self.activation = activation
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs: [batch, ...] -> [batch, outputs]."""
        x = jax.lax.collapse(x, 1)
        for layer in self.hidden:
            x = self.dropout(self.activation(layer(x)))
        return self.output(x)
