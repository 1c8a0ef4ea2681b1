"""Recurrent layers over whole sequences: stacked, in both directions, with lengths and carries.

The parameters of each cell have the names, shapes and gate order of Flax's fused cells, so that
their weights load as they are: `nnx.OptimizedLSTMCell` (i, f, g, o), `nnx.GRUCell` (r, z, n) and
`nnx.SimpleCell`. `split_lstm` and `fuse_lstm` convert to and from the eight layers of
`nnx.LSTMCell`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import bidirectional, gru, lstm, rnn
from jnn.modules._dropout import Dropout

_LECUN = nnx.initializers.lecun_normal()
_ORTHOGONAL = nnx.initializers.orthogonal()
_ZEROS = nnx.initializers.zeros_init()

RecurrentFunction = Callable[..., tuple[Any, jax.Array]]


class Inits(NamedTuple):
    """The initializers of a cell."""

    kernel: nnx.Initializer
    recurrent_kernel: nnx.Initializer
    bias: nnx.Initializer


class Cell(nnx.Module):
    """The parameters of one recurrent layer in one direction.

    `dense_i` multiplies the inputs, `dense_h` the state.
    """

    def __init__(
        self, inputs: int, hidden: int, columns: int, *, biases: str, inits: Inits, rngs: nnx.Rngs
    ):
        self.dense_i = nnx.Linear(
            inputs,
            columns,
            use_bias="i" in biases,
            kernel_init=inits.kernel,
            bias_init=inits.bias,
            rngs=rngs,
        )
        self.dense_h = nnx.Linear(
            hidden,
            columns,
            use_bias="h" in biases,
            kernel_init=inits.recurrent_kernel,
            bias_init=inits.bias,
            rngs=rngs,
        )

    def params(self) -> dict[str, jax.Array]:
        """Return the parameters as `jnn.layers.lstm` and its like take them."""
        variables = {
            "input_kernel": self.dense_i.kernel,
            "recurrent_kernel": self.dense_h.kernel,
            "bias": self.dense_i.bias,
            "recurrent_bias": self.dense_h.bias,
        }
        return {name: v[...] for name, v in variables.items() if v is not None}


@with_signature
class Recurrent(nnx.Module):
    """One or more recurrent layers of any cell; `RNN`, `GRU` and `LSTM` are its common forms.

    Args:
        in_features: Number of features of the input at each step.
        hidden_features: Number of units of a layer in one direction.
        layers: Number of layers, each of which reads the outputs of the one before.
        bidirectional: Whether each layer also runs backwards; its output is then the concatenation
            [forward, backward].
        function: The layer as a pure function: `jnn.layers.rnn`, `gru` or `lstm`, or a partial of
            one.
        gates: Number of gates of the cell; the kernels have `gates * hidden_features` columns.
        biases: Products that have a bias: "i" for that of the inputs, "h" for that of the state,
            "ih" (as in PyTorch) for both.
        dropout_rate: Share of a layer's outputs that is dropped before the next layer, which
            members may set by that name; None for no dropout.
        kernel_init: Initializer of the kernels of the inputs.
        recurrent_kernel_init: Initializer of the kernels of the state.
        bias_init: Initializer of the biases; with `jnn.initializers.forget_bias()` an LSTM starts
            with open forget gates.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If there is no layer, no hidden unit or no such bias, or the rate is outside 0
            to 1.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        function: RecurrentFunction,
        gates: int,
        biases: str,
        layers: int = 1,
        bidirectional: bool = False,
        dropout_rate: float | None = None,
        kernel_init: nnx.Initializer = _LECUN,
        recurrent_kernel_init: nnx.Initializer = _ORTHOGONAL,
        bias_init: nnx.Initializer = _ZEROS,
        rngs: nnx.Rngs,
    ):
        _check_sizes(layers, hidden_features, biases)
        self.function = function
        self.out_features = 2 * hidden_features if bidirectional else hidden_features
        make_cell = functools.partial(
            Cell,
            hidden=hidden_features,
            columns=gates * hidden_features,
            biases=biases,
            inits=Inits(kernel_init, recurrent_kernel_init, bias_init),
            rngs=rngs,
        )
        sizes = [in_features] + [self.out_features] * (layers - 1)
        self.cells = nnx.List([make_cell(size) for size in sizes])
        if bidirectional:
            self.reversed_cells = nnx.List([make_cell(size) for size in sizes])
        else:
            self.reversed_cells = None
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(
        self, x: jax.Array, carry: Any = None, *, lengths: jax.Array | None = None
    ) -> tuple[Any, jax.Array]:
        """Run all layers over the sequence.

        Args:
            x: Inputs [*batch, time, in].
            carry: State of each layer, as an earlier call returned it; pairs of states for both
                directions. None for states of zero.
            lengths: Number of steps of each row, [*batch]. Row b ends after `lengths[b]` steps: its
                carry stays from there on and its outputs are 0.

        Returns:
            The carries after the last step, and the outputs [*batch, time, hidden or 2 hidden].

        Raises:
            ValueError: If there is not one carry for each layer.
        """
        carries = [None] * len(self.cells) if carry is None else carry
        if len(carries) != len(self.cells):
            raise ValueError(
                f"carry must have one state for each of the {len(self.cells)} layers, got "
                f"{len(carries)}. Pass the carry that an earlier call returned."
            )
        x, _ = promote_dtype((x, self.cells[0].dense_i.kernel[...]))
        last_carries = []
        for i, first_carry in enumerate(carries):
            if i > 0:
                x = self.dropout(x)
            last_carry, x = self._layer(i, x, first_carry, lengths)
            last_carries.append(last_carry)
        return tuple(last_carries), x

    def _layer(
        self, i: int, x: jax.Array, carry: Any, lengths: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        forward = self.cells[i].params()
        if self.reversed_cells is None:
            return self.function(x, forward, carry, lengths=lengths)
        backward = self.reversed_cells[i].params()
        carries = (None, None) if carry is None else tuple(carry)
        return bidirectional(self.function, x, forward, backward, carry=carries, lengths=lengths)


def _check_sizes(layers: int, hidden_features: int, biases: str) -> None:
    check_integer("layers", layers)
    check_integer("hidden_features", hidden_features)
    if set(biases) - set("ih"):
        raise ValueError(f"biases must be '', 'i', 'h' or 'ih', got {biases!r}. Choose one.")


class RNN(Recurrent):
    """Simple recurrent layers: h_t = tanh(x_t W + h_{t-1} U + b), Elman (1990).

    The parameters of each cell are those of `nnx.SimpleCell`.

    Args:
        in_features: Number of features of the input at each step.
        hidden_features: Number of units of a layer in one direction.
        biases: Products that have a bias, see `Recurrent`.
        function: The layer as a pure function; a partial of `jnn.layers.rnn` may change the
            activation.
        rngs: Keys of the streams `params` and `dropout`.
        **options: Other arguments of `Recurrent`: `layers`, `bidirectional`, `dropout_rate` and the
            initializers.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        biases: str = "i",
        function: RecurrentFunction = rnn,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            in_features,
            hidden_features,
            function=function,
            gates=1,
            biases=biases,
            rngs=rngs,
            **options,
        )


class GRU(Recurrent):
    """Gated recurrent units, Cho et al. (2014), arXiv:1406.1078; equations in `jnn.layers.gru`.

    The reset gate applies after the recurrent product. The parameters of each cell are those of
    `nnx.GRUCell`.

    Args:
        in_features: Number of features of the input at each step.
        hidden_features: Number of units of a layer in one direction.
        biases: Products that have a bias, see `Recurrent`.
        function: The layer as a pure function; a partial of `jnn.layers.gru` may change where the
            reset gate applies.
        rngs: Keys of the streams `params` and `dropout`.
        **options: Other arguments of `Recurrent`: `layers`, `bidirectional`, `dropout_rate` and the
            initializers.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        biases: str = "i",
        function: RecurrentFunction = gru,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            in_features,
            hidden_features,
            function=function,
            gates=3,
            biases=biases,
            rngs=rngs,
            **options,
        )


class LSTM(Recurrent):
    """Long short-term memory, Hochreiter and Schmidhuber (1997); equations in `jnn.layers.lstm`.

    The parameters of each cell are those of `nnx.OptimizedLSTMCell`.

    Args:
        in_features: Number of features of the input at each step.
        hidden_features: Number of units of a layer in one direction.
        biases: Products that have a bias, see `Recurrent`.
        function: The layer as a pure function, `jnn.layers.lstm` or a partial of it.
        rngs: Keys of the streams `params` and `dropout`.
        **options: Other arguments of `Recurrent`: `layers`, `bidirectional`, `dropout_rate` and the
            initializers.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        biases: str = "h",
        function: RecurrentFunction = lstm,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            in_features,
            hidden_features,
            function=function,
            gates=4,
            biases=biases,
            rngs=rngs,
            **options,
        )


# Flax's names of the layers for inputs and state, in the order of the gates' columns.
_GATES = (
    ("ii", "hi"),
    ("if_", "hf"),
    ("ig", "hg"),
    ("io", "ho"),
)


def fuse_lstm(cell: dict) -> dict:
    """Convert the eight layers of `flax.nnx.LSTMCell` into the two of a cell of `LSTM`.

    >>> layer = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
    >>> cell = {name: layer for names in _GATES for name in names}
    >>> fuse_lstm(cell)["dense_h"]["kernel"].shape
    (2, 12)
    """

    def concatenate(names, leaf):
        return jnp.concatenate([cell[name][leaf] for name in names], axis=-1)

    inputs, states = zip(*_GATES, strict=True)
    return {
        "dense_i": {"kernel": concatenate(inputs, "kernel")},
        "dense_h": {
            "kernel": concatenate(states, "kernel"),
            "bias": concatenate(states, "bias"),
        },
    }


def split_lstm(cell: dict) -> dict:
    """Convert the two layers of a cell of `LSTM` into the eight of `flax.nnx.LSTMCell`.

    It is the inverse of `fuse_lstm`.

    >>> states = {"kernel": jnp.ones((3, 12)), "bias": jnp.ones(12)}
    >>> cell = {"dense_i": {"kernel": jnp.ones((2, 12))}, "dense_h": states}
    >>> split_lstm(cell)["if_"]["kernel"].shape
    (2, 3)
    """
    layers = {}
    for column, side in enumerate(("dense_i", "dense_h")):
        parts = {leaf: jnp.split(value, 4, axis=-1) for leaf, value in cell[side].items()}
        for gate, names in enumerate(_GATES):
            layers[names[column]] = {leaf: values[gate] for leaf, values in parts.items()}
    return layers
