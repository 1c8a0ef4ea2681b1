"""jnn trains a whole study - seeds, folds, settings - as one compiled JAX program.

study = jnn.Study(model, loss, optimizer, metrics=..., epochs=..., batch_size=...)   # what shapes the program
members = jnn.seeds(10) * jnn.folds(5) * jnn.grid(learning_rate=[1e-3, 1e-2])        # what only changes numbers
result = jnn.run(study, data, members)                                               # one program, all trainings
print(result.summary())                                                              # means with intervals
"""

from jnn import augment as augment
from jnn import data as data
from jnn import initializers as initializers
from jnn import layers as layers
from jnn import losses as losses
from jnn import metrics as metrics
from jnn import models as models
from jnn import modules as modules
from jnn import plots as plots
from jnn import preprocess as preprocess
from jnn import recipes as recipes
from jnn import stats as stats
from jnn.data import Dataset as Dataset
from jnn.engine import Batch as Batch
from jnn.engine import Data as Data
from jnn.engine import Member as Member
from jnn.engine import Rows as Rows
from jnn.engine import State as State
from jnn.engine import Trained as Trained
from jnn.engine import Trainer as Trainer
from jnn.engine import Training as Training
from jnn.engine import make_epoch as make_epoch
from jnn.engine import make_evaluate as make_evaluate
from jnn.engine import make_predict as make_predict
from jnn.engine import make_start as make_start
from jnn.engine import make_step as make_step
from jnn.engine import make_train as make_train
from jnn.generation import generate as generate
from jnn.generation import generate_sliding as generate_sliding
from jnn.model import Hyper as Hyper
from jnn.model import Model as Model
from jnn.model import Shared as Shared
from jnn.model import as_model as as_model
from jnn.model import as_module as as_module
from jnn.population import Plan as Plan
from jnn.population import Population as Population
from jnn.population import cross_validate as cross_validate
from jnn.population import run as run
from jnn.population import start as start
from jnn.population import use_cpu_cores as use_cpu_cores
from jnn.result import Result as Result
from jnn.result import load_tree as load  # noqa: F401
from jnn.storage import save as save
from jnn.study import Members as Members
from jnn.study import Study as Study
from jnn.study import choice as choice
from jnn.study import folds as folds
from jnn.study import grid as grid
from jnn.study import holdout as holdout
from jnn.study import log_uniform as log_uniform
from jnn.study import sample as sample
from jnn.study import seeds as seeds
from jnn.study import uniform as uniform

__version__ = "0.1.0"
