"""jnn: all members by one call of `jnn.run`, host work included; scored once, after the last epoch, as peers are."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
import optax

import jnn
from benchmarks.workloads import LEARNING_RATE, Budget, Workload, all_rows


def digits(
    work: Workload, budget: Budget, devices: int | None = None
) -> Callable[[int], list[float]]:
    inputs, *hidden, outputs = work.sizes
    return _job(partial(jnn.models.MLP, inputs, tuple(hidden), outputs), work, budget, devices)


small = wide = flat = digits


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(partial(jnn.models.LeNet, (28, 28, 1), 10), work, budget)


def recurrent(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(partial(jnn.models.SequenceClassifier, (8, 8), 32, 10), work, budget)


def patches(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    sizes = {"patch": 2, "layers": 2, "num_heads": 2, "features": 32}
    return _job(partial(jnn.models.ViT, (8, 8, 1), 10, **sizes), work, budget)


def residual(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(partial(jnn.models.ResNet, 1, 10, 8), work, budget)


def text(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(partial(jnn.models.TextCNN, 65, 10, maps=8, features=16), work, budget, ids=True)


def tokens(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    model = partial(jnn.models.GPT, 17, 63, layers=2, num_heads=2, features=32)
    return _job(model, work, budget, ids=True, task="classification")


def _job(model, work, budget, devices=None, **options):
    study = jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        hyper={"learning_rate": LEARNING_RATE},
        **lengths(budget),
    )
    return job_of(study, rows_and_split(work, **options), budget, "accuracy", devices)


def lengths(budget):
    """What of a study the budget says; it is scored once, as the peers are."""
    return {
        "epochs": budget.epochs,
        "batch_size": budget.batch_size,
        "evaluate_every": budget.epochs,
    }


def job_of(study, rows, budget, score, devices=None):
    """`job(first_seed) -> scores`: the seeds of the budget on the data and split that `rows` holds."""
    jnn.use_cpu_cores()
    (data, split), chosen = rows, jax.local_devices()[:devices]

    def job(first_seed):
        result = jnn.run(
            study, data, jnn.seeds(budget.members, first=first_seed) * split, devices=chosen
        )
        return np.ravel(result.final()[score].values).tolist()

    return job


def rows_and_split(work, **options):
    """The same rows and the same split as everyone else's."""
    data = jnn.Dataset.from_arrays(*all_rows(work), **options)
    rows = np.arange(data.rows)
    return data, jnn.folds([tuple(np.split(rows, [len(work.train_x)]))])
