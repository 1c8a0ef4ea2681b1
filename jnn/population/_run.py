"""`run` trains a population from its first to its last epoch and returns a `Result`."""

import contextlib
import math
import numbers
import os
from collections.abc import Callable, Sequence
from typing import Any

from jnn.data import Dataset, Stream
from jnn.engine import default_settings
from jnn.paths import Patterns
from jnn.population._job import columns_of, prepare, text_of
from jnn.population._keeper import Keeper
from jnn.population._plan import Plan
from jnn.population._population import Population, Status
from jnn.population._start_from import make_start_from
from jnn.result import Result
from jnn.storage import as_folder
from jnn.study import Members, PathLike, Study, seeds


@default_settings()
def run(
    study: Study,
    data: Dataset | Stream,
    members: Members | None = None,
    *,
    test: Dataset | None = None,
    plan: Plan | None = None,
    devices: Sequence[Any] | None = None,
    directory: PathLike | None = None,
    save_every: float = 20.0,
    progress: Callable[[Status], None] | None = None,
    look_every: float = 0.5,
    start_from: Any = None,
    fresh: Patterns = (),
    resume_optimizer: bool = False,
    keep_optimizer: bool = False,
) -> Result:
    """Train every member of a study as one compiled program.

    Args:
        study: What is trained.
        data: The rows that train and, by the members' folds, test; or a `jnn.data.Stream` of rows
            too many for the device, whose batches all members share.
        members: The population; one member with seed 0 by default.
        test: A separate test set to score on; the members then have no folds.
        plan: The layout; chosen by `jnn.population.make_plan` by default. If the memory does not
            suffice it is halved repeatedly.
        devices: Devices to use; all local ones by default.
        directory: Folder for the state of the run and its result. The same call, after the process
            was killed, continues where it was and gives the same bits; once the run is complete,
            it returns the saved result. A folder that holds the result of another run, or in which
            another process trains, is refused. A leading `~` is the home directory. By default
            nothing is written.
        save_every: Seconds of training between two savings of that state, which happen between
            epochs. For long streams use a smaller `Study.steps_per_epoch`, so that a kill costs
            less.
        progress: Called with a `jnn.population.Status` when the layout is planned, when the
            programs are compiled, and during training.
        look_every: Seconds of training from one look of the host to the next, in which it saves,
            calls `progress` and ends members; a look costs about a millisecond.
        start_from: What members begin with in place of the parameters that they would draw: a
            `Result`, or the folder of one, of which each member takes the one of its own seed and
            fold, or all the only one, such as `result.best_members()`; or parameters, with which
            all members begin, in any form that `jnn.freeze` takes, or a `jnn.Trained`. The state of
            the model is taken over too. The optimizer begins anew, epochs count from 0, and
            preprocessing is fitted on the members' own training rows. A result that was trained on
            rows which score a member is refused where it is known, that is, on the same data set.
            A `Study.trainer` of one's own needs a `restart`, see `jnn.Trainer`.
        fresh: Patterns of the names of parameters that are drawn all the same, such as "head/**";
            they may be missing in `start_from` or have another shape. See `jnn.paths.match`.
        resume_optimizer: Let a training go on: take over the state of the optimizer, the count of
            steps and epochs, and the scores so far from a result that keeps them. `Study.epochs`
            then counts the former epochs in, and the result has the bits of one training of that
            many epochs, if nothing else was changed.
        keep_optimizer: Whether the result keeps the state of the optimizer, so that its training
            can go on.

    Returns:
        The scores after each epoch on the members' named axes, and the trained parameters.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If study, data and members do not fit together; before anything is compiled.
    """
    _check_options(directory, progress, save_every=save_every, look_every=look_every)
    if not isinstance(keep_optimizer, bool):
        raise TypeError(f"keep_optimizer must be True or False, got {keep_optimizer!r}.")
    directory = None if directory is None else as_folder(directory)
    members = seeds(1) if members is None else members
    job, layout = prepare(study, data, members, test=test, plan=plan, devices=devices)
    start = make_start_from(job, members, start_from, fresh, resume_optimizer)
    keeper = None
    if directory is not None:
        columns = columns_of(members)
        digest = "" if start is None else start.digest
        text = text_of(job, columns)
        keeper = Keeper(directory, text, columns, job.arrays, every=save_every, start=digest)
        if keeper.is_finished:
            return _finished(keeper, study, keep_optimizer)
    with contextlib.closing(keeper) if keeper else contextlib.nullcontext():
        population = Population(
            job,
            members,
            layout,
            keeper=keeper,
            follow_kept_plans=plan is None,
            progress=progress,
            look_every=look_every,
            results_only=not keep_optimizer,
            start=start,
        )
        population.advance(study.epochs - population.epoch)
        result = population.result(keep_optimizer=keep_optimizer)
        if keeper:
            result.save(keeper.result)
            keeper.clear()
        return result


def _finished(keeper: Keeper, study: Study, keep_optimizer: bool) -> Result:
    """Return the saved result of a run that is complete."""
    result = Result.load(keeper.result, study)
    if keep_optimizer and result.kept is None:
        raise ValueError(
            f"{keeper.result} holds the result of this run without the state of its optimizer. "
            "Choose another directory for keep_optimizer=True."
        )
    return result


def _check_options(directory: Any, progress: Any, **seconds: Any) -> None:
    if directory is not None and not isinstance(directory, str | os.PathLike):
        raise TypeError(f"directory must be a path, got {directory!r}.")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of a Status, got {progress!r}.")
    for name, value in seconds.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be a number of seconds, got {value!r}.")
        if not 0 <= float(value) < math.inf:
            raise ValueError(
                f"{name} must be a finite number of seconds of at least 0, got {value}."
            )
