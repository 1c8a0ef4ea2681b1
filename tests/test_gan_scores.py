"""Scores of generated examples by features, against formulas written out and other libraries."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

import jnn
from jnn import gan

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(6, 6))
REAL = RANDOM.normal(size=(300, 6)) @ MIXING
FAKE = (1.2 * RANDOM.normal(size=(240, 6)) + 0.3) @ MIXING


def test_frechet_distance_is_the_formula_with_scipys_square_root():
    a, b = np.cov(REAL, rowvar=False), np.cov(FAKE, rowvar=False)
    gap = REAL.mean(0) - FAKE.mean(0)
    expected = gap @ gap + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert gan.frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-9)
    assert gan.frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-9)
    flat = np.c_[REAL, np.zeros(300)]  # a feature that does not vary
    more = np.c_[FAKE, np.zeros(240)]
    assert gan.frechet_distance(flat, more) == pytest.approx(expected, rel=1e-6)


def test_moments_of_batches_are_those_of_all_rows():
    batches = (1e4 + REAL[first : first + 70] for first in range(0, 300, 70))
    streamed = gan.moments(batches)
    np.testing.assert_allclose(streamed.mean, 1e4 + REAL.mean(0), rtol=1e-12)
    np.testing.assert_allclose(streamed.covariance, np.cov(REAL, rowvar=False), rtol=1e-6)
    other = gan.frechet_distance(streamed, 1e4 + FAKE)
    assert other == pytest.approx(gan.frechet_distance(REAL, FAKE), rel=1e-6)


def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def test_kernel_distance_is_the_unbiased_estimate_over_all_pairs(monkeypatch):
    x, y = REAL[:9], FAKE[:7]
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))  # noqa: E731
    expected = off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()
    assert gan.kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr("jnn.gan._distances._BLOCK", 2)
    assert gan.kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)
    halves = [gan.kernel_distance(REAL, FAKE, subsets=20, subset_size=100, seed=s) for s in (0, 1)]
    assert halves[0] != halves[1]
    assert np.mean(halves) == pytest.approx(gan.kernel_distance(REAL, FAKE), rel=0.5)


@pytest.mark.parametrize("block", [1024, 7])
def test_precision_recall_density_and_coverage_are_counts_of_balls(block, monkeypatch):
    monkeypatch.setattr("jnn.gan._distances._BLOCK", block)
    apart = lambda a, b: np.linalg.norm(a[:, None] - b, axis=-1)  # noqa: E731

    def inside(centers, rows, k):  # [centers, rows]
        radius = np.sort(apart(centers, centers), axis=1)[:, k]
        return apart(centers, rows) <= radius[:, None]

    found = gan.precision_recall(REAL, FAKE)
    assert found.precision == pytest.approx(inside(REAL, FAKE, 3).any(0).mean())
    assert found.recall == pytest.approx(inside(FAKE, REAL, 3).any(0).mean())
    dense = gan.density_coverage(REAL, FAKE, neighbors=4)
    assert dense.density == pytest.approx(inside(REAL, FAKE, 4).sum(0).mean() / 4)
    assert dense.coverage == pytest.approx(inside(REAL, FAKE, 4).any(1).mean())
    assert 0 < found.recall < 1 and 0 < dense.coverage < 1
    assert gan.precision_recall(REAL, REAL + 1e3) == (0, 0)


@pytest.mark.peers
def test_distances_are_those_of_torch_fidelity():
    try:  # it imports torchvision, of which some versions do not fit PyTorch
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
        from torch_fidelity.metric_kid import kid_features_to_metric
        from torch_fidelity.metric_prc import prc_features_to_metric
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torch-fidelity cannot be imported: {error}")
    import torch

    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    statistics = [fid_features_to_statistics(features) for features in (fake, real)]
    (fid,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    assert gan.frechet_distance(REAL, FAKE) == pytest.approx(fid, rel=1e-6)
    options = {
        "kid_kernel": "poly",
        "kid_kernel_poly_degree": 3,
        "kid_kernel_poly_gamma": None,
        "kid_kernel_poly_coef0": 1,
        "kid_subsets": 10,
        "kid_subset_size": 100,
        "rng_seed": 2020,
        "verbose": False,
    }
    kid, _ = kid_features_to_metric(fake, real, **options).values()
    ours = gan.kernel_distance(REAL, FAKE, subsets=10, subset_size=100)
    assert ours == pytest.approx(kid, rel=1e-6)
    options = {"prc_neighborhood": 3, "prc_batch_size": 64, "save_cpu_ram": False, "verbose": False}
    precision, recall, _ = prc_features_to_metric(fake, real, **options).values()
    assert gan.precision_recall(REAL, FAKE) == pytest.approx((precision, recall), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: gan.frechet_distance(REAL, FAKE[:, :3]), "as many dimensions, got 6 and 3"),
        (lambda: gan.kernel_distance(REAL[0], FAKE), r"real must be numbers \[rows, dimensions\]"),
        (lambda: gan.moments(REAL[:1]), "at least two rows, got 1"),
        (lambda: gan.precision_recall(REAL[:3], FAKE), "neighbors must be from 1 to 2, got 3"),
        (lambda: gan.frechet_distance(REAL, np.full((9, 6), np.nan)), "^generated must be finite"),
        (lambda: gan.frechet_distance(REAL * 1j, FAKE), "^real must be numbers .*, got complex"),
        (lambda: gan.moments([REAL, REAL[:, :1]]), "batches of as many dimensions each, got 6 and"),
        (lambda: gan.density_coverage(REAL[:1], FAKE), "at least two rows, got 1 and 240"),
        (lambda: gan.mode_counts(REAL, gan.ring(), 0.1), r"Examples must be \[rows, 2\]"),
        (lambda: gan.modes(np.full((3, 2), np.nan), 0.1), "means must be finite numbers"),
        (lambda: gan.by_channels(3), r"classify must be a function, classify\(x\)"),
        (lambda: gan.pack(jnp.ones((5, 2)), 2), "packing must divide the number of rows, 5"),
        (lambda: gan.kernel_distance(REAL, FAKE, subsets=1), "subset_size must be from 2 to 240"),
    ],
)
def test_features_that_do_not_fit_are_told(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()


def test_the_features_of_a_trained_classifier_score_a_population():
    labels = np.arange(300) % 3
    data = jnn.Dataset.from_arrays(REAL.astype(np.float32), labels)
    classifier = jnn.Study(
        functools.partial(jnn.models.MLP, 6, (4,), 3),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-2),
        inputs=jnn.preprocess.standardize,
        epochs=1,
    )
    result = jnn.run(classifier, data, jnn.seeds(2))
    logits = gan.features_of(result, member=1)
    np.testing.assert_allclose(logits(data.x), result.outputs(data.x)[1], rtol=1e-4, atol=1e-5)
    hidden = gan.features_of(result, functools.partial(jnn.models.MLP, 6, (4,), None), member=1)
    output = result.member(1).trained.params["output"]
    np.testing.assert_allclose(
        hidden(data.x) @ output["kernel"][0] + output["bias"][0], logits(data.x), 1e-4, 1e-5
    )
    with pytest.raises(ValueError, match="must be a part of the trained network"):
        gan.features_of(result, functools.partial(jnn.models.MLP, 6, (4, 4), None))
    with pytest.raises(ValueError, match=r"an array \(4,\) where model has one \(5,\)"):
        gan.features_of(result, functools.partial(jnn.models.MLP, 6, (5,), None))
    study = gan.Study(
        functools.partial(jnn.models.MLP, 2, (4,), 6),
        functools.partial(jnn.models.MLP, 6, (4,), 1),
        latent=2,
        optimizers=(optax.sgd(0.01),) * 2,
        epochs=1,
        evaluation_batch=64,
        metrics={
            "frechet": gan.frechet(hidden),
            "modes": gan.classified_modes(lambda x: logits(x).argmax(axis=-1), 3),
        },
    )
    trainer, arrays = study.trainer(study), jnn.Data.from_arrays(data.x)
    state = trainer.start(jnn.Member(jax.random.key(0), 0, {}), arrays)
    scores = jax.jit(trainer.evaluate)(state, arrays, arrays.train)  # in batches of 64 rows
    assert np.isfinite(scores["frechet"]) and scores["frechet"] > 0 and scores["modes"] <= 3
    x = jnp.asarray(FAKE[:200], jnp.float32)
    expected = gan.frechet_distance(np.asarray(hidden(data.x[:200])), np.asarray(hidden(x)))
    ours = gan.frechet(hidden)(x, jnp.asarray(data.x[:200]))
    np.testing.assert_allclose(ours, expected, rtol=1e-3)
    light = jnp.full(200, 0.01)  # only the ratios of weights matter
    ours = gan.frechet(hidden)(x, jnp.asarray(data.x[:200]), light)
    np.testing.assert_allclose(ours, expected, rtol=1e-3)


def test_stacked_images_have_a_mode_for_each_number_that_they_show():
    shown = RANDOM.integers(0, 10, size=(50, 3))
    images = jnp.asarray(np.broadcast_to(shown[:, None, None], (50, 4, 4, 3)), jnp.float32)
    number = gan.by_channels(lambda x: -((x[:, 0, 0] - jnp.arange(10.0)) ** 2))
    expected = shown @ [100, 10, 1]
    np.testing.assert_array_equal(number(images), expected)
    assert gan.classified_modes(number, 1000)(images, None) == len(set(expected))
    outside = gan.classified_modes(lambda x: x[:, 0].astype(int), 2)
    assert outside(jnp.array([[5.0], [-1.0], [0.0]]), None) == 1
    counts = np.unique(expected, return_counts=True)[1] / 50
    kl = (counts * np.log(1000 * counts)).sum()
    np.testing.assert_allclose(gan.classified_kl(number, 1000)(images, None), kl, rtol=1e-5)
