"""What is trained: studies, members, folds and optimizers."""

from jnn.study._holdout import Kind as Kind
from jnn.study._holdout import kind_for as kind_for
from jnn.study._holdout import part_off as part_off
from jnn.study._members import Members as Members
from jnn.study._members import choice as choice
from jnn.study._members import folds as folds
from jnn.study._members import grid as grid
from jnn.study._members import holdout as holdout
from jnn.study._members import log_uniform as log_uniform
from jnn.study._members import narrow as narrow
from jnn.study._members import sample as sample
from jnn.study._members import seeds as seeds
from jnn.study._members import uniform as uniform
from jnn.study._optimizer import as_optimizer as as_optimizer
from jnn.study._splits import Fold as Fold
from jnn.study._splits import SavedFolds as SavedFolds
from jnn.study._splits import Split as Split
from jnn.study._splits import cross_validation as cross_validation
from jnn.study._study import Study as Study
from jnn.study._types import Augment as Augment
from jnn.study._types import Loss as Loss
from jnn.study._types import Objective as Objective
from jnn.study._types import OptimizerFactory as OptimizerFactory
from jnn.study._types import PathLike as PathLike
from jnn.study._types import Penalty as Penalty
