"""The contract of a network: a pair of pure functions, made from plain pairs, Linen modules and NNX factories."""

from jnn.model._hyper import Hyper as Hyper
from jnn.model._model import Model as Model
from jnn.model._model import as_model as as_model
from jnn.model._model import check_numbers as check_numbers
from jnn.model._model import name_of as name_of
from jnn.model._nnx import as_module as as_module
