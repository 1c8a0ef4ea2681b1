"""`run` on real data: roles of the rows, wrong input, memory that does not suffice, and runs that are killed."""

import dataclasses
import functools
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from sklearn.model_selection import TimeSeriesSplit

import jnn
from jnn import plots
from jnn.data import WordTokenizer
from jnn.engine import IDLE
from jnn.population import (
    Keeper,
    bytes_needed,
    compile_population,
    is_out_of_memory,
    packed,
    resident,
)
from jnn.population._run import _columns, _text
from jnn.storage import notes

IRIS = jnn.data.load("iris")
DIABETES = jnn.data.load("diabetes")
IMAGES = jnn.Dataset.from_arrays(np.ones((30, 4, 4, 1)), np.arange(30) % 3)
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


def test_an_mlp_learns_iris_and_its_scores_are_those_of_its_predictions():
    result = jnn.run(study(epochs=40), IRIS, jnn.seeds(2) * jnn.folds(3))
    final = result.final()["accuracy"].values
    assert final.mean() > 0.93
    folds = jnn.folds(3).split.rows(IRIS)
    for i, (_, _, test) in enumerate(folds):
        probabilities = result.member(i).predict(IRIS.x[test]).mean
        np.testing.assert_allclose(
            np.mean(probabilities.argmax(-1) == IRIS.y[test]), final[0, i], atol=1e-6
        )
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)


def test_a_regression_on_standardised_targets_scores_in_their_own_units():
    made = study(
        model=functools.partial(jnn.models.MLP, 10, (), 1),
        loss=jnn.losses.squared_error,
        metrics={"rmse": jnn.metrics.rmse, "r2": jnn.metrics.r2},
        targets=jnn.preprocess.standardize,
        epochs=60,
    )
    result = jnn.run(made, DIABETES, jnn.holdout(0.25))
    ((train, _, test),) = jnn.holdout(0.25).split.rows(DIABETES)
    predicted = result.predict(DIABETES.x[test]).mean.reshape(-1)
    rmse = np.sqrt(np.mean((predicted - DIABETES.y[test]) ** 2))
    np.testing.assert_allclose(result.final()["rmse"].item(), rmse, rtol=1e-4)
    from sklearn.linear_model import LinearRegression

    best = LinearRegression().fit(DIABETES.x[train], DIABETES.y[train]).predict(DIABETES.x[test])
    assert rmse < 1.03 * np.sqrt(
        np.mean((best - DIABETES.y[test]) ** 2)
    )  # a linear model by Adam nearly finds it


def test_several_outputs_are_one_regression():
    y = np.stack([DIABETES.y, -2 * DIABETES.y + 5], axis=1)
    data = jnn.Dataset.from_arrays(DIABETES.x, y)
    made = study(
        model=functools.partial(jnn.models.MLP, 10, (), 2),
        loss=jnn.losses.squared_error,
        metrics={"r2": jnn.metrics.r2},
        targets=jnn.preprocess.standardize,
        epochs=60,
    )
    from sklearn.linear_model import LinearRegression

    ((train, _, test),) = jnn.holdout(0.2).split.rows(data)
    best = LinearRegression().fit(data.x[train], data.y[train]).score(data.x[test], data.y[test])
    np.testing.assert_allclose(
        jnn.run(made, data, jnn.holdout(0.2)).final()["r2"].item(), best, atol=0.02
    )


def test_the_best_epoch_is_chosen_on_inner_rows_and_its_parameters_are_kept():
    made = study(
        keep="best",
        validation=0.25,
        monitor="accuracy",
        optimizer=lambda h: optax.sgd(h.learning_rate),
        epochs=6,
    )
    members = jnn.seeds(3) * jnn.folds(2) * jnn.grid(learning_rate=[0.5, 3.0])
    result = jnn.run(made, IRIS, members)
    inner = result.scores["validation_accuracy"].values
    chosen = result.scores["best_epoch"].values
    assert np.array_equal(chosen, 1 + inner.argmax(axis=-1)) and len(np.unique(chosen)) > 1
    assert "3 seeds x 2 folds" in str(
        result.summary()
    )  # one row per setting, whatever the epochs chosen
    final = result.final()["accuracy"].values.ravel()
    folds = jnn.folds(2).split.rows(IRIS)
    for i in (0, 5, 11):
        test = folds[int(members.columns()["fold"][i])].test
        predicted = result.member(i).predict(IRIS.x[test]).mean.argmax(-1)
        np.testing.assert_allclose(np.mean(predicted == IRIS.y[test]), final[i], atol=1e-6)


def test_a_member_whose_monitored_score_is_never_finite_counts_as_diverged():
    two = jnn.Dataset.from_arrays(IRIS.x[:100], IRIS.y[:100])
    parts = [
        (np.r_[10:50, 60:100], np.r_[0:5], np.r_[5:10, 50:60])
    ]  # of one class alone, which has no AUC
    made = study(
        model=functools.partial(jnn.models.MLP, 4, (), 2),
        metrics={"auc": jnn.metrics.roc_auc},
        keep="best",
        monitor="auc",
        epochs=2,
    )
    result = jnn.run(made, two, jnn.seeds(2) * jnn.folds(parts))
    assert np.isfinite(result.scores["auc"]).all() and np.isnan(result.final()["auc"]).all()
    assert result.summary().rows[0].diverged == 2


def test_inner_rows_are_neither_trained_nor_tested_on():
    arrays = resident(study(validation=0.2), IRIS, jnn.folds(3))
    for fold, (train, _, test) in enumerate(jnn.folds(3).split.rows(IRIS)):
        parts = [
            set(r.index[fold][: r.count[fold]].tolist())
            for r in (arrays.train, arrays.validation, arrays.test)
        ]
        assert parts[0] | parts[1] == set(train.tolist()) and parts[2] == set(test.tolist())
        assert not parts[0] & parts[1] and len(parts[1]) == 20


@pytest.mark.parametrize("members", [jnn.folds(5, kind="time"), jnn.folds(TimeSeriesSplit(5))])
def test_an_inner_split_is_in_time_where_the_folds_are(members):
    arrays = resident(study(validation=0.2), IRIS, members)
    for train, validation, test in zip(
        arrays.train.index, arrays.validation.index, arrays.test.index, strict=True
    ):
        assert train.max() < validation.min() and validation.max() < test.min()


def test_an_inner_split_is_plain_where_the_folds_are():
    rare = jnn.Dataset.from_arrays(IRIS.x[:60], np.arange(60) == 0)
    assert (
        resident(study(validation=0.2), rare, jnn.folds(3, kind="plain")).validation.count == 8
    ).all()


def test_an_inner_split_that_leaves_no_rows_says_so():
    series = jnn.Dataset.from_series(np.arange(40.0)[:, None], 3, 8)
    with pytest.raises(ValueError, match=r"rows to train on before .*, but got 2 rows"):
        resident(study(validation=0.2), series, jnn.folds(3))


def test_a_test_set_that_was_prepared_otherwise_is_refused():
    texts = [
        jnn.Dataset.from_texts(words, [0, 1])
        for words in (["good film", "so bad"], ["fine film", "so dull"])
    ]
    reordered = dataclasses.replace(IRIS, feature_names=IRIS.feature_names[::-1])
    for data, test, name in ((*texts, "tokenizer"), (IRIS, reordered, "feature_names")):
        with pytest.raises(ValueError, match=f"their {name} differ"):
            resident(study(), data, jnn.seeds(1), test)
    again = jnn.Dataset.from_texts(
        ["so good", "bad"], [0, 1], tokenizer=WordTokenizer(texts[0].tokenizer.words)
    )
    assert len(resident(study(), texts[0], jnn.seeds(1), again).x) == 4


def test_a_result_tells_which_folds_share_test_rows():
    schema = jnn.run(study(epochs=1), IRIS, jnn.folds(2, repeats=2)).schema
    assert schema.to_json()["shared_test_rows"] == ["1011", "0111", "1110", "1101"]


def test_preprocessing_sees_a_members_training_rows_only():
    result = jnn.run(study(epochs=1), IRIS, jnn.folds(3))
    for fold, (train, _, _) in enumerate(jnn.folds(3).split.rows(IRIS)):
        scale = jax.tree.map(lambda a, fold=fold: a[fold], result.trained.scale[0])
        np.testing.assert_allclose(scale.shift, IRIS.x[train].mean(axis=0), rtol=1e-5)


def test_without_held_out_rows_the_scores_are_named_for_the_training_rows():
    result = jnn.run(study(), IRIS, jnn.seeds(2))
    assert set(result.scores) == {"train_loss", "train_accuracy"} and "TRAINING" in str(
        result.summary()
    )


def test_scores_of_every_third_epoch_and_the_last_are_those_of_all():
    every, third = (
        jnn.run(study(epochs=7, evaluate_every=n), IRIS, jnn.seeds(2) * jnn.folds(2))
        for n in (1, 3)
    )
    due = np.array([2, 5, 6])
    for name in ("accuracy", "loss"):
        np.testing.assert_allclose(
            third.scores[name][..., due], every.scores[name][..., due], rtol=1e-5
        )
        assert np.isnan(np.delete(third.scores[name].values, due, axis=-1)).all()
    np.testing.assert_allclose(third.scores["train_loss"], every.scores["train_loss"], rtol=1e-5)
    curves = plots.learning_curves(third).axes[0].lines[0]
    assert curves.get_xdata().tolist() == [3, 6, 7]


def test_a_separate_test_set_gives_the_score():
    train, test = IRIS.take(slice(0, None, 2)), IRIS.take(slice(1, None, 2))
    result = jnn.run(study(), train, jnn.seeds(1), test=test)
    predicted = result.predict(test.x).mean.argmax(-1)
    np.testing.assert_allclose(
        result.final()["accuracy"].item(), np.mean(predicted == test.y), atol=1e-6
    )


def linear(outputs, *shape):
    """A linear model whose outputs have the shape [rows, *shape]."""
    return (
        lambda key: {"w": 0.1 * jax.random.normal(key, (4, outputs)), "b": jnp.zeros(outputs)},
        lambda params, x: (x @ params["w"] + params["b"]).reshape(-1, *shape),
    )


def silent(*_):
    raise ValueError


def test_rank_metrics_see_all_rows_at_once():
    from sklearn.metrics import roc_auc_score

    data = jnn.data.load("breast_cancer")
    made = study(
        model=functools.partial(jnn.models.MLP, 30, (4,), 2),
        metrics={"auc": jnn.metrics.roc_auc, "accuracy": jnn.metrics.accuracy},
        epochs=1,
        evaluation_batch=50,
    )
    result = jnn.run(made, data, jnn.holdout(0.3))
    ((_, _, test),) = jnn.holdout(0.3).split.rows(data)
    wanted = roc_auc_score(data.y[test], result.predict(data.x[test]).mean[:, 1])
    np.testing.assert_allclose(result.final()["auc"].item(), wanted, atol=1e-5)


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
    ({}, {"members": jnn.folds([(np.arange(64), np.arange(60, 90))])}, "row 60 does both"),
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
    ({"optimizer": optax.adam}, {}, "call it with its learning rate"),
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
        "whole numbers from 1 to 8 for 'width_1' of SuperMLP, but got 16",
    ),
    (
        {"model": functools.partial(jnn.models.SuperCNN, 1, (2,), 3, window=3), "inputs": IDENTITY},
        {"members": jnn.grid(window_1=[2]), "data": IMAGES},
        "from 1 to 3 in steps of 2 for 'window_1' of SuperCNN, but got 2",
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


def test_the_plan_is_halved_until_memory_suffices(monkeypatch):
    from jnn.population import _run as module

    original, plans = module.compile_population, []

    def small_machine(made, plan, *rest):
        plans.append(plan)
        if plan.size > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")
        return original(made, plan, *rest)

    made, members = study(), jnn.seeds(5)
    wanted = jnn.run(made, IRIS, members, plan=jnn.Plan(1, 1, 5))
    monkeypatch.setattr(module, "compile_population", small_machine)
    got = jnn.run(made, IRIS, members, plan=jnn.Plan(1, 1, 8))
    assert [p.width for p in plans][:3] == [8, 4, 2]
    np.testing.assert_allclose(got.scores["train_loss"], wanted.scores["train_loss"], rtol=1e-4)
    assert not is_out_of_memory(ValueError("shapes"))


def test_what_does_not_fit_into_memory_is_not_begun(monkeypatch):
    from jnn.population import _run as module

    made, members, wanted = study(), jnn.seeds(4), []
    monkeypatch.setattr(
        module, "bytes_needed", lambda compiled, plan: wanted.append(plan.size) or plan.size * 10
    )
    monkeypatch.setattr(module, "memory_of", lambda device: 25)
    assert np.isfinite(
        jnn.run(made, IRIS, members, plan=jnn.Plan(1, 1, 4)).scores["train_loss"]
    ).all()
    assert wanted == [4, 2, 2]
    monkeypatch.setattr(module, "memory_of", lambda device: 5)
    with pytest.raises(ValueError, match="wanted memory for one member"):
        jnn.run(made, IRIS, members)


def test_memory_that_the_file_cache_holds_counts_as_left(monkeypatch, tmp_path):
    from jnn.population import _plan as plan

    table = tmp_path / "meminfo"
    table.write_text(
        "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\nCached: 3990 kB\n"
    )
    monkeypatch.setattr(plan.pathlib, "Path", lambda name: table)
    (cpu, *_) = jax.devices("cpu")
    assert plan.memory_of(cpu) == 4000 * 1024 and plan.memory_of(cpu, 4) == 1000 * 1024
    table.unlink()
    assert plan.memory_of(cpu) > 4000 * 1024  # no such table: the host's whole memory


def test_the_memory_of_a_program_grows_with_its_members():
    made, arrays = study(), resident(study(), IRIS, jnn.seeds(1))
    sizes = []
    for width in (2, 64):
        plan = jnn.Plan(1, 1, width)
        columns = _columns(jnn.seeds(width)) | {IDLE: np.zeros(width, bool)}
        compiled = compile_population(made, plan, jax.devices(), columns, arrays)
        sizes.append(bytes_needed(compiled, plan))
    params = 4 * (4 * 8 + 8 + 8 * 3 + 3)
    assert (
        sizes[1] - sizes[0] > 62 * 3 * params
    )  # parameters and Adam's two moments of 62 members more


def test_devices_that_share_a_batch_each_hold_their_part_of_it():
    layers = functools.partial(jnn.models.MLP, 4, (256,), 3)
    made = study(model=layers, batch_size=48, evaluation_batch=8)
    arrays = resident(made, IRIS, jnn.seeds(1))
    needed = []
    for plan in (jnn.Plan(1), jnn.Plan(4, split=4)):
        columns = _columns(jnn.seeds(1)) | {IDLE: np.zeros(1, bool)}
        compiled = compile_population(made, plan, jax.devices(), columns, arrays)
        needed.append(compiled.memory.temp_size_in_bytes)
        assert plan.size == 1 and ("all-reduce" in compiled.advance.as_text()) == (plan.split > 1)
    hidden = 4 * 256 * 48
    assert needed[0] - needed[1] > hidden / 2  # of which three of four parts lie elsewhere


SPREAD = {
    "ResNet": (functools.partial(jnn.models.ResNet, 3, 3, 8), (8, 8, 3)),
    "LeNet": (functools.partial(jnn.models.LeNet, (8, 8, 1), 3, maps=(4, 8), hidden=8), (8, 8, 1)),
    "ViT": (
        functools.partial(
            jnn.models.ViT, (8, 8, 3), 3, patch=4, layers=1, num_heads=2, features=16
        ),
        (8, 8, 3),
    ),
    "LSTM": (functools.partial(jnn.models.SequenceClassifier, (12, 5), 8, 3), (12, 5)),
}


@pytest.mark.parametrize("name", SPREAD)
def test_devices_that_share_a_batch_send_each_other_sums_only(name):
    model, shape = SPREAD[name]
    made = study(model=model, batch_size=32, inputs=jnn.preprocess.identity)
    data = jnn.Dataset.from_arrays(np.ones((64, *shape)), np.arange(64) % 3)
    columns = _columns(jnn.seeds(1)) | {IDLE: np.zeros(1, bool)}
    arrays, plan = resident(made, data, jnn.seeds(1)), jnn.Plan(2, split=2)
    text = compile_population(made, plan, jax.devices(), columns, arrays).advance.as_text()
    assert " all-reduce(" in text
    assert not re.findall(r" (all-gather|all-to-all|collective-permute)\(", text)


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


@pytest.mark.parametrize(
    "plan", [jnn.Plan(1, 5, 1), jnn.Plan(2, 3, 4), jnn.Plan(4, 2, 3, 2), jnn.Plan(1, 1, 8)]
)
def test_members_at_work_are_packed_into_the_fewest_chunks(plan):
    random = np.random.default_rng(0)
    busy = lambda idle: (~idle.reshape(-1, plan.chunks, plan.width).all(axis=2)).sum(axis=1)  # noqa: E731
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        idle = random.random(plan.size) < share
        order, before = packed(idle, plan), busy(idle).max()
        devices = plan.devices // plan.split
        fewest = math.ceil(math.ceil((~idle).sum() / devices) / plan.width)
        if order is None:
            assert before == fewest
        else:
            assert (
                sorted(order) == list(range(plan.size))
                and busy(idle[order]).max() == fewest < before
            )


def test_chunks_of_idle_members_are_passed_over():
    made, plan, arrays = study(), jnn.Plan(1, 2, 2), resident(study(), IRIS, jnn.seeds(1))
    columns = _columns(jnn.seeds(4)) | {IDLE: np.array([True, True, False, True])}
    compiled = compile_population(made, plan, jax.devices(), columns, arrays)
    columns, arrays = compiled.split(columns), compiled.share(arrays)
    progress = compiled.advance(
        compiled.begin(columns, arrays), columns, arrays, np.int32(0), np.int32(2)
    )
    assert list(progress.state.step > 0) == [False, False, True, True]


def patient(**settings):
    """A study whose members end at different epochs."""
    numbers = {
        "epochs": 12,
        "patience": 2,
        "validation": 0.2,
        "keep": "best",
        "monitor": "accuracy",
    }
    return study(**numbers | {"optimizer": optax.sgd(0.05)} | settings)


def test_members_that_have_ended_make_room_and_change_no_bit_of_the_others(monkeypatch):
    members, plan, orders = jnn.seeds(12), jnn.Plan(2, 3, 2), []
    monkeypatch.setattr("jnn.population._run._SEGMENT", 0.0)  # a look after each epoch
    monkeypatch.setattr(
        "jnn.population._run.packed",
        lambda idle, plan: orders.append(packed(idle, plan)) or orders[-1],
    )
    got = jnn.run(patient(), IRIS, members, plan=plan)
    assert any(order is not None for order in orders)
    monkeypatch.setattr("jnn.population._run.packed", lambda idle, plan: None)
    wanted = jnn.run(patient(), IRIS, members, plan=plan)
    assert len(set(wanted.scores["best_epoch"].values)) > 1
    for name in wanted.scores:
        np.testing.assert_array_equal(got.scores[name], wanted.scores[name])
    jax.tree.map(np.testing.assert_array_equal, got.trained, wanted.trained)


def test_a_killed_run_finds_its_members_where_they_lay(tmp_path, monkeypatch):
    members, plan = jnn.seeds(8), jnn.Plan(1, 4, 2)
    wanted = jnn.run(patient(), IRIS, members, plan=plan)
    monkeypatch.setattr("jnn.population._keeper._EVERY", 0.0)
    monkeypatch.setattr("jnn.population._run._SEGMENT", 0.0)
    path = tmp_path / "unfinished" / "0-8.safetensors"

    def die(status):
        if path.exists() and notes(path)["order"] != list(range(8)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(patient(), IRIS, members, plan=plan, directory=tmp_path, watch=die)
    got = jnn.run(patient(), IRIS, members, directory=tmp_path)
    for name in wanted.scores:
        np.testing.assert_array_equal(got.scores[name], wanted.scores[name])
    jax.tree.map(np.testing.assert_array_equal, got.trained, wanted.trained)


def test_an_unfinished_run_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    made, members = (
        study(epochs=4, model=functools.partial(jnn.models.MLP, 4, (8,), 3, dropout_rate=0.2)),
        jnn.seeds(4),
    )
    plan = jnn.Plan(1, 1, 2)
    wanted = jnn.run(made, IRIS, members, plan=plan)
    monkeypatch.setattr("jnn.population._keeper._EVERY", 0.0)
    monkeypatch.setattr("jnn.population._run._SEGMENT", 0.0)

    def die(status):
        if status.stage == "training" and status.done > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(made, IRIS, members, plan=plan, directory=tmp_path, watch=die)
    assert any((tmp_path / "unfinished").glob("*.safetensors"))
    begun = []
    got = jnn.run(made, IRIS, members, directory=tmp_path, watch=lambda s: begun.append(s))
    assert begun[0].plan == plan and next(s.done for s in begun if s.stage == "training") > 0.6
    for name in wanted.scores:
        np.testing.assert_array_equal(got.scores[name], wanted.scores[name])
    jax.tree.map(np.testing.assert_array_equal, got.trained, wanted.trained)
    assert not (tmp_path / "unfinished").exists() and (tmp_path / "result.json").exists()


def test_parts_that_were_kept_in_other_layouts_are_found_again(tmp_path):
    columns, arrays = {"seed": np.zeros(6, np.int32)}, resident(study(), IRIS, jnn.seeds(1))
    keeper = Keeper(tmp_path, "program", columns, arrays)
    for start, width in ((0, 4), (4, 2)):  # memory ran out after the first part
        keeper.save(
            start, jnn.Plan(1, 1, width), 3, np.arange(width), {"a": np.ones(width)}, last=True
        )
    assert [keeper.plan(start, 1) for start in (0, 4)] == [jnn.Plan(1, 1, 4), jnn.Plan(1, 1, 2)]
    assert keeper.plan(6, 1) is None


def keeper_of(folder, program="program"):
    return Keeper(
        folder, program, {"seed": np.zeros(2, np.int32)}, resident(study(), IRIS, jnn.seeds(1))
    )


def test_a_part_that_another_run_left_behind_is_not_taken_for_ones_own(tmp_path):
    plan, state = jnn.Plan(1, 1, 2), {"a": np.ones(2)}
    first = keeper_of(tmp_path)
    first.save(0, plan, 3, np.arange(2), state, last=True)
    assert first.load(0, plan, state)[0] == 3
    first.close()
    (tmp_path / "unfinished" / "run.json").unlink()  # as by a kill while it was cleared
    assert keeper_of(tmp_path, "another").load(0, plan, state) is None


def test_what_was_kept_is_removed_under_the_lock_parts_first(tmp_path, monkeypatch):
    keeper, removed, unlink = keeper_of(tmp_path), [], pathlib.Path.unlink
    keeper.save(0, jnn.Plan(1, 1, 2), 3, np.arange(2), {"a": np.ones(2)}, last=True)

    def watched(path, **options):
        removed.append((path.name, keeper.lock.is_locked))
        unlink(path, **options)

    monkeypatch.setattr(pathlib.Path, "unlink", watched)
    keeper.clear()
    assert removed == [("0-2.safetensors", True), ("run.json", True), ("lock", False)]
    assert not (tmp_path / "unfinished").exists()


def test_a_constant_inside_a_jitted_loss_makes_another_run(tmp_path):
    columns, arrays = {"seed": np.zeros(1, np.int32)}, resident(study(), IRIS, jnn.seeds(1))

    def text(last):
        weights = jnp.asarray([1.0, 1.0, last])
        loss = jax.jit(lambda o, y: jnn.losses.softmax_cross_entropy(o, y, class_weights=weights))
        return _text(study(loss=loss), columns, arrays)

    assert text(1.0) == text(1.0) != text(9.0)


def test_a_damaged_file_is_named(tmp_path):
    made = study(epochs=1)
    jnn.run(made, IRIS, jnn.seeds(2), directory=tmp_path)
    for name in ("result.json", "scores.nc", "members.safetensors"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            jnn.Result.load(tmp_path, made)
        (tmp_path / name).write_bytes(whole)
    with pytest.raises(
        ValueError, match=r"params/hidden/0/bias must have shape \(16,\), got \(8,\)"
    ):
        jnn.Result.load(tmp_path, study(model=functools.partial(jnn.models.MLP, 4, (16,), 3)))


def test_a_directory_keeps_the_result_of_another_run(tmp_path):
    made = study(epochs=1)
    jnn.run(made, IRIS, jnn.seeds(1), directory=tmp_path)
    before = (tmp_path / "scores.nc").read_bytes()
    with pytest.raises(ValueError, match="holds the result of another study"):
        jnn.run(made, IRIS, jnn.seeds(1, first=7), directory=tmp_path)
    assert (tmp_path / "scores.nc").read_bytes() == before and not (
        tmp_path / "unfinished"
    ).exists()
    jnn.run(made, IRIS, jnn.seeds(1), directory=tmp_path)


def test_a_directory_serves_one_run_at_a_time(tmp_path):
    def run(**options):
        return jnn.run(made, IRIS, jnn.seeds(1), directory=tmp_path, **options)

    def run_beside(status):
        with pytest.raises(ValueError, match="another one trains in"):
            run()
        raise KeyboardInterrupt

    made = study(epochs=1)
    with pytest.raises(KeyboardInterrupt):
        run(watch=run_beside)
    run()  # nobody is there any more


def test_cross_validation_is_a_run_on_folds():
    made, settings = study(epochs=1), jnn.grid(learning_rate=[0.01, 0.1])
    wanted = jnn.run(made, IRIS, jnn.seeds(2) * jnn.folds(3) * settings)
    for folds in (3, jnn.folds(3)):
        got = jnn.cross_validate(made, IRIS, settings, folds=folds, seeds=2)
        assert got.scores.equals(wanted.scores)
    assert jnn.cross_validate(made, IRIS).scores.sizes["fold"] == 5
    with pytest.raises(ValueError, match="fold"):
        jnn.cross_validate(made, IRIS, jnn.folds(2))


def test_the_record_of_a_study_names_what_it_is_made_of():
    loss = functools.partial(jnn.losses.softmax_cross_entropy, label_smoothing=0.1)
    told = study(
        loss=loss, optimizer=optax.sgd(0.1), metrics={"top": jnn.metrics.top_k(2)}
    ).describe()
    assert (told["inputs"], told["targets"], told["loss"]) == (
        "standardize",
        "identity",
        "softmax_cross_entropy",
    )
    assert told["penalty"] == "none" and "0x" not in str(told)


def test_numbers_of_numpy_are_kept(tmp_path):
    made = study(hyper={"learning_rate": np.float32(0.01)}, epochs=np.int64(1))
    jnn.run(made, IRIS, jnn.seeds(1)).save(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["parts"][0]["study"]["hyper"] == {
        "learning_rate": pytest.approx(0.01)
    }


def test_one_study_predicts_a_classification_and_a_regression():
    model = functools.partial(jnn.models.MLP, 4, (8,), 2)
    loss = lambda o, y: jnn.losses.squared_error(o, jax.nn.one_hot(y, 2) if y.ndim == 1 else y)  # noqa: E731
    made = jnn.Study(model, loss, optax.adam(0.01), epochs=1)
    labels, amounts = IRIS.y % 2, np.stack([IRIS.x[:, 0], IRIS.x[:, 1]], axis=1)
    for target, total in ((labels, True), (amounts, False)):
        mean = (
            jnn.run(made, jnn.Dataset.from_arrays(IRIS.x, target), jnn.seeds(1))
            .predict(IRIS.x)
            .mean
        )
        assert np.allclose(mean.sum(axis=1), 1) is total  # probabilities, or numbers


def test_an_optimizer_that_needs_the_loss_gets_it():
    reduce = lambda h: optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1))  # noqa: E731
    result = jnn.run(study(optimizer=reduce, epochs=2, hyper={}), IRIS, jnn.seeds(1))
    assert np.isfinite(result.scores["train_loss"]).all()


def test_a_folder_with_another_run_is_refused(tmp_path):
    columns, arrays = {"seed": np.zeros(1, np.int32)}, resident(study(), IRIS, jnn.seeds(1))
    keep = lambda made: Keeper(tmp_path, _text(made, columns, arrays), columns, arrays)  # noqa: E731
    keep(study()).close()
    keep(study()).close()
    other_loss = lambda outputs, labels: 2 * jnn.losses.softmax_cross_entropy(outputs, labels)  # noqa: E731
    for other in (
        study(epochs=9),
        study(loss=other_loss),
        study(optimizer=lambda h: optax.sgd(h.learning_rate)),
    ):
        with pytest.raises(ValueError, match="another study, other members or other data"):
            keep(other)


KILLED = """
import sys, functools, optax, numpy as np, jnn, jnn.population._run, jnn.population._keeper
jnn.population._keeper._EVERY = jnn.population._run._SEGMENT = 0.0
study = jnn.Study(functools.partial(jnn.models.MLP, 4, (8,), 3), jnn.losses.softmax_cross_entropy, optax.adam(0.01),
                  {"accuracy": jnn.metrics.accuracy}, epochs=int(sys.argv[2]), batch_size=16)
watch = lambda status: print(status.done, flush=True)
result = jnn.run(study, jnn.data.load("iris"), jnn.seeds(3), directory=sys.argv[1], watch=watch)
np.save(sys.argv[1] + "/losses.npy", result.scores["train_loss"].values)
"""


def test_a_killed_process_loses_nothing(tmp_path):
    epochs = "400"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    start = functools.partial(subprocess.Popen, env=environment, stdout=subprocess.PIPE, text=True)
    killed = start([sys.executable, "-c", KILLED, str(tmp_path / "a"), epochs])
    for line in killed.stdout:
        if float(line) > 0.05:
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    unfinished = list((tmp_path / "a" / "unfinished").glob("*.safetensors"))
    assert unfinished and not (tmp_path / "a" / "result.json").exists()
    again, whole = (start([sys.executable, "-c", KILLED, str(tmp_path / d), epochs]) for d in "ab")
    shares = [float(line) for line in again.communicate()[0].split()]
    whole.communicate()
    assert again.returncode == whole.returncode == 0 and min(s for s in shares if s) > 0.05
    np.testing.assert_array_equal(*(np.load(tmp_path / d / "losses.npy") for d in "ab"))


def test_the_notes_of_a_checkpoint_are_readable(tmp_path):
    jnn.storage.save(tmp_path / "a.safetensors", {"w": np.ones(2)}, epoch=3)
    assert jnn.storage.notes(tmp_path / "a.safetensors") == {"epoch": 3}
    assert jnn.storage.load_nested(tmp_path / "a.safetensors")["w"].tolist() == [1, 1]


def test_a_state_comes_back_from_its_file_with_its_scalars(tmp_path):
    params, key = {"w": jnp.ones((2, 3))}, jax.random.key(3)
    state = jnn.State(
        params, {}, optax.adam(0.1).init(params), (), {"rate": jnp.float32(0.5)}, key, jnp.int32(7)
    )
    jnn.save(tmp_path / "a", state)
    again = jnn.load(tmp_path / "a", state)
    assert [a.shape for a in jax.tree.leaves(again)] == [a.shape for a in jax.tree.leaves(state)]
    assert (again.step, again.key) == (7, key)
    for found, like in (
        (np.ones((3, 5)), np.ones(3)),
        (np.ones(1), np.ones(())),
        (np.ones((2, 2), np.uint32), key),
    ):
        jnn.save(tmp_path / "b", {"a": found})
        with pytest.raises(ValueError, match="a must have shape"):
            jnn.load(tmp_path / "b", {"a": like})


class Tagger(nnx.Module):
    """Outputs for each step of a series."""

    def __init__(self, outputs, *, rngs):
        self.lstm, self.output = (
            jnn.modules.LSTM(1, 8, rngs=rngs),
            jnn.modules.Dense(8, outputs, rngs=rngs),
        )

    def __call__(self, x):
        return self.output(self.lstm(x)[1])


def test_every_position_of_a_row_may_have_a_label_or_a_number_of_its_own():
    """The sign of each value and its cumulative sum are learnt from arrays, as from a series."""
    x = np.random.default_rng(0).normal(size=(120, 6, 1)).astype(np.float32)
    for y, task, loss, metrics, outputs in (
        (
            (x[..., 0] > 0).astype(int),
            "classification",
            jnn.losses.softmax_cross_entropy,
            "accuracy",
            2,
        ),
        (np.cumsum(x, axis=1), "regression", jnn.losses.squared_error, "r2", 1),
    ):
        data = jnn.Dataset.from_arrays(x, y, task=task)
        model, metric = functools.partial(Tagger, outputs), {metrics: getattr(jnn.metrics, metrics)}
        made = jnn.Study(
            model, loss, optax.adam(3e-2), metrics=metric, epochs=12, batch_size=20, validation=0.1
        )
        result = jnn.run(made, data, jnn.folds(2))
        assert result.final()[metrics].mean() > 0.8
        assert result.predict(x[:3]).mean.shape == (3, 6, outputs)


X4 = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
TWO = jnn.Dataset.from_arrays(X4, np.stack([1e3 * X4[:, 0] + 5e3, X4[:, 1]], axis=1))


def test_means_and_variances_of_several_targets_are_transformed_back_each_by_its_own():
    made = study(
        model=linear(4, 4),
        loss=jnn.losses.gaussian_nll,
        metrics={},
        targets=jnn.preprocess.standardize,
    )
    result = jnn.run(made, TWO)
    w, b = result.trained.params["w"][0], result.trained.params["b"][0]
    raw = (X4 - X4.mean(axis=0)) / X4.std(axis=0) @ w + b
    wanted = raw * np.tile(TWO.y.std(axis=0), 2) + np.tile(TWO.y.mean(axis=0), 2)
    np.testing.assert_allclose(result.predict(X4).mean, wanted, rtol=1e-3, atol=1e-2)


def test_quantiles_of_several_targets_are_transformed_back_by_their_targets():
    """As many levels as targets: the axes have one length, and each quantile belongs to a row of them."""

    def loss(outputs, y):
        return jnp.abs(outputs - y[..., None]).mean(axis=(1, 2))

    error = jnn.metrics.Metric(
        lambda: (0.0, 0.0),
        lambda s, p, y, w: (
            s[0] + jnp.sum(w * jnp.abs(p - y[..., None]).mean((1, 2))),
            s[1] + jnp.sum(w),
        ),
        lambda s: s[0] / s[1],
        higher_is_better=False,
        task="regression",
    )
    made = study(
        model=linear(4, 2, 2),
        loss=loss,
        metrics={"error": error},
        targets=jnn.preprocess.standardize,
        inputs=IDENTITY,
    )
    result = jnn.run(made, TWO, jnn.holdout(0.3))
    ((train, _, test),) = jnn.holdout(0.3).split.rows(TWO)
    raw = (X4 @ result.trained.params["w"][0] + result.trained.params["b"][0]).reshape(-1, 2, 2)
    wanted = raw * TWO.y[train].std(axis=0)[:, None] + TWO.y[train].mean(axis=0)[:, None]
    np.testing.assert_allclose(result.predict(X4).mean, wanted, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        result.final()["error"].item(), np.abs(wanted - TWO.y[..., None])[test].mean(), rtol=1e-3
    )


def test_what_a_step_sows_into_its_state_is_named():
    class Sowing(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("losses", "size", x.mean())
            return nn.Dense(3)(x)

    with pytest.raises(ValueError, match=r"changed are .*\['losses'\]\['size'\]"):
        jnn.run(study(model=Sowing()), IRIS)
