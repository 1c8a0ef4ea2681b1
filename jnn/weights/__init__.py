"""Weights of networks in and out: files of other libraries by name, layout and shape."""

from jnn.weights._read import read
from jnn.weights._tensors import Tensors

__all__ = ["Tensors", "read"]
