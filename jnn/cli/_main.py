"""The entry point `jnn`: parse the command, carry it out, report errors in one sentence."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jnn.cli._command import Command


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command.

    An error in the input is printed as one sentence, and the process exits with code 2. Set
    JNN_TRACEBACK=1 to see the traceback instead.

    Args:
        arguments: Words of the command; by default those of the process.
    """
    try:
        _execute(_parse(arguments))
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("JNN_TRACEBACK"):
            raise
        print(f"jnn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jnn: interrupted. `jnn resume FOLDER` continues the run.", file=sys.stderr)
        sys.exit(130)


def _parse(arguments: Sequence[str] | None) -> "Command":
    try:
        from jnn.cli._command import parse
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the command line needs {error.name}. Install it with: pip install 'jnn-jax[cli]'"
        ) from error
    return parse(arguments)


def _execute(command: "Command") -> None:
    # What a command needs is imported only by that command.
    from jnn.cli import _command

    match command:
        case _command.Run():
            from jnn.cli._run import run

            run(command)
        case _command.Resume():
            from jnn.cli._run import resume

            resume(command)
        case _command.Predict():
            from jnn.cli._predict import predict

            predict(command)
        case _command.Models():
            from jnn.recipes import describe_families

            print(describe_families())
        case _command.Data(action="list"):
            from jnn.cli._data import list_data

            list_data()
        case _command.Data(name=name):
            from jnn.cli._data import fetch_data

            fetch_data(name)
        case _command.Info():
            from jnn.cli._info import print_info

            print_info()
