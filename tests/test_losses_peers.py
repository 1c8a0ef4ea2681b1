"""Losses and their gradients against PyTorch's, on the same numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import losses

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")
F = torch.nn.functional

rng = np.random.default_rng(0)
BATCH, CLASSES = 8, 5
LOGITS = 3 * rng.normal(size=(BATCH, CLASSES)).astype(np.float32)
NUMBERS = rng.normal(size=(BATCH, CLASSES)).astype(np.float32)
LABELS = rng.integers(0, CLASSES, BATCH)
BITS = rng.integers(0, 2, (BATCH, CLASSES)).astype(np.float32)
SHARES = (rng.multinomial(16, np.ones(CLASSES) / CLASSES, BATCH) / 16).astype(
    np.float32
)  # sum to 1 exactly
COUNTS = rng.poisson(3.0, (BATCH, CLASSES)).astype(np.float32)
WEIGHTS = np.arange(1.0, CLASSES + 1, dtype=np.float32)


def cross_entropy(weight=None, **options):
    def loss(x, t):
        of_class = None if weight is None else torch.tensor(weight, dtype=x.dtype)
        return F.cross_entropy(x, t, of_class, reduction="none", **options)

    return loss


def mean_of(function, **options):
    return lambda x, t: function(x, t, reduction="none", **options).mean(-1)


def gaussian(x, t):
    mean, log_variance = x[:, :2], x[:, 2:4]
    return F.gaussian_nll_loss(mean, t, log_variance.exp(), reduction="none").mean(-1)


def focal(x, t):
    p = torch.where(t == 1, x.sigmoid(), 1 - x.sigmoid())
    weight = torch.where(t == 1, 0.25, 0.75) * (1 - p) ** 2
    return (weight * F.binary_cross_entropy_with_logits(x, t, reduction="none")).mean(-1)


smooth = {"label_smoothing": 0.1, "class_weights": WEIGHTS}
smooth_torch = {"label_smoothing": 0.1, "weight": WEIGHTS}
# name, our loss, PyTorch's, predictions, targets
TABLE = [
    ("squared_error", losses.squared_error, mean_of(F.mse_loss), LOGITS, NUMBERS),
    ("absolute_error", losses.absolute_error, mean_of(F.l1_loss), LOGITS, NUMBERS),
    ("huber", partial(losses.huber, delta=0.7), mean_of(F.huber_loss, delta=0.7), LOGITS, NUMBERS),
    ("gaussian_nll", losses.gaussian_nll, gaussian, LOGITS[:, :4], NUMBERS[:, :2]),
    ("poisson_nll", losses.poisson_nll, mean_of(F.poisson_nll_loss), LOGITS, COUNTS),
    (
        "binary_cross_entropy",
        losses.binary_cross_entropy,
        mean_of(F.binary_cross_entropy_with_logits),
        LOGITS,
        SHARES,
    ),
    (
        "binary_cross_entropy, weighted",
        partial(losses.binary_cross_entropy, positive_weight=3.0),
        mean_of(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor(3.0)),
        LOGITS,
        SHARES,
    ),
    ("softmax_cross_entropy", losses.softmax_cross_entropy, cross_entropy(), LOGITS, LABELS),
    (
        "softmax_cross_entropy, shares",
        losses.softmax_cross_entropy,
        cross_entropy(),
        LOGITS,
        SHARES,
    ),
    (
        "smooth",
        partial(losses.softmax_cross_entropy, **smooth),
        cross_entropy(**smooth_torch),
        LOGITS,
        LABELS,
    ),
    (
        "smooth shares",
        partial(losses.softmax_cross_entropy, **smooth),
        cross_entropy(**smooth_torch),
        LOGITS,
        SHARES,
    ),
    ("focal", partial(losses.focal, alpha=0.25), focal, LOGITS, BITS),
    (
        "hinge",
        losses.hinge,
        lambda x, t: F.hinge_embedding_loss(
            (2 * t - 1) * x, -torch.ones_like(x), reduction="none"
        ).mean(-1),
        LOGITS,
        BITS,
    ),
    (
        "hinge of classes",
        losses.hinge,
        # PyTorch sums over the wrong classes, Crammer and Singer take the worst: equal for two.
        lambda x, t: 2 * F.multi_margin_loss(x, t, reduction="none"),
        LOGITS[:, :2],
        LABELS % 2,
    ),
    (
        "kl_divergence",
        losses.kl_divergence,
        lambda x, t: F.kl_div(x.log_softmax(-1), t, reduction="none").sum(-1),
        LOGITS,
        SHARES,
    ),
]


def compare(ours, theirs, arrays, differentiable, width=32):
    """Equal values, and equal gradients of their sum by the first `differentiable` arrays."""
    arrays = [
        array.astype(f"float{width}") if array.dtype == np.float32 else array for array in arrays
    ]
    tensors = [
        torch.tensor(array, requires_grad=i < differentiable) for i, array in enumerate(arrays)
    ]
    expected = theirs(*tensors)
    expected.sum().backward()

    def both(*arrays):
        gradients = jax.grad(lambda *a: ours(*a).sum(), argnums=tuple(range(differentiable)))(
            *arrays
        )
        return ours(*arrays), gradients

    with jax.enable_x64(width == 64):
        values, gradients = jax.jit(both)(*map(jnp.asarray, arrays))
    assert values.dtype == f"float{width}"
    near = {"rtol": 1e-4, "atol": 1e-5} if width == 32 else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(values, expected.detach().numpy(), **near)
    for ours_by, tensor in zip(gradients, tensors, strict=False):
        np.testing.assert_allclose(ours_by, tensor.grad.numpy(), **near)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(("ours", "theirs", "predictions", "targets"), [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])  # fmt: skip
def test_value_and_gradient_are_pytorchs(ours, theirs, predictions, targets, width):
    compare(ours, theirs, (predictions, targets), 1, width)


def test_class_weighted_entropy_is_pytorchs_before_its_mean():
    weighted = losses.class_weighted(losses.softmax_cross_entropy, WEIGHTS)
    compare(weighted, cross_entropy(WEIGHTS), (LOGITS, LABELS), 1)


def test_sequences_of_logits_are_pytorchs():
    logits = rng.normal(size=(3, 4, CLASSES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, (3, 4))
    labels[0, :2] = -100  # PyTorch's mark of a position to ignore
    compare(
        losses.softmax_cross_entropy, lambda x, t: cross_entropy()(x.mT, t), (logits, labels), 1
    )


def test_triplet_is_pytorchs():
    arrays = rng.normal(size=(3, BATCH, 6)).astype(np.float32)
    compare(
        partial(losses.triplet, margin=0.5),
        lambda *a: F.triplet_margin_loss(*a, margin=0.5, eps=0.0, reduction="none"),
        arrays,
        3,
    )


def test_ctc_is_pytorchs_with_lengths():
    logits = rng.normal(size=(4, 9, CLASSES)).astype(np.float32)
    labels = rng.integers(1, CLASSES, (4, 3))
    lengths, target_lengths = np.array([9, 7, 8, 9]), np.array([3, 2, 1, 3])

    def theirs(x, t):
        log_p = x.log_softmax(-1).transpose(0, 1)
        return F.ctc_loss(
            log_p, t, torch.tensor(lengths), torch.tensor(target_lengths), reduction="none"
        )

    def ours(x, t):
        return losses.ctc(
            x, t, lengths=jnp.asarray(lengths), target_lengths=jnp.asarray(target_lengths)
        )

    compare(ours, theirs, (logits, labels), 1)


def test_adversarial_losses_are_those_of_pytorch_scripts():
    """Values and gradients of the usual expressions; fake examples have the target 0."""
    real, fake = (torch.tensor(row[:, :1], requires_grad=True) for row in (LOGITS, NUMBERS))
    ones, zeros, bce = (
        torch.ones(BATCH, 1),
        torch.zeros(BATCH, 1),
        F.binary_cross_entropy_with_logits,
    )
    expected = {
        "non_saturating": (bce(real, ones) + bce(fake, zeros), bce(fake, ones)),
        "minimax": (bce(real, ones) + bce(fake, zeros), -bce(fake, zeros)),
        "least_squares": (F.mse_loss(real, ones) + F.mse_loss(fake, zeros), F.mse_loss(fake, ones)),
        "hinge": (F.relu(1 - real).mean() + F.relu(1 + fake).mean(), -fake.mean()),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
        "relativistic": (bce(real - fake, ones), bce(fake - real, ones)),
        "relativistic_average": (
            bce(real - fake.mean(), ones) + bce(fake - real.mean(), zeros),
            bce(fake - real.mean(), ones) + bce(real - fake.mean(), zeros),
        ),
    }
    for name, values in expected.items():
        game = getattr(losses.gan, name)

        def of_discriminator(real, fake, game=game):
            if isinstance(game, losses.gan.Relativistic):
                return game.discriminator(real, fake).mean()
            of_real = game.discriminator(real, jnp.ones((BATCH, 1)))
            return of_real.mean() + game.discriminator(fake, jnp.zeros((BATCH, 1))).mean()

        def of_generator(real, fake, game=game):
            if isinstance(game, losses.gan.Relativistic):
                return game.generator(real, fake).mean()
            return game.generator(fake).mean() + 0 * real.sum()

        for ours, theirs in zip((of_discriminator, of_generator), values, strict=True):
            numbers = real.detach().numpy(), fake.detach().numpy()
            value, slopes = jax.value_and_grad(ours, (0, 1))(*map(jnp.asarray, numbers))
            grads = torch.autograd.grad(theirs, (real, fake), retain_graph=True, allow_unused=True)
            np.testing.assert_allclose(value, theirs.item(), rtol=1e-5, err_msg=name)
            for slope, grad in zip(slopes, grads, strict=True):
                grad = np.zeros((BATCH, 1)) if grad is None else grad.numpy()
                np.testing.assert_allclose(slope, grad, rtol=1e-4, atol=1e-7, err_msg=name)


def test_penalties_of_slopes_are_those_of_pytorch_scripts():
    weight = np.linspace(-1, 1, CLASSES).astype(np.float32)
    x = torch.tensor(NUMBERS, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.tanh(x @ torch.tensor(weight)).sum(), x)
    critic = lambda x: jnp.tanh(x @ weight)  # noqa: E731
    r1 = slope.pow(2).sum(1)
    both = jnp.asarray(NUMBERS)
    np.testing.assert_allclose(losses.gan.squared_slope(critic, both), r1, rtol=1e-4)
    for center in (1.0, 0.0):
        ours = losses.gan.gradient_penalty(critic, both, both, key=jax.random.key(0), center=center)
        np.testing.assert_allclose(ours, (slope.norm(dim=1) - center) ** 2, rtol=1e-4, atol=1e-7)
