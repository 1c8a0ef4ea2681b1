"""Weights as Keras reads them: `.weights.h5` files, at given places or at those of a file."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jnn.storage import expand
from jnn.weights._hdf5 import entries_of, opener
from jnn.weights._hdf5_heap import check_heaps
from jnn.weights._keras import names_of
from jnn.weights._mapped import MappedFile, Path
from jnn.weights._refusal import listed, reading

Arrays = Mapping[str, np.ndarray]


def write_paths(path: pathlib.Path, arrays: Arrays) -> None:
    """Write arrays to an HDF5 file at the places that their names are."""
    import h5py

    check_folders(arrays)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            _write(file, name, array)


def check_folders(names: Iterable[str]) -> None:
    """Raise ValueError for names that cannot be folders with arrays in them."""
    names = list(names)
    folders = {name[:i] for name in names for i in range(len(name)) if name[i] == "/"}
    wrong = [name for name in names if name in folders or not all(map(_is_key, name.split("/")))]
    if wrong:
        raise ValueError(
            "The names must be places in folders, such as 'layers/dense/vars/0', got "
            f"{listed(wrong)}. Rename them."
        )


def write_like(path: pathlib.Path, arrays: Arrays, like: Path) -> None:
    """Write arrays at the places that a file of Keras has for them; all of them must fit."""
    import h5py

    like = expand(like)
    with reading(like):
        file = MappedFile(like)
        check_heaps(file, 0, file.size)
        open_file = opener(like)
        entries = entries_of(open_file, file.size)
        names, _ = names_of(open_file, entries, {})
    places = {name: place for place, name in names.items() if not place.startswith("optimizer")}
    missing, left_over = places.keys() - arrays.keys(), arrays.keys() - places.keys()
    shapes = [
        f"{name} {arrays[name].shape} for {entries[place].shape}"
        for name, place in places.items()
        if name in arrays and arrays[name].shape != entries[place].shape
    ]
    if missing or left_over or shapes:
        raise ValueError(
            f"The arrays must fit {like}, but missing are {listed(missing)}, left over are "
            f"{listed(left_over)}, and of another shape are {listed(shapes)}. Correct the table."
        )
    with open_file() as source, h5py.File(path, "w") as file:
        for name, place in places.items():
            _write(file, place, arrays[name])
            folder = place.rpartition("/")[0]
            own = source[folder].attrs.get("name") if folder else None
            if isinstance(own, str):
                file[folder].attrs["name"] = own


def _write(file: Any, name: str, array: np.ndarray) -> None:
    """Write one array; bfloat16 is marked as Keras marks it."""
    is_half = array.dtype.name == "bfloat16"
    dataset = file.create_dataset(name, data=array.view("V2") if is_half else array)
    if is_half:
        dataset.attrs["dtype"] = "bfloat16"


def _is_key(key: str) -> bool:
    return key not in ("", ".", "..") and "\0" not in key
