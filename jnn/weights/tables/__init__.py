"""Families of networks as tables, one in a file; importing the package makes their names known."""

from jnn.weights.tables import _bert as _bert
from jnn.weights.tables import _gpt2 as _gpt2
from jnn.weights.tables import _llama as _llama
from jnn.weights.tables import _word_language_model as _word_language_model
