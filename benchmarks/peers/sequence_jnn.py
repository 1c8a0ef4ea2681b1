"""jnn: populations of sequence models, on the rows and with the optimizers that the peers have."""

import functools

import jax
import numpy as np
import optax

import jnn
from benchmarks.peers.jnn_population import rows_and_split
from benchmarks.sequence_data import HORIZON, INPUT, LENGTH

_MATRICES = functools.partial(jax.tree.map, lambda p: p.ndim >= 2)


def gpt(work, budget):
    """The configuration that nanoGPT gives for a CPU, at a constant rate."""
    optimizer = optax.adamw(1e-3, b2=0.99, weight_decay=0.1, mask=_MATRICES)
    sizes = {"layers": 4, "num_heads": 4, "features": 128, "use_bias": False}
    model = functools.partial(jnn.models.GPT, 65, LENGTH, **sizes)
    return _classifier(model, optax.chain(optax.clip_by_global_norm(1.0), optimizer), work, budget)


def lstm(work, budget):
    return _classifier(functools.partial(jnn.models.LanguageModel, 65, 128), optax.adam(1e-3), work, budget)


def dlinear(work, budget):
    scores = {"r2": jnn.metrics.mse}
    model = functools.partial(jnn.models.DLinear, INPUT, HORIZON)
    job = _job(model, jnn.losses.squared_error, optax.adam(5e-3), scores, budget, rows_and_split(work))
    return lambda first_seed: [float(1 - mse / work.test_y.var()) for mse in job(first_seed)]


def _classifier(model, optimizer, work, budget):
    scores = {"accuracy": jnn.metrics.accuracy}
    rows = rows_and_split(work, ids=True, task="classification", target_names=[str(i) for i in range(65)])
    return _job(model, jnn.losses.softmax_cross_entropy, optimizer, scores, budget, rows)


def _job(model, loss, optimizer, metrics, budget, rows):
    jnn.use_cpu_cores()
    study = jnn.Study(
        model=model,
        loss=loss,
        optimizer=optimizer,
        metrics=metrics,
        epochs=budget.epochs,
        batch_size=budget.batch_size,
        evaluate_every=budget.epochs,
    )
    data, split = rows

    def job(first_seed):
        result = jnn.run(study, data, jnn.seeds(budget.members, first=first_seed) * split)
        return np.ravel(result.final()[next(iter(metrics))].values).tolist()

    return job
