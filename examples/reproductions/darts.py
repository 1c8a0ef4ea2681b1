"""Show how differentiable architecture search fails when it is long, on NAS-Bench-201's cells.

    python examples/reproductions/darts.py [--quick] [--seeds 4] [--epochs 30] [--output FILE]

First-order DARTS (https://arxiv.org/abs/1806.09055) on CIFAR-10. At each look, the operation with
the largest logit of each edge makes the cell of a seed, and the table of NAS-Bench-201
(https://arxiv.org/abs/2001.00326) tells the test accuracy of this cell after 200 epochs of training
by itself. Zela et al. (https://arxiv.org/abs/1909.09656) show that long searches end in cells of
skip connections. The last rows compare the last cells with a random cell: the mean accuracy and the
mean number of skip connections, 6 / 5, over all 15,625.

Ours is a smaller search, so that it takes a quarter of an hour on two cores: 4 channels and one
cell a stage, instead of 16 and five; 2,560 images of 16 x 16 pixels (means of 2 x 2), instead of
50,000 of 32 x 32. As there are 1,200 steps and not 20,000, the rate of the logits is 5e-3, not
3e-4. All seeds are one population.
"""

import argparse
import csv
import functools
import gzip
import os
import pathlib
import time

import numpy as np
import optax
from _record import Row, arguments, save, show

import jnn
from jnn.models import CELL_OPERATIONS, CellNet, cell_string

LOOKS = (1, 2, 4, 7, 10, 15, 20, 25)
ROWS = 2560
BATCH = 64
NOT_RUN = ["networks of 16 channels and 5 cells, 50,000 images of 32 x 32 pixels, 50 epochs"]


def main() -> None:
    """Search with all seeds, and look up their cells as the search goes on."""
    options = arguments(__doc__, seeds=4, epochs=30)
    accuracies = read_table()
    seeds, epochs, rows = options.seeds, options.epochs, ROWS
    if options.quick:
        seeds, epochs, rows = 2, 2, 128
    population = jnn.start(make_study(epochs), make_data(rows), jnn.seeds(seeds))
    started = time.perf_counter()
    curve = []
    for look in [*(look for look in LOOKS if look < epochs), epochs]:
        population.advance(look - population.epoch)
        cells = [edges_of(setting) for setting in jnn.search.strongest(population.result())]
        curve.append(look_at(look, cells, accuracies))
    report(curve, accuracies, options, time.perf_counter() - started)


def report(
    curve: list[dict], accuracies: dict, options: argparse.Namespace, seconds: float
) -> None:
    """Print and save how the last cells compare with a random cell."""
    last = curve[-1]
    skip = CELL_OPERATIONS.index("skip_connect")
    print(f"the cell of six skip connections has an accuracy of {accuracies[(skip,) * 6]:.2f}")
    everything = np.array(list(accuracies.values()))
    rows = [
        Row(
            "accuracy of the last cells; a random cell", last["accuracies"], everything.mean(), 0.0
        ),
        Row("skip connections of the last cells", last["skips"], 6 / len(CELL_OPERATIONS), 0.0),
    ]
    show(f"DARTS on NAS-Bench-201, {last['epoch']} epochs, {seconds:.0f} s", rows)
    save("darts", rows, options, not_run=NOT_RUN, curve=curve, seconds=seconds)


def read_table() -> dict[tuple[int, ...], float]:
    """Return the test accuracy on CIFAR-10 after 200 epochs of each cell, in percent."""
    folder = os.environ.get("JNN_DATA")
    path = pathlib.Path(folder or ".") / "nasbench201" / "nats_bench_tss_200ep_test.csv.gz"
    if not path.exists():
        raise SystemExit(f"The table {path} is missing. Set JNN_DATA to the folder of the data.")
    with gzip.open(path, "rt") as lines:
        return {
            jnn.models.cell_edges(row["ArchitectureString"]): float(
                row["CIFAR10TestAccuracy200Epochs"]
            )
            for row in csv.DictReader(lines)
        }


def make_data(rows: int) -> jnn.Dataset:
    """Return images of CIFAR-10 of half the size, normalized."""
    data = jnn.data.load("cifar10")
    x = np.asarray(data.x[:rows], np.float32)
    x = x.reshape(len(x), 16, 2, 16, 2, 3).mean(axis=(2, 4))
    x = (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    return jnn.Dataset.from_arrays(x, np.asarray(data.y[:rows]), name="CIFAR-10, 16 x 16")


def make_study(epochs: int) -> jnn.Study:
    """Return the search as a study: momentum on a cosine for the weights, Adam for the logits."""
    steps = epochs * ROWS // BATCH
    logits = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(5e-3, b1=0.5))
    return jnn.Study(
        model=functools.partial(CellNet, 4, 1, mixed=True),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.chain(
            optax.clip_by_global_norm(5.0),
            optax.add_decayed_weights(5e-4),
            optax.sgd(optax.cosine_decay_schedule(0.025, steps), momentum=0.9, nesterov=True),
        ),
        trainer=jnn.search.darts(logits),
        epochs=epochs,
        batch_size=BATCH,
    )


def edges_of(setting: dict[str, int]) -> tuple[int, ...]:
    """Return the six numbers of a cell."""
    return tuple(setting[f"edge_{i}"] for i in range(1, 7))


def look_at(epoch: int, cells: list, accuracies: dict) -> dict:
    """Print the cells of all seeds and what they are worth, and return it for the record."""
    skip = CELL_OPERATIONS.index("skip_connect")
    skips = [cell.count(skip) for cell in cells]
    values = [accuracies[cell] for cell in cells]
    interval = jnn.stats.t_interval(values)
    print(
        f"epoch {epoch:3d}: accuracy of the cells {interval}, skip connections "
        f"{np.mean(skips):.1f} of 6, e.g. {cell_string(cells[0])}",
        flush=True,
    )
    return {"epoch": epoch, "accuracies": values, "skips": skips}


if __name__ == "__main__":
    main()
