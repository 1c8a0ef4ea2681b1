"""How the call of a network is made: with x, its switches and, if it asks for them, random keys."""

import inspect
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from jnn.model._errors import DrawsWithoutKey, NetworkError
from jnn.model._switch import TrainKeyword, Values, switches_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_KEY = re.compile(
    r"(\w+_)?(rng|prng|rng_key|prng_key|random_key)|(dropout|noise|sample|latent|z)_key"
)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Call:
    """The arguments of a network's `__call__`, read from its signature.

    Args:
        call: The `__call__` of a module.
        owner: Name of the network, for error messages.
        train_keyword: As in `jnn.Study`.
        attributes: Names of attributes that may be switches too.
        positional: Whether the switches must be passed by position, as the argument numbers of
            `nn.remat` and `nn.jit` demand.

    Raises:
        ValueError: If `train_keyword` names nothing that there is, or if the call needs an
            argument that is neither x, a switch nor a random key.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        *,
        owner: str,
        train_keyword: TrainKeyword = None,
        attributes: Mapping[str, Any] | None = None,
        positional: bool = False,
    ) -> None:
        self._parameters = inspect.signature(call).parameters
        self._owner = owner
        self._positional = positional
        takes_any = any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())
        switches = switches_of(call, train_keyword, owner=f"{owner}.__call__")
        self.attributes: dict[str, Values] = {}
        self._switches: dict[str, Values] = {}
        for name, values in switches.items():
            if name in self._parameters or (takes_any and name not in (attributes or {})):
                self._switches[name] = values
            elif name in (attributes or {}):
                self.attributes[name] = values
            else:
                raise ValueError(_unknown(owner, name, self._parameters, attributes or {}))
        self._keys = [name for name in self._parameters if self._is_key(name)]
        self._inputs = self._required()

    @property
    def switches(self) -> tuple[str, ...]:
        """The names of the keywords that tell whether the network trains."""
        return tuple(self._switches)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the arguments that take random keys."""
        return tuple(name for name in self._keys if name != "rngs")

    def arguments(self, x: Any, *, train: bool, key: jax.Array | None) -> Arguments:
        """Return the arguments and keyword arguments of a call with x.

        A random key that the call can do without is passed only in training.

        Raises:
            DrawsWithoutKey: If the call needs a random key and there is none.
        """
        named = {name: values.at(train) for name, values in self._switches.items()}
        for name in self._keys:
            if train or self._parameters[name].default is inspect.Parameter.empty:
                value = self._key(name, key)
                if value is not None:
                    named[name] = value
        inputs, named_inputs = self._split(x)
        return self._in_order(inputs, {**named_inputs, **named})

    def _is_key(self, name: str) -> bool:
        if name == "rngs" or _KEY.fullmatch(name):
            return True
        attends = {"query", "value", "q", "v", "values"} & self._parameters.keys()
        return name == "key" and not attends

    def _key(self, name: str, key: jax.Array | None) -> Any:
        """Return the random key, or the streams of keys, for the argument of this name."""
        if key is not None:
            key = jax.random.fold_in(key, zlib.crc32(name.encode()))
            return nnx.Rngs(key) if name == "rngs" else key
        if self._parameters[name].default is not inspect.Parameter.empty:
            return None
        if name == "rngs":
            return nnx.Rngs(0)  # of which the caller sees whether keys were drawn
        raise DrawsWithoutKey(
            f"{self._owner} must be given a key, as its __call__ needs {name}, got None. Pass key=."
        )

    def _required(self) -> list[str]:
        """Return the names of the arguments that take the inputs."""
        names = [
            name
            for name, p in self._parameters.items()
            if name not in self._switches
            and name not in self._keys
            and p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if names:
            return names
        first = [name for name, p in self._parameters.items() if p.kind in _POSITIONAL]
        return first[:1]

    def _split(self, x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return x as the inputs of the call: several arguments take the parts of a tree."""
        if len(self._inputs) < 2 and not self._names_arguments(x):
            return (x,), {}
        if isinstance(x, Mapping) and x.keys() >= set(self._inputs):
            return (), {name: x[name] for name in x if name in self._parameters}
        if isinstance(x, tuple) and len(x) >= len(self._inputs):
            return x, {}
        raise NetworkError(
            f"{self._owner}.__call__ must be callable with x alone, or with the parts of x, but it "
            f"needs {self._inputs}. Give the others defaults; if one of them tells training from "
            "scoring, name it: Study(train_keyword=...)."
        )

    def _names_arguments(self, x: Any) -> bool:
        """Return whether x is a dict of several parts, and each has an argument of its name."""
        if not isinstance(x, Mapping) or len(x) < 2:
            return False
        return self._parameters.keys() >= x.keys() >= set(self._inputs)

    def _in_order(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
        """Return the arguments, those passed by position that must be."""
        arguments = list(inputs)
        parameters = list(self._parameters.values())[len(inputs) :]
        last = max(
            (
                i
                for i, p in enumerate(parameters)
                if p.name in named
                and (
                    p.kind is p.POSITIONAL_ONLY
                    or (self._positional and p.kind is p.POSITIONAL_OR_KEYWORD)
                )
            ),
            default=-1,
        )
        for parameter in parameters[: last + 1]:
            arguments.append(named.pop(parameter.name, parameter.default))
        return tuple(arguments), named


def _unknown(
    owner: str, name: str, parameters: Mapping[str, Any], attributes: Mapping[str, Any]
) -> str:
    keywords = [*parameters][1:]
    names = f"{keywords}" + (f" or attributes {sorted(attributes)}" if attributes else "")
    return (
        f"train_keyword must name a keyword of {owner}.__call__, {names}, got {name!r}. Name one "
        "of these, or add the keyword."
    )
