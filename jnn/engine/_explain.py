"""An error in a function of a study, told in a sentence: what failed, where, why, what to do."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax
from flax.errors import FlaxError

from jnn._errors import is_raised_in, place_of, reason_of
from jnn.engine._hyper import MissingHyperParameter
from jnn.model import NetworkError

USER_ERRORS = (  # of functions of a study
    ArithmeticError,
    AssertionError,
    AttributeError,
    FlaxError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_OWN = ("jnn.engine", "jnn.study", "jnn.gan")  # whose errors are sentences already
_VALUE_ERRORS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_OF_SIZES = re.compile(
    r"shape|dimension|\bsizes?\b|broadcast|incompatible|\bran[kg]|\baxi|\baxes|\bndim\b|length|"
    r"features|columns|outputs|tuple index out of range|__init__\(\) missing"
)
_VALUES = (
    "Values are not known while a study is compiled: choose by jnp.where or jax.lax.cond in place "
    "of if, and compute by jax.numpy in place of NumPy."
)


@contextlib.contextmanager
def explained(
    subject: str,
    *,
    sizes: str = "",
    names: str = "",
    values: str = _VALUES,
    otherwise: str = "",
) -> Iterator[None]:
    """Turn the error of a function of a study into a ValueError of one sentence.

    Sentences that this package has raised inside the function stay as they are.

    Args:
        subject: What fails, for example "Study.loss failed on outputs of shape (3,)".
        sizes: What to do about an error of shapes and sizes.
        names: What to do about a name that is missing.
        values: What to do where Python asks for the value of an array that is traced.
        otherwise: What to do about any other error.

    Raises:
        ValueError: In place of the error.
    """
    try:
        yield
    except (MissingHyperParameter, NetworkError):
        raise
    except USER_ERRORS as error:
        if is_raised_in(error, *_OWN):
            raise
        place = place_of(error)
        where = f"{subject} ({place})" if place else subject
        advice = otherwise
        if isinstance(error, _VALUE_ERRORS):
            advice = values
        elif isinstance(error, KeyError):
            advice = names or otherwise
        elif _is_about_sizes(error):
            advice = sizes or otherwise
        raise ValueError(f"{where}: {_reason(error)} {advice}".rstrip()) from error


def explained_model(subject: str, shared: Any) -> AbstractContextManager[None]:
    """Return `explained` for a network, with what to check."""
    names = ""
    if isinstance(shared, Mapping):
        names = f" and reads the names of Study.shared, {sorted(map(str, shared))}"
    return explained(
        subject,
        sizes=f"Check that it was built for the sizes of the data{names}.",
        names=f"Check that it was built for the data{names}." if names else "",
    )


def _is_about_sizes(error: Exception) -> bool:
    """Return whether an error is about the shapes or sizes of arrays."""
    is_other = isinstance(error, AttributeError | NameError)
    return not is_other and bool(_OF_SIZES.search(str(error)))


def _reason(error: Exception) -> str:
    """Return why a function failed, as a sentence."""
    reason = reason_of(error).strip()
    if isinstance(error, KeyError):  # whose message is the missing name alone
        reason = f"there is no {reason}"
    elif not isinstance(error, ValueError | TypeError | FlaxError) and str(error):
        reason = f"{type(error).__name__}: {reason}"
    return reason if reason.endswith((".", "!", "?")) else reason + "."
