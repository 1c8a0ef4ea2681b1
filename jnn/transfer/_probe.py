"""Linear probes: multinomial logistic regression, solved to convergence for a whole population."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import POSITIVE, check_integer, check_number, check_numbers
from jnn.data import Dataset
from jnn.engine import (
    Batch,
    Data,
    Member,
    Rows,
    State,
    Trained,
    Trainer,
    make_evaluate,
    make_predict,
    numbers_of,
)
from jnn.losses import softmax_cross_entropy
from jnn.metrics import Metric, accuracy
from jnn.preprocess import Preprocess, identity
from jnn.study import Members, Study
from jnn.transfer._solve import Problem, solve
from jnn.transfer._sparse import mean_squares, product

_FEW = 4  # a member gathers its rows if these are less than this share of all rows
_SECONDS = 8e-9  # of a search, for one feature, class and row
_WORTH = 0.25  # seconds that a group must save, whose program takes a second to compile, once
_LARGEST = 1024  # features up to which the directions of their second moments are found
_NUMBERS = ("C", "labels")
_ADVICE = "It is the inverse of the strength of the penalty, 1 by default."


def linear_probe(
    data: Dataset,
    *,
    C: float = 1.0,
    metrics: Mapping[str, Metric] | None = None,
    inputs: Preprocess = identity,
    tolerance: float = 1e-4,
    iterations: int = 1000,
) -> Study:
    """Make the study of a linear classifier, which is solved and not trained step by step.

    sum_i cross_entropy(x_i W + b, y_i) + |W|^2 / (2 C)

    with |W|^2 / C for two classes, where |W_1 - W_0|^2 is penalized, is minimized by L-BFGS as by
    `LogisticRegression` of scikit-learn, whose defaults these are, except for `iterations`: after
    its 100, features that are not scaled may be far from the minimum. Steps are taken in the
    directions in which the features of all rows vary, each scaled by an estimate of the curvature
    there, so that they are few. Where members have many rows, each step multiplies all rows by the
    weights of all members at once, and rows without a label weigh 0.

        few = jnn.transfer.run(trunk, data, heads=jnn.transfer.linear_probe)
        heads = functools.partial(jnn.transfer.linear_probe, C=10.0)

    Features are [rows, ...], or `columns` and `values` of sparse rows, whose largest column is that
    of all rows. Weights of rows are divided by their mean over all rows of the data, so that their
    unit does not change the penalty. Data sets of the same form have the same study, and so one
    compiled program. `C` may be a number of the members: `jnn.grid(C=[0.1, 1.0])`.

    Args:
        data: The features, with one label per row.
        C: Inverse of the strength of the penalty, which leaves the bias out.
        metrics: As in `jnn.Study`; the accuracy by default.
        inputs: Preprocessing of dense features, fitted on the rows that train.
        tolerance: Largest entry of the gradient of the mean loss at which a member is done.
        iterations: Most evaluations of loss and gradient; a member that is done takes no more.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If the data is no classification with one label per row, its features are of
            several parts, or a number is out of range.
    """
    check_task(data)
    check_number("C", C, POSITIVE, _ADVICE)
    check_number("tolerance", tolerance, POSITIVE, "The default is 1e-4.")
    iterations = check_integer("iterations", iterations)
    if not isinstance(metrics, Mapping | None):
        raise TypeError(
            f"metrics must be a dict of metrics by name, got {metrics!r}. Write {{'accuracy': "
            "jnn.metrics.accuracy}."
        )
    chosen = {"accuracy": accuracy} if metrics is None else metrics
    width = _width(data.x)
    named = tuple(chosen.items())
    return _study(data.classes, width, float(C), named, inputs, float(tolerance), iterations)


def check_task(data: Dataset) -> None:
    """Raise an error if the rows are no classification with one label per row."""
    if data.task != "classification" or data.row_labels is None:
        raise ValueError(
            f"linear_probe needs a classification with one label per row, got a {data.task} data "
            "set. Give another study as heads."
        )


def check_members(study: Study, members: Members) -> None:
    """Raise an error if the members of a linear probe have a C out of range."""
    columns = members.columns()
    if isinstance(study.trainer, _Solver) and "C" in columns:
        check_numbers("C", columns["C"], POSITIVE, _ADVICE)


def _width(x: Any) -> int:
    """Return the number of columns of sparse rows; 0 for dense ones."""
    if not isinstance(x, Mapping | tuple):
        return 0
    if not isinstance(x, Mapping) or x.keys() != {"columns", "values"}:
        parts = list(x) if isinstance(x, Mapping) else f"{len(x)} parts"
        raise ValueError(
            f"linear_probe needs one array of features, or a sparse matrix, got {parts}. Join them "
            "in the trunk, or give another study as heads."
        )
    return int(x["columns"].max()) + 1


@functools.lru_cache(maxsize=32)
def _study(
    classes: int,
    width: int,
    C: float,
    metrics: tuple[tuple[str, Metric], ...],
    inputs: Preprocess,
    tolerance: float,
    iterations: int,
) -> Study:
    """Return one study for each form of problem, so that its program is compiled once."""

    def init(key: Any, x: Any) -> dict[str, jax.Array]:
        del key
        features = width or x.reshape(len(x), -1).shape[1]
        return {"kernel": jnp.zeros((features, classes)), "bias": jnp.zeros(classes)}

    def apply(params: Any, x: Any) -> jax.Array:
        return product(params["kernel"].T, _flat(x)).T + params["bias"]

    return Study(
        (init, apply),
        softmax_cross_entropy,
        metrics=dict(metrics),
        epochs=1,
        batch_size=1,
        steps_per_epoch=1,
        hyper={"C": C},
        inputs=inputs,
        trainer=_Solver(classes, width, tolerance, iterations),
    )


class _Solver:
    """`Study.trainer` of a linear probe: a member starts with the solution."""

    def __init__(self, classes: int, width: int, tolerance: float, iterations: int) -> None:
        self.classes = classes
        self.width = width  # of sparse rows
        self.tolerance = tolerance
        self.iterations = iterations

    def __call__(self, study: Study) -> Trainer:
        higher = {name for name, metric in study.metrics.items() if metric.higher_is_better}
        return Trainer(
            functools.partial(self._start, study),
            _step,
            _make_evaluate(study),
            make_predict(study),
            frozenset(higher),
        )

    def _start(self, study: Study, member: Member, data: Data) -> State:
        unknown = sorted(member.hyper.keys() - set(_NUMBERS))
        if unknown:
            raise ValueError(f"A linear probe reads the number C of its members, got {unknown}.")
        hyper = numbers_of(study, member)
        fold = jnp.asarray(member.fold, jnp.int32)
        stats, x, y, weights = _rows_of(study, data, fold)
        moments, directions = _moments(study.inputs, data.x, self.width)
        rotated = x if directions is None else x @ directions
        # Two classes differ by one vector of weights, whose penalty both halves share.
        penalty = (2 if self.classes == 2 else 1) / hyper["C"]
        problem = Problem(rotated, jax.nn.one_hot(y, self.classes, axis=0), weights, penalty)
        kernel, bias, loss = solve(problem, moments, self.tolerance, self.iterations)
        if directions is not None:
            kernel = kernel @ directions.T
        trained = Trained({"kernel": kernel.T, "bias": bias}, {}, (stats, ()), hyper)
        words = jax.random.key_data(member.key)
        return State(trained, loss, fold, words, jnp.int32(0))


def _step(state: State, batch: Batch) -> tuple[State, jax.Array]:
    """Return the state as it is, and its loss: nothing is left to learn."""
    del batch
    return state._replace(step=state.step + 1), state.opt_state


def _rows_of(study: Study, data: Data, fold: jax.Array) -> tuple[Any, Any, jax.Array, jax.Array]:
    """Return the statistics, features, labels and weights of the rows that train a member.

    They are its own rows if these are few, and else all rows, most of them of weight 0: features
    that all members share are multiplied by all their weights in one product.
    """
    index, count = jnp.asarray(data.train.index)[fold], jnp.asarray(data.train.count)[fold]
    y = jnp.asarray(data.y)
    weights = (jnp.arange(len(index)) < count).astype(jnp.float32)
    if data.class_weights is not None:
        weights = weights * jnp.asarray(data.class_weights)[fold][y[index]]
    if data.weights is not None:
        weights = weights * jnp.asarray(data.weights)[index]
    x = jax.tree.map(jnp.asarray, _flat(data.x))
    if study.inputs is identity and len(index) * _FEW > len(y):
        return (), x, y, jnp.zeros(len(y)).at[index].add(weights)
    own = jax.tree.map(lambda array: array[index], x)
    stats = () if study.inputs is identity else study.inputs.fit(own, weights)
    return stats, study.inputs.forward(stats, own), y[index], weights


def _moments(inputs: Preprocess, x: Any, width: int) -> tuple[jax.Array, jax.Array | None]:
    """Return second moments of the features of all rows, and the directions that they are along.

    The directions are None where the features themselves are taken.
    """
    x = jax.tree.map(jnp.asarray, _flat(x))
    if isinstance(x, Mapping) or x.shape[1] > _LARGEST:
        return mean_squares(x, width), None
    x = inputs.forward(inputs.fit(x, jnp.ones(len(x))), x)
    moments, directions = jnp.linalg.eigh(x.T @ x / len(x))
    return jnp.maximum(moments, 0), directions


def _make_evaluate(study: Study) -> Any:
    """Make `evaluate(state, data, rows)`: the outputs of all rows in one product, where it can."""
    whole = dataclasses.replace(study, model=(lambda key: {}, lambda params, x: x))  # of outputs
    of_outputs, of_rows = make_evaluate(whole), make_evaluate(study)

    def evaluate(state: State, data: Data, rows: Rows) -> dict[str, jax.Array]:
        if study.inputs is not identity:
            return of_rows(state, data, rows)
        params = state.trained.params
        x = jax.tree.map(jnp.asarray, _flat(data.x))
        outputs = product(params["kernel"].T, x).T
        trained = Trained({}, {}, ((), ()), {})
        scored = data._replace(x=outputs + params["bias"])
        return of_outputs(state._replace(trained=trained), scored, rows)

    return evaluate


def _flat(x: Any) -> Any:
    """Return dense features as [rows, features]."""
    return x if isinstance(x, Mapping) else x.reshape(x.shape[0], -1)


def groups_of(study: Study, labels: np.ndarray, data: Dataset) -> list[np.ndarray]:
    """Return the places of members in the groups that are populations of their own.

    The rows of members that gather theirs are padded to the most of their group, so that members of
    fewer labels are a group of their own where that saves more than a program costs.

    Args:
        study: What the heads are.
        labels: Number of labels of each member.
        data: The features.
    """
    if not isinstance(study.trainer, _Solver):
        return [np.arange(len(labels))]
    gathers = (labels * _FEW <= data.rows) | (study.inputs is not identity)
    numbers = list(data.x["values"].shape if isinstance(data.x, Mapping) else data.x.shape)
    seconds = _SECONDS * math.prod(numbers[1:]) * data.classes  # of a row of padding
    groups = [np.flatnonzero(~gathers)]
    first = 0
    sizes = np.unique(labels[gathers])[::-1]
    for number, size in enumerate(sizes):
        fewer = labels[gathers & (labels <= size)]
        if seconds * (sizes[first] - fewer).sum() > _WORTH:
            groups.append(np.flatnonzero(gathers & (labels > size) & (labels <= sizes[first])))
            first = number
    if len(sizes):
        groups.append(np.flatnonzero(gathers & (labels <= sizes[first])))
    return [group for group in groups if len(group)]
