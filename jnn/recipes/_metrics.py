"""Metrics by name, as scikit-learn names its scores."""

import re
from collections.abc import Callable, Mapping, Sequence

from jnn import metrics
from jnn.metrics import Metric
from jnn.recipes._about import About, Task

DEFAULTS: Mapping[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}
_PLAIN: Mapping[Task, Mapping[str, Metric]] = {
    "classification": {
        "accuracy": metrics.accuracy,
        "balanced_accuracy": metrics.balanced_accuracy,
        "roc_auc": metrics.roc_auc,
        "average_precision": metrics.average_precision,
        "log_loss": metrics.log_loss,
        "brier": metrics.brier,
        "expected_calibration_error": metrics.expected_calibration_error(),
        "perplexity": metrics.perplexity,
        "bits_per_character": metrics.bits_per_character,
    },
    "regression": {
        "rmse": metrics.rmse,
        "mse": metrics.mse,
        "mae": metrics.mae,
        "mape": metrics.mape,
        "r2": metrics.r2,
    },
}
_AVERAGED: Mapping[str, Callable[..., Metric]] = {
    "f1": metrics.f1,
    "precision": metrics.precision,
    "recall": metrics.recall,
}
_AVERAGES = ("macro", "micro", "weighted")
_TOP_K = re.compile(r"top_([1-9]\d*)")


def make_metrics(names: Sequence[str], about: About) -> dict[str, Metric]:
    """Return the metrics of these names, in their order.

    `f1`, `precision` and `recall` are those of the second of two classes, and the plain mean over
    the classes where there are more; `f1_macro`, `f1_micro` and `f1_weighted` name the average.
    `top_5` is the top-5 accuracy.

    Raises:
        ValueError: If there is no such metric for the task, or a name occurs twice.

    >>> about = About("iris", "vectors", "classification", (4,), (), 3)
    >>> make_metrics(["f1", "top_2"], about)["f1"]
    Metric("f1(average='macro')", higher is better, for classification)
    """
    known = _known(about)
    by_name: dict[str, Metric] = {}
    for name in names:
        if name in by_name:
            raise ValueError(f"metrics must name each metric once, got {name!r} again.")
        top = _TOP_K.fullmatch(name)
        if name in known:
            by_name[name] = known[name]
        elif top and about.task == "classification":
            by_name[name] = metrics.top_k(int(top[1]))
        else:
            raise ValueError(
                f"metrics must be among those for a {about.task}, {', '.join(known)}, got {name!r}."
            )
    return by_name


def _known(about: About) -> dict[str, Metric]:
    known = dict(_PLAIN[about.task])
    if about.task == "classification":
        for name, make in _AVERAGED.items():
            known[name] = make(average="binary" if about.outputs == 2 else "macro")
            known |= {f"{name}_{average}": make(average=average) for average in _AVERAGES}
    return known
