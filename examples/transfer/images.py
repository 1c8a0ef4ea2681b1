"""Compare four ways to use a network that knows MNIST for other images with few labels.

    python examples/transfer/images.py [fashion_mnist] [optdigits] [--quick] [--splits N]
        [--output FILE]

A LeNet has learned the digits of MNIST. For other images, of which few have labels, it is then

    scratch    not used: a LeNet begins with random parameters;
    probe      a fixed function: a linear layer learns from its 64 hidden units;
    fine-tune  a beginning: all its parameters are trained, the last layer is new;
    LoRA       frozen but for low-rank updates of its kernels, and a new last layer.

All ways learn from the same rows, are scored on the same test rows and take 300 steps, so that
their differences are paired. The rate of each way is the best of .0003, .001, .003, .01 and .03 for
64 labels on five other splits of Fashion-MNIST, or within .01 of it.

MNIST helps where the other images are digits, and only there: on Fashion-MNIST fine-tuning is
within chance of no transfer, and fixed features are worse.
"""

import functools
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import optax
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import StratifiedShuffleSplit

import jnn

# The command line and the record of a reproduction, which these scripts share.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "reproductions"))

from _record import Row, arguments, save, show

LENET = functools.partial(jnn.models.LeNet, (28, 28, 1), 10)
SIZES = [16, 64, 256, 1024]
RATES = {"scratch": 0.003, "probe": 0.01, "fine-tune": 0.003, "LoRA": 0.01}


def train_on_mnist(rows: int) -> Any:
    """Return the parameters and the state of a LeNet that has learned MNIST."""
    study = jnn.Study(
        LENET,
        jnn.losses.softmax_cross_entropy,
        optax.adam(optax.cosine_decay_schedule(1e-3, 3 * rows // 128)),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=3,
        batch_size=128,
    )
    data, test = (jnn.data.load("mnist", split=part) for part in ("train", "test"))
    result = jnn.run(study, data.take(slice(rows)), test=test)
    print(f"MNIST: {100 * float(result.final()['accuracy'].mean()):.1f} % of the test images")
    trained = result.member(0).trained
    return jax.tree.map(lambda array: array[0], (trained.params, trained.model_state))


def read(name: str, rows: int) -> jnn.Dataset:
    """Return images of 28 x 28 pixels; the 8 x 8 ones of optdigits get 20 x 20, as MNIST's have."""
    data = jnn.data.load(name, split="all")
    chosen = np.random.default_rng(0).permutation(data.rows)[:rows]
    x = np.asarray(data.x[chosen], np.float32)
    if name == "optdigits":
        x = x.reshape(-1, 8, 8, 1)
        x = jax.image.resize(x, (len(x), 20, 20, 1), "bilinear")
        x = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
    return jnn.Dataset.from_arrays(x, np.asarray(data.y[chosen]), name=name)


def ways(base: Any) -> dict[str, tuple[Any, Any, Any]]:
    """Return what each way feeds its heads with, their network and the arrays that they share."""
    whole = jnn.transfer.trunk(lambda rows: rows)
    tuned = jnn.freeze(LENET, base, "output/*", fresh="output/*")
    kernels = ["convs/*/kernel", "hidden/kernel"]
    adapted = jnn.lora.adapt(LENET, base, kernels, rank=4, fresh="output/*")
    linear = functools.partial(jnn.models.MLP, 64, (), 10)
    return {
        "scratch": (whole, LENET, None),
        "probe": (jnn.transfer.trunk(LENET, base, cut="output"), linear, None),
        "fine-tune": (whole, tuned.model, tuned.shared),
        "LoRA": (whole, adapted.model, adapted.shared),
    }


def compare(
    base: Any,
    data: jnn.Dataset,
    members: jnn.Members,
    sizes: Sequence[int],
    steps: int,
    rates: dict[str, Any] = RATES,
) -> jnn.Result:
    """Return the scores of all ways as one result with the setting `way`."""
    results = []
    for way, (trunk, network, shared) in ways(base).items():
        study = jnn.Study(
            network,
            jnn.losses.softmax_cross_entropy,
            lambda h: optax.adam(h.rate),
            metrics={"accuracy": jnn.metrics.accuracy},
            epochs=1,
            steps_per_epoch=steps,
            batch_size=32,
            shared=shared,
        )
        those = members * jnn.grid(rate=np.atleast_1d(rates[way]))
        few = jnn.transfer.run(trunk, data, study, those, labels=sizes)
        results.append(few.result)
    return jnn.Result.concat(results, way=list(rates))


def show_accuracies(name: str, scores: jnn.Result, sizes: Sequence[int]) -> dict[str, Any]:
    """Print and return the accuracy of each way by number of labels."""
    table = Table(title=f"{name}: accuracy ± 95 % interval over splits", title_justify="left")
    for column in ("labels", *RATES):
        table.add_column(column, justify="right", no_wrap=True)
    entries = {}
    for size in sizes:
        accuracies = [
            scores.select(way=way, labels=size).summary().rows[0].intervals["accuracy"]
            for way in RATES
        ]
        entries[str(size)] = {
            way: accuracy._asdict() for way, accuracy in zip(RATES, accuracies, strict=True)
        }
        table.add_row(str(size), *(accuracy.short() for accuracy in accuracies))
    Console(width=120).print(table)
    return entries


def differences_to_scratch(
    name: str, scores: jnn.Result, sizes: Sequence[int]
) -> Iterator[tuple[str, np.ndarray, float, None, float, jnn.stats.Interval]]:
    """Yield the fields of a row for each way and number of labels, of which chance makes 0."""

    def values(way: str, size: int) -> np.ndarray:
        return scores.select(way=way, labels=size).final()["accuracy"].values.reshape(-1)

    for way in list(RATES)[1:]:
        for size in sizes:
            settings = [{"way": each, "labels": size} for each in (way, "scratch")]
            interval = scores.compare(*settings).difference
            differences = values(way, size) - values("scratch", size)
            yield f"{name}: {way}, {size} labels", differences, 0.0, None, 0.0, interval


def check(name: str, scores: jnn.Result, size: int) -> None:
    """Check that MNIST is of use for other digits, and its features of little for clothes."""
    final = {
        way: float(scores.select(way=way, labels=size).final()["accuracy"].mean()) for way in RATES
    }
    better, worse = ("fine-tune", "scratch") if name == "optdigits" else ("scratch", "probe")
    assert final[better] > final[worse], f"{better} must beat {worse} on {name}, got {final}"


def main() -> None:
    """Train on MNIST and on the other images, print the scores and their differences."""
    options = arguments(__doc__, ["fashion_mnist", "optdigits"], splits=10)
    jnn.use_cpu_cores()
    sizes, rows, steps = (SIZES[:2], 2_000, 60) if options.quick else (SIZES, 12_000, 300)
    splitter = StratifiedShuffleSplit(
        3 if options.quick else options.splits, test_size=rows // 6, random_state=0
    )
    started = time.perf_counter()
    base = train_on_mnist(6_400 if options.quick else 60_000)
    rows_of_table, accuracies = [], {}
    for name in options.names:
        scores = compare(base, read(name, rows), jnn.folds(splitter), sizes, steps)
        accuracies[name] = show_accuracies(name, scores, sizes)
        differences = [Row(*pair) for pair in differences_to_scratch(name, scores, sizes)]
        show("what is above scratch, paired by split", differences, truth="chance")
        check(name, scores, sizes[0])
        rows_of_table += differences
    save(
        "images",
        rows_of_table,
        options,
        accuracies=accuracies,
        steps=steps,
        seconds=time.perf_counter() - started,
        not_run="more than one network trained on MNIST",
    )


if __name__ == "__main__":
    main()
