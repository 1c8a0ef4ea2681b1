"""Intervals and ties of searches cover truths that are known, in simulations of random effects."""

import functools
import math

import numpy as np
import optax
import pytest
import scipy.stats

import jnn
from jnn import stats
from jnn.engine import programs_of
from jnn.search import Found, Trial
from jnn.search._estimate import difference, estimate, squared_error
from jnn.search._goal import Goal


def two_errors(share, repeats):
    """Return two standard errors of a share that is estimated from so many repeats."""
    return 2 * math.sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize(
    "of_rows, of_seeds, of_both",
    [(1.0, 0.0, 0.0), (0.3, 0.0, 0.95), (0.5, 0.2, 0.5)],
    ids=["seeds agree", "seeds differ by rows", "seeds differ"],
)
def test_the_interval_of_the_winner_covers_its_score_on_all_rows_and_seeds(
    of_rows, of_seeds, of_both
):
    """Scores of rows and seeds with known variances: the mean has 0 as its true value."""
    n, seeds, resamples, repeats = 40, 4, 200, 600
    random = np.random.default_rng(0)
    covers = 0
    variances = []
    for _ in range(repeats):
        values = of_rows * random.normal(size=(n, 1)) + of_seeds * random.normal(size=(1, seeds))
        values = values + of_both * random.normal(size=(n, seeds))
        draws = random.multinomial(n, np.full(n, 1 / n), resamples)
        finals = values.mean(axis=0)
        variance, freedom = squared_error(draws @ values / n, finals, n)
        half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(variance)
        covers += abs(finals.mean()) <= half
        variances.append(variance)
    truth = of_rows**2 / n + of_seeds**2 / seeds + of_both**2 / (n * seeds)
    assert np.mean(variances) == pytest.approx(truth, rel=0.08)
    assert covers / repeats == pytest.approx(0.95, abs=two_errors(0.95, repeats) + 0.01)


def search_values(random, settings, *, folds, noise):
    """Return scores [settings, 1, folds] whose folds share as much as Nadeau and Bengio assume."""
    shared = math.sqrt(1 / folds) * random.normal(size=(settings, 1, 1))
    own = math.sqrt(1 - 1 / folds) * random.normal(size=(settings, 1, folds))
    return noise * (shared + own)


def test_the_optimism_of_a_search_of_one_setting_is_zero():
    random = np.random.default_rng(0)
    repeats, folds = 1500, 5
    for noise in (0.2, 1.0, 3.0):  # of a fold's score, beside an error of 0.5 of the new score
        covers = 0
        for _ in range(repeats):
            values = search_values(random, 1, folds=folds, noise=noise)[0]
            searched = stats.seed_fold_interval(values, 80, 20)
            again = stats.t_interval(random.normal(size=20) * 0.5 * math.sqrt(20))
            gap = difference(searched, again)
            covers += gap.low <= 0 <= gap.high
        assert 0.95 - two_errors(0.95, repeats) <= covers / repeats <= 0.985


def test_the_optimism_of_the_best_of_many_equal_settings_is_seen():
    """The best of k equal settings seems better by the expected maximum of k normal numbers."""
    random = np.random.default_rng(0)
    repeats, settings, noise = 400, 30, 1.0
    gaps = []
    for _ in range(repeats):
        values = search_values(random, settings, folds=10, noise=noise)
        best = values[np.argmax(values.mean(axis=(1, 2)))]
        again = stats.t_interval(random.normal(size=30))
        gaps.append(difference(stats.seed_fold_interval(best, 90, 10), again))
    error = noise * math.sqrt(1 / 10 + 1 / 10 * (1 - 1 / 10))  # of the mean over the folds
    expected = error * np.max(random.normal(size=(20000, settings)), axis=1).mean()
    assert np.mean([gap.mean for gap in gaps]) == pytest.approx(expected, rel=0.05)
    assert np.mean([gap.low <= expected <= gap.high for gap in gaps]) > 0.95
    assert np.mean([gap.low > 0 for gap in gaps]) > 0.3


def found_of(values):
    goal = Goal("accuracy", 1, 80, 20)
    trials = tuple(
        Trial(number, {"number": number}, goal.score(each, 1), 1, 0.0)
        for number, each in enumerate(values)
    )
    best = max(trials, key=lambda trial: trial.score.mean)
    return Found(goal, trials, (), best, None, None, 0.95)


def test_equal_settings_are_ties_and_worse_ones_are_not():
    random = np.random.default_rng(0)
    repeats, equal = 300, 12
    wrong = 0
    for _ in range(repeats):
        values = search_values(random, equal, folds=5, noise=1.0)
        found = found_of(np.concatenate([values, values[:3] * 0.1 - 40]))
        wrong += found.ties < equal - 1
        assert found.ties <= equal - 1  # the three that are far worse are never ties
    assert wrong / repeats <= 0.05 + two_errors(0.05, repeats)


def test_the_error_of_an_accuracy_is_that_of_the_table_of_hits_and_nothing_compiles_twice():
    """The error of a mean of hits [rows, seeds] needs no bootstrap."""
    study = jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, (2,), 3),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(0.01),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=4,
    )
    (fold,) = jnn.holdout(0.4).split.rows(jnn.data.load("iris"))
    rows, test = (jnn.data.load("iris").take(part) for part in (fold.train, fold.test))
    result = jnn.run(study, rows, jnn.seeds(6), test=test)
    measured = estimate(result, study, test, "accuracy", confidence=0.95, seed=0)
    hits = (result.outputs(test.x).argmax(axis=-1) == test.y).T
    covariances = np.cov(hits, rowvar=False)
    n, seeds = hits.shape
    of_rows = (covariances.sum() - np.trace(covariances)) / (seeds * (seeds - 1) * n)
    of_seeds = hits.mean(axis=0).var(ddof=1) / seeds
    assert of_rows > 0 and of_seeds > 0
    assert measured.interval.mean == pytest.approx(hits.mean(), abs=1e-6)
    assert measured.error == pytest.approx(math.sqrt(of_rows + of_seeds), rel=0.1)
    programs = len(programs_of(study))
    again = estimate(result, study, test, "accuracy", confidence=0.95, seed=0)
    assert again == measured and len(programs_of(study)) == programs
