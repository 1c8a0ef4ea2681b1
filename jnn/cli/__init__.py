"""The command line."""

from jnn.cli._main import main as main
from jnn.cli._predict_file import predict_file as predict_file
from jnn.cli._predict_file import usable as usable
