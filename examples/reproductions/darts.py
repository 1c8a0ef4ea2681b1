"""Show how differentiable architecture search fails when it is long, on NAS-Bench-201's cells.

    python examples/reproductions/darts.py [--quick] [--seeds 5] [--epochs 40] [--output FILE]

First-order DARTS (https://arxiv.org/abs/1806.09055) on CIFAR-10. After each look, the operation
with the largest logit of each edge makes the cell of a seed, and the table of NAS-Bench-201 tells
the test accuracy of this cell after 200 epochs of training by itself. The benchmark's authors
report 54.30 +- 0.00 for DARTS after 50 epochs (https://arxiv.org/abs/2001.00326, table 5). In the
table this is the cell whose six edges all are skip connections.

Ours is a smaller search, so that it takes minutes on two cores: networks of 4 channels and one
cell a stage, instead of 16 and five; 5,000 images of 16 x 16 pixels (means of 2 x 2), instead of
50,000 of 32 x 32; the rate of the logits is 3e-3, ten times the paper's, as there are fewer steps.
All seeds are one population.
"""

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

ALL_SKIPS = 54.30
LOOKS = (1, 2, 5, 10, 20, 30, 40)
NOT_RUN = ["networks of 16 channels and 5 cells, 50,000 images of 32 x 32 pixels, 50 epochs"]


def main() -> None:
    """Search with all seeds, and look up their cells as the search goes on."""
    options = arguments(__doc__, seeds=5, epochs=40)
    accuracies = read_table()
    seeds, epochs, rows = options.seeds, options.epochs, 5000
    if options.quick:
        seeds, epochs, rows = 2, 2, 128
    population = jnn.start(make_study(epochs), make_data(rows), jnn.seeds(seeds))
    started = time.perf_counter()
    curve = []
    for look in [*(look for look in LOOKS if look < epochs), epochs]:
        population.advance(look - population.epoch)
        cells = [edges_of(setting) for setting in jnn.search.strongest(population.result())]
        curve.append(look_at(look, cells, accuracies))
    everything = np.array(list(accuracies.values()))
    print(f"all cells of the table: mean {everything.mean():.2f}, best {everything.max():.2f}")
    rows = [
        Row(
            "cell of six skip connections, table", [accuracies[(1,) * 6]], ALL_SKIPS, rounding=0.01
        ),
        Row(f"cell after {epochs} epochs", curve[-1]["accuracies"], ALL_SKIPS),
    ]
    show(f"DARTS on NAS-Bench-201, {time.perf_counter() - started:.0f} s", rows)
    save("darts", rows, options, not_run=NOT_RUN, curve=curve, mean_of_table=everything.mean())


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
    steps = epochs * 5000 // 64
    logits = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(3e-3, b1=0.5))
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
        batch_size=64,
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
