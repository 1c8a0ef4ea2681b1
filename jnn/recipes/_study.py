"""A sensible study for each known kind of data."""

from collections.abc import Mapping, Sequence
from typing import Any

from jnn import losses
from jnn.preprocess import Preprocess, fill_median, identity, standardize, standardize_channels
from jnn.recipes._about import About, Kind
from jnn.recipes._choices import check_activation
from jnn.recipes._defaults import BATCH_SIZE, EPOCHS, default_model
from jnn.recipes._families import make_model
from jnn.recipes._metrics import DEFAULTS, make_metrics
from jnn.recipes._optimizers import make_optimizer
from jnn.study import Study

LEARNING_RATE = 1e-3

# A pixel's place in an image says little, its channel says much. The rows of a series are its
# steps, so standardizing each feature of a step standardizes each channel.
_INPUTS: Mapping[Kind, Preprocess] = {
    "vectors": standardize,
    "images": standardize_channels,
    "signals": standardize_channels,
    "arrays": standardize_channels,
    "series": standardize,
    "texts": identity,
    "tokens": identity,
}


def make_study(
    about: About,
    *,
    model: str | None = None,
    hyper: Mapping[str, float] | None = None,
    metrics: Sequence[str] | None = None,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    steps_per_epoch: int | None = None,
    activation: str | None = None,
    optimizer: str = "adam",
) -> Study:
    """Make the study that suits the data: network, loss, optimizer, metrics, preprocessing.

    Classification trains on the softmax cross-entropy, regression on the squared error of
    standardized targets. The optimizer is Adam unless another one is named.

    Args:
        about: Description of the data, see `About.from_data`.
        model: Name of a family of networks and its numbers, for instance "mlp:128,64"; by default
            a small network for the kind of data, see `default_model`.
        hyper: Default values of the numbers that members may set, {"learning_rate": 0.001} if
            not given. `weight_decay` turns Adam into AdamW, and decays the weights of any other
            optimizer likewise; `dropout_rate` gives the network dropout.
        metrics: Names of the metrics, see `make_metrics`; by default accuracy and log loss, or
            RMSE, MAE and R2. The first one chooses the best setting.
        epochs: Number of passes over the training rows.
        batch_size: Number of rows per step.
        steps_per_epoch: Number of batches, drawn anew, that make one epoch; by default an epoch
            is one pass over all training rows.
        activation: Name of the activation, such as "gelu", of a network that takes one; by default
            its own.
        optimizer: "adam", "nadam", "lion", "rmsprop", or "sgd" with a momentum of 0.9.

    Raises:
        ValueError: If there is no such network, activation or optimizer, or it does not fit the
            data.

    >>> about = About("iris", "vectors", "classification", (4,), (), 3)
    >>> make_study(about, model="mlp:8").epochs
    20
    """
    hyper = {"learning_rate": LEARNING_RATE, **(hyper or {})}
    options: dict[str, Any] = {"dropout_rate": 0.0} if "dropout_rate" in hyper else {}
    if activation is not None:
        options["activation"] = check_activation(activation)
    is_classification = about.task == "classification"
    return Study(
        model=make_model(model or default_model(about), about, options),
        loss=losses.softmax_cross_entropy if is_classification else losses.squared_error,
        optimizer=make_optimizer(optimizer, decays="weight_decay" in hyper),
        metrics=make_metrics(metrics or DEFAULTS[about.task], about),
        epochs=epochs,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        hyper=hyper,
        inputs=fill_median(_INPUTS[about.kind]) if about.fills else _INPUTS[about.kind],
        targets=identity if is_classification else standardize,
    )
