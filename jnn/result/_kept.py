"""What a result keeps of its training so that it can go on, in memory or in a file."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import paths, storage
from jnn._errors import reason_of
from jnn.engine import Training

FILE = "training.safetensors"

_WHAT = "The training of start_from"


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """The state of the training of some members.

    Attributes:
        source: Nested arrays, each with a first axis of members, or the file that holds them.
        rows: The entry of each member on that axis, int [members].
        epochs: Number of epochs that the members have trained.
    """

    source: Any
    rows: np.ndarray
    epochs: int

    @classmethod
    def of(cls, training: Training) -> "Kept":
        """Return the state of a training on the host, [members, ...]."""
        epochs = next(iter(training.history.values())).shape[1]
        tree = storage.to_host(_parts_of(training))
        count = len(jax.tree.leaves(tree)[0])
        return cls({**tree, "history": training.history}, np.arange(count), epochs)

    def take(self, rows: np.ndarray) -> "Kept":
        """Return the state of the members at these places."""
        return dataclasses.replace(self, rows=self.rows[rows])

    def arrays(self) -> dict[str, Any]:
        """Return the arrays of the members, nested."""
        is_file = isinstance(self.source, pathlib.Path)
        nested = storage.load_nested(self.source) if is_file else self.source
        return jax.tree.map(lambda array: array[self.rows], nested)

    def save(self, path: pathlib.Path) -> str:
        """Write the arrays to a file, and return its digest."""
        return storage.save(path, self.arrays(), epochs=self.epochs)

    def check(self, like: Training) -> None:
        """Raise ValueError unless the structure is that of the training of a member.

        Args:
            like: The shapes of one member.
        """
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct((1, *a.shape), a.dtype), like)
        _found({k: v for k, v in self.arrays().items() if k != "history"}, _parts_of(shapes))

    def training(self, like: Training) -> Training:
        """Return the training of the members as host arrays, [members, ...].

        Args:
            like: The training of the same members before their first epoch, host arrays. What the
                members read and do not learn is taken from it, such as their numbers.

        Raises:
            ValueError: If the state of the optimizer, or what is averaged or kept, has another
                structure.
        """
        nested = self.arrays()
        history = _continued(like.history, nested.pop("history", {}), self.epochs)
        expected = _parts_of(like)
        parts = jax.tree.map(_in_form_of, _found(nested, expected), expected)
        learned = {name: parts[name] for name in ("params", "model_state")}
        state = like.state._replace(
            trained=like.state.trained._replace(**learned),
            **{name: parts[name] for name in ("opt_state", "step", "average")},
        )
        if state.epoch is not None:
            state = state._replace(epoch=np.full_like(state.epoch, self.epochs))
        return Training(state, history, parts["best"], parts["averaged"])


def _parts_of(training: Training) -> dict[str, Any]:
    """Return what a training has learned; the rest is known from the members and the study."""
    state = training.state
    return {
        "params": state.trained.params,
        "model_state": state.trained.model_state,
        "opt_state": state.opt_state,
        "step": state.step,
        "average": state.average,
        "best": training.best,
        "averaged": training.averaged,
    }


def _found(nested: Any, expected: Any) -> Any:
    """Return the arrays in the structure of what is expected, [members, ...]."""
    try:
        return paths.found_in(nested, _shapes(expected), axes=1, what=_WHAT)
    except ValueError as error:
        raise ValueError(
            "start_from can only go on with the network, optimizer, averaging and Study(keep=...) "
            f"that it was trained with: {reason_of(error)}"
        ) from error


def _shapes(tree: Any) -> Any:
    """Return the shapes of one member; those of the words of random keys."""

    def one(array: Any) -> jax.ShapeDtypeStruct:
        if _is_key(array):
            return jax.ShapeDtypeStruct((*array.shape[1:], 2), jnp.uint32)
        return jax.ShapeDtypeStruct(array.shape[1:], array.dtype)

    return jax.tree.map(one, tree)


def _in_form_of(array: Any, like: Any) -> Any:
    return jax.random.wrap_key_data(array, impl="threefry2x32") if _is_key(like) else array


def _is_key(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def _continued(first: Any, before: Any, epochs: int) -> dict[str, Any]:
    """Return scores by name for all epochs; those of the epochs before, and then NaN."""
    history = {name: np.array(scores) for name, scores in first.items()}
    for name, scores in history.items():
        if name in before and before[name].shape[2:] == scores.shape[2:]:
            scores[:, :epochs] = before[name]
    return history
