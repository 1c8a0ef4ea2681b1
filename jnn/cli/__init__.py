"""The command line: `jnn run`, `resume`, `predict`, `models`, `data` and `info`."""

from jnn.cli._main import main

__all__ = ["main"]
