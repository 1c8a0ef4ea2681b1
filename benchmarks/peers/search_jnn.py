"""jnn: a random search, every setting on every fold, as one population."""

from functools import partial

import numpy as np
import optax

import jnn
from benchmarks.peers.jnn_population import lengths
from benchmarks.workloads import SEARCH_FOLDS, SEARCH_RATES, all_rows


def search(work, budget):
    jnn.use_cpu_cores()
    inputs, *hidden, outputs = work.sizes
    study = jnn.Study(
        model=partial(jnn.models.MLP, inputs, tuple(hidden), outputs),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        **lengths(budget),
    )
    data = jnn.Dataset.from_arrays(*all_rows(work))

    def job(first_seed):
        count = budget.members // SEARCH_FOLDS
        settings = jnn.sample(count, seed=first_seed, learning_rate=jnn.log_uniform(*SEARCH_RATES))
        result = jnn.run(study, data, settings * jnn.folds(SEARCH_FOLDS))
        return np.ravel(result.final()["accuracy"].values).tolist()

    return job
