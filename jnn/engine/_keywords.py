"""What the functions of a study learn of a member: its numbers, its step and its epoch."""

from collections.abc import Callable
from typing import Any

from jnn.engine._hyper import HyperParameters
from jnn.engine._state import State
from jnn.study import POSITIONAL, Study, keywords_asked


def keywords_for(study: Study, name: str, state: State) -> dict[str, Any]:
    """Return the values of the keywords `h`, `step` and `epoch` that a function declares.

    Args:
        study: What is trained.
        name: Of the function: "loss", "objective", "penalty" or "augment".
        state: Of the member.

    Raises:
        ValueError: If the function asks for the epoch, and the state was made for another study.
    """
    values = {
        "h": HyperParameters(state.trained.hyper),
        "step": state.step,
        "epoch": state.epoch,
    }
    asked = keywords_asked(getattr(study, name), POSITIONAL[name])
    if "epoch" in asked and state.epoch is None:
        raise ValueError(
            f"Study.{name} reads the epoch, which this state does not count. Make the state by "
            "jnn.make_start of this study."
        )
    return {keyword: values[keyword] for keyword in asked}


def reads_epoch(study: Study) -> bool:
    """Return whether a function of a study asks for the number of the epoch."""
    functions: list[tuple[Callable[..., Any] | None, int]] = [
        (getattr(study, name), arguments) for name, arguments in POSITIONAL.items()
    ]
    return any(f is not None and "epoch" in keywords_asked(f, n) for f, n in functions)
