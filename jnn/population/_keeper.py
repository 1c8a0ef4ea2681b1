"""Checkpoints of a run that may be killed at any moment, in a folder."""

import contextlib
import dataclasses
import hashlib
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import jax
import numpy as np

from jnn.engine import Data
from jnn.population._plan import Plan
from jnn.storage import (
    FormError,
    as_folder,
    check_form,
    damaged,
    load,
    notes,
    read_record,
    remove_partial_files,
    save,
    with_remedy,
    write_record,
)
from jnn.study import PathLike

if TYPE_CHECKING:
    from filelock import BaseFileLock

_OTHER_RUN = "another study, other members or other data"
_REMEDY_OF_RECORD = "Delete the folder {folder}, or choose another, and run again to train anew."
_REMEDY_OF_PART = "Delete it, and run again: its members are trained anew."


class RunRecord(TypedDict):
    """What run.json holds: the digest of a run, and the layouts of its parts by first member."""

    digest: NotRequired[str]
    plans: NotRequired[Mapping[str, Plan]]


class PartNotes(TypedDict):
    """What the file of a part holds beside its arrays."""

    digest: str
    epoch: int
    order: Sequence[int]


class Keeper:
    """A folder with the checkpoints of one run.

    A run trains its members in parts, one call of the compiled program after another; the keeper
    saves each part on its own. Another run of the same study, members and data finds the parts
    again and continues them. A lock refuses a second process in the folder.

    Args:
        directory: The folder of the result; the checkpoints are in its folder `unfinished`. It is
            created if it does not exist.
        program: The text of the program that is trained, see `jnn.engine.program_text`.
        columns: The numbers of the members, [members, ...] each.
        arrays: The data in memory.
        every: Seconds between two checkpoints of a part. A run that is killed loses at most this
            much training and the segment under way.
        start: Digest of what the members begin with, if that is not what they draw.

    Raises:
        ValueError: If the folder holds another run or its result, or if another process trains in
            it.
    """

    def __init__(
        self,
        directory: PathLike,
        program: str,
        columns: Mapping[str, np.ndarray],
        arrays: Data,
        *,
        every: float = 20.0,
        start: str = "",
    ):
        self.result = as_folder(directory)
        self.folder = self.result / "unfinished"
        self.every = every
        self.saved = time.monotonic()
        self.lock: BaseFileLock | None = None
        self.digest = _digest(program, columns, arrays, start)
        record = self._read_record()
        _check_same_run(self.result, record.get("digest"), self.digest)
        self.is_finished = _is_result_of(self.result, self.digest)
        if self.is_finished:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = _lock(self.folder)
        self._write_record({**record, "digest": self.digest})

    def plan(self, start: int, devices: int) -> Plan | None:
        """Return the layout of the saved part that begins with member `start`, or None.

        If there are now fewer devices than the layout has, the part runs on one device.
        """
        fields = self._read_record().get("plans", {}).get(str(start))
        if not fields:
            return None
        plan = _plan_of(self.folder / "run.json", fields)
        if plan.devices <= devices:
            return plan
        return dataclasses.replace(plan, devices=1, split=1, chunks=plan.size // plan.width)

    def load(self, start: int, plan: Plan, like: Any) -> tuple[int, np.ndarray, Any] | None:
        """Read the saved part that begins with member `start`, or return None.

        A part that another run has left in the folder, because it was killed while it cleared the
        folder, is not read.

        Args:
            start: Number of the part's first member.
            plan: The layout of the part.
            like: A tree of arrays or shapes with the structure of the saved training.

        Returns:
            The number of finished epochs, the order of the members [members], and the training.
        """
        path = self._path(start, plan)
        if not path.exists():
            return None
        about = _notes_of(path)
        if about["digest"] != self.digest:
            return None
        with with_remedy(_REMEDY_OF_PART):
            return about["epoch"], np.asarray(about["order"]), load(path, like)

    def save(
        self, start: int, plan: Plan, epoch: int, order: np.ndarray, training: Any, *, last: bool
    ) -> None:
        """Save a part, if it has ended or if enough time has passed since the last checkpoint.

        Args:
            start: Number of the part's first member.
            plan: The layout of the part.
            epoch: Number of finished epochs.
            order: The place of each member in the arrays, [members].
            training: The tree of arrays [members, ...] that training continues from.
            last: Whether the part has ended, and must be saved now.
        """
        if not last and time.monotonic() - self.saved < self.every:
            return
        record = self._read_record()
        # Each part has its own layout, because the plan is halved when memory runs out.
        plans = {**record.get("plans", {}), str(start): dataclasses.asdict(plan)}
        self._write_record({**record, "plans": plans})
        about = {"digest": self.digest, "epoch": epoch, "order": order.tolist()}
        save(self._path(start, plan), training, **about)
        self.saved = time.monotonic()

    def clear(self) -> None:
        """Remove the checkpoints once the result is saved, and record whose result it is."""
        _clear(self.folder, self.digest, self.lock)

    def close(self) -> None:
        """Release the lock, so that other processes can train in the folder."""
        if self.lock is not None:
            self.lock.release()

    def _path(self, start: int, plan: Plan) -> pathlib.Path:
        return self.folder / f"{start}-{plan.size}.safetensors"

    def _read_record(self) -> dict[str, Any]:
        return _read(self.folder / "run.json")

    def _write_record(self, record: Mapping[str, Any]) -> None:
        write_record(self.folder / "run.json", record)


def trained_epochs(directory: PathLike) -> list[tuple[int, int]]:
    """Return how far the saved parts of an unfinished run are: (epochs, members) of each.

    Raises:
        ValueError: If a file of the run is damaged.
    """
    folder = as_folder(directory) / "unfinished"
    parts = []
    for path in sorted(folder.glob("*.safetensors")):
        about = _notes_of(path)
        parts.append((about["epoch"], len(about["order"])))
    return parts


def finish(directory: PathLike) -> None:
    """Remove the checkpoints of a run that was killed after its result had been saved."""
    folder = pathlib.Path(directory) / "unfinished"
    if folder.exists():
        lock = _lock(folder)
        _clear(folder, _read(folder / "run.json").get("digest"), lock)


def _check_same_run(result: pathlib.Path, saved: str | None, digest: str) -> None:
    """Check that neither the checkpoints in a folder nor its result are of another run."""
    if saved not in (None, digest):
        raise ValueError(
            f"{result / 'unfinished'} holds a run of {_OTHER_RUN}. Choose another directory, or "
            "delete that folder."
        )
    is_finished = saved is None and (result / "result.json").exists()
    if is_finished and _read(result / "run.json").get("digest") != digest:
        raise ValueError(
            f"{result} holds the result of {_OTHER_RUN}. Choose another directory, or move that "
            "result away."
        )


def _is_result_of(result: pathlib.Path, digest: str) -> bool:
    """Return whether a folder holds the whole result of this run."""
    is_unfinished = (result / "unfinished" / "run.json").exists()
    if is_unfinished or not (result / "result.json").exists():
        return False
    return _read(result / "run.json").get("digest") == digest


def _plan_of(path: pathlib.Path, fields: Mapping[str, Any]) -> Plan:
    """Return the layout that run.json holds."""
    try:
        return Plan(**fields)
    except ValueError as error:
        with with_remedy(_REMEDY_OF_RECORD.format(folder=path.parent)):
            raise damaged(path, error) from error


def _notes_of(path: pathlib.Path) -> PartNotes:
    """Return what the file of a part holds beside its arrays."""
    with with_remedy(_REMEDY_OF_PART):
        about = notes(path)
        try:
            check_form(about, PartNotes)
        except FormError as error:
            raise damaged(path, error) from error
    return about  # type: ignore[return-value]


def _clear(folder: pathlib.Path, digest: str | None, lock: "BaseFileLock | None") -> None:
    """Remove the checkpoints; `digest` is None if it has been moved to the result already."""
    if digest:
        write_record(folder.parent / "run.json", {"digest": digest})
    # Parts go first: without the record of their run, another run could take them for its own.
    for pattern in ("*.safetensors*", "run.json*"):
        for path in list(folder.glob(pattern)):
            path.unlink()
    remove_partial_files(folder.parent)
    if lock is not None:
        lock.release()  # Windows does not remove a file that is open.
    with contextlib.suppress(OSError):  # Another run may have entered the folder.
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()


def _lock(folder: pathlib.Path) -> "BaseFileLock":
    """Lock a run's folder against other processes, until this process ends in whatever way."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run trains in {folder.parent}. Wait until it ends, or choose another "
            "directory."
        ) from error
    return lock


def _read(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with with_remedy(_REMEDY_OF_RECORD.format(folder=path.parent)):
        return read_record(path, RunRecord)


def _digest(program: str, columns: Mapping[str, np.ndarray], arrays: Data, start: str) -> str:
    """Hash what makes two runs the same: the program, and the bytes of members, data and start."""
    code = hashlib.sha256(program.encode())
    code.update(start.encode())
    for leaf in jax.tree.leaves((dict(columns), arrays)):
        array = np.ascontiguousarray(leaf)
        code.update(f"{array.shape}{array.dtype}".encode())
        code.update(array.tobytes())
    return code.hexdigest()
