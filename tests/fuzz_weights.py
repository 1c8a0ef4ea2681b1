"""Random changes of files of weights: each is read, or refused by a ValueError in one sentence.

    python -m tests.fuzz_weights 2000

The default suite makes some of them, in `tests/test_weights_hostile.py`.
"""

import collections
import functools
import json
import pathlib
import shutil
import struct
import sys
import tempfile
import zipfile

import numpy as np

from jnn import weights
from tests.fuzz_saved_files import edit_json, empty, flip, insert, overwrite, truncate

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "weights"
SIZES = (0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
MOST_GROWTH = 100  # times the size of a file that its tensors may have


@functools.cache
def originals() -> dict[str, pathlib.Path]:
    """Make a file or folder of each form."""
    base = pathlib.Path(tempfile.mkdtemp())
    random = np.random.default_rng(0)
    tree = {
        "layers": {str(i): {"kernel": random.normal(size=(5, 4)), "bias": np.arange(3, dtype="i2")}
                   for i in range(3)},
        "flag": np.array(True),
        "none": np.zeros((0, 2), np.float32),
    }  # fmt: skip
    made = {form: base / form for form in ("safetensors", "torch", "msgpack", "npz", "keras")}
    for form, path in made.items():
        weights.save(tree, path, form)
    made["packed npz"] = base / "packed.npz"
    np.savez_compressed(made["packed npz"], kernel=random.normal(size=(9, 7)), bias=np.arange(4))
    names = ("torch.pt", "network.keras", "network.weights.h5", "keras_2.h5", "graph.onnx")
    made |= {name: FIXTURES / name for name in names}
    made["shards"] = _shards(base / "shards")
    return made


def _shards(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir()
    places = {}
    for i in range(2):
        arrays = {f"layer.{i}.weight": np.full((3, 2), i, np.float32)}
        weights.save(arrays, folder / f"model-{i}.safetensors")
        places |= dict.fromkeys(arrays, f"model-{i}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "config.json").write_text('{"model_type": "fixture"}')
    return folder


def orbax_checkpoint() -> pathlib.Path:
    """Make a checkpoint of Orbax, which takes seconds to import."""
    import orbax.checkpoint as orbax

    folder = pathlib.Path(tempfile.mkdtemp()) / "orbax"
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, {"params": {"kernel": np.ones((3, 4)), "bias": np.arange(3)}})
    return folder


def size_field(path: pathlib.Path, random: np.random.Generator) -> None:
    """Write an extreme number over some bytes, as a size or a place in the file."""
    content = bytearray(path.read_bytes())
    form = ("<H", "<I", "<Q", ">I")[random.integers(4)]
    number = SIZES[random.integers(len(SIZES))] % (1 << (8 * struct.calcsize(form)))
    start = int(random.integers(max(1, len(content) - 8)))
    content[start : start + struct.calcsize(form)] = struct.pack(form, number)
    path.write_bytes(bytes(content))


def repeat(path: pathlib.Path, random: np.random.Generator) -> None:
    """Write a part of the file over another part of it."""
    content = path.read_bytes()
    start, place = (int(n) for n in random.integers(0, max(1, len(content)), 2))
    part = content[start : start + int(random.integers(1, 256))]
    path.write_bytes(content[:place] + part + content[place + len(part) :])


def member(path: pathlib.Path, random: np.random.Generator) -> None:
    """Change a member of a zip file, whose sizes and checksums stay right."""
    if not zipfile.is_zipfile(path):
        size_field(path, random)
        return
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = [*members][random.integers(len(members))]
    part = path.with_name("part")
    part.write_bytes(members[name])
    if members[name]:
        (flip, truncate, overwrite, insert, size_field)[random.integers(5)](part, random)
    members[name] = part.read_bytes()
    part.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for other, content in members.items():
            archive.writestr(other, content)


def change(path: pathlib.Path, random: np.random.Generator) -> str:
    """Change a file, or one of a folder, and return how."""
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        path = files[random.integers(len(files))]
    kinds = [flip, truncate, overwrite, insert, size_field, size_field, repeat, member]
    if path.suffix == ".json":
        kinds += [edit_json] * 7
    kind = kinds[random.integers(len(kinds))] if random.random() > 0.01 else empty
    if path.stat().st_size:
        kind(path, random)
    return f"{kind.__name__} of {path.name}"


def size_of(path: pathlib.Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file())


def outcome(original: pathlib.Path, seed: int) -> str:
    """Change a copy of a file, read all of it, and return "read" or "refused".

    Raises:
        AssertionError: If it is neither, or more is allocated than a file of this size can hold.
    """
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as base:
        path = pathlib.Path(base) / original.name
        copy = shutil.copytree if original.is_dir() else shutil.copy
        copy(original, path)
        how = change(path, random)
        try:
            tensors = weights.read(path)
            total = sum(array.nbytes for array in tensors.values())
            assert total <= max(1 << 20, MOST_GROWTH * size_of(path)), (how, total)
            for array in tensors.values():
                array.tobytes()
        except ValueError as error:
            sentence = str(error)
            assert sentence and "\n" not in sentence and len(sentence) < 4000, (how, sentence)
            return "refused"
        except Exception as error:
            raise AssertionError(f"{original.name}, seed {seed}: {how}") from error
        return "read"


def main(count: int) -> None:
    """Print how many changed files of each form were read and refused."""
    outcomes: collections.Counter = collections.Counter()
    files = {**originals(), "orbax": orbax_checkpoint()}
    for seed in range(count):
        kind = [*files][seed % len(files)]
        print(seed, kind, file=sys.stderr)
        try:
            found = outcome(files[kind], seed)
        except AssertionError as error:
            found = "FAILED"
            print(error, repr(error.__cause__), flush=True)
        outcomes[kind, found] += 1
    for (kind, found), number in sorted(outcomes.items()):
        print(f"{kind:<20} {found:<8} {number}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
