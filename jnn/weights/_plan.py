"""Which tensors of a file become which arrays of a network, and what does not fit."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jnn.weights._family import Family, Rule
from jnn.weights._network import Network, short_names
from jnn.weights._refusal import listed

Shapes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Move:
    """Tensors of a file that become arrays of a network by one rule.

    Attributes:
        sources: Names in the file.
        targets: Full names in the network.
        rule: The rule.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    rule: Rule


@dataclasses.dataclass
class Plan:
    """The moves, and the names on both sides that have no partner.

    Attributes:
        moves: What is moved.
        missing: Names in the network, each with the name that the file lacks.
        left_over: Names in the file.
    """

    moves: list[Move]
    missing: dict[str, str]
    left_over: list[str]


def make_plan(
    tensors: Shapes, network: Network, family: Family | None, wanted: Sequence[str]
) -> Plan:
    """Return the plan for the arrays of a network that are wanted.

    Args:
        tensors: The tensors by the names that the family knows.
        network: The network.
        family: The table; None if the file has the network's own names.
        wanted: Full names of the arrays to fill.
    """
    if family is None:
        return _plan_of_same_names(tensors, network, wanted)
    full = {**short_names(network.names), **{name: name for name in network.names}}
    moves: list[Move] = []
    used: set[str] = set()
    filled: set[str] = set()
    absent: dict[str, str] = {}
    left_over = []
    for name in tensors:
        if name in used:
            continue
        move = _move_of(name, family, full, tensors)
        if move is None or filled & {*move.targets}:  # no array has two tensors
            left_over.append(name)
            continue
        used |= {*move.sources}
        filled |= {*move.targets}
        moves.append(move)
    moves = [move for move in moves if {*move.targets} & {*wanted}]
    for target in wanted:
        if target not in filled:
            absent[target] = _name_in_file(target, family)
    return Plan(moves, absent, left_over)


def _plan_of_same_names(tensors: Shapes, network: Network, wanted: Sequence[str]) -> Plan:
    """Return the plan for a file that has the names of the network, full or short."""
    full = {**short_names(network.names), **{name: name for name in network.names}}
    moves = []
    filled: set[str] = set()
    left_over = []
    for name in tensors:
        target = full.get(name)
        if target is None or target in filled:  # no array has two tensors
            left_over.append(name)
            continue
        filled.add(target)
        moves.append(Move((name,), (target,), Rule(_plain(name), _plain(target))))
    missing = {target: "" for target in wanted if target not in filled}
    return Plan([m for m in moves if {*m.targets} & {*wanted}], missing, left_over)


def _plain(name: str) -> str:
    """Return a name without braces, which rules take for placeholders."""
    return name.replace("{", "").replace("}", "")


def _move_of(name: str, family: Family, full: Mapping[str, str], tensors: Shapes) -> Move | None:
    """Return the move that takes a tensor; None if there is no place for it."""
    for place, rule in enumerate(family.rules):
        if rule.needs is not None and rule.needs not in full:
            continue
        for source in rule.sources:
            values = source.values(name)
            if values is None:
                continue
            if rule.target is None:
                return Move((name,), (), rule)
            sources = tuple(one.name(values) for one in rule.sources)
            targets = tuple(one.name(values) for one in rule.targets)
            if any(target not in full for target in targets):
                continue
            if rule.steps.is_tied:  # of those that are there, and are not arrays of their own
                before = dataclasses.replace(family, rules=family.rules[:place])
                sources = tuple(
                    one
                    for one in sources
                    if one in tensors and _move_of(one, before, full, tensors) is None
                )
            if all(one in tensors for one in sources):
                return Move(sources, tuple(full[target] for target in targets), rule)
    return None


def _name_in_file(target: str, family: Family) -> str:
    """Return the names that a file should have for an array of the network."""
    for rule in family.rules:
        for one in rule.targets:
            for name in (target, target.partition("/")[2]):
                values = one.values(name)
                if values is not None:
                    return " + ".join(source.name(values) for source in rule.sources)
    return ""


def check_plan(plan: Plan, misshapen: Sequence[str], path: Any, name: str) -> None:
    """Raise ValueError with all that does not fit, sorted, on both sides.

    Args:
        plan: The plan.
        misshapen: What is said of each array of another shape.
        path: Of the file.
        name: Of the network.
    """
    missing = [f"{target} ({source})" if source else target
               for target, source in plan.missing.items()]  # fmt: skip
    if not (missing or plan.left_over or misshapen):
        return
    raise ValueError(
        f"The tensors of {path} must fit {name}, but missing in the file are {listed(missing)}, "
        f"left over in the file are {listed(plan.left_over)}, and of another shape are "
        f"{listed(misshapen)}. Load a part with only= or skip=, leave out tensors of the file "
        "with ignore=, or correct the family's table."
    )
