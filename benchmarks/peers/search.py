"""A random search of learning rates on three folds: jnn, scikit-learn and PyTorch."""

import numpy as np

from benchmarks.work import Budget, Workload
from benchmarks.workloads import SEARCH_FOLDS, SEARCH_RATES, all_rows


def jnn(work: Workload, budget: Budget):
    """jnn: every setting on every fold, as one population."""
    from functools import partial

    import optax

    import jnn
    from benchmarks.peers.population import schedule

    jnn.use_cpu_cores()
    inputs, *hidden, outputs = work.sizes
    study = jnn.Study(
        model=partial(jnn.models.MLP, inputs, tuple(hidden), outputs),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        **schedule(budget),
    )
    data = jnn.Dataset.from_arrays(*all_rows(work))

    def job(first_seed):
        count = budget.members // SEARCH_FOLDS
        rates = jnn.log_uniform(*SEARCH_RATES)
        members = jnn.sample(count, seed=first_seed, learning_rate=rates) * jnn.folds(SEARCH_FOLDS)
        result = jnn.run(study, data, members)
        return np.ravel(result.final()["accuracy"].values).tolist()

    return job


def scikit_learn(work: Workload, budget: Budget):
    """Scikit-learn: RandomizedSearchCV of its own MLPClassifier, in two processes."""
    import warnings

    from scipy.stats import loguniform
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    # The number of epochs is fixed, so that no fit converges.
    warnings.simplefilter("ignore", ConvergenceWarning)
    net = MLPClassifier(
        work.sizes[1:-1],
        alpha=0.0,
        batch_size=budget.batch_size,
        max_iter=budget.epochs,
        tol=0.0,
        n_iter_no_change=budget.epochs + 1,
    )

    def job(first_seed):
        search = RandomizedSearchCV(
            net,
            {"learning_rate_init": loguniform(*SEARCH_RATES)},
            n_iter=budget.members // SEARCH_FOLDS,
            cv=SEARCH_FOLDS,
            n_jobs=2,
            refit=False,
            random_state=first_seed,
        )
        results = search.fit(*all_rows(work)).cv_results_
        folds = [results[f"split{fold}_test_score"] for fold in range(SEARCH_FOLDS)]
        return np.concatenate(folds).tolist()

    return job


def torch(work: Workload, budget: Budget):
    """PyTorch: a loop over settings and scikit-learn's folds, eager."""
    from dataclasses import replace

    import torch
    from sklearn.model_selection import StratifiedKFold

    from benchmarks.peers import nets_torch

    x, y = all_rows(work)
    folds = [
        replace(work, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])
        for train, test in StratifiedKFold(SEARCH_FOLDS).split(x, y)
    ]

    def job(first_seed):
        torch.manual_seed(first_seed)
        random = np.random.default_rng(first_seed)
        rates = np.exp(random.uniform(*np.log(SEARCH_RATES), budget.members // SEARCH_FOLDS))
        scores = []
        for rate in rates:
            for fold in folds:
                net = nets_torch.mlp(sizes=work.sizes)
                scores.append(nets_torch.train(net, fold, budget, learning_rate=float(rate)))
        return scores

    return job
