"""What is trained: studies, members, folds and optimizers."""

from jnn.study._check_study import check_call, check_optimizer
from jnn.study._distributions import (
    Choice,
    Distribution,
    LogUniform,
    Uniform,
    choice,
    log_uniform,
    uniform,
)
from jnn.study._fold import Fold
from jnn.study._holdout import part_off
from jnn.study._keywords import POSITIONAL, keywords_asked
from jnn.study._kind import Kind, kind_for
from jnn.study._members import (
    Members,
    folds,
    grid,
    holdout,
    narrow,
    sample,
    seeds,
)
from jnn.study._optimizer import as_optimizer
from jnn.study._saved_folds import SavedFolds
from jnn.study._splits import Split, cross_validation
from jnn.study._study import Study
from jnn.study._types import Augment, Loss, Objective, OptimizerFactory, PathLike, Penalty

__all__ = [
    "POSITIONAL",
    "Augment",
    "Choice",
    "Distribution",
    "Fold",
    "Kind",
    "LogUniform",
    "Loss",
    "Members",
    "Objective",
    "OptimizerFactory",
    "PathLike",
    "Penalty",
    "SavedFolds",
    "Split",
    "Study",
    "Uniform",
    "as_optimizer",
    "check_call",
    "check_optimizer",
    "choice",
    "cross_validation",
    "folds",
    "grid",
    "holdout",
    "keywords_asked",
    "kind_for",
    "log_uniform",
    "narrow",
    "part_off",
    "sample",
    "seeds",
    "uniform",
]
