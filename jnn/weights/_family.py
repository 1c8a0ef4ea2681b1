"""Families of networks: tables that say which tensor of a file is which array of a network."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jnn.weights._layout import Layout, layout
from jnn.weights._pattern import Pattern, pattern

Names = str | tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of a table.

        Rule("conv{i+1}.weight", "convs/{i}/kernel", "OIHW->HWIO")

    Attributes:
        source: Name of a tensor in the file, with placeholders such as `{i}`; or names of several
            that the network has as one. See `jnn.weights.Pattern`.
        target: Name of an array of the network, its keys joined by slashes; or names of several
            that the file has as one; None for tensors that the network does not need.
        layout: How the numbers lie on both sides; see `jnn.weights.Layout`.
        needs: Name of an array that the network must have for the rule to count; None for any
            network.
    """

    source: Names
    target: Names | None
    layout: str = "same"
    needs: str | None = None

    def __post_init__(self) -> None:
        fields = [one.fields() for one in (*self.sources, *self.targets)]
        if self.target is not None and any(other != fields[0] for other in fields):
            raise ValueError(
                f"The rule {self.source!r} -> {self.target!r} must have the same placeholders on "
                "both sides. Give them the same names."
            )
        if len(self.sources) > 1 and len(self.targets) > 1:
            raise ValueError(
                f"The rule {self.source!r} -> {self.target!r} must have one name on one of its "
                "sides. Write two rules."
            )
        _ = self.steps  # raises now for a layout that is none

    @property
    def sources(self) -> list[Pattern]:
        """The patterns of the file's side."""
        return [pattern(text) for text in _as_tuple(self.source)]

    @property
    def targets(self) -> list[Pattern]:
        """The patterns of the network's side."""
        return [pattern(text) for text in _as_tuple(self.target)]

    @property
    def steps(self) -> Layout:
        """The layout, understood."""
        return layout(self.layout)


def _as_tuple(names: Names | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


@dataclasses.dataclass(frozen=True)
class Family:
    """Networks whose weights are named alike.

    Attributes:
        rules: The table; the first rule that a name fits counts.
        prefixes: Beginnings of names that some files have, such as "transformer.".
        heads: Patterns of names that have no prefix even then, such as "lm_head.*". A file that
            is saved with one of them has the first prefix before all other names.
        name: Of the family.
    """

    rules: tuple[Rule, ...]
    prefixes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    name: str = "table"


Table = Family | Sequence[Rule | tuple[Any, ...]] | Mapping[str, str]
MakeFamily = Callable[[Mapping[str, Any]], Table]
Config = Mapping[str, Any]
MakeNetwork = Callable[[Config], Callable[..., Any]]

_FAMILIES: dict[str, Table | MakeFamily] = {}
_NETWORKS: dict[str, MakeNetwork] = {}


def register(name: str, family: Table | MakeFamily, network: MakeNetwork | None = None) -> None:
    """Give a family of networks a name, by which `load`, `save` and `from_folder` know it.

    Args:
        name: The name; for `from_folder` the `model_type` of the config.
        family: A table, or a function that makes one of the file's config.
        network: Function that makes the network of a config, as config.json has it; it raises
            ValueError for settings that the network cannot have. None if only the table is known.
    """
    _FAMILIES[name] = family
    _NETWORKS.pop(name, None)
    if network is not None:
        _NETWORKS[name] = network


def families() -> list[str]:
    """Return the names of the families that are known."""
    return sorted(_FAMILIES)


def network_maker(model_type: object) -> MakeNetwork:
    """Return the function that makes the networks of a `model_type` of config.json.

    Raises:
        ValueError: If none is known.
    """
    if not isinstance(model_type, str) or model_type not in _NETWORKS:
        raise ValueError(
            f"model_type of the config must be one of {sorted(_NETWORKS)}, got {model_type!r:.80}. "
            "Make the network yourself, and pass jnn.weights.load a table of rules."
        )
    return _NETWORKS[model_type]


def family_of(family: Table | MakeFamily | str, config: Mapping[str, Any]) -> Family:
    """Return the family of a name, of a table or of a function that makes one.

    Raises:
        TypeError: If it is none of these.
        ValueError: If no family has the name.
    """
    if isinstance(family, str):
        if family not in _FAMILIES:
            raise ValueError(
                f"family must be one of {families()}, got {family!r}. Choose one, or pass a table "
                "of rules."
            )
        known = _FAMILIES[family]
        return dataclasses.replace(family_of(known, config), name=family)
    if callable(family):
        family = family(config)
    if isinstance(family, Family):
        return family
    if isinstance(family, Mapping):
        return Family(tuple(_rules(family.items())))
    if isinstance(family, Sequence):
        return Family(tuple(_rules(family)))
    raise TypeError(
        "family must be a name, a jnn.weights.Family, or a list of rules such as "
        f"('fc.weight', 'output/kernel', 'transpose'), got {family!r:.80}."
    )


def _rules(rows: Iterable[Any]) -> Iterable[Rule]:
    for row in rows:
        if isinstance(row, Rule):
            yield row
        elif isinstance(row, tuple) and len(row) in (2, 3):
            yield Rule(*row)
        else:
            raise TypeError(
                "A rule must be (name in the file, name in the network, layout), got "
                f"{row!r:.80}. Write e.g. ('fc.weight', 'output/kernel', 'transpose')."
            )
