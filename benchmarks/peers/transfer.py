"""Heads on a frozen trunk: few-shot curves of digits, by every library on the same features.

The trunk is a network 64-512-512 of fixed random kernels, whose features are computed once in each
job. A member is a split and a number of labels. Those who fine-tune train the trunk as well.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks.work import Budget, Workload
from benchmarks.workloads import HEADS_LABELS, HEADS_TEST_SHARE, all_rows

Job = Callable[[int], list[float]]

_LENGTH = 8.0  # of the features of a row, for which the penalty of C = 1 is about right


def kernels(work: Workload) -> list[np.ndarray]:
    """Return the kernels of the trunk, of the variance of He et al."""
    random = np.random.default_rng(0)
    sizes = work.sizes[:-1]
    return [
        (random.normal(size=pair) * np.sqrt(2 / pair[0])).astype(np.float32)
        for pair in itertools.pairwise(sizes)
    ]


def features(work: Workload, x: np.ndarray) -> np.ndarray:
    """Return the features of rows, all of one length, as embeddings have it."""
    for kernel in kernels(work):
        x = np.maximum(x @ kernel, 0)
    return _LENGTH * x / np.linalg.norm(x, axis=1, keepdims=True)


def jnn(work: Workload, budget: Budget) -> Job:
    """jnn: `jnn.transfer.run` with linear probes."""
    import jnn

    jnn.use_cpu_cores()
    data = jnn.Dataset.from_arrays(*all_rows(work))

    def trunk(x):
        return features(work, x)

    def job(first_seed):
        few = jnn.transfer.run(
            trunk, data, members=_members(budget, first_seed), labels=HEADS_LABELS
        )
        return np.ravel(few.result.final()["accuracy"].values).tolist()

    return job


def jnn_tuned(work: Workload, budget: Budget) -> Job:
    """jnn: the same members, each of which fine-tunes the whole network."""
    import jax
    import jax.numpy as jnp
    import optax

    import jnn

    jnn.use_cpu_cores()
    data = jnn.Dataset.from_arrays(*all_rows(work))
    trunk = kernels(work)

    def init(key, x):
        head = jnp.zeros((work.sizes[-2], work.sizes[-1]))
        return {"trunk": [jnp.asarray(kernel) for kernel in trunk], "head": head}

    def apply(params, x):
        for kernel in params["trunk"]:
            x = jax.nn.relu(x @ kernel)
        return x @ params["head"]

    study = jnn.Study(
        (init, apply),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-3),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=budget.epochs,
        batch_size=budget.batch_size,
        evaluate_every=budget.epochs,
    )

    def job(first_seed):
        members = _members(budget, first_seed)
        few = jnn.transfer.run(lambda x: x, data, study, members, labels=HEADS_LABELS)
        return np.ravel(few.result.final()["accuracy"].values).tolist()

    return job


def scikit_learn(work: Workload, budget: Budget) -> Job:
    """Scikit-learn: a loop of LogisticRegression."""
    from sklearn.linear_model import LogisticRegression

    x, y = all_rows(work)

    def job(first_seed):
        seen = features(work, x)
        scores = []
        for train, test in _splits(y, budget, first_seed):
            model = LogisticRegression().fit(seen[train], y[train])
            scores.append(model.score(seen[test], y[test]))
        return scores

    return job


def torch(work: Workload, budget: Budget) -> Job:
    """PyTorch: a loop that fine-tunes the whole network of each member, eager."""
    import torch

    from benchmarks.peers import nets_torch

    x, y = all_rows(work)
    most = max(HEADS_LABELS)

    def job(first_seed):
        scores = []
        for train, test in _splits(y, budget, first_seed):
            rows = np.resize(train, most)  # as many steps for every number of labels
            fold = replace(work, train_x=x[rows], train_y=y[rows], test_x=x[test], test_y=y[test])
            net = nets_torch.mlp(sizes=work.sizes)
            with torch.no_grad():
                layers = [layer for layer in net if hasattr(layer, "weight")]
                for layer, kernel in zip(layers, kernels(work), strict=False):
                    layer.weight.copy_(torch.from_numpy(kernel.T))
                    layer.bias.zero_()
            scores.append(nets_torch.train(net, fold, budget))
        return scores

    return job


def _members(budget: Budget, seed: int):
    from sklearn.model_selection import StratifiedShuffleSplit

    import jnn

    count = budget.members // len(HEADS_LABELS)
    splitter = StratifiedShuffleSplit(count, test_size=HEADS_TEST_SHARE, random_state=seed)
    return jnn.folds(splitter)


def _splits(y: np.ndarray, budget: Budget, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the labeled rows and the test rows of each member."""
    from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

    count = budget.members // len(HEADS_LABELS)
    splitter = StratifiedShuffleSplit(count, test_size=HEADS_TEST_SHARE, random_state=seed)
    for pool, test in splitter.split(np.zeros(len(y)), y):
        for size in HEADS_LABELS:
            labeled, _ = train_test_split(
                pool, train_size=size, stratify=y[pool], random_state=seed
            )
            yield labeled, test
