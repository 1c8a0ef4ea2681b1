"""jnn: the grid of the MC-dropout reproduction as one population, its own study."""

import numpy as np

import jnn
from benchmarks import uci_data
from benchmarks.reproduction import load


def uci_yacht(work, budget):
    jnn.use_cpu_cores()
    grid = uci_data.yacht()
    data = jnn.Dataset.from_arrays(grid.x, grid.y, task="regression")
    members = jnn.folds(grid.folds) * jnn.grid(dropout_rate=grid.rates, tau=grid.taus)
    study = load("uci_dropout").make_study(data, len(work.train_x), budget.epochs)

    def job(first_seed):
        numbers = np.arange(first_seed, first_seed + budget.members)
        chosen = members[numbers % len(members)]
        chosen = jnn.Members({"member": {**chosen.axes["member"], "seed": numbers}}, chosen.split)
        result = jnn.run(study, data, chosen)
        predicted = result.outputs(data.x)[..., 0]  # [members, rows]
        held_out = [grid.folds[fold][1] for fold in chosen.columns()["fold"]]
        return [
            uci_data.r2(grid.y[rows], mine[rows])
            for rows, mine in zip(held_out, predicted, strict=True)
        ]

    return job
