"""Reproduce how zero-cost scores rank the cells of NAS-Bench-201, on CIFAR-10.

    JNN_DATA=FOLDER python examples/reproductions/zero_cost.py [--quick] [--cells N]
                                         [--grasp N] [--pairs N] [--output FILE] [SCORE ...]

Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS (2021), https://arxiv.org/abs/2101.08134,
table 1, whose figures stand in their notebook nasbench201_correlations: Spearman's correlation of a
score at the start, from one batch of 64 images, with the test accuracy after 200 epochs, over all
15,625 cells. Ours is over random cells, with the network of the benchmark (16 maps, 5 cells in each
stage) and batches of training images. All cells are members of one program.

What is not the same. Their accuracies are those of networks trained on half of the training images,
and their batches are cropped and flipped at random; ours are NATS-Bench's, and as they are. Eight
cells share a batch.

Finished pieces are written to jnn_zero_cost.jsonl in the folder for temporary files, and a run that
was stopped goes on with them. `grasp` costs more than all the others together, so `--grasp` says
for how many cells it is computed. `--pairs N` adds cells per second beside PyTorch, which scores
one cell after the other, on N cells in turns.
"""

import csv
import functools
import gzip
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from _record import Row, arguments, save, show

import jnn
from jnn import stats
from jnn.models import CellNet, cell_cost, cell_edges
from jnn.search import zero_cost

PUBLISHED = {
    "synflow": 0.737,
    "jacob_cov": 0.731,
    "snip": 0.596,
    "grad_norm": 0.594,
    "grasp": 0.514,
    "fisher": 0.36,
}
# Scores that one program computes, the cheapest first.
PROGRAMS = (("synflow",), ("jacob_cov", "naswot"), ("grad_norm", "snip", "fisher"), ("grasp",))
NAMES = [name for program in PROGRAMS for name in program]
PIECE = 8  # cells between two writes
ROWS = 64
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PARTIAL = Path(tempfile.gettempdir()) / "jnn_zero_cost.jsonl"


def read_table() -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Return all cells and their test accuracies on CIFAR-10 after 200 epochs."""
    folder = Path(os.environ.get("JNN_DATA", "data")) / "nasbench201"
    with gzip.open(folder / "nats_bench_tss_200ep_test.csv.gz", "rt") as lines:
        rows = list(csv.DictReader(lines))
    cells = [cell_edges(row["ArchitectureString"]) for row in rows]
    return cells, np.array([float(row["CIFAR10TestAccuracy200Epochs"]) for row in rows])


def batch_of(data: jnn.Dataset, piece: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random training images, normalized as usual, and their labels."""
    chosen = np.random.default_rng([1, piece]).choice(data.rows, rows, replace=False)
    images = np.asarray(data.x)[chosen]
    return ((images - MEAN) / DEVIATION).astype(np.float32), np.asarray(data.y)[chosen]


def score_piece(network, cells, batch, names, piece) -> dict[str, list[float]]:
    """Return the scores of a few cells, which share a batch and draw their own parameters."""
    settings = {f"edge_{i + 1}": numbers for i, numbers in enumerate(np.transpose(cells))}
    key = jax.random.fold_in(jax.random.key(0), piece)
    found = zero_cost.scores(network, *batch, settings, by=names, key=key, stacked={"stages": 2})
    return {name: values.tolist() for name, values in found.items()}


def read_entries(options) -> dict[tuple[int, str], dict]:
    """Return the finished pieces of earlier runs, by piece and score; none for a quick run."""
    if options.quick or not PARTIAL.exists():
        return {}
    entries = [json.loads(line) for line in PARTIAL.read_text().splitlines()]
    return {(entry["piece"], name): entry for entry in entries for name in entry["scores"]}


def score(network, data, cells, names, options) -> tuple[dict[str, np.ndarray], float]:
    """Return the scores of all cells, NaN where there is none, and the seconds of all pieces."""
    scores = {name: np.full(len(cells), np.nan) for name in names}
    entries, seconds = read_entries(options), 0.0
    for piece, program in itertools.product(range(-(-len(cells) // options.piece)), PROGRAMS):
        place = slice(piece * options.piece, (piece + 1) * options.piece)
        chosen = [name for name in program if name in names]
        if not chosen or (chosen == ["grasp"] and place.stop > options.grasp):
            continue
        entry = entries.get((piece, chosen[0]))
        if entry is None:
            start = time.perf_counter()
            batch = batch_of(data, piece, options.rows)
            values = score_piece(network, cells[place], batch, chosen, piece)
            entry = {"piece": piece, "scores": values, "seconds": time.perf_counter() - start}
            if not options.quick:
                with PARTIAL.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
        seconds += entry["seconds"]
        for name in chosen:
            scores[name][place] = entry["scores"][name]
    return scores, seconds


def correlation(scores: np.ndarray, accuracies: np.ndarray) -> stats.Interval:
    """Return Spearman's correlation over the cells that have a score, with its 95 % interval.

    The interval is that of Fisher's z with the variance (1 + r^2 / 2) / (n - 3) of Bonett and
    Wright (2000). A score without a value, of a cell that ignores its inputs, is left out.
    """
    from scipy.stats import spearmanr

    has_value = ~np.isnan(scores)
    n = int(has_value.sum())
    r = float(spearmanr(scores[has_value], accuracies[has_value]).statistic)
    half = 1.96 * np.sqrt((1 + r**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    return stats.Interval(r, float(low), float(high), n, "Fisher z")


def speeds(network, data, cells, names, pairs: int) -> dict[str, float]:
    """Return cells per second of both sides, the median of three turns on the same cells."""
    import _torch_cell

    batch = batch_of(data, 0, ROWS)

    def ours() -> None:
        for program in PROGRAMS:
            chosen = [name for name in program if name in names]
            if chosen:
                score_piece(network, cells[:pairs], batch, chosen, 0)

    def theirs() -> None:
        for cell in cells[:pairs]:
            _torch_cell.scores(cell, *batch, names)

    ours()  # compiles
    seconds = {"jnn": [], "torch": []}
    for _ in range(3):
        for side, run in (("jnn", ours), ("torch", theirs)):
            start = time.perf_counter()
            run()
            seconds[side].append(time.perf_counter() - start)
    return {side: pairs / float(np.median(times)) for side, times in seconds.items()}


def main() -> None:
    """Score, print the table, and check the ranks."""
    options = arguments(__doc__, NAMES, cells=1000, grasp=160, pairs=0)
    names = [name for name in NAMES if name in options.names]
    options.piece, options.rows = (4, 8) if options.quick else (PIECE, ROWS)
    cells, accuracies = read_table()
    count = 12 if options.quick else options.cells
    order = np.random.default_rng(0).permutation(len(cells))[:count]
    cells, accuracies = [cells[i] for i in order], accuracies[order]
    data = jnn.data.load("cifar10", split="train")
    network = functools.partial(CellNet, 2, 1) if options.quick else CellNet
    scores, seconds = score(network, data, cells, names, options)
    scores["multiply-adds"] = np.array([float(cell_cost(cell).multiply_adds) for cell in cells])
    ours = {name: correlation(values, accuracies) for name, values in scores.items()}
    rows = [
        Row(name, [ours[name].mean], paper, rounding=5e-4, interval=ours[name])
        for name, paper in PUBLISHED.items()
        if name in names
    ]
    others = {name: interval for name, interval in ours.items() if name not in PUBLISHED}
    show(f"Spearman's correlation with the accuracy of {count} random cells", rows)
    print(*(f"{name}: {interval}" for name, interval in others.items()), sep="\n")
    print(f"{seconds:.0f} s, {count / seconds:.2f} cells per second")
    speed = speeds(network, data, cells, names, options.pairs) if options.pairs else None
    if speed is not None:
        print(f"cells per second: {speed['jnn']:.3f}, PyTorch one by one {speed['torch']:.3f}")
    missing = ", ".join(name for name in NAMES if name not in names)
    unscored = missing or f"grasp beyond {options.grasp} cells"
    save(
        "zero_cost",
        rows,
        options,
        seconds=seconds,
        cells=count,
        others={name: interval._asdict() for name, interval in others.items()},
        cells_per_second=speed,
        not_run=f"the other {15_625 - count} cells, and {unscored}, for time",
    )
    if "synflow" in names and not options.quick:
        assert ours["synflow"].mean > 0.6, f"synflow must rank the cells, got {ours['synflow']}"


if __name__ == "__main__":
    main()
