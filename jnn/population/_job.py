"""What a population is made of, checked and planned before it trains."""

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jnn.data import Dataset, Stream
from jnn.engine import Data, ProgramKey, fold_data, member_of, program_text, programs_of
from jnn.population._batch import batch_text
from jnn.population._check import check_study
from jnn.population._compile import Compiled, compile_population, is_ragged
from jnn.population._outputs import check_targets
from jnn.population._plan import Plan, Sizes, make_plan
from jnn.population._streaming import compile_stream, sample_of
from jnn.study import Members, Study, narrow


@dataclasses.dataclass(frozen=True)
class Job:
    """What stays the same while a population trains.

    Attributes:
        study: What is trained.
        data: The rows that train and score; the first rows of a stream.
        arrays: The rows as all members share them, on the host.
        sizes: Of a member, in bytes.
        devices: Devices to use.
        compile: As `compile_population`.
        rows: Number of training rows of a stream; None without one.
        seconds: Seconds of checking and planning.
    """

    study: Study
    data: Dataset
    arrays: Data
    sizes: Sizes
    devices: Sequence[Any]
    compile: Callable[..., Compiled]
    rows: int | None
    seconds: float


def prepare(
    study: Study,
    data: Dataset | Stream,
    members: Members,
    *,
    test: Dataset | None,
    plan: Plan | None,
    devices: Sequence[Any] | None,
) -> tuple[Job, Plan]:
    """Check that study, data and members fit together, and plan their training."""
    started = time.perf_counter()
    _check_types(study, data, members, test, plan)
    compile_program: Callable[..., Compiled] = compile_population
    rows = None
    if isinstance(data, Stream):
        rows = data.rows
        stream = data
        data = sample_of(stream, study, test)
        compile_program = functools.partial(compile_stream, stream, data.classes)
    check_targets(study, data)
    arrays = fold_data(study, data, members, test)
    sizes = check_study(programs_of(study), data, arrays, columns_of(members))
    devices = _devices_of(devices)
    _check_plan(plan, study, devices)
    steps = study.epochs * _steps_per_epoch(study, arrays)
    plan = plan or make_plan(len(members), sizes, devices, steps=steps)
    seconds = time.perf_counter() - started
    return Job(study, data, arrays, sizes, devices, compile_program, rows, seconds), plan


def _steps_per_epoch(study: Study, arrays: Data) -> int:
    if study.steps_per_epoch is not None:
        return study.steps_per_epoch
    return -(-int(np.max(arrays.train.count)) // study.batch_size)


def columns_of(members: Members) -> dict[str, np.ndarray]:
    """Return the members' numbers as the device takes them; the seed is 0 if they have none."""
    table = members.columns()
    columns = {"seed": table.get("seed", np.zeros(len(members)))}
    if "fold" in table:
        columns["fold"] = table["fold"]
    counts = {name: column.astype(np.int32) for name, column in columns.items()}
    return counts | narrow(members.numbers())


def text_of(job: Job, columns: Mapping[str, np.ndarray]) -> str:
    """Return the program of one member, by which an interrupted run is recognized."""
    programs = programs_of(job.study)
    one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in columns.items()}
    member = jax.eval_shape(member_of, one)
    ragged = is_ragged(job.study, job.arrays)
    with jax.debug_nans(False), jax.debug_infs(False):  # on which the program depends, not the run
        return program_text(programs.study, programs.trainer, member, job.arrays, ragged=ragged)


def digest_of(job: Job, columns: Mapping[str, np.ndarray]) -> str:
    """Return a digest of program and data; the text is traced once for arrays of one shape."""
    one = sorted((name, column.shape[1:], str(column.dtype)) for name, column in columns.items())
    shapes = jax.tree.map(lambda array: (array.shape, str(array.dtype)), job.arrays)
    x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    key = ProgramKey("text", (repr(one), repr(shapes), x64, precision))
    text = programs_of(job.study).get(key, lambda: text_of(job, columns))
    code = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(job.arrays):
        code.update(np.ascontiguousarray(leaf).tobytes())
    return code.hexdigest()


def _check_types(study: Any, data: Any, members: Any, test: Any, plan: Any) -> None:
    for name, value, types, expected in (
        ("study", study, Study, "a jnn.Study, as in jnn.run(study, data, members)"),
        ("data", data, Dataset | Stream, "a data set, such as jnn.Dataset.from_arrays(x, y)"),
        ("members", members, Members, "members, such as jnn.seeds(5)"),
        ("test", test, Dataset | None, "a data set, such as jnn.Dataset.from_arrays(x, y)"),
        ("plan", plan, Plan | None, "a layout, such as jnn.Plan(devices=1, chunks=2, width=8)"),
    ):
        if not isinstance(value, types):
            raise TypeError(f"{name} must be {expected}, got {type(value).__name__}.")
    if not len(members):
        raise ValueError("members must hold at least one member, got none.")
    text = [name for name, column in members.columns().items() if column.dtype.kind in "OUS"]
    if text:
        raise TypeError(
            f"members must hold numbers only, but {text} are text. Define one Study per choice and "
            f"join the results by jnn.Result.concat([...], {text[0]}=[...])."
        )


def _devices_of(devices: Any) -> list[Any]:
    """Return the devices to use; all local ones by default."""
    if devices is None:
        return jax.local_devices()
    is_list = isinstance(devices, Sequence | np.ndarray) and not isinstance(devices, str)
    if not is_list or not all(hasattr(device, "platform") for device in devices):
        raise TypeError(
            f"devices must be a list of devices, such as jax.local_devices(), got {devices!r}."
        )
    devices = list(devices)
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(f"devices must be one or more different devices, got {devices}.")
    return devices


def _check_plan(plan: Plan | None, study: Study, devices: Sequence[Any]) -> None:
    if plan and plan.devices > len(devices):
        raise ValueError(
            f"plan needs {plan.devices} devices, but there are {len(devices)}. On a CPU call "
            "jnn.use_cpu_cores() before the first use of JAX."
        )
    if plan and study.batch_size % plan.split:
        batch = batch_text(study)
        raise ValueError(
            f"{batch.name} must be a multiple of plan.split={plan.split}, the devices that share a "
            f"batch, got {batch.value}."
        )
