"""The fields of a Linen module by which it is told whether it trains."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict
from flax.linen import transforms

from jnn.model._switch import Values, known_values

_OF_FLAX = ("parent", "name")
_CONTAINERS = (list, tuple, dict, FrozenDict)


def fields_of(module: nn.Module) -> dict[str, Any]:
    """Return the fields of a module, and of all that has fields in them, by name."""
    return {name: value for part in _parts(module) for name, value in _fields(part).items()}


def switching_fields(module: nn.Module) -> dict[str, Values]:
    """Return the switches among the fields: those that are true or false and named like one."""
    known = {
        name: known_values(name, certain=True)
        for part in _parts(module)
        for name, value in _fields(part).items()
        if isinstance(value, bool)
    }
    return {name: values for name, values in known.items() if values is not None}


def in_mode(module: nn.Module, switches: Mapping[str, Values], train: bool) -> nn.Module:
    """Return the module with its switches set to training or to scoring.

    They are also set in the modules, dataclasses of settings and partials that its fields hold.
    Layers of Flax are never switched on: `nn.BatchNorm(use_running_average=True)` is frozen.
    """
    clones: dict[int, Any] = {}  # a module that stands in two places stays one

    def changed(value: Any) -> Any:
        if _has_fields(value):
            if id(value) not in clones:
                clones[id(value)] = clone(value)
            return clones[id(value)]
        if isinstance(value, _CONTAINERS):
            return jax.tree.map(changed, value, is_leaf=lambda leaf: leaf is not value)
        return value

    def clone(part: Any) -> Any:
        fields = _fields(part)
        after = {name: changed(value) for name, value in fields.items()}
        for name in fields.keys() & switches.keys():
            kind = type(switches[name].training)
            if isinstance(fields[name], kind) and not (train and _is_layer_of_flax(part)):
                after[name] = switches[name].at(train)
        differs = {name: v for name, v in after.items() if not _is_same(v, fields[name])}
        if not differs:
            return part
        if isinstance(part, functools.partial):
            return functools.partial(part, **differs)
        if isinstance(part, nn.Module):
            return part.clone(**differs)
        return dataclasses.replace(part, **differs)

    return clone(module) if switches else module


def _is_same(value: Any, other: Any) -> bool:
    leaves: Callable[[Any], list[Any]] = jax.tree.leaves
    if not isinstance(value, _CONTAINERS):
        return value is other
    return all(map(lambda a, b: a is b, leaves(value), leaves(other)))


def _has_fields(value: Any) -> bool:
    """Return whether a value is a module, a dataclass of settings, or a partial of a layer."""
    if isinstance(value, functools.partial):
        return True
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _parts(module: Any) -> Iterator[Any]:
    """Yield the module and all that has fields in its fields."""
    yield module
    for value in _fields(module).values():
        leaves = [value]
        if isinstance(value, _CONTAINERS):
            leaves = jax.tree.leaves(value, is_leaf=_has_fields)
        for leaf in leaves:
            if _has_fields(leaf):
                yield from _parts(leaf)


def _fields(module: Any) -> dict[str, Any]:
    if isinstance(module, functools.partial):
        return dict(module.keywords)
    names = (field.name for field in dataclasses.fields(module) if field.init)
    return {name: getattr(module, name, None) for name in names if name not in _OF_FLAX}


def _is_layer_of_flax(module: Any) -> bool:
    if isinstance(module, functools.partial):
        return True
    name = type(module).__module__
    return name.startswith("flax.") and name != "flax.linen.transforms"  # of lifted own classes


def is_lifted(module: nn.Module) -> bool:
    """Return whether a transformation of Flax, such as `nn.remat`, calls the class or its method.

    Such transformations know static arguments by their places.
    """
    if type(module).__module__ == transforms.__name__:
        return True
    function = type(module).__call__
    while function is not None:
        if inspect.getfile(function) == transforms.__file__:
            return True
        function = getattr(function, "__wrapped__", None)
    return False
