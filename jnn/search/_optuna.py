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
        objectives: Number of scores that a setting is told; set before the first setting is asked
            for.
    """

    def __init__(self, space: Space, sampler: Any, batch: int) -> None:
        self.batch = batch
        self.objectives = 1
        self._space = space
        self._sampler = sampler
        self._running: list[optuna_.Trial] = []
        self._has_ended = False
        self._study_of_trials: Any = None

    def ask(self, n: int) -> Sequence[Setting]:
        """Return n settings; the sampler knows of those that are still in training.

        There are none once the sampler has named all combinations.

        Raises:
            ValueError: If there are several metrics, and the sampler learns from one.
        """
        if self._has_ended:
            return []
        trials = [self._study.ask() for _ in range(n)]
        try:
            settings = [self._suggest(trial) for trial in trials]
        except ValueError as error:
            if "multi-objective" not in str(error):
                raise
            raise ValueError(
                f"metric must be one name for {type(self._sampler).__name__}, which learns from "
                f"one score, got {self.objectives} metrics. Use e.g. jnn.search.nsga2()."
            ) from error
        self._running += trials
        return settings

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the means; the standard errors are user attributes of the trials.

        Settings that the sampler has not asked for are told as trials of their own.
        """
        from optuna.trial import TrialState

        for setting, score in zip(settings, scores, strict=True):
            trial = self._trial(setting)
            trial.set_user_attr("standard_error", float(score.error))
            values = [score.mean, *score.others]
            if np.isnan(values).any():
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, values)

    def ended_early(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the scores of settings whose training was ended, as those of pruned trials."""
        from optuna.trial import TrialState

        for setting, score in zip(settings, scores, strict=True):
            trial = self._trial(setting)
            if self.objectives == 1 and not np.isnan(score.mean):
                trial.report(score.mean, step=score.epoch)
            self._study.tell(trial, state=TrialState.PRUNED)

    @property
    def _study(self) -> Any:
        """The study of Optuna, made when the number of objectives is known."""
        if self._study_of_trials is None:
            study = _create_study(self._sampler, self.objectives)
            study.stop = self._end  # which samplers call that have named all combinations
            self._study_of_trials = study
        return self._study_of_trials

    def _end(self) -> None:
        self._has_ended = True

    def _trial(self, setting: Setting) -> "optuna_.Trial":
        """Return the trial of a setting, a new one if the sampler has not asked for it."""
        for trial in self._running:
            if trial.params == dict(setting):
                self._running.remove(trial)
                return trial
        self._study.enqueue_trial(dict(setting))
        trial = self._study.ask()
        self._suggest(trial)
        return trial

    def _suggest(self, trial: "optuna_.Trial") -> Setting:
        def choose(name: str, distribution: Any) -> Any:
            if isinstance(distribution, Choice):
                return trial.suggest_categorical(name, distribution.options)
            is_log = isinstance(distribution, LogUniform)
            return trial.suggest_float(name, distribution.low, distribution.high, log=is_log)

        return self._space.setting(choose)


def optuna(sampler: "Callable[[int], Any] | Any", *, batch: int = 32) -> Maker:
    """Return the strategy that asks any Optuna sampler for a batch of settings at a time.

    In a search by several metrics the sampler is told all of them, each to be maximized, with the
    sign changed where lower values are better.

    Args:
        sampler: A sampler, such as `optuna.samplers.TPESampler(seed=0)`, its class, or a function
            of a seed that makes one. A sampler that was given no seed cannot be resumed with the
            same settings.
        batch: Number of settings to ask for at once.

    Raises:
        TypeError: If it is no sampler.
    """
    batch = check_integer("batch", batch, least=1)
    if not callable(sampler):
        _check_sampler(sampler)

    def make(space: Space, seed: int) -> OptunaStrategy:
        made = sampler
        if isinstance(sampler, type):
            made = sampler(seed=seed)
        elif callable(sampler):
            made = sampler(seed)
        _check_sampler(made)
        return OptunaStrategy(space, made, batch)

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
    """Return Bayesian optimization by a Gaussian process, Optuna's GPSampler, which needs PyTorch.

    Args:
        batch: Number of settings to ask for at once.
    """

    def sampler(seed: int) -> Any:
        import torch  # noqa: F401  # Optuna imports it only when it asks
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
        import cmaes  # noqa: F401  # Optuna imports it only when it asks
        from optuna.samplers import CmaEsSampler

        with _quiet():
            return CmaEsSampler(seed=seed, popsize=batch, warn_independent_sampling=False)

    return optuna(_with_sentence(sampler), batch=batch)


def nsga2(*, batch: int = 32) -> Maker:
    """Return the genetic algorithm that looks for a whole Pareto front, Optuna's NSGAIISampler.

    It is for a search by several metrics, such as
    `jnn.search.run(..., metric=("accuracy", "parameters"))`; with one metric it is a plain genetic
    algorithm.

    Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (2002),
    https://doi.org/10.1109/4235.996017

    Args:
        batch: Number of settings to ask for at once, the population.
    """
    check_integer("batch", batch, least=2)

    def sampler(seed: int) -> Any:
        from optuna.samplers import NSGAIISampler

        with _quiet():
            return NSGAIISampler(seed=seed, population_size=batch)

    return optuna(_with_sentence(sampler), batch=batch)


def _check_sampler(sampler: Any) -> None:
    if not hasattr(sampler, "sample_relative"):
        raise TypeError(
            "sampler must be a sampler of Optuna, such as optuna.samplers.TPESampler(seed=0), or a "
            f"function of a seed that makes one, got {sampler!r}."
        )


def _create_study(sampler: Any, objectives: int) -> Any:
    import optuna as library

    level = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        with _quiet():
            directions = [library.study.StudyDirection.MAXIMIZE] * objectives
            return library.create_study(directions=directions, sampler=sampler)
    finally:
        library.logging.set_verbosity(level)


def _with_sentence(make: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return a maker that names the extra to install where a library is missing."""

    def made(seed: int) -> Any:
        try:
            return make(seed)
        except ModuleNotFoundError as error:
            package = "torch" if error.name == "torch" else "'jnn-jax[search]'"
            raise ImportError(
                f"This strategy needs {error.name}. Install it with: pip install {package}"
            ) from error

    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Optuna says of experimental arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
