"""Studies of a small network that the tests of `jnn.run` share, and so compile once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn

IRIS = jnn.data.load("iris")
DIABETES = jnn.data.load("diabetes")
IDENTITY = jnn.preprocess.identity
MLP = functools.partial(jnn.models.MLP, 4, (8,), 3)


def study(**settings):
    defaults = {
        "model": MLP,
        "loss": jnn.losses.softmax_cross_entropy,
        "optimizer": lambda h: optax.adam(h.learning_rate),
        "metrics": {"accuracy": jnn.metrics.accuracy},
        "epochs": 3,
        "batch_size": 16,
        "hyper": {"learning_rate": 0.01},
        "inputs": jnn.preprocess.standardize,
    }
    return jnn.Study(**(defaults | settings))


PLAIN = study()
QUICK = study(epochs=np.int64(1), hyper={"learning_rate": np.float32(0.01)})
WHOLE = jnn.Plan(1, 1, 5)  # five members of PLAIN at once


@functools.cache
def trained_at_once():
    """Five members of PLAIN, trained at once on all rows."""
    return jnn.run(PLAIN, IRIS, jnn.seeds(5), plan=WHOLE)


def linear(outputs, *shape, inputs=4):
    """A linear model whose outputs have the shape [rows, *shape]."""

    def init(key):
        kernel = 0.1 * jax.random.normal(key, (inputs, outputs))
        return {"w": kernel, "b": jnp.zeros(outputs)}

    def apply(params, x):
        return (x.reshape(-1, inputs) @ params["w"] + params["b"]).reshape(-1, *shape)

    return init, apply


PATIENT = study(  # its members end at different epochs
    epochs=12,
    patience=2,
    validation=0.2,
    keep="best",
    monitor="accuracy",
    optimizer=optax.sgd(0.05),
)
PATIENT_PLAN = jnn.Plan(2, 3, 2)
