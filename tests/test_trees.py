"""Inputs and targets of several arrays train, score, resume and predict as one array does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

import jnn

DRAW = np.random.default_rng(0)
ROWS = 48
LABEL = DRAW.integers(0, 3, ROWS)
X = {
    "ids": DRAW.integers(0, 2000, (ROWS, 5)),
    "length": DRAW.integers(1, 6, ROWS),
    "numbers": DRAW.normal(100.0, 7.0, (ROWS, 2)),
    "mask": DRAW.integers(0, 2, (ROWS, 5)).astype(bool),
}
Y = {"class": LABEL, "box": DRAW.normal(5.0, 3.0, (ROWS, 2))}


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        assert x["ids"].dtype == jnp.int32 and x["mask"].dtype == bool
        counts = jnp.arange(5) < x["length"][:, None]
        words = nn.Embed(2000, 4)(x["ids"]) * (counts & x["mask"])[..., None]
        h = jnp.concatenate([words.sum(1), x["numbers"]], axis=1)
        return {"class": nn.Dense(3)(h), "box": nn.Dense(2)(h)}


class OneHead(nnx.Module):
    def __init__(self, *, rngs):
        self.embed = nnx.Embed(2000, 4, rngs=rngs)
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        words, numbers = x
        return self.head(jnp.concatenate([self.embed(words).sum(1), numbers], axis=1))


def loss(outputs, y):
    entropy = jnn.losses.softmax_cross_entropy(outputs["class"], y["class"])
    return entropy + jnn.losses.squared_error(outputs["box"], y["box"])


def study(**settings):
    defaults = {
        "model": Net(),
        "loss": loss,
        "optimizer": optax.adam(0.01),
        "metrics": {
            "accuracy": jnn.metrics.of("class", jnn.metrics.accuracy),
            "rmse": jnn.metrics.of("box", jnn.metrics.rmse),
        },
        "epochs": 2,
        "batch_size": 12,
        "inputs": jnn.preprocess.by_name({"numbers": jnn.preprocess.standardize}),
        "targets": jnn.preprocess.by_name({"box": jnn.preprocess.standardize}),
    }
    return jnn.Study(**{**defaults, **settings})


STUDY = study()


@pytest.fixture(scope="module")
def data():
    return jnn.Dataset.from_arrays(X, Y, weights=np.linspace(0.5, 2, ROWS))


@pytest.fixture(scope="module")
def trained(data):
    return jnn.run(STUDY, data, jnn.seeds(2) * jnn.folds(3))


def test_types_are_those_of_the_parts(data):
    kinds = {name: str(part.dtype) for name, part in data.x.items()}
    assert kinds == {"ids": "int32", "length": "int32", "numbers": "float32", "mask": "bool"}
    assert (data.rows, len(data), data.task, data.outputs) == (ROWS, ROWS, "multitask", 0)
    assert len(data.take([1, 5])) == 2 and data.take([1, 5]).y["box"].shape == (2, 2)
    assert not data.x["ids"].flags.writeable


def test_folds_are_stratified_by_the_one_label(data):
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(LABEL, LABEL)
    for (_, test), ours in zip(folds, jnn.folds(3).split.rows(data), strict=True):
        np.testing.assert_array_equal(test, ours.test)
    two = jnn.Dataset.from_arrays(X, {"a": LABEL, "b": LABEL})
    assert two.row_labels is None and len(jnn.folds(3).split.rows(two)) == 3


def test_scores_and_predictions_are_those_of_numpy(data, trained):
    rows = jnn.folds(3).split.rows(data)
    one = trained.select(seed=1, fold=2)
    train, test = rows[2].train, rows[2].test
    predicted = one.predict(jax.tree.map(lambda part: part[test], X), batch=7).members
    params = jax.tree.map(lambda array: np.asarray(array[0], np.float64), one.trained.params)
    weights = np.asarray(data.weights, np.float64)

    def moments(values):
        mean = np.average(values[train], axis=0, weights=weights[train])
        spread = np.average((values[train] - mean) ** 2, axis=0, weights=weights[train])
        return mean, np.sqrt(spread)

    counts = (np.arange(5) < X["length"][test][:, None]) & X["mask"][test]
    words = (params["Embed_0"]["embedding"][X["ids"][test]] * counts[..., None]).sum(1)
    mean, deviation = moments(X["numbers"])
    h = np.concatenate([words, (X["numbers"][test] - mean) / deviation], axis=1)
    heads = {"class": params["Dense_0"], "box": params["Dense_1"]}
    outputs = {name: h @ head["kernel"] + head["bias"] for name, head in heads.items()}
    mean, deviation = moments(Y["box"])
    box = outputs["box"] * deviation + mean
    np.testing.assert_allclose(predicted["class"][0], outputs["class"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(predicted["box"][0], box, rtol=1e-4)
    error = np.average((box - Y["box"][test]) ** 2, axis=0, weights=weights[test])
    right = np.average(outputs["class"].argmax(1) == LABEL[test], weights=weights[test])
    np.testing.assert_allclose(one.final()["rmse"].item(), np.sqrt(error).mean(), rtol=1e-4)
    np.testing.assert_allclose(one.final()["accuracy"].item(), right, rtol=1e-5)


def test_a_member_is_its_solo_run(data, trained):
    solo = jnn.run(STUDY, data, (jnn.seeds(2) * jnn.folds(3))[[4]])
    np.testing.assert_allclose(
        solo.trained.params["Dense_1"]["kernel"][0],
        trained.trained.params["Dense_1"]["kernel"][4],
        rtol=2e-5,
        atol=1e-6,
    )


def test_results_of_parts_are_saved_loaded_and_shown(trained, tmp_path):
    trained.save(tmp_path)
    loaded = jnn.Result.load(tmp_path, study())
    assert loaded.schema == trained.schema and "ids" in repr(loaded)
    ours, theirs = (result.predict(X).mean for result in (trained, loaded))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.ones((3, 5)), "x must have the parts .*'ids'.* as in training, got ndarray"),
        ({**X, "more": LABEL}, "must have the parts"),
        ({**X, "ids": X["ids"][:, :4]}, r"x\['ids'\] must hold rows of shape \(5,\)"),
        ({**X, "ids": X["ids"] + 0.5}, r"x\['ids'\] must hold rows of type int32, got float64"),
        ({**X, "mask": X["ids"]}, r"x\['mask'\] must hold rows of type bool"),
        ({**X, "length": X["length"][:4]}, "as many rows"),
    ],
)
def test_other_parts_than_in_training_are_one_sentence(trained, x, sentence):
    with pytest.raises(ValueError, match=sentence):
        trained.predict(x)


def test_a_run_of_parts_goes_on_with_the_same_bits(data, trained, tmp_path):
    members = jnn.seeds(2) * jnn.folds(3)

    def stop(status):
        if status.stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(STUDY, data, members, directory=tmp_path, progress=stop, save_every=0, look_every=0)
    resumed = jnn.run(STUDY, data, members, directory=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, trained.trained, resumed.trained)


def test_a_tuple_of_inputs_and_a_test_set_of_its_own():
    parts = (X["ids"], X["numbers"].astype(np.float32))
    train, test = ([part[rows] for part in parts] for rows in (slice(36), slice(36, 48)))
    made = study(
        model=OneHead,
        loss=jnn.losses.softmax_cross_entropy,
        metrics={"accuracy": jnn.metrics.accuracy},
        inputs=jnn.preprocess.by_name({1: jnn.preprocess.standardize}),
        targets=jnn.preprocess.identity,
        class_weights="balanced",
        precision="bfloat16",
        validation=0.25,
        keep="best",
    )
    one = jnn.Dataset.from_arrays(tuple(train), LABEL[:36])
    other = jnn.Dataset.from_arrays(tuple(test), LABEL[36:])
    result = jnn.run(made, one, test=other)
    shares = result.predict(tuple(test)).mean
    right = np.mean(shares.argmax(1) == LABEL[36:])
    np.testing.assert_allclose(result.final()["accuracy"].item(), right, rtol=1e-6)


def test_targets_may_be_absent_where_the_loss_reads_outputs_alone():
    """An autoencoder: its outputs hold what it has read."""
    x = DRAW.normal(size=(40, 3)).astype(np.float32)
    model = (
        lambda key, x: {"w": jnp.eye(3) / 2},
        lambda params, x: {"input": x, "copy": x @ params["w"]},
    )
    made = jnn.Study(
        model,
        lambda outputs, y: jnn.losses.squared_error(outputs["copy"], outputs["input"]),
        optax.sgd(0.1),
        epochs=1,
        batch_size=30,
    )
    result = jnn.run(made, jnn.Dataset.from_arrays(x), jnn.holdout(0.25))
    copy = result.outputs(x)
    ((_, _, test),) = jnn.holdout(0.25).split.rows(jnn.Dataset.from_arrays(x))
    error = np.mean((copy["copy"][0][test] - x[test]) ** 2)
    np.testing.assert_allclose(result.final()["loss"].item(), error, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (None, LABEL, "x must be an array, got NoneType"),
        (iter(LABEL), LABEL, "x must be an array, got"),
        ([{"a": 1}, {"a": 2}], [0, 1], "got rows that are dicts. Pass a dict of arrays"),
        ({"a": None}, None, r"x\['a'\] must be an array, got NoneType"),
        ({1: LABEL}, None, "text as names, got 1"),
        ({"a": ["b", "c"]}, None, r"x\['a'\] must hold numbers, got type <U1"),
    ],
)
def test_what_is_no_array_is_one_sentence(x, y, words):
    with pytest.raises(TypeError, match=words):
        jnn.Dataset.from_arrays(x, y)


def test_one_of_several_outputs_is_scored_on_plain_labels():
    logits = DRAW.normal(size=(ROWS, 3))
    metric = jnn.metrics.of("logits", jnn.metrics.accuracy)
    got = metric({"logits": jnp.asarray(logits), "other": jnp.zeros(ROWS)}, jnp.asarray(LABEL))
    np.testing.assert_allclose(got, np.mean(logits.argmax(1) == LABEL), rtol=1e-6)


REFUSED = [
    ({"inputs": jnn.preprocess.standardize}, "Study.inputs failed .* jnn.preprocess.by_name"),
    (
        {"inputs": jnn.preprocess.by_name({"number": jnn.preprocess.standardize})},
        r"by_name must name parts of the values, which are .*, got \['number'\]",
    ),
    (
        {"targets": jnn.preprocess.by_name({"bx": jnn.preprocess.standardize})},
        r"Study.targets failed .* got \['bx'\]",
    ),
    ({"class_weights": "balanced"}, "Study.class_weights needs a classification .* multitask"),
    ({"metrics": {"rmse": jnn.metrics.rmse}}, r"jnn.metrics.of\('label', metric\)"),
    (
        {"metrics": {"rmse": jnn.metrics.of("bx", jnn.metrics.rmse)}},
        r"The metric 'rmse' failed .* a part 'bx', got only",
    ),
]


@pytest.mark.parametrize(("settings", "sentence"), REFUSED)
def test_what_does_not_fit_parts_is_one_sentence(data, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        jnn.run(study(**settings), data)


def test_parts_go_to_arguments_of_their_names_also_to_those_with_a_default():
    class Masked(nnx.Module):
        def __init__(self, *, rngs):
            self.dense = nnx.Linear(2, 1, rngs=rngs)

        def __call__(self, x, mask=None):
            return self.dense(x if mask is None else x * mask)

    model = jnn.as_model(Masked)
    x = {"x": np.array([[1.0, 5.0], [2.0, 7.0]], np.float32), "mask": np.array([[1, 0], [0, 1]])}
    params, state = model.init(jax.random.key(0), x)
    outputs, _ = model.apply(params, state, x)
    kernel = np.asarray(params["dense"]["kernel"])  # the bias begins at 0
    np.testing.assert_allclose(outputs, np.array([[1.0, 0.0], [0.0, 7.0]]) @ kernel, rtol=1e-6)
