"""jnn trains a whole study - seeds, folds, settings - as one compiled JAX program.

study = jnn.Study(model, loss, optimizer, metrics=..., epochs=..., batch_size=...)   # what shapes the program
members = jnn.seeds(10) * jnn.folds(5) * jnn.grid(learning_rate=[1e-3, 1e-2])        # what only changes numbers
result = jnn.run(study, data, members)                                               # one program, all trainings
print(result.summary())                                                              # means with intervals
"""

import importlib
from typing import TYPE_CHECKING, Any

from jnn import augment as augment
from jnn import data as data
from jnn import initializers as initializers
from jnn import layers as layers
from jnn import losses as losses
from jnn import metrics as metrics
from jnn import preprocess as preprocess
from jnn import stats as stats
from jnn.data import Dataset as Dataset
from jnn.engine import Batch as Batch
from jnn.engine import Data as Data
from jnn.engine import Member as Member
from jnn.engine import Rows as Rows
from jnn.engine import State as State
from jnn.engine import make_start as make_start
from jnn.engine import make_step as make_step
from jnn.epoch import make_epoch as make_epoch
from jnn.members import Members as Members
from jnn.members import choice as choice
from jnn.members import folds as folds
from jnn.members import grid as grid
from jnn.members import holdout as holdout
from jnn.members import log_uniform as log_uniform
from jnn.members import sample as sample
from jnn.members import seeds as seeds
from jnn.members import uniform as uniform
from jnn.model import Model as Model
from jnn.model import as_model as as_model
from jnn.plan import Plan as Plan
from jnn.plan import use_cpu_cores as use_cpu_cores
from jnn.study import Study as Study

if TYPE_CHECKING:
    from jnn import models as models
    from jnn import modules as modules
    from jnn import plots as plots
    from jnn.checkpoint import load as load
    from jnn.checkpoint import save as save
    from jnn.evaluate import cross_validate as cross_validate
    from jnn.generation import generate as generate
    from jnn.generation import generate_sliding as generate_sliding
    from jnn.hyper import Hyper as Hyper
    from jnn.nnx_model import as_module as as_module
    from jnn.program import make_train as make_train
    from jnn.result import Result as Result
    from jnn.scoring import make_evaluate as make_evaluate
    from jnn.scoring import make_predict as make_predict
    from jnn.training import run as run

__version__ = "0.1.0"

_LATER = {  # imported when first asked for: Flax NNX takes a tenth of a second, the modules behind `run` half of that
    "models": "jnn.models",
    "modules": "jnn.modules",
    "plots": "jnn.plots",
    "load": "jnn.checkpoint",
    "save": "jnn.checkpoint",
    "cross_validate": "jnn.evaluate",
    "generate": "jnn.generation",
    "generate_sliding": "jnn.generation",
    "Hyper": "jnn.hyper",
    "as_module": "jnn.nnx_model",
    "make_evaluate": "jnn.scoring",
    "make_predict": "jnn.scoring",
    "make_train": "jnn.program",
    "Result": "jnn.result",
    "run": "jnn.training",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jnn' has no attribute {name!r}")
    module = importlib.import_module(_LATER[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
