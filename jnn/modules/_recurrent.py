"""Recurrent layers over whole sequences: stacked, in both directions, with lengths and carries.

Each cell's parameters have the names, shapes and gate order of Flax's fused cells - `nnx.OptimizedLSTMCell` (i, f, g,
o), `nnx.GRUCell` (r, z, n) and `nnx.SimpleCell` - so that their weights load as they are; `split_lstm` and `fuse_lstm`
go between them and the eight layers of `nnx.LSTMCell`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype

from jnn.layers import bidirectional, gru, lstm, rnn
from jnn.modules._dropout import dropout_or_none

_LECUN, _ORTHOGONAL = nnx.initializers.lecun_normal(), nnx.initializers.orthogonal()
_ZEROS = nnx.initializers.zeros_init()


class Inits(NamedTuple):
    """What draws the parameters of a cell."""

    kernel: Callable
    recurrent_kernel: Callable
    bias: Callable


class Cell(nnx.Module):
    """The parameters of one recurrent layer in one direction: `dense_i` for the inputs, `dense_h` for the state."""

    def __init__(
        self, inputs: int, hidden: int, columns: int, *, biases: str, inits: Inits, rngs: nnx.Rngs
    ):
        shared = {"bias_init": inits.bias, "rngs": rngs}
        self.dense_i = nnx.Linear(
            inputs, columns, use_bias="i" in biases, kernel_init=inits.kernel, **shared
        )
        self.dense_h = nnx.Linear(
            hidden, columns, use_bias="h" in biases, kernel_init=inits.recurrent_kernel, **shared
        )

    def params(self) -> dict[str, jax.Array]:
        """What `jnn.layers.lstm` and its like take."""
        named = {
            "input_kernel": self.dense_i.kernel,
            "recurrent_kernel": self.dense_h.kernel,
            "bias": self.dense_i.bias,
            "recurrent_bias": self.dense_h.bias,
        }
        return {name: leaf[...] for name, leaf in named.items() if leaf is not None}


class Recurrent(nnx.Module):
    """One or more recurrent layers; use it as `RNN`, `GRU` or `LSTM`.

    Args:
        in_features: Of the input at each step.
        hidden_features: Units of a layer in one direction.
        layers: How many stand on each other.
        bidirectional: Whether each layer also runs backwards; its output is then [forward, backward].
        function: `jnn.layers.rnn`, `gru` or `lstm`, or a partial of one.
        gates: Gates of the cell; the kernels have `gates * hidden_features` columns.
        biases: Which of the two products have one: "i" for the inputs', "h" for the state's. PyTorch has "ih".
        dropout_rate: Share of a layer's outputs dropped before the next layer, which members may set by that name; None
            for no dropout at all.
        kernel_init: Draws the inputs' kernels.
        recurrent_kernel_init: Draws the state's kernels.
        bias_init: Draws the biases; `jnn.initializers.forget_bias()` starts an LSTM remembering.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If there is no layer, no hidden unit or no such bias, or the rate is outside 0 to 1.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        function: Callable,
        gates: int,
        biases: str,
        layers: int = 1,
        bidirectional: bool = False,
        dropout_rate: float | None = None,
        kernel_init: Callable = _LECUN,
        recurrent_kernel_init: Callable = _ORTHOGONAL,
        bias_init: Callable = _ZEROS,
        rngs: nnx.Rngs,
    ):
        if layers < 1 or hidden_features < 1 or set(biases) - set("ih"):
            raise ValueError(
                "wanted at least one layer and one hidden unit and biases among 'i' and 'h', "
                f"but got {layers}, {hidden_features} and {biases!r}"
            )
        self.function = function
        self.out_features = hidden_features * (2 if bidirectional else 1)
        inits = Inits(kernel_init, recurrent_kernel_init, bias_init)
        make = functools.partial(
            Cell,
            hidden=hidden_features,
            columns=gates * hidden_features,
            biases=biases,
            inits=inits,
            rngs=rngs,
        )
        sizes = [in_features] + [self.out_features] * (layers - 1)
        self.cells = nnx.List([make(size) for size in sizes])
        self.reversed_cells = nnx.List([make(size) for size in sizes]) if bidirectional else None
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)

    def __call__(
        self, x: jax.Array, carry: Any = None, *, lengths: jax.Array | None = None
    ) -> tuple[Any, jax.Array]:
        """Runs all layers over the sequence.

        Args:
            x: [*batch, time, in].
            carry: One for each layer, as an earlier call returned them; pairs for both directions. Zero if None.
            lengths: [*batch]; row b ends after lengths[b] steps: its carry stays, its outputs beyond are 0.

        Returns:
            The carries after the last step, and the outputs [*batch, time, hidden or 2 hidden].
        """
        carries = [None] * len(self.cells) if carry is None else carry
        if len(carries) != len(self.cells):
            raise ValueError(
                f"wanted a carry for each of {len(self.cells)} layers, but got {len(carries)}"
            )
        x, _ = promote_dtype((x, self.cells[0].dense_i.kernel[...]))
        after = []
        for i, before in enumerate(carries):
            x = self.dropout(x) if i else x
            last, x = self._layer(i, x, before, lengths)
            after.append(last)
        return tuple(after), x

    def _layer(
        self, i: int, x: jax.Array, carry: Any, lengths: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        forward = self.cells[i].params()
        if self.reversed_cells is None:
            return self.function(x, forward, carry, lengths=lengths)
        backward = self.reversed_cells[i].params()
        both = (None, None) if carry is None else tuple(carry)
        return bidirectional(self.function, x, forward, backward, carry=both, lengths=lengths)


RNN = functools.partial(Recurrent, function=rnn, gates=1, biases="i")
"""`Recurrent` of the simple kind, Elman (1990); parameters as in `nnx.SimpleCell`."""

GRU = functools.partial(Recurrent, function=gru, gates=3, biases="i")
"""`Recurrent` of gated units, Cho et al. (2014), reset after the product; parameters as in `nnx.GRUCell`."""

LSTM = functools.partial(Recurrent, function=lstm, gates=4, biases="h")
"""`Recurrent` of long short-term memories, Hochreiter et al. (1997); parameters as in `nnx.OptimizedLSTMCell`."""


_GATES = (
    ("ii", "hi"),
    ("if_", "hf"),
    ("ig", "hg"),
    ("io", "ho"),
)  # Flax's names in the order of the columns


def fuse_lstm(cell: dict) -> dict:
    """The eight layers of `flax.nnx.LSTMCell` as the two of a cell of `LSTM`.

    >>> cell = {name: {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)} for pair in _GATES for name in pair}
    >>> fuse_lstm(cell)["dense_h"]["kernel"].shape
    (2, 12)
    """

    def side(names, leaf):
        return jnp.concatenate([cell[name][leaf] for name in names], axis=-1)

    inputs, states = zip(*_GATES, strict=True)
    return {
        "dense_i": {"kernel": side(inputs, "kernel")},
        "dense_h": {"kernel": side(states, "kernel"), "bias": side(states, "bias")},
    }


def split_lstm(cell: dict) -> dict:
    """The two layers of a cell of `LSTM` as the eight of `flax.nnx.LSTMCell`; the inverse of `fuse_lstm`.

    >>> states = {"kernel": jnp.ones((3, 12)), "bias": jnp.ones(12)}
    >>> split_lstm({"dense_i": {"kernel": jnp.ones((2, 12))}, "dense_h": states})["if_"]["kernel"].shape
    (2, 3)
    """
    halves = {
        "dense_i": {leaf: jnp.split(value, 4, axis=-1) for leaf, value in cell["dense_i"].items()},
        "dense_h": {leaf: jnp.split(value, 4, axis=-1) for leaf, value in cell["dense_h"].items()},
    }
    eight = {}
    for gate, names in enumerate(_GATES):
        for name, half in zip(names, halves, strict=True):
            eight[name] = {leaf: values[gate] for leaf, values in halves[half].items()}
    return eight
