"""What is checked when a study is made: its settings and its functions."""

import inspect
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.averaging import Averaging
from jnn.model import name_of
from jnn.preprocess import Preprocess
from jnn.study._keywords import POSITIONAL, keywords_asked
from jnn.study._optimizer import as_optimizer

if TYPE_CHECKING:
    from jnn.study._study import Study

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


def check_study(study: "Study") -> None:
    """Raise unless the settings and the functions of a study make sense, alone and together.

    Raises:
        TypeError: If one is of another type, or a function is called in another way.
        ValueError: If one has another value than it may have.
    """
    for name, choices in _CHOICES.items():
        if getattr(study, name) not in choices:
            raise ValueError(
                f"{name} must be one of {choices}, got {getattr(study, name)!r}."
                f"{_NOTES.get(name, '')}"
            )
    _check_functions(study)
    for name in ("inputs", "targets"):
        if not isinstance(getattr(study, name), Preprocess):
            raise TypeError(
                f"{name} must be a preprocessing, got {getattr(study, name)!r}. Use for example "
                "jnn.preprocess.standardize."
            )
    _check_metrics(study.metrics)
    _check_class_weights(study.class_weights)
    _check_early_stopping(study)
    _check_averaging(study)


def _check_functions(study: "Study") -> None:
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
    check_optimizer("optimizer", study.optimizer)


def check_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError unless this is an optimizer, or a function of the member's numbers."""
    as_optimizer(optimizer, name)
    if not hasattr(optimizer, "update"):
        check_call(name, optimizer, "optimizer(h) -> optax.GradientTransformation", 1)


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


def check_hyper(hyper: Any) -> None:
    """Raise TypeError unless the default hyper-parameters are numbers by name."""
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


def _check_early_stopping(study: "Study") -> None:
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


def _check_averaging(study: "Study") -> None:
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


def checked_record(study: "Study") -> tuple[str, ...]:
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
