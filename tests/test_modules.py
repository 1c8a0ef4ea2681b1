"""Modules load Flax's weights and give Flax's numbers, both ways; cache, carry, lengths and members change nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn import modules

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6)), jnp.float32)
IMAGE = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5, 4)), jnp.float32)
MASK = jnp.asarray(np.random.default_rng(2).random((2, 1, 5, 5)) < 0.7) | jnp.eye(5, dtype=bool)

FLAX = {  # what makes ours, what makes Flax's, how to call either
    "Dense": (modules.Dense, nnx.Linear, (6, 3), {}, lambda m: m(X)),
    "Embedding": (
        modules.Embedding,
        nnx.Embed,
        (7, 3),
        {},
        lambda m: m(jnp.array([[1, 6], [0, 2]])),
    ),
    "Conv": (modules.Conv, nnx.Conv, (4, 3, (3, 2)), {"strides": 2}, lambda m: m(IMAGE)),
    "Conv causal": (modules.Conv, nnx.Conv, (6, 3, (3,)), {"padding": "CAUSAL"}, lambda m: m(X)),
    "ConvTranspose": (
        modules.ConvTranspose,
        nnx.ConvTranspose,
        (4, 3, (3, 4)),
        {"strides": (2, 2)},
        lambda m: m(IMAGE),
    ),
    "ConvTranspose without a batch": (
        modules.ConvTranspose,
        nnx.ConvTranspose,
        (4, 3, (3,)),
        {"strides": None},
        lambda m: jnp.concatenate([m(IMAGE[0, 0]).ravel(), m(IMAGE).ravel()]),
    ),
    "BatchNorm training": (
        modules.BatchNorm,
        nnx.BatchNorm,
        (6,),
        {},
        lambda m: m(X, use_running_average=False),
    ),
    "BatchNorm after": (
        modules.BatchNorm,
        nnx.BatchNorm,
        (6,),
        {},
        lambda m: m(X, use_running_average=True),
    ),
    "LayerNorm": (modules.LayerNorm, nnx.LayerNorm, (6,), {}, lambda m: m(X)),
    "RMSNorm": (modules.RMSNorm, nnx.RMSNorm, (6,), {}, lambda m: m(X)),
    "GroupNorm": (modules.GroupNorm, nnx.GroupNorm, (6,), {"num_groups": 2}, lambda m: m(X)),
    "attention": (
        modules.MultiHeadAttention,
        functools.partial(nnx.MultiHeadAttention, decode=False),
        (2, 6, 8),
        {},
        lambda m: m(X, mask=MASK),
    ),
    "attention in groups": (
        modules.MultiHeadAttention,
        functools.partial(nnx.MultiHeadAttention, decode=False),
        (4, 6, 8, 3, 2),
        {},
        lambda m: m(X, X[:, ::-1]),
    ),
}


def variables(module):
    return nnx.state(module, (nnx.Param, nnx.BatchStat))


def randomise(module, seed=0):
    """Normal values for all parameters and statistics, positive, so that no bias or scale hides at 0 or 1."""
    random = np.random.default_rng(seed)
    draw = lambda leaf: jnp.asarray(0.2 + np.abs(0.5 * random.normal(size=leaf.shape)), leaf.dtype)  # noqa: E731
    nnx.update(module, jax.tree.map(draw, variables(module)))
    return module


@pytest.mark.parametrize("name", FLAX)
def test_weights_load_from_flax_and_back_with_equal_outputs(name):
    make_ours, make_flax, sizes, options, call = FLAX[name]
    ours, flax = (make(*sizes, **options, rngs=nnx.Rngs(0)) for make in (make_ours, make_flax))
    for source, target in ((randomise(flax, 1), ours), (randomise(ours, 2), flax)):
        nnx.update(target, variables(source))
        np.testing.assert_allclose(call(target), call(source), rtol=1e-5, atol=2e-6)
    shapes = [{p: v.shape for p, v in nnx.to_flat_state(variables(m))} for m in (ours, flax)]
    assert shapes[0] == shapes[1] != {}


CELLS = {
    "rnn": (modules.RNN, nnx.SimpleCell),
    "gru": (modules.GRU, nnx.GRUCell),
    "lstm": (modules.LSTM, nnx.OptimizedLSTMCell),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_recurrent_layer_is_flaxs_cell_over_time_with_the_same_weights(name):
    make_ours, make_cell = CELLS[name]
    ours, cell = make_ours(6, 3, rngs=nnx.Rngs(0)), make_cell(6, 3, rngs=nnx.Rngs(1))
    flax = nnx.RNN(cell)
    for source, target in (
        (randomise(cell, 1), ours.cells[0]),
        (randomise(ours.cells[0], 2), cell),
    ):
        nnx.update(target, variables(source))
        np.testing.assert_allclose(ours(X)[1], flax(X, rngs=nnx.Rngs(0)), rtol=1e-5, atol=1e-6)


def test_the_eight_layers_of_flaxs_lstm_become_two_and_back():
    ours, cell = (
        modules.LSTM(6, 3, rngs=nnx.Rngs(0)),
        randomise(nnx.LSTMCell(6, 3, rngs=nnx.Rngs(1))),
    )
    eight = nnx.to_pure_dict(variables(cell))
    two = modules.fuse_lstm(eight)
    nnx.update(ours.cells[0], two)
    np.testing.assert_allclose(ours(X)[1], nnx.RNN(cell)(X, rngs=nnx.Rngs(0)), rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, modules.split_lstm(two), eight)


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_in_two_parts_with_the_carry_between_is_the_whole(name):
    layer = randomise(CELLS[name][0](6, 3, layers=2, rngs=nnx.Rngs(0)))
    _, whole = layer(X)
    carry, first = layer(X[:, :2])
    _, second = layer(X[:, 2:], carry)
    np.testing.assert_allclose(
        jnp.concatenate([first, second], axis=1), whole, rtol=1e-6, atol=1e-6
    )


def test_rows_of_different_lengths_are_each_row_alone():
    layer = randomise(modules.LSTM(6, 3, layers=2, bidirectional=True, rngs=nnx.Rngs(0)))
    carry, ys = layer(X, lengths=jnp.array([3, 5]))
    alone, ys_alone = layer(X[:1, :3])
    np.testing.assert_allclose(ys[:1, :3], ys_alone, rtol=1e-6, atol=1e-6)
    assert not ys[0, 3:].any()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:1], b, rtol=1e-6, atol=1e-6), carry, alone
    )


def test_the_carries_of_both_directions_may_be_one_array():
    layer = randomise(modules.GRU(6, 3, bidirectional=True, rngs=nnx.Rngs(0)))
    carry, _ = layer(X)
    wanted, got = layer(X, carry), layer(X, jnp.stack([jnp.stack(pair) for pair in carry]))
    jax.tree.map(np.testing.assert_array_equal, wanted, got)


@pytest.mark.peers
@pytest.mark.parametrize("name", CELLS)
def test_stacked_layers_in_both_directions_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name.upper())(
        6, 3, num_layers=2, bidirectional=True, batch_first=True
    )
    ours = CELLS[name][0](6, 3, layers=2, bidirectional=True, biases="ih", rngs=nnx.Rngs(0))
    for cells, ending in ((ours.cells, ""), (ours.reversed_cells, "_reverse")):
        for i, cell in enumerate(cells):
            for part, letters in ((cell.dense_i, "ih"), (cell.dense_h, "hh")):
                weight, bias = (
                    getattr(theirs, f"{kind}_{letters}_l{i}{ending}") for kind in ("weight", "bias")
                )
                part.kernel[...], part.bias[...] = (
                    jnp.asarray(weight.detach().numpy().T),
                    jnp.asarray(bias.detach()),
                )
    lengths = np.array([3, 5])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(np.array(X)), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    wanted, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    np.testing.assert_allclose(
        ours(X, lengths=jnp.asarray(lengths))[1], wanted.detach(), rtol=1e-5, atol=1e-6
    )


def test_generation_through_the_cache_is_causal_attention_over_the_whole():
    layer = randomise(
        modules.MultiHeadAttention(
            4, 6, 8, num_kv_heads=2, causal=True, rotary_base=100.0, rngs=nnx.Rngs(0)
        )
    )
    cache, parts = layer.empty_cache((2,), 5), []
    for begin, end in ((0, 2), (2, 3), (3, 5)):
        y, cache = layer.decode(X[:, begin:end], cache)
        parts.append(y)
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), layer(X), rtol=1e-5, atol=1e-6)


def test_rotary_attention_sees_distances_only():
    layer = randomise(modules.MultiHeadAttention(2, 6, 8, rotary_base=100.0, rngs=nnx.Rngs(0)))
    padded = jnp.pad(X, ((0, 0), (3, 0), (0, 0)))
    shifted = layer(padded, mask=(jnp.arange(8) >= 3)[None, None, None])[:, 3:]
    np.testing.assert_allclose(shifted, layer(X), rtol=1e-4, atol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_block_is_pytorchs(norm_first):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
    ).eval()
    ours = modules.TransformerBlock(
        8,
        2,
        12,
        norm_first=norm_first,
        norm=functools.partial(modules.LayerNorm, epsilon=1e-5),
        activation=functools.partial(jax.nn.gelu, approximate=False),
        rngs=nnx.Rngs(0),
    )
    weights = {name: jnp.asarray(value.numpy()) for name, value in theirs.state_dict().items()}
    for i, part in enumerate((ours.attention.query, ours.attention.key, ours.attention.value)):
        rows = slice(8 * i, 8 * (i + 1))
        part.kernel[...] = weights["self_attn.in_proj_weight"][rows].T.reshape(8, 2, 4)
        part.bias[...] = weights["self_attn.in_proj_bias"][rows].reshape(2, 4)
    ours.attention.out.kernel[...] = weights["self_attn.out_proj.weight"].T.reshape(2, 4, 8)
    ours.attention.out.bias[...] = weights["self_attn.out_proj.bias"]
    for name in ("linear1", "linear2"):
        part = getattr(ours, name)
        part.kernel[...], part.bias[...] = weights[f"{name}.weight"].T, weights[f"{name}.bias"]
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    with torch.no_grad():
        wanted = theirs(torch.tensor(x), src_mask=torch.triu(torch.ones(5, 5, dtype=torch.bool), 1))
    got = ours(jnp.asarray(x), mask=jnp.tril(jnp.ones((5, 5), bool)))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_lora_starts_as_its_base_and_is_flaxs_at_alpha_equal_to_the_rank():
    base = randomise(modules.Dense(6, 3, rngs=nnx.Rngs(0)))
    ours, flax = (
        modules.LoRA(base, 2, rngs=nnx.Rngs(1)),
        nnx.LoRA(6, 2, 3, base_module=base, rngs=nnx.Rngs(2)),
    )
    np.testing.assert_array_equal(ours(X), base(X))
    nnx.update(ours, variables(randomise(flax)))
    np.testing.assert_allclose(ours(X), flax(X), rtol=1e-5)
    doubled = modules.LoRA(base, 2, alpha=4.0, rngs=nnx.Rngs(1))
    nnx.update(doubled, variables(flax))
    np.testing.assert_allclose(doubled(X) - base(X), 2 * (ours(X) - base(X)), rtol=1e-4, atol=1e-5)


def test_the_norms_keep_their_digits_far_from_zero():
    x = 1e4 + jnp.asarray(np.random.default_rng(0).normal(size=(64, 6)), jnp.float32)
    wanted = (np.float64(x) - np.float64(x).mean(0)) / np.float64(x).std(0)
    got = modules.BatchNorm(6, use_running_average=False, epsilon=0.0, rngs=nnx.Rngs(0))(x)
    np.testing.assert_allclose(got, wanted, atol=5e-3)


DROPPING = {
    "recurrent": functools.partial(modules.LSTM, 6, 4, layers=2, dropout_rate=0.5),
    "attention": functools.partial(
        modules.TransformerBlock, 6, 2, dropout_rate=0.5, attention_dropout_rate=0.5
    ),
}


@pytest.mark.parametrize("name", DROPPING)
def test_members_set_the_dropout_rate_of_every_part(name):
    model = jnn.as_model(DROPPING[name])
    params, state = model.init(jax.random.key(0), X)

    @jax.jit
    def at(rate, key):
        y, _ = model.apply(params, state, X, key=key, train=True, hyper={"dropout_rate": rate})
        return jax.tree.leaves(y)[-1]

    plain = jax.tree.leaves(model.apply(params, state, X)[0])[-1]
    np.testing.assert_allclose(at(0.0, jax.random.key(1)), plain, rtol=1e-5, atol=1e-6)
    one, again, other = (at(0.5, jax.random.key(k)) for k in (1, 1, 2))
    assert (
        np.array_equal(one, again) and not np.allclose(one, other) and not np.allclose(one, plain)
    )


PROMOTING = {
    "attention": (functools.partial(modules.MultiHeadAttention, 2, 6), (2, 5, 6)),
    "ConvTranspose": (functools.partial(modules.ConvTranspose, 6, 3, (3,)), (2, 5, 6)),
    "LoRA": (lambda rngs: modules.LoRA(modules.Dense(6, 3, rngs=rngs), 2, rngs=rngs), (2, 6)),
    "LSTM": (functools.partial(modules.LSTM, 6, 3), (2, 5, 6)),
    "GRU": (functools.partial(modules.GRU, 6, 3, bidirectional=True), (2, 5, 6)),
    "RNN": (functools.partial(modules.RNN, 6, 3, layers=2), (2, 5, 6)),
}


@pytest.mark.parametrize("name", PROMOTING)
def test_whole_and_half_inputs_meet_the_parameters_in_their_type(name):
    make, shape = PROMOTING[name]
    layer = randomise(make(rngs=nnx.Rngs(0)))
    whole = jnp.arange(np.prod(shape)).reshape(shape) % 5
    wanted, *others = (
        jax.tree.leaves(layer(whole.astype(d)))[-1] for d in (jnp.float32, jnp.int32, jnp.bfloat16)
    )
    for got in others:
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


WRONG = {
    "heads that do not divide": lambda rngs: modules.MultiHeadAttention(3, 8, rngs=rngs),
    "no heads": lambda rngs: modules.MultiHeadAttention(0, 8, rngs=rngs),
    "no layers": lambda rngs: modules.GRU(3, 4, layers=0, rngs=rngs),
    "a rate above one": lambda rngs: modules.TransformerBlock(4, 2, dropout_rate=1.5, rngs=rngs),
    "no rank": lambda rngs: modules.LoRA(modules.Dense(2, 2, rngs=rngs), 0, rngs=rngs),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_sizes_are_refused(what):
    with pytest.raises(ValueError, match="wanted"):
        WRONG[what](nnx.Rngs(0))
