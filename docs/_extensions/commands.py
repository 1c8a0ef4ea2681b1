"""Write the page of the command line, which is made of the commands' help texts."""

import contextlib
import inspect
import io
import os
import re
import typing
from unittest import mock

from _extensions.docstrings import code, inline

from jnn.cli import _command, main

WIDTH = "88"  # columns of a help text


def page() -> str:
    """Return the page: each command with its options."""
    lines = ["Command line", "=" * 12, ""]
    for command in typing.get_args(_command.Command):
        if command is _command.Version:  # an option
            continue
        name = command.__name__.lower()
        lines += [f".. _jnn-{name}:", "", f"jnn {name}", "-" * (4 + len(name)), ""]
        lines += [*inline(inspect.getdoc(command) or "").split("\n"), ""]
        lines += code(options(name), "text")
    return "\n".join(lines)


def options(name: str) -> list[str]:
    """Return the usage and the options of a command, without its description."""
    text = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=WIDTH),
        contextlib.redirect_stdout(text),
        contextlib.suppress(SystemExit),
    ):
        main([name, "--help"])
    usage, _, rest = text.getvalue().partition("\n\n")
    groups = re.search(r"^ (positional|options).*", rest, re.DOTALL | re.MULTILINE)
    assert groups, rest
    return [usage, "", *(line.rstrip() for line in groups[0].rstrip().split("\n"))]
