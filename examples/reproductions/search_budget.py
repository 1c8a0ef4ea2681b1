"""Compare how much training searches need until their winner is as good as that of random search.

    python examples/reproductions/search_budget.py [digits concrete] [--quick] [--repeats N]
                                                   [--output FILE]

In each repeat, other test rows are set aside, and every strategy searches the same rows. Random
search trains 64 settings of a network to the end; successive halving begins with the same 64
settings, Hyperband draws as many as its brackets hold, and random search with the steps of halving
can afford some of the 64. All score a setting on 5 folds. Racing trains the 64 settings seed by
seed on one fold, and is compared with random search on as many seeds.

Every winner is trained anew with 10 seeds on all rows but the test rows, and scored on those. The
differences of these scores to that of random search are paired by repeat; an improvement is
positive. The steps are those of all members in the search; the trainings of the winner, which are
as many for all, are left out. The bar: halving or racing is as good with a third of the steps. It
holds if the interval of the difference stays above minus the standard error of one new score, which
is what nobody could see in a single search.
"""

import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import optax
from _record import Row, arguments, save, show

import jnn
from jnn import search

SETTINGS = 64
EPOCHS = 27
SEEDS = 10  # of a race
BAR = 1 / 3

SPACE = search.space(
    learning_rate=jnn.log_uniform(1e-4, 1e-1),
    weight_decay=jnn.log_uniform(1e-5, 1e-1),
    momentum=jnn.uniform(0.5, 0.98),
)


def adam(h: Any) -> optax.GradientTransformation:
    """Return Adam with the numbers of a member."""
    return optax.adamw(h.learning_rate, b1=h.momentum, weight_decay=h.weight_decay)


STUDIES = {
    "digits": jnn.Study(
        functools.partial(jnn.models.MLP, 64, (32,), 10),
        jnn.losses.softmax_cross_entropy,
        adam,
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=EPOCHS,
        batch_size=32,
        inputs=jnn.preprocess.standardize,
    ),
    "concrete": jnn.Study(
        functools.partial(jnn.models.MLP, 8, (32,), 1),
        jnn.losses.squared_error,
        adam,
        metrics={"r2": jnn.metrics.r2},
        epochs=EPOCHS,
        batch_size=32,
        inputs=jnn.preprocess.standardize,
        targets=jnn.preprocess.standardize,
    ),
}


def searches(name: str, seed: int, settings: int) -> dict[str, search.Found]:
    """Search the rows of one repeat by every strategy."""
    data = jnn.data.load(name)
    (split,) = jnn.holdout(0.2, seed=seed).split.rows(data)

    def run(by: search.Maker, **options: Any) -> search.Found:
        return search.run(
            lambda c: STUDIES[name],
            data.take(split.train),
            SPACE,
            by=by,
            test=data.take(split.test),
            seed=seed,
            **options,
        )

    brackets = search.hyperband(eta=3, brackets=4)(SPACE, 0)
    of_brackets = 0
    for _ in range(4):
        of_brackets += len(brackets.ask(settings))
    race = {"trials": settings, "folds": jnn.holdout(0.2), "seeds": SEEDS}
    found = {
        "random": run(search.random(), trials=settings),
        "halving": run(search.halving(batch=settings, eta=3, rungs=3), trials=settings),
        "hyperband": run(search.hyperband(eta=3, brackets=4), trials=of_brackets),
        "random, 10 seeds": run(search.random(), **race),
        "racing": run(search.racing(batch=settings), **race),
    }
    found["random, steps of halving"] = run(search.random(), steps=steps_of(found["halving"]))
    return found


def steps_of(found: search.Found) -> int:
    """Return the steps that all members of a search took."""
    return sum(trial.steps for trial in found.trials)


RIVALS = {  # strategy -> the random search that it is compared with
    "halving": "random",
    "hyperband": "random",
    "random, steps of halving": "random",
    "racing": "random, 10 seeds",
}


def compare(name: str, repeats: int, settings: int) -> tuple[list[Row], dict[str, Any]]:
    """Return the paired differences of all strategies on one data set, and what they took."""
    started = time.perf_counter()
    scores: dict[str, list[float]] = {}
    steps: dict[str, list[int]] = {}
    errors = []
    for seed in range(repeats):
        found = searches(name, seed, settings)
        for strategy, one in found.items():
            scores.setdefault(strategy, []).append(one.best.interval.mean)
            steps.setdefault(strategy, []).append(steps_of(one))
        errors.append(found["random"].estimate.error)
        print(f"{name}, repeat {seed}, {time.perf_counter() - started:.0f} s", flush=True)
    rows = []
    for strategy, rival in RIVALS.items():
        differences = np.subtract(scores[strategy], scores[rival])
        share = np.sum(steps[strategy]) / np.sum(steps[rival])
        rows.append(Row(f"{name}, {strategy}, {share:.0%}", differences, 0.0, error=0.0))
    about = {"scores": scores, "steps": steps, "margin": float(np.mean(errors))}
    return rows, about | {"seconds": time.perf_counter() - started}


def main() -> None:
    """Search, print the table, and check that the steps are saved."""
    options = arguments(__doc__, names=list(STUDIES), repeats=10)
    jnn.use_cpu_cores()
    repeats, settings = (2, 9) if options.quick else (options.repeats, SETTINGS)
    rows: list[Row] = []
    runs = {}
    for name in options.names:
        found, runs[name] = compare(name, repeats, settings)
        rows += found
    title = (
        f"New score of the winner less that of random search, {settings} settings; share of steps"
    )
    show(title, rows, truth="equal")
    for name, run in runs.items():
        for strategy in ("halving", "hyperband", "racing"):
            report(name, strategy, run)
    not_run = f"{sorted(set(STUDIES) - set(options.names))} and strategies of Optuna"
    save("search_budget", rows, options, settings=settings, runs=runs, not_run=not_run)
    for run in runs.values():
        assert sum(run["steps"]["halving"]) < BAR * sum(run["steps"]["random"])


def report(name: str, strategy: str, run: Mapping[str, Any]) -> None:
    """Say whether a strategy is as good as random search with a third of its steps."""
    rival = RIVALS[strategy]
    share = np.sum(run["steps"][strategy]) / np.sum(run["steps"][rival])
    difference = jnn.stats.paired_comparison(run["scores"][strategy], run["scores"][rival])
    holds = share <= BAR and difference.difference.low > -run["margin"]
    print(
        f"{name}, {strategy} - {rival}: {difference}, with {share:.0%} of the steps; bar (at most "
        f"a third, low end above {-run['margin']:.4f}): {'holds' if holds else 'missed'}"
    )


if __name__ == "__main__":
    main()
