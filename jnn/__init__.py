"""jnn trains a whole study - every seed, fold and setting - as one compiled JAX program.

    study = jnn.Study(model, loss, optimizer, metrics=..., epochs=..., batch_size=...)
    members = jnn.seeds(10) * jnn.folds(5) * jnn.grid(learning_rate=[1e-3, 1e-2])
    result = jnn.run(study, data, members)
    print(result.summary())

The study is all that shapes the program; members only change numbers; the result has a mean and an
interval for every setting.
"""

# The first import, because it handles Ctrl-C during the others if the process is a command.
from jnn import _startup  # noqa: F401, I001
from jnn import (
    augment,
    averaging,
    data,
    gan,
    initializers,
    layers,
    lora,
    losses,
    metrics,
    models,
    modules,
    paths,
    plots,
    preprocess,
    recipes,
    search,
    stats,
    transfer,
    weights,
)
from jnn._version import __version__ as __version__
from jnn.data import Dataset
from jnn.engine import (
    Batch,
    Data,
    Member,
    Rows,
    State,
    Trained,
    Trainer,
    Training,
    make_epoch,
    make_evaluate,
    make_predict,
    make_start,
    make_step,
    make_train,
)
from jnn.generation import generate, generate_sliding
from jnn.model import Frozen, Hyper, Model, Shared, as_model, as_module, freeze
from jnn.population import Plan, Population, cross_validate, run, start, use_cpu_cores
from jnn.result import Result
from jnn.result import load_tree as load
from jnn.storage import save
from jnn.study import (
    Members,
    Study,
    choice,
    folds,
    grid,
    holdout,
    log_uniform,
    sample,
    seeds,
    uniform,
)

__all__ = [  # noqa: RUF022  (in the order of the story)
    # What is trained, and on what.
    "Study",
    "Dataset",
    "Model",
    "as_model",
    "as_module",
    "Hyper",
    "Shared",
    "freeze",
    "Frozen",
    "lora",
    "transfer",
    # The members of a population.
    "Members",
    "seeds",
    "folds",
    "holdout",
    "grid",
    "sample",
    "uniform",
    "log_uniform",
    "choice",
    # Training them, at once or step by step.
    "run",
    "cross_validate",
    "search",
    "gan",
    "start",
    "Population",
    "Plan",
    "use_cpu_cores",
    # What comes out.
    "Result",
    "generate",
    "generate_sliding",
    "save",
    "load",
    # The pieces that a run is made of, as pure functions of one member.
    "make_start",
    "make_step",
    "make_epoch",
    "make_evaluate",
    "make_predict",
    "make_train",
    "Data",
    "Rows",
    "Member",
    "Batch",
    "State",
    "Trained",
    "Training",
    "Trainer",
    # The parts that networks and studies are made of.
    "layers",
    "initializers",
    "losses",
    "metrics",
    "augment",
    "averaging",
    "paths",
    "preprocess",
    "modules",
    "models",
    "recipes",
    "data",
    "weights",
    "stats",
    "plots",
]


def __dir__() -> list[str]:
    return sorted(__all__)
