"""`run`: trains a population of members of a study and hands back a `Result`."""

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn._errors import reason_of
from jnn.data import Dataset, Stream
from jnn.engine import IDLE, Data, Progress, member_of, resident, text_of
from jnn.population._check import check_study
from jnn.population._keeper import Keeper
from jnn.population._layout import Compiled, bytes_needed, compile_population, is_ragged, packed
from jnn.population._plan import Plan, make_plan, memory_of
from jnn.population._streaming import compile_stream, sample_of
from jnn.result import Result
from jnn.storage import to_host
from jnn.study import Members, Study, narrow, seeds

_SEGMENT = 0.5  # seconds between two looks of the host; a look costs about a millisecond


class Status(NamedTuple):
    """What `run` tells its watcher: after planning, after compiling and every so many epochs.

    Attributes:
        stage: "planned", "compiled" or "training".
        plan: The layout.
        done: Share of all training done, 0..1.
        seconds: Since the run began.
    """

    stage: str
    plan: Plan
    done: float
    seconds: float


def run(
    study: Study,
    data: Dataset | Stream,
    members: Members | None = None,
    *,
    test: Dataset | None = None,
    plan: Plan | None = None,
    devices: Sequence[Any] | None = None,
    directory: Any = None,
    watch: Callable[[Status], None] | None = None,
) -> Result:
    """Trains every member of a study as one compiled program.

    Args:
        study: What is trained.
        data: The rows that train and, by the members' folds, test; or a `jnn.data.Stream` of rows too many for the
            device, whose batches all members share.
        members: The population; one member with seed 0 by default.
        test: A separate test set to score on; the members may then have no folds.
        plan: The layout; chosen by `make_plan` by default. If memory does not suffice it is halved, again and again.
        devices: All local devices by default.
        directory: Where to keep the state of the run, so that the same call, after the process was killed, goes on
            where it was; and the result. One that holds the result of another run, or in which another process trains,
            is refused. Nothing is written by default. The state is kept between epochs, about every 20 seconds: of a
            long stream take a smaller `Study.steps_per_epoch`, so that a kill costs less.
        watch: Called with a `jnn.population.Status` when planned, when compiled, and about every half second.

    Returns:
        The scores after each epoch with the members' named axes, and the trained parameters.

    Raises:
        ValueError: If study, data and members do not fit together; always before anything is compiled.
    """
    members = seeds(1) if members is None else members
    _check_kinds(study, data, members, test)
    begun = time.perf_counter()
    make, rows = compile_population, None
    if isinstance(data, Stream):
        stream, data = data, sample_of(data, study, test)
        make, rows = functools.partial(compile_stream, stream, data.classes), stream.rows
    arrays = resident(study, data, members, test)
    _check_inner_split(study, arrays)
    columns = _columns(members)
    arrays, sizes = check_study(study, data, arrays, columns)
    devices = jax.local_devices() if devices is None else list(devices)
    _check_plan(plan, study, devices)
    keeper = (
        Keeper(directory, _text(study, columns, arrays), columns, arrays) if directory else None
    )
    with contextlib.closing(keeper) if keeper else contextlib.nullcontext():
        kept = keeper is not None and plan is None
        plan = plan or make_plan(len(members), sizes, devices)
        job = _Job(study, arrays, columns, devices, make, keeper, watch, begun)
        progress, seconds, plan = _train_all(job, plan, kept=kept)
        timing = {"compile": seconds, "total": time.perf_counter() - begun}
        timing["run"] = timing["total"] - seconds
        result = Result.of(study, data, members, arrays, progress, timing, str(plan), rows)
        if keeper:
            result.save(directory)
            keeper.clear()
        return result


def _check_kinds(study: Any, data: Any, members: Any, test: Any) -> None:
    for name, value, kinds, wanted in (
        ("study", study, Study, "a jnn.Study, jnn.run(study, data, members)"),
        ("data", data, Dataset | Stream, "a data set, such as jnn.Dataset.from_arrays(x, y)"),
        ("members", members, Members, "members, such as jnn.seeds(5)"),
        (
            "test",
            test,
            Dataset | None,
            "a data set to score on, such as jnn.Dataset.from_arrays(x, y)",
        ),
    ):
        if not isinstance(value, kinds):
            raise ValueError(f"wanted {wanted}, but got {name}={type(value).__name__}")
    if not len(members):
        raise ValueError("wanted at least one member, but got none; choose some")


def _check_inner_split(study: Study, arrays: Data) -> None:
    if study.keep == "best" and arrays.validation is None:
        raise ValueError(
            "wanted an inner split for keep='best', but got none; set e.g. Study(validation=0.1) or give the rows, "
            "jnn.folds([(train, validation, test)]), because a score on the rows that chose the epoch would be too good"
        )


def _check_plan(plan: Plan | None, study: Study, devices: Sequence[Any]) -> None:
    if plan and plan.devices > len(devices):
        raise ValueError(
            f"wanted a plan for at most {len(devices)} devices, but got {plan}; "
            "on a CPU call jnn.use_cpu_cores() before the first use of JAX"
        )
    if plan and study.batch_size % plan.split:
        raise ValueError(
            f"wanted batches that {plan.split} devices can share evenly, but got batch_size={study.batch_size}; "
            f"choose a multiple of {plan.split}"
        )


def _columns(members: Members) -> dict[str, np.ndarray]:
    """The members' numbers as the device takes them; `seed` is 0 where the members name none."""
    table = members.columns()
    columns = {"seed": table.get("seed", np.zeros(len(members)))}
    columns |= {"fold": table["fold"]} if "fold" in table else {}
    return {k: v.astype(np.int32) for k, v in columns.items()} | narrow(members.numbers())


def _text(study: Study, columns: Mapping[str, np.ndarray], arrays: Data) -> str:
    """The program of one member, by which a kept run is known again; a changed loss or optimizer is another program."""
    one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in columns.items()}
    return text_of(study, jax.eval_shape(member_of, one), arrays, ragged=is_ragged(study, arrays))


class _Job(NamedTuple):
    """What stays the same while a population is trained part by part."""

    study: Study
    arrays: Data
    columns: Mapping[str, np.ndarray]
    devices: Sequence[Any]
    make: Callable[..., Compiled]
    keeper: Keeper | None
    watch: Callable[[Status], None] | None
    begun: float

    def tell(self, stage: str, plan: Plan, done: float) -> None:
        if self.watch:
            self.watch(Status(stage, plan, done, time.perf_counter() - self.begun))


def _train_all(job: _Job, plan: Plan, *, kept: bool) -> tuple[Progress, float, Plan]:
    """Trains the members, as many at a time as the plan holds; halves the plan when memory runs out.

    `kept` says that a part that was kept goes on in the layout that it had. Gives the last layout too.
    """
    total, done, seconds, parts = len(job.columns["seed"]), 0, 0.0, []
    told = None
    while done < total:
        if kept and job.keeper:
            plan = job.keeper.plan(done, len(job.devices)) or plan
        if plan != told:
            job.tell("planned", plan, done / total)
            told = plan
        try:
            part, compiling = _train_part(job, plan, done, total)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            plan, kept = _smaller(plan, error), False
            continue
        parts.append(part)
        done, seconds = done + plan.size, seconds + compiling
    whole = parts[0] if len(parts) == 1 else jax.tree.map(lambda *a: np.concatenate(a), *parts)
    return whole, seconds, plan


def _train_part(job: _Job, plan: Plan, start: int, total: int) -> tuple[Progress, float]:
    """Trains the members start, start + 1, ... that one call of the program holds; gives NumPy arrays."""
    study, real = job.study, min(plan.size, total - start)
    chosen = np.minimum(
        start + np.arange(plan.size), total - 1
    )  # the last member fills up the last call
    columns = {k: v[chosen] for k, v in job.columns.items()} | {IDLE: np.arange(plan.size) >= real}
    compiled = job.make(study, plan, job.devices, columns, job.arrays)
    _check_memory(bytes_needed(compiled, plan), memory_of(job.devices[0]), plan)
    job.tell("compiled", plan, start / total)
    arrays = compiled.share(job.arrays)
    epoch, order, progress = (
        0,
        np.arange(plan.size),
        compiled.begin(compiled.split(columns), arrays),
    )
    if job.keeper and (found := job.keeper.load(start, plan, progress)):
        epoch, order, progress = found[0], found[1], compiled.split(found[2])
        columns[IDLE][order] |= _ended(study, progress, epoch)
    stride = 1
    while epoch < study.epochs:
        began, stop = time.perf_counter(), min(epoch + stride, study.epochs)
        seated = compiled.split({k: v[order] for k, v in columns.items()})
        progress = compiled.advance(progress, seated, arrays, np.int32(epoch), np.int32(stop))
        jax.block_until_ready(progress)
        stride = max(1, int((stop - epoch) * _SEGMENT / (time.perf_counter() - began)))
        columns[IDLE][order] |= _ended(study, progress, stop)
        epoch = study.epochs if columns[IDLE].all() else stop
        if (closer := packed(columns[IDLE][order], plan)) is not None:
            order, progress = order[closer], compiled.split(_take(progress, closer))
        if job.keeper:
            job.keeper.save(start, plan, epoch, order, progress, last=epoch == study.epochs)
        job.tell("training", plan, (start + real * epoch / study.epochs) / total)
    progress, place = to_host(_needed(progress)), np.argsort(order)[:real]
    place = (
        slice(real) if np.array_equal(place, np.arange(real)) else place
    )  # a slice copies nothing
    return jax.tree.map(lambda a: a[place], progress), compiled.seconds


def _needed(progress: Progress) -> Progress:
    """The progress without what no result takes: the optimizer's state is two thirds of Adam's, in copies too."""
    state = progress.state._replace(opt_state=None, key=None, step=None)
    if progress.best is not None:
        state = state._replace(params=None, model_state=None)
    return progress._replace(state=state)


def _check_memory(needed: float, left: float, plan: Plan) -> None:
    if needed > left:
        raise MemoryError(
            f"{plan.size} members at once need {needed / 1e9:.3g} GB of memory, {left / 1e9:.3g} GB are left"
        )


@jax.jit
def _take(tree: Any, places: jax.Array) -> Any:
    return jax.tree.map(lambda a: a[places], tree)


def _ended(study: Study, progress: Progress, epochs: int) -> np.ndarray:
    """The members whose patience is at its end: no later epoch can change their best one or their scores."""
    if study.patience is None:
        return np.zeros(len(progress.state.step), bool)
    return epochs - np.asarray(progress.best[1]) > study.patience


def _smaller(plan: Plan, error: BaseException) -> Plan:
    smaller = plan.halved()
    if smaller is None:
        raise ValueError(
            f"wanted memory for one member per device, but {reason_of(error)}; "
            "use a smaller batch_size, evaluation_batch or model, or fewer devices"
        ) from error
    return smaller


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's or the host's memory did not suffice."""
    return (
        isinstance(error, MemoryError)
        or "RESOURCE_EXHAUSTED" in str(error)
        or "out of memory" in str(error).lower()
    )
