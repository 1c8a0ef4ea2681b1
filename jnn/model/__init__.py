"""The contract of a network: a `Model`, two pure functions, and what makes one of a network."""

from jnn.model._effects import Effects, take_effects, with_effects, written_over
from jnn.model._errors import DrawsWithoutKey, NetworkError
from jnn.model._fixed_statistics import fixed_statistics
from jnn.model._frozen import Frozen, Functions, LowRank, freeze, shared_arrays
from jnn.model._hyper import Hyper
from jnn.model._layer_outputs import layer_outputs as layer_outputs  # for jnn.result
from jnn.model._model import Model, as_model, check_numbers, module_of
from jnn.model._nnx import as_module
from jnn.model._nnx_types import promote_but_statistics as promote_but_statistics  # for modules
from jnn.model._shared import Shared
from jnn.model._signatures import ModelState, Params, name_of
from jnn.model._switch import TrainKeyword
from jnn.model._variables import variables_of
from jnn.model._without_shared import without_shared

__all__ = [
    "DrawsWithoutKey",
    "Effects",
    "Frozen",
    "Functions",
    "Hyper",
    "LowRank",
    "Model",
    "ModelState",
    "NetworkError",
    "Params",
    "Shared",
    "TrainKeyword",
    "as_model",
    "as_module",
    "check_numbers",
    "fixed_statistics",
    "freeze",
    "module_of",
    "name_of",
    "shared_arrays",
    "take_effects",
    "variables_of",
    "with_effects",
    "without_shared",
    "written_over",
]
