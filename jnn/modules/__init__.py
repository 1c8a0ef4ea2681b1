"""Flax NNX modules: layers with parameters, which have Flax's names and compute by `jnn.layers`.

`Dense`, `Embedding`, `Conv` and the norms are subclasses of Flax's modules that compute
differently: `Dense` and `Conv` by jnn's product and convolution, `Embedding` with ids clipped to
the table, the norms with variances in two passes (`RMSNorm`, which has no variance, computes as in
Flax). `MultiHeadAttention`, `ConvTranspose`, `Dropout`, `DropPath`, `LoRA`, `MinibatchStd` and the
recurrent layers are jnn's own. Types promote as in Flax: the result has the type that input and
parameters have in common.
"""

from jnn.modules._attention import MultiHeadAttention
from jnn.modules._conv import Conv, ConvTranspose
from jnn.modules._dropout import Dropout, DropPath
from jnn.modules._linear import Dense, Embedding, LoRA
from jnn.modules._minibatch import MinibatchStd
from jnn.modules._norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from jnn.modules._recurrent import GRU, LSTM, RNN, Recurrent, fuse_lstm, split_lstm
from jnn.modules._transformer import TransformerBlock

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DropPath",
    "Dropout",
    "Embedding",
    "GroupNorm",
    "LayerNorm",
    "LoRA",
    "MinibatchStd",
    "MultiHeadAttention",
    "RMSNorm",
    "Recurrent",
    "TransformerBlock",
    "fuse_lstm",
    "split_lstm",
]
