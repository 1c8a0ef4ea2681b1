"""Layers equal PyTorch's with equal weights: values and gradients over random settings."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import layers

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])
random_settings = pytest.mark.parametrize("seed", range(4))


def assert_same(ours, theirs, arrays, dtype):
    """Compare values and the gradients of every array under a random cotangent.

    `ours` and `theirs` are functions of the arrays that give one array each.
    """
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    wanted = theirs(*tensors)
    cotangent = np.random.default_rng(0).normal(size=tuple(wanted.shape)).astype(dtype)
    wanted.backward(torch.tensor(cotangent))
    with jax.enable_x64(dtype is np.float64):
        got, pullback = jax.vjp(jax.jit(ours), *map(jnp.asarray, arrays))
        gradients = pullback(jnp.asarray(cotangent))
    close = partial(np.testing.assert_allclose, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])
    assert got.dtype == dtype
    close(got, wanted.detach().numpy())
    for gradient, tensor in zip(gradients, tensors, strict=True):
        close(gradient, np.zeros_like(gradient) if tensor.grad is None else tensor.grad.numpy())


def draws(seed, dtype, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def channels_first(x):
    return torch.movedim(x, -1, 1)


def channels_last(x):
    return torch.movedim(x, 1, -1)


@both_precisions
@random_settings
def test_dense(seed, dtype):
    rng = np.random.default_rng(seed)
    batch, features, units = (
        rng.integers(1, 7, 2).tolist(),
        int(rng.integers(1, 9)),
        int(rng.integers(1, 9)),
    )
    arrays = draws(seed, dtype, (*batch, features), (features, units), (units,))
    assert_same(layers.dense, lambda x, k, b: torch.nn.functional.linear(x, k.T, b), arrays, dtype)


@both_precisions
def test_embedding(dtype):
    ids = np.array([[3, 0, 3], [1, 1, 1]])
    ours = lambda table: layers.embedding(jnp.asarray(ids), table)  # noqa: E731
    assert_same(
        ours,
        lambda table: torch.nn.functional.embedding(torch.tensor(ids), table),
        draws(0, dtype, (5, 3)),
        dtype,
    )


PAIRS = {
    "celu": torch.nn.functional.celu,
    "elu": torch.nn.functional.elu,
    "gelu": partial(torch.nn.functional.gelu, approximate="tanh"),
    "hard_sigmoid": lambda x: (
        torch.nn.functional.relu6(x + 3) / 6
    ),  # torch's own slope is 1/6 in float32 always
    "hard_silu": torch.nn.functional.hardswish,
    "hard_tanh": torch.nn.functional.hardtanh,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "log_softmax": partial(torch.nn.functional.log_softmax, dim=-1),
    "mish": torch.nn.functional.mish,
    "relu": torch.nn.functional.relu,
    "relu6": torch.nn.functional.relu6,
    "selu": torch.nn.functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": torch.nn.functional.silu,
    "soft_sign": torch.nn.functional.softsign,
    "softmax": partial(torch.nn.functional.softmax, dim=-1),
    "softplus": torch.nn.functional.softplus,
    "tanh": torch.tanh,
}


@both_precisions
@pytest.mark.parametrize("name", PAIRS)
def test_activation(name, dtype):
    assert_same(layers.ACTIVATIONS[name], PAIRS[name], [4 * draws(1, dtype, (5, 8))[0]], dtype)


@both_precisions
def test_glu_and_prelu(dtype):
    assert_same(layers.glu, torch.nn.functional.glu, draws(0, dtype, (3, 8)), dtype)
    x, slope = draws(1, dtype, (3, 4), (4,))
    assert_same(layers.prelu, torch.nn.functional.prelu, [x, slope], dtype)
    assert_same(lambda x, s: layers.prelu(x, s), torch.nn.functional.prelu, [x, slope[:1]], dtype)


@both_precisions
@random_settings
def test_norms(seed, dtype):
    rng = np.random.default_rng(seed)
    spatial, groups = rng.integers(2, 5, int(rng.integers(1, 3))).tolist(), int(rng.integers(1, 4))
    channels = groups * int(rng.integers(2, 4))
    shape, eps = (3, *spatial, channels), float(10 ** rng.uniform(-6, -2))
    arrays = draws(seed, dtype, shape, (channels,), (channels,))
    functional = torch.nn.functional

    def their_group_norm(x, s, b):
        return channels_last(functional.group_norm(channels_first(x), groups, s, b, eps))

    def their_instance_norm(x, s, b):
        y = functional.instance_norm(channels_first(x), None, None, s, b, True, 0, eps)
        return channels_last(y)

    def our_group_norm(x, s, b):
        return layers.group_norm(x, groups, s, b, eps=eps)

    assert_same(our_group_norm, their_group_norm, arrays, dtype)
    theirs = lambda x, s, b: functional.layer_norm(x, (channels,), s, b, eps)  # noqa: E731
    assert_same(partial(layers.layer_norm, eps=eps), theirs, arrays, dtype)
    theirs = lambda x, s: functional.rms_norm(x, (channels,), s, eps)  # noqa: E731
    assert_same(partial(layers.rms_norm, eps=eps), theirs, arrays[:2], dtype)
    assert_same(partial(layers.instance_norm, eps=eps), their_instance_norm, arrays, dtype)


@both_precisions
@random_settings
def test_batch_norm_and_the_unbiased_variance_that_pytorch_averages(seed, dtype):
    rng = np.random.default_rng(seed)
    spatial, channels = (
        rng.integers(2, 5, int(rng.integers(0, 3))).tolist(),
        int(rng.integers(1, 5)),
    )
    arrays = draws(seed, dtype, (6, *spatial, channels), (channels,), (channels,))
    kind = {0: torch.nn.BatchNorm1d, 1: torch.nn.BatchNorm1d, 2: torch.nn.BatchNorm2d}[len(spatial)]
    module = kind(channels, momentum=1.0, dtype=torch.tensor(arrays[0]).dtype)

    def theirs(x, scale, bias):
        module.weight, module.bias = None, None
        return channels_last(module(channels_first(x))) * scale + bias

    assert_same(lambda *a: layers.batch_norm_train(*a)[0], theirs, arrays, dtype)
    with jax.enable_x64(dtype is np.float64):
        _, (mean, var) = layers.batch_norm_train(jnp.asarray(arrays[0]))
        n = arrays[0].size // channels
        np.testing.assert_allclose(mean, module.running_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(var * n / (n - 1), module.running_var, rtol=1e-5)


MODULES = {"rnn": (torch.nn.RNN, 1), "gru": (torch.nn.GRU, 3), "lstm": (torch.nn.LSTM, 4)}


def torch_recurrent(module, x, lengths, weights):
    """Run the module with these weights on packed rows; return outputs and last carry."""
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed = pack(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    out, last = torch.func.functional_call(module, weights, (packed,))
    ys, _ = pad(out, batch_first=True, total_length=x.shape[1])
    last = torch.cat(last) if isinstance(last, tuple) else last
    return torch.cat([ys.flatten(), torch.movedim(last, 0, -1).flatten()])


@both_precisions
@random_settings
@pytest.mark.parametrize("name", MODULES)
def test_recurrent_layers_of_both_directions_with_lengths(name, seed, dtype):
    kind, gates = MODULES[name]
    rng = np.random.default_rng(seed)
    batch, time, features, hidden = rng.integers(1, 6, 4).tolist()
    lengths = rng.integers(1, time + 1, batch)
    module = kind(
        features, hidden, batch_first=True, bidirectional=True, dtype=torch.tensor(dtype(0)).dtype
    )
    columns = gates * hidden
    one_way = [(features, columns), (hidden, columns), (columns,), (columns,)]
    arrays = draws(seed, dtype, (batch, time, features), *one_way, *one_way)
    names = ["input_kernel", "recurrent_kernel", "bias", "recurrent_bias"]

    def ours(x, *parts):
        both = (dict(zip(names, parts[:4], strict=True)), dict(zip(names, parts[4:], strict=True)))
        carries, ys = layers.bidirectional(
            getattr(layers, name), x, *both, lengths=jnp.asarray(lengths)
        )
        ways = zip(*carries, strict=True) if name == "lstm" else [carries]
        last = jnp.stack([part for way in ways for part in way], axis=-1)
        return jnp.concatenate([ys.ravel(), last.ravel()])

    def theirs(x, *parts):
        stems = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
        slots = [stem + suffix for suffix in ("", "_reverse") for stem in stems]
        weights = {
            slot: part.T if part.ndim == 2 else part
            for slot, part in zip(slots, parts, strict=True)
        }
        return torch_recurrent(module, x, lengths, weights)

    assert_same(ours, theirs, arrays, dtype)


@both_precisions
@random_settings
def test_attention_with_grouped_heads_masks_and_biases(seed, dtype):
    rng = np.random.default_rng(seed)
    batch, time, source, group, kv_heads, dim = rng.integers(1, 6, 6).tolist()
    heads, causal = group * kv_heads, bool(seed % 2)
    arrays = draws(
        seed,
        dtype,
        *[(batch, t, n, dim) for t, n in [(time, heads), (source, kv_heads), (source, kv_heads)]],
    )
    mask = rng.random((batch, 1, time, source)) < 0.7
    mask[..., 0] = True  # PyTorch gives NaN to a query that sees nothing
    bias = rng.normal(size=(heads, time, source)).astype(dtype)
    hidden = np.where(
        mask & (np.tril(np.ones((time, source), bool)) if causal else True), bias, -np.inf
    ).astype(dtype)

    def theirs(q, k, v):
        q, k, v = (torch.movedim(array, 1, 2) for array in (q, k, v))
        attend = torch.nn.functional.scaled_dot_product_attention
        return torch.movedim(attend(q, k, v, attn_mask=torch.tensor(hidden), enable_gqa=True), 2, 1)

    def ours(q, k, v):
        return layers.attention(
            q, k, v, mask=jnp.asarray(mask), bias=jnp.asarray(bias), causal=causal
        )

    assert_same(ours, theirs, arrays, dtype)
