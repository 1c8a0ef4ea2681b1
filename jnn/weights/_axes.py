"""Axes by letters: "OIHW->HWIO" moves them, "(HK)D->DHK" splits one, and the way back merges."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from jnn.weights._mapped import product

_TOKEN = re.compile(r"\(\w+\)|\w")


class Axes:
    """A change of axes, written by letters, that can be undone.

    Args:
        before: The axes of an array in the file, such as "(HK)D"; letters in parentheses are one
            axis there.
        after: Its axes in the network, such as "DHK".
        sizes: The sizes of letters, as far as shapes do not tell them.
        flipped: The letters whose axes run backwards on the other side.
    """

    def __init__(self, before: str, after: str, sizes: Mapping[str, int], flipped: str):
        self.before = _groups(before)
        self.after = _groups(after)
        if sorted("".join(self.before)) != sorted("".join(self.after)):
            raise ValueError(f"the letters of {before!r} and of {after!r} differ")
        self.sizes = dict(sizes)
        self.flipped = flipped

    def to_network(self, array: np.ndarray, shape: Sequence[int] | None) -> np.ndarray:
        """Return the array with the axes of the network; a view of it where NumPy has one."""
        return self._move(array, self.before, self.after, shape)

    def to_file(self, array: np.ndarray, shape: Sequence[int] | None = None) -> np.ndarray:
        """Return the array with the axes of the file."""
        return self._move(array, self.after, self.before, shape)

    def _move(
        self,
        array: np.ndarray,
        before: Sequence[str],
        after: Sequence[str],
        shape: Sequence[int] | None,
    ) -> np.ndarray:
        if array.ndim != len(before):
            raise ValueError(f"axes {''.join(before)} are expected, but the shape is {array.shape}")
        sizes = dict(self.sizes)
        if shape is not None and len(shape) == len(after):
            sizes |= {letter: n for letter, n in zip(after, shape, strict=True) if len(letter) == 1}
        sizes = _sizes(before, array.shape, sizes)
        letters = "".join(before)
        array = array.reshape([sizes[letter] for letter in letters])
        array = np.flip(array, tuple(letters.index(letter) for letter in self.flipped))
        array = array.transpose([letters.index(letter) for letter in "".join(after)])
        if all(len(group) == 1 for group in after):
            return array
        return array.reshape([product([sizes[letter] for letter in group]) for group in after])


def _groups(text: str) -> list[str]:
    """Return the letters of each axis: "(HK)D" has two axes."""
    tokens = _TOKEN.findall(text)
    groups = [token.strip("()") for token in tokens]
    if "".join(tokens) != text or len(set("".join(groups))) < len("".join(groups)):
        raise ValueError(f"{text!r} names no axes; write one letter for each, such as 'OIHW'")
    return groups


def _sizes(groups: Sequence[str], shape: Sequence[int], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the size of every letter; in each group one may follow from the others."""
    known = dict(sizes)
    for group, total in zip(groups, shape, strict=True):
        unknown = [letter for letter in group if letter not in known]
        rest = product([known[letter] for letter in group if letter in known])
        if len(unknown) > 1:
            raise ValueError(
                f"the sizes of {', '.join(unknown)} are unknown; add e.g. {group[0]}=8"
            )
        if unknown:
            known[unknown[0]] = total // rest if rest else 0
        if product([known[letter] for letter in group]) != total:
            raise ValueError(f"an axis of size {total} has no parts {group} of these sizes")
    return known
