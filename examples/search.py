"""Search an MLP for scikit-learn's digits, and say how good the winner is on rows it never saw.

    python examples/search.py [--by halving] [--data concrete] [--quick] [--figure search.png]

It takes about a minute on two CPU cores, most of it to compile four shapes. Expect an accuracy of
0.973 ± 0.013 on 360 rows that no search saw, and that no setting which was trained to the end can
be told from the winner, so the cheapest of them will do. Halving trains 64 settings in the steps of
18 whole ones. --data names a regression of the UCI repository in the folder JNN_DATA.
"""

import argparse
from functools import partial

import optax

import jnn
from jnn import plots, search

ACTIVATIONS = {"relu": jnn.layers.relu, "tanh": jnn.layers.tanh}
STRATEGIES = {
    "random": search.random(),
    "halving": search.halving(search.sobol(), eta=3, rungs=2),
    "racing": search.racing(search.sobol()),
    "tpe": search.tpe(batch=16),
}


def make_study(c: search.Choices, data: jnn.Dataset, epochs: int) -> jnn.Study:
    """Make the study of one shape; its settings differ in rates that the members have."""
    is_classification = data.task == "classification"
    loss = jnn.losses.softmax_cross_entropy if is_classification else jnn.losses.squared_error
    metrics = {"accuracy": jnn.metrics.accuracy}
    return jnn.Study(
        model=partial(
            jnn.models.MLP,
            data.x.shape[1],
            (c.width,),
            data.outputs,
            activation=ACTIVATIONS[c.activation],
            dropout_rate=0.0,
        ),
        loss=loss,
        optimizer=lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay),
        metrics=metrics if is_classification else {"rmse": jnn.metrics.rmse},
        epochs=epochs,
        batch_size=32,
        inputs=jnn.preprocess.standardize,
        targets=jnn.preprocess.identity if is_classification else jnn.preprocess.standardize,
    )


def make_space(is_quick: bool) -> search.Space:
    """Make the space: rates are numbers of the members, and the rest shapes their program."""
    return search.space(
        learning_rate=jnn.log_uniform(1e-4, 1e-1),
        weight_decay=jnn.log_uniform(1e-5, 1e-1),
        dropout_rate=jnn.uniform(0.0, 0.5),
        width=[64] if is_quick else [32, 128],
        activation=["relu"] if is_quick else ["relu", "tanh"],
    )


def main() -> None:
    """Search, print what was found, and check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--by", choices=STRATEGIES, default="halving")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--figure", help="file for the best score so far")
    parser.add_argument("--quick", action="store_true", help="search on a budget of seconds")
    arguments = parser.parse_args()

    jnn.use_cpu_cores()
    data = jnn.data.load(arguments.data)
    found = search.run(
        partial(make_study, data=data, epochs=9 if arguments.quick else 27),
        data,
        make_space(arguments.quick),
        by=STRATEGIES[arguments.by],
        trials=9 if arguments.quick else 64,
        folds=3,
        seeds=2 if arguments.by == "racing" else 1,
        test_seeds=3 if arguments.quick else 10,
    )

    print(found)
    print(found.table.head(5).to_string(index=False))
    print(found.winner.summary())
    if arguments.figure:
        plots.write(plots.search_curve(found), arguments.figure)
    if arguments.data == "digits":
        accuracy = found.best.interval.mean
        least = 0.94 if arguments.quick else 0.955
        assert least < accuracy < 0.99, f"accuracy must be {least} to 0.99, got {accuracy:.3f}"


if __name__ == "__main__":
    main()
