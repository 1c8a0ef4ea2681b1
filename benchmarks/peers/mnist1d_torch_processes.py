"""PyTorch in two processes of one thread each: every process trains half of the members, one after the other."""

import functools

from benchmarks.peers import mnist1d_torch
from benchmarks.processes import in_processes

mnist1d_logistic = functools.partial(in_processes, mnist1d_torch.mnist1d_logistic, processes=2)
mnist1d_mlp = functools.partial(in_processes, mnist1d_torch.mnist1d_mlp, processes=2)
mnist1d_cnn = functools.partial(in_processes, mnist1d_torch.mnist1d_cnn, processes=2)
mnist1d_gru = functools.partial(in_processes, mnist1d_torch.mnist1d_gru, processes=2)
