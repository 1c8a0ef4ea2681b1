"""A healthy study runs under each of JAX's switches for debugging, with the same scores."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from tests.studies import IRIS, linear

INIT, APPLY = linear(3, 3)


def study(**settings):
    """A study whose history has scores that are not there: unscored epochs, members that ended."""
    defaults = {
        "loss": jnn.losses.softmax_cross_entropy,
        "optimizer": optax.sgd(0.1),
        "metrics": {"accuracy": jnn.metrics.accuracy},
        "epochs": 5,
        "batch_size": 40,
        "evaluate_every": 2,
        "validation": 0.2,
        "keep": "best",
        "patience": 2,
        "inputs": jnn.preprocess.standardize,
    }
    return jnn.Study((INIT, APPLY), **{**defaults, **settings})


STUDY = study()
MEMBERS = jnn.seeds(2) * jnn.holdout(0.3)


@pytest.fixture(scope="module")
def plain():
    return jnn.run(STUDY, IRIS, MEMBERS)


def mesh():
    return jax.set_mesh(jax.make_mesh((1,), ("x",)))


SWITCHES = {
    "debug_nans": lambda: jax.debug_nans(True),
    "debug_infs": lambda: jax.debug_infs(True),
    "rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "dtype promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "disable_jit": jax.disable_jit,
    "set_mesh": mesh,
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_no_score_and_no_prediction(name, plain):
    with SWITCHES[name]():
        result = jnn.run(STUDY, IRIS, MEMBERS)
        predicted = result.predict(IRIS.x).mean
    assert result.scores.equals(plain.scores)
    assert np.isnan(result.scores["accuracy"].values).any()
    np.testing.assert_array_equal(predicted, plain.predict(IRIS.x).mean)


def test_a_population_goes_on_under_another_switch(plain):
    with jax.debug_nans(True):
        population = jnn.start(STUDY, IRIS, MEMBERS).advance(2)
    assert population.scores["accuracy"].shape == (2, 1, 2)
    population.gather([0, 1])
    with jax.debug_nans(True), jax.debug_infs(True):
        population.advance(3)
    assert population.result().scores["accuracy"].equals(plain.scores["accuracy"])


def test_a_number_that_is_none_is_still_found():
    made = study(loss=lambda outputs, y: jnp.log(outputs.sum(axis=-1) - 1e6), metrics={})
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.debug_nans(True))
        stack.enter_context(pytest.raises(FloatingPointError))
        jnn.run(made, IRIS, MEMBERS)
