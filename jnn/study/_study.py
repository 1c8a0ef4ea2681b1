"""A study: all that shapes the compiled program."""

import copy
import dataclasses
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jnn._errors import reason_of
from jnn._settings import check_integer
from jnn.averaging import Averaging
from jnn.metrics import Metric
from jnn.model import TrainKeyword, as_model
from jnn.preprocess import Preprocess, identity
from jnn.study._check_study import check_hyper, check_study, checked_record
from jnn.study._describe import described, short
from jnn.study._types import Augment, Loss, Objective, OptimizerFactory, Penalty

_COUNTS = ("epochs", "batch_size", "evaluation_batch", "evaluate_every")
_OPTIONAL_COUNTS = ("steps_per_epoch", "patience")
_ALWAYS_SHOWN = ("epochs", "batch_size")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What is trained and how.

    Everything here is compiled into the program; everything that differs between members is not.
    Two runs of the same `Study` object on data of the same shape share one compiled program.

    Attributes:
        model: A pair `(init, apply)`, a Linen module or an NNX factory; see `jnn.as_model`.
        loss: `loss(outputs, targets) -> losses per row`, such as
            `jnn.losses.softmax_cross_entropy`. None only with a `trainer`.
        optimizer: An `optax.GradientTransformation`, or a function of the member's
            hyper-parameters that returns one, such as
            `lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay)`. None only with
            a `trainer`.
        metrics: `jnn.metrics.Metric` by name, computed after each epoch on the held-out rows.
        epochs: Number of passes over the training rows.
        batch_size: Rows per step. The last batch of an epoch is filled up with rows of weight 0.
        hyper: Default values of hyper-parameters that the members do not set.
        penalty: `penalty(params, h) -> scalar`, added to the loss, such as
            `lambda params, h: h.l2 * jnn.layers.l2(params)`.
        augment: `augment(batch, *, key) -> batch`, applied to each training batch before
            preprocessing, such as
            `lambda batch, *, key: batch._replace(x=jnn.augment.flip(batch.x, key=key))`.
        objective: `objective(forward, batch) -> (losses per row, model_state)` with
            `forward(x) -> (outputs, model_state)`, for training that needs more than
            `loss(outputs, batch.y)`, such as the gradient of the network by its input. Scoring
            still uses `loss`.

            Loss, objective, penalty and augmentation may declare further keyword arguments, and
            then receive them: `h`, the member's hyper-parameters; `step`, the number of steps taken
            before; and `epoch`, the number of epochs trained before, for the scores after an epoch
            that of this epoch. So a member may set the smoothing of labels, and a weight may grow:
            `def loss(outputs, targets, *, h, epoch)`.
        inputs: Preprocessing of x, fitted on each member's own training rows inside the program, or
            on the first rows of a `jnn.data.Stream`.
        targets: Preprocessing of y. Metrics and predictions are in the units of y: the inverse is
            applied to every output, also to one that is not a target, such as a log variance. Apply
            `forward` to such an output to undo it.
        order: Order of the rows in an epoch: "member" (each member its own, by its key), "shared"
            (one for all members, so that one gather serves all) or "sequential" (as they are).
        steps_per_epoch: Number of batches per epoch, drawn with replacement (or in turn if
            "sequential"). By default an epoch uses every training row once.
        keep: The parameters that a member ends with: those of the "last" epoch, or of the "best"
            one by `monitor` on the validation rows.
        validation: Share of each member's training rows that is set aside as validation rows.
            Alternatively name the rows: `jnn.folds([(train, validation, test), ...])`.
        monitor: "loss" or the name of a metric.
        patience: With keep="best", the number of epochs without improvement after which a member
            ends. Its later scores are NaN. The run ends with its last member.
        precision: "float32", or "bfloat16" to compute the network in bfloat16. Parameters, sums of
            gradients, statistics of norms, softmax, loss and scores stay in float32. Parameters,
            x and shared arrays are rounded where the network computes with them, so ids keep all
            digits, also in an array of floats. Its state and the members' numbers are float32.
        evaluation_batch: Rows per batch when scoring.
        evaluate_every: Number of epochs from one scoring to the next. The last epoch is always
            scored; the scores of the others are NaN.
        class_weights: Weight of each class in the training loss: a sequence of numbers, or
            "balanced" for n / (classes * count) on each member's own training rows. The training
            loss is the weighted mean, as in PyTorch; scores are not weighted.
        shared: Arrays that the networks of all members read and none owns, such as a frozen trunk
            or an embedding table: a dict (or tree) of arrays, passed to the program once. NumPy
            arrays are stored in JAX's types, float32 for float64.
        train_keyword: The switch by which the network is told whether it trains: the name of a
            keyword of its call, or of an attribute, such as "enable_dropout"; or a dict with its
            values in training and in scoring, such as {"mode": ("fit", "apply")}. By default it is
            found by its name. An empty dict is for a network that rests on purpose.
        trainer: `trainer(study) -> jnn.Trainer`, in place of supervised training. It is given the
            study, and the settings of supervised training, such as model, loss, optimizer, metrics,
            penalty and preprocessing, have an effect only if it reads them.
        averaging: The parameters that are scored, kept and returned, in place of the last ones:
            `jnn.averaging.ema(0.999)`, `jnn.averaging.swa(start=8)`, or
            `jnn.averaging.schedule_free()`, which a schedule-free optimizer brings by itself.
        record: What to record of each epoch beside the scores: "train_scores", the metrics on the
            training rows after the epoch, as `train_<metric>` beside those on held-out rows;
            "gradient_norm", the mean over the steps of the norm of the whole gradient, as
            `train_gradient_norm`; "learning_rate", the mean over the steps, as
            `train_learning_rate`, which an optimizer made by
            `optax.inject_hyperparams(optax.adam)(learning_rate=schedule)` has in its state.
    """

    model: Any
    loss: Loss | None = None
    optimizer: optax.GradientTransformation | OptimizerFactory | None = None
    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    epochs: int = 10
    batch_size: int = 32
    hyper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    penalty: Penalty | None = None
    augment: Augment | None = None
    objective: Objective | None = None
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
    class_weights: str | Sequence[float] | None = None
    shared: Any = None
    train_keyword: TrainKeyword = None
    trainer: Callable[["Study"], Any] | None = None
    averaging: Averaging | None = None
    record: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._set("model", as_model(self.model, train_keyword=self.train_keyword))
        check_hyper(self.hyper)
        self._set("hyper", {name: _plain(value) for name, value in self.hyper.items()})
        for name in _COUNTS:
            self._set(name, check_integer(name, getattr(self, name)))
        for name in _OPTIONAL_COUNTS:
            if getattr(self, name) is not None:
                self._set(name, check_integer(name, getattr(self, name)))
        check_study(self)
        self._set("record", checked_record(self))
        self._set("shared", _as_shared(self.shared))

    def higher_is_better(self, name: str) -> bool:
        """Return whether a higher value of a score is better.

        Args:
            name: Name of a metric or "loss", with or without the prefix "train_" or "validation_".
        """
        name = name.removeprefix("train_").removeprefix("validation_")
        if self.trainer is not None:
            return name in self.trainer(self).higher_is_better
        return name in self.metrics and self.metrics[name].higher_is_better

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain text and numbers, for records."""
        return {
            field.name: described(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    def __repr__(self) -> str:
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        lines = [
            f"    {name}={short(value)}"
            for name, value in settings.items()
            if name in _ALWAYS_SHOWN or (value is not defaults[name] and value != {})
        ]
        return "Study(\n" + ",\n".join(lines) + ",\n)"

    def __copy__(self) -> "Study":
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Study":
        del memo  # functions and arrays of a study are never changed
        return copy.copy(self)

    def __getstate__(self) -> dict[str, Any]:
        state = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in state.items():
            try:
                pickle.dumps(value)
            except Exception as error:
                raise pickle.PicklingError(
                    f"Study.{name} cannot be pickled: {reason_of(error)}. Replace lambdas and "
                    "functions defined inside functions by functions at the top of a module."
                ) from error
        return state

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _plain(value: Any) -> Any:
    """Return a NumPy or JAX scalar as Python's own number, which JSON knows."""
    return value.tolist() if getattr(value, "ndim", None) == 0 else value


def _as_shared(shared: Any) -> Any:
    """Return a tree of arrays with its NumPy arrays in the types that JAX has by default."""
    return jax.tree.map(_as_shared_array, shared)


def _as_shared_array(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        return leaf
    if not isinstance(leaf, np.ndarray | np.generic) or leaf.dtype.kind in "OSUmM":
        raise TypeError(
            f"shared must be a dict or tree of arrays, got the leaf {leaf!r}. Write for example "
            "{'table': np.asarray(table)}."
        )
    return np.asarray(leaf, jax.dtypes.canonicalize_dtype(leaf.dtype))
