"""PyTorch's sequence models in two processes of one thread each: every process trains half of the members."""

import functools

from benchmarks.peers import sequence_torch
from benchmarks.processes import in_processes

gpt = functools.partial(in_processes, sequence_torch.gpt, processes=2)
lstm = functools.partial(in_processes, sequence_torch.lstm, processes=2)
dlinear = functools.partial(in_processes, sequence_torch.dlinear, processes=2)
