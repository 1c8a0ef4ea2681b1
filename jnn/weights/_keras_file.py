"""Networks as Keras reads them: `.weights.h5` at given places or those of a file, and `.keras`."""

import functools
import io
import json
import pathlib
import zipfile
from collections.abc import Iterable, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from jnn.storage import expand
from jnn.weights._archive import Archive
from jnn.weights._hdf5 import Open, entries_of, opener
from jnn.weights._hdf5_heap import check_heaps
from jnn.weights._keras import CONFIG, WEIGHTS, layer_names, names_of
from jnn.weights._mapped import MappedFile, Path
from jnn.weights._refusal import listed, reading
from jnn.weights._tensors import Entry

Arrays = Mapping[str, np.ndarray]

_TIME = (1980, 1, 1, 0, 0, 0)  # so that equal arrays make equal files


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
    _write_weights(path, arrays, _source(expand(like)))


def write_network_like(path: pathlib.Path, arrays: Arrays, like: Path) -> None:
    """Write a `.keras` file with the layers of another one, and with these arrays."""
    source = _source(expand(like))
    if source.archive is None:
        raise ValueError(
            f"like must be a .keras file for a .keras file, which tells the layers, got {like}. "
            "Save the network in Keras: model.save('made_by_keras.keras')."
        )
    weights = io.BytesIO()
    _write_weights(weights, arrays, source)
    with zipfile.ZipFile(path, "w") as archive:
        for name in source.archive.members:
            content = weights.getvalue() if name == WEIGHTS else source.archive.content(name)
            archive.writestr(zipfile.ZipInfo(name, _TIME), content)


class _Source(NamedTuple):
    """A file that Keras has written.

    Attributes:
        path: The file.
        open_file: What opens its weights.
        entries: The arrays by their places.
        names: The names of the arrays by their places.
        archive: The whole file, if it is a `.keras` file.
    """

    path: pathlib.Path
    open_file: Open
    entries: Mapping[str, Entry]
    names: Mapping[str, str]
    archive: Archive | None


def _source(path: pathlib.Path) -> _Source:
    with reading(path):
        archive = Archive(path) if zipfile.is_zipfile(path) else None
        if archive is None:
            file = MappedFile(path)
            start, size, open_file, layers = 0, file.size, opener(path), {}
        else:
            file = archive.file
            start, size = archive.place(WEIGHTS)
            open_file = opener(functools.partial(archive.open, WEIGHTS))
            layers = layer_names(json.loads(archive.content(CONFIG)))
        check_heaps(file, start, start + size)
        entries = entries_of(open_file, size)
        names, _ = names_of(open_file, entries, layers)
        with open_file() as content:
            is_old = "model_weights" in content or "layer_names" in content.attrs
    if is_old:
        raise ValueError(
            f"like must be a file of Keras 3, got {path} of Keras 2. Load it in Keras 3, and save "
            "it as .keras."
        )
    return _Source(path, open_file, entries, names, archive)


def _write_weights(target: pathlib.Path | IO[bytes], arrays: Arrays, like: _Source) -> None:
    """Write an HDF5 file; what the other one has of an optimizer is left out."""
    import h5py

    places = {n: place for place, n in like.names.items() if not place.startswith("optimizer")}
    missing, left_over = places.keys() - arrays.keys(), arrays.keys() - places.keys()
    shapes = [
        f"{name} {arrays[name].shape} for {like.entries[place].shape}"
        for name, place in places.items()
        if name in arrays and arrays[name].shape != like.entries[place].shape
    ]
    if missing or left_over or shapes:
        raise ValueError(
            f"The arrays must fit {like.path}, but missing are {listed(missing)}, left over are "
            f"{listed(left_over)}, and of another shape are {listed(shapes)}. Correct the table."
        )
    with like.open_file() as source, h5py.File(target, "w") as file:
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
