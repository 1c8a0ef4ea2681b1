"""Nested dicts and lists of a checkpoint as flat names."""

from collections.abc import Callable, Mapping
from typing import Any

from jnn.weights._refusal import shown
from jnn.weights._tensors import Entry

_DEEPEST = 64  # levels of a checkpoint
_SCALARS = (str, bytes, int, float, bool, type(None))


def flatten(
    tree: Any, join: str, entry: Callable[[Any], Entry | None], most: int
) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Return the tensors of nested dicts, lists and tuples by name, and the other values.

    Args:
        tree: The nested values.
        join: What stands between the keys of a name, "." or "/".
        entry: `entry(leaf)` returns the entry of a tensor, None for any other value.
        most: Number of leaves that the file may have; one that repeats itself has more.

    Raises:
        ValueError: If two leaves have the same name, or the tree holds itself.
    """
    tensors: dict[str, Entry] = {}
    others: dict[str, Any] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    for count in range(max(most, 1000) + 1):
        if not waiting:
            return tensors, others
        keys, value = waiting.pop()
        if len(keys) > _DEEPEST or count == max(most, 1000):
            break
        children = _children(value)
        if children is not None:
            waiting += [((*keys, _text(key)), child) for key, child in reversed(children)]
            continue
        name = join.join(keys) if keys else "tensor"
        if name in tensors or name in others:
            raise ValueError(f"two of its values have the name {shown(name)}")
        found = entry(value)
        if found is not None:
            tensors[name] = found
        elif isinstance(value, _SCALARS):
            others[name] = value
        else:
            others[name] = str(value)
    raise ValueError("its values hold each other, or are nested too deep")


def _children(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, Mapping):
        return list(value.items())
    if type(value) in (list, tuple):
        return list(enumerate(value))
    return None


def _text(key: Any) -> str:
    return key.decode("utf-8") if isinstance(key, bytes) else str(key)
