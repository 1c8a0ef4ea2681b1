"""Search the shape of a network with five methods, and ask whether any beats random search.

    python examples/architecture_search.py [--quick] [--repeats 10]

The architectures are masks of one network, `jnn.models.SuperMLP`: depth, widths and activation of a
network for the 40 numbers of MNIST-1D. Every method may take the same number of steps of all
members. Each winner is trained from scratch with new seeds and scored on rows that no search saw,
so that the methods are compared by what a user gets: (method - random) / random in percent, paired
over repeats, each with other test rows. On two CPU cores it takes about
five minutes.
"""

import argparse
import functools
import math

import numpy as np
import optax

import jnn

DEPTHS = [1, 2, 3]
WIDTHS = [4, 8, 16, 32, 64]
SPACE = jnn.search.space(
    depth=DEPTHS,
    width_1=WIDTHS,
    width_2=WIDTHS,
    width_3=WIDTHS,
    activation=[0, 1, 2, 3],  # relu, tanh, gelu, silu
)
ROWS, TEST_ROWS = 2000, 1000  # of the search, and of the scores that the methods are compared by
TRIALS = 27  # trainings that a method may spend
EPOCHS = 18
BATCH = 64
HELD_OUT = 0.25  # share of the rows of the search that scores the architectures


def make_study(epochs: int) -> jnn.Study:
    """Return the study that trains every architecture of the space."""
    return jnn.Study(
        model=functools.partial(jnn.models.SuperMLP, 40, max(WIDTHS), max(DEPTHS), 10),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(3e-3),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=BATCH,
        evaluate_every=epochs // 9,
    )


def make_methods(trials: int, epochs: int) -> dict[str, dict]:
    """Return the strategy of each method, and how long it may search."""
    search = jnn.search
    whole = {"trials": trials}
    steps = trials * epochs * math.ceil(ROWS * (1 - HELD_OUT) / BATCH)
    return {
        "random": {"by": search.random(batch=trials), **whole},
        "evolution": {"by": search.evolution(population=9, tournament=3, batch=3), **whole},
        "REINFORCE": {"by": search.reinforce(batch=3), **whole},
        # All settings train for a ninth of the epochs, the best third for a third, and so on.
        "halving": {"by": search.halving(batch=trials, eta=3, rungs=2), "steps": steps},
        "one-shot": {"by": search.one_shot(epochs=trials * epochs), "trials": 10 * trials},
    }


def main() -> None:
    """Search with every method in every repeat, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="search on a budget of seconds")
    parser.add_argument("--repeats", type=int, default=10, help="number of paired repeats")
    options = parser.parse_args()
    repeats, trials, epochs, test_seeds = options.repeats, TRIALS, EPOCHS, 5
    if options.quick:
        repeats, trials, epochs, test_seeds = 2, 9, 9, 2
    study = make_study(epochs)
    data = jnn.data.load("mnist1d", split="all")
    methods = make_methods(trials, epochs)
    searches: dict[str, list[jnn.search.Found]] = {name: [] for name in methods}
    for repeat in range(repeats):
        rows = np.random.default_rng(repeat).permutation(data.rows)
        for name, how in methods.items():
            found = jnn.search.run(
                lambda c: study,
                data.take(rows[:ROWS]),
                SPACE,
                folds=jnn.holdout(HELD_OUT),
                test=data.take(rows[ROWS : ROWS + TEST_ROWS]),
                test_seeds=test_seeds,
                seed=repeat,
                **how,
            )
            searches[name].append(found)
            print(f"repeat {repeat + 1}, {name}: {found.best}", flush=True)
    print("mean ± 95 % interval over repeats; improvement over random search in percent")
    print(jnn.search.compare(searches).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
