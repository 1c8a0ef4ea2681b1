"""Flax NNX modules: parameters with Flax's names, and the computations of `jnn.layers` where they differ from Flax's.

`MultiHeadAttention`, `ConvTranspose`, `Dropout`, `LoRA` and the recurrent layers are jnn's own, over the pure functions
of `jnn.layers`. `Dense` and `Conv` are Flax's with jnn's product and convolution injected. `Embedding` and the norms
are Flax's, the norms with variances in two passes. Types promote as in Flax: the result has the type that input and
parameters have in common.
"""

from jnn.modules._attention import MultiHeadAttention as MultiHeadAttention
from jnn.modules._conv import Conv as Conv
from jnn.modules._conv import ConvTranspose as ConvTranspose
from jnn.modules._dropout import Dropout as Dropout
from jnn.modules._linear import Dense as Dense
from jnn.modules._linear import Embedding as Embedding
from jnn.modules._linear import LoRA as LoRA
from jnn.modules._norm import BatchNorm as BatchNorm
from jnn.modules._norm import GroupNorm as GroupNorm
from jnn.modules._norm import LayerNorm as LayerNorm
from jnn.modules._norm import RMSNorm as RMSNorm
from jnn.modules._recurrent import GRU as GRU
from jnn.modules._recurrent import LSTM as LSTM
from jnn.modules._recurrent import RNN as RNN
from jnn.modules._recurrent import Recurrent as Recurrent
from jnn.modules._recurrent import fuse_lstm as fuse_lstm
from jnn.modules._recurrent import split_lstm as split_lstm
from jnn.modules._transformer import TransformerBlock as TransformerBlock
