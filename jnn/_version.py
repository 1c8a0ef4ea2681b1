"""The version of the package, which the files that it writes hold."""

__version__ = "0.5.0"
