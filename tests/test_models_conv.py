"""Convolutional, linear and masked networks have the papers' counts, shapes and equations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import models
from jnn.engine import programs_of
from jnn.models import DLinear, NLinear, ResNet, SpeedNet, SuperCNN, SuperMLP, TextCNN


def count(factory, *arguments, **options):
    """Parameters of a network, without drawing them."""
    made = nnx.eval_shape(lambda: factory(*arguments, **options, rngs=nnx.Rngs(0)))
    return sum(a.size for a in jax.tree.leaves(nnx.state(made, nnx.Param)))


def drawn(factory, *arguments, seed=0, **options):
    """A network whose biases and norms are not 0 and 1, so that a forgotten one shows."""
    net = nnx.jit(lambda: factory(*arguments, **options, rngs=nnx.Rngs(seed)))()
    params, random = nnx.state(net, nnx.Param), np.random.default_rng(seed)
    nnx.update(
        net,
        jax.tree.map(lambda a: a + jnp.asarray(0.1 * random.normal(size=a.shape), a.dtype), params),
    )
    return net


def outputs(factory, shape, *arguments, dtype=jnp.float32, **options):
    return nnx.eval_shape(
        lambda x: factory(*arguments, **options, rngs=nnx.Rngs(0))(x),
        jax.ShapeDtypeStruct(shape, dtype),
    ).shape


RESNETS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032}
THIN_RESNETS = {20: 269_722, 32: 464_154}
DEEP = {
    (1000, 101): 44_549_160,
    (1000, 152): 60_192_808,
    (10, 44): 658_586,
    (10, 56): 853_018,
    (10, 110): 1_727_962,
}
LARGER_CONVNEXTS = {(96, 192, 384, 768): 50_223_688, (128, 256, 512, 1024): 88_591_464}
COUNTS = [
    *[(ResNet, (3, 1000, depth), {}, n) for depth, n in RESNETS.items()],
    *[(ResNet, (3, 10, depth), {}, n) for depth, n in THIN_RESNETS.items()],
    *[
        pytest.param(ResNet, (3, *sizes), {}, n, marks=pytest.mark.slow)
        for sizes, n in DEEP.items()
    ],
    (models.ConvNeXt, (3, 1000), {}, 28_589_128),
    *[
        pytest.param(
            models.ConvNeXt,
            (3, 1000),
            {"depths": (3, 3, 27, 3), "widths": widths},
            n,
            marks=pytest.mark.slow,
        )
        for widths, n in LARGER_CONVNEXTS.items()
    ],
    (models.MiniXception, (1, 7), {}, 56_951),
    (models.LeNet, ((28, 28, 1), 10), {}, 105_866),
    (
        models.LeNet,
        ((32, 32, 3), 10),
        {"maps": (6, 16), "window": 5, "padding": "VALID", "hidden": (120, 84)},
        62_006,
    ),
    (SpeedNet, (3, 10), {}, 1_971_352),
    (TextCNN, (18_766, 2), {}, 5_990_702),
    (models.CNN1D, ((40,), 10), {}, 5_210),
    (NLinear, (336, 96), {}, 32_352),
    (DLinear, (336, 96), {}, 64_704),
    (DLinear, (336, 96, 7), {"individual": True}, 7 * 64_704),
    (models.DCGANGenerator, ((64, 64, 3),), {}, 3_576_704),
    (models.DCGANGenerator, ((64, 64, 3),), {"width": 128}, 12_658_432),
    (models.DCGANDiscriminator, ((64, 64, 3),), {}, 2_765_568),
    (models.DCGANDiscriminator, ((28, 28, 1),), {"width": 16, "batch_norm": False}, 10_064),
    (models.SNGANGenerator, ((32, 32, 3),), {}, 4_276_739),
    (models.SNGANDiscriminator, ((32, 32, 3),), {}, 1_053_825),
]


@pytest.mark.parametrize(
    ("factory", "arguments", "options", "wanted"),
    COUNTS,
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_counts_are_those_of_the_papers_and_their_reference_code(
    factory, arguments, options, wanted
):
    assert count(factory, *arguments, **options) == wanted


def test_shapes():
    assert (
        outputs(ResNet, (2, 64, 64, 3), 3, 7, 50)
        == outputs(ResNet, (2, 32, 32, 3), 3, 7, 18, stem="small")
        == (2, 7)
    )
    assert (
        outputs(ResNet, (2, 28, 28, 1), 1, 7, 20)
        == outputs(SpeedNet, (2, 32, 32, 3), 3, 7)
        == (2, 7)
    )
    assert outputs(TextCNN, (2, 1), 9, 7, dtype=jnp.int32) == (2, 7)  # a single word
    assert outputs(models.CNN1D, (2, 40, 3), (40, 3), 7) == (2, 7)
    for side in (28, 32, 64):
        assert outputs(models.DCGANGenerator, (2, 100), (side, side, 1)) == (2, side, side, 1)
        assert outputs(models.DCGANDiscriminator, (2, side, side, 1), (side, side, 1)) == (2,)
    for side in (28, 32):
        assert outputs(models.SNGANGenerator, (2, 128), (side, side, 1)) == (2, side, side, 1)
        assert outputs(models.SNGANDiscriminator, (2, side, side, 1), (side, side, 1)) == (2,)


EMPTY = {
    "MLP": (functools.partial(models.MLP, 6, (4,), 2), (6,)),
    "LeNet": (functools.partial(models.LeNet, (8, 8, 1), 2, maps=(2, 2)), (8, 8, 1)),
    "CNN1D": (functools.partial(models.CNN1D, (9,), 2, maps=(2, 2, 2)), (9,)),
    "SuperMLP": (functools.partial(SuperMLP, 6, 4, 2, 2), (2, 3)),
    "DCGANDiscriminator": (
        functools.partial(models.DCGANDiscriminator, (8, 8, 1), width=2),
        (8, 8, 1),
    ),
    "DCGANGenerator": (functools.partial(models.DCGANGenerator, (8, 8, 1), noise=3, width=2), (3,)),
    "SNGANDiscriminator": (
        functools.partial(models.SNGANDiscriminator, (8, 8, 1), width=2),
        (8, 8, 1),
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_batch_without_rows_gives_no_rows(name):
    make, shape = EMPTY[name]

    def count(rows):
        return jax.eval_shape(lambda: make(rngs=nnx.Rngs(0))(jnp.ones((rows, *shape)))).shape

    assert count(0) == (0, *count(1)[1:])


WRONG = [
    (lambda rngs: ResNet(3, 10, 21, rngs=rngs), "6 n"),
    (lambda rngs: ResNet(3, 10, 18, stem="tiny", rngs=rngs), "'small'"),
    (lambda rngs: SpeedNet(3, 10, whitening=jnp.ones((2, 2, 1, 8)), rngs=rngs), "whitening_kernel"),
    (lambda rngs: models.CNN1D((2,), 10, rngs=rngs), "series is too short"),
    (lambda rngs: models.CNN1D((9,), 10, stride=0, rngs=rngs), "stride must be a positive integer"),
    (
        lambda rngs: NLinear(8, 2, rngs=rngs)(jnp.ones((1, 9, 3))),
        r"shape \[batch, 8, any\], got \(1, 9, 3\)",
    ),
    (lambda rngs: DLinear(8, 2, rngs=rngs)(jnp.ones((8, 3))), r"batch, 8, any\], got \(8, 3\)"),
    (
        lambda rngs: NLinear(8, 2, 3, individual=True, rngs=rngs)(jnp.ones((1, 8, 1))),
        r"batch, 8, 3\]",
    ),
    (lambda rngs: models.MLP(8, (4,), 2, rngs=rngs)(jnp.ones((1, 9))), "x must have 8 features"),
    (
        lambda rngs: models.LeNet((8, 8, 1), 2, rngs=rngs)(jnp.ones((1, 16, 8, 1))),
        "x must have 128 features",
    ),
    (lambda rngs: models.LeNet((8, 30, 1), 2, window=5, padding="VALID", rngs=rngs), "16 pixels"),
    (lambda rngs: models.LeNet((8, 8, 1), 2, padding="valid", rngs=rngs), "'SAME' or 'VALID'"),
    (lambda rngs: models.ConvNeXt(3, 2, depths=(1, 2), widths=(4,), rngs=rngs), "each stage"),
    (
        lambda rngs: models.ConvNeXt(3, 2, depths=(1,), widths=(4,), rngs=rngs)(
            jnp.ones((1, 8, 8))
        ),
        r"batch, any, any, 3\]",
    ),
    (lambda rngs: models.MiniXception(1, 2, rngs=rngs)(jnp.ones((1, 9, 9, 3))), "any, any, 1"),
    (lambda rngs: models.DCGANGenerator((36, 36, 3), rngs=rngs), "power of 2"),
    (lambda rngs: DLinear(8, 2, window=4, rngs=rngs), "odd"),
    (lambda rngs: SuperCNN(1, (2,), 2, window=2, rngs=rngs), "odd"),
    (lambda rngs: SuperMLP(4, 0, 1, 2, rngs=rngs), "at least 1"),
]


@pytest.mark.parametrize(("make", "words"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_sizes_that_do_not_fit_get_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(lambda: make(nnx.Rngs(0)))


def test_a_whitened_patch_has_uncorrelated_outputs_of_variance_one():
    random = np.random.default_rng(0)
    mixed = random.normal(size=(40, 9, 9, 3)) @ random.normal(size=(3, 3))  # correlated channels
    smooth = jnp.asarray(
        mixed + np.roll(mixed, 1, 1) + np.roll(mixed, 1, 2), jnp.float32
    )  # and pixels
    kernel = models.whitening_kernel(smooth, eps=0.0)
    assert kernel.shape == (2, 2, 3, 24)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(smooth), (2, 2), (1, 2)
    )  # [..., channel, i, j]
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 12)
    white = patches @ np.asarray(kernel).reshape(12, 24)
    np.testing.assert_allclose(white[:, :12].T @ white[:, :12] / len(white), np.eye(12), atol=1e-3)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
    variance = (
        white[:, :12] / np.linalg.norm(np.asarray(kernel).reshape(12, 24)[:, :12], axis=0)
    ).var(axis=0)
    assert (np.diff(variance) < 0).all()  # the direction of most variance comes first


def test_speednet_freezes_the_whitening_and_begins_as_the_identity():
    kernel = models.whitening_kernel(jax.random.normal(jax.random.key(0), (8, 10, 10, 3)))
    model = jnn.as_model(functools.partial(SpeedNet, 3, 4, whitening=kernel, widths=(24, 6, 8)))
    params, state = model.init(jax.random.key(1), jnp.zeros((1, 10, 10, 3)))
    assert "whitening" not in params and np.array_equal(state["whitening"], kernel)
    first, second = (params["groups"][str(i)]["conv1"]["kernel"] for i in (0, 1))
    identity = np.zeros((3, 3, 24, 24))
    identity[1, 1] = np.eye(24)
    np.testing.assert_array_equal(first, identity)  # as many maps as channels
    np.testing.assert_array_equal(second, np.asarray(identity)[..., :6])
    assert "scale" not in params["groups"]["0"]["norm1"]


def test_textcnn_is_the_formula_of_the_paper_and_a_padding_id_changes_nothing():
    net = drawn(TextCNN, 12, 3, features=5, windows=(2, 3), maps=4, dropout_rate=None)
    ids = np.array([[3, 7, 1, 0, 0, 0], [2, 2, 5, 4, 11, 6]])
    got = net(jnp.asarray(ids))
    table = np.array(net.embedding.embedding[...])
    table[0] = 0
    for row, logits in zip(ids, got, strict=True):
        words = np.pad(table[row], [(2, 2), (0, 0)])
        largest = []
        for conv, window in zip(net.convs, (2, 3), strict=True):
            seen = [words[i : i + window] for i in range(len(words) - window + 1)]
            values = [np.einsum("ti,tio->o", w, conv.kernel[...]) + conv.bias[...] for w in seen]
            largest.append(np.maximum(values, 0).max(axis=0))
        wanted = np.concatenate(largest) @ net.output.kernel[...] + net.output.bias[...]
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net(jnp.asarray(ids[:1, :3])), got[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("individual", [False, True])
def test_nlinear_and_dlinear_are_their_definitions(individual):
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype(np.float32)
    normal = drawn(NLinear, 9, 4, 2, individual=individual)
    split = drawn(DLinear, 9, 4, 2, individual=individual, window=5)

    def linear(x, kernel, bias):
        kernels, biases = ([a[...]] * 2 if not individual else a[...] for a in (kernel, bias))
        return np.stack([x[..., c] @ kernels[c] + biases[c] for c in (0, 1)], axis=-1)

    last = x[:, -1:]
    np.testing.assert_allclose(
        normal(x), linear(x - last, normal.kernel, normal.bias) + last, rtol=1e-4, atol=1e-5
    )
    padded = np.concatenate([x[:, :1], x[:, :1], x, last, last], axis=1)
    trend = np.stack([padded[:, i : i + 5].mean(axis=1) for i in range(9)], axis=1)
    wanted = linear(trend, split.trend_kernel, split.trend_bias) + linear(
        x - trend, split.rest_kernel, split.rest_bias
    )
    np.testing.assert_allclose(split(x), wanted, rtol=1e-4, atol=1e-5)


def hypers(net, **numbers):
    for name, value in numbers.items():
        getattr(net, name)[...] = jnp.float32(value)
    return net


def test_a_masked_mlp_is_the_smaller_network_with_the_same_weights():
    large = hypers(drawn(SuperMLP, 5, 8, 3, 2), width_1=4, width_2=3, depth=2, activation=1)
    x = jax.random.normal(jax.random.key(1), (6, 5))
    small = drawn(models.MLP, 5, (4, 3), 2, activation=jnp.tanh)
    for layer, source in zip(
        [*small.hidden, small.output], [*large.hidden[:2], large.output], strict=True
    ):
        rows, columns = layer.kernel.shape
        layer.kernel[...], layer.bias[...] = (
            source.kernel[...][:rows, :columns],
            source.bias[...][:columns],
        )
    np.testing.assert_allclose(large(x), small(x), rtol=1e-5, atol=1e-6)
    whole = drawn(SuperMLP, 5, 8, 3, 2)  # by default it masks nothing
    y = x
    for layer in whole.hidden:
        y = jax.nn.relu(layer(y))
    np.testing.assert_allclose(whole(x), whole.output(y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pool", [0, 1])
def test_a_masked_cnn_is_the_smaller_network_with_the_same_weights(pool):
    large = hypers(
        drawn(SuperCNN, 2, (6, 5), 3),
        width_1=4,
        width_2=2,
        window_1=3,
        window_2=1,
        pool_1=pool,
        pool_2=2,
    )
    x = jax.random.normal(jax.random.key(1), (2, 9, 8, 2))
    first, second = large.kernels[0][...][1:4, 1:4, :, :4], large.kernels[1][...][2:3, 2:3, :4, :2]
    numbers = ("NHWC", "HWIO", "NHWC")
    y = (
        jax.lax.conv_general_dilated(x, first, (1, 1), "SAME", dimension_numbers=numbers)
        + large.biases[0][...][:4]
    )
    y = jax.nn.relu(y)[:, :8].reshape(2, 4, 2, 4, 2, 4)
    y = y.mean(axis=(2, 4)) if pool else y.max(axis=(2, 4))
    y = (
        jax.lax.conv_general_dilated(y, second, (1, 1), "SAME", dimension_numbers=numbers)
        + large.biases[1][...][:2]
    )
    y = jax.nn.relu(y)[:, ::2, ::2].mean(axis=(1, 2))
    np.testing.assert_allclose(
        large(x), y @ large.output.kernel[...][:2] + large.output.bias[...], rtol=1e-4, atol=1e-5
    )


def test_architectures_are_members_of_one_program():
    study = jnn.Study(
        functools.partial(SuperMLP, 4, 8, 2, 3),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-2),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=2,
    )
    iris = jnn.data.load("iris")
    both = jnn.run(
        study, iris, jnn.holdout(0.2) * jnn.grid(depth=[1, 2], width_1=[2, 8], activation=[0])
    )
    assert len(programs_of(study)) == 2  # the check of the shapes, and one program
    alone = jnn.run(
        study, iris, jnn.holdout(0.2) * jnn.grid(depth=[1], width_1=[2], activation=[0])
    )
    np.testing.assert_allclose(
        both.final()["loss"].values.ravel()[0], alone.final()["loss"].values.ravel()[0], rtol=1e-5
    )
    frozen = jnn.run(dataclasses.replace(study, optimizer=optax.sgd(0.0)), iris, both.members)
    hidden, start = (r.trained.params["hidden"]["0"]["kernel"][0] for r in (both, frozen))
    assert np.array_equal(hidden[:, 2:], start[:, 2:])
    assert not np.array_equal(hidden[:, :2], start[:, :2])


def test_members_set_how_often_the_blocks_of_convnext_are_left_out():
    make = functools.partial(
        models.ConvNeXt, 1, 2, depths=(2,), widths=(3,), patch=2, layer_scale=1
    )
    model = jnn.as_model(functools.partial(make, drop_path_rate=0.5))
    x = jax.random.normal(jax.random.key(0), (4, 4, 4, 1))
    params, state = model.init(jax.random.key(0), x)
    params["stages"] = jax.tree.map(lambda a: 20 * a, params["stages"])
    without = jax.tree.map(jnp.copy, params)
    without["stages"]["0"]["1"]["scale"] = jnp.zeros(3)

    @jax.jit
    def outputs(rate):
        hyper = {"drop_path_rate": rate}
        trained = model.apply(params, state, x, key=jax.random.key(1), train=True, hyper=hyper)[0]
        return trained, *(model.apply(p, state, x)[0] for p in (params, without))

    kept, whole, without_last = outputs(0.0)
    np.testing.assert_allclose(kept, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs(1.0)[0], without_last, rtol=1e-4, atol=1e-5)
    assert not np.allclose(whole, without_last, atol=1e-3)


def test_a_small_resnet_learns():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 64)
    x = (
        random.normal(size=(64, 8, 8, 1)).astype(np.float32)
        + 2 * (np.arange(8) < 4)[:, None] * y[:, None, None, None]
    )
    study = jnn.Study(
        functools.partial(ResNet, 1, 2, 8, width=4),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-2),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=6,
        batch_size=16,
    )
    result = jnn.run(study, jnn.Dataset.from_arrays(x, y), jnn.seeds(2))
    assert result.final()["train_accuracy"].min() > 0.9
