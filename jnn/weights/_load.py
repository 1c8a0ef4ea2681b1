"""`jnn.weights.load`: the tensors of a file as the variables of a network."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.paths import Patterns, match
from jnn.storage import to_host
from jnn.weights._family import Family, MakeFamily, Table, family_of
from jnn.weights._mapped import product
from jnn.weights._network import Network, Variables, initial_leaves, network_of
from jnn.weights._plan import Move, Plan, check_plan, make_plan
from jnn.weights._read import read
from jnn.weights._refusal import listed
from jnn.weights._tensors import Tensors, entry_of

_ALIGNMENT = 64  # bytes
_SLAB = 1 << 26  # bytes that are copied before the pages of the file are given back


def load(
    path: str | os.PathLike[str] | Mapping[str, Any],
    network: Any,
    x: Any = None,
    *,
    family: Table | MakeFamily | str | None = None,
    config: Mapping[str, Any] | None = None,
    prefix: str = "",
    only: Patterns = (),
    skip: Patterns = (),
    ignore: Patterns = (),
    cast: bool = False,
    key: Any = None,
    shared: Any = None,
) -> Variables:
    """Return the variables of a network with the numbers of a file.

        params, state = jnn.weights.load("lenet.pt", network, family=table)
        jnn.as_model(network).apply(params, state, x, key=None, train=False, hyper={})

    Every array of the network must have a tensor, and every tensor a place; what is missing, left
    over or of another shape is listed in one error. Numbers that members set (`jnn.Hyper`), caches
    and keys are no weights and have their first values.

    Args:
        path: A file or folder as `jnn.weights.read` reads it, or a mapping of names to arrays.
        network: What `jnn.as_model` accepts: a pair, a Linen module or an NNX factory.
        x: An example batch, of which only shapes and types matter; an NNX factory needs none.
        family: The table of names and layouts: a name of `jnn.weights.families()`, a
            `jnn.weights.Family`, or a list of rules `(name in the file, name in the network,
            layout)`; see `jnn.weights.Rule`. None for a file with the network's own names, as
            `jnn.weights.save` writes it without a family.
        config: What a family that depends on sizes reads them from; by default the file's own, such
            as config.json.
        prefix: Beginning of the names to read, such as "model."; tensors without it are left out.
        only: Patterns of the network's names to load, as in `jnn.paths.match`; the other arrays
            keep their first values.
        skip: Patterns of the network's names that keep their first values, such as "output/*" for
            a new head. What the file has for them is left out.
        ignore: Patterns of names in the file that may be left over; dots in them count as slashes.
        cast: Whether floats of another width than the network's, such as float16 or bfloat16, are
            converted; otherwise they are an error.
        key: Random key of the first values of arrays that are not loaded; `jax.random.key(0)` by
            default.
        shared: The arrays that all members read, if the network has some.

    Returns:
        `(params, state)`, as `jnn.as_model(network).init` returns them.

    Raises:
        TypeError: If x is missing for a network that needs it.
        ValueError: If the file cannot be read, does not fit, or has other types of numbers.
    """
    tensors = _tensors(path)
    known = network_of(network, x, shared)
    config = tensors.config if config is None else config
    table = None if family is None else family_of(family, config)
    names = _names(tensors, prefix, table)
    wanted = _wanted(known, only, skip)
    plan = make_plan({n: tensors.entries[names[n]] for n in names}, known, table, wanted)
    ignored = plan.left_over if only else fitting(ignore, plan.left_over)
    plan.left_over = sorted({*plan.left_over} - {*ignored})
    filled, misshapen = _fill(tensors, names, known, plan, wanted, cast)
    check_plan(plan, misshapen, tensors.path, known.model.name)
    assert {*wanted} == filled.keys(), "what does not fit is an error"
    return _complete(known, filled, x, key, shared)


def _tensors(path: Any) -> Tensors:
    if isinstance(path, Tensors):
        return path
    if isinstance(path, Mapping):
        entries = {name: entry_of(np.asarray(to_host(array))) for name, array in path.items()}
        return Tensors("the mapping", "mapping", entries)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path must be a file, a folder or a mapping of names to arrays, got "
            f"{type(path).__name__}. Of a module of PyTorch pass module.state_dict()."
        )
    return read(path)


def _names(tensors: Tensors, prefix: str, family: Family | None) -> dict[str, str]:
    """Return the names that the family knows, and those in the file that they stand for."""
    names = {name.removeprefix(prefix): name for name in tensors.entries if name.startswith(prefix)}
    if not names and tensors.entries:
        raise ValueError(
            f"prefix must begin some name in {tensors.path}, got {prefix!r}. The names are "
            f"{listed(tensors.entries)}."
        )
    prefixes = () if family is None else family.prefixes
    for one in prefixes:
        stripped = {name.removeprefix(one): own for name, own in names.items()}
        if len(stripped) == len(names):
            names = stripped
    return names


def _wanted(network: Network, only: Patterns, skip: Patterns) -> list[str]:
    """Return the full names of the arrays to fill."""
    names = [n for n, is_stored in zip(network.names, network.stored, strict=True) if is_stored]
    short = {name: name.partition("/")[2] for name in names}
    if only:
        chosen = {*fitting(only, [*short, *short.values()])}
        _check_some(only, "only", chosen, short)
        names = [name for name in names if {name, short[name]} & chosen]
    if skip:
        left = {*fitting(skip, [*short, *short.values()])}
        _check_some(skip, "skip", left, short)
        names = [name for name in names if not {name, short[name]} & left]
    return names


def fitting(patterns: Patterns, names: Iterable[str]) -> list[str]:
    """Return the names that fit a pattern; a dot in a name of a file counts as a slash."""
    if not patterns:
        return []
    several: list[Any] = [*patterns] if isinstance(patterns, list | tuple) else [patterns]
    several += [one.replace(".", "/") for one in several if isinstance(one, str)]

    def fits(name: str) -> bool:
        # One by one, as names of files may be folders of each other.
        return any(
            match(several, {spelling: 0}, required=False)[spelling]
            for spelling in (name, name.replace(".", "/"))
        )

    return [name for name in names if fits(name)]


def _check_some(patterns: Patterns, name: str, chosen: set[str], short: Mapping[str, str]) -> None:
    if not chosen:
        raise ValueError(
            f"{name} must fit some array of the network, got {patterns!r}. The names are "
            f"{listed(short.values())}."
        )


def _fill(
    tensors: Tensors,
    names: Mapping[str, str],
    network: Network,
    plan: Plan,
    wanted: Sequence[str],
    cast: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Return the arrays by full names, and what is said of those of another shape."""
    shapes = dict(zip(network.names, network.shapes, strict=True))
    entries = {name: tensors.entries[own] for name, own in names.items()}
    _check_types(plan, entries, shapes, wanted, cast, tensors.path)
    filled: dict[str, Any] = {}
    misshapen: list[str] = []

    def size(move: Move) -> int:
        return sum(product(entries[name].shape) for name in move.sources)

    for move in sorted(plan.moves, key=size, reverse=True):  # the largest while memory is free
        try:
            arrays = move.rule.steps.to_network(
                [tensors[names[name]] for name in move.sources],
                [shapes[target].shape for target in move.targets],
            )
        except (ValueError, IndexError) as error:
            misshapen.append(_shape_words(move, entries, shapes, str(error)))
            continue
        if [a.shape for a in arrays] != [shapes[target].shape for target in move.targets]:
            misshapen.append(_shape_words(move, entries, shapes))
            continue
        if plan.missing or plan.left_over or misshapen:
            continue  # the error lists shapes, which need no copies
        for target, array in zip(move.targets, arrays, strict=True):
            if target in wanted:
                filled[target] = _owned(array, shapes[target].dtype, tensors.release)
    return filled, misshapen


def _shape_words(move: Move, entries: Any, shapes: Any, why: str = "") -> str:
    there = ", ".join(f"{target} {shapes[target].shape}" for target in move.targets)
    here = ", ".join(f"{name} {tuple(entries[name].shape)}" for name in move.sources)
    return (f"{why}: " if why else "") + f"{there} from {here}"  # long texts are cut at their end


def _check_types(
    plan: Plan, entries: Any, shapes: Any, wanted: Sequence[str], cast: bool, path: Any
) -> None:
    """Raise ValueError for types that differ, unless they are floats that are to be converted."""
    others = []
    floats = True
    for move in plan.moves:
        for name in move.sources:
            own = entries[name].dtype
            for target in move.targets:
                if target not in wanted or own == shapes[target].dtype:
                    continue
                both = (
                    jnp.issubdtype(own, jnp.floating),
                    jnp.issubdtype(shapes[target].dtype, jnp.floating),
                )
                if not (cast and all(both)):
                    floats &= all(both)
                    others.append(f"{name} {own} for {target} {shapes[target].dtype}")
    if others:
        advice = "Pass cast=True to convert them." if floats else "Only floats are converted."
        raise ValueError(
            f"The tensors of {path} must have the types of the network, but others are "
            f"{listed(others)}. {advice}"
        )


def _owned(array: np.ndarray, dtype: Any, release: Callable[[], None]) -> jax.Array:
    """Return a copy of an array, which may be a view of a file, as an array of JAX.

    It is copied by slabs along the axis whose steps are the longest, after each of which the pages
    of the file are given back, so that memory holds little more than the copy.
    """
    copy = _aligned(array.shape, dtype)
    if array.nbytes <= _SLAB:
        copy[...] = array
    else:
        axis = int(np.argmax(np.abs(array.strides)))
        rows = max(1, _SLAB * array.shape[axis] // array.nbytes)
        source, target = np.moveaxis(array, axis, 0), np.moveaxis(copy, axis, 0)
        for start in range(0, array.shape[axis], rows):
            target[start : start + rows] = source[start : start + rows]
            release()
    release()
    return jax.device_put(copy, may_alias=True)


def _aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array whose memory JAX can take over on a CPU, as it begins where JAX's would."""
    count = product(shape) * np.dtype(dtype).itemsize
    memory = np.empty(count + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + count].view(dtype).reshape(shape)


def _complete(
    network: Network, filled: Mapping[str, Any], x: Any, key: Any, shared: Any
) -> Variables:
    """Return the variables; what is not filled has its first values."""
    leaves = [filled.get(name) for name in network.names]
    absent = [place for place, leaf in enumerate(leaves) if leaf is None]
    if absent:
        key = jax.random.key(0) if key is None else key
        for place, leaf in initial_leaves(network, x, key, shared, absent).items():
            leaves[place] = leaf
    return network.structure.unflatten(leaves)
