"""The hyper-parameters of a member as the optimizer, the penalty and the network read them."""

import contextlib
import contextvars
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax


class MissingHyperParameter(KeyError, ValueError):
    """A hyper-parameter that neither the members nor the study set."""

    def __str__(self) -> str:
        return self.args[0]


@jax.tree_util.register_pytree_node_class
class HyperParameters(Mapping[str, Any]):
    """A member's hyper-parameters, read as `h.learning_rate` or `h["learning_rate"]`.

    They are a tree of arrays, so that functions under `jax.jit` or `jax.checkpoint` take them.
    """

    def __init__(self, values: Mapping[str, Any]):
        self._values = values

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise MissingHyperParameter(
                f"The hyper-parameter {name!r} is not set; the members set "
                f"{sorted(self._values) or 'none'}. Add jnn.grid({name}=[...]) to the members or "
                f"Study(hyper={{{name!r}: ...}})."
            )
        note_names({name})
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """Return the numbers and their names."""
        names = tuple(sorted(self._values))
        return tuple(self._values[name] for name in names), names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], values: Iterable[Any]) -> "HyperParameters":
        """Return hyper-parameters of these names and numbers."""
        return cls(dict(zip(names, values, strict=True)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


_NAMES_READ: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar(
    "names_read", default=None
)


@contextlib.contextmanager
def recording_names() -> Iterator[set[str]]:
    """Collect the names of the hyper-parameters that functions traced inside the context read."""
    names: set[str] = set()
    token = _NAMES_READ.set(names)
    try:
        yield names
    finally:
        _NAMES_READ.reset(token)


def note_names(read: set[str]) -> None:
    """Add names that were read to those that are collected around the call."""
    names = _NAMES_READ.get()
    if names is not None:
        names |= read
