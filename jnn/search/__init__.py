"""Searches: many settings, many shapes, one honest winner.

space = jnn.search.space(learning_rate=jnn.log_uniform(1e-4, 1e-1), width=jnn.choice(32, 64))
found = jnn.search.run(study_of, data, space, by=jnn.search.tpe(), trials=64, folds=5)
"""

from jnn.search import discrete as discrete
from jnn.search import zero_cost as zero_cost
from jnn.search._batch import Batch
from jnn.search._bohb import bohb
from jnn.search._cohort import Cohort
from jnn.search._darts import darts, strongest
from jnn.search._dehb import dehb
from jnn.search._estimate import Estimate
from jnn.search._evolution import evolution, reinforce
from jnn.search._found import Found, Trial
from jnn.search._halving import halving, hyperband
from jnn.search._loop import SearchStatus
from jnn.search._one_shot import one_shot
from jnn.search._optuna import cma_es, gp, nsga2, optuna, tpe
from jnn.search._pbt import population_based
from jnn.search._race import racing
from jnn.search._record import rounds_of
from jnn.search._report import compare, relative_improvement
from jnn.search._run import run
from jnn.search._samplers import grid, listed, random, sobol
from jnn.search._space import Choices, Setting, Space, space, when
from jnn.search._strategy import Driver, Maker, Multifidelity, Scheduled, Score, Strategy

__all__ = [
    "Batch",
    "Choices",
    "Cohort",
    "Driver",
    "Estimate",
    "Found",
    "Maker",
    "Multifidelity",
    "Scheduled",
    "Score",
    "SearchStatus",
    "Setting",
    "Space",
    "Strategy",
    "Trial",
    "bohb",
    "cma_es",
    "compare",
    "darts",
    "dehb",
    "discrete",
    "evolution",
    "gp",
    "grid",
    "halving",
    "hyperband",
    "listed",
    "nsga2",
    "one_shot",
    "optuna",
    "population_based",
    "racing",
    "random",
    "reinforce",
    "relative_improvement",
    "rounds_of",
    "run",
    "sobol",
    "space",
    "strongest",
    "tpe",
    "when",
    "zero_cost",
]
