"""Text is what the model alone would continue with, id by id; draws are limited as by NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn.generation import draw, keep_top_k, keep_top_p
from jnn.modules import GRU, LSTM

FACTORIES = {
    "gpt": functools.partial(jnn.models.GPT, 11, 16, layers=2, num_heads=2, features=8),
    "llama": functools.partial(
        jnn.models.Llama, 11, layers=2, num_heads=4, features=16, hidden=8, num_kv_heads=2
    ),
    "lstm": functools.partial(jnn.models.LanguageModel, 11, 8, layers=2, layer=LSTM),
    "gru": functools.partial(jnn.models.LanguageModel, 11, 8, layer=GRU),
}
PROMPT = jnp.array([[1, 2, 3], [9, 4, 0]])
LOGITS = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32) * 2


@functools.cache
def trained(name):
    """Parameters large enough that the likeliest id changes along the text."""
    params, state = jnn.as_model(FACTORIES[name]).init(jax.random.key(1), PROMPT)
    return jax.tree.map(lambda leaf: 4 * leaf, params), state


@functools.cache
def compiled(name, length=12, **options):
    factory, (_, state) = FACTORIES[name], trained(name)
    call = lambda params, key: jnn.generate(  # noqa: E731
        jnn.as_module(factory, params, state), PROMPT, length, key=key, **options
    )
    return jax.jit(call)


@pytest.mark.parametrize("name", FACTORIES)
def test_greedy_text_is_that_of_reading_everything_anew_for_each_id(name):
    params, state = trained(name)
    apply = jax.jit(lambda ids: jnn.as_model(FACTORIES[name]).apply(params, state, ids)[0])
    text = np.zeros((2, 16), int)
    text[:, :3] = PROMPT
    for end in range(3, 15):
        text[:, end] = np.argmax(apply(text)[:, end - 1], axis=-1)
    got = compiled(name)(params, None)
    np.testing.assert_array_equal(got, text[:, 3:15])
    assert len(np.unique(got)) > 2  # the text says something


def test_a_sliding_window_is_the_text_itself_while_it_fits_and_goes_on_beyond():
    params, state = trained("gpt")
    factory = FACTORIES["gpt"]
    long = jax.jit(
        lambda p: jnn.generate_sliding(jnn.as_module(factory, p, state), PROMPT, 20, 16)
    )(params)
    np.testing.assert_array_equal(long[:, :12], compiled("gpt")(params, None))
    apply = jax.jit(lambda ids: jnn.as_model(factory).apply(params, state, ids)[0])
    text = np.concatenate([PROMPT, long], axis=1)
    for end in (17, 20, 22):
        np.testing.assert_array_equal(
            text[:, end], np.argmax(apply(text[:, end - 16 : end])[:, -1], axis=-1)
        )


def test_one_key_gives_one_text_and_temperature_zero_the_likeliest():
    params, _ = trained("gpt")
    drawn = compiled("gpt", temperature=1.0)
    first, again, other = (drawn(params, jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    cold = compiled("gpt", temperature=0.0)(params, jax.random.key(0))
    np.testing.assert_array_equal(cold, compiled("gpt")(params, None))


def test_members_of_a_study_write_together_what_each_writes_alone():
    factory = functools.partial(jnn.models.LanguageModel, 11, 8, dropout_rate=0.1)
    study = jnn.Study(
        factory,
        jnn.losses.softmax_cross_entropy,
        optax.adam(0.1),
        metrics={},
        epochs=2,
        batch_size=16,
    )
    tokens = jnn.Dataset.from_tokens(np.arange(200) % 11, 8)  # every id is followed by the next one
    trained = jnn.run(study, tokens, jnn.seeds(2)).trained

    def write(params, state, key):
        options = {"temperature": 0.7, "top_k": 5, "top_p": 0.9}
        return jnn.generate(jnn.as_module(factory, params, state), PROMPT, 6, key=key, **options)

    members = (trained.params, trained.model_state, jax.random.split(jax.random.key(3)))
    together, alone = jax.jit(jax.vmap(write))(*members), jax.jit(write)
    for i in range(2):
        np.testing.assert_array_equal(
            together[i], alone(*jax.tree.map(lambda leaf, i=i: leaf[i], members))
        )
    np.testing.assert_array_equal(
        together[:, 0], np.broadcast_to(np.arange(4, 10), (2, 6))
    )  # it has learned to count


@pytest.mark.parametrize("k", [1, 3, 9])
def test_top_k_keeps_what_numpy_keeps(k):
    best = np.argsort(-LOGITS, axis=-1)[:, :k]
    wanted = np.full_like(LOGITS, -np.inf)
    np.put_along_axis(wanted, best, np.take_along_axis(LOGITS, best, -1), -1)
    np.testing.assert_array_equal(keep_top_k(LOGITS, k), wanted)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.8, 1.0])
def test_top_p_keeps_what_numpy_keeps(p):
    wanted = np.full_like(LOGITS, -np.inf)
    for row, logits in enumerate(np.float64(LOGITS)):
        shares, reached = np.exp(logits) / np.exp(logits).sum(), 0.0
        for index in np.argsort(-logits):
            if reached >= p and reached > 0:
                break
            wanted[row, index] = LOGITS[row, index]
            reached += shares[index]
    np.testing.assert_array_equal(keep_top_p(LOGITS, p), wanted)
    np.testing.assert_array_equal(jax.jit(keep_top_p)(LOGITS, p), wanted)


def test_top_p_of_1_keeps_everything():
    logits = -jnp.arange(60.0)  # the first ones have all of the probability, in float32
    np.testing.assert_array_equal(keep_top_p(logits, 1.0), logits)
    np.testing.assert_array_equal(jax.jit(keep_top_p)(logits, jnp.float32(1)), logits)


def test_short_logits_are_drawn_from_in_float32():
    short = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2000)), jnp.bfloat16)
    long = short.astype(jnp.float32)
    kept = keep_top_p(short, 0.5)
    assert kept.dtype == jnp.bfloat16
    np.testing.assert_array_equal(kept.astype(jnp.float32), keep_top_p(long, 0.5))
    options = {"key": jax.random.key(0), "temperature": 0.7, "top_p": 0.9}
    np.testing.assert_array_equal(draw(short, **options), draw(long, **options))


def test_draws_follow_the_softmax_at_their_temperature():
    """20 000 draws: a deviation of 0.02 is more than five standard deviations."""
    logits = jnp.array([0.0, 1.0, 2.0])
    ids = draw(jnp.broadcast_to(logits, (20_000, 3)), key=jax.random.key(0), temperature=2.0)
    shares = np.bincount(ids, minlength=3) / 20_000
    np.testing.assert_allclose(shares, np.exp(logits / 2) / np.exp(logits / 2).sum(), atol=0.02)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="top_k must be from 1 to 9"):
        keep_top_k(LOGITS, 10)
    with pytest.raises(ValueError, match="top_p must be between 0 and 1"):
        keep_top_p(LOGITS, 1.5)
    params, _ = trained("gpt")
    with pytest.raises(ValueError, match="at most 16 positions, got 22"):
        compiled("gpt", length=20)(params, None)
    model = jnn.as_module(FACTORIES["gpt"], *trained("gpt"))
    for empty in (PROMPT[:, :0], PROMPT[:0]):
        with pytest.raises(ValueError, match="at least one row of at least one id, got shape"):
            jnn.generate(model, empty, 3)
    with pytest.raises(ValueError, match="window must be a positive integer, got 0"):
        jnn.generate_sliding(model, PROMPT, 3, 0)
