"""Folders as Hugging Face keeps them: config.json, and weights in one file or in shards."""

import pathlib
from typing import Any

from jnn.storage import read_json
from jnn.weights._refusal import listed, reading, refusal, shown
from jnn.weights._tensors import Entry, Tensors

_FILES = (  # the first one that is there is read
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "adapter_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "flax_model.msgpack",
)
_INDEX = ".index.json"


def weights_of_folder(folder: pathlib.Path) -> pathlib.Path | None:
    """Return the file with the weights of a folder, or its index of shards; None if it has none."""
    for name in _FILES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.safetensors"))
    return others[0] if len(others) == 1 else None


def read_folder(folder: pathlib.Path, read_file: Any) -> Tensors:
    """Read the weights of a folder, with its config.json if it has one.

    Args:
        folder: The folder.
        read_file: `read_file(path) -> Tensors` for one file.
    """
    weights = weights_of_folder(folder)
    if weights is None:
        raise refusal(
            folder, f"is a folder without weights: none of {', '.join(_FILES)} is in it",
            "Name a file of weights, or a folder that has one.",
        )  # fmt: skip
    place = folder / "config.json"
    config = read_json(place) if place.is_file() else {}
    if not weights.name.endswith(_INDEX):
        tensors = read_file(weights)
        return Tensors(
            folder,
            "huggingface",
            tensors.entries,
            config=config,
            notes=tensors.notes,
            release=tensors.release,
        )
    with reading(weights):
        return _sharded(folder, weights, config, read_file)


def _sharded(
    folder: pathlib.Path, index: pathlib.Path, config: dict[str, Any], read_file: Any
) -> Tensors:
    """Read the shards that an index names; all of them lie in its folder."""
    content = read_json(index)
    places = content.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(v, str) for v in places.values()):
        raise refusal(index, "has no map from the names of tensors to files")
    entries: dict[str, Entry] = {}
    releases = []
    for name in sorted({*places.values()}):
        if pathlib.PurePath(name).name != name or "\\" in name or name in ("", ".", ".."):
            raise refusal(index, f"names the file {shown(name)}, which is not in its own folder")
        shard = read_file(folder / name)
        if twice := entries.keys() & shard.entries.keys():
            raise refusal(index, f"names shards that share the tensors {listed(twice)}")
        entries |= shard.entries
        releases.append(shard.release)
    if absent := [name for name in places if name not in entries]:
        raise refusal(index, f"names tensors that no shard has: {listed(absent)}")

    def release() -> None:
        for one in releases:
            one()

    return Tensors(folder, "huggingface", entries, config=config, release=release)
