"""Networks by name, and a sensible study for each known kind of data.

about = jnn.recipes.About.from_data(data)                 # what a network must know of its data
study = jnn.recipes.make_study(about, model="mlp:128,64")  # loss, metrics, optimizer, preprocessing
"""

from jnn.recipes._about import About
from jnn.recipes._choices import ACTIVATIONS, network_choices, takes_option, with_choices
from jnn.recipes._defaults import (
    BATCH_SIZE,
    EPOCHS,
    default_batch_size,
    default_epochs,
    default_model,
)
from jnn.recipes._families import Family, describe_families, make_model, register
from jnn.recipes._metrics import make_metrics
from jnn.recipes._optimizers import OPTIMIZERS
from jnn.recipes._study import make_study

__all__ = [
    "ACTIVATIONS",
    "BATCH_SIZE",
    "EPOCHS",
    "OPTIMIZERS",
    "About",
    "Family",
    "default_batch_size",
    "default_epochs",
    "default_model",
    "describe_families",
    "make_metrics",
    "make_model",
    "make_study",
    "network_choices",
    "register",
    "takes_option",
    "with_choices",
]
