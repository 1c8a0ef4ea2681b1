"""A random search of learning rate and L2 penalty on five folds, whole searches by each library.

All search the same rows, train every setting on every fold with Adam, whose gradient has the
penalty added, and score it once, at the end. The scores of a job are those of the settings, which
are independent of each other, unlike those of folds. jnn does more than is asked for: it trains the
winner anew with ten seeds and scores it on other rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.work import Budget, Workload
from benchmarks.workloads import (
    SETTINGS_DECAYS,
    SETTINGS_FOLDS,
    SETTINGS_RATES,
    SETTINGS_TEST_SHARE,
    all_rows,
    digits,
)

Job = Callable[[int], list[float]]


def jnn(work: Workload, budget: Budget) -> Job:
    """jnn: `jnn.search.run`, with the winner trained anew."""
    import optax

    import jnn
    from benchmarks.peers.population import schedule

    jnn.use_cpu_cores()
    inputs, *hidden, outputs = work.sizes
    study = jnn.Study(
        model=partial(jnn.models.MLP, inputs, tuple(hidden), outputs),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.chain(
            optax.add_decayed_weights(h.weight_decay), optax.adam(h.learning_rate)
        ),
        metrics={"accuracy": jnn.metrics.accuracy},
        **schedule(budget),
    )
    data = jnn.Dataset.from_arrays(*all_rows(digits()))
    space = jnn.search.space(
        learning_rate=jnn.log_uniform(*SETTINGS_RATES),
        weight_decay=jnn.log_uniform(*SETTINGS_DECAYS),
    )
    count = _settings(budget)

    def job(first_seed):
        found = jnn.search.run(
            lambda c: study,
            data,
            space,
            by=jnn.search.random(batch=count),
            trials=count,
            folds=SETTINGS_FOLDS,
            test=SETTINGS_TEST_SHARE,
            seed=first_seed,
        )
        return [trial.score.mean for trial in found.trials]

    return job


def scikit_learn(work: Workload, budget: Budget) -> Job:
    """Scikit-learn: RandomizedSearchCV of its own MLPClassifier, in two processes.

    Its penalty is divided by the number of rows in a batch.
    """
    import warnings

    from scipy.stats import loguniform
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    # The number of epochs is fixed, so that no fit converges.
    warnings.simplefilter("ignore", ConvergenceWarning)
    net = MLPClassifier(
        work.sizes[1:-1],
        batch_size=budget.batch_size,
        max_iter=budget.epochs,
        tol=0.0,
        n_iter_no_change=budget.epochs + 1,
    )
    alphas = [bound * budget.batch_size for bound in SETTINGS_DECAYS]
    distributions = {
        "learning_rate_init": loguniform(*SETTINGS_RATES),
        "alpha": loguniform(*alphas),
    }

    def job(first_seed):
        search = RandomizedSearchCV(
            net,
            distributions,
            n_iter=_settings(budget),
            cv=SETTINGS_FOLDS,
            n_jobs=2,
            refit=False,
            random_state=first_seed,
        )
        return search.fit(*all_rows(work)).cv_results_["mean_test_score"].tolist()

    return job


def torch(work: Workload, budget: Budget) -> Job:
    """Optuna drives an eager loop of PyTorch, whose rows lie in tensors."""
    import torch

    from benchmarks.peers import nets_torch

    folds = list(_folds(work))

    def scores(rate, decay, seed):
        torch.manual_seed(seed)
        return [
            nets_torch.train(nets_torch.mlp(sizes=work.sizes), fold, budget, rate, decay)
            for fold in folds
        ]

    return _driven_by_optuna(scores, budget)


def linen(work: Workload, budget: Budget) -> Job:
    """Optuna drives Flax: a jitted step in a Python loop, as in Flax's own examples.

    The learning rate and the penalty are arguments of the step, so that it compiles once.
    """
    import jax

    from benchmarks.peers import nets_linen
    from benchmarks.peers.population_loops import shuffled_batches

    net = nets_linen.mlp(sizes=work.sizes)
    folds = _as_arrays(_folds(work))
    start = jax.jit(_start_linen(net))
    accuracy = jax.jit(nets_linen.accuracy)

    @partial(jax.jit, donate_argnums=0)
    def step(state, x, y, rows):
        return nets_linen.update(state, x[rows], y[rows])[0]

    def scores(rate, decay, seed):
        values = []
        for fold, (x, y, test_x, test_y) in enumerate(folds):
            state = start(jax.random.key(seed + fold), rate, decay)
            for rows in shuffled_batches(seed + fold, len(x), budget):
                state = step(state, x, y, rows)
            values.append(accuracy(state, test_x, test_y))
        return [float(value) for value in values]

    return _driven_by_optuna(scores, budget)


def linen_scan(work: Workload, budget: Budget) -> Job:
    """Optuna drives Flax: the whole training of a network is one program, of scans.

    Each epoch has full batches; the last one is filled up with rows of the first.
    """
    import jax
    import jax.numpy as jnp

    from benchmarks.peers import nets_linen

    net = nets_linen.mlp(sizes=work.sizes)
    folds = _as_arrays(_folds(work))
    start = _start_linen(net)
    batches = -(-len(folds[0][0]) // budget.batch_size)

    @jax.jit
    def train(key, rate, decay, x, y, test_x, test_y):
        def step(state, rows):
            return nets_linen.update(state, x[rows], y[rows])[0], None

        def epoch(state, key):
            order = jax.random.permutation(key, len(x))
            return jax.lax.scan(step, state, jnp.resize(order, (batches, budget.batch_size)))

        first, key = jax.random.split(key)
        state = start(first, rate, decay)
        state, _ = jax.lax.scan(epoch, state, jax.random.split(key, budget.epochs))
        return nets_linen.accuracy(state, test_x, test_y)

    def scores(rate, decay, seed):
        keys = jax.random.split(jax.random.key(seed), len(folds))
        values = [train(key, rate, decay, *fold) for key, fold in zip(keys, folds, strict=True)]
        return [float(value) for value in values]

    return _driven_by_optuna(scores, budget)


def _start_linen(net):
    """Return `start(key, rate, decay)`, a state whose optimizer takes both as numbers."""
    import jax.numpy as jnp
    import optax

    from benchmarks.peers import nets_linen

    @optax.inject_hyperparams
    def optimizer(rate, decay):
        return optax.chain(optax.add_decayed_weights(decay), optax.adam(rate))

    def start(key, rate, decay):
        return nets_linen.start(net, optimizer(rate, decay), key, jnp.zeros((1, 64)))

    return start


def _driven_by_optuna(scores, budget: Budget) -> Job:
    """Return a job that lets Optuna draw settings, one after the other.

    Args:
        scores: `scores(rate, decay, seed)` on each fold.
        budget: How many members to train.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def job(first_seed):
        def objective(trial):
            rate = trial.suggest_float("rate", *SETTINGS_RATES, log=True)
            decay = trial.suggest_float("decay", *SETTINGS_DECAYS, log=True)
            return float(np.mean(scores(rate, decay, first_seed + trial.number * SETTINGS_FOLDS)))

        sampler = optuna.samplers.RandomSampler(seed=first_seed)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        study.optimize(objective, n_trials=_settings(budget))
        return [trial.value for trial in study.trials]

    return job


def _settings(budget: Budget) -> int:
    """Return the number of settings whose folds are the members; at least one."""
    return max(1, budget.members // SETTINGS_FOLDS)


def _folds(work: Workload) -> Iterator[Workload]:
    """Yield the folds of all rows, each with as many rows to train as the smallest."""
    from sklearn.model_selection import StratifiedKFold

    x, y = all_rows(work)
    folds = list(StratifiedKFold(SETTINGS_FOLDS).split(x, y))
    fewest = min(len(train) for train, _ in folds)
    least = min(len(test) for _, test in folds)
    for train, test in folds:
        train, test = train[:fewest], test[:least]
        yield replace(work, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])


def _as_arrays(folds: Iterator[Workload]):
    import jax

    parts = ((fold.train_x, fold.train_y, fold.test_x, fold.test_y) for fold in folds)
    return [tuple(map(jax.numpy.asarray, part)) for part in parts]
