"""The functions of PyTorch by `torch.compile`."""

import functools

from benchmarks import torch_loops
from benchmarks.peers.torch_layers import *  # noqa: F403  the same functions

prepare = functools.partial(torch_loops.layer, compiled=True)
