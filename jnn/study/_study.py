"""A study: all that shapes the compiled program."""

import dataclasses
import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax

from jnn.model import as_model, name_of
from jnn.preprocess import Preprocess, identity

_TAKEN = {"loss", "best_epoch", "seed", "fold", "epoch", "member", "sample"}
_ORDERS, _KEEPS, _PRECISIONS = (
    ("member", "shared", "sequential"),
    ("last", "best"),
    ("float32", "bfloat16"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """What is trained and how; everything here is compiled in, everything that differs between members is not.

    Two runs of the same `Study` object on data of the same shape share one compiled program.

    Attributes:
        model: A plain pair, a Linen module or an NNX factory, see `jnn.as_model`.
        loss: `loss(outputs, targets) -> per-example losses`, e.g. `jnn.losses.softmax_cross_entropy`.
        optimizer: An `optax.GradientTransformation`, or a function of the member's numbers that returns one:
            `lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay)`.
        metrics: Name -> `jnn.metrics.Metric`, computed after each epoch on the held-out rows.
        epochs: Passes over the training rows.
        batch_size: Rows per step; the last batch of an epoch is filled up with rows that weigh nothing.
        hyper: Default numbers for names that the members do not set.
        penalty: `penalty(params, h) -> scalar` added to the loss, e.g. `lambda p, h: h.l2 * jnn.layers.l2(p)`.
        augment: `augment(batch, *, key) -> batch`, applied to each training batch before preprocessing, e.g.
            `lambda batch, *, key: batch._replace(x=jnn.augment.flip(batch.x, key=key))`.
        objective: `objective(forward, batch) -> (losses per row, model_state)` with
            `forward(x) -> (outputs, model_state)`, where training takes more than `loss(outputs, batch.y)`, such as
            the network's gradient by its input. Scoring still takes `loss`.
        inputs: Preprocessing of x, fitted on each member's own training rows inside the program; on the first rows of a
            `jnn.data.Stream`.
        targets: Preprocessing of y. Metrics and predictions are in y's own units: the inverse is applied to every
            output, also to one that is no target, such as a log variance; apply `forward` to that one to undo it.
        order: Of the batches: "member" (each member its own, by its key), "shared" (one for all members, so that one
            gather serves all), "sequential" (as the rows stand).
        steps_per_epoch: Batches of an epoch, drawn with replacement (or going round, if sequential); by default an
            epoch takes every training row once.
        keep: Which parameters a member ends with: "last" epoch, or the "best" epoch by `monitor` on an inner split.
        validation: Share of each member's training rows set aside as that inner split, for keep="best"; or give the
            rows themselves, `jnn.folds([(train, validation, test), ...])`.
        monitor: "loss" or the name of a metric.
        patience: With keep="best": a member ends when so many epochs have brought no better one. Its later scores are
            NaN; the run ends with its last member.
        precision: "float32", or "bfloat16" for the network's computations with float32 parameters.
        evaluation_batch: Rows per batch when scoring.
        evaluate_every: Epochs from one scoring to the next; the last is always scored, the others' scores are NaN.
        compiled: The programs compiled so far, by layout and shapes.
    """

    model: Any
    loss: Callable
    optimizer: optax.GradientTransformation | Callable[[Any], optax.GradientTransformation]
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epochs: int = 10
    batch_size: int = 32
    hyper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    penalty: Callable | None = None
    augment: Callable | None = None
    objective: Callable | None = None
    inputs: Preprocess = identity
    targets: Preprocess = identity
    order: str = "member"
    steps_per_epoch: int | None = None
    keep: str = "last"
    validation: float = 0.0
    monitor: str = "loss"
    patience: int | None = None
    precision: str = "float32"
    evaluation_batch: int = 512
    evaluate_every: int = 1
    compiled: dict = dataclasses.field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "model", as_model(self.model))
        _check_hyper(self.hyper)
        scalars = {k: _plain(v) for k, v in self.hyper.items() if getattr(v, "ndim", None) == 0}
        object.__setattr__(self, "hyper", {**self.hyper, **scalars})
        for name in (
            "epochs",
            "batch_size",
            "evaluation_batch",
            "evaluate_every",
            "steps_per_epoch",
            "patience",
        ):
            if (value := getattr(self, name)) is not None or name not in (
                "steps_per_epoch",
                "patience",
            ):
                object.__setattr__(self, name, _positive(name, value))
        for name, known in (("order", _ORDERS), ("keep", _KEEPS), ("precision", _PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"wanted {name} to be one of {known}, but got {getattr(self, name)!r}; choose one"
                )
        for name, (form, arguments, keywords) in _CALLS.items():
            if (value := getattr(self, name)) is not None or name == "loss":
                _check_call(value, form, arguments, keywords)
        for name in ("inputs", "targets"):
            if not isinstance(getattr(self, name), Preprocess):
                raise ValueError(
                    f"wanted {name} as a preprocessing, but got {getattr(self, name)!r}; "
                    "use e.g. jnn.preprocess.standardize"
                )
        if not isinstance(self.metrics, Mapping):
            raise ValueError(
                f"wanted metrics by name, but got {self.metrics!r}; write e.g. {{'accuracy': jnn.metrics.accuracy}}"
            )
        for name, metric in self.metrics.items():
            if not isinstance(name, str) or not name:
                raise ValueError(
                    f"wanted a name for each metric, but got {name!r}; write e.g. 'accuracy'"
                )
            if name in _TAKEN or name.startswith(("train_", "validation_")):
                raise ValueError(
                    f"wanted a metric with a name of its own, but {name!r} is taken; choose another"
                )
            if not hasattr(metric, "update"):
                raise ValueError(
                    f"wanted metric {name!r} to be a jnn.metrics.Metric, but got {metric!r}; "
                    "a metric with settings is made by a call, such as jnn.metrics.top_k(5)"
                )
        if not isinstance(self.validation, int | float) or not 0 <= self.validation < 1:
            raise ValueError(
                f"wanted validation as a share in [0, 1), but got {self.validation!r}; use e.g. 0.1"
            )
        if self.patience is not None and self.keep != "best":
            raise ValueError(
                "wanted keep='best' with patience, but got keep='last'; without it no epoch is better"
            )
        if self.patience is not None and self.patience < self.evaluate_every:
            raise ValueError(
                f"wanted patience of at least evaluate_every={self.evaluate_every} epochs, but got {self.patience}; "
                "members would end before they are scored"
            )
        if self.monitor not in ("loss", *self.metrics):
            raise ValueError(
                f"wanted monitor to be 'loss' or one of the metrics {sorted(self.metrics)}, but got {self.monitor!r}"
            )

    @property
    def monitor_sign(self) -> int:
        """-1 if a higher value of the monitored quantity is better, else 1."""
        return -1 if self.monitor != "loss" and self.metrics[self.monitor].higher_is_better else 1

    def higher_is_better(self, name: str) -> bool:
        """Whether a higher value of the metric `name` (or of "loss") is better."""
        bare = name.removeprefix("train_").removeprefix("validation_")
        return bare in self.metrics and self.metrics[bare].higher_is_better

    def describe(self) -> dict[str, Any]:
        """The settings as plain text and numbers, for records."""
        fields = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "compiled"
        }
        fields |= {
            "model": self.model.name,
            "metrics": list(self.metrics),
            "hyper": {k: _plain(v) for k, v in self.hyper.items()},
            "inputs": self.inputs.name,
            "targets": self.targets.name,
        }
        return {
            k: "none"
            if v is None
            else v
            if isinstance(v, int | float | str | list | dict)
            else name_of(v)
            for k, v in fields.items()
        }


_CALLS = {  # fields that are functions: how they are called, by how many arguments and which keywords
    "loss": ("loss(outputs, targets) -> losses per row", 2, ()),
    "penalty": ("penalty(params, h) -> scalar", 2, ()),
    "augment": ("augment(batch, *, key) -> batch", 1, ("key",)),
    "objective": ("objective(forward, batch) -> (losses per row, model_state)", 2, ()),
}


def _check_call(function: Any, form: str, arguments: int, keywords: tuple[str, ...]) -> None:
    """Whether a function can be called as a study does."""
    if not callable(function):
        raise ValueError(f"wanted {form}, but got {function!r}; pass a function")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C tell none
        return
    try:
        signature.bind(*range(arguments), **dict.fromkeys(keywords))
    except TypeError as error:
        raise ValueError(
            f"wanted {form}, but {name_of(function)} cannot be called so: {error}; take these arguments, and fill in "
            "others by functools.partial"
        ) from error


def _check_hyper(hyper: Any) -> None:
    if not isinstance(hyper, Mapping):
        raise ValueError(
            f"wanted hyper as numbers by name, but got {hyper!r}; write e.g. {{'learning_rate': 1e-3}}"
        )
    for name, value in hyper.items():
        if np.asarray(value).dtype.kind not in "biuf":
            raise ValueError(
                f"wanted a number for hyper[{name!r}], but got {value!r}; close over what is none"
            )


def _plain(value: Any) -> Any:
    """What NumPy or JAX hold as Python's own numbers, which JSON knows."""
    return value.tolist() if hasattr(value, "tolist") else value


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            f"wanted {name} to be a whole number of at least 1, but got {value!r}; set {name}=1 or more"
        )
    return int(value)
