"""Metrics as sums that add up over batches.

Each is three functions: `init()` and `update(sums, predictions, targets, weights)`, which return
sums, and `value(sums)`, which returns the score.

A metric without settings is a `Metric` (`accuracy`); one with settings is made by a call
(`top_k(5)`, `f1()`). Either may be called as a function, `accuracy(predictions, targets, weights)`.
All are pure, work under `jit`, `vmap` and `scan`, and can be pickled.

Classification: predictions are logits [*batch, classes], targets integer labels [*batch]. A single
logit, [*batch, 1] or [*batch], is the binary case with threshold 0, so labels in the shape of the
logits are yes-or-no labels, not one-hot rows; of one-hot rows take the argmax first. A negative
label marks a position to ignore. A label past the last class is an error in the data: no prediction
is right about it, and `log_loss` and the metrics made from it are NaN.

Regression: predictions and targets are [batch] or [*batch, outputs], in raw model outputs.

Weights [batch] hold for all positions of an example; a row of weight 0 counts as absent. Where
scikit-learn has the metric, the value is scikit-learn's on the rows of positive weight. The metric
of no rows is NaN, and so is the metric of a NaN prediction.

Some sums take their shape from the first update: those of `rmse` and `r2`, which have one entry for
each output, and those of `f1()`, `precision()`, `recall()` and `confusion_matrix()` made without a
number of classes. A `lax.scan` over batches then starts from the sums of the first batch instead of
`init()`.
"""

from jnn.metrics._classification import accuracy as accuracy
from jnn.metrics._classification import balanced_accuracy as balanced_accuracy
from jnn.metrics._classification import confusion_matrix as confusion_matrix
from jnn.metrics._classification import f1 as f1
from jnn.metrics._classification import precision as precision
from jnn.metrics._classification import recall as recall
from jnn.metrics._classification import top_k as top_k
from jnn.metrics._metric import Metric as Metric
from jnn.metrics._part import of as of
from jnn.metrics._probability import bits_per_character as bits_per_character
from jnn.metrics._probability import brier as brier
from jnn.metrics._probability import expected_calibration_error as expected_calibration_error
from jnn.metrics._probability import log_loss as log_loss
from jnn.metrics._probability import perplexity as perplexity
from jnn.metrics._ranking import average_precision as average_precision
from jnn.metrics._ranking import roc_auc as roc_auc
from jnn.metrics._regression import mae as mae
from jnn.metrics._regression import mape as mape
from jnn.metrics._regression import mse as mse
from jnn.metrics._regression import r2 as r2
from jnn.metrics._regression import rmse as rmse

__all__ = [
    "Metric",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "bits_per_character",
    "brier",
    "confusion_matrix",
    "expected_calibration_error",
    "f1",
    "log_loss",
    "mae",
    "mape",
    "mse",
    "of",
    "perplexity",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "top_k",
]
