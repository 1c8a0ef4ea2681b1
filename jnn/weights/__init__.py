"""Weights of networks in and out: files of other libraries by name, layout and shape."""

from jnn.weights import tables as _tables  # noqa: F401  (the names of families)
from jnn.weights._config import from_config, from_folder
from jnn.weights._family import Family, Rule, families, register
from jnn.weights._layout import Layout
from jnn.weights._load import load
from jnn.weights._network import Variables
from jnn.weights._pattern import Pattern
from jnn.weights._read import read
from jnn.weights._save import save
from jnn.weights._tensors import Tensors

__all__ = [
    "Family",
    "Layout",
    "Pattern",
    "Rule",
    "Tensors",
    "Variables",
    "families",
    "from_config",
    "from_folder",
    "load",
    "read",
    "register",
    "save",
]
