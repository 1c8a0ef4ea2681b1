"""Activations and gradients of trained members, layer by layer."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.result import activations, gradients
from tests import studies

X, Y = studies.IRIS.x[::30], studies.IRIS.y[::30]


class Net(nn.Module):
    """A network whose first layer has the last name."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dropout(0.5, deterministic=not train)(jnp.tanh(nn.Dense(5, name="z")(x)))
        return nn.Dense(3, name="a")(x)


def with_network(model):
    """Return a result of five members of another network, as they begin."""
    result = studies.trained_at_once()
    keys = jax.random.split(jax.random.key(0), 5)
    params, state = jax.vmap(jnn.as_model(model).init, (0, None))(keys, X)
    trained = result.trained._replace(params=params, model_state=state)
    part = dataclasses.replace(result.parts[0], study=studies.study(model=model), trained=trained)
    return dataclasses.replace(result, parts=(part,))


def test_the_layers_of_an_nnx_network_give_what_the_formulas_say():
    result = studies.trained_at_once()
    found = activations(result, X)
    assert [*found] == ["hidden/0", "dropout", "output"]
    params, (inputs, _) = result.trained.params, result.trained.scale
    rows = jax.vmap(studies.PLAIN.inputs.forward, (0, None))(inputs, X)
    hidden, output = params["hidden"]["0"], params["output"]
    wanted = np.einsum("mni,mio->mno", rows, hidden["kernel"]) + hidden["bias"][:, None]
    np.testing.assert_allclose(found["hidden/0"], wanted, rtol=1e-4, atol=1e-5)
    wanted = np.einsum("mni,mio->mno", np.maximum(wanted, 0), output["kernel"])
    np.testing.assert_allclose(
        found["output"], wanted + output["bias"][:, None], rtol=1e-4, atol=1e-5
    )


def test_a_linen_network_has_its_layers_in_the_order_of_its_calls():
    result = with_network(Net())
    found = activations(result, X)
    assert [*found] == ["z", "Dropout_0", "a"]
    np.testing.assert_allclose(found["Dropout_0"], np.tanh(found["z"]), rtol=1e-5)
    np.testing.assert_allclose(found["a"], result.outputs(X), rtol=1e-5)

    slopes = gradients(result, X, Y)
    assert [*slopes] == ["z/kernel", "z/bias", "a/kernel", "a/bias"]
    errors = jax.nn.softmax(found["a"]) - jax.nn.one_hot(Y, 3)  # [members, rows, classes]
    wanted = np.einsum("mnh,mno->mho", found["Dropout_0"], errors) / len(X)
    np.testing.assert_allclose(slopes["a/kernel"], wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slopes["a/bias"], errors.mean(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (Y + 3, "y must hold labels from 0 to 2, got"),
        (None, "y must hold numbers as in training, got type object"),
        (np.array(["a"] * len(Y)), "y must hold numbers as in training, got type <U1"),
        (Y[:2], "Study.loss failed on outputs of shape"),
    ],
)
def test_targets_that_do_not_fit_are_told(y, sentence):
    with pytest.raises(ValueError, match=sentence):
        gradients(studies.trained_at_once(), X, y)


def test_a_network_without_modules_has_no_layers():
    with pytest.raises(ValueError, match="Linen or NNX network"):
        activations(with_network(studies.linear(3, 3)), X)
