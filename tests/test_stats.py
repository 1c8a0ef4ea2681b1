"""Intervals against closed forms and SciPy, and their coverage in simulations.

Each simulation states how often it may fail by chance.
"""

import math

import numpy as np
import pytest
import scipy.stats

from jnn import stats


def covers(interval, truth):
    return interval.low <= truth <= interval.high


def noise_of(share, trials):
    """Four standard errors of a simulated share: a true claim fails once in 16,000 runs."""
    return 4 * math.sqrt(share * (1 - share) / trials)


def ridge_scores(n, repeats, folds, trials, inputs=4):
    """Test errors of ridge regression, [trials, repeats, folds], and the true error of the fits."""
    rng = np.random.default_rng(0)
    beta = np.ones(inputs) / math.sqrt(inputs)
    x = rng.normal(size=(trials, n, inputs))
    y = x @ beta + rng.normal(size=(trials, n))
    scores, true = np.empty((2, trials, repeats, folds))
    for repeat in range(repeats):
        order = rng.permuted(np.tile(np.arange(n), (trials, 1)), axis=1)
        x, y = np.take_along_axis(x, order[..., None], 1), np.take_along_axis(y, order, 1)
        for fold, test in enumerate(np.split(np.arange(n), folds)):
            train_x, train_y = np.delete(x, test, axis=1), np.delete(y, test, axis=1)
            gram = train_x.transpose(0, 2, 1) @ train_x + np.eye(inputs)
            fit = np.linalg.solve(gram, train_x.transpose(0, 2, 1) @ train_y[..., None])
            scores[:, repeat, fold] = ((y[:, test] - (x[:, test] @ fit)[..., 0]) ** 2).mean(axis=1)
            true[:, repeat, fold] = 1 + ((fit[..., 0] - beta) ** 2).sum(axis=1)
    return scores, true.mean()


def test_t_interval_is_scipys_and_covers_as_it_says():
    values = np.random.default_rng(0).normal(size=(3000, 5))
    intervals = [stats.t_interval(row) for row in values]
    expected = scipy.stats.ttest_1samp(values[0], 0).confidence_interval()
    np.testing.assert_allclose((intervals[0].low, intervals[0].high), (expected.low, expected.high))
    assert abs(np.mean([covers(i, 0) for i in intervals]) - 0.95) < noise_of(0.95, 3000)
    assert intervals[0].n == 5 and stats.t_interval(values[0], 0.5).confidence == 0.5


def test_corrected_interval_covers_cross_validation_where_the_plain_one_does_not():
    scores, truth = ridge_scores(n=40, repeats=1, folds=5, trials=4000)
    corrected = np.mean([covers(stats.corrected_interval(row, 32, 8), truth) for row in scores])
    plain = np.mean([covers(stats.t_interval(row), truth) for row in scores])
    assert 0.95 - noise_of(0.95, 4000) < corrected < 0.985
    assert plain < 0.95 - noise_of(0.95, 4000)


def test_corrected_interval_stays_honest_for_repeated_folds_where_the_plain_one_collapses():
    scores, truth = ridge_scores(n=40, repeats=10, folds=5, trials=1000)
    corrected = np.mean([covers(stats.corrected_interval(row, 32, 8), truth) for row in scores])
    plain = np.mean([covers(stats.t_interval(row), truth) for row in scores])
    assert corrected > 0.91 - noise_of(0.91, 1000) and plain < 0.5


def test_corrected_interval_is_the_formula():
    scores = np.array([0.90, 0.92, 0.95, 0.91, 0.93])
    interval = stats.corrected_interval(scores, train_rows=80, test_rows=20)
    half = scipy.stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 20 / 80) * scores.var(ddof=1))
    np.testing.assert_allclose(
        interval[:3], (scores.mean(), scores.mean() - half, scores.mean() + half)
    )
    assert "Nadeau-Bengio" in interval.method


@pytest.mark.parametrize("shape", [(3, 5), (10, 5), (10, 2)])
@pytest.mark.parametrize(
    "deviations", [(1.0, 0.0, 0.3), (1.0, 1.0, 1.0), (0.3, 1.0, 0.3), (0.0, 0.0, 1.0)]
)
def test_seed_fold_interval_covers_random_effects(shape, deviations):
    rng, trials = np.random.default_rng(0), 1500
    seed, fold, rest = deviations
    intervals = []
    for _ in range(trials):
        by_seed, by_fold = rng.normal(size=(shape[0], 1)), rng.normal(size=(1, shape[1]))
        scores = seed * by_seed + fold * by_fold + rest * rng.normal(size=shape)
        intervals.append(stats.seed_fold_interval(scores, shape[1] - 1, 1))
    assert np.mean([covers(i, 0) for i in intervals]) > 0.93 - noise_of(0.93, trials)
    assert max(i.high - i.low for i in intervals) < 200  # of scores that differ by 1


def test_seed_fold_interval_of_a_small_error_is_no_wider_than_that_of_two_values():
    scores = np.array([[0.910, 0.890], [0.902, 0.918], [0.921, 0.919]])
    mean, low, high, *_ = stats.seed_fold_interval(scores, 1, 1)
    error = math.sqrt(1.5 * scores.mean(axis=0).var(ddof=1) + stats.variance_parts(scores).seed / 3)
    np.testing.assert_allclose((low, high), mean + scipy.stats.t.ppf([0.025, 0.975], 1) * error)


def test_variance_parts_are_unbiased_and_add_up_in_a_clean_table():
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(1000):
        seed, fold = 2 * rng.normal(size=(8, 1)), 3 * rng.normal(size=(1, 6))
        parts.append(stats.variance_parts(seed + fold + rng.normal(size=(8, 6))))
    # The mean of 1000 estimates with relative errors of sqrt(2 / (levels - 1)) or less.
    np.testing.assert_allclose(np.mean(parts, axis=0), (4, 9, 1), rtol=4 * math.sqrt(2 / 5 / 1000))


def test_one_seed_or_one_fold_falls_back_and_one_value_has_no_interval():
    row = np.array([[0.9, 0.8, 0.95]])
    one_seed, one_fold = (stats.seed_fold_interval(table, 2, 1) for table in (row, row.T))
    assert one_seed == stats.corrected_interval(row[0], 2, 1) and one_fold == stats.t_interval(
        row[0]
    )
    for alone in (
        stats.t_interval([0.9]),
        stats.seed_fold_interval([[0.9]], 2, 1),
        stats.bootstrap_interval([0.9]),
    ):
        assert (
            math.isnan(alone.low)
            and alone.method == "none (n=1)"
            and str(alone) == "0.9 (no interval, n=1)"
        )
    assert math.isnan(stats.variance_parts(row).seed) and stats.variance_parts(row).fold == row.var(
        ddof=1
    )
    assert stats.variance_parts(row.T).seed == row.var(ddof=1)


def test_bootstrap_interval_covers_repeats_by_its_seed_and_knows_constants():
    rng = np.random.default_rng(0)
    hits = [
        covers(stats.bootstrap_interval(rng.exponential(size=40), resamples=500), 1)
        for _ in range(300)
    ]
    assert 0.90 - noise_of(0.9, 300) < np.mean(hits) < 0.99
    values = rng.normal(size=12)
    assert stats.bootstrap_interval(values, seed=1) == stats.bootstrap_interval(values, seed=1)
    assert stats.bootstrap_interval([2.0, 2.0, 2.0])[:3] == (2, 2, 2)


def test_proportion_interval_is_wilsons_and_stays_within_zero_and_one():
    z = scipy.stats.norm.ppf(0.975)
    p, n = 0.97, 100
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(
        stats.proportion_interval(97, 100)[:3], (p, center - half, center + half)
    )
    assert (
        stats.proportion_interval(100, 100).high == 1 and stats.proportion_interval(0, 5).low == 0
    )


def test_paired_comparison_is_scipys_paired_t_test():
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    a += 0.5
    ours, theirs = stats.paired_comparison(a, b), scipy.stats.ttest_rel(a, b)
    np.testing.assert_allclose(ours.p_value, theirs.pvalue)
    np.testing.assert_allclose(ours.difference[1:3], tuple(theirs.confidence_interval()))
    assert "paired" in ours.method and "p=" in str(ours)


@pytest.mark.parametrize("shape", [(5,), (4, 5)])
def test_paired_comparison_of_folds_has_the_corrected_interval_of_the_differences(shape):
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    interval = stats.corrected_interval if len(shape) == 1 else stats.seed_fold_interval
    ours = stats.paired_comparison(a, b, train_rows=80, test_rows=20)
    assert ours.difference == interval(a - b, 80, 20)
    just_significant = stats.paired_comparison(a, b, 80, 20, confidence=1 - ours.p_value).difference
    np.testing.assert_allclose(
        min(abs(just_significant.low), abs(just_significant.high)), 0, atol=1e-9
    )


def test_equal_settings_do_not_differ_and_a_constant_gap_is_certain():
    assert stats.paired_comparison([1.0, 2.0], [1.0, 2.0]).p_value == 1
    assert stats.paired_comparison([2.0, 3.0], [1.0, 2.0]).p_value == 0
    assert math.isnan(stats.paired_comparison([2.0], [1.0]).p_value)


def test_holm_bounds_the_false_alarms_of_a_family_and_is_the_step_down_rule():
    np.testing.assert_allclose(stats.holm([0.02, 0.01, 0.04]), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1, 1])
    nothing_true = np.random.default_rng(0).uniform(size=(4000, 6))
    alarms = np.mean([stats.holm(p).min() < 0.05 for p in nothing_true])
    assert abs(alarms - 0.05) < noise_of(0.05, 4000)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (stats.Interval(0.97312, 0.96888, 0.97736, 20, "t"), "0.973 ± 0.004 (95 % t, n=20)"),
        (stats.Interval(0.97312, 0.95902, 0.98722, 20, "t"), "0.973 ± 0.014 (95 % t, n=20)"),
        (
            stats.Interval(0.97, 0.915, 0.99, 100, "Wilson"),
            "0.97 [0.92, 0.99] (95 % Wilson, n=100)",
        ),
        (stats.Interval(1234.5, 1134.5, 1334.5, 3, "t", 0.9), "1234 ± 100 (90 % t, n=3)"),
        (stats.Interval(1.0, 1.0, 1.0, 3, "t"), "1.0000 ± 0.0000 (95 % t, n=3)"),
    ],
)
def test_an_interval_prints_the_digits_that_it_supports(interval, text):
    assert str(interval) == text


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: stats.t_interval([1.0, math.nan, math.inf]),
            "finite, got 2 of 3 that are NaN or infinite",
        ),
        (lambda: stats.t_interval([]), "at least one score"),
        (lambda: stats.t_interval([1.0, 2.0], confidence=95), "between 0 and 1"),
        (lambda: stats.seed_fold_interval([1.0, 2.0], 2, 1), r"\[seeds, folds\]"),
        (lambda: stats.corrected_interval([1.0, 2.0], 0, 1), "test_rows must be positive, got 0"),
        (lambda: stats.paired_comparison([1.0, 2.0], [1.0]), "Pair them"),
        (lambda: stats.paired_comparison([1.0], [1.0], train_rows=3), "Give both or none"),
        (lambda: stats.proportion_interval(3, 2), "Count rows"),
        (lambda: stats.proportion_interval(0.97, 1000), "0.97 of 1000. Count rows, not shares"),
        (lambda: stats.holm([0.1, math.nan]), "finite, got 1 of 2"),
    ],
)
def test_incomplete_or_mismatched_scores_are_refused_in_one_sentence(call, match):
    with pytest.raises(ValueError, match=match):
        call()
