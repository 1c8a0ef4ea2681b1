"""What the members of `jnn run --start-from FOLDER` begin with."""

from typing import Any

from jnn.cli._command import Run
from jnn.cli._input import user_input
from jnn.result import Result


def start_of(command: Run) -> dict[str, Any]:
    """Return the arguments of `jnn.run` by which members begin with what another run has learned.

    Of a run with several settings, these are the members of the best one.

    Raises:
        ValueError: If the folder holds no result, or an option lacks the other.
    """
    if command.start_from is None:
        if command.fresh is not None:
            raise ValueError("--fresh must be left out: without --start-from all is drawn.")
        return {}
    with user_input():
        result = Result.load(command.start_from)
    return {"start_from": result.best_members(), "fresh": command.fresh or ()}
