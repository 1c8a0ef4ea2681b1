"""Optuna's samplers as strategies that are asked for a batch at a time."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._settings import check_integer
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score
from jnn.study import Choice, LogUniform

if TYPE_CHECKING:
    import optuna as optuna_


class OptunaStrategy:
    """A sampler of Optuna.

    Attributes:
        batch: Number of settings to ask for at once.
    """

    def __init__(self, space: Space, sampler: Any, batch: int) -> None:
        self.batch = batch
        self._space = space
        self._study = _create_study(sampler)
        self._trials: list[optuna_.Trial] = []

    def ask(self, n: int) -> Sequence[Setting]:
        """Return n settings; the sampler knows of those that are still in training."""
        self._trials = [self._study.ask() for _ in range(n)]
        return [self._suggest(trial) for trial in self._trials]

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the means; the standard errors are user attributes of the trials."""
        from optuna.trial import TrialState

        remaining = list(self._trials)
        for setting, score in zip(settings, scores, strict=True):
            trial = next(trial for trial in remaining if trial.params == dict(setting))
            remaining.remove(trial)
            trial.set_user_attr("standard_error", float(score.error))
            if np.isnan(score.mean):
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, score.mean)
        for trial in remaining:  # whose training was ended early
            self._study.tell(trial, state=TrialState.PRUNED)

    def _suggest(self, trial: "optuna_.Trial") -> Setting:
        def choose(name: str, distribution: Any) -> Any:
            if isinstance(distribution, Choice):
                return trial.suggest_categorical(name, distribution.options)
            is_log = isinstance(distribution, LogUniform)
            return trial.suggest_float(name, distribution.low, distribution.high, log=is_log)

        return self._space.setting(choose)


def optuna(sampler: "Callable[[int], Any] | Any", *, batch: int = 32) -> Maker:
    """Return the strategy that asks any Optuna sampler for a batch of settings at a time.

    Args:
        sampler: A sampler, such as `optuna.samplers.TPESampler(seed=0)`, or a function of a seed
            that makes one. A sampler without a seed cannot be resumed with the same settings.
        batch: Number of settings to ask for at once.
    """
    batch = check_integer("batch", batch, least=1)

    def make(space: Space, seed: int) -> OptunaStrategy:
        is_sampler = hasattr(sampler, "sample_relative")
        return OptunaStrategy(space, sampler if is_sampler else sampler(seed), batch)

    return make


def tpe(*, batch: int = 32) -> Maker:
    """Return the tree-structured Parzen estimator, multivariate and aware of running trials.

    Bergstra et al., Algorithms for Hyper-Parameter Optimization (2011), as in Optuna's TPESampler.

    Args:
        batch: Number of settings to ask for at once.
    """

    def sampler(seed: int) -> Any:
        from optuna.samplers import TPESampler

        with _quiet():
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    return optuna(_with_sentence(sampler), batch=batch)


def gp(*, batch: int = 8) -> Maker:
    """Return Bayesian optimization by a Gaussian process, Optuna's GPSampler.

    Args:
        batch: Number of settings to ask for at once.
    """

    def sampler(seed: int) -> Any:
        from optuna.samplers import GPSampler

        with _quiet():
            return GPSampler(seed=seed)

    return optuna(_with_sentence(sampler), batch=batch)


def cma_es(*, batch: int = 16) -> Maker:
    """Return the evolution strategy with adapted covariances, Optuna's CmaEsSampler.

    It varies ranges only; choices are drawn at random.

    Hansen, The CMA Evolution Strategy (2016), https://arxiv.org/abs/1604.00772

    Args:
        batch: Number of settings to ask for at once, the population.
    """

    def sampler(seed: int) -> Any:
        from optuna.samplers import CmaEsSampler

        with _quiet():
            return CmaEsSampler(seed=seed, popsize=batch)

    return optuna(_with_sentence(sampler), batch=batch)


def _create_study(sampler: Any) -> Any:
    import optuna as library

    level = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        with _quiet():
            return library.create_study(direction="maximize", sampler=sampler)
    finally:
        library.logging.set_verbosity(level)


def _with_sentence(make: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return a maker that names the extra to install where a library is missing."""

    def made(seed: int) -> Any:
        try:
            return make(seed)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"This strategy needs {error.name}. Install it with: pip install 'jnn-jax[search]'"
            ) from error

    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Optuna says of experimental arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
