"""Heads on frozen features: one population equals its heads alone, and a trunk runs once."""

import dataclasses
import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.sparse

import jnn
from jnn.transfer._labels import drawn
from tests.studies import IRIS

MEMBERS = jnn.seeds(2) * jnn.folds(2)
HEADS = jnn.Study(
    functools.partial(jnn.models.MLP, 2, (), 3),
    jnn.losses.softmax_cross_entropy,
    optax.adam(0.1),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=2,
    batch_size=8,
    inputs=jnn.preprocess.standardize,
)
TRUNKS = {"sepal": lambda x: x[:, :2], "petal": lambda x: x[:, 2:]}


@functools.cache
def curve():
    return jnn.transfer.run(TRUNKS, IRIS, HEADS, MEMBERS, labels=[12, 3])


def folder_without_runs(folder):
    return sorted(path.name for path in (folder / "features").rglob("*.safetensors"))


class Counting:
    """A trunk that counts the rows that it has computed."""

    def __init__(self, fails_at=np.inf):
        self.rows = 0
        self.fails_at = fails_at

    def __call__(self, x):
        self.rows += len(x)
        if self.rows > self.fails_at:
            raise RuntimeError("the power is gone")
        return x[:, :2] * 2


def test_a_head_equals_the_head_of_a_population_of_its_own():
    alone = jnn.transfer.run(TRUNKS["petal"], IRIS, HEADS, jnn.folds(2), labels=[12])
    among = curve().results["petal"].select(seed=0, labels=12)
    np.testing.assert_allclose(
        among.scores["train_loss"].values, alone.result.scores["train_loss"].values, rtol=1e-5
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        among.trained.params,
        alone.results["features"].trained.params,
    )


def test_preprocessing_is_fitted_on_the_labeled_rows_alone():
    heads = curve().results["petal"].select(seed=1, fold=0, labels=3)
    fold = jnn.folds(2).split.rows(IRIS)[0]
    rows = drawn(fold, IRIS.y, "auto", 1, 0)[:3]
    (shift,) = heads.trained.scale[0].shift
    np.testing.assert_allclose(shift, IRIS.x[rows, 2:].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("draw", ["stratified", "balanced"])
def test_fewer_labels_are_among_more_and_every_class_has_its_share(draw):
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    fold = jnn.study.Fold(np.arange(100), None, np.arange(0))
    rows = drawn(fold, classes, draw, 5, 3)
    assert sorted(rows) == list(range(100))
    shares = np.array([0.6, 0.3, 0.1]) if draw == "stratified" else np.full(3, 1 / 3)
    for count in (3, 10, 30):
        counts = np.bincount(classes[rows[:count]], minlength=3)
        assert np.abs(counts - count * shares).max() <= 1
    assert not np.array_equal(rows, drawn(fold, classes, draw, 6, 3))


def test_the_interval_takes_the_rows_that_labels_are_drawn_from_as_training_rows():
    few = curve()
    line = few.table.query("representation == 'petal' and labels == 12").iloc[0]
    scores = few.results["petal"].select(labels=12).final()["accuracy"].values.reshape(2, 2)
    expected = jnn.stats.seed_fold_interval(scores, 75, 75)
    assert line["mean"] == pytest.approx(expected.mean)
    assert (line["low"], line["high"], line["n"]) == pytest.approx(expected[1:4])


def test_representations_are_compared_head_by_head():
    few = curve()
    line = few.difference("petal", "sepal").query("labels == 12").iloc[0]
    both = [
        few.results[name].select(labels=12).final()["accuracy"].values.reshape(2, 2)
        for name in ("petal", "sepal")
    ]
    expected = jnn.stats.paired_comparison(*both, 75, 75)
    assert line["difference"] == pytest.approx((both[0] - both[1]).mean())
    assert (line["low"], line["high"]) == pytest.approx(expected.difference[1:3])
    assert line["p_value"] == pytest.approx(expected.p_value)


def test_a_curve_is_a_table_a_text_a_figure_and_a_result():
    few = curve()
    assert set(few.table["labels"]) == {3, 12} and len(few.table) == 4
    assert "petal" in str(few) and "Nadeau-Bengio" in str(few) and "2 seeds x 2 folds" in str(few)
    assert len(few.result.members) == 2 * 2 * 2 * 2
    (axes,) = few.plot().axes
    lines = [line for line in axes.lines if line.get_label() in TRUNKS]
    assert [list(line.get_xdata()) for line in lines] == [[3, 12], [3, 12]]


def test_heads_predict_rows_by_way_of_their_trunk():
    few = curve()
    heads = few.results["petal"].select(labels=12)
    expected = heads.predict(np.asarray(IRIS.x[:5, 2:])).mean
    np.testing.assert_array_equal(few.predict(IRIS.x[:5], "petal", labels=12).mean, expected)
    with pytest.raises(ValueError, match=re.escape("Name one of ['sepal', 'petal']")):
        few.predict(IRIS.x[:5], labels=12)


def test_features_are_computed_once_and_a_killed_call_goes_on(tmp_path):
    run = functools.partial(
        jnn.transfer.run, data=IRIS, heads=HEADS, members=MEMBERS, labels=[3, 12]
    )
    trunk = functools.partial(jnn.transfer.trunk, batch=2)
    with pytest.raises(ValueError, match="the power is gone"):
        run(trunk(Counting(fails_at=64 + 70)), directory=tmp_path)
    assert len(folder_without_runs(tmp_path)) == 2  # of five files of 32 rows
    rest = Counting()
    first = run(trunk(rest), directory=tmp_path)
    assert rest.rows == 64 + 150 - 64
    again = Counting()
    second = run(trunk(again), directory=tmp_path)
    assert again.rows == 64  # by which the trunk is recognized
    fresh = run(trunk(Counting()))
    for other in (second, fresh):
        for name in ("accuracy", "train_loss"):
            np.testing.assert_array_equal(other.result.scores[name], first.result.scores[name])


def test_a_training_that_was_killed_goes_on_with_the_same_bits(tmp_path):
    def killed(status):
        if status.stage == "training" and status.done > 0.4:
            raise KeyboardInterrupt

    arguments = (TRUNKS["petal"], IRIS, HEADS, MEMBERS)
    with pytest.raises(KeyboardInterrupt):
        jnn.transfer.run(*arguments, labels=[12, 3], directory=tmp_path, progress=killed)
    few = jnn.transfer.run(*arguments, labels=[12, 3], directory=tmp_path)
    np.testing.assert_array_equal(
        few.results["features"].scores["accuracy"], curve().results["petal"].scores["accuracy"]
    )


class Linen(nn.Module):
    """Two layers of Linen."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="output")(nn.relu(nn.Dense(2, name="hidden")(x)))


@pytest.mark.parametrize("kind", ["nnx", "linen", "result"])
def test_a_network_is_cut_before_a_layer(kind):
    network = Linen() if kind == "linen" else functools.partial(jnn.models.MLP, 4, (2,), 3)
    params, state = jnn.as_model(network).init(jax.random.key(0), IRIS.x)
    trunk = jnn.transfer.trunk
    if kind == "result":
        study = dataclasses.replace(HEADS, model=network, epochs=1)
        member = jnn.run(study, IRIS, jnn.seeds(1)).member(0)
        params = jax.tree.map(lambda array: array[0], member.trained.params)
        cut, whole = trunk(member, cut="output"), trunk(member)
        stats = member.trained.input_stats
        x = (IRIS.x - stats.shift) / stats.scale
    else:
        cut, whole = trunk(network, (params, state), cut="output"), trunk(network, params)
        x = IRIS.x
    hidden = params["hidden"] if kind == "linen" else params["hidden"]["0"]
    expected = np.maximum(x @ hidden["kernel"] + hidden["bias"], 0)
    np.testing.assert_allclose(cut.features(IRIS.x), expected, rtol=1e-5, atol=1e-5)
    outputs = expected @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(whole.features(IRIS.x), outputs, rtol=1e-5, atol=1e-5)


def test_with_augmentation_the_trunk_is_inside_the_program():
    network = functools.partial(jnn.models.MLP, 4, (2,), 3)
    base = jnn.as_model(network).init(jax.random.key(0), IRIS.x)
    trunk = jnn.transfer.trunk(network, base, cut="output")
    plain = dataclasses.replace(HEADS, inputs=jnn.preprocess.identity)
    augmented = dataclasses.replace(plain, augment=lambda batch, *, key: batch)
    run = functools.partial(jnn.transfer.run, trunk, IRIS, members=jnn.folds(2), labels=[12])
    before, inside = run(heads=plain), run(heads=augmented)
    np.testing.assert_allclose(
        inside.result.scores["train_loss"], before.result.scores["train_loss"], rtol=1e-5
    )
    rows = IRIS.x[:4]
    np.testing.assert_allclose(
        inside.predict(rows, fold=0).mean, before.predict(rows, fold=0).mean, rtol=1e-4
    )


def test_a_study_that_names_labels_is_told_their_number():
    draws = jnn.transfer._labels.draws(IRIS, MEMBERS, [12, 3], "auto")
    places = np.arange(len(draws.members))
    assert "labels" not in draws.trained(places, with_labels=False).columns()
    told = draws.trained(places, with_labels=True)
    np.testing.assert_array_equal(told.columns()["labels"], draws.labels)
    for place in (0, 3):
        fold = told.split.rows(IRIS)[told.columns()["fold"][place]]
        np.testing.assert_array_equal(fold.train, draws.rows(place).train)
        assert len(fold.train) == draws.labels[place]


def test_sparse_features_are_columns_and_values(tmp_path):
    dense = np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3], [0, 0, 4]], np.float32)
    data = jnn.Dataset.from_arrays(np.arange(4.0)[:, None], [0, 1, 0, 1])
    trunk = jnn.transfer.trunk(
        lambda x: scipy.sparse.csr_array(dense[x[:, 0].astype(int)]), batch=3
    )
    for folder in (None, tmp_path, tmp_path):
        rows = jnn.transfer._features.features_of(trunk, data, "sparse", folder)
        back = np.zeros_like(dense)
        np.add.at(back, (np.arange(4)[:, None], rows["columns"]), rows["values"])
        np.testing.assert_array_equal(back, dense)


WRONG = {
    "labels must name at least one number": {"labels": []},
    "labels must be a list of numbers of rows": {"labels": 16},
    "labels must be at most the number of training rows of each fold, 75": {"labels": [3, 100]},
    "labels must be at least the number of classes, 3": {"labels": [2]},
    "labels must be different": {"labels": [16, 16]},
    "draw must be one of": {"draw": "sorted"},
    "members must have folds": {"members": jnn.seeds(3)},
    "members must not have an axis named labels": {
        "members": jnn.folds(2) * jnn.grid(labels=[1, 2])
    },
    "Nothing reads the hyper-parameters ['width']": {
        "members": jnn.folds(2) * jnn.grid(width=[1, 2])
    },
    "must give one row of features for each row, got 149 for 150": {"trunk": lambda x: x[1:, :2]},
    "must give finite features": {"trunk": lambda x: np.full((len(x), 2), np.nan)},
    "must give one row of features for each row, got one value": {"trunk": lambda x: None},
    "must give features of shape [rows, *features], got (150,)": {"trunk": lambda x: x[:, 0]},
    "must give features of shape [rows, *features], got (150, 0)": {"trunk": lambda x: x[:, :0]},
    "must give finite features, got NaN or inf": {"trunk": lambda x: x.astype("f8") * 1e300},
    "must give features of one shape for all rows, got (64,) and (22,)": {
        "trunk": jnn.transfer.trunk(lambda x: np.ones((len(x), len(x))), batch=64)
    },
    "failed on 150 rows: setting an array element": {
        "trunk": lambda x: [[1.0] * (1 + place % 2) for place in range(len(x))]
    },
    "labels must be a positive integer, got [16]": {"labels": [[16], [3, 4]]},
    "C must be positive": {
        "heads": jnn.transfer.linear_probe,
        "members": jnn.folds(2) * jnn.grid(C=[1.0, 0.0]),
    },
    "linear_probe needs one array of features, or a sparse matrix, got ['a', 'b']": {
        "heads": jnn.transfer.linear_probe,
        "trunk": lambda x: {"a": x, "b": x},
    },
    "trunk must be a function of rows, a pair": {"trunk": 3},
    "A dict of trunks must name each": {"trunk": {}},
    "heads must be a jnn.Study": {"heads": None},
    "The model MLP failed on x of shape (8, 4)": {"trunk": lambda x: x},
    "the trunk 'features' must be a network": {
        "heads": dataclasses.replace(HEADS, augment=lambda batch, *, key: batch)
    },
}


@pytest.mark.parametrize("sentence", WRONG)
def test_bad_input_is_one_sentence_before_compiling(sentence, monkeypatch):
    monkeypatch.setattr(
        jnn.population._population, "_check_memory", lambda *_: pytest.fail("it was compiled")
    )
    arguments = {"trunk": TRUNKS["petal"], "heads": HEADS, "members": MEMBERS, "labels": [3]}
    with pytest.raises((TypeError, ValueError), match=re.escape(sentence)):
        jnn.transfer.run(data=IRIS, **(arguments | WRONG[sentence]))


def test_a_layer_that_the_network_lacks_is_told_with_those_that_it_has():
    network = functools.partial(jnn.models.MLP, 4, (2,), 3)
    base = jnn.as_model(network).init(jax.random.key(0), IRIS.x)
    trunk = jnn.transfer.trunk(network, base, cut="head")
    with pytest.raises(ValueError, match=r"MLP has no layer 'head'\. Its layers are"):
        jnn.transfer.run(trunk, IRIS, HEADS, MEMBERS, labels=[3])
    with pytest.raises(TypeError, match="cut names a layer of a Flax network"):
        jnn.transfer.trunk(
            (lambda key: {"w": jnp.zeros(4)}, lambda p, x: x @ p["w"]), {"w": 1.0}, cut="w"
        )
