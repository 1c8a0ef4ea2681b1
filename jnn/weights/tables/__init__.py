"""Families of networks as tables, one in a file; importing the package makes their names known."""

from jnn.weights.tables import _bert as _bert
from jnn.weights.tables import _convnext as _convnext
from jnn.weights.tables import _gpt2 as _gpt2
from jnn.weights.tables import _lenet as _lenet
from jnn.weights.tables import _llama as _llama
from jnn.weights.tables import _mini_xception as _mini_xception
from jnn.weights.tables import _resnet as _resnet
from jnn.weights.tables import _vit as _vit
from jnn.weights.tables import _word_language_model as _word_language_model
