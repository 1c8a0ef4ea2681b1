"""Flax NNX modules: parameters with Flax's names, computed by the pure functions of `jnn.layers`.

Where Flax's own module takes an injected function, that is all there is to it.
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
from jnn.modules._recurrent import fuse_lstm as fuse_lstm
from jnn.modules._recurrent import split_lstm as split_lstm
from jnn.modules._transformer import TransformerBlock as TransformerBlock
