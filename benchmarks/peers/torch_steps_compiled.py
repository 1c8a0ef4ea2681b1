"""PyTorch: a training step of one network, its loss by `torch.compile`, Adam fused but not compiled with it."""

import functools

from benchmarks.peers import torch_steps
from benchmarks.peers.torch_steps import *  # noqa: F403  the same networks

prepare = functools.partial(torch_steps.prepare, compiled=True)
