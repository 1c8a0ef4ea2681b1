"""The data, the member, the batch and the state that the functions of the engine pass around."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import check_digits

Leaf = Any  # an array; a jax.ShapeDtypeStruct while only shapes are traced
Tree = Any  # a pytree of arrays
Columns = Mapping[str, Leaf]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Ignoring:
    """A mark on data and batches in which labels below 0 count neither in losses nor in metrics.

    It holds no array, so that it is part of the structure for which a program is compiled.
    """


class Rows(NamedTuple):
    """The rows that belong to each fold, as index lists of equal length.

    Attributes:
        index: int32 [folds, most]; entries from `count` on are padding.
        count: int32 [folds], the number of entries that are real.
    """

    index: Leaf
    count: Leaf


class Data(NamedTuple):
    """The arrays that all members read, and the rows on which each fold trains and is scored.

    Attributes:
        x: Inputs [rows, *features], or `jnn.data.Windows` of a series.
        y: Targets [rows] or [rows, *outputs], or `Windows`; None for a study without targets.
        train: Rows whose gradient is taken.
        validation: Rows that choose the best epoch (`Study.keep="best"`), or None.
        test: Rows that give the score, or None.
        weights: Weight of each row, float32 [rows], with mean 1; None if all rows count the same.
        shared: Arrays that the network of every member reads and none owns (`Study.shared`), or
            None.
        class_weights: Weight of each class in training, float32 [folds, classes], or None.
        ignoring: `Ignoring()` if labels below 0 are to be ignored, or None if all count.
    """

    x: Tree
    y: Tree
    train: Rows
    validation: Rows | None = None
    test: Rows | None = None
    weights: Leaf | None = None
    shared: Tree = None
    class_weights: Leaf | None = None
    ignoring: Ignoring | None = None

    @classmethod
    def from_arrays(
        cls,
        x: Tree,
        y: Tree = None,
        *,
        train: Any = None,
        validation: Any = None,
        test: Any = None,
        weights: Any = None,
        shared: Tree = None,
        ignore_index: int | None = None,
    ) -> "Data":
        """Build the data of a single fold from arrays.

        Args:
            x: Inputs [rows, *features].
            y: Targets [rows, ...], or None.
            train: Row numbers to train on; all rows that neither validate nor test by default.
            validation: Row numbers that choose the best epoch, or None.
            test: Row numbers that give the score, or None.
            weights: Weight of each row [rows], or None.
            shared: Arrays that all members read.
            ignore_index: Label in y that is to be ignored, such as -100, or None.

        >>> data = Data.from_arrays(np.zeros((5, 2)), np.zeros(5), test=[3, 4])
        >>> data.train.index.tolist()
        [[0, 1, 2]]
        """
        _check_digits(x, "x")
        _check_digits(y, "y")
        rows = row_count(x)
        if ignore_index is not None:
            y = np.where(np.asarray(y) == ignore_index, -1, y)
        held_out = [np.asarray(part) for part in (validation, test) if part is not None]
        if train is None:
            train = np.setdiff1d(np.arange(rows), np.concatenate(held_out or [np.empty(0, int)]))
        if weights is not None:
            weights = np.asarray(weights, np.float32)
        return cls(
            x,
            y,
            rows_of([train]),
            None if validation is None else rows_of([validation]),
            None if test is None else rows_of([test]),
            weights,
            shared,
            ignoring=None if ignore_index is None else Ignoring(),
        )


class Member(NamedTuple):
    """The numbers of one member.

    Attributes:
        key: The member's random key.
        fold: Its row in each `Rows`, int32.
        hyper: Hyper-parameters by name.
    """

    key: Leaf
    fold: Leaf
    hyper: Mapping[str, Leaf]


class Batch(NamedTuple):
    """The rows of one step.

    Attributes:
        x: Inputs [batch, *features].
        y: Targets [batch, ...], or None.
        weights: Weight of each row [batch], 0 on rows that only fill up the batch; None if all
            rows count the same.
        shared: `Data.shared`, not batched.
        ignoring: `Data.ignoring`, not batched.
        index: Number of each row in the data, int32 [batch]; rows of a separate test set come after
            the others. The rows of a stream have none, and a study on a stream cannot read them.
    """

    x: Tree
    y: Tree
    weights: Leaf | None = None
    shared: Tree = None
    ignoring: Ignoring | None = None
    index: Leaf = None


class Trained(NamedTuple):
    """What is needed of a member to predict.

    Attributes:
        params: The parameters of the network.
        model_state: Its other variables, such as running averages.
        scale: What preprocessing was fitted to on the member's training rows: a tuple of the
            statistics of inputs and targets, followed by the class weights of a study that has
            some.
        hyper: The hyper-parameters by name.
    """

    params: Tree
    model_state: Tree
    scale: Tree
    hyper: dict[str, Leaf]

    @property
    def input_stats(self) -> Tree:
        """What `Study.inputs` was fitted to."""
        return self.scale[0]

    @property
    def target_stats(self) -> Tree:
        """What `Study.targets` was fitted to."""
        return self.scale[1]

    @property
    def class_weights(self) -> Leaf | None:
        """Weight of each class in training, [classes], or None."""
        return self.scale[2] if len(self.scale) > 2 else None


class State(NamedTuple):
    """What a step of one member reads and writes.

    Attributes:
        trained: The parameters and all else that is needed to predict.
        opt_state: The state of the optimizer.
        fold: The member's row in each `Rows` of the data, int32.
        key: The member's key as raw words (`jax.random.key_data`, uint32 [2]). A jitted function
            that returns a typed key leaves JAX's fast dispatch path, which costs microseconds a
            call. A typed key works too.
        step: The number of steps taken, int32.
        epoch: The number of epochs trained before this one, int32; None if no function of the study
            reads it.
        average: What `Study.averaging` keeps of the parameters so far, or None.
    """

    trained: Trained
    opt_state: Tree
    fold: Leaf
    key: Leaf
    step: Leaf
    epoch: Leaf | None = None
    average: Tree = None


def rows_of(parts: Sequence[Any]) -> Rows:
    """Return the row numbers of each fold as index lists of equal length.

    Args:
        parts: Row numbers of each fold; lists may differ in length.
    """
    lists = [np.asarray(part) for part in parts]
    most = max(map(len, lists))
    index = np.stack([np.pad(rows, (0, most - len(rows)), mode="wrap") for rows in lists])
    count = np.asarray([len(rows) for rows in lists], np.int32)
    return Rows(index.astype(np.int32), count)


def member_of(columns: Columns) -> Member:
    """Return one row of the table of members as a `Member`."""
    hyper = {name: value for name, value in columns.items() if name not in ("seed", "fold")}
    key = jax.random.key(columns["seed"], impl="threefry2x32")
    return Member(key, columns.get("fold", 0), hyper)


def take_rows(values: Tree, index: Leaf) -> Tree:
    """Return the chosen rows of every array; None stays None."""
    return jax.tree.map(lambda array: array[index], values, is_leaf=has_rows)


def row_count(values: Tree) -> int:
    """Return the number of rows of an array, of `Windows` or of a tree of arrays."""
    return jax.tree.leaves(values, is_leaf=has_rows)[0].shape[0]


def on_device(data: Tree) -> Tree:
    """Return the tree with NumPy arrays as JAX arrays, which accept a traced index."""
    return jax.tree.map(jnp.asarray, data)


def has_rows(node: Any) -> bool:
    return hasattr(node, "shape")


def _check_digits(values: Tree, name: str) -> None:
    """Raise if the cast to float32 would merge what varies in an array on the host."""
    for leaf in jax.tree.leaves(values):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
            check_digits(leaf, name)
