"""The fields of a Linen module by which it is told whether it trains."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict

from jnn.model._switch import Values, known_values

_OF_FLAX = ("parent", "name")
_CONTAINERS = (list, tuple, dict, FrozenDict)


def fields_of(module: nn.Module) -> dict[str, Any]:
    """Return the fields of a module and of the modules in its fields, by name."""
    return {name: value for part in _parts(module) for name, value in _fields(part).items()}


def switching_fields(module: nn.Module) -> dict[str, Values]:
    """Return the switches among the fields: those that are true or false and named like one."""
    known = {
        name: known_values(name, certain=True)
        for name, value in fields_of(module).items()
        if isinstance(value, bool)
    }
    return {name: values for name, values in known.items() if values is not None}


def in_mode(module: nn.Module, switches: Mapping[str, Values], train: bool) -> nn.Module:
    """Return the module with its switches set to training or to scoring, also in nested modules.

    Layers of Flax are never switched on: `nn.BatchNorm(use_running_average=True)` is frozen.
    """
    clones: dict[int, nn.Module] = {}  # a module that stands in two places stays one

    def changed(value: Any) -> Any:
        if isinstance(value, nn.Module):
            if id(value) not in clones:
                clones[id(value)] = clone(value)
            return clones[id(value)]
        if isinstance(value, _CONTAINERS):
            return jax.tree.map(changed, value, is_leaf=lambda leaf: leaf is not value)
        return value

    def clone(part: nn.Module) -> nn.Module:
        fields = _fields(part)
        after = {name: changed(value) for name, value in fields.items()}
        for name in fields.keys() & switches.keys():
            kind = type(switches[name].training)
            if isinstance(fields[name], kind) and not (train and _is_layer_of_flax(part)):
                after[name] = switches[name].at(train)
        differs = {name: v for name, v in after.items() if not _is_same(v, fields[name])}
        return part.clone(**differs) if differs else part

    return clone(module) if switches else module


def _is_same(value: Any, other: Any) -> bool:
    leaves: Callable[[Any], list[Any]] = jax.tree.leaves
    if not isinstance(value, _CONTAINERS):
        return value is other
    return all(map(lambda a, b: a is b, leaves(value), leaves(other)))


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the module and all modules in its fields."""
    yield module
    for value in _fields(module).values():
        leaves = jax.tree.leaves(value) if isinstance(value, _CONTAINERS) else [value]
        for leaf in leaves:
            if isinstance(leaf, nn.Module):
                yield from _parts(leaf)


def _fields(module: nn.Module) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(module))
    return {name: getattr(module, name, None) for name in names if name not in _OF_FLAX}


def _is_layer_of_flax(module: nn.Module) -> bool:
    name = type(module).__module__
    return name.startswith("flax.") and name != "flax.linen.transforms"  # of lifted own classes
