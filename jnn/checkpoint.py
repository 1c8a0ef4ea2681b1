"""Trees of arrays on disk, as safetensors, and the state of a run that may be killed at any moment."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jnn.plan import Plan
from jnn.sentence import reason_of

_EVERY = 20.0  # seconds of training that a kill may cost, and the epoch that is under way


def save(path: Any, tree: Any, **notes: Any) -> None:
    """Writes a tree of arrays to a safetensors file, under a temporary name first: the file is whole or not there.

    Args:
        path: File to write.
        tree: Any tree of arrays; random keys are written as their words.
        notes: Kept as JSON in the file's metadata.
    """
    from safetensors.numpy import save_file

    path = pathlib.Path(path)
    leaves = [(_name(p), np.asarray(a, order="C")) for p, a in jax.tree_util.tree_leaves_with_path(to_host(tree))]
    if len(arrays := dict(leaves)) < len(leaves):
        twice = sorted({name for name, _ in leaves if [n for n, _ in leaves].count(name) > 1})
        raise ValueError(f"wanted arrays of different names, but {twice} come more than once; rename a parameter")
    partial = path.with_name(path.name + ".partial")
    save_file(arrays, partial, {"notes": json.dumps(notes)})
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Any, like: Any, *, members: bool = False) -> Any:
    """Reads a tree written by `save`.

    Args:
        path: The file.
        like: A tree of arrays or shapes with the structure to fill.
        members: Whether the file's arrays have a leading axis of members that `like` lacks.

    Raises:
        ValueError: If the file is damaged, or if the names or shapes in it and in `like` differ.
    """
    found = _arrays(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {_name(p) for p, _ in leaves}
    if wanted != found.keys():
        raise ValueError(
            f"wanted the arrays of this study in {path}, but missing are {sorted(wanted - found.keys())} and "
            f"left over are {sorted(found.keys() - wanted)}; load it with the study that it was saved from"
        )
    for p, leaf in leaves:
        shape, expected = found[_name(p)].shape[int(members) :], (*leaf.shape, *[2] * _is_key(leaf))
        if shape != expected:
            raise ValueError(
                f"wanted {_name(p)} of shape {expected}, but {path} has {shape}; "
                "load it with the study that it was saved from"
            )
    return structure.unflatten(_as(found[_name(p)], leaf) for p, leaf in leaves)


def load_nested(path: Any) -> dict[str, Any]:
    """Reads a file written by `save` as nested dicts, without knowing its structure."""
    return unflatten_dict(_arrays(path), sep="/")


def notes(path: Any) -> dict[str, Any]:
    """The notes that `save` was given."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {}).get("notes", "{}"))
    except SafetensorError as error:
        raise damaged(path, error) from error


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file; one sentence if the file is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise damaged(path, error) from error


def damaged(path: Any, error: Exception) -> ValueError:
    """The sentence for a file that cannot be read."""
    return ValueError(f"wanted a file that was written whole, but {path} is damaged ({reason_of(error)}); remove it")


def to_host(tree: Any) -> Any:
    """The tree as NumPy arrays; random keys become their words, uint32 [..., 2]."""
    return jax.tree.map(lambda a: np.asarray(jax.random.key_data(a) if _is_key(a) else a), tree)


class Keeper:
    """Keeps the parts of a run in a folder; what was kept is found again by a run of the same study and data.

    Args:
        directory: The folder; made if it is not there.
        program: The text of the program that is trained, see `jnn.program.text_of`.
        columns: The members' numbers.
        arrays: The resident data.

    Raises:
        ValueError: If the folder holds the run or the result of something else, or another process trains in it.
    """

    def __init__(self, directory: Any, program: str, columns: Mapping[str, np.ndarray], arrays: Any):
        self.result = pathlib.Path(directory)
        self.folder = self.result / "unfinished"
        self.saved = time.monotonic()
        self.digest = _digest(program, columns, arrays)
        kept = self._read("run.json")
        begun = kept.get("digest")
        if begun not in (None, self.digest):
            raise ValueError(
                f"wanted to go on with the run in {self.folder}, but it trains another study, other members or other "
                "data; choose another directory or delete that folder"
            )
        is_finished = begun is None and (self.result / "result.json").exists()
        if is_finished and _content(self.result / "run.json").get("digest") != self.digest:
            raise ValueError(
                f"wanted a directory for this run, but {self.result} holds the result of another study, other members "
                "or other data; choose another directory or move that result away"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = _lock(self.folder)
        self._write("run.json", {**kept, "digest": self.digest})

    def plan(self, start: int, devices: int) -> Plan | None:
        """The layout of the kept part that begins with member `start`, on the devices of now; None if there is none."""
        kept = self._read("run.json").get("plans", {}).get(str(start))
        if not kept:
            return None
        plan = Plan(**kept)
        return plan if plan.devices <= devices else Plan(1, plan.size // plan.width, plan.width)

    def load(self, start: int, plan: Plan, like: Any) -> tuple[int, np.ndarray, Any] | None:
        """Epoch, order of the members and progress of the part that begins with member `start`; None if there is none.

        A part of another run, which a kill may leave behind, is none.
        """
        path = self.folder / f"{start}-{plan.size}.safetensors"
        if not path.exists():
            return None
        found = notes(path)
        if found["digest"] != self.digest:
            return None
        return found["epoch"], np.asarray(found["order"]), load(path, like)

    def save(self, start: int, plan: Plan, epoch: int, order: np.ndarray, progress: Any, *, last: bool) -> None:
        """Keeps a part's progress, if it is its last or enough time has passed."""
        if not last and time.monotonic() - self.saved < _EVERY:
            return
        run = self._read("run.json")
        plans = {**run.get("plans", {}), str(start): dataclasses.asdict(plan)}  # they differ where memory ran out
        self._write("run.json", {**run, "plans": plans})
        about = {"digest": self.digest, "epoch": epoch, "order": order.tolist()}
        save(self.folder / f"{start}-{plan.size}.safetensors", progress, **about)
        self.saved = time.monotonic()

    def clear(self) -> None:
        """Removes what was kept but for the note whose result it is; called when the result is safe."""
        _clear(self.folder, self.digest, self.lock)

    def close(self) -> None:
        """Lets others train in the folder again."""
        self.lock.release()

    def _read(self, name: str) -> dict[str, Any]:
        return _content(self.folder / name)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.folder / name, json.dumps(content))


def finish(directory: Any) -> None:
    """Clears what a run has left behind that was killed when its result was safe already."""
    folder = pathlib.Path(directory) / "unfinished"
    if folder.exists():
        lock = _lock(folder)
        _clear(folder, _content(folder / "run.json").get("digest"), lock)


def _clear(folder: pathlib.Path, digest: str | None, lock: Any) -> None:
    """Removes what was kept; `digest` is None where its note has been moved to the result already."""
    if digest:
        write_text(folder.parent / "run.json", json.dumps({"digest": digest}))
    for pattern in ("*.safetensors*", "run.json*"):  # parts first: without their run they could be another's
        for path in list(folder.glob(pattern)):
            path.unlink()
    lock.release()  # Windows removes no file that is open
    with contextlib.suppress(OSError):  # another run has come meanwhile
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file that is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def _lock(folder: pathlib.Path) -> Any:
    """A lock that keeps others out of a run's folder; it ends with this process, however that ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"wanted a directory for this run alone, but another one trains in {folder.parent}; "
            "wait for its end or choose another directory"
        ) from error
    return lock


def _content(path: pathlib.Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _digest(program: str, columns: Mapping[str, np.ndarray], arrays: Any) -> str:
    """What makes two runs the same: the program, and the bytes of members and data."""
    code = hashlib.sha256(program.encode())
    for leaf in jax.tree.leaves((dict(columns), arrays)):
        leaf = np.ascontiguousarray(leaf)
        code.update(f"{leaf.shape}{leaf.dtype}".encode())
        code.update(leaf.tobytes())
    return code.hexdigest()


def _arrays(path: Any) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise damaged(path, error) from error


def _is_key(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jax.dtypes.prng_key)


def _as(found: np.ndarray, like: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(found), impl="threefry2x32") if _is_key(like) else found


def _name(path: Any) -> str:
    return "/".join(str(getattr(p, "key", getattr(p, "name", getattr(p, "idx", p)))) for p in path)
