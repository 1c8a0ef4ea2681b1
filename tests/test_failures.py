"""An error in a function of a study names the function, the user's own line, and the reason."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import jnn
from jnn import engine
from tests.studies import IRIS, linear, study


def asks(value):
    """Ask for the value of a traced number, which is an error wherever it is called."""
    return 1.0 if jnp.sum(value) > 0 else 2.0  # line of `asks`


INIT, APPLY = linear(3, 3)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return asks(x) * nn.Dense(3)(x)


def trainer_of(failing):
    def make(made):
        own = engine.supervised(made)

        def step(state, batch):
            asks(batch.x)
            return own.step(state, batch)

        def evaluate(state, data, rows):
            return {"score": asks(data.x)}

        return own._replace(**{failing: {"step": step, "evaluate": evaluate}[failing]})

    return make


def metric(sums, predictions, targets, weights=None):
    return sums + asks(predictions)


FAILING = {
    "The model Net": {"model": Net()},
    "The model apply": {"model": (INIT, lambda params, x: asks(x) * APPLY(params, x))},
    "Study.loss": {"loss": lambda outputs, y: asks(outputs) * outputs.sum(-1)},
    "The metric 'odd'": {
        "metrics": {"odd": jnn.metrics.Metric(lambda: 0.0, metric, lambda s: s, True, None)}
    },
    "Study.augment": {"augment": lambda batch, *, key: batch._replace(x=batch.x * asks(batch.x))},
    "Study.objective": {"objective": lambda forward, batch: asks(batch.x)},
    "Study.penalty": {"penalty": lambda params, h: asks(params["w"])},
    "Study.optimizer": {"optimizer": lambda h: optax.sgd(asks(h.learning_rate))},
    "The trainer's step": {"trainer": trainer_of("step")},
    "The trainer's evaluate": {"trainer": trainer_of("evaluate")},
}


@pytest.mark.parametrize("subject", FAILING)
def test_a_question_for_a_traced_value_names_the_function_and_the_line(subject):
    made = study(**{"model": (INIT, APPLY), "hyper": {"learning_rate": 0.1}, **FAILING[subject]})
    with pytest.raises(ValueError) as caught:
        jnn.run(made, IRIS, jnn.holdout(0.2))
    told = str(caught.value)
    line = inspect.getsourcelines(asks)[1] + 2
    assert told.startswith("The model <lambda>" if subject == "The model apply" else subject)
    assert f"test_failures.py, line {line})" in told
    assert "Attempted boolean conversion" in told
    assert "size" not in told
    assert ("schedule" if subject == "Study.optimizer" else "jnp.where") in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("apply", "words", "advised"),
    [
        (lambda params, x: x @ jnp.ones((7, 3)), "dot_general", True),
        (lambda params, x: x @ params["kernel"], "there is no 'kernel'.", False),
        (lambda params, x: x @ unknown, "NameError: name 'unknown' is not defined", False),
        (lambda params, x: np.asarray(x) @ params["w"], "numpy.ndarray conversion method", False),
        (lambda params, x: optax.nothing(x), "has no attribute 'nothing'", False),
        (lambda params, x: 1 / 0, "ZeroDivisionError: division by zero.", False),
    ],
)
def test_sizes_are_advised_only_where_sizes_are_wrong(apply, words, advised):
    with pytest.raises(ValueError, match="The model <lambda> failed on x of shape") as caught:
        jnn.run(study(model=(INIT, apply)), IRIS)
    assert words in str(caught.value) and "test_failures.py, line" in str(caught.value)
    assert ("sizes of the data" in str(caught.value)) == advised


def test_a_network_of_the_house_has_no_line_of_the_users():
    model = lambda rngs: jnn.models.MLP(7, (8,), 3, rngs=rngs)  # noqa: E731
    with pytest.raises(ValueError, match="The model <lambda> failed") as caught:
        jnn.run(study(model=model), IRIS)
    assert ", line" not in str(caught.value) and "sizes of the data" in str(caught.value)
