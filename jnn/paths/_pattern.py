"""Patterns of names: globs and regular expressions, as functions that tell whether a name fits."""

import re
from collections.abc import Sequence
from typing import Any

Pattern = str | re.Pattern[str]
"""A glob such as "encoder/*/kernel", or a regular expression made by `re.compile`."""

Patterns = Pattern | Sequence[Pattern]
"""One pattern or several; a name fits several if it fits one of them."""

_ANY_FOLDERS = "(?:[^/]+/)*"
_SPECIAL_IN_SETS = re.compile(r"[\\^\[&~|]")


def as_list(patterns: Any, name: str = "pattern") -> list[Pattern]:
    """Return one pattern or several as a list.

    Raises:
        TypeError: If something else than globs and regular expressions of text is among them.
    """
    several = list(patterns) if isinstance(patterns, list | tuple | set | frozenset) else [patterns]
    for pattern in several:
        is_regex = isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str)
        if not isinstance(pattern, str) and not is_regex:
            raise TypeError(
                f"{name} must be a glob such as 'encoder/*/kernel', a regular expression made by "
                f"re.compile, or a list of them, got {pattern!r}."
            )
    return several


def text_of(pattern: Pattern) -> str:
    """Return a pattern as error messages show it."""
    return repr(pattern) if isinstance(pattern, str) else f"re.compile({pattern.pattern!r})"


def matching(pattern: Pattern, name: str) -> re.Match[str] | None:
    """Match a whole name; the groups of a glob are what its wildcards but `**` stand for."""
    return regex_of(pattern).fullmatch(name)


def regex_of(pattern: Pattern) -> re.Pattern[str]:
    """Return a pattern as a regular expression."""
    if not isinstance(pattern, str):
        return pattern
    *folders, last = pattern.split("/")
    text = "".join(_ANY_FOLDERS if key == "**" else _key_regex(key) + "/" for key in folders)
    text += (".+" if folders else ".*") if last == "**" else _key_regex(last)
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise ValueError(
            f"The pattern {pattern!r} must be a glob, but its set of characters is none: {error}. "
            "Write a set as in '[a-c]'."
        ) from error


def _key_regex(glob: str) -> str:
    """Return the regular expression of one key, whose wildcards are groups."""
    parts = []
    position = 0
    while position < len(glob):
        end = glob.find("]", position + 2) if glob[position] == "[" else -1
        if end > 0:
            parts.append(f"((?!/){_set_regex(glob[position + 1 : end])})")
            position = end
        else:
            parts.append(_WILDCARDS.get(glob[position], re.escape(glob[position])))
        position += 1
    return "".join(parts)


_WILDCARDS = {"*": "([^/]*)", "?": "([^/])"}


def _set_regex(characters: str) -> str:
    """Return the regular expression of a set of characters, such as that of `[!a-c]`."""
    negation = "^" if characters.startswith("!") else ""
    escaped = _SPECIAL_IN_SETS.sub(r"\\\g<0>", characters.removeprefix("!"))
    return f"[{negation}{escaped}]"
