"""jnn trains a whole study as one compiled program."""

__version__ = "0.1.0"
