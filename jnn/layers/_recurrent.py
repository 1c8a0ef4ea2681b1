"""Recurrent layers over whole sequences, and their single steps.

All have one form: `layer(x, params, carry=None, *, reverse=False, lengths=None) -> (carry, ys)`. The gates lie side by
side in the columns of the kernels, each `hidden` wide, in the order that the docstring names:

    params = {"input_kernel": (in, gates * hidden), "recurrent_kernel": (hidden, gates * hidden),
              "bias": (gates * hidden), "recurrent_bias": (gates * hidden)}       the biases may be left out

A carry that is not given is zero. With `lengths`, row b ends after lengths[b] steps: the carry stays what it was there
and ys is 0 beyond, whatever x holds there; with `reverse` the loop starts at the row's own last step. `ys[t]` always
belongs to `x[t]`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from jnn.layers._linear import dense
from jnn.layers._recurrence import recur, step_once
from jnn.layers._recurrent_params import Kernels, Params, check_sequence, read
from jnn.layers._vary import vary_alike


class LSTMState(NamedTuple):
    """What an LSTM carries, each (*batch, hidden), in PyTorch's order; Flax has the cell first.

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

    The activation works on each value and may not close over traced numbers. Like `gru` and `lstm`, it is
    differentiated backwards only: by `jax.grad` and `jax.vjp`, also under `jax.jvp`, but not by `jax.jvp` alone. The
    cells, and sequences of one step, are differentiated both ways.

    Raises:
        ValueError: If a parameter is missing or the shapes do not fit each other, those of carry and lengths included.

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
    """Run a gated recurrent unit; gates r, z, n.

    r = sigmoid(x W_r + b_r + h U_r + c_r)            reset
    z = sigmoid(x W_z + b_z + h U_z + c_z)            update
    n = tanh(x W_n + b_n + r * (h U_n + c_n))         new;  (r * h) U_n + c_n  if not reset_after
    h = (1 - z) * n + z * h                           with W, U the kernels, b the bias, c the recurrent bias

    (Cho et al. 2014, https://arxiv.org/abs/1406.1078, resets before; PyTorch, cuDNN and Flax reset after the product.)

    Raises:
        ValueError: If a parameter is missing or the shapes do not fit each other, those of carry and lengths included.

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
    """Run a long short-term memory; gates i, f, g, o; carry (hidden, cell).

    i, f, o = sigmoid(x W + b + h U + d)              input, forget and output gate, each with its own columns
    g = tanh(x W_g + b_g + h U_g + d_g)
    c = f * c + i * g
    h = o * tanh(c)                                   with W, U the kernels, b the bias, d the recurrent bias

    (Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000. The
    order of PyTorch, Keras and Flax.) `initializers.forget_bias` starts it remembering.

    Raises:
        ValueError: If a parameter is missing or the shapes do not fit each other, those of carry and lengths included.

    >>> params = {"input_kernel": jnp.zeros((1, 4)), "recurrent_kernel": jnp.zeros((1, 4))}
    >>> lstm(jnp.ones((2, 1)), params, (jnp.zeros(1), jnp.ones(1)))[0].cell
    Array([0.25], dtype=float32)
    """
    loop = partial(_loop, _lstm_gates, _all_added)
    carries = (None, None) if carry is None else tuple(carry)
    if len(carries) != 2:
        raise ValueError(f"wanted a carry of two parts, (hidden, cell), but got {len(carries)}")
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

    >>> rnn_cell(jnp.ones(1), jnp.ones(1), {"input_kernel": jnp.eye(1), "recurrent_kernel": jnp.eye(1)})[1].round(2)
    Array([0.96], dtype=float32)
    """
    hidden, ys = rnn(x[..., None, :], params, carry, activation=activation)
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
    hidden, ys = gru(x[..., None, :], params, carry, reset_after=reset_after)
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
    state, ys = lstm(x[..., None, :], params, carry)
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
    """Run a recurrent layer in both directions and put the outputs side by side.

    ys[t] = [forward[t], backward[t]]    (Schuster and Paliwal 1997, https://doi.org/10.1109/78.650093)

    `f` is `rnn`, `gru` or `lstm`, or a `functools.partial` of one; the carries are (forward, backward).

    Raises:
        ValueError: If a parameter is missing or the shapes do not fit each other, as in `f`.

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
    """Run `loop` on time-major rows with one batch axis and one dtype, and give the outputs x's axes."""
    x, carry = jnp.asarray(x), tuple(part if part is None else jnp.asarray(part) for part in carry)
    lengths = None if lengths is None else jnp.asarray(lengths)
    check_sequence(x, lengths)
    kernels = read(params, x.shape[-1], gates)
    *batch, time, features = x.shape
    rows, hidden = math.prod(batch), kernels.recurrent_kernel.shape[0]
    dtype = jnp.result_type(x, *kernels, *(part for part in carry if part is not None))
    kernels = Kernels(*(kernel.astype(dtype) for kernel in kernels))
    first = tuple(
        _first_carry(part, (*batch, hidden)).reshape(rows, hidden).astype(dtype) for part in carry
    )
    inside = (
        None
        if lengths is None
        else jnp.arange(time)[:, None, None] < jnp.reshape(lengths, (rows, 1))
    )
    time_major = x.reshape(rows, time, features).swapaxes(0, 1).astype(dtype)
    time_major = (
        time_major if inside is None else jnp.where(inside, time_major, 0)
    )  # else NaN beyond reach gradients
    time_major, kernels, first, inside = _alike((time_major, kernels, first, inside))
    last, ys = loop(time_major, kernels, first, reverse, inside)
    return tuple(part.reshape(*batch, hidden) for part in last), ys.swapaxes(0, 1).reshape(
        *batch, time, hidden
    )


def _alike(operands: tuple) -> tuple:
    """Inside `shard_map`, let all that meets in the loop vary over the same mesh axes, as its carry has to."""
    leaves, structure = jax.tree.flatten(operands)
    return jax.tree.unflatten(structure, vary_alike(*leaves))


def _first_carry(part, shape: tuple):
    """Return zeros for a carry that was not given."""
    if part is None:
        return jnp.zeros(shape)
    if part.shape != shape:
        raise ValueError(
            f"wanted a carry of shape {shape}, as x's batch axes and the kernel say, but got {part.shape}"
        )
    return part


def _loop(
    cell: Callable, separate: Callable, x, kernels: Kernels, carry: tuple, reverse: bool, inside
):
    """Step through time."""
    added, aside = separate(_inputs(x, kernels.input_kernel, kernels.bias), kernels.recurrent_bias)
    if len(added) == 1:
        return step_once(cell, carry, added, aside, kernels.recurrent_kernel, inside)
    return recur(cell, reverse, carry, added, aside, kernels.recurrent_kernel, inside)


def _inputs(x, kernel, bias):
    """Multiply all inputs at once, batch before time, so that devices which share the batch need no rows of others."""
    return dense(x.swapaxes(0, 1), kernel, bias).swapaxes(0, 1)


def _all_added(inputs, recurrent_bias):
    """Let the inputs meet the recurrent product in a sum at every gate."""
    return inputs + recurrent_bias, None


def _new_aside(inputs, recurrent_bias):
    """Keep the inputs of a GRU's new gate apart from the recurrent product, which is reset first."""
    hidden = inputs.shape[-1] // 3
    return inputs.at[..., 2 * hidden :].set(0) + recurrent_bias, inputs[..., 2 * hidden :]


def _rnn_gates(activation: Callable, carry, product, aside):
    return (activation(product),)


def _gru_gates(carry, product, aside):
    (hidden,) = carry
    reset, update, product_new = jnp.split(product, 3, axis=-1)
    update = jax.nn.sigmoid(update)
    new = jnp.tanh(aside + jax.nn.sigmoid(reset) * product_new)
    return ((1 - update) * new + update * hidden,)


def _lstm_gates(carry, product, aside):
    _, cell = carry
    i, f, g, o = jnp.split(product, 4, axis=-1)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def _loop_reset_before(x, kernels: Kernels, carry: tuple, reverse: bool, inside):
    """Run the GRU whose reset comes before the product: two products a step, one after the other."""
    inputs = _inputs(x, kernels.input_kernel, kernels.bias + kernels.recurrent_bias)
    width = kernels.recurrent_kernel.shape[0]
    gate_kernel, new_kernel = (
        kernels.recurrent_kernel[:, : 2 * width],
        kernels.recurrent_kernel[:, 2 * width :],
    )

    def step(carry, inputs):
        (hidden,), (added, inside) = carry, inputs
        reset, update = jnp.split(
            jax.nn.sigmoid(added[..., : 2 * width] + hidden @ gate_kernel), 2, axis=-1
        )
        new = jnp.tanh(added[..., 2 * width :] + (reset * hidden) @ new_kernel)
        after = (1 - update) * new + update * hidden
        if inside is None:
            return (after,), after
        return (jnp.where(inside, after, hidden),), jnp.where(inside, after, 0)

    return lax.scan(step, carry, (inputs, inside), reverse=reverse)
