"""Losses against scipy, scikit-learn and closed forms, and what all of them have in common."""

import inspect
import itertools
import pickle
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jnn import losses

rng = np.random.default_rng(0)
LOGITS = 3 * rng.normal(size=(6, 4)).astype(np.float32)
LABELS = rng.integers(0, 4, 6)
NUMBERS = rng.normal(size=(6, 4)).astype(np.float32)
BITS = rng.integers(0, 2, (6, 4))
SHARES = rng.dirichlet(np.ones(4), 6).astype(np.float32)
COUNTS = rng.poisson(3.0, (6, 4))

# name, loss, predictions, targets: every property below holds for every row.
TABLE = [
    ("squared_error", losses.squared_error, LOGITS, NUMBERS),
    ("absolute_error", losses.absolute_error, LOGITS, NUMBERS),
    ("huber", losses.huber, LOGITS, NUMBERS),
    ("log_cosh", losses.log_cosh, LOGITS, NUMBERS),
    ("quantile", losses.quantile, LOGITS, NUMBERS),
    ("gaussian_nll", losses.gaussian_nll, LOGITS, NUMBERS[:, :2]),
    ("poisson_nll", losses.poisson_nll, LOGITS, COUNTS),
    ("binary_cross_entropy", losses.binary_cross_entropy, LOGITS, BITS),
    ("softmax_cross_entropy", losses.softmax_cross_entropy, LOGITS, LABELS),
    ("softmax_cross_entropy of shares", losses.softmax_cross_entropy, LOGITS, SHARES),
    ("focal", losses.focal, LOGITS, BITS),
    ("focal of classes", losses.focal, LOGITS, LABELS),
    ("hinge", losses.hinge, LOGITS, BITS),
    ("hinge of classes", losses.hinge, LOGITS, LABELS),
    ("kl_divergence", losses.kl_divergence, LOGITS, SHARES),
    ("gan.non_saturating", losses.gan.non_saturating.discriminator, LOGITS, BITS),
    ("gan.least_squares", losses.gan.least_squares.discriminator, LOGITS, BITS),
    ("gan.hinge", losses.gan.hinge.discriminator, LOGITS, BITS),
    ("gan.wasserstein", losses.gan.wasserstein.discriminator, LOGITS, BITS),
]
BY_NAME = {name: rest for name, *rest in TABLE}
every_loss = pytest.mark.parametrize("name", BY_NAME)
EXTREMES = np.array([0.0, 1e30, -1e30, 88.0], np.float32)


def call(loss, *arrays, **options):
    """The loss as one compiled program: faster than operation by operation."""
    return np.asarray(jax.jit(partial(loss, **options))(*map(jnp.asarray, arrays)))


def refuse(loss, *arrays, match, kind=ValueError, **options):
    """The loss's own sentence, not that of the type checker which may wrap it."""
    with pytest.raises(kind, match=match):
        inspect.unwrap(loss)(*map(jnp.asarray, arrays), **options)


@cache
def results(name):
    """What the shared properties compare, in one program per loss."""
    loss, predictions, targets = BY_NAME[name]
    half = jnp.asarray(predictions, jnp.bfloat16)
    extremes = [np.tile(np.roll(EXTREMES, shift), (6, 1)) for shift in range(4)]

    def program(predictions, targets):
        slope = jax.grad(lambda x: loss(x, targets).sum())
        pair = jnp.stack([predictions, predictions[::-1]]), jnp.stack([targets, targets[::-1]])
        return {
            "values": loss(predictions, targets),
            "of a pair of batches": loss(*pair),
            "of bfloat16": loss(half, targets),
            "of the same as float32": loss(half.astype(jnp.float32), targets),
            "gradient at zero": slope(jnp.zeros_like(predictions)),
            "gradients at extremes": jax.vmap(slope)(jnp.stack(extremes)),
        }

    return jax.jit(program)(jnp.asarray(predictions), jnp.asarray(targets))


@every_loss
def test_gives_one_float_per_example_under_jit_as_without(name):
    loss, predictions, targets = BY_NAME[name]
    values = loss(jnp.asarray(predictions), jnp.asarray(targets))
    assert values.shape == (6,) and values.dtype == jnp.float32
    np.testing.assert_allclose(results(name)["values"], values, rtol=1e-5, atol=1e-6)


@every_loss
def test_examples_do_not_see_each_other(name):
    values, pair = results(name)["values"], results(name)["of a pair of batches"]
    np.testing.assert_allclose(pair, [values, values[::-1]], rtol=1e-5, atol=1e-6)


@every_loss
def test_bfloat16_predictions_are_summed_in_float32(name):
    half = results(name)["of bfloat16"]
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, results(name)["of the same as float32"], rtol=1e-6)


@every_loss
def test_gradients_are_numbers_at_zero_and_at_extreme_predictions(name):
    assert not np.isnan(results(name)["gradients at extremes"]).any()
    assert np.isfinite(results(name)["gradient at zero"]).all()


def cross_entropy_of_probabilities(y, t):
    p = scipy.special.expit(y)
    return -scipy.special.xlog1py(1 - t, -p) - scipy.special.xlogy(t, p)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.squared_error, lambda y, t: (y - t) ** 2),
        (losses.absolute_error, lambda y, t: np.abs(y - t)),
        (losses.huber, lambda y, t: scipy.special.huber(1.0, y - t)),
        (losses.log_cosh, lambda y, t: np.log(np.cosh(y - t))),
        (losses.binary_cross_entropy, cross_entropy_of_probabilities),
    ],
)
def test_elementwise_losses_are_the_mean_over_outputs(loss, expected):
    targets = SHARES if loss is losses.binary_cross_entropy else NUMBERS
    values = expected(LOGITS.astype(np.float64), targets.astype(np.float64))
    np.testing.assert_allclose(call(loss, LOGITS, targets), values.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(
        call(loss, LOGITS[:, 0], targets[:, 0]), values[:, 0], rtol=1e-5, atol=1e-6
    )


def test_one_output_column_meets_targets_without_that_axis():
    assert call(losses.squared_error, LOGITS[:, :1], NUMBERS[:, 0]).shape == (6,)
    sequences = call(losses.squared_error, LOGITS[..., None], NUMBERS)
    np.testing.assert_allclose(sequences, (LOGITS - NUMBERS) ** 2, rtol=1e-6)


def test_shapes_that_would_broadcast_are_refused():
    refuse(losses.squared_error, LOGITS[:, :1], NUMBERS, match="must have one shape")
    refuse(losses.binary_cross_entropy, LOGITS, BITS[:, 0], match="must have one shape")
    refuse(losses.softmax_cross_entropy, LOGITS, BITS[:, :2], match="must be integer labels")
    refuse(
        losses.softmax_cross_entropy, LOGITS, NUMBERS[:, 0], match="probabilities of the classes"
    )
    refuse(losses.softmax_cross_entropy, LOGITS[:, :1], LABELS, match="binary_cross_entropy")
    refuse(losses.kl_divergence, LOGITS, SHARES[:1], match="one shape")
    refuse(losses.gaussian_nll, LOGITS[:, :3], NUMBERS[:, 0], match="even number of outputs")
    refuse(losses.quantile, LOGITS, NUMBERS, q=(0.1, 0.9), match="2 quantile levels")
    refuse(losses.quantile, LOGITS[:, :2], NUMBERS[:3, :2], q=(0.1, 0.9), match="2 quantile levels")
    refuse(losses.gan.hinge.discriminator, LOGITS, LABELS, match="one shape")
    refuse(losses.ctc, LOGITS, LABELS, match="Add the batch axis")


def test_quantile_is_scikit_learns_pinball_loss_for_one_level_and_for_several():
    from sklearn.metrics import mean_pinball_loss

    for q in (0.1, 0.5, 0.9):
        ours = call(losses.quantile, LOGITS, NUMBERS, q=q).mean()
        np.testing.assert_allclose(ours, mean_pinball_loss(NUMBERS, LOGITS, alpha=q), rtol=1e-5)
    levels = (0.1, 0.5, 0.6, 0.9)
    each = [mean_pinball_loss(NUMBERS[:, 0], LOGITS[:, i], alpha=q) for i, q in enumerate(levels)]
    for several in (levels, list(levels), np.array(levels, np.float32)):
        ours = call(losses.quantile, LOGITS, NUMBERS[:, 0], q=several).mean()
        np.testing.assert_allclose(ours, np.mean(each), rtol=1e-5)


def test_likelihoods_are_scipys():
    deviation = np.exp(LOGITS[:, 2:] / 2)
    normal = -scipy.stats.norm.logpdf(NUMBERS[:, :2], LOGITS[:, :2], deviation).mean(-1)
    np.testing.assert_allclose(
        call(losses.gaussian_nll, LOGITS, NUMBERS[:, :2], full=True), normal, rtol=1e-4
    )
    poisson = -scipy.stats.poisson.logpmf(COUNTS, np.exp(NUMBERS)).mean(-1)
    np.testing.assert_allclose(
        call(losses.poisson_nll, NUMBERS, COUNTS, full=True), poisson, rtol=1e-4
    )


def test_softmax_cross_entropy_is_the_negative_log_softmax_for_labels_and_for_shares():
    log_p = scipy.special.log_softmax(LOGITS.astype(np.float64), axis=-1)
    own = -log_p[np.arange(6), LABELS]
    np.testing.assert_allclose(call(losses.softmax_cross_entropy, LOGITS, LABELS), own, rtol=1e-5)
    for dtype in (bool, int, float):
        one_hot = np.eye(4)[LABELS].astype(dtype)
        np.testing.assert_allclose(
            call(losses.softmax_cross_entropy, LOGITS, one_hot), own, rtol=1e-5
        )
    np.testing.assert_allclose(
        call(losses.softmax_cross_entropy, LOGITS, SHARES), -(SHARES * log_p).sum(-1), rtol=1e-5
    )
    smooth = call(losses.softmax_cross_entropy, LOGITS, LABELS, label_smoothing=0.2)
    np.testing.assert_allclose(smooth, 0.8 * own - 0.2 * log_p.mean(-1), rtol=1e-5)


def test_a_label_out_of_range_is_ignored_and_a_masked_class_does_no_harm():
    masked = np.where(np.arange(4) == 1, -np.inf, LOGITS[:1])

    @jax.jit
    def program(logits, masked):
        smooth = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
        of_label = lambda x: losses.softmax_cross_entropy(x, jnp.array([2])).sum()  # noqa: E731
        ignored = jax.grad(lambda x: smooth(x, jnp.array([-1, 2])).sum())(logits)
        return ignored, of_label(masked), jax.grad(of_label)(masked)

    ignored, ours, gradient = program(jnp.asarray(LOGITS[:2]), jnp.asarray(masked))
    assert not np.asarray(ignored)[0].any()
    expected = call(losses.softmax_cross_entropy, LOGITS[:1, [0, 2, 3]], np.array([1]))
    np.testing.assert_allclose(ours, expected.sum(), rtol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("smoothing", "labels"), [(0.1, [-1]), (0.0, [2])])
def test_a_masked_class_does_no_harm_where_it_does_not_count(smoothing, labels):
    masked, labels = jnp.where(jnp.arange(4) == 1, -jnp.inf, LOGITS[:1]), jnp.array(labels)
    entropy = losses.softmax_cross_entropy
    smooth = lambda x, share: entropy(x, labels, label_smoothing=share).sum()  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(smooth))(masked, jnp.float32(smoothing))
    assert value == call(entropy, masked, labels).sum()
    assert np.isfinite(gradient).all()


def test_certainty_on_the_right_side_costs_nothing():
    logits, bits = jnp.array([np.inf, -np.inf, 30.0]), jnp.array([1, 0, 1])
    loss = partial(losses.binary_cross_entropy, targets=bits, positive_weight=2.0)
    np.testing.assert_array_equal(call(loss, logits)[:2], 0)
    gradient = jax.jit(jax.grad(lambda x: loss(x).sum()))(logits)
    np.testing.assert_array_equal(gradient[:2], 0)
    assert np.isinf(call(losses.binary_cross_entropy, logits, 1 - bits)[:2]).all()


def test_log_cosh_keeps_its_digits_near_zero_and_far_from_it():
    errors = np.array([1e-4, -1e-3, 0.03, -0.999, 1.001, 50.0, 1e30], np.float32)
    far = np.abs(errors.astype(np.float64)) - np.log(2)
    near = np.log(np.cosh(np.minimum(np.abs(errors.astype(np.float64)), 40)))
    expected = np.where(np.abs(errors) > 40, far, near)
    of_error = jax.value_and_grad(lambda e: losses.log_cosh(e, jnp.zeros(())))
    value, gradient = jax.jit(jax.vmap(of_error))(errors)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, np.tanh(errors), rtol=1e-5)


def test_a_label_that_is_no_class_has_no_margin():
    logits, labels = jnp.asarray(LOGITS[:3]), jnp.array([-1, 4, 2])
    total = lambda x: losses.hinge(x, labels).sum()  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(total))(logits)
    assert value == call(losses.hinge, logits[2:], labels[2:]).sum() > 0
    assert not gradient[:2].any()


def test_class_weights_scale_each_class():
    weights = jnp.array([1.0, 2.0, 0.0, 4.0])
    ours = call(losses.softmax_cross_entropy, LOGITS, LABELS, class_weights=weights)
    np.testing.assert_allclose(
        ours, call(losses.softmax_cross_entropy, LOGITS, LABELS) * weights[LABELS], rtol=1e-6
    )


def test_rare_probabilities_keep_their_digits():
    tail = call(losses.binary_cross_entropy, np.array([30.0, -30.0], np.float32), np.array([1, 0]))
    np.testing.assert_allclose(tail, np.exp(-30.0), rtol=1e-5)


def test_focal_is_the_cross_entropy_times_the_power_of_the_miss():
    p = scipy.special.expit(LOGITS.astype(np.float64))
    hit = np.where(BITS == 1, p, 1 - p)
    binary = (np.where(BITS == 1, 0.25, 0.75) * (1 - hit) ** 2 * -np.log(hit)).mean(-1)
    np.testing.assert_allclose(call(losses.focal, LOGITS, BITS, alpha=0.25), binary, rtol=1e-4)
    hit = scipy.special.softmax(LOGITS.astype(np.float64), -1)[np.arange(6), LABELS]
    np.testing.assert_allclose(
        call(losses.focal, LOGITS, LABELS, gamma=1.5), (1 - hit) ** 1.5 * -np.log(hit), rtol=1e-4
    )
    weights = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    weighted = call(losses.focal, LOGITS, LABELS, gamma=0.0, alpha=weights)
    np.testing.assert_allclose(weighted, -weights[LABELS] * np.log(hit), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:::sklearn")
def test_hinge_is_scikit_learns():
    from sklearn.metrics import hinge_loss

    binary = call(losses.hinge, LOGITS[:, 0], BITS[:, 0])
    np.testing.assert_allclose(binary.mean(), hinge_loss(BITS[:, 0], LOGITS[:, 0]), rtol=1e-6)
    np.testing.assert_array_equal(binary, call(losses.hinge, LOGITS[:, 0], 2 * BITS[:, 0] - 1))
    classes = call(losses.hinge, LOGITS, LABELS).mean()
    np.testing.assert_allclose(classes, hinge_loss(LABELS, LOGITS, labels=np.arange(4)), rtol=1e-6)


def test_kl_divergence_is_scipys_and_takes_log_probabilities_too():
    shares = SHARES.copy()
    shares[0] = [0, 0.5, 0.5, 0]
    expected = scipy.special.rel_entr(shares, scipy.special.softmax(LOGITS, -1)).sum(-1)
    np.testing.assert_allclose(call(losses.kl_divergence, LOGITS, shares), expected, rtol=1e-4)
    logged = scipy.special.log_softmax(LOGITS, -1)
    np.testing.assert_allclose(call(losses.kl_divergence, logged, shares), expected, rtol=1e-4)


def test_embedding_losses_are_their_equations_and_smooth_where_points_coincide():
    a, b, c = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(3))
    same = np.array([1, 0, 1, 0, 0])
    near, far = np.linalg.norm(a - b, axis=-1), np.linalg.norm(a - c, axis=-1)
    expected = np.where(same, near**2, np.maximum(0, 2 - near) ** 2)
    np.testing.assert_allclose(
        call(losses.contrastive, a, b, same, margin=2.0), expected, rtol=1e-5
    )
    triplets = np.maximum(0, near - far + 0.5)
    np.testing.assert_allclose(
        call(losses.triplet, a, b, c, margin=0.5), triplets, rtol=1e-5, atol=1e-6
    )

    def both(x):
        return jnp.sum(losses.triplet(x, x, 0 * x) + losses.contrastive(x, x, jnp.zeros(5)))

    gradient = jax.jit(jax.grad(both))
    for scale in (0.0, 1.0, 1e30):
        assert np.isfinite(gradient(jnp.full((5, 3), scale))).all()


def test_ctc_sums_over_all_alignments_within_the_lengths():
    logits = rng.normal(size=(2, 4, 3)).astype(np.float32)
    p = scipy.special.softmax(logits.astype(np.float64), -1)
    lengths, targets = [4, 3], [(1, 2), (2,)]

    def spells(path, target):
        return tuple(c for c, _ in itertools.groupby(path) if c != 0) == target

    expected = [
        -np.log(
            sum(
                np.prod(p[i, range(n), path])
                for path in itertools.product(range(3), repeat=n)
                if spells(path, t)
            )
        )
        for i, (n, t) in enumerate(zip(lengths, targets, strict=True))
    ]
    padded, limits = (
        np.array([[1, 2], [2, 1]]),
        {"lengths": jnp.array(lengths), "target_lengths": jnp.array([2, 1])},
    )
    ours = call(losses.ctc, logits, padded, **limits)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_adversarial_losses_are_their_papers_equations():
    x, real = LOGITS[:, 0], BITS[:, 0]
    sign, sigmoid = 2 * real - 1, scipy.special.expit
    equations = {
        "non_saturating": (-np.log(sigmoid(sign * x)), -np.log(sigmoid(x))),
        "least_squares": ((x - real) ** 2, (x - 1) ** 2),
        "hinge": (np.maximum(0, 1 - sign * x), -x),
        "wasserstein": (-sign * x, -x),
        "minimax": (-np.log(sigmoid(sign * x)), np.log(1 - sigmoid(x))),
    }
    for name, (discriminator, generator) in equations.items():
        game = getattr(losses.gan, name)
        np.testing.assert_allclose(
            call(game.discriminator, x, real), discriminator, rtol=1e-5, err_msg=name
        )
        np.testing.assert_allclose(call(game.generator, x), generator, rtol=1e-5, err_msg=name)


def test_relativistic_losses_compare_real_with_fake():
    """Two losses swap their players, so that each player is the other's mirror image."""
    real, fake = LOGITS[:, 0], LOGITS[:, 1]
    log, sigmoid = np.log, lambda x: scipy.special.expit(x.astype(np.float64))
    pairs = losses.gan.relativistic
    np.testing.assert_allclose(
        call(pairs.discriminator, real, fake), -log(sigmoid(real - fake)), rtol=1e-5
    )
    np.testing.assert_allclose(
        call(pairs.generator, real, fake), -log(sigmoid(fake - real)), rtol=1e-5
    )
    means = losses.gan.relativistic_average
    above = -log(sigmoid(real - fake.mean())) - log(1 - sigmoid(fake - real.mean()))
    below = -log(sigmoid(fake - real.mean())) - log(1 - sigmoid(real - fake.mean()))
    np.testing.assert_allclose(call(means.discriminator, real, fake), above, rtol=1e-5)
    np.testing.assert_allclose(call(means.generator, real, fake), below, rtol=1e-5)
    refuse(pairs.discriminator, real, fake[:2], match="one shape")


def test_gradient_penalty_measures_the_slope_between_real_and_fake():
    @jax.jit
    def penalty(slope):
        real, fake = jnp.asarray(LOGITS), jnp.asarray(NUMBERS)
        return losses.gan.gradient_penalty(lambda z: z @ slope, real, fake, key=jax.random.key(0))

    np.testing.assert_allclose(
        penalty(jnp.array([3.0, 0.0, 4.0, 0.0])), np.full(6, (5.0 - 1.0) ** 2), rtol=1e-5
    )
    flat = jax.jit(jax.grad(lambda slope: penalty(slope).sum()))(jnp.zeros(4))
    assert np.isfinite(flat).all()


def test_whole_targets_keep_their_digits_beside_float64_predictions():
    with jax.enable_x64(True):
        large = jnp.array([2.0**24 + 1])
        for targets in (jnp.array([2**24 + 1]), jnp.array([2**24 + 1], jnp.uint32)):
            assert losses.squared_error(large, targets) == 0
            assert losses.squared_error(large.astype(jnp.float32), targets).dtype == jnp.float32


def test_embeddings_and_labels_that_would_broadcast_are_refused():
    a, b = LOGITS[:3], LOGITS[3:]
    refuse(losses.contrastive, a, b, BITS[:3, :1], match=r"same must have shape \(3,\)")
    refuse(losses.contrastive, a, b[:1], BITS[:3, 0], match="of one shape")
    refuse(losses.triplet, a, b, b[:1], match="of one shape")
    refuse(losses.triplet, *(np.float32(1.0),) * 3, match=r"\[\*batch, dim\]")
    with pytest.raises(ValueError, match="Pair each real"):
        real, fake = jnp.asarray(a), jnp.asarray(b[:2])
        inspect.unwrap(losses.gan.gradient_penalty)(lambda z: z, real, fake, key=jax.random.key(0))


@pytest.mark.parametrize("shape", [(), (6, 1), (3,), (1,)])
def test_class_weights_that_are_not_one_for_each_class_are_refused(shape):
    refuse(
        losses.softmax_cross_entropy,
        LOGITS,
        LABELS,
        class_weights=jnp.ones(shape),
        match=r"class_weights must have shape \(4,\)",
    )


def test_alpha_is_one_number_or_one_for_each_class():
    plain = call(losses.focal, LOGITS, LABELS)
    np.testing.assert_allclose(
        call(losses.focal, LOGITS, LABELS, alpha=0.25), 0.25 * plain, rtol=1e-6
    )
    alone = call(losses.focal, LOGITS[0], LABELS[0], alpha=jnp.full(4, 2.0))
    np.testing.assert_allclose(alone, 2 * plain[0], rtol=1e-5)
    for targets, shape in ((LABELS, (3,)), (LABELS, (6,)), (BITS, (3,)), (BITS, (6, 1))):
        refuse(
            losses.focal, LOGITS, targets, alpha=jnp.ones(shape), match="alpha must be one number"
        )
    refuse(
        losses.focal, LOGITS[:, 0], BITS[:, 0], alpha=jnp.ones(6), match="alpha must be one number"
    )


def test_settings_outside_their_range_are_refused():
    refuse(
        losses.softmax_cross_entropy,
        LOGITS,
        LABELS,
        label_smoothing=1.5,
        match=r"label_smoothing must be in \[0, 1\]",
    )
    refuse(
        losses.softmax_cross_entropy,
        LOGITS,
        LABELS,
        label_smoothing=np.float32(-1),
        match="label_smoothing",
    )
    for delta in (-1.0, np.inf, np.nan):
        refuse(
            losses.huber, LOGITS, NUMBERS, delta=delta, match="delta must be positive and finite"
        )
    refuse(
        losses.huber,
        LOGITS,
        NUMBERS,
        delta=jnp.ones((6, 1)),
        match="delta must be one number, got an array of shape",
    )
    refuse(
        losses.gaussian_nll,
        LOGITS,
        NUMBERS[:, :2],
        min_variance=-1.0,
        match="min_variance must be 0 or more",
    )
    refuse(losses.quantile, LOGITS, NUMBERS, q=1.5, match=r"q must be a quantile level in \[0, 1\]")
    refuse(
        losses.quantile,
        LOGITS[:, :2],
        NUMBERS[:, 0],
        q=(0.5, -0.1),
        match=r"q must be a quantile level in \[0, 1\]",
    )
    refuse(losses.quantile, LOGITS, NUMBERS, q=jnp.ones((6, 1)), match="or a list of levels")
    refuse(
        losses.binary_cross_entropy,
        LOGITS[:, :1],
        BITS[:, 0],
        positive_weight=jnp.ones(3),
        match="must be one number or",
    )


@pytest.mark.parametrize("loss", [losses.focal, losses.hinge])
def test_a_single_output_is_an_example_of_its_own(loss):
    alone = call(loss, 0.5, 1)
    row = call(loss, [0.5], [1])
    assert alone.shape == () and alone == row[0]


def test_ctc_takes_classes_that_cannot_be_and_refuses_what_does_not_fit():
    logits, targets = rng.normal(size=(2, 4, 4)).astype(np.float32), jnp.array([[1, 2], [2, 1]])
    masked = logits.copy()
    masked[..., 3] = -np.inf

    @jax.jit
    def program(x):
        of_rows, pull_back = jax.vjp(lambda x: losses.ctc(x, targets), x)
        return of_rows, pull_back(jnp.ones(2))[0]

    of_rows, gradient = program(jnp.asarray(masked))
    expected = call(losses.ctc, logits[..., :3], targets)
    np.testing.assert_allclose(of_rows.sum(), expected.sum(), rtol=1e-5)
    assert np.isfinite(gradient).all()
    masked[..., 2] = -np.inf
    of_rows, _ = program(jnp.asarray(masked))
    assert (np.asarray(of_rows) > 1e4).all()
    refuse(losses.ctc, logits, targets, blank=4, match="one of the classes 0 to 3")
    for name in ("lengths", "target_lengths"):
        refuse(
            losses.ctc,
            logits,
            targets,
            **{name: jnp.array([[4], [3]])},
            match=rf"{name} must have shape \(2,\)",
        )


def test_labels_of_a_narrow_type_count_all_classes():
    logits, labels = jnp.zeros((2, 300)), jnp.array([3, 120], jnp.int8)
    low = jnp.zeros((2, 300)).at[:, 0].set(1.0)

    @jax.jit
    def program(logits, low, labels):
        plain = losses.softmax_cross_entropy(logits, labels)
        smooth = losses.softmax_cross_entropy(logits, labels, label_smoothing=0.1)
        hinge = losses.hinge(low, labels)
        return plain, smooth, hinge, losses.hinge(low[:, :256], labels.astype(jnp.uint8))

    plain, smooth, hinge, hinge_of_256 = program(logits, low, labels)
    np.testing.assert_allclose(plain, np.log(300), rtol=1e-6)
    np.testing.assert_allclose(smooth, np.log(300), rtol=1e-6)
    np.testing.assert_array_equal(hinge, 2)
    np.testing.assert_array_equal(hinge_of_256, 2)


def test_the_slope_by_a_hard_target_is_the_cost():
    x, t = jnp.array([2.0, 2.0, 2.0]), jnp.array([1.0, 0.0, 0.3])
    by_bit = jax.jit(jax.grad(lambda t: losses.binary_cross_entropy(x, t).sum()))
    np.testing.assert_allclose(by_bit(t), -x, rtol=1e-6)  # softplus(-x) - softplus(x)
    masked = jnp.array([[1.0, 0.0, -jnp.inf]])
    by_share = jax.jit(jax.grad(lambda q: losses.softmax_cross_entropy(masked, q).sum()))
    slope = by_share(jnp.array([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(slope[0, :2], -scipy.special.log_softmax([1.0, 0.0]), rtol=1e-6)
    assert np.isfinite(slope).all()
    smooth = lambda e: losses.softmax_cross_entropy(x, jnp.array(0), label_smoothing=e)  # noqa: E731
    # Of equal logits every class costs the same.
    np.testing.assert_allclose(jax.jit(jax.grad(smooth))(0.0), 0, atol=1e-6)


def test_a_class_masked_on_both_sides_leaves_the_slopes_of_the_others():
    logits, shares = jnp.array([1.0, 0.0, -jnp.inf]), jnp.array([0.5, 0.5, 0.0])
    slopes_of = jax.jit(jax.grad(losses.kl_divergence, (0, 1)))
    slopes = slopes_of(logits, shares)
    of_two = slopes_of(logits[:2], shares[:2])
    for slope, alone in zip(slopes, of_two, strict=True):
        np.testing.assert_allclose(slope, [*alone, 0], rtol=1e-6)


def test_smoothing_mixes_any_shares_with_equal_ones():
    shares = 3 * SHARES  # as of several true classes
    mixed = 0.8 * shares + 0.2 / 4
    expected = -(mixed * scipy.special.log_softmax(LOGITS.astype(np.float64), -1)).sum(-1)
    ours = call(losses.softmax_cross_entropy, LOGITS, shares, label_smoothing=0.2)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_floor_under_the_variance_may_be_traced():
    nll = jax.jit(
        lambda floor: losses.gaussian_nll(
            jnp.array([0.0, -9.0]), jnp.array(1.0), min_variance=floor
        )
    )
    np.testing.assert_allclose(
        nll(0.25), -scipy.stats.norm.logpdf(1, 0, 0.5) - np.log(2 * np.pi) / 2, rtol=1e-6
    )


def test_weights_may_be_a_list():
    for loss, targets, name in (
        (losses.softmax_cross_entropy, LABELS, "class_weights"),
        (losses.focal, LABELS, "alpha"),
        (losses.focal, BITS, "alpha"),
        (losses.binary_cross_entropy, BITS, "positive_weight"),
    ):
        weights = [0.1, 0.2, 0.3, 0.4]
        of_list = inspect.unwrap(loss)(jnp.asarray(LOGITS), jnp.asarray(targets), **{name: weights})
        np.testing.assert_array_equal(
            of_list, loss(jnp.asarray(LOGITS), jnp.asarray(targets), **{name: jnp.array(weights)})
        )


WEIGHTS = np.array([1.0, 2.0, 0.0, 4.0], np.float32)


@pytest.mark.parametrize(
    ("loss", "predictions", "targets", "weights", "weight_of_rows"),
    [
        (losses.softmax_cross_entropy, LOGITS, LABELS, WEIGHTS, WEIGHTS[LABELS]),
        (losses.softmax_cross_entropy, LOGITS, np.eye(4)[LABELS], WEIGHTS, WEIGHTS[LABELS]),
        (losses.softmax_cross_entropy, LOGITS, SHARES, WEIGHTS, SHARES @ WEIGHTS),
        (losses.kl_divergence, LOGITS, SHARES, WEIGHTS, SHARES @ WEIGHTS),
        (losses.hinge, LOGITS, LABELS, WEIGHTS, WEIGHTS[LABELS]),
        (losses.focal, LOGITS, LABELS, WEIGHTS, WEIGHTS[LABELS]),
        (losses.focal, LOGITS[:, 0], BITS[:, 0], [1.0, 3.0], 1 + 2 * BITS[:, 0]),
        (losses.binary_cross_entropy, LOGITS[:, :1], BITS[:, 0], [1.0, 3.0], 1 + 2 * BITS[:, 0]),
        (losses.binary_cross_entropy, LOGITS[:, :1], BITS[:, :1], [1.0, 3.0], 1 + 2 * BITS[:, 0]),
        (
            losses.binary_cross_entropy,
            LOGITS[:, 0],
            SHARES[:, 0],
            [1.0, 3.0],
            (1 - SHARES[:, 0]) + 3 * SHARES[:, 0],
        ),
    ],
)
def test_class_weighted_multiplies_each_loss_by_the_weight_of_its_class(
    loss, predictions, targets, weights, weight_of_rows
):
    ours = call(losses.class_weighted(loss, weights), predictions, targets)
    assert ours.shape == (6,)
    np.testing.assert_allclose(
        ours, weight_of_rows * call(loss, predictions, targets), rtol=1e-5, atol=1e-6
    )


def test_the_weighted_mean_of_pytorch_divides_by_the_sum_of_the_weights():
    log_p = scipy.special.log_softmax(LOGITS.astype(np.float64), axis=-1)
    own = -log_p[np.arange(6), LABELS]
    of_pytorch = (WEIGHTS[LABELS] * own).sum() / WEIGHTS[LABELS].sum()
    ours = call(losses.class_weighted(losses.softmax_cross_entropy, WEIGHTS), LOGITS, LABELS)
    np.testing.assert_allclose(ours.sum() / WEIGHTS[LABELS].sum(), of_pytorch, rtol=1e-5)
    np.testing.assert_allclose(ours.mean(), (WEIGHTS[LABELS] * own).mean(), rtol=1e-5)


def test_a_class_weighted_loss_passes_options_on_keeps_positions_and_can_be_pickled():
    loss = losses.class_weighted(losses.softmax_cross_entropy, WEIGHTS)
    sequences, labels = LOGITS.reshape(2, 3, 4), np.where(LABELS == 0, -1, LABELS).reshape(2, 3)
    plain = call(losses.softmax_cross_entropy, sequences, labels, label_smoothing=0.1)
    expected = np.where(labels < 0, 0, WEIGHTS[labels]) * plain
    for weighted in (loss, pickle.loads(pickle.dumps(loss))):
        ours = call(weighted, sequences, labels, label_smoothing=0.1)
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_class_of_weight_zero_may_cost_infinity():
    loss = losses.class_weighted(losses.softmax_cross_entropy, [1.0, 0.0])
    masked = np.array([[0.0, -np.inf], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(call(loss, masked, np.array([1, 0])), [0, np.log(2)], rtol=1e-6)


def test_class_weights_that_do_not_fit_are_refused():
    weighted = losses.class_weighted
    entropy = losses.softmax_cross_entropy
    refuse(weighted(entropy, [1.0, 2.0]), LOGITS, LABELS, match="got 2 for .* of 4 classes")
    one_logit = weighted(losses.binary_cross_entropy, WEIGHTS)
    refuse(one_logit, LOGITS[:, 0], BITS[:, 0], match="got 4 for .* of 2 classes")
    mean = weighted(lambda x, t: entropy(x, t).mean(), WEIGHTS)
    refuse(mean, LOGITS, LABELS, match="one value for each example")
    not_reduced = weighted(lambda x, t: (x - t) ** 2, WEIGHTS)
    refuse(not_reduced, LOGITS, SHARES, match="one value for each example")
    unlike = weighted(lambda x, t: x.sum(-1), WEIGHTS)
    refuse(unlike, LOGITS, SHARES[:, :2], match=r"must be integer labels \(6,\) or")
    for weights in (1.0, [1.0], np.ones((4, 1), np.float32)):
        with pytest.raises(ValueError, match="one number for each of two or more classes"):
            inspect.unwrap(weighted)(entropy, weights)
    with pytest.raises(TypeError, match="must be a function"):
        inspect.unwrap(weighted)("softmax_cross_entropy", WEIGHTS)


def test_balanced_class_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0, 2, 2, 1, 2, 0, 2, 2])
    row_weights = np.array([1.0, 0.5, 2.0, 3.0, 0.0, 1.0, 1.5, 0.0], np.float32)
    for weights in (None, row_weights):
        expected = compute_class_weight(
            "balanced", classes=np.arange(3), y=labels, sample_weight=weights
        )
        arrays = (labels,) if weights is None else (labels, weights)
        balanced = lambda labels, *w: losses.balanced_class_weights(labels, 4, *w)  # noqa: E731
        ours = call(balanced, *arrays)
        np.testing.assert_allclose(ours, [*expected, 0], rtol=1e-6)  # class 3 does not occur


def test_balanced_class_weights_count_present_rows_only():
    labels, weights = jnp.array([0, 0, 1, -1, 9, 1]), jnp.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    balanced = jax.jit(losses.balanced_class_weights, static_argnums=1)
    np.testing.assert_allclose(balanced(labels, 2, weights), [0.75, 1.5], rtol=1e-6)
    assert not balanced(labels, 2, 0 * weights).any()
    own = inspect.unwrap(losses.balanced_class_weights)
    with pytest.raises(ValueError, match="must have the shape of the labels"):
        own(labels, 2, weights[:3])
    with pytest.raises(TypeError, match="must be integers, got float32"):
        own(weights, 2)


@pytest.mark.parametrize(
    ("loss", "arrays"),
    [
        (losses.gan.non_saturating.generator, (LOGITS,)),
        (losses.gan.wasserstein.discriminator, (LOGITS, BITS)),
        (losses.softmax_cross_entropy, (LOGITS, LABELS)),
    ],
)
def test_losses_can_be_pickled(loss, arrays):
    copy = pickle.loads(pickle.dumps(loss))
    np.testing.assert_array_equal(call(copy, *arrays), call(loss, *arrays))
