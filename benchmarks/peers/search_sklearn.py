"""Scikit-learn: RandomizedSearchCV of its own MLPClassifier, the fits spread over two processes."""

import warnings

from scipy.stats import loguniform
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RandomizedSearchCV
from sklearn.neural_network import MLPClassifier

from benchmarks.workloads import SEARCH_FOLDS, SEARCH_RATES, all_rows


def search(work, budget):
    warnings.simplefilter(
        "ignore", ConvergenceWarning
    )  # the number of epochs is given, not reached
    net = MLPClassifier(
        work.sizes[1:-1], alpha=0.0, batch_size=budget.batch_size, max_iter=budget.epochs, tol=0.0,
        n_iter_no_change=budget.epochs + 1,
    )  # fmt: skip

    def job(first_seed):
        rates, count = (
            {"learning_rate_init": loguniform(*SEARCH_RATES)},
            budget.members // SEARCH_FOLDS,
        )
        found = RandomizedSearchCV(net, rates, n_iter=count, cv=SEARCH_FOLDS, n_jobs=2, refit=False,
                                   random_state=first_seed)  # fmt: skip
        scores = found.fit(*all_rows(work)).cv_results_
        return [float(a) for fold in range(SEARCH_FOLDS) for a in scores[f"split{fold}_test_score"]]

    return job
