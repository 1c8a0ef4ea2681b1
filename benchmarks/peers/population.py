"""jnn: a population of any network by one call of `jnn.run`, host work included.

It is scored once, after the last epoch, as its peers are.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import optax

import jnn
from benchmarks.calls import Call
from benchmarks.work import LEARNING_RATE, Budget, Workload
from benchmarks.workloads import WORKLOADS, all_rows


def jnn_run(
    work: Workload, budget: Budget, devices: int | None = None
) -> Callable[[int], list[float]]:
    model, options = _model_and_options(work)
    study = jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        hyper={"learning_rate": LEARNING_RATE},
        **schedule(budget),
    )
    return make_job(study, *data_and_fold(work, **options), budget, "accuracy", devices)


def on_devices(*, members, workload, epochs, batch_size, devices):
    """Whole runs of a population on the first so many devices, as a single call."""
    budget = Budget(members, epochs, batch_size)
    job = jnn_run(WORKLOADS[workload](), budget, devices)
    seed = 0

    def play(count):
        nonlocal seed
        for _ in range(count):
            scores = job(seed)
            seed += members
        return [sum(scores) / len(scores)]

    play(1)  # compiles
    return Call(play)


def schedule(budget: Budget) -> Mapping[str, Any]:
    """Return the fields of a study that the budget sets; it is scored once, as its peers are."""
    return {
        "epochs": budget.epochs,
        "batch_size": budget.batch_size,
        "evaluate_every": budget.epochs,
    }


def make_job(study, data, fold, budget, score, devices=None) -> Callable[[int], list[float]]:
    """Make `job(first_seed) -> scores` for a study on data and a fold."""
    jnn.use_cpu_cores()
    local_devices = jax.local_devices()[:devices]

    def job(first_seed):
        members = jnn.seeds(budget.members, first=first_seed) * fold
        result = jnn.run(study, data, members, devices=local_devices)
        return np.ravel(result.final()[score].values).tolist()

    return job


def data_and_fold(work: Workload, **options):
    """Return the rows and the split that all contenders have."""
    data = jnn.Dataset.from_arrays(*all_rows(work), **options)
    train, test = np.split(np.arange(data.rows), [len(work.train_x)])
    return data, jnn.folds([(train, test)])


def _model_and_options(work):
    """Return the network of a workload, and the options of its data."""
    models = jnn.models
    vit = {"patch": 2, "layers": 2, "num_heads": 2, "features": 32}
    gpt = {"layers": 2, "num_heads": 2, "features": 32}
    makers = {
        "mlp": partial(models.MLP, work.sizes[0], work.sizes[1:-1], work.sizes[-1]),
        "lenet": partial(models.LeNet, (28, 28, 1), 10),
        "recurrent": partial(models.SequenceClassifier, (8, 8), 32, 10),
        "vit": partial(models.ViT, (8, 8, 1), 10, **vit),
        "residual": partial(models.ResNet, 1, 10, 8),
        "text": partial(models.TextCNN, 65, 10, maps=8, features=16),
        "tokens": partial(models.GPT, 17, 63, **gpt),
    }
    options = {"text": {"ids": True}, "tokens": {"ids": True, "task": "classification"}}
    return makers[work.network], options.get(work.network, {})
