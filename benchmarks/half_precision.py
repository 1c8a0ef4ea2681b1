"""Scores after five epochs in float32 and in bfloat16: `python -m benchmarks.half_precision`.

It prints the table of `docs/how_it_works.md`. Each network trains from the same five seeds in both
precisions, on the same small data, so the difference of the two is paired by seed.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optax
from scipy import stats

import jnn

SEEDS = 5
EPOCHS = 5


class Workload(NamedTuple):
    """A network, its data, and settings of the study."""

    model: Callable[..., Any]
    data: Callable[[], jnn.Dataset]
    settings: dict[str, Any]


def digits(*shape: int) -> jnn.Dataset:
    """Return the 1797 digits of scikit-learn with rows of this shape."""
    data = jnn.data.load("digits")
    return jnn.Dataset.from_arrays(data.x.reshape(-1, *shape), data.y, name="digits")


def characters() -> jnn.Dataset:
    """Return 32 characters and the next ones, from the first 20 000 of Shakespeare's plays."""
    ids = jnn.data.load("tinyshakespeare").x.values[:20_000]
    return jnn.Dataset.from_tokens(ids, 32, name="tinyshakespeare")


images = functools.partial(digits, 8, 8, 1)
WORKLOADS = {
    "MLP": Workload(functools.partial(jnn.models.MLP, 64, (64,), 10), images, {}),
    "LeNet": Workload(functools.partial(jnn.models.LeNet, (8, 8, 1), 10), images, {}),
    "ResNet-8": Workload(functools.partial(jnn.models.ResNet, 1, 10, 8, width=8), images, {}),
    "LSTM": Workload(
        functools.partial(jnn.models.SequenceClassifier, (8, 8), 32, 10),
        functools.partial(digits, 8, 8),
        {},
    ),
    "ViT": Workload(
        functools.partial(
            jnn.models.ViT, (8, 8, 1), 10, patch=2, layers=2, num_heads=4, features=32
        ),
        images,
        {},
    ),
    "GPT": Workload(
        functools.partial(jnn.models.GPT, 65, 32, layers=2, num_heads=4, features=32),
        characters,
        {"steps_per_epoch": 50, "evaluation_batch": 512},
    ),
}


def scores(name: str, precision: str) -> dict[str, np.ndarray]:
    """Return loss and accuracy after the last epoch, [seeds]."""
    model, load, settings = WORKLOADS[name]
    study = jnn.Study(
        model,
        jnn.losses.softmax_cross_entropy,
        optax.adam(3e-3),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=EPOCHS,
        precision=precision,
        **settings,
    )
    result = jnn.run(study, load(), jnn.seeds(SEEDS) * jnn.holdout(0.25), progress=None)
    final = result.final()
    return {score: np.ravel(final[score].values) for score in ("loss", "accuracy")}


def cell(values: np.ndarray) -> str:
    """Return the mean and half the width of its 95 % interval."""
    reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.3f} ± {reach:.3f}"


def main(names: list[str]) -> None:
    """Print one row for each network."""
    print("| network | score | float32 | bfloat16 | bfloat16 - float32 |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or WORKLOADS:
        wide = scores(name, "float32")
        half = scores(name, "bfloat16")
        for score in wide:
            cells = map(cell, (wide[score], half[score], half[score] - wide[score]))
            print(f"| {name} | {score} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
