"""Modules load Flax's weights and give its numbers; cache, carry and members change nothing."""

import functools
import inspect
import pydoc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn import models, modules

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6)), jnp.float32)
IMAGE = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5, 4)), jnp.float32)
KEY = jax.random.key(0)
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


def filled(make, seed=0):
    """A module with positive random values, so that no bias or scale hides at 0 or 1.

    Its initial values are never computed, which would compile a program for each.
    """
    graph, abstract = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))))
    random = np.random.default_rng(seed)

    def draw(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):  # a stream of random numbers
            return jnp.zeros(leaf.shape, jnp.uint32) if leaf.dtype == jnp.uint32 else KEY
        return jnp.asarray(0.2 + np.abs(0.5 * random.normal(size=leaf.shape)), leaf.dtype)

    return nnx.merge(graph, jax.tree.map(draw, abstract))


@pytest.mark.parametrize("name", FLAX)
def test_weights_load_from_flax_and_back_with_equal_outputs(name):
    make_ours, make_flax, sizes, options, call = FLAX[name]
    makes = [functools.partial(make, *sizes, **options) for make in (make_ours, make_flax)]
    ours, flax = (filled(make, seed) for seed, make in enumerate(makes))
    for source, target in ((flax, filled(makes[0], 2)), (ours, filled(makes[1], 2))):
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
    ours, cell = (filled(functools.partial(make, 6, 3)) for make in CELLS[name])
    flax = nnx.RNN(cell)
    nnx.update(ours.cells[0], variables(cell))
    np.testing.assert_allclose(ours(X)[1], flax(X, rngs=nnx.Rngs(0)), rtol=1e-5, atol=1e-6)
    nnx.update(cell, variables(filled(functools.partial(CELLS[name][0], 6, 3), 2).cells[0]))
    nnx.update(ours.cells[0], variables(cell))
    np.testing.assert_allclose(ours(X)[1], flax(X, rngs=nnx.Rngs(0)), rtol=1e-5, atol=1e-6)


def test_the_eight_layers_of_flaxs_lstm_become_two_and_back():
    ours = filled(functools.partial(modules.LSTM, 6, 3))
    cell = filled(functools.partial(nnx.LSTMCell, 6, 3), 1)
    eight = nnx.to_pure_dict(variables(cell))
    two = modules.fuse_lstm(eight)
    nnx.update(ours.cells[0], two)
    np.testing.assert_allclose(ours(X)[1], nnx.RNN(cell)(X, rngs=nnx.Rngs(0)), rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, modules.split_lstm(two), eight)


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_in_two_parts_with_the_carry_between_is_the_whole(name):
    layer = filled(functools.partial(CELLS[name][0], 6, 3, layers=2))
    _, whole = layer(X)
    carry, first = layer(X[:, :2])
    _, second = layer(X[:, 2:], carry)
    np.testing.assert_allclose(
        jnp.concatenate([first, second], axis=1), whole, rtol=1e-6, atol=1e-6
    )


def test_rows_of_different_lengths_are_each_row_alone():
    layer = filled(functools.partial(modules.LSTM, 6, 3, layers=2, bidirectional=True))
    carry, ys = layer(X, lengths=jnp.array([3, 5]))
    alone, ys_alone = layer(X[:1, :3])
    np.testing.assert_allclose(ys[:1, :3], ys_alone, rtol=1e-6, atol=1e-6)
    assert not ys[0, 3:].any()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:1], b, rtol=1e-6, atol=1e-6), carry, alone
    )


def test_the_carries_of_both_directions_may_be_one_array():
    layer = filled(functools.partial(modules.GRU, 6, 3, bidirectional=True))
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
    options = {"num_kv_heads": 2, "causal": True, "rotary_base": 100.0}
    layer = filled(functools.partial(modules.MultiHeadAttention, 4, 6, 8, **options))
    cache, parts = layer.empty_cache((2,), 5), []
    for begin, end in ((0, 2), (2, 3), (3, 5)):
        y, cache = layer.decode(X[:, begin:end], cache)
        parts.append(y)
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), layer(X), rtol=1e-5, atol=1e-6)


def test_rotary_attention_sees_distances_only():
    layer = filled(functools.partial(modules.MultiHeadAttention, 2, 6, 8, rotary_base=100.0))
    padded = jnp.pad(X, ((0, 0), (3, 0), (0, 0)))
    shifted = layer(padded, mask=(jnp.arange(8) >= 3)[None, None, None])[:, 3:]
    np.testing.assert_allclose(shifted, layer(X), rtol=1e-4, atol=1e-5)


PARTS = ("query", "key", "value", "out")


def test_a_gated_block_multiplies_its_hidden_units():
    options = {"hidden": 4, "gated": True, "activation": jax.nn.silu, "use_bias": False}
    block = filled(functools.partial(modules.TransformerBlock, 6, 2, qkv_bias=True, **options))
    biases = {name for name in PARTS if getattr(block.attention, name).bias is not None}
    assert biases == {"query", "key", "value"}
    block.attention.out.kernel[...] = jnp.zeros_like(block.attention.out.kernel[...])
    x = np.asarray(block.norm2(X), np.float64)
    gate, linear1, linear2 = (
        np.asarray(layer.kernel[...], np.float64)
        for layer in (block.gate, block.linear1, block.linear2)
    )
    wanted = X + (x @ gate / (1 + np.exp(-(x @ gate))) * (x @ linear1)) @ linear2
    np.testing.assert_allclose(block(X), wanted, rtol=1e-5, atol=1e-5)


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
    base = filled(functools.partial(modules.Dense, 6, 3))
    ours, flax = (
        modules.LoRA(base, 2, rngs=nnx.Rngs(1)),
        nnx.LoRA(6, 2, 3, base_module=base, rngs=nnx.Rngs(2)),
    )
    np.testing.assert_array_equal(ours(X), base(X))
    nnx.update(flax, jax.tree.map(lambda leaf: leaf + 0.5, nnx.state(flax, nnx.LoRAParam)))
    nnx.update(ours, variables(flax))
    np.testing.assert_allclose(ours(X), flax(X), rtol=1e-5)
    doubled = modules.LoRA(base, 2, alpha=4.0, rngs=nnx.Rngs(1))
    nnx.update(doubled, variables(flax))
    np.testing.assert_allclose(doubled(X) - base(X), 2 * (ours(X) - base(X)), rtol=1e-4, atol=1e-5)


CLASSES = {  # Flax's own modules that jnn's compute like
    "Dense": (nnx.Linear, (6, 3)),
    "Embedding": (nnx.Embed, (7, 3)),
    "Conv": (nnx.Conv, (6, 3, (3,))),
    "BatchNorm": (nnx.BatchNorm, (6,)),
    "LayerNorm": (nnx.LayerNorm, (6,)),
    "RMSNorm": (nnx.RMSNorm, (6,)),
    "GroupNorm": (nnx.GroupNorm, (6, 2)),
    "RNN": (modules.Recurrent, (6, 3)),
    "GRU": (modules.Recurrent, (6, 3)),
    "LSTM": (modules.Recurrent, (6, 3)),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_layer_is_a_class_with_its_own_help_that_can_be_extended(name):
    layer, (parent, sizes) = getattr(modules, name), CLASSES[name]
    extended = type("Extended", (layer,), {})
    module = nnx.eval_shape(lambda: extended(*sizes, rngs=nnx.Rngs(0)))
    assert isinstance(module, layer) and isinstance(module, parent)
    assert layer.__doc__ != parent.__doc__ and f"class {name}(" in pydoc.plain(
        pydoc.render_doc(layer)
    )


@pytest.mark.parametrize("package", [modules, models])
def test_a_class_shows_the_arguments_of_its_init(package):
    for name in package.__all__:
        layer = getattr(package, name)
        if isinstance(layer, type) and issubclass(layer, nnx.Module):
            arguments = list(inspect.signature(layer.__init__).parameters)
            assert list(inspect.signature(layer).parameters) == arguments[1:], name


def test_a_subclass_shows_its_own_arguments_and_an_instance_those_of_its_call():
    class Halving(modules.Dense):
        def __init__(self, features, *, rngs):
            super().__init__(features, features // 2, rngs=rngs)

    assert list(inspect.signature(Halving).parameters) == ["features", "rngs"]
    assert "inputs" in inspect.signature(Halving(4, rngs=nnx.Rngs(0))).parameters


def test_ids_outside_the_table_take_its_first_and_last_row():
    """As `jnn.layers.embedding` does; Flax counts negative ids from the end and returns NaN."""
    layer = filled(functools.partial(modules.Embedding, 7, 3))
    table = np.asarray(layer.embedding[...])
    np.testing.assert_array_equal(layer(jnp.array([-9, -1, 6, 7, 99])), table[[0, 0, 6, 6, 6]])
    with pytest.raises(TypeError, match="Embedding takes integer ids, got an array of float32"):
        layer(jnp.ones(2))


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
    layer = filled(make)
    whole = jnp.arange(np.prod(shape)).reshape(shape) % 5
    wanted, *others = (
        jax.tree.leaves(layer(whole.astype(d)))[-1] for d in (jnp.float32, jnp.int32, jnp.bfloat16)
    )
    for got in others:
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


WRONG = {
    "heads that do not divide": (
        lambda rngs: modules.MultiHeadAttention(3, 8, rngs=rngs),
        "num_heads must divide the 8 features of all heads together, got 3",
    ),
    "no heads": (
        lambda rngs: modules.MultiHeadAttention(0, 8, rngs=rngs),
        "num_heads must divide the 8 features of all heads together, got 0",
    ),
    "key heads that do not divide": (
        lambda rngs: modules.MultiHeadAttention(4, 8, num_kv_heads=3, rngs=rngs),
        "num_kv_heads must divide the 4 heads of the queries, got 3",
    ),
    "no layers": (
        lambda rngs: modules.GRU(3, 4, layers=0, rngs=rngs),
        "layers must be a positive integer, got 0",
    ),
    "a rate above one": (
        lambda rngs: modules.TransformerBlock(4, 2, dropout_rate=1.5, rngs=rngs),
        "dropout_rate must be from 0 to 1, got 1.5",
    ),
    "no rank": (
        lambda rngs: modules.LoRA(modules.Dense(2, 2, rngs=rngs), 0, rngs=rngs),
        "rank must be a positive integer, got 0",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_sizes_are_refused(what):
    make, words = WRONG[what]
    with pytest.raises(ValueError, match=words):
        make(nnx.Rngs(0))


def test_a_dropped_path_leaves_out_whole_rows_and_keeps_the_mean():
    layer = modules.DropPath(0.8, factor=0.25, rngs=nnx.Rngs(dropout=0))
    y = layer(jnp.ones((4000, 2, 3)))
    np.testing.assert_allclose(np.unique(y), [0, 1.25], atol=1e-4)
    assert (y == y[:, :1, :1]).all()
    assert abs((y == 0).mean() - 0.2) < 0.03  # 4.7 standard deviations
    layer.eval()
    np.testing.assert_array_equal(layer(X), X)
    with pytest.raises(ValueError, match="factor must be"):
        modules.DropPath(0.5, factor=2, rngs=nnx.Rngs(0))
