"""Reproduce figure 2 of population-based training: two workers share what each can only do half.

    python examples/reproductions/pbt_toy.py [--quick] [--runs N] [--output FILE]

Jaderberg et al., Population Based Training of Neural Networks (2017,
https://arxiv.org/abs/1711.09846), section 3.2: maximize Q = 1.2 - (a^2 + b^2) from a = b = .9, by
gradient ascent at a rate of .01 on the surrogate 1.2 - (h0 a^2 + h1 b^2), with two workers whose
(h0, h1) are (1, 0) and (0, 1) at first. After every 10 of 200 steps the worse worker copies a and b
of the better one, and draws new h0 and h1. Each of the two alone, which is grid search, moves one
coordinate only, and ends at 1.2 - .9^2 = .39.

The network of the study are the two numbers; the search is `jnn.search.run` with
`jnn.search.population_based`, and the two h are choices among five values, of which a changed
worker draws new ones at random. The paper does not say how they are changed. Its values are read
from the figure: 1.2 for the population, .4 for grid search, to a digit.
"""

import time

import jax.numpy as jnp
import numpy as np
import optax
from _record import Row, arguments, record_path, save, show

import jnn

RATE, START, STEPS, EVERY = 0.01, 0.9, 200, 10
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
WORKERS = [{"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0}]


def init(key, x):
    """Return the two numbers at their start."""
    del key, x
    return {"point": jnp.full(2, START)}


def apply(params, x):
    """Return the two numbers for each row, [rows, 2]."""
    return jnp.broadcast_to(params["point"], (len(x), 2))


def surrogate(outputs, targets, h):
    """Return what is minimized: h0 a^2 + h1 b^2 - 1.2."""
    del targets
    return h.h0 * outputs[:, 0] ** 2 + h.h1 * outputs[:, 1] ** 2 - 1.2


def mean_of(function, *, higher_is_better: bool = True) -> jnn.metrics.Metric:
    """Make the metric that is the mean of a function of the outputs."""

    def update(sums, outputs, targets, weights=None):
        del targets
        weights = jnp.ones(len(outputs)) if weights is None else weights
        return sums[0] + (weights * function(outputs)).sum(), sums[1] + weights.sum()

    return jnn.metrics.Metric(
        init=lambda: (jnp.zeros(()), jnp.zeros(())),
        update=update,
        value=lambda sums: sums[0] / sums[1],
        higher_is_better=higher_is_better,
        task=None,
    )


def make_study() -> jnn.Study:
    """Return the study of the two numbers; its scores of each step are Q, a and b."""
    return jnn.Study(
        model=(init, apply),
        loss=surrogate,
        optimizer=optax.sgd(RATE),
        metrics={
            "Q": mean_of(lambda outputs: 1.2 - (outputs**2).sum(axis=1)),
            "a": mean_of(lambda outputs: outputs[:, 0]),
            "b": mean_of(lambda outputs: outputs[:, 1]),
        },
        epochs=STEPS,
        batch_size=8,
        steps_per_epoch=1,
    )


def search(study: jnn.Study, by, seed: int) -> jnn.search.Found:
    """Run one search with the two workers."""
    rows = np.arange(16.0)[:, None]  # which nothing reads
    nothing = jnn.Dataset.from_arrays(rows, rows, name="no data")
    space = jnn.search.space(h0=jnn.choice(*WEIGHTS), h1=jnn.choice(*WEIGHTS))
    return jnn.search.run(
        lambda c: study, nothing, space, by=by, trials=len(WORKERS), folds=jnn.holdout(0.5),
        test_seeds=1, seed=seed,
    )  # fmt: skip


def paths(found: jnn.search.Found) -> np.ndarray:
    """Return where the numbers that the workers hold at the end have been, [workers, steps, 2]."""
    result = found.parts[0].load()
    scores = [np.asarray(result.scores[name]).reshape(len(WORKERS), STEPS) for name in "ab"]
    points = np.stack(scores, axis=-1)
    return np.concatenate([np.full((len(WORKERS), 1, 2), START), points], axis=1)


def draw(lines: dict[str, np.ndarray], path) -> None:
    """Draw the paths over the level sets of Q."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.8), layout="constrained")
    a, b = np.meshgrid(np.linspace(-0.1, 1, 100), np.linspace(-0.1, 1, 100))
    for panel, (name, workers) in zip(figure.subplots(1, len(lines)), lines.items(), strict=True):
        panel.contour(a, b, 1.2 - a**2 - b**2, levels=12, linewidths=0.6, alpha=0.6)
        for number, points in enumerate(workers):
            panel.plot(points[:, 0], points[:, 1], ".-", markersize=3, label=f"worker {number}")
        panel.set(title=name, xlabel="a", ylabel="b")
        panel.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the searches, print the table, draw the paths, and check the scores."""
    options = arguments(__doc__, runs=20)
    runs = 3 if options.quick else options.runs
    study = make_study()
    start = time.perf_counter()
    two = jnn.search.listed(WORKERS)
    population = jnn.search.population_based(
        two, population=len(WORKERS), looks=STEPS // EVERY - 1, share=0.5
    )
    found = [search(study, population, seed) for seed in range(runs)]
    grid = search(study, two, 0)
    seconds = time.perf_counter() - start
    best = [each.best_trial.score.mean for each in found]
    alone = [trial.score.mean for trial in grid.trials]
    rows = [
        Row("population-based training, Q", best, 1.2, 0.0, 0.05),
        Row("grid search, Q", alone, 0.4, 0.0, 0.05),
    ]
    show(f"Q after {STEPS} steps, {runs} runs; grid search is the two workers alone", rows)
    print(f"{seconds:.0f} s for {runs + 1} searches")
    path = record_path("pbt_toy", options)
    if path is not None:
        draw({"population-based": paths(found[0]), "grid": paths(grid)}, path.with_suffix(".png"))
    save(
        "pbt_toy", rows, options, runs=runs, seconds=seconds,
        not_run="the variants without exploiting and without exploring",
    )  # fmt: skip
    closed_form = 1.2 - START**2 - (START * (1 - 2 * RATE) ** STEPS) ** 2
    assert np.allclose(alone, closed_form, atol=1e-5), f"{alone} must be {closed_form}"
    assert min(best) > 1.1, f"population-based training must reach 1.2, got {best}"
    replayed = [float(each.winner.final()["Q"].mean()) for each in found]
    assert np.allclose(replayed, best, atol=1e-5), "a winner's schedule must lead to its score"


if __name__ == "__main__":
    main()
