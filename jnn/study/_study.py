"""A study: all that shapes the compiled program."""

import copy
import dataclasses
import inspect
import numbers
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jnn._errors import reason_of
from jnn.averaging import Averaging
from jnn.metrics import Metric
from jnn.model import Model, TrainKeyword, as_model, name_of
from jnn.preprocess import Preprocess, identity
from jnn.study._keywords import POSITIONAL, keywords_asked
from jnn.study._optimizer import as_optimizer
from jnn.study._types import Augment, Loss, Objective, OptimizerFactory, Penalty
from jnn.study._whole_number import whole_number

_RESERVED = {"loss", "best_epoch", "kept_epoch", "seed", "fold", "epoch", "member", "sample"}
_CHOICES = {
    "order": ("member", "shared", "sequential"),
    "keep": ("last", "best"),
    "precision": ("float32", "bfloat16"),
}
_RECORDS = ("train_scores", "gradient_norm", "learning_rate")
_NOTES = {
    "precision": " Use bfloat16, which has the range of float32; float16 would need scaled losses."
}
_COUNTS = ("epochs", "batch_size", "evaluation_batch", "evaluate_every")
_OPTIONAL_COUNTS = ("steps_per_epoch", "patience")


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
        _check_hyper(self.hyper)
        self._set("hyper", {name: _plain(value) for name, value in self.hyper.items()})
        for name in _COUNTS:
            self._set(name, whole_number(name, getattr(self, name), least=1))
        for name in _OPTIONAL_COUNTS:
            if getattr(self, name) is not None:
                self._set(name, whole_number(name, getattr(self, name), least=1))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {choices}, got {getattr(self, name)!r}."
                    f"{_NOTES.get(name, '')}"
                )
        _check_functions(self)
        for name in ("inputs", "targets"):
            if not isinstance(getattr(self, name), Preprocess):
                raise TypeError(
                    f"{name} must be a preprocessing, got {getattr(self, name)!r}. Use for example "
                    "jnn.preprocess.standardize."
                )
        _check_metrics(self.metrics)
        _check_class_weights(self.class_weights)
        _check_early_stopping(self)
        _check_averaging(self)
        self._set("record", _checked_record(self))
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
            field.name: _described(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    def __repr__(self) -> str:
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        lines = [
            f"    {name}={_short(value)}"
            for name, value in settings.items()
            if name in _COUNTS[:2] or (value is not defaults[name] and value != {})
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


_FORMS = {  # functions of a study: how they are called, their number of arguments, their keywords
    "loss": ("loss(outputs, targets) -> losses per row", POSITIONAL["loss"], ()),
    "penalty": ("penalty(params, h) -> scalar", POSITIONAL["penalty"], ()),
    "augment": ("augment(batch, *, key) -> batch", POSITIONAL["augment"], ("key",)),
    "objective": (
        "objective(forward, batch) -> (losses per row, model_state)",
        POSITIONAL["objective"],
        (),
    ),
    "trainer": ("trainer(study) -> jnn.Trainer", 1, ()),
}


def _check_functions(study: Study) -> None:
    for name, (form, arguments, keywords) in _FORMS.items():
        function = getattr(study, name)
        if function is not None:
            asked = keywords_asked(function, arguments) if name in POSITIONAL else ()
            check_call(name, function, form, arguments, (*keywords, *asked))
    if study.trainer is not None:
        return
    for name, example in (
        ("loss", "jnn.losses.softmax_cross_entropy"),
        ("optimizer", "optax.adam(1e-3)"),
    ):
        if getattr(study, name) is None:
            raise TypeError(
                f"{name} must be given unless the study has a trainer, got None. Use for example "
                f"{example}."
            )
    as_optimizer(study.optimizer)  # type: ignore[arg-type]  # raises TypeError


def check_call(
    name: str, function: Any, form: str, arguments: int, keywords: tuple[str, ...] = ()
) -> None:
    """Raise TypeError unless a function can be called as documented.

    Args:
        name: Of the function, for the error.
        function: What is checked.
        form: How it is called, for the error.
        arguments: The number of its positional arguments.
        keywords: The names of its keyword arguments.
    """
    if not callable(function):
        raise TypeError(f"{name} must be a function, {form}, got {function!r}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C have no signature
        return
    try:
        signature.bind(*range(arguments), **dict.fromkeys(keywords))
    except TypeError as error:
        raise TypeError(
            f"{name} must be callable as {form}, but {name_of(function)} is not: {error}. Change "
            "its arguments, or fill in others by functools.partial."
        ) from error


def _check_hyper(hyper: Any) -> None:
    if not isinstance(hyper, Mapping):
        raise TypeError(
            f"hyper must be a dict of numbers by name, got {hyper!r}. Write for example "
            "{'learning_rate': 1e-3}."
        )
    for name, value in hyper.items():
        if np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(
                f"hyper[{name!r}] must be a number, got {value!r}. Put non-numeric settings into "
                "the study itself."
            )


def _check_metrics(metrics: Any) -> None:
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics must be a dict of metrics by name, got {metrics!r}. Write for example "
            "{'accuracy': jnn.metrics.accuracy}."
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of a metric must be text, got {name!r}.")
        if name in _RESERVED or name.startswith(("train_", "validation_")):
            raise ValueError(f"The metric name {name!r} is reserved. Choose another name.")
        if not hasattr(metric, "update"):
            raise TypeError(
                f"metrics[{name!r}] must be a jnn.metrics.Metric, got {metric!r}. A metric with "
                "settings is made by a call, such as jnn.metrics.top_k(5)."
            )


def _check_class_weights(class_weights: Any) -> None:
    if class_weights is None or (isinstance(class_weights, str) and class_weights == "balanced"):
        return
    if isinstance(class_weights, str):
        raise ValueError(
            f'class_weights must be "balanced" or one number per class, got {class_weights!r}.'
        )
    is_number = np.asarray(class_weights).dtype.kind in "iuf"
    if not is_number or np.ndim(class_weights) != 1:
        raise TypeError(
            f'class_weights must be "balanced" or one number per class, got {class_weights!r}.'
        )
    weights = np.asarray(class_weights, np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"class_weights must be finite, at least 0 and not all 0, got {class_weights!r}."
        )


def _check_early_stopping(study: Study) -> None:
    share = study.validation
    if isinstance(share, bool) or not isinstance(share, numbers.Real):
        raise TypeError(
            f"validation must be a share in [0, 1), got {share!r}. Use for example 0.1."
        )
    if not 0 <= share < 1:
        raise ValueError(
            f"validation must be a share in [0, 1), got {share!r}. Use for example 0.1."
        )
    if study.patience is not None and study.keep != "best":
        raise ValueError(
            "patience needs keep='best', got keep='last', with which no epoch is better than "
            "another."
        )
    if study.patience is not None and study.patience < study.evaluate_every:
        raise ValueError(
            f"patience must be at least evaluate_every={study.evaluate_every} epochs, got "
            f"{study.patience}: members would end before they are scored."
        )
    if not isinstance(study.monitor, str):
        raise TypeError(f"monitor must be the name of a score, got {study.monitor!r}.")
    if study.trainer is None and study.monitor not in ("loss", *study.metrics):
        raise ValueError(
            f"monitor must be 'loss' or one of the metrics {sorted(study.metrics)}, got "
            f"{study.monitor!r}."
        )


def _check_averaging(study: Study) -> None:
    averaging = study.averaging
    if averaging is None:
        return
    if not isinstance(averaging, Averaging):
        raise TypeError(
            "averaging must be made by a function of jnn.averaging, such as "
            f"jnn.averaging.ema(0.999), got {averaging!r}."
        )
    if study.trainer is not None:
        raise ValueError(
            "averaging needs supervised training, but the study has a trainer. Let the trainer "
            "average its own parameters."
        )
    if averaging.start > study.epochs:
        raise ValueError(
            f"averaging must start by the last epoch, {study.epochs}, got {averaging!r}. Start it "
            "earlier, or train for more epochs."
        )


def _checked_record(study: Study) -> tuple[str, ...]:
    """Return the names of what a study records of each epoch."""
    record = (study.record,) if isinstance(study.record, str) else study.record
    if not isinstance(record, Sequence) or not all(isinstance(name, str) for name in record):
        raise TypeError(f"record must be some of {_RECORDS}, got {study.record!r}.")
    unknown = sorted(set(record) - set(_RECORDS))
    if unknown:
        raise ValueError(f"record must be some of {_RECORDS}, got {unknown}.")
    of_steps = sorted(set(record) - {"train_scores"})
    if of_steps and study.trainer is not None:
        raise ValueError(
            f"record must be ('train_scores',) in a study with a trainer, got {of_steps}. Let the "
            "trainer's step return such numbers as its logs."
        )
    return tuple(record)


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


def _plain(value: Any) -> Any:
    """Return a NumPy or JAX scalar as Python's own number, which JSON knows."""
    return value.tolist() if getattr(value, "ndim", None) == 0 else value


def _described(value: Any) -> Any:
    """Return a setting as text, number, list or dict."""
    if value is None:
        return "none"
    if isinstance(value, Model | Preprocess | Averaging):
        return value.name
    if isinstance(value, Mapping):
        return {name: _described(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist() if value.size <= 100 else f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_described(inner) for inner in value]
    return value if isinstance(value, int | float | str) else name_of(value)


def _short(value: Any) -> str:
    """Return a setting in a few words."""
    if isinstance(value, Mapping):
        pairs = (
            name if isinstance(v, Metric) else f"{name}: {_short(v)}" for name, v in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        return repr(value)
    if hasattr(value, "shape") and getattr(value, "ndim", 0):
        return f"{value.dtype}{list(value.shape)}"
    return str(_described(value))
