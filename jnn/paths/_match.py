"""From patterns to masks and labels of a tree, and the names of its leaves."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jnn._names import names_in
from jnn.paths._pattern import Pattern, Patterns, as_list, matching, regex_of, text_of

_SHOWN = 3  # names in an error message

Tree = Any  # a pytree


def names(tree: Tree) -> list[str]:
    """Return the name of every leaf of a tree: its keys, joined by slashes.

    Dicts, lists, tuples, namedtuples, Linen variables and NNX states are written alike, and as
    `jnn.save` writes them: a key of a dict, a field of a namedtuple or an attribute of a module by
    its name, an entry of a list by its number.

    >>> names({"layers": [{"kernel": 1.0}, {"kernel": 2.0}], "bias": 0.0})
    ['bias', 'layers/0/kernel', 'layers/1/kernel']
    """
    return names_in(tree)[0]


def match(pattern: Patterns, tree: Tree, *, required: bool = True) -> Tree:
    """Return a tree of bools, True where the name of a leaf fits the pattern.

    In a glob `*` stands for any characters of one key, `?` for one character, `[abc]` for one of a
    set, and the key `**` for any number of keys, also none: "**/bias" fits "bias" and
    "encoder/0/bias". A glob or a regular expression must fit the whole name. See
    `jnn.paths.names` for the names.

    A mask serves wherever Optax takes one, and `functools.partial(match, "**/kernel")` wherever it
    takes a function that makes one:

        optax.adamw(1e-3, mask=functools.partial(jnn.paths.match, "**/kernel"))

    Args:
        pattern: A glob, a regular expression made by `re.compile`, or a list of them, of which a
            name must fit one.
        tree: Any tree, such as parameters; its leaves do not matter.
        required: Whether a pattern that fits no name is an error.

    Raises:
        TypeError: If a pattern is neither text nor a regular expression of text.
        ValueError: If a pattern fits no name.

    >>> match("**/kernel", {"dense": {"kernel": 1.0, "bias": 0.0}, "kernel": 2.0})
    {'dense': {'bias': False, 'kernel': True}, 'kernel': True}
    """
    known = names(tree)
    fits = pattern_fits(pattern, known, required=required)
    return jax.tree.structure(tree).unflatten([name in fits for name in known])


def labels(
    patterns: Mapping[Pattern, Any],
    tree: Tree,
    *,
    default: Any = None,
    required: bool = True,
) -> Tree:
    """Return a tree of labels, that of the first pattern which the name of a leaf fits.

    Args:
        patterns: Pattern -> label, as for `optax.partition`.
        tree: Any tree, such as parameters; its leaves do not matter.
        default: The label of names that fit no pattern.
        required: Whether a pattern that labels nothing is an error.

    Raises:
        TypeError: If `patterns` is not a mapping, or a pattern is no pattern.
        ValueError: If a pattern labels nothing, or a name fits none and there is no default.

    >>> labels({"head/**": "fast", "**": "slow"}, {"trunk": 0.0, "head": {"kernel": 1.0}})
    {'head': {'kernel': 'fast'}, 'trunk': 'slow'}
    """
    several = _checked(patterns)
    known = names(tree)
    places = first_fits(several, known)
    if required:
        check_matches(several, known)
        _check_reached(several, places)
    if default is None:
        _check_labelled(places, known)
    values = [default, *patterns.values()]
    return jax.tree.structure(tree).unflatten([values[place + 1] for place in places])


def pattern_fits(pattern: Patterns, known: Sequence[str], *, required: bool = True) -> set[str]:
    """Return the names that fit a pattern.

    Args:
        pattern: As in `match`.
        known: Names of leaves.
        required: Whether a pattern that fits no name is an error.
    """
    patterns = as_list(pattern)
    if required:
        check_matches(patterns, known)
    return {name for name in known if any(matching(one, name) for one in patterns)}


def state_patterns(pattern: Patterns) -> list[Pattern]:
    """Return patterns of the names of state that belong to parameters whose names fit a pattern.

    The names of state in a Linen module begin with a collection: "batch_stats/head/mean".
    """
    patterns = as_list(pattern)
    return [
        *patterns,
        *(
            re.compile(f"[^/]*/(?:{regex_of(one).pattern})", regex_of(one).flags)
            for one in patterns
        ),
    ]


def first_fits(patterns: Sequence[Pattern], known: Sequence[str]) -> list[int]:
    """Return the place of the first pattern that each name fits; -1 if it fits none."""
    return [
        next((i for i, pattern in enumerate(patterns) if matching(pattern, name)), -1)
        for name in known
    ]


def check_matches(patterns: Sequence[Pattern], known: Sequence[str]) -> None:
    """Raise ValueError for a pattern that fits no name, with names that are near to it."""
    for pattern in patterns:
        if not any(matching(pattern, name) for name in known):
            raise ValueError(
                f"The pattern {text_of(pattern)} must fit one of the {len(known)} names, but it "
                f"fits none. {_advice(pattern, known)}"
            )


def listed(known: Sequence[str], most: int = 8) -> str:
    """Return names as text, the first ones of many."""
    text = ", ".join(map(repr, known[:most]))
    return text if len(known) <= most else f"{text} and {len(known) - most} more"


def _checked(patterns: Any) -> list[Pattern]:
    if not isinstance(patterns, Mapping):
        raise TypeError(
            "patterns must be a dict from patterns to labels, such as {'head/**': 'fast'}, got "
            f"{patterns!r}."
        )
    return as_list(list(patterns), "patterns")


def _check_reached(patterns: Sequence[Pattern], places: Sequence[int]) -> None:
    for i, pattern in enumerate(patterns):
        if i not in places:
            raise ValueError(
                f"The pattern {text_of(pattern)} labels nothing, because every name that it fits "
                "fits a pattern before it. Put it before them, or leave it out."
            )


def _check_labelled(places: Sequence[int], known: Sequence[str]) -> None:
    without = [name for name, place in zip(known, places, strict=True) if place < 0]
    if without:
        raise ValueError(
            f"patterns must fit every name, but {listed(without)} fit none. Add a pattern for "
            "them, such as '**' as the last one, or pass default=."
        )


def _advice(pattern: Pattern, known: Sequence[str]) -> str:
    """Return what may have been meant by a pattern that fits no name."""
    if not known:
        return "The tree has no leaves."
    text = pattern if isinstance(pattern, str) else pattern.pattern
    folder = text.strip("/")
    if any(name.startswith(f"{folder}/") for name in known):
        return f"For all that is in {folder!r}, write {folder + '/**'!r}."
    if any(matching("**/" + folder, name) for name in known):
        return f"For {folder!r} at any depth, write {'**/' + folder!r}."
    return f"Near names are {listed(_near(text, known))}."


def _near(text: str, known: Sequence[str]) -> list[str]:
    """Return the names that are most similar to a pattern, or whose ends are."""
    plain = re.sub(r"[*?\\^$()]", "", text).strip("/")

    def likeness(name: str) -> float:
        keys = name.split("/")
        ends = ["/".join(keys[i:]) for i in range(len(keys))]
        return max(difflib.SequenceMatcher(None, plain, end).ratio() for end in ends)

    return sorted(known, key=likeness, reverse=True)[:_SHOWN]
