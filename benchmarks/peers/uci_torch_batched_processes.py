"""PyTorch in two processes of one thread each: every process batches half of the fits by hand."""

import functools

from benchmarks.peers import uci_torch_batched
from benchmarks.processes import in_processes

uci_yacht = functools.partial(in_processes, uci_torch_batched.uci_yacht, processes=2)
