"""Networks with the features of Flax's public examples, each a study of at most five lines.

The networks are written as one writes them for Flax: batch norm over the axis of `pmap`, keys at
call time, a key as an argument, settings in a dataclass, partitioned parameters, several inputs.
The truth is one step of the loop as it is written in Flax.
"""

import dataclasses
import functools
import inspect
import zlib
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn.engine import STEP, key_of

pytestmark = pytest.mark.examples

RANDOM = np.random.default_rng(0)
RATE = 0.05
MEMBER = jax.random.key(3, impl="threefry2x32")
IMAGES = RANDOM.normal(size=(6, 8, 8, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
TOKENS = RANDOM.integers(1, 11, size=(6, 7))
TOKENS[::2, 5:] = 0  # padding
cross_entropy = optax.softmax_cross_entropy_with_integer_labels


class MnistLinen(nn.Module):
    """Convolution, pooling, dense layers."""

    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(8)(x.reshape((x.shape[0], -1))))
        return nn.Dense(3)(x)


def mnist_linen():
    return jnn.Study(
        MnistLinen(), jnn.losses.softmax_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


class MnistNnx(nnx.Module):
    """Batch norm that is switched by `train()` and `eval()`, dropout with keys at call time."""

    def __init__(self, *, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.3)
        self.pool = functools.partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
        self.head = nnx.Linear(64, 3, rngs=rngs)

    def __call__(self, x, rngs: nnx.Rngs | None = None):
        x = self.pool(nnx.relu(self.norm(self.drop(self.conv(x), rngs=rngs))))
        return self.head(x.reshape(x.shape[0], -1))


def mnist_nnx():
    return jnn.Study(
        MnistNnx, jnn.losses.softmax_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


class ResNet(nn.Module):
    """Residual blocks whose norms average over the axis of `pmap`."""

    axis: str | None = "batch"

    @nn.compact
    def __call__(self, x, train: bool = True):
        conv = functools.partial(nn.Conv, use_bias=False)
        norm = functools.partial(
            nn.BatchNorm, use_running_average=not train, momentum=0.9, axis_name=self.axis
        )
        x = nn.relu(norm(name="bn_init")(conv(4, (3, 3), name="conv_init")(x)))
        for filters in (4, 8):
            y = nn.relu(norm()(conv(filters, (3, 3))(x)))
            y = norm(scale_init=nn.initializers.ones_init())(conv(filters, (3, 3))(y))
            if x.shape != y.shape:
                x = norm(name="norm_proj")(conv(filters, (1, 1), name="conv_proj")(x))
            x = nn.relu(x + y)
        return nn.Dense(3)(x.mean(axis=(1, 2)))


def imagenet():
    return jnn.Study(
        ResNet(), jnn.losses.softmax_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


class Vae(nn.Module):
    """Draws its latent variables by a key that is an argument."""

    @nn.compact
    def __call__(self, x, z_rng):
        hidden = nn.relu(nn.Dense(8)(x))
        mean, log_variance = nn.Dense(2)(hidden), nn.Dense(2)(hidden)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(z_rng, mean.shape)
        return nn.Dense(x.shape[-1])(nn.relu(nn.Dense(8)(z))), mean, log_variance


def elbo(outputs, targets):
    logits, mean, log_variance = outputs
    reconstruction = optax.sigmoid_binary_cross_entropy(logits, targets["image"]).sum(-1)
    return reconstruction - 0.5 * (1 + log_variance - mean**2 - jnp.exp(log_variance)).sum(-1)


def vae():
    return jnn.Study(Vae(), elbo, optax.sgd(RATE / 10), batch_size=6, epochs=4)


class Sst2(nn.Module):
    """Embeds words, drops some of them, reads them by an LSTM up to their length."""

    @nn.compact
    def __call__(self, ids, lengths, deterministic: bool = True):
        x = nn.Embed(11, 6)(ids)
        if not deterministic:
            kept = jax.random.bernoulli(self.make_rng("dropout"), 0.9, ids.shape)
            x = x * kept[..., None]
        x = nn.RNN(nn.OptimizedLSTMCell(5))(x, seq_lengths=lengths)
        last = x[jnp.arange(len(ids)), lengths - 1]
        return nn.Dense(1)(nn.Dropout(0.2)(last, deterministic=deterministic))


def sst2():
    return jnn.Study(
        Sst2(), jnn.losses.binary_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


@dataclasses.dataclass(frozen=True)
class Config:
    vocabulary: int = 11
    features: int = 8
    deterministic: bool = False


class Lm1b(nn.Module):
    """A decoder whose settings say whether it trains, with named axes of its parameters."""

    config: Config

    @nn.compact
    def __call__(self, ids):
        config = self.config
        draw = nn.with_logical_partitioning(nn.initializers.normal(0.1), ("vocab", "embed"))
        embed = nn.Embed(config.vocabulary, config.features, embedding_init=draw)
        x = embed(jnp.pad(ids, ((0, 0), (1, 0)))[:, :-1])
        x = x + self.param("positions", nn.initializers.normal(0.1), x.shape[1:])
        attend = nn.MultiHeadDotProductAttention(
            2, dropout_rate=0.1, deterministic=config.deterministic
        )
        mask = nn.combine_masks(nn.make_attention_mask(ids > 0, ids > 0), nn.make_causal_mask(ids))
        x = x + nn.Dropout(0.1)(attend(nn.LayerNorm()(x), mask=mask), config.deterministic)
        x = x + nn.Dense(config.features)(nn.relu(nn.Dense(16)(nn.LayerNorm()(x))))
        return embed.attend(x)


def lm1b():
    return jnn.Study(
        Lm1b(Config()), jnn.losses.softmax_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


class Gemma(nnx.Module):
    """A block: rotary positions, shared heads of keys, a cap on the logits, a gated layer."""

    def __init__(self, *, rngs):
        draw = nnx.initializers.normal(0.3)
        shapes = {"embed": (11, 8), "q": (2, 8, 4), "kv": (2, 8, 4), "out": (2, 4, 8)}
        for name, shape in {**shapes, "gate": (2, 8, 16), "down": (16, 8)}.items():
            setattr(self, name, nnx.Param(draw(rngs.params(), shape)))
        self.norms = nnx.List(nnx.RMSNorm(8, rngs=rngs) for _ in range(3))
        self.drop = nnx.Dropout(0.1)

    def __call__(self, tokens, positions, cache, mask, *, rngs: nnx.Rngs | None = None):
        x = self.embed[...][tokens] * 8**0.5
        h = self.norms[0](x)
        q = jnp.einsum("btd,ndh->btnh", h, self.q[...])
        k, v = jnp.einsum("btd,cdh->cbth", h, self.kv[...])
        angles = positions[..., None] / 10.0 ** jnp.arange(2)
        q, k = rotated(q, angles[:, :, None]), rotated(k, angles)
        logits = jnp.tanh(jnp.einsum("btnh,bsh->bnts", q, k) / 5.0) * 5.0
        shares = jax.nn.softmax(jnp.where(mask[:, None], logits, -1e9))
        self.sow(nnx.Intermediate, "shares", shares)
        h = jnp.einsum("btnh,nhd->btd", jnp.einsum("bnts,bsh->btnh", shares, v), self.out[...])
        x = x + self.drop(h, rngs=rngs)
        gate, value = jnp.einsum("btd,cdf->cbtf", self.norms[1](x), self.gate[...])
        x = x + (nnx.gelu(gate) * value) @ self.down[...]
        return self.norms[2](x) @ self.embed[...].T, cache


def rotated(x, angles):
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def gemma_inputs(tokens):
    """Positions and causal mask, as the script of training computes them."""
    length = tokens.shape[1]
    mask = jnp.broadcast_to(jnp.tri(length, dtype=bool), (len(tokens), length, length))
    return tokens, jnp.broadcast_to(jnp.arange(length), tokens.shape), None, mask


class GemmaOfTokens(Gemma):
    def __call__(self, tokens, rngs=None):
        return super().__call__(*gemma_inputs(tokens), rngs=rngs)[0]


def gemma():
    return jnn.Study(
        GemmaOfTokens, jnn.losses.softmax_cross_entropy, optax.sgd(RATE), batch_size=6, epochs=4
    )


class Example(NamedTuple):
    """A study, its data, and the loss of one step as it is written in Flax."""

    study: Any
    x: Any
    y: Any
    options: dict[str, Any]
    loss: Any


def linen_loss(module, loss, **keywords):
    """The loss of a batch in Flax: `apply` with the keys of the step and mutable statistics."""

    def of_batch(params, state, x, y, key):
        arguments = x if isinstance(x, tuple) else (x,)
        if isinstance(module, Vae):
            arguments = (*arguments, jax.random.fold_in(key, zlib.crc32(b"z_rng")))
        outputs, _ = module.apply(
            {"params": params, **state},
            *arguments,
            rngs={"dropout": jax.random.fold_in(key, 1)},
            mutable=["batch_stats"],
            **keywords,
        )
        return loss(outputs, y)

    return of_batch


def nnx_loss(module, arguments_of=lambda x: (x,)):
    """The loss of a batch in NNX: the module in training mode, called with keys."""

    def of_batch(params, state, x, y, key):
        del state  # as the module makes it
        graph, _, rest = nnx.split(module(rngs=nnx.Rngs(0)), nnx.Param, ...)
        numbered = {name: _with_numbers(part) for name, part in params.items()}
        model = nnx.merge(graph, nnx.State(numbered), rest)
        model.train()
        rngs = nnx.Rngs(jax.random.fold_in(key, zlib.crc32(b"rngs")))
        outputs, _ = nnx.capture(model, nnx.Intermediate)(*arguments_of(x), rngs=rngs)
        return mean_cross_entropy(outputs[0] if isinstance(outputs, tuple) else outputs, y)

    return of_batch


def _with_numbers(part):
    """Return a part of the parameters with the places in a list as numbers, as NNX has them."""
    if not isinstance(part, dict):
        return nnx.Param(part)
    return {
        int(name) if name.isdigit() else name: _with_numbers(inner) for name, inner in part.items()
    }


def mean_cross_entropy(outputs, y):
    return cross_entropy(outputs, y).mean()


def masked_cross_entropy(outputs, y):
    weights = y > 0
    return (cross_entropy(outputs, y) * weights).sum() / weights.sum()


def binary_cross_entropy(outputs, y):
    return optax.sigmoid_binary_cross_entropy(outputs[:, 0], y).mean()


LENGTHS = np.where(np.arange(6) % 2, 7, 5)
FLAT = (IMAGES.reshape(6, -1) > 0).astype(np.float32)
WORDS = {"task": "classification", "ids": True}
EXAMPLES = {
    "mnist linen": Example(
        mnist_linen, IMAGES, LABELS, {}, linen_loss(MnistLinen(), mean_cross_entropy)
    ),
    "mnist nnx": Example(mnist_nnx, IMAGES, LABELS, {}, nnx_loss(MnistNnx)),
    "imagenet": Example(
        imagenet, IMAGES, LABELS, {}, linen_loss(ResNet(None), mean_cross_entropy, train=True)
    ),
    "vae": Example(
        vae, FLAT, {"image": FLAT}, {}, linen_loss(Vae(), lambda o, y: elbo(o, y).mean())
    ),
    "sst2": Example(
        sst2,
        {"ids": TOKENS, "lengths": LENGTHS},
        LABELS % 2,
        {"task": "classification"},
        linen_loss(Sst2(), binary_cross_entropy, deterministic=False),
    ),
    "lm1b": Example(
        lm1b,
        TOKENS,
        TOKENS,
        {**WORDS, "ignore_index": 0},
        linen_loss(Lm1b(Config()), masked_cross_entropy),
    ),
    "gemma": Example(gemma, TOKENS[:, :-1], TOKENS[:, 1:], WORDS, nnx_loss(Gemma, gemma_inputs)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_flax_is_a_study_of_five_lines_and_takes_flaxs_step(name):
    make, x, y, options, in_flax = EXAMPLES[name]
    assert len(inspect.getsource(make).splitlines()) <= 1 + 5
    study = make()
    dataset = jnn.Dataset.from_arrays(x, y, **options)
    ignored = None if dataset.ignore_index is None else -1
    data = jnn.Data.from_arrays(dataset.x, dataset.y, ignore_index=ignored)
    state = jnn.make_start(study)(jnn.Member(MEMBER, 0, {}), data)
    key = key_of(state.key, STEP, state.step)
    inputs = (dataset.x["ids"], dataset.x["lengths"]) if name == "sst2" else dataset.x
    params, model_state = state.trained.params, state.trained.model_state

    @jax.jit
    def both(state, batch):
        expected, gradient = jax.value_and_grad(in_flax)(params, model_state, inputs, y, key)
        return jnn.make_step(study)(state, batch), expected, gradient

    batch = jnn.Batch(dataset.x, dataset.y, ignoring=data.ignoring)
    (after, loss), expected, gradient = both(state, batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    rate = RATE / 10 if name == "vae" else RATE
    jax.tree.map(
        lambda new, old, slope: np.testing.assert_allclose(
            new, old - rate * slope, rtol=1e-4, atol=1e-6
        ),
        after.trained.params,
        params,
        gradient,
    )
    scores = jax.eval_shape(jnn.make_evaluate(study), state, data, data.train)
    assert scores["loss"].shape == ()
