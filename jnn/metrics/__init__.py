"""Metrics as sums that add up: `init()`, `update(sums, predictions, targets, weights)`, `value(sums)`.

A metric without settings is a `Metric` (`accuracy`), one with settings is made by a call (`top_k(5)`); either may be
called as a function: `accuracy(predictions, targets, weights)`. All are pure and work under `jit`, `vmap` and `scan`;
of several outputs, `rmse` and `r2` begin a scan with the sums of a first update, which have one for each output.

Predictions are raw model outputs. Classification: logits [*batch, classes] with integer labels [*batch]; one logit,
[*batch, 1] or [*batch], is the binary case with threshold 0, so labels of the logits' own shape are yes-or-no labels,
not one-hot rows: of those give the argmax. A negative label marks a position to ignore. A label past the last class is
an error: no prediction is right about it, and `log_loss` and its like are NaN.
Regression: [batch] or [*batch, outputs], targets alike. Weights [batch] hold for all positions of an example; a row of
weight 0 counts as absent. Where scikit-learn has the metric, the value is scikit-learn's on the rows that weigh more
than 0. The metric of no rows is NaN, and so is that of a NaN prediction.
"""

from jnn.metrics._classification import accuracy as accuracy
from jnn.metrics._classification import confusion_matrix as confusion_matrix
from jnn.metrics._classification import f1 as f1
from jnn.metrics._classification import precision as precision
from jnn.metrics._classification import recall as recall
from jnn.metrics._classification import top_k as top_k
from jnn.metrics._metric import Metric as Metric
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
