"""Generative adversarial networks as populations: laws, steps against equations, bad input."""

import functools
import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import gan, plots
from jnn.gan._state import player_state
from tests import studies

MEANS = gan.ring(8)
RING = jnn.Dataset.from_arrays(gan.draw_mixture(MEANS, 0.05, 96), np.arange(96) % 3, name="ring")
SCORES = {"modes": gan.modes(MEANS, 0.05), "share": gan.high_quality(MEANS, 0.05)}
MLP = jnn.models.MLP


class LinenGenerator(nn.Module):
    """A generator with batch norm, written for Flax Linen."""

    @nn.compact
    def __call__(self, z, train: bool):
        z = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(z))
        return nn.Dense(2)(nn.relu(z))


class NnxDiscriminator(nnx.Module):
    """A discriminator with batch norm and dropout, written for Flax NNX."""

    def __init__(self, rngs):
        self.first = nnx.Linear(2, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


def study(**settings):
    defaults = {
        "generator": functools.partial(MLP, 3, (4,), 2),
        "discriminator": functools.partial(MLP, 2 * settings.get("packing", 1), (4,), 1),
        "latent": 3,
        "optimizers": (lambda h: optax.sgd(h.rate, momentum=0.5), optax.sgd(0.1)),
        "epochs": 2,
        "batch_size": 16,
        "hyper": {"rate": 0.1},
        "metrics": SCORES,
        "samples": 24,
    }
    return gan.Study(**(defaults | settings))


# --- laws of every study


GAMES = {
    "packed and averaged": {
        "packing": 2,
        "averaging": jnn.averaging.ema(0.9),
        "loss": gan.relativistic_average,
    },
    "batch norm of Linen and NNX": {
        "generator": LinenGenerator(),
        "discriminator": NnxDiscriminator,
        "discriminator_steps": 2,
        "loss": gan.hinge,
    },
    "penalized and unrolled": {
        "penalty": (gan.r1(lambda h: h.gamma), gan.gradient_penalty(0.1)),
        "unrolled": 2,
        "loss": gan.wasserstein,
        "hyper": {"rate": 0.1, "gamma": 0.1},
        "simultaneous": True,
    },
}
MEMBERS = jnn.seeds(2) * jnn.folds(2) * jnn.grid(rate=[0.01, 0.1])


@functools.cache
def made(name):
    return study(**GAMES[name])


@functools.cache
def together(name):
    return jnn.run(made(name), RING, MEMBERS, plan=jnn.Plan(1, 2, 4))


def assert_same_member(one, many, index, *, exact=False):
    compare = np.testing.assert_array_equal
    if not exact:
        compare = functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-5)
    jax.tree.map(compare, one.trained, many.member(index).trained)
    for name in one.scores.data_vars:
        compare(one.scores[name].values.ravel(), many.member(index).scores[name].values.ravel())


@pytest.mark.parametrize("name", GAMES)
def test_a_pair_equals_its_solo_run(name):
    alone = jnn.run(made(name), RING, MEMBERS[5], plan=jnn.Plan(1, 1, 1))
    assert_same_member(alone, together(name), 5)
    losses = together(name).scores["train_generator_loss"].values
    assert np.isfinite(losses).all() and len(np.unique(losses)) == losses.size


def test_a_resumed_population_has_the_same_bits(tmp_path):
    name = "packed and averaged"
    begun = jnn.start(made(name), RING, MEMBERS, plan=jnn.Plan(1, 2, 4)).advance(1)
    result = begun.advance(1).result()
    begun = jnn.start(made(name), RING, MEMBERS, plan=jnn.Plan(1, 2, 4)).advance(1)
    begun.save(tmp_path / "half")
    other = jnn.start(made(name), RING, MEMBERS, plan=jnn.Plan(1, 2, 4))
    restored = other.restore(tmp_path / "half").advance(1).result()
    for index in range(len(MEMBERS)):
        assert_same_member(result.member(index), together(name), index, exact=True)
        assert_same_member(restored.member(index), together(name), index, exact=True)
    again = jnn.Result.load(result.save(tmp_path / "saved"), made(name))
    np.testing.assert_array_equal(gan.sample(again, 5), gan.sample(result, 5))


def test_a_pair_begins_with_what_another_has_learned():
    first = together("packed and averaged")
    settings = GAMES["packed and averaged"] | {"optimizers": (optax.sgd(0.0), optax.sgd(0.0))}
    still = study(**settings, epochs=1)
    members = jnn.seeds(2) * jnn.folds(2)
    learned = first.select(rate=0.1).trained.params
    begun = jnn.run(still, RING, members, start_from=first.select(rate=0.1))
    jax.tree.map(np.testing.assert_array_equal, begun.trained.params, learned)
    averaged = begun.trained.model_state["averaged"][0]
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    jax.tree.map(close, averaged, learned["generator"])


def test_a_pair_that_diverges_leaves_the_others_alone_and_is_told():
    name = "penalized and unrolled"
    wild = jnn.seeds(2) * jnn.folds(2) * jnn.grid(rate=[0.01, 1e38])
    result = jnn.run(made(name), RING, wild, plan=jnn.Plan(1, 2, 4))
    losses = result.final()["train_generator_loss"].values
    assert np.isfinite(losses[..., 0]).all() and not np.isfinite(losses[..., 1]).any()
    assert np.isnan(result.final()["modes"].values[..., 1]).all()
    for index in range(0, len(MEMBERS), 2):
        assert_same_member(result.member(index), together(name), index, exact=True)


def test_phases_share_one_program_that_a_second_run_does_not_compile_again():
    name = "batch norm of Linen and NNX"
    together(name)
    assert jnn.run(made(name), RING, MEMBERS, plan=jnn.Plan(1, 2, 4)).timing["compile"] == 0.0


def test_a_study_of_a_game_is_pickled():
    again = pickle.loads(pickle.dumps(study(optimizers=(rate_of, rate_of))))
    assert again.trainer.packing == 1 and again.batch_size == 16
    described = again.describe()["trainer"]
    assert described["packing"] == 1 and described["discriminator"] == "MLP"
    assert "trainer=Game" in repr(again)


def rate_of(h):
    return optax.sgd(h.rate)


# --- one step against the equations


SHIFT = (lambda key: {"b": jnp.array([0.3, -0.2])}, lambda params, z: z + params["b"])
PLANE = (
    lambda key: {"w": jnp.array([0.5, 0.7, 0.1])},
    lambda params, x: jnp.tanh(judge(params, x)),
)


def judge(params, x):
    w = params["w"]
    return x @ w[:2] + w[2] * jnp.sum(x**2, axis=-1)


def one_step(**settings):
    """Return a study's state before and after a step, with the batch."""
    settings = {
        "generator": SHIFT,
        "discriminator": PLANE,
        "latent": fixed,
        "optimizers": (optax.sgd(0.5), optax.sgd(0.2)),
        "metrics": {},
    } | settings
    made = study(**settings)
    trainer = made.trainer(made)
    x = jnp.asarray(RING.x[: made.batch_size])
    data = jnn.Data.from_arrays(RING.x, RING.y)
    before = trainer.start(jnn.Member(jax.random.key(0), 0, {}), data)
    after, logs = jax.jit(trainer.step)(before, jnn.Batch(x, RING.y[: len(x)], None))
    return before.trained.params, after.trained.params, logs, x


def fixed(key, rows):
    """Latents that are the same in every draw."""
    del key
    return jnp.sin(jnp.arange(2.0 * rows)).reshape(rows, 2)


def losses_of(w, b, x, rows):
    """The two players' non-saturating losses, written out."""
    real = jnp.tanh(judge({"w": w}, x))
    fake = jnp.tanh(judge({"w": w}, fixed(None, rows) + b))
    of_critic = -jnp.log(jax.nn.sigmoid(real)).mean() - jnp.log(1 - jax.nn.sigmoid(fake)).mean()
    return of_critic, -jnp.log(jax.nn.sigmoid(fake)).mean()


def critic_step(w, b, x, rate=0.2):
    return w - rate * jax.grad(lambda w: losses_of(w, b, x, len(x))[0])(w)


def params_of(params):
    return params["discriminator"]["w"], params["generator"]["b"]


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_step_moves_the_critic_and_then_or_at_once_the_generator(simultaneous):
    before, after, logs, x = one_step(simultaneous=simultaneous)
    w, b = params_of(before)
    moved = critic_step(w, b, x)
    faced = w if simultaneous else moved
    shifted = b - 0.5 * jax.grad(lambda b: losses_of(faced, b, x, 16)[1])(b)
    np.testing.assert_allclose(params_of(after)[0], moved, rtol=1e-5)
    np.testing.assert_allclose(params_of(after)[1], shifted, rtol=1e-5)
    np.testing.assert_allclose(logs["discriminator_loss"], losses_of(w, b, x, 16)[0], rtol=1e-6)
    np.testing.assert_allclose(logs["generator_loss"], losses_of(faced, b, x, 16)[1], rtol=1e-6)


def test_each_update_of_the_critic_has_rows_of_its_own():
    before, after, _, x = one_step(discriminator_steps=3, batch_size=4)
    w, b = params_of(before)
    for first in range(3):
        w = critic_step(w, b, x[first::3])
    np.testing.assert_allclose(params_of(after)[0], w, rtol=1e-5)
    shifted = b - 0.5 * jax.grad(lambda b: losses_of(w, b, x, 4)[1])(b)
    np.testing.assert_allclose(params_of(after)[1], shifted, rtol=1e-5)


def test_the_gradient_of_an_unrolled_game_flows_through_the_critics_steps():
    before, after, _, x = one_step(unrolled=2)
    w, b = params_of(before)
    moved = critic_step(w, b, x)

    def after_two(b):
        ahead = critic_step(critic_step(moved, b, x), b, x)
        return losses_of(ahead, b, x, 16)[1]

    np.testing.assert_allclose(params_of(after)[0], moved, rtol=1e-5)  # the steps are forgotten
    np.testing.assert_allclose(params_of(after)[1], b - 0.5 * jax.grad(after_two)(b), rtol=1e-5)
    blind = b - 0.5 * jax.grad(lambda b: losses_of(w, b, x, 16)[1])(b)
    assert np.abs(params_of(after)[1] - blind).max() > 1e-3


def test_penalties_are_their_papers_equations():
    x, z = jnp.asarray(RING.x[:5]), fixed(None, 5)
    options = {"key": jax.random.key(0), "h": {"gamma": 3.0}}
    critic = lambda x: judge({"w": jnp.array([0.5, 0.7, 0.1])}, x)  # noqa: E731
    square = lambda x: ((np.array([0.5, 0.7]) + 0.2 * np.asarray(x)) ** 2).sum(1)  # noqa: E731
    np.testing.assert_allclose(gan.r1(10.0)(critic, x, z, **options), 5 * square(x), rtol=1e-5)
    weight = gan.r2(lambda h: h["gamma"])
    np.testing.assert_allclose(weight(critic, x, z, **options), 1.5 * square(z), rtol=1e-5)
    same = {**options, "fake": x, "real": x}  # between equal examples lies the example itself
    zero = gan.gradient_penalty(2.0, center=0.0)(critic, **same)
    one = gan.gradient_penalty(2.0)(critic, **same)
    np.testing.assert_allclose(zero, 2 * square(x), rtol=1e-5)
    np.testing.assert_allclose(one, 2 * (np.sqrt(square(x)) - 1) ** 2, rtol=1e-4)


def test_a_penalty_is_added_to_the_critics_loss_but_not_to_what_is_recorded():
    plain = one_step()
    before, after, logs, x = one_step(penalty=gan.r1(4.0))
    w, b = params_of(before)

    def total(w):
        slopes = jax.vmap(jax.grad(lambda x: jnp.tanh(judge({"w": w}, x))))(x)
        return losses_of(w, b, x, 16)[0] + 2 * (slopes**2).sum(axis=1).mean()

    np.testing.assert_allclose(params_of(after)[0], w - 0.2 * jax.grad(total)(w), rtol=1e-4)
    assert logs["discriminator_loss"] == plain[2]["discriminator_loss"]


class Sowing(nn.Module):
    """A shift that sows a loss of its own."""

    @nn.compact
    def __call__(self, z):
        shift = self.param("b", lambda key: jnp.array([0.3, -0.2]))
        self.sow("losses", "size", 2 * shift.sum())
        return z + shift


def test_a_loss_that_a_generator_sows_is_trained():
    _, plain, _, _ = one_step()
    _, after, _, _ = one_step(generator=Sowing())
    np.testing.assert_allclose(params_of(after)[1], params_of(plain)[1] - 0.5 * 2, rtol=1e-5)


def test_a_game_in_half_precision_keeps_its_state_in_float32():
    before, after, logs, _ = one_step(
        precision="bfloat16", generator=functools.partial(MLP, 2, (3,), 2)
    )
    _, full, _, _ = one_step(generator=functools.partial(MLP, 2, (3,), 2))
    assert jax.tree.map(jnp.result_type, before) == jax.tree.map(jnp.result_type, after)
    assert logs["generator_loss"].dtype == jnp.float32
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.01), after, full)
    assert not np.array_equal(last_kernel(after), last_kernel(full))


def last_kernel(params):
    return params["generator"]["output"]["kernel"]


def test_the_averaged_generator_is_scored_and_sampled():
    made = study(averaging=jnn.averaging.ema(0.8), generator=SHIFT, latent=2, metrics={})
    trainer = made.trainer(made)
    state = trainer.start(jnn.Member(jax.random.key(0), 0, {}), jnn.Data.from_arrays(RING.x))
    step = jax.jit(trainer.step)
    average = np.asarray(player_state(state, "generator").trained.params["b"])
    for _ in range(3):
        state, _ = step(state, jnn.Batch(jnp.asarray(RING.x[:16]), None, None))
        average = 0.8 * average + 0.2 * np.asarray(state.trained.params["generator"]["b"])
    z = np.asarray(made.trainer.latents(jax.random.key(0), 4))
    np.testing.assert_allclose(trainer.predict(state.trained, RING.x[:4], None), z + average, 1e-5)


def test_packs_are_judged_side_by_side():
    seen = []

    def apply(params, x):
        seen.append(x.shape)
        return jnp.tanh(x @ params["w"])

    wide = (lambda key, x: {"w": 0.1 * jnp.arange(1.0, x.shape[1] + 1)}, apply)
    before, after, _, x = one_step(discriminator=wide, packing=4)
    assert seen[0] == (2, 8) and seen[-1] == (4, 8)
    w, b = params_of(before)

    def loss(w):
        real, fake = (jnp.tanh(v.reshape(4, 8) @ w) for v in (x, fixed(None, 16) + b))
        return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()

    np.testing.assert_allclose(params_of(after)[0], w - 0.2 * jax.grad(loss)(w), rtol=1e-5)
    images = np.arange(2 * 3 * 3 * 2).reshape(2, 3, 3, 2)
    packed = np.concatenate([images[:1], images[1:]], axis=-1)
    np.testing.assert_array_equal(gan.pack(jnp.asarray(images), 2), packed)


def test_rows_of_weight_zero_do_not_train_the_critic():
    made = study(generator=SHIFT, latent=2, discriminator=PLANE, metrics={})
    trainer = made.trainer(made)
    state = trainer.start(jnn.Member(jax.random.key(0), 0, {}), jnn.Data.from_arrays(RING.x))
    x = jnp.asarray(RING.x[:16])
    weights = jnp.asarray(np.arange(16) < 11, jnp.float32)
    spoiled = jnp.where(weights[:, None] > 0, x, 1e3)
    step = jax.jit(trainer.step)
    one, _ = step(state, jnn.Batch(x, None, weights))
    other, _ = step(state, jnn.Batch(spoiled, None, weights))
    np.testing.assert_array_equal(*(params_of(s.trained.params)[0] for s in (one, other)))


# --- conditional pairs


def test_a_conditional_pair_is_called_with_labels():
    table = jnp.array([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0]])

    def generate(params, inputs):
        z, labels = inputs
        return table[labels] + 0.01 * z + params["b"]

    def discriminate(params, inputs):
        x, labels = inputs
        return x @ params["w"][:2] + params["w"][2] * labels

    made = study(
        generator=(SHIFT[0], generate),
        discriminator=(PLANE[0], discriminate),
        latent=2,
        classes=3,
        metrics={},
        epochs=1,
        optimizers=(optax.sgd(0.0), optax.sgd(0.0)),
    )
    result = jnn.run(made, RING, jnn.seeds(2))
    examples = gan.sample(result, 4, labels=[2, 0, 1, 1])
    expected = table[np.array([2, 0, 1, 1])] + np.array([0.3, -0.2])
    assert examples.shape == (2, 4, 2) and np.abs(examples - expected).max() < 0.1
    with pytest.raises(ValueError, match="labels must be one class below 3"):
        gan.sample(result, 2, labels=[0, 3])
    with pytest.raises(ValueError, match=r"needs data with integer labels y \[rows\], got none"):
        jnn.start(made, jnn.Dataset.from_arrays(RING.x), jnn.seeds(1))


def test_samples_are_in_the_units_of_the_data():
    scaled = study(inputs=jnn.preprocess.standardize, optimizers=(optax.sgd(0.0),) * 2, metrics={})
    far = jnn.Dataset.from_arrays(100 + 10 * RING.x)
    result = jnn.run(scaled, far, jnn.seeds(1))
    assert np.abs(gan.sample(result, 50) - 100).max() < 60
    given = np.zeros((3, 3), np.float32)
    np.testing.assert_array_equal(*(gan.sample(result, latents=given)[:, i] for i in (0, 2)))
    with pytest.raises(ValueError, match="Exactly one of count and latents"):
        gan.sample(result)


# --- bad input


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        ({"packing": 3}, ValueError, r"packing must divide batch_size, 16, got 3\."),
        ({"packing": 0}, ValueError, "packing must be a positive integer, got 0"),
        ({"discriminator_steps": 0}, ValueError, "discriminator_steps must be a positive integer"),
        ({"unrolled": -1}, ValueError, "unrolled must be a non-negative integer"),
        ({"optimizers": (optax.sgd(0.1),)}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": optax.sgd(0.1)}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": (None, optax.sgd(0.1))}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": (optax.sgd, optax.sgd(0.1))}, TypeError, "Call it with its learning rate"),
        ({"loss": jnn.losses.squared_error}, TypeError, "loss must be a pair of losses"),
        ({"penalty": lambda x: x}, TypeError, "penalty must be callable as penalty"),
        ({"averaging": jnn.averaging.swa(2)}, ValueError, "updated after each step"),
        ({"targets": None}, TypeError, "jnn.gan.Study has no setting 'targets'"),
        ({"latent": "8"}, TypeError, "latent must be a number of random numbers, a shape"),
        ({"latent": lambda key: 0}, TypeError, "latent must be callable as draw"),
        ({"latent": 0}, ValueError, "latent must be a positive integer"),
        (
            {"simultaneous": True, "discriminator_steps": 2},
            ValueError,
            "must be 1 if the players move simultaneously",
        ),
    ],
)
def test_settings_that_make_no_game_are_told(settings, kind, sentence):
    with pytest.raises(kind, match=sentence):
        study(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"generator": functools.partial(MLP, 3, (4,), 5)},
            r"^The generator must return examples of the data's shape, \(2,\), got \(5,\)\.",
        ),
        (
            {"generator": functools.partial(MLP, 4, (4,), 2)},
            r"The model MLP (cannot be initialized for|failed on) x of shape \(2, 3\)",
        ),
        (
            {"discriminator": (PLANE[0], lambda params, x: jnp.sum(x))},
            "^The discriminator must return an output for each of its 2 rows",
        ),
        ({"penalty": lambda critic, real, fake, *, key, h: real @ fake}, "A penalty of the discr"),
        ({"penalty": lambda critic, real, fake, *, key, h: 1.0}, "A penalty must return one value"),
        (
            {"loss": gan.Adversarial(lambda p, t: p, jnp.sum)},
            r"^The loss of the generator must return one value for each of the 16 rows",
        ),
        (
            {"latent": lambda key, rows: jnp.zeros(3)},
            r"^latent must be a function draw\(key, rows\)",
        ),
    ],
)
def test_players_that_do_not_fit_are_told_before_compiling(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        jnn.start(study(**settings), RING, jnn.seeds(1))


def test_a_result_of_another_study_has_no_samples():
    result = jnn.run(
        jnn.Study(
            functools.partial(MLP, 2, (), 3),
            jnn.losses.softmax_cross_entropy,
            optax.sgd(0.1),
            epochs=1,
        ),
        RING,
    )
    with pytest.raises(ValueError, match="must be that of a study made by"):
        gan.sample(result, 2)


# --- mixtures


def test_scores_of_mixtures_are_counts_by_the_nearest_mean():
    random = np.random.default_rng(0)
    x = np.concatenate([MEANS[random.integers(5, size=60)], random.normal(size=(40, 2))])
    x = (x + 0.08 * random.normal(size=x.shape)).astype(np.float32)
    distance = np.linalg.norm(x[:, None] - MEANS, axis=-1)
    near = distance.min(axis=1) < 0.3
    counts = np.bincount(distance.argmin(axis=1)[near], minlength=8)
    x = jnp.asarray(x)
    shares = counts[counts > 0] / counts.sum()
    np.testing.assert_array_equal(gan.mode_counts(x, MEANS, 0.1), counts)
    assert gan.modes(MEANS, 0.1)(x, None) == (counts > 0).sum() < 8
    np.testing.assert_allclose(gan.high_quality(MEANS, 0.1)(x, None), near.mean(), rtol=1e-6)
    kl = (shares * np.log(8 * shares)).sum()
    np.testing.assert_allclose(gan.reverse_kl(MEANS, 0.1)(x, None), kl, rtol=1e-5)
    assert gan.reverse_kl(MEANS, 0.1)(100 + x, None) == pytest.approx(np.log(8))
    grid = gan.grid(5)
    assert len(grid) == 25 and set(grid.ravel()) == {-4, -2, 0, 2, 4}
    drawn = jnp.asarray(gan.draw_mixture(grid, 0.05, 20_000))
    assert gan.reverse_kl(grid, 0.05)(drawn, None) < 0.002
    quality = 1 - np.exp(-4.5)  # of two normal coordinates within three deviations
    assert abs(gan.high_quality(grid, 0.05)(drawn, None) - quality) < 0.003


# --- figures


def test_figures_of_examples_and_of_seeds(tmp_path):
    result = together("packed and averaged")
    figure = plots.histogram(result, "modes")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == len(MEMBERS)
    bands = [axes.collections for axes in plots.player_losses(result).axes]
    assert [len(each) for each in bands] == [2, 2]  # a band for each rate
    images = np.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4, 1)
    shown = plots.image_grid(images).axes[0].images[0].get_array()
    assert shown.shape == (8, 12) and shown[4, 8] == pytest.approx((images[1, 2, 0, 0, 0] + 1) / 2)
    assert plots.image_grid(images[0]).axes[0].images[0].get_array().shape == (8, 8)
    with pytest.raises(ValueError, match="images must be"):
        plots.image_grid(images[..., 0])
    with pytest.raises(ValueError, match="must have the scores"):
        plots.player_losses(studies.trained_at_once())


def test_a_walk_between_latents_ends_at_both():
    result = together("packed and averaged").take([0, 3])
    walk = gan.interpolation(result, 2, 3, seed=4)
    ends = result.study.trainer.latents(jax.random.key(4), 4)
    middle = np.sqrt(0.5) * (ends[:2] + ends[2:])
    assert walk.shape == (2, 2, 3, 2)
    for step, latents in enumerate((ends[:2], middle, ends[2:])):
        expected = gan.sample(result, latents=np.asarray(latents))
        np.testing.assert_allclose(walk[:, :, step], expected, rtol=1e-4, atol=1e-6)
