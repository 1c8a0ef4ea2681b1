"""Parts of generators and discriminators: spectral norm, labels, minibatch statistics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import gan, models

OPTIONS = {"key": None, "hyper": {}}
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 5, 3)), jnp.float32)


class Convolution(nnx.Module):
    """A convolution and a linear layer, whose kernels are normalized."""

    def __init__(self, rngs):
        self.conv = jnn.modules.Conv(3, 4, (3, 3), rngs=rngs)
        self.output = jnn.modules.Dense(100, 1, rngs=rngs)

    def __call__(self, x):
        return self.output(jax.nn.relu(self.conv(x)).reshape(len(x), -1))


def largest(kernel):
    return np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_spectral_norm_divides_kernels_by_their_largest_singular_value():
    model = gan.spectral_norm(Convolution)
    params, state = model.init(jax.random.key(0), X)
    assert sorted(state["spectral_norm"]) == ["conv/kernel", "output/kernel"]
    train = jax.jit(lambda state: model.apply(params, state, X, train=True, **OPTIONS))
    for _ in range(400):
        outputs, state = train(state)
    divided = jax.tree.map(lambda leaf: leaf, params)
    for layer in ("conv", "output"):
        divided[layer] = {**params[layer], "kernel": None}
        divided[layer]["kernel"] = params[layer]["kernel"] / largest(params[layer]["kernel"])
    plain = jnn.as_model(Convolution)
    expected, _ = plain.apply(divided, {}, X, train=True, **OPTIONS)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    scored, after = model.apply(params, state, X, train=False, **OPTIONS)
    np.testing.assert_allclose(scored, expected, rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, state)  # no iteration in scoring


def test_a_pattern_names_the_kernels_that_are_normalized():
    chosen = gan.spectral_norm(Convolution, "conv/kernel")
    assert list(chosen.init(jax.random.key(0), X)[1]["spectral_norm"]) == ["conv/kernel"]
    for pattern, sentence in (("conv/*", "conv/bias has fewer"), ("*/weight", "weight")):
        with pytest.raises(ValueError, match=sentence):
            gan.spectral_norm(Convolution, pattern).init(jax.random.key(0), X)


def test_spectral_norm_of_a_kernel_of_zeros_is_finite():
    zeros = functools.partial(jnn.modules.Dense, 3, 2, kernel_init=nnx.initializers.zeros_init())
    model = gan.spectral_norm(zeros)
    params, state = model.init(jax.random.key(0), X)
    loss = lambda params: model.apply(params, state, X, train=True, **OPTIONS)[0].sum()  # noqa: E731
    assert loss(params) == 0 and jnp.isfinite(jax.grad(loss)(params)["kernel"]).all()


def test_networks_with_classes_take_one_label_for_each_row():
    judge = models.SNGANDiscriminator((8, 8, 2), width=2, classes=3, rngs=nnx.Rngs(0))
    x = jnp.ones((2, 8, 8, 2))
    for inputs, came in ((x, "x alone"), ((x, jnp.zeros((2, 2), int)), r"the shapes .*\(2, 2\)")):
        with pytest.raises(ValueError, match=rf"one label for each row of x, got {came}"):
            judge(inputs)
    for shape in (32, (8,), (8, 8), (30, 30, 1)):
        with pytest.raises(ValueError, match=r"^shape must be \(side, side, channels\)"):
            models.DCGANDiscriminator(shape, rngs=nnx.Rngs(0))


@pytest.mark.peers
def test_spectral_norm_is_pytorchs():
    """The same kernel and vector: outputs, gradients and the next vector of three calls."""
    torch = pytest.importorskip("torch")
    model = gan.spectral_norm(functools.partial(jnn.modules.Conv, 3, 4, (3, 3), padding="VALID"))
    params, state = model.init(jax.random.key(0), X)
    inner = torch.nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        inner.weight.copy_(torch.tensor(np.asarray(params["kernel"]).transpose(3, 2, 0, 1).copy()))
        inner.bias.copy_(torch.tensor(np.asarray(params["bias"])))
    theirs = torch.nn.utils.spectral_norm(inner)
    theirs.weight_u.copy_(torch.tensor(np.asarray(state["spectral_norm"]["kernel"]["u"])))
    x = torch.tensor(np.asarray(X).transpose(0, 3, 1, 2).copy())

    def loss(params, state):
        outputs, state = model.apply(params, state, X, train=True, **OPTIONS)
        return (outputs**2).sum(), (outputs, state)

    for _ in range(3):
        theirs.zero_grad()
        expected = theirs(x)
        expected.pow(2).sum().backward()
        gradients, (outputs, state) = jax.grad(loss, has_aux=True)(params, state)
        np.testing.assert_allclose(
            outputs, expected.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            gradients["kernel"],
            theirs.weight_orig.grad.numpy().transpose(2, 3, 1, 0),
            rtol=1e-3,
            atol=1e-4,
        )
        np.testing.assert_allclose(
            state["spectral_norm"]["kernel"]["u"], theirs.weight_u.numpy(), rtol=1e-5, atol=1e-5
        )


def test_with_labels_appends_the_vector_of_each_label():
    model = gan.with_labels(lambda rngs: Echo(), classes=3, features=2)
    labels = jnp.array([2, 0, 1, 2])
    params, state = model.init(jax.random.key(0), (X, labels))
    table = np.asarray(params["labels"]["embedding"])
    outputs, _ = model.apply(params, state, (X, labels), train=False, **OPTIONS)
    assert outputs.shape == (4, 5, 5, 5)
    np.testing.assert_array_equal(outputs[..., :3], X)
    np.testing.assert_array_equal(outputs[:, 1, 4, 3:], table[np.asarray(labels)])
    pairs = jnp.array([[2, 0], [1, 1]])
    outputs, _ = model.apply(params, state, (X[:2, 0, 0], pairs), train=False, **OPTIONS)
    np.testing.assert_array_equal(outputs[:, 3:], table[np.asarray(pairs)].reshape(2, 4))


class Echo(nnx.Module):
    """A network that returns its input."""

    def __call__(self, x):
        return x


def test_minibatch_std_is_the_mean_deviation_of_a_group():
    x = np.asarray(X)
    outputs = jnn.modules.MinibatchStd(group=2)(X)
    assert outputs.shape == (4, 5, 5, 4)
    for rows in ([0, 2], [1, 3]):
        deviation = x[rows].std(axis=0).mean()
        np.testing.assert_allclose(outputs[np.array(rows), ..., 3], deviation, rtol=1e-4)
    np.testing.assert_array_equal(outputs[..., :3], X)
    with pytest.raises(ValueError, match="group must divide the batch of 4 rows, got 3"):
        jnn.layers.minibatch_std(X, 3)


SHAPE = (8, 8, 1)
DCGAN = {
    "generator": functools.partial(models.DCGANGenerator, SHAPE, noise=6, width=2),
    "discriminator": functools.partial(models.DCGANDiscriminator, (8, 8, 2), width=2),
    "packing": 2,
    "penalty": gan.r1(1.0),
}
PAIRS = {
    "dcgan": DCGAN,
    "dcgan whose slopes are of each image": {
        "generator": DCGAN["generator"],
        "discriminator": functools.partial(
            models.DCGANDiscriminator, SHAPE, width=2, batch_norm=False
        ),
        "loss": gan.wasserstein,
        "penalty": gan.gradient_penalty(10.0),
    },
    "dcgan of labels": {
        "generator": gan.with_labels(functools.partial(DCGAN["generator"], noise=8), 3, 2),
        "discriminator": gan.with_labels(
            functools.partial(models.DCGANDiscriminator, (8, 8, 3), width=2), 3, 2
        ),
        "classes": 3,
    },
    "sngan": {
        "generator": functools.partial(models.SNGANGenerator, SHAPE, noise=6, width=2),
        "discriminator": gan.spectral_norm(
            functools.partial(models.SNGANDiscriminator, SHAPE, width=2)
        ),
        "loss": gan.hinge,
        "discriminator_steps": 2,
        "penalty": gan.gradient_penalty(1.0),
    },
    "sngan of labels": {
        "generator": functools.partial(models.SNGANGenerator, SHAPE, noise=6, width=2, classes=3),
        "discriminator": gan.spectral_norm(
            functools.partial(models.SNGANDiscriminator, SHAPE, width=2, classes=3)
        ),
        "loss": gan.hinge,
        "classes": 3,
    },
}
IMAGES = jnn.Dataset.from_arrays(
    np.tanh(np.random.default_rng(0).normal(size=(24, *SHAPE))), np.arange(24) % 3
)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_discriminator_judges_each_image_by_itself_without_batch_norm(batch_norm):
    make = functools.partial(models.DCGANDiscriminator, (16, 16, 1), width=2)
    judge = make(batch_norm=batch_norm, rngs=nnx.Rngs(0))
    judge.train()
    x = jax.random.normal(jax.random.key(1), (3, 16, 16, 1))
    alone, together = judge(x[:1])[0], judge(x)[0]
    assert bool(jnp.isclose(alone, together, rtol=1e-5)) != batch_norm


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_for_images_fit_each_other(name):
    """Shapes and types of a start, a step and a sample, without compiling."""
    study = gan.Study(
        latent=6, optimizers=(optax.adam(1e-3),) * 2, batch_size=4, epochs=1, **PAIRS[name]
    )
    trainer = study.trainer(study)
    data = jnn.Data.from_arrays(np.asarray(IMAGES.x), np.asarray(IMAGES.y))
    member = jnn.Member(jax.random.key(0), 0, {})
    state = jax.eval_shape(trainer.start, member, data)
    rows = slice(0, study.batch_size)
    batch = jnn.Batch(data.x[rows], data.y[rows], np.ones(study.batch_size, np.float32))
    after, logs = jax.eval_shape(trainer.step, state, batch)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(
        lambda a: (a.shape, a.dtype), state
    )
    assert sorted(logs) == ["discriminator_loss", "generator_loss"]
    samples = jax.eval_shape(trainer.predict, state.trained, batch.x, None)
    assert samples.shape == batch.x.shape


MLPS = {
    "generator": gan.with_labels(functools.partial(models.MLP, 5, (16,), 2), 3, 2),
    "discriminator": gan.spectral_norm(
        gan.with_labels(functools.partial(models.MLP, 4, (16,), 1), 3, 2), "**/kernel"
    ),
    "loss": gan.hinge,
    "latent": 3,
    "classes": 3,
}
CONDITIONAL = {name: {"latent": 6, **PAIRS[f"{name} of labels"]} for name in ("dcgan", "sngan")}


def conditional(players, **settings):
    return gan.Study(optimizers=(optax.adam(5e-3, b1=0.5),) * 2, **players, **settings)


@pytest.mark.parametrize("name", ["mlp", *CONDITIONAL])
def test_a_conditional_pair_without_labels_is_told_in_one_sentence(name):
    x = np.asarray(IMAGES.x) if name in CONDITIONAL else np.zeros((8, 2), np.float32)
    study = conditional(CONDITIONAL.get(name, MLPS), batch_size=8)
    sentence = (
        r"^A conditional pair, classes=3, needs data with integer labels y \[rows\], got none\. "
    )
    with pytest.raises(ValueError, match=sentence):
        jnn.start(study, jnn.Dataset.from_arrays(x), jnn.seeds(2))


def test_a_conditional_pair_learns_the_mean_of_each_class():
    labels, means = np.arange(300) % 3, gan.ring(3)
    points = means[labels] + 0.1 * np.random.default_rng(0).normal(size=(300, 2))
    study = conditional(MLPS, batch_size=64, epochs=2, steps_per_epoch=200)
    result = jnn.run(study, jnn.Dataset.from_arrays(points, labels), jnn.seeds(2))
    made = gan.sample(result, 150).reshape(2, 50, 3, 2).mean(axis=1)  # [seeds, classes, 2]
    apart = np.linalg.norm(made[:, :, None] - means, axis=-1)
    assert (apart.argmin(axis=-1) == np.arange(3)).all(), apart
    assert np.diagonal(apart, axis1=1, axis2=2).max() < 0.5, apart
    vectors = result.trained.model_state["discriminator"]["spectral_norm"]
    assert sorted(vectors) == ["network/hidden/0/kernel", "network/output/kernel"]
    lengths = [np.linalg.norm(vector["u"], axis=-1) for vector in vectors.values()]
    np.testing.assert_allclose(np.stack(lengths), 1, rtol=1e-5)
    tables = result.trained.params["generator"]["labels"]["embedding"]
    assert tables.shape == (2, 3, 2) and not np.allclose(tables[0], tables[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_pair_for_images_trains_and_is_sampled_by_label(name):
    averaging = jnn.averaging.ema(0.9)
    study = conditional(CONDITIONAL[name], batch_size=8, epochs=1, averaging=averaging)
    result = jnn.run(study, IMAGES, jnn.seeds(2))
    assert np.isfinite(result.final()["train_generator_loss"]).all()
    latents = np.tile(np.random.default_rng(0).normal(size=6).astype(np.float32), (3, 1))
    examples = gan.sample(result, latents=latents, labels=[0, 1, 1])
    assert examples.shape == (2, 3, *SHAPE) and np.abs(examples).max() <= 1
    np.testing.assert_allclose(examples[:, 1], examples[:, 2], rtol=1e-4, atol=1e-5)
    assert np.abs(examples[:, 0] - examples[:, 1]).max() > 1e-3
    state = result.trained.model_state["discriminator"].get("spectral_norm", {})
    lengths = [np.linalg.norm(vectors["u"], axis=-1) for vectors in state.values()]
    assert bool(lengths) == (name == "sngan")
    np.testing.assert_allclose(lengths, np.ones_like(lengths), rtol=1e-5)
