"""Generative adversarial networks as populations: the laws of every study, samples, figures."""

import dataclasses
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
from tests import studies
from tests.games import MEANS, RING, study


class LinenGenerator(nn.Module):
    """A generator with batch norm, written for Flax Linen."""

    @nn.compact
    def __call__(self, z, train: bool):
        z = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(z))
        return nn.Dense(2)(nn.relu(z))


class NnxDiscriminator(nnx.Module):
    """A discriminator of two packed points with batch norm and dropout, written for Flax NNX."""

    def __init__(self, rngs):
        self.first = nnx.Linear(4, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


GAMES = {
    "packed, averaged and normalized": {
        "generator": LinenGenerator(),
        "discriminator": NnxDiscriminator,
        "discriminator_steps": 2,
        "packing": 2,
        "averaging": jnn.averaging.ema(0.9),
        "loss": gan.relativistic_average,
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


@pytest.mark.parametrize(
    "name",
    [
        "packed, averaged and normalized",
        pytest.param("penalized and unrolled", marks=pytest.mark.slow),
    ],
)
def test_a_pair_equals_its_solo_run(name):
    alone = jnn.run(made(name), RING, MEMBERS[5], plan=jnn.Plan(1, 1, 1))
    assert_same_member(alone, together(name), 5)
    losses = together(name).scores["train_generator_loss"].values
    assert np.isfinite(losses).all() and len(np.unique(losses)) == losses.size


def test_a_resumed_population_has_the_same_bits(tmp_path):
    name = "packed, averaged and normalized"
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
    first = together("packed, averaged and normalized")
    settings = GAMES["packed, averaged and normalized"] | {
        "optimizers": (optax.sgd(0.0), optax.sgd(0.0))
    }
    still = study(**settings, epochs=1)
    members = jnn.seeds(2) * jnn.folds(2)
    learned = first.select(rate=0.1).trained.params
    begun = jnn.run(still, RING, members, start_from=first.select(rate=0.1))
    jax.tree.map(np.testing.assert_array_equal, begun.trained.params, learned)
    averaged = begun.trained.model_state["averaged"][0]
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    jax.tree.map(close, averaged, learned["generator"])


def test_a_pair_that_diverges_leaves_the_others_alone_and_is_told():
    name = "packed, averaged and normalized"
    wild = jnn.seeds(2) * jnn.folds(2) * jnn.grid(rate=[0.01, 1e38])
    result = jnn.run(made(name), RING, wild, plan=jnn.Plan(1, 2, 4))
    losses = result.final()["train_generator_loss"].values
    assert np.isfinite(losses[..., 0]).all() and not np.isfinite(losses[..., 1]).any()
    assert np.isnan(result.final()["modes"].values[..., 1]).all()
    legend = plots.histogram(result, "modes").axes[0].get_legend().get_texts()
    assert legend[1].get_text().endswith("0 members, 4 not finite left out")
    for index in range(0, len(MEMBERS), 2):
        assert_same_member(result.member(index), together(name), index, exact=True)


def test_phases_share_one_program_that_a_second_run_does_not_compile_again():
    name = "packed, averaged and normalized"
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


def test_samples_are_in_the_units_of_the_data():
    scaled = study(inputs=jnn.preprocess.standardize, optimizers=(optax.sgd(0.0),) * 2, metrics={})
    far = jnn.Dataset.from_arrays(100 + 10 * RING.x)
    result = jnn.run(scaled, far, jnn.seeds(1))
    assert np.abs(gan.sample(result, 50) - 100).max() < 60
    given = np.zeros((3, 3), np.float32)
    np.testing.assert_array_equal(*(gan.sample(result, latents=given)[:, i] for i in (0, 2)))
    with pytest.raises(ValueError, match="Exactly one of count and latents"):
        gan.sample(result)


def test_figures_of_seeds_and_of_both_players():
    result = together("packed, averaged and normalized")
    figure = plots.histogram(result, "modes")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == len(MEMBERS)
    bands = [axes.collections for axes in plots.player_losses(result).axes]
    assert [len(each) for each in bands] == [2, 2]  # a band for each rate
    labels = [
        [line.get_label() for line in axes.lines] for axes in plots.player_losses(result).axes
    ]
    assert labels[0] == labels[1] and "0.01" in labels[0][0]  # so that colors mean the same in both
    lost = result.take([0, 2])
    lost = dataclasses.replace(lost, scores=lost.scores * np.nan)
    assert not plots.player_losses(lost).axes[0].lines  # and no warning that a legend is empty
    with pytest.raises(ValueError, match="modes must be finite for some member"):
        plots.histogram(lost, "modes")
    with pytest.raises(ValueError, match="must have the scores"):
        plots.player_losses(studies.trained_at_once())


def test_a_walk_between_latents_ends_at_both():
    result = together("packed, averaged and normalized").take([0, 3])
    walk = gan.interpolation(result, 2, 3, seed=4)
    ends = result.study.trainer.latents(jax.random.key(4), 4)
    middle = np.sqrt(0.5) * (ends[:2] + ends[2:])
    assert walk.shape == (2, 2, 3, 2)
    for step, latents in enumerate((ends[:2], middle, ends[2:])):
        expected = gan.sample(result, latents=np.asarray(latents))
        np.testing.assert_allclose(walk[:, :, step], expected, rtol=1e-4, atol=1e-6)


def test_joined_pairs_walk_from_latents_of_their_own():
    wide = study(latent=5, generator=functools.partial(jnn.models.MLP, 5, (4,), 2), epochs=1)
    results = [jnn.run(one, RING) for one in (study(epochs=1), wide)]
    walk = gan.interpolation(jnn.Result.concat(results, width=[3, 5]), 2, 3)
    for one, result in zip(walk, results, strict=True):
        np.testing.assert_array_equal(one, gan.interpolation(result, 2, 3)[0])


@pytest.mark.slow
def test_a_search_ranks_pairs_by_a_score_of_their_examples():
    space = jnn.search.space(rate=jnn.log_uniform(1e-3, 1e-1))
    found = jnn.search.run(
        lambda choice: study(epochs=1),
        RING,
        space,
        by=jnn.search.random(),
        trials=2,
        folds=jnn.holdout(0.25),
        test_seeds=2,
        metric="modes",
    )
    assert found.best.setting.keys() == {"rate"} and found.best.interval.n == 2
    assert "over seeds alone" in found.best.interval.method


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
