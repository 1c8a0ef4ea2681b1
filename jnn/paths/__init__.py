"""Patterns of names: which parameters to freeze, decay, train at another rate, average or load.

Every leaf of a tree has a name, its keys joined by slashes, such as "encoder/0/kernel"; a pattern
is a glob or a regular expression of names. What the functions return are masks, trees and
transformations as Optax knows them.
"""

from jnn.paths._match import labels, match, names
from jnn.paths._match import pattern_fits as pattern_fits  # for freezing and LoRA
from jnn.paths._match import state_patterns as state_patterns  # likewise
from jnn.paths._optimizers import ScaleState, depths, freeze, scale, scale_by_depth, unfreeze
from jnn.paths._parts import fill, found_in, join, split, take
from jnn.paths._pattern import Pattern, Patterns
from jnn.paths._pattern import as_list as as_list  # for checks

__all__ = [
    "Pattern",
    "Patterns",
    "ScaleState",
    "depths",
    "fill",
    "found_in",
    "freeze",
    "join",
    "labels",
    "match",
    "names",
    "scale",
    "scale_by_depth",
    "split",
    "take",
    "unfreeze",
]
