"""Search settings on labels that are noise: the new score of the winner must say so.

    python examples/reproductions/search_noise.py [--quick] [--repeats N] [--output FILE]

In each repeat, rows and labels are drawn anew, independently of each other, so that the accuracy of
any network on any rows is 1/2 by chance. `jnn.search.run` trains 20 settings of a small network on
5 folds. The best of them seems better than chance, because it is the luckiest; the interval of its
score on the test rows, whose labels no choice depends on, must cover 1/2 in 95 % of the repeats.

200 repeats tell a coverage to 3 %. So the interval is also computed for many simulated tables of
hits [rows, seeds], in which the votes of the seeds for a row agree with a known correlation.
"""

import functools
import time

import numpy as np
import optax
from _record import Row, arguments, save, show
from scipy.special import stdtrit

import jnn
from jnn.search._estimate import squared_error  # the arithmetic of the interval, without networks

ROWS = 200  # of a search
TEST_ROWS = 100
FEATURES = 8
SETTINGS = 20
SEEDS = 10  # of the winner
BAR = (0.93, 0.97)

SPACE = jnn.search.space(
    learning_rate=jnn.log_uniform(1e-3, 1e-1), weight_decay=jnn.log_uniform(1e-4, 1e-1)
)
STUDY = jnn.Study(
    model=functools.partial(jnn.models.MLP, FEATURES, (16,), 2),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=10,
    evaluate_every=10,
    batch_size=32,
)


def noise(random: np.random.Generator, rows: int, *, balanced: bool) -> jnn.Dataset:
    """Return rows of normal numbers with labels that do not depend on them.

    Args:
        random: Generator of the draws.
        rows: Number of rows.
        balanced: Whether both classes have as many rows, so that all folds have the same sizes in
            all repeats, and one program serves them; otherwise each label is a coin of its own.
    """
    x = random.normal(size=(rows, FEATURES)).astype(np.float32)
    labels = np.arange(rows) % 2
    y = random.permutation(labels) if balanced else random.integers(0, 2, rows)
    return jnn.Dataset.from_arrays(x, y.astype(np.int32), task="classification")


def search(seed: int) -> jnn.search.Found:
    """Search on noise of its own."""
    random = np.random.default_rng(seed)
    data = noise(random, ROWS, balanced=True)
    test = noise(random, TEST_ROWS, balanced=False)
    return jnn.search.run(
        lambda c: STUDY, data, SPACE, trials=SETTINGS, test=test, test_seeds=SEEDS, seed=seed
    )


def simulated_coverage(correlation: float, repeats: int, resamples: int = 500) -> list[float]:
    """Return whether the interval covers 1/2 in each repeat, for hits that need no network.

    Args:
        correlation: Of the scores behind the votes of two seeds for a row.
        repeats: Number of tables of hits.
        resamples: Number of draws of the rows, as in a search.
    """
    random = np.random.default_rng(0)
    covers = []
    for _ in range(repeats):
        common = random.normal(size=(TEST_ROWS, 1)) * np.sqrt(correlation)
        own = random.normal(size=(TEST_ROWS, SEEDS)) * np.sqrt(1 - correlation)
        votes = common + own > 0
        hits = (votes == random.integers(0, 2, (TEST_ROWS, 1))).astype(float)
        draws = random.multinomial(TEST_ROWS, np.full(TEST_ROWS, 1 / TEST_ROWS), resamples)
        variance, freedom = squared_error(draws @ hits / TEST_ROWS, hits.mean(axis=0), TEST_ROWS)
        covers.append(float(abs(hits.mean() - 0.5) <= stdtrit(freedom, 0.975) * variance**0.5))
    return covers


def share(name: str, covers: list[float], truth: float) -> Row:
    """Return a row for a share of repeats, with Wilson's interval."""
    interval = jnn.stats.proportion_interval(int(sum(covers)), len(covers))
    return Row(name, covers, truth, interval=interval)


def repeat_searches(repeats: int) -> dict[str, list[float]]:
    """Return what each search on noise said: scores, and whether intervals cover the truth."""
    started = time.perf_counter()
    said: dict[str, list[float]] = {}
    for seed in range(repeats):
        found = search(seed)
        interval = found.best.interval
        searched = found.search_score.mean
        gap = found.optimism
        one = {
            "new": interval.mean,
            "covers": interval.low <= 0.5 <= interval.high,
            "searched": searched,
            "above": searched > 0.5,
            "optimism": gap.low <= searched - 0.5 <= gap.high,
            "ties": found.ties == SETTINGS - 1,
        }
        for name, value in one.items():
            said.setdefault(name, []).append(float(value))
        if seed % 20 == 19:
            print(f"{seed + 1} searches, {time.perf_counter() - started:.0f} s", flush=True)
    return said


def main() -> None:
    """Search, print the table, and check the coverage."""
    options = arguments(__doc__, repeats=200)
    jnn.use_cpu_cores()
    repeats, tables = (6, 100) if options.quick else (options.repeats, 2000)
    started = time.perf_counter()
    said = repeat_searches(repeats)
    coverage = share("new score's interval covers 1/2", said["covers"], 0.95)
    rows = [coverage, Row("new score of the winner", said["new"], 0.5, error=0.0)]
    for correlation in (0.0, 0.5, 1.0):
        covers = simulated_coverage(correlation, tables)
        rows.append(share(f"interval, simulated, votes agree by {correlation:g}", covers, 0.95))
    show(f"Noise: {SETTINGS} settings, 5 folds, {repeats} searches", rows, truth="truth")
    holds = BAR[0] <= coverage.ours.mean <= BAR[1]
    print(f"coverage {coverage.ours.mean:.1%}, bar 93 to 97 %: {'holds' if holds else 'missed'}")
    bounds = {
        "score in the search, above 1/2": jnn.stats.t_interval(said["searched"]),
        "share of searches whose score is above 1/2": share("", said["above"], 1.0).ours,
        "optimism covers score - 1/2, 0.95 or more": share("", said["optimism"], 1.0).ours,
        "all settings tie, as they should, 0.95 or more": share("", said["ties"], 1.0).ours,
    }
    for name, interval in bounds.items():
        print(f"{name}: {interval}")
    about = {"seconds": time.perf_counter() - started, "bar_holds": holds, "searches": said}
    not_run = "regressions on noise, and metrics other than the accuracy"
    save("search_noise", rows, options, **about, not_run=not_run)
    least = 0.5 if options.quick else 0.9
    assert coverage.ours.mean >= least, f"the interval must cover chance, got {coverage.ours}"
    assert bounds["score in the search, above 1/2"].mean > 0.5


if __name__ == "__main__":
    main()
