"""One small study of iris, trained once a test session for all tests that need a result."""

import functools

import optax

import jnn
from tests.studies import IRIS, study

MEMBERS = jnn.seeds(3) * jnn.folds(4) * jnn.grid(learning_rate=[0.003, 0.1])


def adam(h):
    """At the top of a module, so that the study can be pickled."""
    return optax.adam(h.learning_rate)


def iris_study(hidden=(8,), **settings):
    """The study of `iris_result()`, made anew."""
    defaults = {
        "model": functools.partial(jnn.models.MLP, 4, hidden, 3, dropout_rate=0.1),
        "metrics": {"accuracy": jnn.metrics.accuracy, "log_loss": jnn.metrics.log_loss},
        "optimizer": adam,
        "hyper": {},
    }
    return study(**defaults | settings)


@functools.cache
def iris_result():
    """24 members of two learning rates, trained for three epochs; no test changes it."""
    return jnn.run(iris_study(), IRIS, MEMBERS)


@functools.cache
def linear_result():
    """12 members without a hidden layer, of one learning rate, trained for four epochs."""
    members = jnn.seeds(3) * jnn.folds(4) * jnn.grid(learning_rate=[0.1])
    return jnn.run(iris_study(hidden=(), epochs=4), IRIS, members)
