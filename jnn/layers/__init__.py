"""Layers as pure functions: arrays in, arrays out, channels last, leading batch axes free.

A layer holds no parameters (those of `jnn.modules` do) and does not know whether it is trained.
`key` is always a random key and a keyword; without a key a layer is deterministic. Arrays may also
be NumPy's or nested lists.
"""

from jax.nn import celu as celu
from jax.nn import elu as elu
from jax.nn import gelu as gelu
from jax.nn import glu as glu
from jax.nn import hard_sigmoid as hard_sigmoid
from jax.nn import hard_silu as hard_silu
from jax.nn import hard_swish as hard_swish
from jax.nn import hard_tanh as hard_tanh
from jax.nn import identity as identity
from jax.nn import leaky_relu as leaky_relu
from jax.nn import log_sigmoid as log_sigmoid
from jax.nn import log_softmax as log_softmax
from jax.nn import mish as mish
from jax.nn import relu as relu
from jax.nn import relu6 as relu6
from jax.nn import selu as selu
from jax.nn import sigmoid as sigmoid
from jax.nn import silu as silu
from jax.nn import soft_sign as soft_sign
from jax.nn import softmax as softmax
from jax.nn import softplus as softplus
from jax.nn import sparse_plus as sparse_plus
from jax.nn import sparse_sigmoid as sparse_sigmoid
from jax.nn import squareplus as squareplus
from jax.nn import swish as swish
from jax.nn import tanh as tanh

from jnn.layers._activation import ACTIVATIONS as ACTIVATIONS
from jnn.layers._activation import maxout as maxout
from jnn.layers._activation import prelu as prelu
from jnn.layers._activation import sparsemax as sparsemax
from jnn.layers._attention import KVCache as KVCache
from jnn.layers._attention import attention as attention
from jnn.layers._attention import causal_mask as causal_mask
from jnn.layers._attention import empty_cache as empty_cache
from jnn.layers._attention import extend_cache as extend_cache
from jnn.layers._conv import conv as conv
from jnn.layers._conv import conv_general_dilated as conv_general_dilated
from jnn.layers._conv import conv_plan as conv_plan
from jnn.layers._conv import conv_transpose as conv_transpose
from jnn.layers._floating import broadcast_parameter as broadcast_parameter  # not a layer
from jnn.layers._floating import widen as widen  # not a layer
from jnn.layers._linear import dense as dense
from jnn.layers._linear import dot_general as dot_general
from jnn.layers._linear import embedding as embedding
from jnn.layers._linear import lora as lora
from jnn.layers._minibatch import minibatch_std as minibatch_std
from jnn.layers._norm import batch_norm as batch_norm
from jnn.layers._norm import batch_norm_train as batch_norm_train
from jnn.layers._norm import first_along as first_along  # for the modules; not a layer
from jnn.layers._norm import group_norm as group_norm
from jnn.layers._norm import instance_norm as instance_norm
from jnn.layers._norm import layer_norm as layer_norm
from jnn.layers._norm import minus_first_of_groups as minus_first_of_groups  # likewise
from jnn.layers._norm import rms_norm as rms_norm
from jnn.layers._pool import adaptive_avg_pool as adaptive_avg_pool
from jnn.layers._pool import adaptive_max_pool as adaptive_max_pool
from jnn.layers._pool import avg_pool as avg_pool
from jnn.layers._pool import global_avg_pool as global_avg_pool
from jnn.layers._pool import global_max_pool as global_max_pool
from jnn.layers._pool import max_pool as max_pool
from jnn.layers._positions import RotaryScaling as RotaryScaling
from jnn.layers._positions import rotary as rotary
from jnn.layers._positions import sinusoidal_positions as sinusoidal_positions
from jnn.layers._random import shuffled as shuffled  # for the engine; not a layer
from jnn.layers._recurrent import LSTMState as LSTMState
from jnn.layers._recurrent import bidirectional as bidirectional
from jnn.layers._recurrent import gru as gru
from jnn.layers._recurrent import gru_cell as gru_cell
from jnn.layers._recurrent import lstm as lstm
from jnn.layers._recurrent import lstm_cell as lstm_cell
from jnn.layers._recurrent import rnn as rnn
from jnn.layers._recurrent import rnn_cell as rnn_cell
from jnn.layers._regularize import dropout as dropout
from jnn.layers._regularize import elastic_net as elastic_net
from jnn.layers._regularize import l1 as l1
from jnn.layers._regularize import l2 as l2

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    *ACTIVATIONS,
    "ACTIVATIONS",
    "KVCache",
    "LSTMState",
    "RotaryScaling",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "attention",
    "avg_pool",
    "batch_norm",
    "batch_norm_train",
    "bidirectional",
    "causal_mask",
    "conv",
    "conv_general_dilated",
    "conv_plan",
    "conv_transpose",
    "dense",
    "dot_general",
    "dropout",
    "elastic_net",
    "embedding",
    "empty_cache",
    "extend_cache",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "group_norm",
    "gru",
    "gru_cell",
    "instance_norm",
    "l1",
    "l2",
    "layer_norm",
    "lora",
    "lstm",
    "lstm_cell",
    "max_pool",
    "minibatch_std",
    "maxout",
    "prelu",
    "rms_norm",
    "rnn",
    "rnn_cell",
    "rotary",
    "sinusoidal_positions",
    "sparsemax",
]
