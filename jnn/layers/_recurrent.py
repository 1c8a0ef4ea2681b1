"""Recurrent layers over whole sequences, and their single steps.

All layers have the form `layer(x, params, carry=None, *, reverse=False, lengths=None) -> (carry,
ys)`. The gates stand side by side in the columns of the kernels, each `hidden` wide, in the order
that the docstring of the layer gives:

    params = {"input_kernel": (in, gates * hidden), "recurrent_kernel": (hidden, gates * hidden),
              "bias": (gates * hidden), "recurrent_bias": (gates * hidden)}

The biases are optional, and the carry is zero by default. With `lengths`, row b ends after
lengths[b] steps: later steps do not change the carry and return 0 in ys, whatever x holds there.
With `reverse` the loop starts at the last step of each row. `ys[t]` always belongs to `x[t]`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from jnn._arrays import as_array
from jnn.layers._floating import broadcast_parameter, widen
from jnn.layers._linear import dense
from jnn.layers._recurrence import recur, step_once
from jnn.layers._recurrent_params import Kernels, Params, check_sequence, read
from jnn.layers._vary import vary_alike


class LSTMState(NamedTuple):
    """The carry of an LSTM, each (*batch, hidden), in PyTorch's order. Flax has the cell first.

    >>> LSTMState(hidden=jnp.zeros(2), cell=jnp.ones(2)).cell
    Array([1., 1.], dtype=float32)
    """

    hidden: Array
    cell: Array


def rnn(
    x: Float[Array, "*batch time in"],
    params: Params,
    carry: Float[Array, "*batch hidden"] | None = None,
    *,
    activation: Callable = jnp.tanh,
    reverse: bool = False,
    lengths: Integer[Array, "*batch"] | None = None,
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch time hidden"]]:
    """Run a simple recurrent layer.

    h[t] = activation(x[t] @ input_kernel + h[t-1] @ recurrent_kernel + bias + recurrent_bias)
    (Elman 1990, https://doi.org/10.1207/s15516709cog1402_1)

    The activation is applied to each value and must not close over traced values. Like `gru` and
    `lstm`, this function supports reverse mode (`jax.grad`, `jax.vjp`, also under `jax.jvp`), but
    not `jax.jvp` alone. The cells, and sequences of one step, support both modes.

    Raises:
        ValueError: If a parameter is missing, or the shapes of x, params, carry and lengths do not
            match.

    >>> params = {"input_kernel": jnp.ones((1, 1)), "recurrent_kernel": jnp.ones((1, 1))}
    >>> rnn(jnp.ones((3, 1)), params, activation=lambda a: a)[1].ravel()
    Array([1., 2., 3.], dtype=float32)
    """
    loop = partial(_loop, partial(_rnn_gates, activation), _all_added)
    (hidden,), ys = _over_time(loop, 1, x, params, (carry,), reverse, lengths)
    return hidden, ys


def gru(
    x: Float[Array, "*batch time in"],
    params: Params,
    carry: Float[Array, "*batch hidden"] | None = None,
    *,
    reset_after: bool = True,
    reverse: bool = False,
    lengths: Integer[Array, "*batch"] | None = None,
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch time hidden"]]:
    """Run a layer of gated recurrent units, with the gates r, z, n.

    r = sigmoid(x W_r + b_r + h U_r + c_r)            reset gate
    z = sigmoid(x W_z + b_z + h U_z + c_z)            update gate
    n = tanh(x W_n + b_n + r * (h U_n + c_n))         candidate
    h = (1 - z) * n + z * h

    W and U are the kernels, b is the bias and c the recurrent bias. Without `reset_after` the
    candidate is n = tanh(x W_n + b_n + (r * h) U_n + c_n), as in the paper (Cho et al. 2014,
    https://arxiv.org/abs/1406.1078). PyTorch, cuDNN and Flax reset after the product.

    Raises:
        ValueError: If a parameter is missing, or the shapes of x, params, carry and lengths do not
            match.

    >>> params = {"input_kernel": jnp.zeros((1, 3)), "recurrent_kernel": jnp.zeros((1, 3))}
    >>> gru(jnp.ones((2, 1)), params, jnp.ones(1))[1].ravel()
    Array([0.5 , 0.25], dtype=float32)
    """
    loop = partial(_loop, _gru_gates, _new_aside) if reset_after else _loop_reset_before
    (hidden,), ys = _over_time(loop, 3, x, params, (carry,), reverse, lengths)
    return hidden, ys


def lstm(
    x: Float[Array, "*batch time in"],
    params: Params,
    carry: tuple[Float[Array, "*batch hidden"], Float[Array, "*batch hidden"]] | None = None,
    *,
    reverse: bool = False,
    lengths: Integer[Array, "*batch"] | None = None,
) -> tuple[LSTMState, Float[Array, "*batch time hidden"]]:
    """Run a long short-term memory, with the gates i, f, g, o and the carry (hidden, cell).

    i, f, o = sigmoid(x W + b + h U + d)              input, forget and output gate
    g = tanh(x W_g + b_g + h U_g + d_g)               candidate
    c = f * c + i * g
    h = o * tanh(c)

    W and U are the kernels, b is the bias and d the recurrent bias; each gate has its own
    columns, in the order of PyTorch, Keras and Flax (Hochreiter and Schmidhuber 1997,
    https://doi.org/10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000). With
    `initializers.forget_bias` training starts with open forget gates.

    Raises:
        ValueError: If a parameter is missing, or the shapes of x, params, carry and lengths do not
            match.

    >>> params = {"input_kernel": jnp.zeros((1, 4)), "recurrent_kernel": jnp.zeros((1, 4))}
    >>> lstm(jnp.ones((2, 1)), params, (jnp.zeros(1), jnp.ones(1)))[0].cell
    Array([0.25], dtype=float32)
    """
    loop = partial(_loop, _lstm_gates, _all_added)
    carries = (None, None) if carry is None else tuple(carry)
    if len(carries) != 2:
        raise ValueError(f"carry must have two parts, (hidden, cell), got {len(carries)}.")
    state, ys = _over_time(loop, 4, x, params, carries, reverse, lengths)
    return LSTMState(*state), ys


def rnn_cell(
    carry: Float[Array, "*batch hidden"],
    x: Float[Array, "*batch in"],
    params: Params,
    *,
    activation: Callable = jnp.tanh,
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch hidden"]]:
    """Take one step of `rnn`.

    >>> params = {"input_kernel": jnp.eye(1), "recurrent_kernel": jnp.eye(1)}
    >>> rnn_cell(jnp.ones(1), jnp.ones(1), params)[1].round(2)
    Array([0.96], dtype=float32)
    """
    hidden, ys = rnn(as_array(x)[..., None, :], params, carry, activation=activation)
    return hidden, ys[..., 0, :]


def gru_cell(
    carry: Float[Array, "*batch hidden"],
    x: Float[Array, "*batch in"],
    params: Params,
    *,
    reset_after: bool = True,
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch hidden"]]:
    """Take one step of `gru`.

    >>> params = {"input_kernel": jnp.zeros((1, 3)), "recurrent_kernel": jnp.zeros((1, 3))}
    >>> gru_cell(jnp.ones(1), jnp.ones(1), params)[1]
    Array([0.5], dtype=float32)
    """
    hidden, ys = gru(as_array(x)[..., None, :], params, carry, reset_after=reset_after)
    return hidden, ys[..., 0, :]


def lstm_cell(
    carry: tuple[Float[Array, "*batch hidden"], Float[Array, "*batch hidden"]],
    x: Float[Array, "*batch in"],
    params: Params,
) -> tuple[LSTMState, Float[Array, "*batch hidden"]]:
    """Take one step of `lstm`.

    >>> params = {"input_kernel": jnp.zeros((1, 4)), "recurrent_kernel": jnp.zeros((1, 4))}
    >>> lstm_cell((jnp.zeros(1), jnp.ones(1)), jnp.ones(1), params)[0].cell
    Array([0.5], dtype=float32)
    """
    state, ys = lstm(as_array(x)[..., None, :], params, carry)
    return state, ys[..., 0, :]


def bidirectional(
    f: Callable,
    x: Float[Array, "*batch time in"],
    forward_params: Params,
    backward_params: Params,
    lengths: Integer[Array, "*batch"] | None = None,
    *,
    carry: tuple[Any, Any] = (None, None),
) -> tuple[tuple[Any, Any], Float[Array, "*batch time both"]]:
    """Run a recurrent layer in both directions, and concatenate the outputs.

    ys[t] = [forward[t], backward[t]]    (Schuster and Paliwal 1997,
    https://doi.org/10.1109/78.650093)

    `f` is `rnn`, `gru`, `lstm` or a `functools.partial` of one of them. The carries are (forward,
    backward).

    Raises:
        ValueError: If a parameter is missing, or the shapes do not match, as in `f`.

    >>> params = {"input_kernel": jnp.ones((1, 1)), "recurrent_kernel": jnp.ones((1, 1))}
    >>> summing = partial(rnn, activation=lambda a: a)
    >>> bidirectional(summing, jnp.ones((3, 1)), params, params)[1]
    Array([[1., 3.],
           [2., 2.],
           [3., 1.]], dtype=float32)
    """
    forward, ys = f(x, forward_params, carry[0], lengths=lengths)
    backward, reversed_ys = f(x, backward_params, carry[1], reverse=True, lengths=lengths)
    return (forward, backward), jnp.concatenate([ys, reversed_ys], axis=-1)


def _over_time(loop: Callable, gates: int, x, params: Params, carry: tuple, reverse: bool, lengths):
    """Run `loop` on time-major rows with one batch axis, and restore the axes of x."""
    x = as_array(x)
    carry = tuple(part if part is None else as_array(part) for part in carry)
    lengths = None if lengths is None else as_array(lengths)
    check_sequence(x, lengths)
    kernels = read(params, x.shape[-1], gates)
    *batch, time, features = x.shape
    rows = math.prod(batch)
    hidden = kernels.recurrent_kernel.shape[0]
    dtype = jnp.result_type(x, *kernels, *(part for part in carry if part is not None))
    kernels = Kernels(*(kernel.astype(dtype) for kernel in kernels))
    first = tuple(
        _first_carry(part, (*batch, hidden)).reshape(rows, hidden).astype(dtype) for part in carry
    )
    inside = None
    time_major = x.reshape(rows, time, features).swapaxes(0, 1).astype(dtype)
    if lengths is not None:
        inside = jnp.arange(time)[:, None, None] < jnp.reshape(lengths, (rows, 1))
        # Otherwise a NaN past the end of a row would reach the gradients.
        time_major = jnp.where(inside, time_major, 0)
    time_major, kernels, first, inside = _alike((time_major, kernels, first, inside))
    last, ys = loop(time_major, kernels, first, reverse, inside)
    ys = ys.swapaxes(0, 1).reshape(*batch, time, hidden)
    return tuple(part.reshape(*batch, hidden) for part in last), ys


def _alike(operands: tuple) -> tuple:
    """Inside `shard_map`, make all operands of the loop vary over the same mesh axes."""
    leaves, structure = jax.tree.flatten(operands)
    return jax.tree.unflatten(structure, vary_alike(*leaves))


def _first_carry(part, shape: tuple):
    """Return the carry, or zeros if it is None."""
    if part is None:
        return jnp.zeros(shape)
    if part.shape != shape:
        raise ValueError(
            f"carry must have the shape {shape}, from the batch axes of x and the recurrent "
            f"kernel, got {part.shape}."
        )
    return part


def _loop(
    cell: Callable, separate: Callable, x, kernels: Kernels, carry: tuple, reverse: bool, inside
):
    """Run a cell over all steps."""
    added, aside = separate(_inputs(x, kernels.input_kernel, kernels.bias), kernels.recurrent_bias)
    if len(added) == 1:
        return step_once(cell, carry, added, aside, kernels.recurrent_kernel, inside)
    return recur(cell, reverse, carry, added, aside, kernels.recurrent_kernel, inside)


def _inputs(x, kernel, bias):
    """Multiply all inputs at once.

    The batch comes first, so that devices that share the batch need no rows of each other.
    """
    return dense(x.swapaxes(0, 1), kernel, bias).swapaxes(0, 1)


def _all_added(inputs, recurrent_bias):
    """Add the inputs to the recurrent product at every gate."""
    return inputs + broadcast_parameter(recurrent_bias, inputs.shape), None


def _new_aside(inputs, recurrent_bias):
    """Separate the inputs of a GRU's candidate from the recurrent product, which is reset first."""
    hidden = inputs.shape[-1] // 3
    added = inputs.at[..., 2 * hidden :].set(0)
    added = added + broadcast_parameter(recurrent_bias, added.shape)
    return added, inputs[..., 2 * hidden :]


def _rnn_gates(activation: Callable, carry, product, aside):
    """Compute the new carry of an RNN."""
    return (activation(product),)


def _gru_gates(carry, product, aside):
    """Compute the new carry of a GRU."""
    (hidden,) = carry
    reset, update, product_new = jnp.split(product, 3, axis=-1)
    update = jax.nn.sigmoid(update)
    new = jnp.tanh(aside + jax.nn.sigmoid(reset) * product_new)
    return ((1 - update) * new + update * hidden,)


def _lstm_gates(carry, product, aside):
    """Compute the new carry of an LSTM."""
    _, cell = carry
    i, f, g, o = jnp.split(product, 4, axis=-1)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def _loop_reset_before(x, kernels: Kernels, carry: tuple, reverse: bool, inside):
    """Run a GRU that resets before the product, which takes two products in each step."""
    inputs = _inputs(x, kernels.input_kernel, kernels.bias + kernels.recurrent_bias)
    width = kernels.recurrent_kernel.shape[0]
    # The loop sums a kernel's gradient over time in the type of the kernel outside of it.
    recurrent_kernel = widen(kernels.recurrent_kernel)
    gate_kernel = recurrent_kernel[:, : 2 * width]
    new_kernel = recurrent_kernel[:, 2 * width :]

    def step(carry, inputs):
        (hidden,) = carry
        added, inside = inputs
        gates = jax.nn.sigmoid(added[..., : 2 * width] + hidden @ gate_kernel.astype(x.dtype))
        reset, update = jnp.split(gates, 2, axis=-1)
        new = jnp.tanh(added[..., 2 * width :] + (reset * hidden) @ new_kernel.astype(x.dtype))
        after = (1 - update) * new + update * hidden
        if inside is None:
            return (after,), after
        return (jnp.where(inside, after, hidden),), jnp.where(inside, after, 0)

    return lax.scan(step, carry, (inputs, inside), reverse=reverse)
