"""Spaces as they are typed: learning_rate=log:1e-4:1e-1 dropout_rate=0:0.5 width=32,64."""

import math
import re
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

from jnn.study import Choice, LogUniform, Uniform, choice, log_uniform, uniform

Dimension: TypeAlias = Uniform | LogUniform | Choice

_FORMS = "name=low:high, name=log:low:high or name=first,second"
_NEXT_MODEL = re.compile(r",(?=\s*[^\d\s,])")  # a comma before a name: numbers go on with a model


def parse_space(words: Sequence[str]) -> dict[str, Dimension]:
    """Parse the words after --space.

    The numbers of a model are separated by commas too, so a comma begins another model only where a
    name follows.

    Raises:
        ValueError: If a word is no choice, or a name occurs twice.

    >>> space = parse_space(["learning_rate=log:1e-4:0.1", "model=mlp:64,32,linear"])
    >>> space["learning_rate"], space["model"].options
    (LogUniform(low=0.0001, high=0.1), ('mlp:64,32', 'linear'))
    """
    if not words:
        raise ValueError(
            "--space must name what to search, got nothing. Write learning_rate=log:1e-4:1e-1, or "
            "leave --space out."
        )
    space = {}
    for word in words:
        name, equals, values = (part.strip() for part in word.partition("="))
        if not name or not equals or not values:
            raise ValueError(f"--space must be {_FORMS}, got {word!r}. Write width=32,64.")
        if name in space:
            raise ValueError(
                f"--space must name each choice once, got {name!r} again. Write {name}=first,second"
                " or one range."
            )
        space[name] = _distribution(word, name, values)
    return space


def _distribution(word: str, name: str, values: str) -> Dimension:
    if name == "model":
        return _choice(word, _NEXT_MODEL.split(values))
    bounds = values.split(":")
    if len(bounds) == 1:
        return _choice(word, values.split(","))
    is_log = bounds[0].strip().lower() == "log"
    if len(bounds) != (3 if is_log else 2):
        refuse(word, f"must be {_FORMS}")
    low, high = (_bound(word, bound) for bound in bounds[-2:])
    if not low < high:
        refuse(word, "must have a lower bound that is below the upper one")
    if is_log and low <= 0:
        refuse(word, "must have bounds above 0 after log")
    return log_uniform(low, high) if is_log else uniform(low, high)


def _choice(word: str, texts: Sequence[str]) -> Choice:
    options = [_value(text.strip()) for text in texts]
    if any(option == "" for option in options):
        refuse(word, "must have a value on both sides of each comma")
    if any(isinstance(option, float) and not math.isfinite(option) for option in options):
        refuse(word, "must have finite numbers")
    if len({type(option) is str for option in options}) > 1:
        refuse(word, "must have either numbers or words")
    if len(set(options)) < len(options):
        refuse(word, "must name each value once")
    return choice(*options)


def _bound(word: str, text: str) -> float:
    value = _value(text.strip())
    if isinstance(value, str) or not math.isfinite(value):
        refuse(word, "must have finite numbers as its bounds")
    return float(value)


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def refuse(word: str, rule: str) -> NoReturn:
    name = word.partition("=")[0].strip()
    raise ValueError(f"--space {name} {rule}, got {word!r}. Write e.g. {_example(name)}.")


def _example(name: str) -> str:
    if name == "model":
        return "model=mlp:64,mlp:128,64"
    if name.endswith("rate") or name == "weight_decay":
        return f"{name}=log:1e-4:1e-1"
    return f"{name}=32,64,128"
