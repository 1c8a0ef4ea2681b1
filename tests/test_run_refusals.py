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


WITHOUT_TARGETS = jnn.Dataset.from_arrays(IRIS.x)
READS_TABLE = (linear(3, 3)[0], lambda params, x, *, shared: x @ shared["table"])


def silent(*_):
    raise ValueError


WRONG = [
    ({"batch_size": 500}, {}, "batch_size must be at most .* rows, 120 of iris, got 500"),
    (
        {"model": functools.partial(jnn.models.MLP, 4, (8,), 5)},
        {},
        r"outputs of shape \(3,\) per row for iris, got \(5,\)",
    ),
    ({"model": functools.partial(jnn.models.MLP, 7, (8,), 3)}, {}, "x of shape \\(16, 4\\)"),
    ({"metrics": {"rmse": jnn.metrics.rmse}}, {}, r"metrics\['rmse'\] is for regression"),
    (
        {},
        {"members": jnn.holdout(0.2) * jnn.grid(momentum=[0.9])},
        r"Nothing reads the hyper-parameters \['momentum'\]",
    ),
    ({"hyper": {}}, {}, "The hyper-parameter 'learning_rate' is not set"),
    ({"keep": "best"}, {}, "keep='best' needs validation rows"),
    (
        {"validation": 0.2},
        {"members": jnn.folds([(np.arange(50), np.arange(50, 60), np.arange(60, 90))])},
        "folds name validation rows and Study.validation",
    ),
    ({}, {"members": jnn.folds(2), "test": IRIS}, "have folds and a test set is given"),
    ({}, {"members": jnn.seeds(3)[[]]}, "at least one member"),
    (
        {},
        {"members": jnn.seeds(1), "test": jnn.data.load("wine").take(slice(0, 9))},
        "The test set must have the targets",
    ),
    (
        {},
        {"members": jnn.folds([(np.arange(64), np.arange(60, 90))])},
        "row 60 in two of its parts",
    ),
    (
        {},
        {"members": jnn.folds(2) * jnn.grid(train_accuracy=[1.0])},
        r"\['train_accuracy'\] have the names of scores",
    ),
    ({"loss": lambda o, y: jnn.losses.softmax_cross_entropy(o, y).mean()}, {}, "one loss per row"),
    (
        {"loss": optax.softmax_cross_entropy},
        {},
        r"Study.loss failed on outputs of shape \(16, 3\)",
    ),
    (
        {"model": jnn.models.MLP},
        {},
        "MLP cannot be initialized .* the sizes of the data",
    ),
    (
        {"model": (lambda key, x: {"n": jnp.zeros((), int)}, lambda p, x: x)},
        {},
        "Parameters must be floats, .* but .* are integers",
    ),
    (
        {"augment": lambda batch, *, key: batch.x},
        {},
        "Study.augment must .* for example batch._replace",
    ),
    (
        {
            "keep": "best",
            "validation": 0.2,
            "monitor": "m",
            "metrics": {"m": jnn.metrics.confusion_matrix(3)},
        },
        {},
        "Study.monitor must be a score of one number",
    ),
    (
        {},
        {"members": jnn.seeds(1), "test": dataclasses.replace(IRIS, x=IRIS.x.astype(np.int32))},
        "have the type of the training set, float32, got int32",
    ),
    (
        {"loss": lambda o, y: o[:, :1] - y},
        {},
        r"got \(16, 16\) for outputs of shape \(16, 3\)",
    ),
    (
        {"penalty": lambda params, h: jax.tree.map(jnp.sum, params)},
        {},
        "Study.penalty must return one number, got",
    ),
    (
        {"penalty": lambda params, h: jnp.square(params["output"]["kernel"])},
        {},
        r"Study.penalty must return one number, got \(8, 3\)",
    ),
    (
        {"objective": lambda forward, batch: (0.0, forward(batch.x)[1])},
        {},
        r"Study.objective must return \(losses of shape \[16, ...\], .* got \(\(\), ",
    ),
    ({"objective": lambda forward, batch: forward(batch.x)[0]}, {}, "Study.objective must return"),
    (
        {"objective": lambda forward, batch: (forward(batch.x)[0], None)},
        {},
        r"it changes \['model_state'\]",
    ),
    (
        {
            "metrics": {
                "odd": jnn.metrics.Metric(lambda: 0, lambda s, p, y, w: p.foo, abs, True, None)
            }
        },
        {},
        "The metric 'odd' failed on predictions of shape .* has no attribute foo",
    ),
    (
        {
            "model": (linear(3, 3)[0], lambda params, x: (x @ params["w"], params["w"].sum())),
            "loss": lambda o, y: jnn.losses.softmax_cross_entropy(o[0], y) + o[1],
            "metrics": {},
        },
        {},
        r"must have the shape \[rows, ...\], here with 30 rows, got \(\)",
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
        {},
        {"members": jnn.seeds(1), "data": WITHOUT_TARGETS},
        "data must have targets y for supervised training, but arrays has none. Give y, or",
    ),
    (
        {"trainer": lambda study: None, "class_weights": "balanced"},
        {"members": jnn.seeds(1), "data": WITHOUT_TARGETS},
        "class_weights needs data with targets y, but arrays has none",
    ),
    (
        {"model": READS_TABLE, "shared": {"tabel": np.ones((4, 3))}},
        {},
        r"there is no 'table'. .* and reads the names of Study.shared, \['tabel'\]",
    ),
    (
        {"metrics": {"odd": jnn.metrics.Metric(lambda: 0, silent, abs, True, None)}},
        {},
        "The metric 'odd' failed on .*: ValueError",
    ),
]


@pytest.mark.parametrize(("settings", "arguments", "words"), WRONG, ids=[w[2][:20] for w in WRONG])
def test_what_does_not_fit_is_told_before_compiling(settings, arguments, words):
    with pytest.raises(ValueError, match=words):
        jnn.run(study(**settings), **({"data": IRIS, "members": jnn.holdout(0.2)} | arguments))


@pytest.mark.parametrize(
    ("settings", "arguments", "words"),
    [
        ({}, {"members": 5}, "members must be .* such as jnn.seeds.*, got int"),
        ({}, {"test": (IRIS.x, IRIS.y)}, "test must be a data set, .*, got tuple"),
        ({}, {"plan": (1, 1, 2)}, "plan must be a layout, .*, got tuple"),
        ({"optimizer": lambda h: h.learning_rate}, {}, "returns an optax optimizer"),
        ({"optimizer": optax.adam}, {}, "Call it with its learning rate"),
    ],
)
def test_what_is_of_another_type_is_told_before_compiling(settings, arguments, words):
    with pytest.raises(TypeError, match=words):
        jnn.run(study(**settings), **({"data": IRIS, "members": jnn.seeds(1)} | arguments))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs must be a positive integer, got 0. Set it to 1 or more"),
        ({"order": "random"}, "order must be one of .*, got 'random'"),
        ({"patience": 2}, "patience needs keep='best'"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a positive integer, got 0"),
        ({"validation": 1.0}, "validation must be a share in"),
        ({"class_weights": "bal"}, 'class_weights must be "balanced" or'),
        ({"monitor": "f1"}, "monitor must be 'loss' or one of the metrics"),
        ({"metrics": {"loss": jnn.metrics.accuracy}}, "The metric name 'loss' is reserved"),
        ({"keep": "best", "patience": 2, "evaluate_every": 5}, "before they are scored"),
    ],
)
def test_a_wrong_study_is_refused_when_it_is_made(settings, words):
    with pytest.raises(ValueError, match=words):
        study(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 2.5}, "batch_size must be a positive integer, got 2.5"),
        ({"epochs": True}, "epochs must be a positive integer, got True"),
        ({"metrics": {"top": jnn.metrics.top_k}}, "made by a call"),
        ({"metrics": {"": jnn.metrics.accuracy}}, "The name of a metric must be text"),
        ({"metrics": {1: jnn.metrics.accuracy}}, "The name of a metric must be text"),
        ({"metrics": [jnn.metrics.accuracy]}, "metrics must be a dict of metrics by name"),
        ({"loss": None}, "loss must be given"),
        ({"loss": lambda outputs, targets, scale: outputs}, "missing a required argument: 'scale'"),
        ({"penalty": 0.1}, "penalty must be a function"),
        ({"penalty": lambda params: 0.0}, "penalty must be callable .* <lambda> is not: too many"),
        ({"augment": lambda batch: batch}, "got an unexpected keyword argument 'key'"),
        ({"augment": 0.1}, "augment must be a function"),
        ({"objective": 0.1}, "objective must be a function"),
        ({"hyper": None}, "hyper must be a dict of numbers by name"),
        ({"hyper": {"learning_rate": "0.1"}}, r"hyper\['learning_rate'\] must be a number"),
        ({"optimizer": 3}, "optimizer must be an Optax optimizer or a function .* got 3"),
        ({"optimizer": "a"}, "optimizer must be an Optax optimizer or a function .* got 'a'"),
        ({"monitor": 3}, "monitor must be the name of a score, got 3"),
        ({"monitor": None}, "monitor must be the name of a score, got None"),
        ({"shared": 3}, "shared must be a dict or tree of arrays, got the leaf 3"),
        ({"shared": "a"}, "shared must be a dict or tree of arrays, got the leaf 'a'"),
        ({"shared": {"table": [1.0, 2.0]}}, "shared must be a dict or tree of arrays"),
        ({"shared": {"table": "a"}}, "shared must be a dict or tree of arrays"),
        ({"inputs": "standardize"}, "inputs must be a preprocessing"),
    ],
)
def test_a_study_of_wrong_types_is_refused_when_it_is_made(settings, words):
    with pytest.raises(TypeError, match=words):
        study(**settings)


def test_what_a_step_changes_in_the_type_of_its_state_is_named():
    class Counting(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            seen = self.variable("counts", "seen", lambda: jnp.zeros((), jnp.int32))
            if train:
                seen.value = seen.value + 0.5
            return nn.Dense(3)(x)

    with pytest.raises(ValueError, match=r"it changes .*\['counts'\]\['seen'\]"):
        jnn.run(study(model=Counting()), IRIS)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ((64,), "plan needs 64 devices, but there are"),
        ((2, 1, 1, 2), "batch_size must be a multiple of plan.split=2"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(plan, words):
    with pytest.raises(ValueError, match=words):
        jnn.run(study(batch_size=15), IRIS, plan=jnn.Plan(*plan))


def test_shared_numpy_arrays_are_stored_in_the_types_of_jax():
    shared = {"table": np.ones((4, 3)), "index": np.arange(4)}
    stored = study(model=READS_TABLE, shared=shared).shared
    assert stored["table"].dtype == np.float32 and stored["index"].dtype == np.int32


def test_a_number_that_only_the_step_reads_is_read_in_every_run_of_a_study():
    penalized = study(hyper={"learning_rate": 0.01}, penalty=lambda params, h: h.l2 * 0.0)
    for folds in (jnn.folds(2), jnn.holdout(0.2)):
        jnn.start(penalized, IRIS, folds * jnn.grid(l2=[1e-3]))
