"""One small study of iris, trained once a test session for all tests that need a result."""

import functools

import optax

import jnn

IRIS = jnn.data.load("iris")
MEMBERS = jnn.seeds(3) * jnn.folds(4) * jnn.grid(learning_rate=[0.003, 0.1])


def iris_study(hidden=(8,), **settings):
    """The study whose result is `iris_result()`."""
    fields = {
        "metrics": {"accuracy": jnn.metrics.accuracy, "log_loss": jnn.metrics.log_loss},
        "epochs": 3,
        "batch_size": 16,
        "inputs": jnn.preprocess.standardize,
    }
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, hidden, 3),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        **fields | settings,
    )


@functools.cache
def iris_result():
    """24 members of two learning rates, trained for three epochs; tests do not change it."""
    return jnn.run(iris_study(), IRIS, MEMBERS)
