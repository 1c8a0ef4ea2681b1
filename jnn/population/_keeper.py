"""The state of a run that may be killed at any moment, kept in a folder."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jnn.population._plan import Plan
from jnn.storage import load, notes, read_json, save, write_text


class Keeper:
    """Keeps the parts of a run in a folder; what was kept is found again by a run of the same study and data.

    Args:
        directory: The folder; made if it is not there.
        program: The text of the program that is trained, see `jnn.engine.text_of`.
        columns: The members' numbers.
        arrays: The resident data.

    Raises:
        ValueError: If the folder holds the run or the result of something else, or another process trains in it.
    """

    def __init__(
        self,
        directory: Any,
        program: str,
        columns: Mapping[str, np.ndarray],
        arrays: Any,
        *,
        every: float = 20.0,
    ):
        self.result = pathlib.Path(directory)
        self.folder = self.result / "unfinished"
        self.every = every
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

    def save(
        self, start: int, plan: Plan, epoch: int, order: np.ndarray, progress: Any, *, last: bool
    ) -> None:
        """Keeps a part's progress, if it is its last or enough time has passed."""
        if not last and time.monotonic() - self.saved < self.every:
            return
        run = self._read("run.json")
        plans = {
            **run.get("plans", {}),
            str(start): dataclasses.asdict(plan),
        }  # they differ where memory ran out
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
    for pattern in (
        "*.safetensors*",
        "run.json*",
    ):  # parts first: without their run they could be another's
        for path in list(folder.glob(pattern)):
            path.unlink()
    lock.release()  # Windows removes no file that is open
    with contextlib.suppress(OSError):  # another run has come meanwhile
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()


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
