"""What members begin with that another training has learned: `jnn.run(start_from=...)`."""

import hashlib
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import paths
from jnn.engine import (
    ProgramKey,
    State,
    Trained,
    floating_point_told,
    make_begin_from,
    make_program,
    member_of,
    programs_of,
)
from jnn.model import variables_of
from jnn.population._compile import is_ragged
from jnn.population._group import Group
from jnn.population._job import Job, columns_of
from jnn.population._layout import Layout
from jnn.population._sources import sources_in
from jnn.result import Kept, Result
from jnn.storage import add_to_hash, to_host
from jnn.study import Members, Study


class Start(NamedTuple):
    """What members begin with in place of what they would draw.

    Attributes:
        variables: Parameters and model state as host arrays, in the structure of the network's,
            with None for what members draw themselves.
        sources: Which entry on the first axis of these arrays each member begins with, int
            [members]; None if all members begin with the same arrays, which have no such axis.
        kept: The state of the training of each member that goes on, or None.
        digest: Hash of all this, by which an interrupted run is recognized.
    """

    variables: tuple[Any, Any]
    sources: np.ndarray | None
    kept: Kept | None
    digest: str

    @property
    def epochs(self) -> int:
        """Number of epochs that the members have trained before."""
        return 0 if self.kept is None else self.kept.epochs

    def take(self, chosen: np.ndarray) -> "Start":
        """Return the start of the chosen members."""
        sources = None if self.sources is None else self.sources[chosen]
        return self._replace(
            sources=sources, kept=None if self.kept is None else self.kept.take(chosen)
        )

    def place(self, study: Study, group: Group) -> None:
        """Give it to the members of a group that has begun."""
        if self.kept is not None:
            kept = self.kept.take(np.arange(group.first, group.first + group.count))
            group.place(kept.training(group.host_training()), self.epochs)
            return
        assert group.compiled is not None
        layout = group.compiled.layout
        restart = _restart_of(study, layout, is_shared=self.sources is None)
        if self.sources is None:
            variables = layout.share(self.variables)
        else:
            places = self.sources[group.members()]
            variables = layout.split(jax.tree.map(lambda a: a[places], self.variables))
        with floating_point_told():
            group.training = restart(group.training, variables)


def make_start_from(
    job: Job, members: Members, start_from: Any, fresh: paths.Patterns, resume_optimizer: bool
) -> Start | None:
    """Return what the members begin with, checked; None if `start_from` is None.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If what `start_from` holds does not fit the network or the members, or has seen
            rows that score them.
    """
    if not isinstance(resume_optimizer, bool | np.bool):
        raise TypeError(f"resume_optimizer must be True or False, got {resume_optimizer!r}.")
    if start_from is None:
        _check_nothing_else(fresh, resume_optimizer)
        return None
    study = job.study
    if isinstance(start_from, str | os.PathLike):
        start_from = Result.load(start_from)
    is_empty = isinstance(start_from, list | tuple) and not start_from
    if isinstance(start_from, bool | int | float) or is_empty:
        raise TypeError(
            "start_from must be a jnn.Result, the folder of one, or parameters of the network, got "
            f"{start_from!r}."
        )
    if resume_optimizer:
        return _going_on(job, members, start_from, fresh)
    restart = programs_of(study).trainer.restart
    if restart is None:
        raise ValueError(
            "The trainer must have a function restart(state, trained) -> jnn.State for start_from, "
            "which begins the state of its optimizers anew. Give it to jnn.Trainer, or go on by "
            "resume_optimizer=True."
        )
    state = _state_shapes(job, members)
    like = jax.eval_shape(restart, state, state.trained).trained  # traced for its errors
    sources = None
    axes = 0
    if isinstance(start_from, Result):
        sources = sources_in(start_from, members, job.arrays)
        axes = 1
        variables = start_from.trained.params, start_from.trained.model_state
    elif isinstance(start_from, Trained):
        variables = start_from.params, start_from.model_state
    else:
        variables = variables_of(study.model, start_from)
    found = _found(variables, like, fresh, axes)
    if sources is None:
        _check_finite(found[0])
    return Start(found, sources, None, _digest(found, sources))


def _going_on(job: Job, members: Members, start_from: Any, fresh: paths.Patterns) -> Start:
    """Return the start of members that go on with the state of their optimizers."""
    if not isinstance(start_from, Result):
        raise TypeError(
            "start_from must be a Result, which keeps the state of an optimizer, for "
            f"resume_optimizer=True, got {type(start_from).__name__}."
        )
    if paths.as_list(fresh, "fresh"):
        raise ValueError(
            "fresh must be empty for resume_optimizer=True, as the optimizer has no state for "
            "parameters that are drawn anew. Leave one of them out."
        )
    kept = start_from.kept
    if kept is None:
        raise ValueError(
            "start_from must keep the state of its optimizer for resume_optimizer=True. Train it "
            "by jnn.run(..., keep_optimizer=True)."
        )
    epochs = job.study.epochs
    if kept.epochs >= epochs:
        raise ValueError(
            f"Study.epochs must be more than the {kept.epochs} epochs that start_from has trained, "
            f"which are counted in for resume_optimizer=True, got {epochs}."
        )
    sources = sources_in(start_from, members, job.arrays)
    kept = kept.take(sources)
    kept.check(_training_shapes(job, members))
    return Start(((), ()), sources, kept, _digest(kept.arrays(), kept.epochs))


def _check_nothing_else(fresh: paths.Patterns, resume_optimizer: bool) -> None:
    if resume_optimizer or paths.as_list(fresh, "fresh"):
        name = "resume_optimizer" if resume_optimizer else "fresh"
        raise ValueError(f"{name} belongs to start_from, got start_from=None. Pass both.")


def _found(variables: tuple[Any, Any], like: Trained, fresh: paths.Patterns, axes: int) -> Any:
    """Return parameters and state in the structure of the network's, with None for `fresh`."""
    params, state = variables
    found = paths.found_in(params, like.params, fresh=fresh, axes=axes, what="start_from")
    if state is None:
        return to_host(found), jax.tree.map(lambda _: None, like.model_state)
    of_state = paths.found_in(
        state,
        like.model_state,
        fresh=paths.state_patterns(fresh),
        axes=axes,
        what="The model state of start_from",
        required=False,
    )
    return to_host((found, of_state))


def _check_finite(params: Any) -> None:
    """Raise ValueError for NaN or infinity, with which no member could train."""
    for name, array in zip(paths.names(params), jax.tree.leaves(params), strict=True):
        if jnp.issubdtype(array.dtype, jnp.inexact) and not np.isfinite(array).all():
            raise ValueError(
                f"start_from must hold finite parameters, but {name!r} has NaN or infinity in it. "
                "Load it again, or draw it anew by fresh."
            )


def _restart_of(study: Study, layout: Layout, *, is_shared: bool) -> Any:
    """Return the compiled `restart` of all members of a layout."""
    programs = programs_of(study)
    devices = tuple(layout.mesh.devices.flat)

    def make() -> Any:
        restart = make_begin_from(programs.study, programs.trainer)
        if is_shared:
            function = layout.over_members(restart, 1)
        else:
            both = layout.over_members(lambda pair: restart(*pair), 0)
            function = lambda *pair: both(pair)  # noqa: E731
        return layout.jit(function, donate_argnums=0)

    return programs.get(ProgramKey("restart", (layout.plan, devices, is_shared)), make)


def _member_shapes(members: Members) -> Any:
    columns = columns_of(members)
    one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in columns.items()}
    return jax.eval_shape(member_of, one)


def _state_shapes(job: Job, members: Members) -> State:
    start = programs_of(job.study).trainer.start
    return jax.eval_shape(start, _member_shapes(members), job.arrays)


def _training_shapes(job: Job, members: Members) -> Any:
    programs = programs_of(job.study)
    program = make_program(
        programs.study, programs.trainer, ragged=is_ragged(job.study, job.arrays)
    )
    return jax.eval_shape(program.begin, _member_shapes(members), job.arrays)


def _digest(tree: Any, *others: Any) -> str:
    """Return a hash of names and arrays, and of what else tells one start from another."""
    code = hashlib.sha256()
    leaves = jax.tree.leaves((tree, [np.asarray(other) for other in others if other is not None]))
    code.update(repr(paths.names(tree)).encode())
    for leaf in leaves:
        add_to_hash(code, leaf)
    return code.hexdigest()
