"""Train the README's study: 300 MLPs on scikit-learn's digits, as one compiled program.

    python examples/first_study.py [--quick] [--figure curves.png] [--table table.txt]

It takes about 10 seconds on two CPU cores, and prints the accuracy of each setting with its 95 %
interval, the best setting, and the time.
"""

import argparse
from functools import partial
from pathlib import Path

import optax

import jnn
from jnn import plots


def main() -> None:
    """Train the study, print its scores, and check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train 2 seeds x 2 folds, not 10 x 5")
    parser.add_argument("--figure", help="file for the learning curves")
    parser.add_argument("--table", type=Path, help="file for the summary")
    arguments = parser.parse_args()

    jnn.use_cpu_cores()
    digits = jnn.data.load("digits")
    study = jnn.Study(
        model=partial(jnn.models.MLP, 64, (128,), 10),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=20,
        batch_size=32,
    )
    repetitions = jnn.seeds(2) * jnn.folds(2) if arguments.quick else jnn.seeds(10) * jnn.folds(5)
    settings = jnn.grid(learning_rate=[1e-4, 1e-3, 1e-2], weight_decay=[0.0, 1e-2])
    result = jnn.run(study, digits, repetitions * settings)

    print(result.summary())
    print("best:", result.best())
    seconds = {name: f"{value:.1f} s" for name, value in result.timing.items()}
    print(seconds, result.schema.plan)
    if arguments.table:
        arguments.table.write_text(f"{result.summary()}\n")
    if arguments.figure:
        plots.write(plots.learning_curves(result), arguments.figure)
    accuracy = result.best().interval.mean
    assert accuracy > 0.96, f"accuracy must be above 0.96, got {accuracy:.3f}"


if __name__ == "__main__":
    main()
