"""Attention equals its definition in NumPy and Flax's; masks, positions and the cache too."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from flax import nnx
from jax.experimental import jet

from jnn import layers
from jnn.layers import _attention

BATCH, TIME, SOURCE, HEADS, DIM = 2, 3, 5, 4, 6

attention = jax.jit(layers.attention, static_argnames=("causal", "dropout_rate"))
rotary = jax.jit(layers.rotary)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def qkv(kv_heads=HEADS, time=TIME):
    return (
        normal(0, BATCH, time, HEADS, DIM),
        normal(1, BATCH, SOURCE, kv_heads, DIM),
        normal(2, BATCH, SOURCE, kv_heads, 7),
    )


def assert_close(got, wanted, tolerance=1e-5):
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def by_definition(q, k, v, mask=None, bias=0.0):
    """Loop over heads, in float64, with one exponential of each score."""
    q, k, v = (np.asarray(array, np.float64) for array in (q, k, v))
    out = np.zeros((*q.shape[:3], v.shape[-1]))
    group = q.shape[2] // k.shape[2]
    seen = np.broadcast_to(True if mask is None else mask, (BATCH, HEADS, q.shape[1], SOURCE))
    bias = np.broadcast_to(bias, seen.shape)
    for b in range(BATCH):
        for h in range(HEADS):
            weights = (
                np.exp(q[b, :, h] @ k[b, :, h // group].T / np.sqrt(DIM) + bias[b, h]) * seen[b, h]
            )
            total = weights.sum(-1, keepdims=True)
            out[b, :, h] = weights @ v[b, :, h // group] / np.where(total > 0, total, 1)
    return out


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_attention_with_grouped_heads_is_its_definition(kv_heads):
    q, k, v = qkv(kv_heads)
    assert_close(attention(q, k, v), by_definition(q, k, v))


@pytest.mark.parametrize(
    "shape", [(3, 5), (1, 3, 5), (4, 3, 5), (2, 1, 1, 5), (2, 4, 3, 1), (2, 4, 3, 5)]
)
def test_masks_and_biases_of_every_broadcastable_shape(shape):
    q, k, v = qkv(2)
    mask, bias = normal(3, *shape) > 0, normal(4, *shape)
    y = attention(q, k, v, mask=mask, bias=bias)
    assert_close(y, by_definition(q, k, v, np.asarray(mask), np.asarray(bias, np.float64)))


def test_attention_is_flax_own():
    q, k, _ = qkv()
    mask = normal(3, BATCH, HEADS, TIME, SOURCE) > -1
    assert_close(attention(q, k, k, mask=mask), nnx.dot_product_attention(q, k, k, mask=mask))


def test_causal_queries_see_their_own_past_only():
    q, k, v = qkv()
    y = attention(q, k, v, causal=True)
    assert_close(y, by_definition(q, k, v, np.tril(np.ones((TIME, SOURCE), bool))))
    assert_close(y, attention(q, k.at[:, TIME:].set(9), v.at[:, TIME:].set(9), causal=True))


@pytest.mark.parametrize("how", ["mask", "bias"])
def test_a_query_that_sees_nothing_gets_zero_and_a_zero_gradient(how):
    seen = jnp.arange(TIME)[:, None] * jnp.ones((1, SOURCE)) > 0  # the first query sees nothing
    hidden = {"mask": seen} if how == "mask" else {"bias": jnp.where(seen, 0, -jnp.inf)}

    def total(q, k, v):
        y = attention(q, k, v, **hidden)
        return (y**2).sum(), y

    gradients, y = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(*qkv())
    assert not y[:, 0].any()
    assert y[:, 1:].all()
    assert all(np.isfinite(g).all() for g in gradients)
    assert not gradients[0][:, 0].any()


@pytest.mark.parametrize("shared_mask", [True, False])
def test_heads_one_by_one_equal_all_together_with_gradients_and_dropout(monkeypatch, shared_mask):
    mask = normal(3, *((TIME, SOURCE) if shared_mask else (BATCH, HEADS, TIME, SOURCE))) > -1

    def value_and_gradients(first):
        monkeypatch.setattr(_attention, "ONE_BY_ONE_FROM", first)

        def total(q, k, v, bias):
            y = layers.attention(
                q, k, v, mask=mask, bias=bias, key=jax.random.key(0), dropout_rate=0.3
            )
            return jnp.sin(y).sum()

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))(
            *qkv(2), normal(4, HEADS, 1, SOURCE)
        )

    jax.tree.map(assert_close, value_and_gradients(0), value_and_gradients(TIME * SOURCE + 1))


@pytest.mark.parametrize("time", [3, 6, 9])  # fewer queries than keys, and more
def test_causal_parts_equal_the_whole_with_gradients(monkeypatch, time):
    mask, (q, k, v) = normal(3, BATCH, 1, 1, SOURCE) > -1, qkv(2, time)

    def value_and_gradients(first):
        monkeypatch.setattr(_attention, "ONE_BY_ONE_FROM", first)

        def total(q, k, v, bias):
            return jnp.sin(layers.attention(q, k, v, mask=mask, bias=bias, causal=True)).sum()

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))(
            q, k, v, normal(4, HEADS, time, SOURCE)
        )

    jax.tree.map(assert_close, value_and_gradients(0), value_and_gradients(time * SOURCE + 1))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_a_program_for_a_cpu_loops_over_the_heads(monkeypatch, platform):
    monkeypatch.setattr(_attention, "ONE_BY_ONE_FROM", 0)
    gradient = jax.jit(jax.grad(lambda *a: layers.attention(*a, causal=True).sum()))
    program = jax.export.export(gradient, platforms=[platform])(*qkv()).mlir_module()
    assert ("stablehlo.while" in program) == (platform == "cpu")


def test_a_program_for_several_platforms_has_the_numbers_of_this_one(monkeypatch):
    monkeypatch.setattr(_attention, "ONE_BY_ONE_FROM", 0)
    gradient = jax.jit(jax.grad(lambda *a: jnp.sin(layers.attention(*a, causal=True)).sum()))
    exported = jax.export.export(gradient, platforms=["cpu", "cuda", "tpu"])(*qkv())
    assert_close(exported.call(*qkv()), gradient(*qkv()))


def test_taylor_series_through_attention_are_its_derivatives():
    q, k, v = qkv(2)
    direction = normal(3, *q.shape)

    def along(t):
        return jnp.tanh(layers.attention(q + t * direction, k, v, causal=True)).sum()

    _, (slope, curvature) = jet.jet(along, (0.0,), ([1.0, 0.0],))
    assert_close(slope, jax.grad(along)(0.0), 1e-4)
    assert_close(curvature, jax.grad(jax.grad(along))(0.0), 1e-4)


def test_no_keys_give_zero():
    q, k, v = qkv()
    assert not attention(q, k[:, :0], v[:, :0]).any()
    assert attention(q[:, :0], k, v).shape == (BATCH, 0, HEADS, 7)
    assert attention(q[:0], k[:0], v[:0]).shape == (0, TIME, HEADS, 7)


def test_huge_scores_pick_one_value():
    q = jnp.full((1, 1, 1, DIM), 1e18)
    k = jnp.array([1.0, 2.0, -3.0]).reshape(1, 3, 1, 1) * jnp.full((1, 1, 1, DIM), 1e12)
    v = jnp.array([5.0, 6.0, 7.0]).reshape(1, 3, 1, 1)
    value, gradient = jax.jit(jax.value_and_grad(lambda q: attention(q, k, v).sum()))(q)
    assert value == 6
    assert np.isfinite(gradient).all()


def test_half_precision_keeps_a_single_precision_softmax():
    q, k, v = (array.astype(jnp.bfloat16) for array in qkv())
    wide = attention(*(array.astype(jnp.float32) for array in (q, k, v)))
    assert_close(attention(q, k, v).astype(jnp.float32), wide, 2e-2)


@pytest.mark.parametrize("first", [0, TIME * SOURCE + 1])  # heads one by one, and all together
def test_half_precision_scales_the_scores_not_the_queries(monkeypatch, first):
    monkeypatch.setattr(_attention, "ONE_BY_ONE_FROM", first)
    q, k = (8 * array.astype(jnp.bfloat16) for array in qkv()[:2])
    v = jnp.broadcast_to(
        jnp.eye(SOURCE, dtype=jnp.bfloat16)[:, None], (BATCH, SOURCE, HEADS, SOURCE)
    )
    scores = np.einsum("btnd,bsnd->bnts", *(np.asarray(array, np.float64) for array in (q, k)))
    masked = np.where(np.tri(TIME, SOURCE), scores / np.sqrt(DIM), -np.inf)
    wanted = np.moveaxis(scipy.special.softmax(masked, -1), 1, 2)
    assert_close(layers.attention(q, k, v, causal=True).astype(jnp.float32), wanted, 2**-8)


def test_dropout_of_the_weights_keeps_the_mean():
    q, k, v = qkv()
    keys = jax.random.split(jax.random.key(0), 2000)
    draws = jax.jit(jax.vmap(lambda key: attention(q, k, v, key=key, dropout_rate=0.3)))(keys)
    wanted, spread = attention(q, k, v), draws.std(axis=0) / np.sqrt(len(keys))
    assert (
        np.abs((draws.mean(axis=0) - wanted) / spread).max() < 6
    )  # 336 values: a false alarm in 10^6 runs


def test_scale_replaces_the_root_of_the_dimension():
    q, k, v = qkv()
    assert_close(attention(q, k, v, scale=0.5), attention(q * 0.5 * np.sqrt(DIM), k, v))


def test_rotary_scores_depend_on_distances_only():
    q, k = normal(0, 8, 1, 6), normal(1, 8, 1, 6)
    positions = jnp.arange(8)

    def scores(shift):
        turned_q, turned_k = (rotary(a, positions + shift) for a in (q, k))
        return jnp.einsum("tnd,snd->ts", turned_q, turned_k)

    assert_close(scores(0), scores(5), 1e-4)
    assert_close(rotary(q, 0 * positions), q)


def test_rotary_turns_complex_numbers():
    x, positions = normal(0, BATCH, TIME, HEADS, DIM), jnp.array([[0, 1, 2], [7, 8, 9]])
    pairs = np.asarray(x[..., : DIM // 2]) + 1j * np.asarray(x[..., DIM // 2 :])
    angles = np.asarray(positions)[..., None, None] * 10000.0 ** (-np.arange(DIM // 2) * 2 / DIM)
    turned = pairs * np.exp(1j * angles)
    assert_close(rotary(x, positions), np.concatenate([turned.real, turned.imag], -1))


def test_scaling_slows_the_slow_frequencies_and_no_fast_ones():
    """By the angle that each pair of channels is turned by at position 1."""
    x = jnp.repeat(jnp.array([1.0, 0.0]), 8)[None, None]

    def angles(scaling):
        y = layers.rotary(x, jnp.ones(1), base=1e4, scaling=scaling)[0, 0]
        return jnp.arctan2(y[8:], y[:8])

    plain = 1e4 ** (-np.arange(8) / 8)
    turns = 300 * plain / (2 * np.pi)  # over a text of the training, from 47.7 down to 0.015
    slowed = angles(layers.RotaryScaling(10.0, 300.0, 1.0, 5.0))
    assert_close(slowed[turns > 5], plain[turns > 5])
    assert_close(slowed[turns < 1], plain[turns < 1] / 10)
    (middle,) = np.nonzero((turns > 1) & (turns < 5))
    assert len(middle) == 2
    share = (turns[middle] - 1) / 4
    assert_close(slowed[middle], share * plain[middle] + (1 - share) * plain[middle] / 10)
    assert_close(angles(layers.RotaryScaling(4.0, 0)), plain / 4)


def test_sinusoidal_positions_are_the_published_formula():
    table = layers.sinusoidal_positions(50, 8)
    for t, i in [(0, 0), (3, 1), (49, 3)]:
        angle = t / 10000 ** (2 * i / 8)
        assert_close(table[t, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], 1e-4)


def test_generating_with_a_cache_is_causal_attention_over_the_whole():
    q, k, v = (normal(seed, BATCH, 6, heads, DIM) for seed, heads in [(0, 4), (1, 2), (2, 2)])
    wanted = attention(q, k, v, causal=True)
    prompt, cache = 3, layers.empty_cache((BATCH,), 8, 2, DIM)
    cache, mask = layers.extend_cache(cache, k[:, :prompt], v[:, :prompt])
    assert_close(attention(q[:, :prompt], cache.k, cache.v, mask=mask), wanted[:, :prompt])

    def generate(cache, step):
        new_q, new_k, new_v = (array[:, None] for array in step)
        cache, mask = layers.extend_cache(cache, new_k, new_v)
        return cache, attention(new_q, cache.k, cache.v, mask=mask)[:, 0]

    steps = tuple(jnp.moveaxis(array[:, prompt:], 1, 0) for array in (q, k, v))
    cache, ys = jax.lax.scan(generate, cache, steps)
    assert_close(jnp.moveaxis(ys, 0, 1), wanted[:, prompt:])
    assert cache.length == 6


def test_shapes_that_do_not_fit_are_refused_in_a_sentence():
    unchecked = inspect.unwrap(layers.attention)
    q, k, v = qkv(3)
    with pytest.raises(ValueError, match="multiple of the 3 key heads, got 4"):
        unchecked(q, k, v)
    with pytest.raises(ValueError, match=r"mask must broadcast to .* \(2, 4, 3, 5\), got \(3, 4\)"):
        unchecked(*qkv(), mask=jnp.ones((3, 4), bool))
    with pytest.raises(ValueError, match="dim must be even"):
        inspect.unwrap(layers.rotary)(jnp.ones((2, 1, 3)), jnp.arange(2))
    with pytest.raises(ValueError, match="at most 2 steps"):
        inspect.unwrap(layers.extend_cache)(
            layers.empty_cache((), 2, 1, 1), jnp.ones((3, 1, 1)), jnp.ones((3, 1, 1))
        )


def refused(says, *operands, error=ValueError, **options):
    with pytest.raises(error, match=says):
        inspect.unwrap(layers.attention)(*operands, **options)


def test_queries_keys_and_values_that_do_not_belong_together_are_refused():
    q, k, v = qkv()
    three = [jnp.concatenate([array, array[:1]]) for array in (k, v)]
    refused("the same batch axes", q, k[:1], v[:1])
    refused("the same batch axes", q, *three)
    refused("the same source and kv_heads", q, k[:, :, :2], v)
    refused("the same source and kv_heads", q, k, v[:, :4])
    refused("q and k must have the same dim", q, k[..., :4], v)
    refused(r"\(\*batch, time, heads, dim\)", q[0, 0], k, v)
    refused("must be floating-point arrays", q.astype(int), k, v, error=TypeError)


def test_a_mask_of_numbers_and_a_mask_of_another_shape_are_refused():
    bias, mask = jnp.ones((TIME, SOURCE), bool), jnp.ones((TIME, SOURCE))
    refused("bias must hold numbers .* got bool", *qkv(), bias=bias, error=TypeError)
    refused("mask must be boolean.* got float32", *qkv(), mask=mask, error=TypeError)
    for causal in (False, True):
        refused(
            r"mask must broadcast to .* got \(3, 4\)",
            *qkv(),
            mask=jnp.ones((3, 4), bool),
            causal=causal,
        )


@pytest.mark.parametrize(
    ("shape", "positions"), [((2, 3, 1, 4), (4,)), ((2, 3, 1, 4), (3, 3)), ((3, 4), (3,))]
)
def test_positions_that_are_not_one_for_each_step_are_refused(shape, positions):
    with pytest.raises(
        ValueError, match=r"one position for each step|x must be \(\*batch, time, heads, dim\)"
    ):
        inspect.unwrap(layers.rotary)(jnp.ones(shape), jnp.ones(positions))


@pytest.mark.parametrize(
    ("k", "v"), [((3, 1, 2, 4),) * 2, ((2, 1, 1, 4),) * 2, ((2, 1, 2, 4), (1, 1, 2, 4))]
)
def test_steps_that_are_not_of_the_caches_shape_are_refused(k, v):
    with pytest.raises(ValueError, match=r"the shape of the cache \(2, 5, 2, 4\)"):
        inspect.unwrap(layers.extend_cache)(
            layers.empty_cache((2,), 5, 2, 4), jnp.ones(k), jnp.ones(v)
        )


def test_positions_of_a_negative_length_are_refused():
    with pytest.raises(ValueError, match="must be 0 or more, got -3 and 4"):
        inspect.unwrap(layers.sinusoidal_positions)(-3, 4)
