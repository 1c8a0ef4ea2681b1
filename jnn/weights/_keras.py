"""Keras's files: `.keras`, `.weights.h5`, and the HDF5 files of Keras 2."""

import collections
import json
import re
from collections.abc import Mapping
from typing import Any

from jnn.weights._archive import Archive
from jnn.weights._hdf5 import Open, entries_of, opener
from jnn.weights._hdf5_heap import check_heaps
from jnn.weights._mapped import MappedFile, Path
from jnn.weights._refusal import reading, shown
from jnn.weights._tensors import Entry, Tensors

WEIGHTS = "model.weights.h5"  # in a .keras file
CONFIG = "config.json"

# The variables of a layer in the order of Keras, by the class as files write it.
_VARIABLES = {
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "conv1d": ("kernel", "bias"),
    "conv1d_transpose": ("kernel", "bias"),
    "conv2d": ("kernel", "bias"),
    "conv2d_transpose": ("kernel", "bias"),
    "conv3d": ("kernel", "bias"),
    "conv3d_transpose": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "depthwise_conv1d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "einsum_dense": ("kernel", "bias"),
    "embedding": ("embeddings",),
    "cell": ("kernel", "recurrent_kernel", "bias"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "separable_conv1d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
}
_ALL_OR_NONE = {"batch_normalization", "layer_normalization", "group_normalization"}


def read_hdf5(path: Path) -> Tensors:
    """Read an HDF5 file: weights of Keras 3, weights or a whole network of Keras 2, or others."""
    with reading(path):
        file = MappedFile(path)
        size = file.size
        check_heaps(file, 0, size)
        open_file = opener(path)
        entries, config = _read(open_file, size, {})
    return Tensors(path, "keras", entries, config=config)


def read_keras(path: Path, archive: Archive) -> Tensors:
    """Read a `.keras` file, whose configuration has the names of its layers."""
    config = json.loads(archive.content(CONFIG))
    if not isinstance(config, dict):
        raise ValueError("its configuration is no object")
    start, size = archive.place(WEIGHTS)
    check_heaps(archive.file, start, start + size)
    open_file = opener(lambda: archive.open(WEIGHTS))
    entries, _ = _read(open_file, size, layer_names(config))
    return Tensors(path, "keras", entries, config=config)


def _read(
    open_file: Open, size: int, layers: Mapping[str, str]
) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Return the tensors by name, and the configuration of a network of Keras 2."""
    by_path = entries_of(open_file, size)
    names, config = names_of(open_file, by_path, layers)
    if len({*names.values()}) < len(names):
        raise ValueError("two of its arrays have the same name")
    return {names[path]: entry for path, entry in by_path.items()}, config


def names_of(
    open_file: Open, paths: Mapping[str, Any], layers: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the name of every array by its path: its layer's name and the variable's."""
    with open_file() as file:
        prefix = "model_weights/" if "model_weights" in file else ""
        if "layer_names" in file[prefix or "/"].attrs:
            config = json.loads(str(file.attrs.get("model_config", "{}")))
            if not isinstance(config, dict):
                raise ValueError("its configuration is no object")
            return {path: _old_name(path, prefix) for path in paths}, config
        folders = {path: path.rpartition("/")[0] for path in paths}
        counts = collections.Counter(folders.values())
        names = {}
        for path, folder in folders.items():
            own = file[folder or "/"].attrs.get("name")
            own = own if isinstance(own, str) else None
            names[path] = _new_name(path, own, layers, counts[folder])
        return names, {}


def _old_name(path: str, prefix: str) -> str:
    """Return "conv2d_1/kernel" for "model_weights/conv2d_1/conv2d_1_1/kernel:0" of Keras 2."""
    if not path.startswith(prefix):
        return path  # of the optimizer
    layer, _, variable = path.removeprefix(prefix).partition("/")
    scope, _, rest = variable.partition("/")
    is_scope = bool(rest) and re.fullmatch(rf"{re.escape(layer)}(_\d+)?", scope) is not None
    return f"{layer}/{rest if is_scope else variable}".removesuffix(":0")


def _new_name(path: str, own: str | None, layers: Mapping[str, str], count: int) -> str:
    """Return "head/kernel" for "layers/dense_1/vars/0" of Keras 3, where "head" is the name."""
    folders = path.split("/")
    if len(folders) < 3 or folders[-2] != "vars":
        return path
    *folders, _, number = folders
    kind = re.sub(r"_\d+$", "", folders[-1])
    if own is not None and folders[-2:-1] == ["layers"]:
        layers = {**layers, "/".join(folders): own}
    parts = []
    for i, folder in enumerate(folders):
        if folder != "layers" or i + 1 == len(folders):
            parts.append(layers.get("/".join(folders[: i + 1]), folder))
    variables = _VARIABLES.get(kind, ())
    is_known = count == len(variables) if kind in _ALL_OR_NONE else count <= len(variables)
    variable = variables[int(number)] if is_known and number.isdecimal() else number
    return "/".join([*parts, variable])


def layer_names(config: Mapping[str, Any], prefix: str = "", levels: int = 16) -> dict[str, str]:
    """Return the names of the layers by their places in the file of weights.

    The place of the second Dense of a network is "layers/dense_1", whatever its name.
    """
    names: dict[str, str] = {}
    inside = config.get("config")
    layers = inside.get("layers") if isinstance(inside, dict) else None
    if not isinstance(layers, list) or levels == 0:
        return names
    counts: dict[str, int] = {}
    for layer in layers:
        kind = _snake(layer["class_name"])
        counts[kind] = counts.get(kind, 0) + 1
        place = f"{prefix}layers/{kind}" + (f"_{counts[kind] - 1}" if counts[kind] > 1 else "")
        own = layer["config"].get("name", layer.get("name"))
        if not isinstance(own, str):
            raise ValueError(f"the layer {shown(place)} has no name in its configuration")
        names[place] = own
        names |= layer_names(layer, f"{place}/", levels - 1)
    return names


def _snake(name: str) -> str:
    """Return "batch_normalization" for "BatchNormalization", and "conv2d" for "Conv2D"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
