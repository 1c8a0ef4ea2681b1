"""What does not fit together is refused in one sentence, before anything is compiled."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import jnn
from tests.studies import IDENTITY, IRIS, linear, study

IMAGES = jnn.Dataset.from_arrays(np.ones((30, 4, 4, 1)), np.arange(30) % 3)


def silent(*_):
    raise ValueError


WRONG = [
    ({"batch_size": 500}, {}, "batch_size=500 for 120 rows"),
    (
        {"model": functools.partial(jnn.models.MLP, 4, (8,), 5)},
        {},
        "output of size 3 .* gives \\(5,\\)",
    ),
    ({"model": functools.partial(jnn.models.MLP, 7, (8,), 3)}, {}, "x of shape \\(16, 4\\)"),
    ({"metrics": {"rmse": jnn.metrics.rmse}}, {}, "'rmse' is for regression"),
    (
        {},
        {"members": jnn.holdout(0.2) * jnn.grid(momentum=[0.9])},
        "nothing reads \\['momentum'\\]",
    ),
    ({"hyper": {}}, {}, "wanted the hyper-parameter 'learning_rate'"),
    ({"keep": "best"}, {}, "inner split"),
    (
        {"validation": 0.2},
        {"members": jnn.folds([(np.arange(50), np.arange(50, 60), np.arange(60, 90))])},
        "one inner split",
    ),
    ({}, {"members": jnn.folds(2), "test": IRIS}, "either folds or a separate test set"),
    ({}, {"members": 5}, "wanted members, such as jnn.seeds"),
    ({}, {"members": jnn.seeds(2), "test": (IRIS.x, IRIS.y)}, "but got test=tuple"),
    ({}, {"members": jnn.seeds(3)[[]]}, "at least one member"),
    (
        {},
        {"members": jnn.seeds(1), "test": jnn.data.load("wine").take(slice(0, 9))},
        "wanted a test set with the targets",
    ),
    (
        {},
        {"members": jnn.folds([(np.arange(64), np.arange(60, 90))])},
        "row 60 in two of its parts",
    ),
    (
        {},
        {"members": jnn.folds(2) * jnn.grid(train_accuracy=[1.0])},
        r"\['train_accuracy'\] are scores",
    ),
    ({"loss": lambda o, y: jnn.losses.softmax_cross_entropy(o, y).mean()}, {}, "one loss per row"),
    (
        {"loss": optax.softmax_cross_entropy},
        {},
        r"wanted a loss that takes outputs of shape \[\(16, 3\)\]",
    ),
    ({"model": jnn.models.MLP}, {}, "start on x of shape .* give the model the data's sizes"),
    (
        {"model": (lambda key, x: {"n": jnp.zeros((), int)}, lambda p, x: x)},
        {},
        "but .* are whole numbers; make them",
    ),
    ({"augment": lambda batch, *, key: batch.x}, {}, "but it gives .* return e.g. batch._replace"),
    (
        {
            "keep": "best",
            "validation": 0.2,
            "monitor": "m",
            "metrics": {"m": jnn.metrics.confusion_matrix(3)},
        },
        {},
        "wanted monitor as one number",
    ),
    (
        {},
        {"members": jnn.seeds(1), "test": dataclasses.replace(IRIS, x=IRIS.x.astype(np.int32))},
        "wanted a test set of the training set's type, float32, but got int32",
    ),
    (
        {"loss": lambda o, y: o[:, :1] - y},
        {},
        r"gives \(16, 16\) for outputs of shape \[\(16, 3\)\]",
    ),
    ({"optimizer": lambda h: h.learning_rate}, {}, "returns an optax optimizer"),
    ({"optimizer": optax.adam}, {}, "Call it with its learning rate"),
    (
        {"penalty": lambda params, h: jax.tree.map(jnp.sum, params)},
        {},
        "a penalty that gives one number",
    ),
    (
        {"penalty": lambda params, h: jnp.square(params["output"]["kernel"])},
        {},
        r"one number, but it gives \(8, 3\)",
    ),
    (
        {"objective": lambda forward, batch: (0.0, forward(batch.x)[1])},
        {},
        r"losses \[16\], but got \(\(\), ",
    ),
    ({"objective": lambda forward, batch: forward(batch.x)[0]}, {}, "an objective that gives"),
    (
        {"objective": lambda forward, batch: (forward(batch.x)[0], None)},
        {},
        r"changed are \['model_state'\]",
    ),
    (
        {
            "metrics": {
                "odd": jnn.metrics.Metric(lambda: 0, lambda s, p, y, w: p.foo, abs, True, None)
            }
        },
        {},
        "'odd' that",
    ),
    (
        {
            "model": (linear(3, 3)[0], lambda params, x: (x @ params["w"], params["w"].sum())),
            "loss": lambda o, y: jnn.losses.softmax_cross_entropy(o[0], y) + o[1],
            "metrics": {},
        },
        {},
        r"wanted outputs \[rows, \.\.\.\] .* here of 16 rows, but got some of shape \(\);",
    ),
    (
        {"model": functools.partial(jnn.models.SuperMLP, 4, 8, 1, 3)},
        {"members": jnn.grid(width_1=[4, 16])},
        "of SuperMLP must be a whole number from 1 to 8, got 16",
    ),
    (
        {"model": functools.partial(jnn.models.SuperCNN, 1, (2,), 3, window=3), "inputs": IDENTITY},
        {"members": jnn.grid(window_1=[2]), "data": IMAGES},
        "of SuperCNN must be a whole number from 1 to 3 in steps of 2, got 2",
    ),
    (
        {"metrics": {"odd": jnn.metrics.Metric(lambda: 0, silent, abs, True, None)}},
        {},
        "but got: ValueError",
    ),
]


@pytest.mark.parametrize(("settings", "arguments", "words"), WRONG, ids=[w[2][:20] for w in WRONG])
def test_what_does_not_fit_is_told_before_compiling(settings, arguments, words):
    with pytest.raises(ValueError, match=words):
        jnn.run(study(**settings), **({"data": IRIS, "members": jnn.holdout(0.2)} | arguments))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "wanted epochs"),
        ({"batch_size": 2.5}, "wanted batch_size"),
        ({"order": "random"}, "wanted order"),
        ({"patience": 2}, "keep='best' with patience"),
        ({"steps_per_epoch": 0}, "wanted steps_per_epoch"),
        ({"validation": 1.0}, "share in"),
        ({"monitor": "f1"}, "wanted monitor"),
        ({"metrics": {"top": jnn.metrics.top_k}}, "made by a call"),
        ({"loss": None}, "wanted loss"),
        ({"epochs": True}, "wanted epochs"),
        ({"penalty": 0.1}, "wanted penalty"),
        (
            {"penalty": lambda params: 0.0},
            "penalty.* but <lambda> cannot be called so: too many positional",
        ),
        ({"loss": lambda outputs, targets, scale: outputs}, "missing a required argument: 'scale'"),
        ({"augment": lambda batch: batch}, "got an unexpected keyword argument 'key'"),
        ({"augment": 0.1}, "wanted augment"),
        ({"objective": 0.1}, "wanted objective"),
        ({"hyper": None}, "wanted hyper as numbers by name"),
        ({"hyper": {"learning_rate": "0.1"}}, r"a number for hyper\['learning_rate'\]"),
        ({"metrics": {"": jnn.metrics.accuracy}}, "a name for each metric"),
        ({"metrics": {1: jnn.metrics.accuracy}}, "a name for each metric"),
        ({"inputs": "standardize"}, "wanted inputs as a preprocessing"),
        ({"metrics": [jnn.metrics.accuracy]}, "wanted metrics by name"),
        ({"metrics": {"loss": jnn.metrics.accuracy}}, "'loss' is taken"),
        ({"keep": "best", "patience": 2, "evaluate_every": 5}, "before they are scored"),
    ],
)
def test_a_wrong_study_is_refused_when_it_is_made(settings, words):
    with pytest.raises(ValueError, match=words):
        study(**settings)


def test_what_a_step_sows_into_its_state_is_named():
    class Sowing(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("losses", "size", x.mean())
            return nn.Dense(3)(x)

    with pytest.raises(ValueError, match=r"changed are .*\['losses'\]\['size'\]"):
        jnn.run(study(model=Sowing()), IRIS)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ((64,), "wanted a plan for at most"),
        ((2, 1, 1, 2), "wanted batches that 2 devices can share evenly"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(plan, words):
    with pytest.raises(ValueError, match=words):
        jnn.run(study(batch_size=15), IRIS, plan=jnn.Plan(*plan))
