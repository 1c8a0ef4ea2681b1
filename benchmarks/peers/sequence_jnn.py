"""jnn: populations of sequence models, on the rows and with the optimizers that the peers have."""

import functools

import jax
import optax

import jnn
from benchmarks.peers.jnn_population import job_of, lengths, rows_and_split
from benchmarks.sequence_data import HORIZON, INPUT, LENGTH

_MATRICES = functools.partial(jax.tree.map, lambda p: p.ndim >= 2)


def gpt(work, budget):
    """The configuration that nanoGPT gives for a CPU, at a constant rate."""
    optimizer = optax.adamw(1e-3, b2=0.99, weight_decay=0.1, mask=_MATRICES)
    sizes = {"layers": 4, "num_heads": 4, "features": 128, "use_bias": False}
    model = functools.partial(jnn.models.GPT, 65, LENGTH, **sizes)
    return _classifier(model, optax.chain(optax.clip_by_global_norm(1.0), optimizer), work, budget)


def lstm(work, budget):
    return _classifier(
        functools.partial(jnn.models.LanguageModel, 65, 128), optax.adam(1e-3), work, budget
    )


def dlinear(work, budget):
    model = functools.partial(jnn.models.DLinear, INPUT, HORIZON)
    metrics = {"mse": jnn.metrics.mse}
    study = jnn.Study(
        model, jnn.losses.squared_error, optax.adam(5e-3), metrics=metrics, **lengths(budget)
    )
    job = job_of(study, rows_and_split(work), budget, "mse")
    return lambda first_seed: [float(1 - mse / work.test_y.var()) for mse in job(first_seed)]


def _classifier(model, optimizer, work, budget):
    metrics = {"accuracy": jnn.metrics.accuracy}
    study = jnn.Study(
        model, jnn.losses.softmax_cross_entropy, optimizer, metrics=metrics, **lengths(budget)
    )
    rows = rows_and_split(
        work, ids=True, task="classification", target_names=[str(i) for i in range(65)]
    )
    return job_of(study, rows, budget, "accuracy")
