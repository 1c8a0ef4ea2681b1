"""What a loss ignores cannot harm it: rows of NaN or infinite numbers have loss and gradient 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jnn import layers, losses

NAN, INF = np.nan, np.inf
FILLS = jnp.array([NAN, -INF, INF, 0.0])
REST = jnp.array([[0.0, 1.0, 2.0], [1.0, 0.0, -1.0]])
LABELS = jnp.array([-1, 0, 2])
SOFT = jnp.array([[0.0, 0, 0], [1, 0, 0], [0, 0.5, 0.5]])

# name: loss of (logits, targets), the targets, of which the first row is to be ignored
IGNORING = {
    "cross-entropy": (losses.softmax_cross_entropy, LABELS),
    "past the classes": (losses.softmax_cross_entropy, LABELS.at[0].set(3)),
    "smoothed": (lambda x, t: losses.softmax_cross_entropy(x, t, label_smoothing=0.1), LABELS),
    "of probabilities": (losses.softmax_cross_entropy, SOFT),
    "focal": (losses.focal, LABELS),
    "focal with alpha": (lambda x, t: losses.focal(x, t, alpha=jnp.array([1.0, 2, 3])), LABELS),
    "hinge": (losses.hinge, LABELS),
    "divergence": (losses.kl_divergence, SOFT),
    "class weight 0": (
        losses.class_weighted(losses.softmax_cross_entropy, [1.0, 0.0, 2.0]),
        LABELS.at[0].set(1),
    ),
    "class weights and probabilities": (
        losses.class_weighted(losses.kl_divergence, [1.0, 0.5, 2.0]),
        SOFT,
    ),
}


@jax.jit
def every_loss(fill):
    def of(loss, targets):
        total = lambda x, t: (loss(x, t).sum(), loss(x, t))  # noqa: E731
        x = jnp.concatenate([jnp.full((1, 3), fill), REST])
        (_, each), gradient = jax.value_and_grad(total, has_aux=True)(x, targets)
        alone = jax.value_and_grad(total, has_aux=True)(REST, targets[1:])
        return each, gradient, alone

    return {name: of(*row) for name, row in IGNORING.items()}


@pytest.fixture(scope="module")
def results():
    return jax.vmap(every_loss)(FILLS)


@pytest.mark.parametrize("name", IGNORING)
def test_an_ignored_row_has_loss_and_gradient_0_whatever_it_holds(results, name):
    each, gradient, ((_, alone), alone_gradient) = results[name]
    np.testing.assert_array_equal(each[:, 0], 0)
    np.testing.assert_array_equal(gradient[:, 0], 0)
    np.testing.assert_allclose(each[:, 1:], alone, rtol=1e-6)
    np.testing.assert_allclose(gradient[:, 1:], alone_gradient, rtol=1e-6)


def test_ctc_ignores_padding_in_time_and_labels():
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    lengths, target_lengths = jnp.array([3, 5]), jnp.array([2, 1])

    @jax.jit
    def program(x, t):
        def total(x):
            each = losses.ctc(x, t, lengths=lengths, target_lengths=target_lengths)
            return each.sum(), each

        return jax.value_and_grad(total, has_aux=True)(x)

    (_, expected), slope = program(jnp.asarray(x), jnp.array([[1, 2], [2, 0]]))
    # The paths of the first row by hand: 3 steps that spell 1, 2.
    p = scipy.special.softmax(x[0, :3].astype(np.float64), axis=1)
    ways = [(1, 1, 2), (1, 2, 2), (0, 1, 2), (1, 0, 2), (1, 2, 0)]
    by_hand = -np.log(sum(np.prod([p[t, c] for t, c in enumerate(way)]) for way in ways))
    np.testing.assert_allclose(expected[0], by_hand, rtol=1e-5)
    for fill in (NAN, INF, -INF):
        dirty = x.copy()
        dirty[0, 3:] = fill
        (_, each), gradient = program(jnp.asarray(dirty), jnp.array([[1, 2], [2, 99]]))
        np.testing.assert_allclose(each, expected, rtol=1e-6)
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


def test_ctc_of_a_certain_alignment_is_not_below_0():
    certain = jnp.array([[[0.0, 17.0], [0.0, 17.0]]])
    of_one = jax.jit(jax.value_and_grad(lambda x: losses.ctc(x, jnp.array([[1]]))[0]))
    value, slope = of_one(certain)
    assert value == 0 and np.isfinite(slope).all()
    with pytest.raises(ValueError, match="predictions of ctc must have one time step"):
        losses.ctc(jnp.zeros((2, 0, 3)), jnp.array([[1], [1]]))


def test_a_rate_of_0_costs_nothing_where_nothing_is_counted():
    def total(y):
        return losses.poisson_nll(y, jnp.array([0, 2])).sum()

    value, slope = jax.value_and_grad(total)(jnp.array([-jnp.inf, 1.0]))
    np.testing.assert_allclose(value, np.e - 2, rtol=1e-6)
    np.testing.assert_allclose(slope, [0, np.e - 2], rtol=1e-6)


def test_absolute_values_have_the_slope_0_at_0():
    point = jnp.array([0.0, 1.0, -1.0, -0.0])
    for function in (
        lambda e: losses.absolute_error(e, jnp.zeros(4)).sum(),
        layers.l1,
        lambda e: layers.elastic_net(e, 1.0),
    ):
        value, slope = jax.value_and_grad(function)(point)
        assert value == 2
        np.testing.assert_array_equal(slope, [0, 1, -1, 0])
