"""The entry point `jnn`: parse the command, carry it out, report errors in one sentence."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jnn._version import __version__

if TYPE_CHECKING:
    from jnn.cli._command import Command


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command.

    An error in the input is printed as one sentence, and the process exits with code 2; Ctrl-C and
    SIGTERM end it with 130 and 143. Set JNN_TRACEBACK=1 to see the traceback of an error instead.

    Args:
        arguments: Words of the command; by default those of the process.
    """
    from jnn.cli import _stop
    from jnn.cli._words import sentence_of

    try:
        _carry_out(arguments)
    except BrokenPipeError:  # the reader of the output, such as `head`, has read enough
        _leave(None, 141)
    except KeyboardInterrupt as stop:
        _leave(*_stop.line_and_code(stop))
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("JNN_TRACEBACK"):
            raise
        _leave(f"jnn: {sentence_of(error)}", 2)


def _carry_out(arguments: Sequence[str] | None) -> None:
    from jnn.cli._stop import raise_when_stopped
    from jnn.cli._terminal import prepare_streams

    prepare_streams()
    try:
        carry_out = _function_of(_parse(arguments))
        raise_when_stopped()
        carry_out()
    finally:
        sys.stdout.flush()  # here, where it can be told that nobody reads it


def _leave(line: str | None, code: int) -> None:
    """Print a line on standard error, and exit."""
    from jnn.cli._terminal import leave_output

    if line is None:
        leave_output()
    else:
        with contextlib.suppress(BrokenPipeError):
            print(line, file=sys.stderr)
    sys.exit(code)


def _parse(arguments: Sequence[str] | None) -> "Command":
    try:
        from jnn.cli._command import parse
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the command line needs {error.name}. Install it with: pip install 'jnn-jax[cli]'"
        ) from error
    return parse(arguments)


def _function_of(command: "Command") -> Callable[[], None]:
    """Return what carries out a command. What a command needs is imported only by that command."""
    from jnn.cli import _command

    match command:
        case _command.Run():
            from jnn.cli._run import run

            return functools.partial(run, command)
        case _command.Search():
            from jnn.cli._search import search

            return functools.partial(search, command)
        case _command.Resume():
            from jnn.cli._run import resume

            return functools.partial(resume, command)
        case _command.Predict():
            from jnn.cli._predict import predict

            return functools.partial(predict, command)
        case _command.Show():
            from jnn.cli._show import show

            return functools.partial(show, command)
        case _command.Export():
            from jnn.cli._export import export

            return functools.partial(export, command)
        case _command.Models():
            from jnn.recipes import describe_families

            return lambda: print(describe_families())
        case _command.Data(action="list", name=""):
            from jnn.cli._data import list_data

            return list_data
        case _command.Data(action="list", name=name):
            raise ValueError(
                f"`jnn data list` must stand alone, got also {name}. Leave it out, or use "
                f"`jnn data fetch {name}`."
            )
        case _command.Data(name=name):
            from jnn.cli._data import fetch_data

            return functools.partial(fetch_data, name)
        case _command.Info():
            from jnn.cli._info import print_info

            return print_info
        case _command.Version():
            return lambda: print(f"jnn {__version__}")
