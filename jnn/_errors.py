"""What a caught error says and where it arose, to be quoted in another error."""

import functools
import importlib.util
import os
import pathlib
import sysconfig
import traceback

_INSTALLED = {"site-packages", "dist-packages"}  # folders of installed packages


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's message; its type if it has none.

    >>> reason_of(ValueError("too few rows")), reason_of(EOFError())
    ('too few rows', 'EOFError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0]


def place_of(error: BaseException) -> str:
    """Return the user's own line that an error came from, such as "net.py, line 12".

    It is the innermost call outside of Python's own code, this library and installed packages, such
    as JAX and Flax. The text is empty if there is none.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    if not own:
        return ""
    return f"{pathlib.Path(own[-1].filename).name}, line {own[-1].lineno}"


def is_raised_in(error: BaseException, *packages: str) -> bool:
    """Return whether the code of a package, such as "jnn.engine", raised an error itself."""
    frames = traceback.extract_tb(error.__traceback__)
    places = tuple(place for package in packages for place in _folders_of(package))
    return bool(frames) and frames[-1].filename.startswith(places)


@functools.cache
def _is_library(filename: str) -> bool:
    """Return whether a file belongs to Python, to this library, or to an installed package."""
    if filename.startswith("<frozen") or _INSTALLED & set(pathlib.Path(filename).parts):
        return True
    return filename.startswith((*_folders_of("jnn"), sysconfig.get_paths()["stdlib"]))


@functools.cache
def _folders_of(package: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    return tuple(
        str(pathlib.Path(place)) + os.sep for place in spec.submodule_search_locations or ()
    )
