"""Recurrent layers equal the textbook equations and Flax; lengths cut rows exactly."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from jnn import layers

BATCH, TIME, FEATURES, HIDDEN = 3, 5, 4, 2
LENGTHS = jnp.array([5, 2, 0])
GATES = {"rnn": 1, "gru": 3, "gru_before": 3, "lstm": 4}
LAYERS = {
    "rnn": layers.rnn,
    "gru": layers.gru,
    "gru_before": partial(layers.gru, reset_after=False),
    "lstm": layers.lstm,
}

every_layer = pytest.mark.parametrize("name", LAYERS)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def params_of(name):
    columns = GATES[name] * HIDDEN
    return {
        "input_kernel": normal(1, FEATURES, columns),
        "recurrent_kernel": normal(2, HIDDEN, columns),
        "bias": normal(3, columns),
        "recurrent_bias": normal(4, columns),
    }


def carry_of(name):
    hidden = normal(5, BATCH, HIDDEN)
    return (hidden, normal(6, BATCH, HIDDEN)) if name == "lstm" else hidden


def assert_close(got, wanted, tolerance=1e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), got, wanted
    )


def numpy_step(name, carry, x, p):
    """Write the equations once more, with NumPy in float64 and without sharing a line."""
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    p = {k: np.asarray(v, np.float64) for k, v in p.items()}
    inputs = x @ p["input_kernel"] + p["bias"]
    if name == "rnn":
        return np.tanh(inputs + carry @ p["recurrent_kernel"] + p["recurrent_bias"])
    if name == "lstm":
        h, c = carry
        i, f, g, o = np.split(inputs + h @ p["recurrent_kernel"] + p["recurrent_bias"], 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    product = carry @ p["recurrent_kernel"] + p["recurrent_bias"]
    r, z = np.split(sigmoid(inputs + product)[:, : 2 * HIDDEN], 2, -1)
    if name == "gru":
        n = np.tanh(inputs[:, 2 * HIDDEN :] + r * product[:, 2 * HIDDEN :])
    else:
        candidate = (r * carry) @ p["recurrent_kernel"][:, 2 * HIDDEN :] + p["recurrent_bias"][
            2 * HIDDEN :
        ]
        n = np.tanh(inputs[:, 2 * HIDDEN :] + candidate)
    return (1 - z) * n + z * carry


@every_layer
def test_a_sequence_is_a_loop_of_the_textbook_equations(name):
    x, params, carry = normal(0, BATCH, TIME, FEATURES), params_of(name), carry_of(name)
    last, ys = jax.jit(LAYERS[name])(x, params, carry)
    expected = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), carry)
    for t in range(TIME):
        expected = numpy_step(name, expected, np.asarray(x[:, t], np.float64), params)
        assert_close(ys[:, t], expected[0] if name == "lstm" else expected)
    assert_close(tuple(last) if name == "lstm" else last, expected)


@pytest.mark.parametrize("name", ["lstm", "gru_before"])  # the two loops
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_cut_each_row_as_if_it_were_alone(name, reverse):
    x, params, carry = normal(0, BATCH, TIME, FEATURES), params_of(name), carry_of(name)
    layer = jax.jit(partial(LAYERS[name], reverse=reverse))
    last, ys = layer(x, params, carry, lengths=jnp.array([5, 2, 0]))
    alone, alone_ys = layer(x[1, :2], params, jax.tree.map(lambda leaf: leaf[1], carry))
    assert_close(jax.tree.map(lambda leaf: leaf[1], last), alone)
    assert_close(ys[1, :2], alone_ys)
    assert not ys[1, 2:].any()
    assert not ys[2].any()
    for after, before in zip(jax.tree.leaves(last), jax.tree.leaves(carry), strict=True):
        assert_close(after[2], before[2])


@pytest.mark.parametrize("name", ["lstm", "gru_before"])  # the two loops
def test_what_stands_beyond_a_rows_end_reaches_no_gradient(name):
    x, params = normal(0, BATCH, TIME, FEATURES), params_of(name)
    spoilt = jnp.where(jnp.arange(TIME)[:, None] < LENGTHS[:, None, None], x, jnp.nan)
    gradient = jax.jit(
        jax.grad(lambda *p: (LAYERS[name](*p, lengths=LENGTHS)[1] ** 2).sum(), argnums=(0, 1))
    )
    assert_close(gradient(spoilt, params), gradient(x, params))


@every_layer
def test_reverse_is_forward_on_the_reversed_sequence(name):
    x, params = normal(0, BATCH, TIME, FEATURES), params_of(name)
    last, ys = jax.jit(partial(LAYERS[name], reverse=True))(x, params)
    wanted, wanted_ys = jax.jit(LAYERS[name])(x[:, ::-1], params)
    assert_close((last, ys), (wanted, wanted_ys[:, ::-1]))


@every_layer
def test_gradients_equal_finite_differences(name):
    def total(x, params, carry):
        last, ys = LAYERS[name](x, params, carry, lengths=LENGTHS)
        return jnp.sin(ys).sum() + sum(jnp.cos(part).sum() for part in jax.tree.leaves(last))

    with jax.enable_x64(True):
        arguments = (normal(0, BATCH, TIME, FEATURES), params_of(name), carry_of(name))
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), arguments)
        check_grads(jax.jit(total), wide, order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_second_derivatives_are_right():
    x, params = normal(0, 2, 3, FEATURES), params_of("gru")

    def total(kernel):
        return (layers.gru(x, params | {"recurrent_kernel": kernel})[1] ** 2).sum()

    slope = jax.grad(total)
    with jax.enable_x64(True):
        kernel = params["recurrent_kernel"].astype(jnp.float64)
        check_grads(jax.jit(slope), (kernel,), order=1, modes=["fwd", "rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["gru", "gru_before"])  # the two loops
def test_the_gradient_under_vmap_over_parameters_is_a_loop(name):
    xs = normal(0, 2, BATCH, TIME, FEATURES)
    one = params_of(name)
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), one)
    gradient = jax.grad(
        lambda params, x: (LAYERS[name](x, params, lengths=LENGTHS)[1] ** 2).sum(), argnums=(0, 1)
    )
    got = jax.jit(jax.vmap(gradient))(params, xs)
    single = jax.jit(gradient)
    for member in range(2):
        pick = partial(jax.tree.map, lambda leaf, member=member: leaf[member])
        assert_close(pick(got), single(pick(params), xs[member]), 1e-4)


def test_lstm_is_flax_own():
    cell = nnx.OptimizedLSTMCell(FEATURES, HIDDEN, rngs=nnx.Rngs(0))
    params = {
        "input_kernel": cell.dense_i.kernel[...],
        "recurrent_kernel": cell.dense_h.kernel[...],
        "bias": cell.dense_h.bias[...],
    }
    x, (hidden, memory) = normal(0, BATCH, FEATURES), carry_of("lstm")
    (wanted_memory, wanted_hidden), wanted = cell((memory, hidden), x)
    state, y = layers.lstm_cell((hidden, memory), x, params)
    assert_close((state.hidden, state.cell, y), (wanted_hidden, wanted_memory, wanted))


@pytest.mark.parametrize(
    ("ours", "theirs"), [(layers.gru_cell, nnx.GRUCell), (layers.rnn_cell, nnx.SimpleCell)]
)
def test_gru_and_rnn_are_flax_own(ours, theirs):
    cell = theirs(FEATURES, HIDDEN, rngs=nnx.Rngs(0))
    params = {
        "input_kernel": cell.dense_i.kernel[...],
        "recurrent_kernel": cell.dense_h.kernel[...],
        "bias": cell.dense_i.bias[...],
    }
    x, carry = normal(0, BATCH, FEATURES), normal(5, BATCH, HIDDEN)
    assert_close(ours(carry, x, params), cell(carry, x))


@every_layer
def test_a_cell_is_differentiated_forwards_as_backwards(name):
    cells = {"rnn": layers.rnn_cell, "gru": layers.gru_cell, "lstm": layers.lstm_cell}
    cell = cells.get(name) or partial(layers.gru_cell, reset_after=False)
    arguments = carry_of(name), normal(0, BATCH, FEATURES), params_of(name)
    moved = jax.tree.map(jnp.cos, arguments)
    pushed, total = jax.jvp(lambda *a: cell(*a)[1].sum(), arguments, moved)[1], 0.0
    for slope, step in zip(
        *map(
            jax.tree.leaves, (jax.grad(lambda *a: cell(*a)[1].sum(), (0, 1, 2))(*arguments), moved)
        ),
        strict=True,
    ):
        total += (slope * step).sum()
    assert_close(pushed, total)


def test_a_carry_goes_on_where_the_sequence_was_cut():
    x, params = normal(0, BATCH, TIME, FEATURES), params_of("lstm")
    whole, ys = layers.lstm(x, params)
    half, first = layers.lstm(x[:, :2], params)
    last, second = layers.lstm(x[:, 2:], params, half)
    assert_close((last, jnp.concatenate([first, second], axis=1)), (whole, ys))


@every_layer
def test_no_time_steps_leave_the_carry_alone(name):
    carry = carry_of(name)
    last, ys = jax.jit(LAYERS[name])(jnp.ones((BATCH, 0, FEATURES)), params_of(name), carry)
    assert_close(tuple(last) if name == "lstm" else last, carry)
    assert ys.shape == (BATCH, 0, HIDDEN)


@every_layer
def test_extreme_inputs_saturate(name):
    x = jnp.array([1e30, -1e30]).repeat(FEATURES).reshape(2, 1, FEATURES)

    def total(x, params):
        return LAYERS[name](x, params)[1].sum()

    value, gradient = jax.jit(jax.value_and_grad(total, argnums=1))(x, params_of(name))
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_bidirectional_is_two_layers_side_by_side():
    x, forward, backward = (
        normal(0, BATCH, TIME, FEATURES),
        params_of("gru"),
        params_of("gru_before"),
    )
    carries, ys = jax.jit(partial(layers.bidirectional, layers.gru))(
        x, forward, backward, lengths=LENGTHS
    )
    one = jax.jit(layers.gru)(x, forward, lengths=LENGTHS)
    other = jax.jit(partial(layers.gru, reverse=True))(x, backward, lengths=LENGTHS)
    assert_close(carries, (one[0], other[0]))
    assert_close(ys, jnp.concatenate([one[1], other[1]], -1))


def test_wrong_parameters_are_refused_in_a_sentence():
    lstm, x, params = (
        inspect.unwrap(layers.lstm),
        jnp.ones((BATCH, TIME, FEATURES)),
        params_of("lstm"),
    )
    with pytest.raises(ValueError, match=r"missing: \['input_kernel'\], unknown: \['kernel'\]"):
        lstm(x, {"kernel": params["input_kernel"], "recurrent_kernel": params["recurrent_kernel"]})
    with pytest.raises(ValueError, match=r"params must have input_kernel \(4, 8\)"):
        lstm(x, params | {"input_kernel": jnp.ones((3, 8))})
    with pytest.raises(ValueError, match=r"carry must have the shape \(3, 2\)"):
        lstm(x, params, (jnp.ones((2, 2)), jnp.ones((2, 2))))
    with pytest.raises(ValueError, match="two parts"):
        lstm(x, params, (jnp.ones((BATCH, HIDDEN)),) * 3)
    with pytest.raises(ValueError, match=r"x must be \(\*batch, time, in\), got \(4,\)"):
        lstm(x[0, 0], params)
    for lengths in (jnp.array(5), LENGTHS[:2], LENGTHS[:, None]):
        with pytest.raises(ValueError, match=r"lengths must have the shape \(3,\)"):
            lstm(x, params, lengths=lengths)


@every_layer
def test_inside_shard_map_the_numbers_stay_and_the_gradients_are_summed_over_the_mesh(name):
    mesh = jax.make_mesh(
        (2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2]
    )
    x, params, lengths = normal(0, 4, TIME, FEATURES), params_of(name), jnp.array([5, 2, 0, 3])
    spec = jax.sharding.PartitionSpec

    def total(params, x, lengths):
        return (
            jnp.sin(LAYERS[name](x, params)[1]) + LAYERS[name](x, params, lengths=lengths)[1] ** 2
        ).sum()

    sharded = jax.shard_map(
        lambda *a: jax.lax.psum(total(*a), "data"),
        mesh=mesh,
        in_specs=(spec(), spec("data"), spec("data")),
        out_specs=spec(),
    )
    got, wanted = (
        jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(params, x, lengths) for f in (sharded, total)
    )
    assert_close(got, wanted, 1e-4)
