"""`jnn.weights.save`: the arrays of a network as a file of another library."""

import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from jnn._names import names_in
from jnn.paths import Patterns
from jnn.storage import atomic_path, expand, to_host
from jnn.weights._family import Family, MakeFamily, Table, family_of
from jnn.weights._keras_file import check_folders, write_like, write_network_like, write_paths
from jnn.weights._load import fitting
from jnn.weights._network import STATE, Variables, is_variables, short_names
from jnn.weights._onnx_file import write_onnx
from jnn.weights._refusal import listed
from jnn.weights._torch_file import write_torch

Form = Literal["safetensors", "torch", "keras", "npz", "msgpack", "onnx"]
Arrays = dict[str, np.ndarray]

_TIME = (1980, 1, 1, 0, 0, 0)  # so that equal arrays make equal files
_SUFFIXES = {
    ".safetensors": "safetensors",
    ".pt": "torch",
    ".pth": "torch",
    ".bin": "torch",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".npz": "npz",
    ".msgpack": "msgpack",
    ".onnx": "onnx",
}


def save(
    tree: Any,
    path: str | os.PathLike[str],
    form: Form | None = None,
    *,
    family: Table | MakeFamily | str | None = None,
    config: Mapping[str, Any] | None = None,
    prefix: str | None = None,
    skip: Patterns = (),
    member: int | None = None,
    like: str | os.PathLike[str] | None = None,
    network: Any = None,
    x: Any = None,
) -> pathlib.Path:
    """Write the arrays of a network to a file, bit for bit.

        jnn.weights.save(result, "lenet.pt", member=0, family=table)

    Without a family the names are the keys of the tree, joined by slashes, and `load` reads them
    back. With one they are those of the other library, and the numbers lie as it has them.

    Args:
        tree: `(params, state)`, a result with `member=`, `result.trained` of a member, a mapping of
            names to arrays, or any tree of arrays.
        path: The file to write; a leading `~` is the home directory.
        form: "safetensors", "torch" (a `state_dict` for `torch.load`), "keras" (`.weights.h5` for
            `model.load_weights`, or `.keras` for `keras.saving.load_model`), "npz", "msgpack" (for
            `flax.serialization`), or "onnx" (the whole network as a program, whose outputs are
            checked; it needs `network` and `x`). By default what the suffix of the path says, and
            "safetensors" for a suffix that is not known.
        family: The table of names and layouts, as for `load`.
        config: What a family that depends on sizes reads them from, as in config.json.
        prefix: What all names begin with, such as "model.", but for the heads of a family. By
            default what the family's library writes, such as "transformer." beside "lm_head.weight"
            of "gpt2", and nothing without a family.
        skip: Patterns of the network's names to leave out.
        member: The number of the member of a result.
        like: For "keras": a file that Keras has written for the same layers, whose places the
            arrays take, so that `family` may name them as `read` does, "conv1/kernel". A `.keras`
            file needs another one, whose layers it has. Without it names are Keras's places,
            "layers/conv2d/vars/0".
        network: For "onnx": what `jnn.as_model` accepts.
        x: For "onnx": an example batch.

    Returns:
        The path.

    Raises:
        ImportError: If the form needs a package that is not installed.
        TypeError: If the tree holds something else than arrays of numbers.
        ValueError: If there is no array, or one has no name in the family, or a type that the form
            lacks.
    """
    place = expand(path)
    chosen = form or _SUFFIXES.get(place.suffix, "safetensors")
    if chosen == "onnx":
        return _save_program(_without_result(tree, member), place, network, x)
    arrays = _arrays(tree, member)
    left_out = {*fitting(skip, list(arrays)), *_fitting_short(skip, arrays)}
    arrays = {name: array for name, array in arrays.items() if name not in left_out}
    if family is None:
        arrays = {(prefix or "") + name: array for name, array in arrays.items()}
    else:
        table = family_of(family, config or {})
        arrays = _prefixed(_named(arrays, table), table, prefix)
    write = _writer(chosen, like, is_whole=place.suffix == ".keras")
    with atomic_path(place) as partial:
        write(partial, arrays)
    return place


def _save_program(variables: Any, path: pathlib.Path, network: Any, x: Any) -> pathlib.Path:
    if network is None or x is None or not isinstance(variables, Variables):
        raise TypeError(
            "The form 'onnx' is a program, so it needs (params, state), network= and x=, an "
            "example batch. Pass them."
        )
    with atomic_path(path) as partial:
        write_onnx(partial, network, variables, x)
    return path


def _fitting_short(patterns: Patterns, arrays: Arrays) -> list[str]:
    short = short_names(arrays)
    return [short[name] for name in fitting(patterns, list(short))]


def _arrays(tree: Any, member: int | None) -> Arrays:
    """Return the arrays by name, each row by row in the memory of the host."""
    tree = _without_result(tree, member)
    if isinstance(tree, Mapping) and all(map(_is_array, tree.values())):
        named = {str(name): array for name, array in tree.items()}
    else:
        names, _ = names_in(tree)
        named = dict(zip(names, jax.tree.leaves(tree), strict=True))
    if not named and not isinstance(tree, Mapping):
        raise ValueError(f"The tree must hold at least one array, got {tree!r:.60}.")
    arrays = {name: np.asarray(to_host(array), order="C") for name, array in named.items()}
    for name, array in arrays.items():
        if array.dtype.kind in "OSUMm":
            raise TypeError(
                f"The tree must hold arrays of numbers only, got {array.dtype} at {name!r}. Leave "
                "it out."
            )
    return arrays


def _is_array(value: Any) -> bool:
    return np.isscalar(value) or (hasattr(value, "dtype") and hasattr(value, "shape"))


def _without_result(tree: Any, member: int | None) -> Any:
    """Return the variables of a member of a result, or of what `result.trained` holds."""
    trained = getattr(tree, "trained", None)
    if trained is not None:
        count = len(jax.tree.leaves(trained)[0])
        if member is None and count > 1:
            raise ValueError(
                f"member must be the number of one of the {count} members of the result, got None. "
                "Pass member=0, or the best one's."
            )
        index = member or 0
        if not -count <= index < count:
            raise ValueError(
                f"member must be below {count}, the number of members, got {index}. Choose one."
            )
        tree = jax.tree.map(lambda array: array[index], trained)
    elif member is not None:
        raise ValueError(f"member must be None for a tree without members, got {member}.")
    if hasattr(tree, "params") and hasattr(tree, "model_state"):
        return Variables(tree.params, tree.model_state)
    return Variables(*tree) if is_variables(tree) else tree


def _named(arrays: Arrays, family: Family) -> Arrays:
    """Return the arrays by the names, and in the layouts, of a family."""
    full = {**short_names(arrays), **{name: name for name in arrays}}
    named: Arrays = {}
    tied: Arrays = {}
    used: set[str] = set()
    for name in full:
        for rule in family.rules:
            values = [v for one in rule.targets if (v := one.values(name)) is not None]
            if not values or full[name] in used:
                continue
            if rule.needs is not None and rule.needs not in full:
                continue
            targets = [one.name(values[0]) for one in rule.targets]
            if not all(target in full for target in targets):
                continue
            sources = [one.name(values[0]) for one in rule.sources]
            if not rule.steps.is_tied and named.keys() & {*sources}:  # names of another array
                continue
            found = rule.steps.to_file([arrays[full[t]] for t in targets], len(rule.sources))
            copies = dict(zip(sources, map(_in_rows, found), strict=True))
            if rule.steps.is_tied:
                tied |= copies
            else:
                named |= copies
            used |= {full[target] for target in targets}
            break
    # A number of the state without axes, such as a dropout rate, is no weight.
    lost = [n for n in arrays if n not in used and (arrays[n].ndim or not n.startswith(STATE))]
    if lost:
        raise ValueError(
            f"The family {family.name} must name every array, but has no rule for {listed(lost)}. "
            "Add rules, or leave the arrays out with skip=."
        )
    return tied | named  # what is an array of its own is no copy


def _prefixed(arrays: Arrays, family: Family, prefix: str | None) -> Arrays:
    """Return the arrays with the prefix before all names but those of heads."""
    heads = {*fitting(family.heads, arrays)}
    if prefix is None:
        prefix = family.prefixes[0] if heads and family.prefixes else ""
    return {name if name in heads else prefix + name: array for name, array in arrays.items()}


def _in_rows(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, order="C")


def _writer(form: str, like: Any, *, is_whole: bool) -> Callable[[pathlib.Path, Arrays], None]:
    if form == "keras" and like is not None:
        write = write_network_like if is_whole else write_like
        return lambda path, arrays: write(path, arrays, like)
    if form == "keras" and is_whole:
        raise ValueError(
            "like must be a .keras file for a .keras file, which tells the layers, got None. Save "
            "the network in Keras: model.save('made_by_keras.keras')."
        )
    if form not in _WRITERS:
        raise ValueError(f"form must be one of {[*_WRITERS, 'onnx']}, got {form!r}. Choose one.")
    if like is not None:
        raise ValueError(f"like must be None for the form {form!r}, as only Keras has places.")
    return _WRITERS[form]


def _write_safetensors(path: pathlib.Path, arrays: Arrays) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path, {"format": "pt"})  # Hugging Face asks for the metadata
    except (SafetensorError, KeyError) as error:
        if "I/O error" in str(error):
            raise OSError(f"{path} cannot be written: {error}.") from error
        types = sorted({array.dtype.name for array in arrays.values()})
        raise ValueError(
            f"The arrays must have types that safetensors knows, got {types}: {error}. Convert "
            "them."
        ) from error


def _write_npz(path: pathlib.Path, arrays: Arrays) -> None:
    if others := [name for name, array in arrays.items() if array.dtype.kind == "V"]:
        raise ValueError(
            f"NumPy's files keep no bfloat16 or float8, which {listed(others)} have. Choose the "
            "form 'safetensors'."
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            # Not numpy.savez, which takes names for its own arguments.
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _TIME), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _write_msgpack(path: pathlib.Path, arrays: Arrays) -> None:
    from flax.serialization import msgpack_serialize

    check_folders(arrays)
    path.write_bytes(msgpack_serialize(unflatten_dict(arrays, sep="/")))


_WRITERS: dict[str, Callable[[pathlib.Path, Arrays], None]] = {
    "safetensors": _write_safetensors,
    "torch": write_torch,
    "keras": write_paths,
    "npz": _write_npz,
    "msgpack": _write_msgpack,
}
