"""The study behind the members that a folder holds, made again from its command."""

import pathlib

from jnn.cli._command import Run, Search
from jnn.cli._found import read_found
from jnn.cli._job import study_of
from jnn.cli._search_space import studies_of
from jnn.recipes import About
from jnn.result import read_schema
from jnn.search import Choices
from jnn.study import Study


def saved_study(folder: pathlib.Path, command: Run | Search) -> Study:
    """Return the study of a run, or that of the winner of a search.

    Raises:
        ValueError: If the search is not complete, or all its settings failed.
    """
    if not isinstance(command, Search):
        return study_of(command, About.from_schema(read_schema(folder)))
    setting = read_found(folder)["setting"]
    if setting is None:
        raise ValueError(
            f"The search in {folder} has no winner: all its settings failed, see search.csv."
        )
    return studies_of(command, About.from_schema(read_schema(folder)))(Choices(setting))
