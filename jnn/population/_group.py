"""The members that one call of a compiled program trains."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import (
    Columns,
    Data,
    Training,
    debugging,
    floating_point_told,
    has_patience,
    hidden,
    shown,
)
from jnn.population._compile import Compiled
from jnn.population._layout import Layout, packed
from jnn.population._plan import Plan
from jnn.storage import to_host
from jnn.study import Study


class Group:
    """Consecutive members of a population, in the places of one program.

    Attributes:
        study: What is trained.
        plan: The layout of the places.
        first: Number of the first member in the population.
        count: Number of members; the places beyond them are filled up with idle copies of the last.
        epoch: Number of epochs that the members have trained.
        order: int [places], the member in each place, counted from `first`; `count` or more for the
            copies.
        idle: bool [places], whether the member in each place needs no training: it is a copy, or
            its patience has ended.
        compiled: The programs; None until they are needed.
        switches: JAX's switches for debugging under which they were compiled.
        training: The members' training, [places, ...]; None before the group begins.
    """

    def __init__(self, study: Study, plan: Plan, first: int, count: int) -> None:
        self.study = study
        self.plan = plan
        self.first = first
        self.count = count
        self.epoch = 0
        self.order = np.arange(plan.size)
        self.idle = self.order >= count
        self.compiled: Compiled | None = None
        self.switches = debugging()
        self.training: Training | None = None

    @property
    def is_finished(self) -> bool:
        """Whether no later epoch can change a member."""
        return self.epoch >= self.study.epochs or bool(self.idle.all())

    def columns(self, columns: Columns) -> Columns:
        """Return the numbers of the member in each place from those of all members."""
        members = self.members()
        return {name: column[members] for name, column in columns.items()}

    def members(self) -> np.ndarray:
        """Return the number of the member in each place before any is moved, int [places]."""
        return self.first + self._member_of_place()

    def begin(self, columns: Columns, data: Data) -> None:
        """Draw the members' parameters.

        Args:
            columns: The numbers of all members of the population, [members, ...].
            data: The arrays that all members share, on the devices.
        """
        assert self.compiled is not None
        with floating_point_told():
            self.training = self.compiled.begin(self._layout.split(self.columns(columns)), data)

    def place(self, training: Training, epoch: int) -> None:
        """Take over members that have trained before.

        Args:
            training: Host arrays of the members of this group, [count, ...].
            epoch: Number of epochs that they have trained.
        """
        members = self._member_of_place()
        self.training = hidden(jax.tree.map(lambda array: array[members], training))
        self.epoch = epoch
        self._mark_idle()
        self._pack()

    def restore(self, epoch: int, order: np.ndarray, training: Training) -> None:
        """Continue from host arrays of all places, in the order in which they were saved."""
        self.epoch = epoch
        self.order = order
        self.idle = order >= self.count
        self.training = hidden(training)
        self._mark_idle()

    def advance(self, data: Data, stop: int) -> None:
        """Train up to epoch `stop`.

        Members that still train are then packed together, so that whole chunks can be skipped.
        """
        assert self.compiled is not None
        if any(self.switches):
            self.training = self._layout.split(hidden(jax.tree.map(_on_host, self.training)))
        idle = self._layout.split(self.idle)
        first = np.int32(self.epoch)
        with floating_point_told():
            self.training = self.compiled.advance(self.training, idle, data, first, np.int32(stop))
        jax.block_until_ready(self.training)
        self.epoch = stop
        self._mark_idle()
        self._pack()
        self.to_devices()

    def diverged(self) -> np.ndarray:
        """Return whether a parameter of each member is not finite, bool [count]."""
        training = self.training
        assert training is not None
        trained = training.trained if training.state.trained is None else training.state.trained
        is_finite = np.ones(self.plan.size, bool)
        if jax.tree.leaves(trained.params):
            is_finite = np.asarray(_is_finite(trained.params))
        return ~is_finite[self._places()]

    def ended(self) -> np.ndarray:
        """Return whether the patience of each member has ended, bool [count]."""
        return self.idle[self._places()]

    def host_training(self, *, for_result: bool = False) -> Training:
        """Return the members' training as host arrays, [count, ...].

        Args:
            for_result: Leave out what no result needs, which is most of the memory: the state of
                the optimizer, and the last parameters where the best are kept.
        """
        assert self.training is not None
        training = _for_result(self.training) if for_result else self.training
        places: Any = self._places()
        if np.array_equal(places, np.arange(self.count)):
            places = slice(self.count)  # which copies nothing
        training = to_host(training) if for_result else jax.tree.map(_on_host, training)
        training = training._replace(history=shown(training.history))
        return jax.tree.map(lambda array: array[places], training)

    def history(self) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Return the scores by name [count, epochs, ...] and the best epochs [count]."""
        assert self.training is not None
        best = None if self.training.best is None else self.training.best.epoch
        places = self._places()
        history = shown(jax.tree.map(np.asarray, self.training.history))
        return jax.tree.map(lambda a: np.asarray(a)[places], (history, best))

    def to_host(self, *, for_result: bool = False) -> None:
        """Move the members' training to the host, to make room for another group.

        Args:
            for_result: Keep only what a result needs; the members then cannot continue.
        """
        assert self.training is not None
        training = _for_result(self.training) if for_result else self.training
        self.training = jax.tree.map(_on_host, training)

    def to_devices(self) -> None:
        """Move the members' training to the devices."""
        self.training = self._layout.split(self.training)

    @property
    def _layout(self) -> Layout:
        assert self.compiled is not None
        return self.compiled.layout

    def _member_of_place(self) -> np.ndarray:
        """Return the member whose numbers go into each place."""
        return np.minimum(np.arange(self.plan.size), self.count - 1)

    def _places(self) -> np.ndarray:
        """Return the place of each member."""
        return np.argsort(self.order)[: self.count]

    def _pack(self) -> None:
        """Move the members so that those at work fill as few chunks as possible."""
        places = packed(self.idle, self.plan)
        if places is not None:
            self.order = self.order[places]
            self.idle = self.idle[places]
            is_on_host = isinstance(jax.tree.leaves(self.training)[0], np.ndarray)
            take = _take if is_on_host else jax.jit(_take)
            self.training = take(self.training, places)

    def _mark_idle(self) -> None:
        """Mark members as idle whose patience has ended: no later epoch changes their best one."""
        training = self.training
        if self.study.patience is not None and training is not None and training.best is not None:
            best_epoch = np.asarray(training.best.epoch)
            self.idle = self.idle | ~has_patience(self.study, self.epoch, best_epoch)


def _for_result(training: Training) -> Training:
    """Return what a result needs of a training."""
    state = training.state._replace(opt_state=None, key=None, step=None, epoch=None, average=None)
    if training.averaged is not None:
        state = state._replace(trained=training.trained)
        training = training._replace(averaged=None)
    if training.best is not None:
        state = state._replace(trained=None)  # type: ignore[arg-type]
    return training._replace(state=state)


def _on_host(array: Any) -> Any:
    """Return an array of the host; random keys stay what they are."""
    return array if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else np.asarray(array)


@jax.jit
def _is_finite(params: Any) -> jax.Array:
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(params)]
    return jnp.stack([jnp.isfinite(leaf).all(axis=1) for leaf in leaves]).all(axis=0)


def _take(tree: Any, places: Any) -> Any:
    return jax.tree.map(lambda array: array[places], tree)
