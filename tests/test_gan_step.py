"""One step of a game against its equations, written out."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import gan
from jnn.gan._state import player_state
from tests.games import MLP, RING, study

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


def test_a_game_is_played_in_float32_where_jax_has_float64_too():
    made = study(packing=2, penalty=gan.gradient_penalty(1.0), averaging=jnn.averaging.ema(0.9))
    trainer = made.trainer(made)
    data = jnn.Data.from_arrays(RING.x)
    member = jnn.Member(jax.random.key(0), 0, {"rate": np.float32(0.1)})
    with jax.enable_x64(True):
        state = jax.eval_shape(trainer.start, member, data)
        after = jax.eval_shape(trainer.step, state, jnn.Batch(RING.x[:16], None, None))
        scores = jax.eval_shape(trainer.evaluate, state, data, data.train)
        latents = jax.eval_shape(lambda: gan.uniform(3)(jax.random.key(0), 2))
    kinds = {leaf.dtype for leaf in jax.tree.leaves((state, after, scores, latents))}
    assert np.dtype("float64") not in kinds, kinds


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


@pytest.mark.parametrize("loss", [gan.non_saturating, gan.relativistic_average])
def test_rows_of_weight_zero_do_not_train_the_critic(loss):
    made = study(generator=SHIFT, latent=2, discriminator=PLANE, metrics={}, loss=loss)
    trainer = made.trainer(made)
    state = trainer.start(jnn.Member(jax.random.key(0), 0, {}), jnn.Data.from_arrays(RING.x))
    x = jnp.asarray(RING.x[:16])
    weights = jnp.asarray(np.arange(16) < 11, jnp.float32)
    spoiled = jnp.where(weights[:, None] > 0, x, 1e3)
    step = jax.jit(trainer.step)
    one, _ = step(state, jnn.Batch(x, None, weights))
    other, _ = step(state, jnn.Batch(spoiled, None, weights))
    jax.tree.map(np.testing.assert_array_equal, one.trained.params, other.trained.params)
    none, _ = step(state, jnn.Batch(x, None, jnp.zeros(16)))
    np.testing.assert_array_equal(*(params_of(s.trained.params)[0] for s in (none, state)))
