"""A student learns from the outputs of a teacher, by the gradient of Hinton et al. (2015)."""

import dataclasses
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3
TEACHER = RANDOM.normal(size=(4, 3)).astype(np.float32)
LOGITS = X @ TEACHER
START = RANDOM.normal(size=(4, 3)).astype(np.float32)
RATE = 0.5

STUDENT = (lambda key: {"kernel": jnp.asarray(START)}, lambda params, x: x @ params["kernel"])
teacher = jnn.as_model((lambda key: TEACHER, lambda params, x: x @ params))


def mixed(outputs, logits, targets, h):
    soft = jnn.losses.kl_divergence(outputs / h.temperature, jax.nn.softmax(logits / h.temperature))
    hard = jnn.losses.softmax_cross_entropy(outputs, targets)
    return h.share * h.temperature**2 * soft + (1 - h.share) * hard


def from_outputs(forward, batch, *, h):
    outputs, state = forward(batch.x)
    return mixed(outputs, batch.shared["teacher"][batch.index], batch.y, h), state


def from_network(forward, batch, *, h):
    outputs, state = forward(batch.x)
    logits, _ = teacher.apply(batch.shared["teacher"], {}, batch.x)
    return mixed(outputs, logits, batch.y, h), state


STUDY = jnn.Study(
    jnn.model.without_shared(STUDENT, "teacher"),
    jnn.losses.softmax_cross_entropy,
    optax.sgd(RATE),
    objective=from_outputs,
    epochs=1,
    batch_size=12,
    hyper={"share": 1.0},
    shared={"teacher": LOGITS},
)


def softmax(logits):
    exponentials = np.exp(np.float64(logits) - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("objective", [from_outputs, from_network])
def test_a_step_is_that_of_the_closed_form_at_every_temperature(objective):
    array = LOGITS if objective is from_outputs else TEACHER
    study = dataclasses.replace(STUDY, objective=objective, shared={"teacher": array})
    members = jnn.grid(temperature=[1.0, 4.0, 1000.0]) * jnn.grid(share=[1.0, 0.25])
    data = jnn.Dataset.from_arrays(X, Y)
    kernels = jnn.run(study, data, members).trained.params["kernel"].reshape(3, 2, 4, 3)
    logits = X @ START
    for i, temperature in enumerate((1.0, 4.0, 1000.0)):
        soft = temperature * (softmax(logits / temperature) - softmax(LOGITS / temperature))
        hard = softmax(logits) - np.eye(3)[Y]
        for j, share in enumerate((1.0, 0.25)):
            gradient = X.T @ (share * soft + (1 - share) * hard) / 12
            np.testing.assert_allclose(kernels[i, j], START - RATE * gradient, atol=2e-4)
    # At high temperatures the gradient is that of half the squared error of centered logits / 3.
    error = (logits - LOGITS) - (logits - LOGITS).mean(axis=1, keepdims=True)
    expected = START - RATE * X.T @ error / 3 / 12
    np.testing.assert_allclose(kernels[2, 0], expected, atol=5e-3)


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.table = jnn.Shared(jnp.zeros((4, 3)))

    def __call__(self, x):
        return x @ self.table[...]


def test_a_network_still_declares_what_it_is_given_and_names_must_be_there():
    model = pickle.loads(pickle.dumps(jnn.model.without_shared(Net, "teacher")))
    arrays = {"teacher": LOGITS, "table": TEACHER}
    y, _ = model.apply(*model.init(jax.random.key(0), X, shared=arrays), X, shared=arrays)
    np.testing.assert_allclose(y, LOGITS, rtol=1e-5)
    init = functools.partial(model.init, jax.random.key(0), X)
    with pytest.raises(ValueError, match=r"\['other'\] are declared nowhere"):
        init(shared={**arrays, "other": LOGITS})
    with pytest.raises(ValueError, match=r"shared must hold \['teacher'\], which the objective"):
        init(shared={"table": TEACHER})
    with pytest.raises(TypeError, match="names must be names of shared arrays"):
        jnn.model.without_shared(Net, 3)
