"""The command line: `jnn run`, `resume`, `predict`, `show`, `export` and others."""

from jnn.cli._main import main

__all__ = ["main"]
