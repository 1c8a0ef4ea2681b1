"""A population whose training can be advanced, thinned out and rearranged between epochs."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn._errors import reason_of
from jnn._settings import check_integer
from jnn.data import Dataset, Stream
from jnn.engine import Data, Training, debugging, default_settings, with_own_keys
from jnn.paths import Patterns
from jnn.population._choose import (
    chosen_members,
    narrowed,
    new_numbers,
    numbers_of,
    sources_of,
    with_numbers,
)
from jnn.population._compile import Compiled, bytes_needed
from jnn.population._group import Group
from jnn.population._job import Job, columns_of, digest_of, prepare
from jnn.population._keeper import Keeper
from jnn.population._plan import Plan, make_plan, memory_of
from jnn.population._saved import read_population, write_population
from jnn.population._start_from import Start, make_start_from
from jnn.result import Kept, Result, scores_dataset
from jnn.study import Members, PathLike, Study, seeds

if TYPE_CHECKING:
    import xarray


class Status(NamedTuple):
    """How far the training of a population is.

    Attributes:
        stage: "planned", "compiled" or "training".
        plan: The layout.
        done: Share of all training that is done, 0..1.
        seconds: Seconds since the population was started.
    """

    stage: str
    plan: Plan
    done: float
    seconds: float


class Population:
    """All members of a study in the middle of their training, as `jnn.start` returns them.

    Advancing in several calls gives the same bits as in one, and members that leave change no
    other member.

    Attributes:
        members: The members, in the order of all arrays of this object.
        epoch: Number of epochs trained.
    """

    def __init__(
        self,
        job: Job,
        members: Members,
        plan: Plan,
        *,
        keeper: Keeper | None = None,
        follow_kept_plans: bool = False,
        progress: Callable[[Status], None] | None = None,
        look_every: float = 0.5,
        results_only: bool = False,
        start: Start | None = None,
    ) -> None:
        self.members = members
        self.epoch = 0 if start is None else start.epochs
        self._start = start
        self._job = job
        self._columns = columns_of(members)
        self._keeper = keeper
        self._progress = progress
        self._look_every = look_every
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._compile_seconds = 0.0
        self._follow_kept_plans = follow_kept_plans
        self._results_only = results_only
        self._shared: tuple[Any, Data] | None = None
        self._hyper_history: dict[str, np.ndarray] = {}
        self._is_rearranged = False
        self._groups = self._make_groups(plan)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        study = self._job.study
        return (
            f"Population of {len(self)} members: {study.model.name} on {self._job.data.name}, "
            f"{self.epoch} of {study.epochs} epochs, {self.plan}"
        )

    def __reduce__(self) -> Any:
        raise TypeError(
            "A Population cannot be copied or pickled, because its members are arrays on devices. "
            "Keep its result(), or start another population."
        )

    @property
    def study(self) -> Study:
        """What is trained."""
        return self._job.study

    @property
    def plan(self) -> Plan:
        """The layout; that of the last group, if memory holds the members in several only."""
        return self._groups[-1].plan

    @property
    def digest(self) -> str:
        """What study and data are, in short: the same in every process for the same training."""
        return digest_of(self._job, self._columns)

    @default_settings()
    def compile(self) -> "Population":
        """Compile now what `advance` would compile; several populations may do so in threads."""
        for group in self._groups:
            self._compile(group)
        return self

    @default_settings()
    def advance(self, epochs: int = 1) -> "Population":
        """Train every member for more epochs.

        Args:
            epochs: Number of epochs, at most those left of `Study.epochs`.

        Returns:
            The population itself.

        Raises:
            TypeError: If `epochs` is not an integer.
            ValueError: If fewer epochs are left.
        """
        left = self.study.epochs - self.epoch
        epochs = check_integer("epochs", epochs)
        if epochs > left:
            raise ValueError(
                f"epochs must be at most {left}, the epochs left of Study(epochs="
                f"{self.study.epochs}), got {epochs}."
            )
        started = time.perf_counter()
        stop = self.epoch + epochs
        number = 0
        while number < len(self._groups):
            group = self._groups[number]
            try:
                self._advance(group, stop)
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self._is_rearranged:
                    raise
                self._groups[number:] = self._smaller(number, error)
                continue
            number += 1
        self.epoch = stop
        self._seconds += time.perf_counter() - started
        return self

    @property
    def scores(self) -> "xarray.Dataset":
        """The scores of the epochs so far, with the axes of the members, as `Result.scores`."""
        self._begin()
        parts = [group.history() for group in self._groups]
        history, best_epoch = _joined(parts)
        history = {name: values[:, : self.epoch] for name, values in history.items()}
        scores = scores_dataset(self.study, self.members, history, best_epoch)
        by_epoch = {
            f"{name}_by_epoch": (("member", "epoch"), values[:, : self.epoch])
            for name, values in self._hyper_history.items()
        }
        return scores.assign_coords(by_epoch)

    @property
    def alive(self) -> np.ndarray:
        """Whether each member still learns, bool [members].

        A member no longer learns if its patience has ended or if it has diverged, so that its
        parameters are not finite.
        """
        if self.epoch == 0:
            return np.ones(len(self), bool)
        self._begin()
        groups = [~group.ended() & ~group.diverged() for group in self._groups]
        return np.concatenate(groups)

    def keep(self, which: Any, *, exact: bool = True) -> "Population":
        """Let only the chosen members continue.

        Args:
            which: A mask [members] or the numbers of the members to keep.
            exact: Continue in the same program, packed so that whole chunks can be skipped. Every
                member then has the same bits as if the others had stayed, and nothing is compiled.
                If False, continue in a smaller program, laid out for the next power of two of
                members. It takes less memory and is faster for few members of a wide population;
                their numbers then agree up to rounding.

        Returns:
            The population itself. Its arrays and the arguments of its methods count the members
            that stay from 0; the axis `member` of its scores names them by their first numbers.
        """
        chosen = numbers_of(which, len(self))
        training = self._collect() if self.epoch else None
        plan = self.plan
        if not exact:
            plan = make_plan(_next_power_of_two(len(chosen)), self._job.sizes, self._job.devices)
        self.members = chosen_members(self.members, chosen)
        self._columns = {name: column[chosen] for name, column in self._columns.items()}
        self._start = None if self._start is None else self._start.take(chosen)
        self._hyper_history = {k: v[chosen] for k, v in self._hyper_history.items()}
        if training is None:
            self._groups = self._make_groups(plan)
        else:
            self._place(_take_members(training, chosen), plan)
        return self

    @default_settings()
    def gather(self, sources: Any, *, hyper: Mapping[str, Any] | None = None) -> "Population":
        """Let members continue from what other members have learned.

        Member i becomes a copy of member `sources[i]`: parameters, state of the optimizer,
        hyper-parameters, and the scores and the best epoch so far. It keeps its own seed and fold,
        and the random keys of its optimizer, so that it goes another way from then on.

        Args:
            sources: The number of a member for each member, int [members]. It must be of the same
                fold, because other folds have trained on this one's test rows.
            hyper: New values of hyper-parameters by name, each [members].

        Returns:
            The population itself. If hyper-parameters change, its members are on one axis `member`
            with the values in force now; `scores` holds those of every epoch as the coordinates
            `<name>_by_epoch`.

        Raises:
            TypeError: If `sources` or `hyper` are of another type.
            ValueError: If they do not fit the members.
        """
        sources = sources_of(sources, len(self))
        folds = self._columns.get("fold", np.zeros(len(self), np.int32))
        if (folds[sources] != folds).any():
            member = int(np.argmax(folds[sources] != folds))
            raise ValueError(
                f"sources must be members of the same fold, but member {member} of fold "
                f"{folds[member]} would continue from member {sources[member]} of fold "
                f"{folds[sources[member]]}, which has trained on its test rows."
            )
        numbers = new_numbers(self.members, self.study.hyper, sources, hyper)
        training = self._collect()
        copied = _take_members(training, sources)
        state = copied.state._replace(fold=training.state.fold, key=training.state.key)
        opt_state = with_own_keys(state.opt_state, training.state.opt_state)
        values = narrowed(numbers, state.trained.hyper)
        trained = state.trained._replace(hyper=values)
        state = state._replace(trained=trained, opt_state=opt_state)
        self._is_rearranged = True
        self._change_numbers(numbers, sources)
        self._place(copied._replace(state=state), self.plan)
        return self

    def result(self, *, keep_optimizer: bool = False) -> Result:
        """Return the result of the epochs so far.

        Args:
            keep_optimizer: As in `jnn.run`.
        """
        if self.epoch == 0:
            raise ValueError("A result needs at least one epoch. Call advance() first.")
        self._begin()
        groups = self._groups
        training = _joined([group.host_training(for_result=not keep_optimizer) for group in groups])
        history = {name: scores[:, : self.epoch] for name, scores in training.history.items()}
        training = training._replace(history=history)
        total = self._job.seconds + self._seconds
        timing = {"compile": self._compile_seconds, "run": total - self._compile_seconds}
        return Result.of(
            self.study,
            self._job.data,
            self.members,
            self._job.arrays,
            training,
            {**timing, "total": total},
            str(self.plan),
            train_rows=self._job.rows,
            hyper_history={k: v[:, : self.epoch] for k, v in self._hyper_history.items()},
            kept=Kept.of(training) if keep_optimizer else None,
        )

    @default_settings()
    def save(self, path: PathLike) -> None:
        """Write the members, in the middle of their training, to a file; see `restore`."""
        write_population(
            path,
            self._collect(),
            self._hyper_history,
            digest=self.digest,
            epoch=self.epoch,
            members=self.members,
            plan=self.plan,
        )

    @default_settings()
    def restore(self, path: PathLike) -> "Population":
        """Continue from a file that `save` wrote, with the same bits as without the interruption.

            population = jnn.start(study, data, members).restore("half.safetensors")

        Args:
            path: A file of a population with the same study and data. It may hold more members than
                there are here, such as those that have left by `keep` since.

        Returns:
            The population itself, at the epoch of the file.

        Raises:
            ValueError: If the file is damaged, of another study or other data, or lacks a member.
        """
        saved = read_population(path, self.digest, self.members, len(self._job.devices))
        self._groups = self._make_groups(saved.plan or self.plan)
        training = saved.load(self._collect())
        self.epoch = saved.epoch
        self.members = saved.members
        self._columns = columns_of(self.members)
        self._hyper_history = saved.hyper_history
        self._is_rearranged = True
        self._place(training, self.plan)
        return self

    def _make_groups(self, plan: Plan, first: int = 0) -> list[Group]:
        """Return groups of the members from `first` on, in the layout that a run kept of each."""
        groups = []
        while first < len(self):
            if self._keeper is not None and self._follow_kept_plans:
                plan = self._keeper.plan(first, len(self._job.devices)) or plan
            groups.append(Group(self.study, plan, first, min(plan.size, len(self) - first)))
            first += plan.size
        return groups

    def _place(self, training: Training, plan: Plan) -> None:
        """Put trained members, host arrays [members, ...], into groups of a new layout."""
        self._groups = self._make_groups(plan)
        for group in self._groups:
            part = jax.tree.map(lambda a, g=group: a[g.first : g.first + g.count], training)
            group.place(part, self.epoch)

    def _collect(self) -> Training:
        """Return the training of all members as host arrays."""
        self._begin()
        return _joined([group.host_training() for group in self._groups])

    def _begin(self) -> None:
        """Begin the groups that have not begun yet."""
        for group in self._groups:
            if group.training is None:
                self._prepare(group)
                group.to_host()

    def _prepare(self, group: Group) -> Data:
        """Compile the programs of a group and bring its members onto the devices.

        Returns:
            The arrays that all members share, on the devices of the group.
        """
        layout = self._compile(group).layout
        if self._shared is None or self._shared[0] != layout.mesh:
            self._shared = layout.mesh, layout.share(self._job.arrays)
        arrays = self._shared[1]
        if group.training is None:
            group.begin(self._columns, arrays)
            if self._start is not None:
                self._start.place(self._job.study, group)
            self._restore(group)
        group.to_devices()
        return arrays

    def _compile(self, group: Group) -> Compiled:
        """Return the programs of a group; compile them if that has not been done."""
        if group.compiled is None or group.switches != debugging():
            job = self._job
            self._report("planned", group)
            columns = group.columns(self._columns)
            compiled = job.compile(job.study, group.plan, job.devices, columns, job.arrays)
            self._compile_seconds += compiled.seconds
            _check_memory(bytes_needed(compiled), memory_of(job.devices[0]), group.plan)
            group.compiled = compiled
            group.switches = debugging()
            self._report("compiled", group)
        return group.compiled

    def _restore(self, group: Group) -> None:
        """Continue from what an interrupted run has saved of a group, if there is something."""
        if self._keeper is None:
            return
        saved = self._keeper.load(group.first, group.plan, group.training)
        if saved is not None:
            group.restore(*saved)

    def _advance(self, group: Group, stop: int) -> None:
        """Train a group up to epoch `stop`, with a look of the host every `look_every` seconds."""
        if group.epoch >= stop:
            return
        arrays = self._prepare(group)
        epochs = 1
        while group.epoch < stop and not group.is_finished:
            started = time.perf_counter()
            first = group.epoch
            group.advance(arrays, min(first + epochs, stop))
            seconds = time.perf_counter() - started
            epochs = max(1, int((group.epoch - first) * self._look_every / max(seconds, 1e-9)))
            if group.is_finished:
                group.epoch = self.study.epochs
            if self._keeper is not None:
                self._keeper.save(
                    group.first,
                    group.plan,
                    group.epoch,
                    group.order,
                    group.training,
                    last=group.is_finished,
                )
            self._report("training", group)
        group.epoch = max(group.epoch, stop)
        if len(self._groups) > 1:
            group.to_host(for_result=self._results_only and group.is_finished)

    def _smaller(self, number: int, error: BaseException) -> list[Group]:
        """Return smaller groups, from group `number` on, to begin anew when memory runs out."""
        group = self._groups[number]
        plan = group.plan.halved()
        if plan is None:
            raise ValueError(
                f"There is not enough memory for one member per device: {reason_of(error)} Use a "
                "smaller batch_size, evaluation_batch or model, or fewer devices."
            ) from error
        self._follow_kept_plans = False
        return self._make_groups(plan, group.first)

    def _change_numbers(self, numbers: Mapping[str, np.ndarray], sources: np.ndarray) -> None:
        """Give the members new hyper-parameters from the next epoch on."""
        old = {name: self._number(name) for name in numbers}
        if all(np.array_equal(numbers[name], old[name]) for name in numbers):
            return
        epochs = self.study.epochs
        for name, values in numbers.items():
            if values.ndim == 1:
                constant = np.repeat(old[name][:, None], epochs, axis=1)
                history = self._hyper_history.get(name, constant)[sources]
                history[:, self.epoch :] = values[:, None]
                self._hyper_history[name] = history
        self.members = with_numbers(self.members, numbers)
        self._columns = columns_of(self.members)

    def _number(self, name: str) -> np.ndarray:
        """Return a hyper-parameter of each member, or the default of the study."""
        table = self.members.numbers()
        return table[name] if name in table else np.full(len(self), self.study.hyper[name])

    def _report(self, stage: str, group: Group) -> None:
        if self._progress is None:
            return
        done = group.first + group.count * group.epoch / self.study.epochs
        seconds = time.perf_counter() - self._started
        self._progress(Status(stage, group.plan, done / len(self), seconds))


@default_settings()
def start(
    study: Study,
    data: Dataset | Stream,
    members: Members | None = None,
    *,
    test: Dataset | None = None,
    plan: Plan | None = None,
    devices: Sequence[Any] | None = None,
    start_from: Any = None,
    fresh: Patterns = (),
    resume_optimizer: bool = False,
) -> Population:
    """Start a population whose training the caller advances.

        population = jnn.start(study, data, jnn.seeds(64))
        population.advance(3)
        losses = population.scores["train_loss"].isel(epoch=-1).values
        population.keep(np.argsort(losses)[:16]).advance(7)
        print(population.result().summary())

    Args:
        study: What is trained; its number of epochs is the most that the population can advance.
        data: The rows that train and, by the members' folds, test; or a `jnn.data.Stream` of rows
            too many for the device, whose batches all members share.
        members: The population; one member with seed 0 by default.
        test: A separate test set to score on; the members then have no folds.
        plan: The layout; chosen by `jnn.population.make_plan` by default. If the memory does not
            suffice it is halved repeatedly.
        devices: Devices to use; all local ones by default.
        start_from: As in `jnn.run`.
        fresh: As in `jnn.run`.
        resume_optimizer: As in `jnn.run`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If study, data and members do not fit together; before anything is compiled.
    """
    members = seeds(1) if members is None else members
    job, plan = prepare(study, data, members, test=test, plan=plan, devices=devices)
    begin = make_start_from(job, members, start_from, fresh, resume_optimizer)
    return Population(job, members, plan, start=begin)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of a device or of the host did not suffice."""
    text = str(error)
    is_message = "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
    return isinstance(error, MemoryError) or is_message


def _check_memory(needed: float, left: float, plan: Plan) -> None:
    if needed > left:
        raise MemoryError(
            f"{plan.size} members at once need {needed / 1e9:.3g} GB of memory, {left / 1e9:.3g} "
            "GB are left."
        )


def _joined(parts: Sequence[Any]) -> Any:
    """Return the trees of consecutive members as one."""
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(_concatenated, *parts)


def _concatenated(*arrays: Any) -> Any:
    is_on_host = isinstance(arrays[0], np.ndarray)
    return np.concatenate(arrays) if is_on_host else jnp.concatenate(arrays)


def _take_members(tree: Any, numbers: np.ndarray) -> Any:
    return jax.tree.map(lambda array: array[numbers], tree)


def _next_power_of_two(count: int) -> int:
    """Return the next power of two, so that few programs serve populations that shrink."""
    return 1 << (count - 1).bit_length()
