"""Recurrent and attention networks are as published, causal, blind to padding, alone or not."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import models
from jnn.modules import GRU, RNN

PUBLISHED = {  # counts of the papers, of their authors' code or written out in the docstring
    "GPT-2": (
        functools.partial(models.GPT, 50257, 1024, layers=12, num_heads=12, features=768),
        124_439_808,
    ),
    "GPT-2 untied": (
        functools.partial(
            models.GPT, 50257, 1024, layers=12, num_heads=12, features=768, tied=False
        ),
        124_439_808 + 50257 * 768,
    ),
    "nanoGPT on a CPU": (
        functools.partial(models.GPT, 65, 64, layers=4, num_heads=4, features=128, use_bias=False),
        804_096,
    ),
    **{
        name: (
            functools.partial(
                models.Llama,
                sizes[0],
                layers=sizes[1],
                num_heads=sizes[2],
                features=sizes[3],
                hidden=sizes[4],
                **options,
            ),
            count,
        )
        for name, sizes, options, count in [
            (
                "Llama-3.2-1B",
                (128256, 16, 32, 2048, 8192),
                {"num_kv_heads": 8, "rotary_base": 5e5, "tied": True},
                1_235_814_400,
            ),
            (
                "Qwen2-0.5B",
                (151936, 24, 14, 896, 4864),
                {"num_kv_heads": 2, "rotary_base": 1e6, "tied": True, "qkv_bias": True},
                494_032_768,
            ),
        ]
    },
    "ViT-B/16": (
        functools.partial(
            models.ViT, (224, 224, 3), 1000, patch=16, layers=12, num_heads=12, features=768
        ),
        86_567_656,
    ),
    "BERT-base": (
        functools.partial(models.TextEncoder, 30522, 512, layers=12, num_heads=12, features=768),
        109_482_240,
    ),
    "DistilBERT": (
        functools.partial(
            models.TextEncoder,
            30522,
            512,
            layers=6,
            num_heads=12,
            features=768,
            head="positions",
            segments=None,
        ),
        66_362_880,
    ),
    "PatchTST/42 for ETTh1": (functools.partial(models.PatchTST, 336, 96), 81_728),
    "GRU of MNIST-1D": (
        functools.partial(
            models.SequenceClassifier,
            (40,),
            6,
            10,
            layer=functools.partial(GRU, biases="ih"),
            bidirectional=True,
            read="all",
        ),
        5_134,
    ),
    "LSTM over characters": (functools.partial(models.LanguageModel, 65, 128), 148_289),
    "LSTM of PyTorch's example": (  # with one bias of each gate in place of two
        functools.partial(models.LanguageModel, 33278, 200, layers=2),
        33278 * 200 + 2 * 4 * (200 + 200 + 1) * 200 + 201 * 33278,
    ),
    "LSTM forecaster": (functools.partial(models.Forecaster, 7, 96, 64), 62_112),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_as_many_parameters_as_published(name):
    factory, wanted = PUBLISHED[name]
    abstract = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(0)))
    assert (
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(abstract, nnx.Param)))
        == wanted
    )


IDS = jnp.asarray(np.random.default_rng(0).integers(1, 7, (2, 6)))
SERIES = jnp.asarray(np.random.default_rng(1).normal(size=(2, 24, 3)), jnp.float32)
IMAGES = jnp.asarray(np.random.default_rng(2).normal(size=(2, 8, 4, 3)), jnp.float32)
TINY_GPT = functools.partial(models.GPT, 7, 8, layers=2, num_heads=2, features=8)
TINY_LLAMA = functools.partial(
    models.Llama, 7, layers=1, num_heads=4, features=8, hidden=6, num_kv_heads=2, qkv_bias=True
)
TINY = {
    "classifier of numbers": (
        functools.partial(
            models.SequenceClassifier, (24, 3), 4, 5, bidirectional=True, read="mean"
        ),
        SERIES,
        (2, 5),
    ),
    "classifier of ids": (
        functools.partial(
            models.SequenceClassifier, (6,), 4, 5, layer=GRU, layers=2, vocabulary=7, padding_id=0
        ),
        IDS,
        (2, 5),
    ),
    "recurrent language model": (
        functools.partial(models.LanguageModel, 7, 4, layer=RNN),
        IDS,
        (2, 6, 7),
    ),
    "tied language model": (
        functools.partial(models.LanguageModel, 7, 4, tied=True),
        IDS,
        (2, 6, 7),
    ),
    "forecaster": (
        functools.partial(models.Forecaster, 3, 4, 5, from_last=True),
        SERIES,
        (2, 4, 3),
    ),
    "GPT": (TINY_GPT, IDS, (2, 6, 7)),
    "Llama": (TINY_LLAMA, IDS, (2, 6, 7)),
    "ViT": (
        functools.partial(models.ViT, (8, 4, 3), 5, patch=4, layers=1, num_heads=2, features=8),
        IMAGES,
        (2, 5),
    ),
    "text encoder": (
        functools.partial(models.TextEncoder, 7, 6, 5, layers=1, num_heads=2, features=8),
        IDS,
        (2, 5),
    ),
    "text encoder of words": (
        functools.partial(
            models.TextEncoder, 7, 6, layers=1, num_heads=2, features=8, head="words", segments=None
        ),
        IDS,
        (2, 6, 7),
    ),
    "PatchTST": (
        functools.partial(
            models.PatchTST, 24, 4, patch=8, stride=4, num_heads=2, features=4, layers=2, hidden=8
        ),
        SERIES,
        (2, 4, 3),
    ),
}


@functools.cache
def tiny(name):
    model = jnn.as_model(TINY[name][0])
    params, state = jax.jit(lambda key: model.init(key, 0))(jax.random.key(0))
    return params, state, jax.jit(lambda params, x: model.apply(params, state, x)[0])


@pytest.mark.parametrize("name", TINY)
def test_a_batch_without_rows_gives_no_rows(name):
    make, x, shape = TINY[name]
    assert jax.eval_shape(lambda x: make(rngs=nnx.Rngs(0))(x), x[:0]).shape == (0, *shape[1:])


@pytest.mark.parametrize("name", TINY)
def test_outputs_have_the_promised_shape(name):
    params, _, apply = tiny(name)
    y = apply(params, TINY[name][1])
    assert y.shape == TINY[name][2] and np.isfinite(y).all()


@pytest.mark.parametrize("name", ["recurrent language model", "GPT", "Llama"])
def test_a_language_model_sees_nothing_later(name):
    params, _, apply = tiny(name)
    changed = IDS.at[:, 3:].set((IDS[:, 3:] + 1) % 7)
    before, after = apply(params, IDS), apply(params, changed)
    np.testing.assert_allclose(after[:, :3], before[:, :3], rtol=1e-5, atol=1e-6)
    assert not np.allclose(after[:, 3:], before[:, 3:], atol=1e-3)


@pytest.mark.parametrize("name", ["classifier of ids", "text encoder"])
def test_padding_at_the_end_changes_nothing(name):
    params, state, apply = tiny(name)
    short = jnn.as_module(TINY[name][0], params, state)(IDS[:, :4])
    np.testing.assert_allclose(apply(params, IDS.at[:, 4:].set(0)), short, rtol=1e-5, atol=1e-6)


def test_padding_changes_no_word_of_a_text_encoder_whether_by_its_id_or_by_a_mask():
    params, _, apply = tiny("text encoder of words")
    params = jax.tree.map(lambda a: 20 * a, params)  # so that positions heed each other
    short = apply(params, IDS.at[:, 4:].set(0))
    hidden = apply(params, {"ids": IDS, "mask": jnp.broadcast_to(jnp.arange(6) < 4, (2, 6))})
    np.testing.assert_allclose(hidden[:, :4], short[:, :4], rtol=1e-4, atol=1e-4)
    assert not np.allclose(hidden[:, :4], apply(params, IDS)[:, :4], atol=0.1)


def test_hidden_padding_before_a_text_changes_nothing_in_llama():
    params, _, apply = tiny("Llama")
    padded = jnp.concatenate([jnp.zeros((2, 3), IDS.dtype), IDS], axis=1)
    mask = jnp.broadcast_to(jnp.arange(9) >= 3, (2, 9))
    got = apply(params, {"ids": padded, "mask": mask})
    np.testing.assert_allclose(got[:, 3:], apply(params, IDS), rtol=1e-4, atol=1e-6)


def test_a_forecast_moves_and_grows_with_its_series():
    params, _, apply = tiny("PatchTST")
    np.testing.assert_allclose(
        apply(params, 10 * SERIES + 3), 10 * apply(params, SERIES) + 3, rtol=1e-3, atol=1e-2
    )
    params, _, apply = tiny("forecaster")
    np.testing.assert_allclose(
        apply(params, SERIES + 3), apply(params, SERIES) + 3, rtol=1e-4, atol=1e-4
    )


def test_channels_of_a_patched_series_do_not_see_each_other():
    params, _, apply = tiny("PatchTST")
    got = apply(params, SERIES.at[..., 0].set(0))
    np.testing.assert_allclose(got[..., 1:], apply(params, SERIES)[..., 1:], rtol=1e-5, atol=1e-5)


def test_patches_of_an_image_are_what_a_convolution_of_that_stride_sees():
    module = TINY["ViT"][0](rngs=nnx.Rngs(0))
    conv = nnx.Conv(3, 8, (4, 4), strides=4, padding="VALID", rngs=nnx.Rngs(0))
    conv.kernel[...] = module.embedding.kernel[...]
    wide = jax.random.normal(jax.random.key(0), (2, 9, 7, 3))  # whose last pixels are in no patch
    for images in (IMAGES, wide):
        np.testing.assert_allclose(module.embedding(images), conv(images), rtol=1e-5, atol=1e-5)


def test_gpt_starts_near_the_uniform_distribution():
    """Its initial logits have little spread, so that the first loss is log(vocabulary)."""
    model = jnn.as_model(functools.partial(models.GPT, 65, 16, layers=2, num_heads=2, features=64))
    ids = jax.random.randint(jax.random.key(0), (8, 16), 0, 65)

    @jax.jit
    def first_loss(key):
        params, state = model.init(key, ids)
        logits, _ = model.apply(params, state, ids)
        loss = jnn.losses.softmax_cross_entropy(logits, jnp.roll(ids, -1, axis=1))
        return loss.mean(), params["blocks"]["0"]["linear2"]["kernel"].std()

    loss, spread = first_loss(jax.random.key(1))
    assert abs(loss - math.log(65)) < 0.05
    assert abs(spread - 0.02 / math.sqrt(2 * 2)) < 0.0005


SMALL = {"patch": 2, "layers": 1, "num_heads": 2, "features": 8}
MEMBERS = {
    "recurrent": functools.partial(
        models.SequenceClassifier, (8, 1), 6, 2, layer=GRU, dropout_rate=0.3
    ),
    "attention": functools.partial(models.ViT, (4, 2, 1), 2, **SMALL, dropout_rate=0.3),
    "convolutions": functools.partial(
        models.ConvNeXt, 1, 2, depths=(2,), widths=(4,), patch=1, layer_scale=1, drop_path_rate=0.3
    ),
    "ids": functools.partial(
        models.TextEncoder, 9, 8, 2, layers=1, num_heads=2, features=8, dropout_rate=0.3
    ),
    "next ids": functools.partial(TINY_LLAMA, dropout_rate=0.3),
}


def data_of(name):
    x = np.random.default_rng(0).normal(size=(60, 8, 1)).astype(np.float32)
    y = (x.sum(axis=(1, 2)) > 0).astype(np.int32)
    ids = np.int32(x[..., 0] > 0)
    inputs = {
        "recurrent": x,
        "attention": x.reshape(60, 4, 2, 1),
        "convolutions": x.reshape(60, 4, 2, 1),
        "ids": {"ids": ids, "mask": np.arange(8) < 4 + ids.sum(1, keepdims=True)},
    }
    if name in inputs:
        return jnn.Dataset.from_arrays(inputs[name], y)
    return jnn.Dataset.from_tokens(np.random.default_rng(0).integers(0, 7, 481), 8)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("ids", "next ids", "convolutions")]


@pytest.mark.parametrize("name", ["recurrent", "attention", *SLOW])
def test_a_member_of_a_population_is_its_solo_run_with_dropout(name):
    data = data_of(name)
    study = jnn.Study(
        model=MEMBERS[name],
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.sgd(0.1, momentum=0.9),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=1,
        batch_size=10,
    )
    rate = "drop_path_rate" if name == "convolutions" else "dropout_rate"
    members = jnn.seeds(2) * jnn.grid(**{rate: [0.1, 0.5]})
    together, alone = jnn.run(study, data, members), jnn.run(study, data, members[3])
    close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5)
    jax.tree.map(close, together.member(3).trained.params, alone.trained.params)
    kernels = [together.member(i).trained.params["output"]["kernel"] for i in range(4)]
    assert not any(np.allclose(kernels[3], other, atol=1e-3) for other in kernels[:3])


@pytest.mark.peers
def test_patchtst_is_a_pytorch_reference_written_from_the_paper():
    torch = pytest.importorskip("torch")
    params, _, apply = tiny("PatchTST")
    w = jax.tree.map(lambda a: torch.tensor(np.array(a)), params)

    def linear(x, layer):
        return x @ layer["kernel"].reshape(x.shape[-1], -1) + layer["bias"].reshape(-1)

    def norm(x, layer):  # running mean 0 and variance 1, as before any training
        return x / math.sqrt(1 + 1e-5) * layer["scale"] + layer["bias"]

    x = torch.tensor(np.array(SERIES))
    mean, std = x.mean(1, keepdim=True), torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5)
    z = ((x - mean) / std).permute(0, 2, 1)
    z = (
        torch.nn.functional.pad(z, (0, 4), mode="replicate").unfold(-1, 8, 4).flatten(0, 1)
    )  # [rows, 6 patches, 8]
    z = linear(z, w["embedding"]) + w["positions"]
    scores = 0.0
    for i in range(2):
        block, split = w["blocks"][str(i)], lambda a: a.reshape(6, 6, 2, 2).transpose(1, 2)
        q, k, v = (split(linear(z, block["attention"][name])) for name in ("query", "key", "value"))
        scores = scores + q @ k.transpose(-1, -2) / math.sqrt(2)
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        out = block["attention"]["out"]
        z = norm(z + y @ out["kernel"].reshape(4, 4) + out["bias"], block["norm1"])
        hidden = torch.nn.functional.gelu(linear(z, block["linear1"]))
        z = norm(z + linear(hidden, block["linear2"]), block["norm2"])
    wanted = linear(z.reshape(2, 3, -1), w["output"]).permute(0, 2, 1) * std + mean
    np.testing.assert_allclose(apply(params, SERIES), wanted, rtol=1e-4, atol=1e-5)


def called(factory, *x):
    return factory(rngs=nnx.Rngs(0))(*x)


def read_beyond_the_length():
    gpt = TINY_GPT(rngs=nnx.Rngs(0))
    return gpt.decode(jnp.zeros((1, 9), int), gpt.start(1, 8))


VIT = functools.partial(models.ViT, layers=1, num_heads=1, features=4)
WRONG = [
    (lambda: VIT((9, 8, 3), 2, patch=4, rngs=nnx.Rngs(0)), "patch must divide the 9x8 pixels"),
    (lambda: VIT((8, 8, 3), 2, patch=0, rngs=nnx.Rngs(0)), "pixels of an image, got 0"),
    (lambda: called(TINY_GPT, jnp.zeros((1, 9), int)), "at most 8 positions, got 9"),
    (read_beyond_the_length, "at most 8 positions, got 9"),
    (
        lambda: models.GPT(7, 8, layers=0, num_heads=2, features=8, rngs=nnx.Rngs(0)),
        "layers must be a positive integer, got 0",
    ),
    *[
        (
            lambda image=image: called(TINY["ViT"][0], jnp.zeros((1, *image))),
            r"shape \[batch, 8, 4, 3\], got",
        )
        for image in ((4, 8, 3), (9, 4, 3), (8, 4, 1))
    ],
    (
        lambda: called(TINY["PatchTST"][0], jnp.zeros((1, 25, 3))),
        r"shape \[batch, 24, any\], got",
    ),
    (
        lambda: called(TINY["forecaster"][0], SERIES[0]),
        r"shape \[batch, any, 3\], got \(24, 3\)",
    ),
    (
        lambda: models.PatchTST(24, 4, stride=0, rngs=nnx.Rngs(0)),
        "stride must be a positive integer, got 0",
    ),
    (
        lambda: called(TINY["text encoder of words"][0], IDS, IDS),
        "segments must be None for a network without embeddings of segments",
    ),
    (
        lambda: models.TextEncoder(
            7, 6, layers=1, num_heads=2, features=8, head="first", rngs=nnx.Rngs(0)
        ),
        r"head must be one of \['pooled', 'positions', 'words'\], got 'first'",
    ),
    (
        lambda: TINY["text encoder of words"][0](outputs=3, rngs=nnx.Rngs(0)),
        "outputs must be None for the head 'words', got 3",
    ),
    (
        lambda: models.LanguageModel(7, 4, features=3, tied=True, rngs=nnx.Rngs(0)),
        "features must be hidden, 4, for a tied network, got 3",
    ),
    (
        lambda: models.SequenceClassifier((4,), 2, 2, read="first", rngs=nnx.Rngs(0)),
        "read must be 'last', 'mean' or 'all', got 'first'",
    ),
]


@pytest.mark.parametrize(("make", "words"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_sizes_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(make)
