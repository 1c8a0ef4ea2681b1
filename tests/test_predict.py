"""Predictions of new rows: in batches, from tables, and by programs that need no jnn or Flax."""

import functools
import subprocess
import sys

import jax
import numpy as np
import optax
import pandas
import pytest
from flax import nnx

import jnn
from tests.studies import IRIS
from tests.trained import iris_result


def study(model, task="classification", **settings):
    loss = (
        jnn.losses.softmax_cross_entropy if task == "classification" else jnn.losses.squared_error
    )
    return jnn.Study(
        model,
        loss,
        lambda h: optax.adam(h.learning_rate),
        hyper={"learning_rate": 0.01},
        epochs=2,
        **settings,
    )


@pytest.fixture(scope="module")
def iris():
    return iris_result()


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {"size": random.normal(1e3, 1e2, 64), "town": random.choice(["north", "south"], 64)}
    )
    frame["price"] = 3 * frame["size"] + 500 * (frame["town"] == "north")
    made = study(
        functools.partial(jnn.models.MLP, 3, (), 1),
        "regression",
        inputs=jnn.preprocess.standardize,
        targets=jnn.preprocess.standardize,
    )
    return jnn.run(made, jnn.Dataset.from_dataframe(frame, "price"), jnn.seeds(3)), frame


def by_numpy(result, index, x):
    """What member `index` says of rows x of iris, from its arrays alone."""
    params, scale = jax.tree.map(
        lambda a: np.asarray(a[index], np.float64), (result.trained.params, result.trained.scale)
    )
    h = (x - scale[0].shift) / scale[0].scale
    h = np.maximum(h @ params["hidden"]["0"]["kernel"] + params["hidden"]["0"]["bias"], 0)
    logits = h @ params["output"]["kernel"] + params["output"]["bias"]
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_predictions_are_those_of_the_members_arrays(iris):
    got = iris.predict(IRIS.x)
    wanted = np.stack([by_numpy(iris, i, IRIS.x) for i in range(24)])
    np.testing.assert_allclose(got.members, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.mean, wanted.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.std, wanted.std(axis=0), rtol=1e-3, atol=1e-6)


def test_a_file_larger_than_memory_is_read_batch_by_batch(iris, tmp_path):
    np.save(tmp_path / "rows.npy", IRIS.x.astype(np.float64))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    wanted = iris.predict(IRIS.x)
    pieces = list(iris.predictions(rows, batch=64))
    assert [len(p.mean) for p in pieces] == [64, 64, 22]
    np.testing.assert_allclose(
        np.concatenate([p.mean for p in pieces]), wanted.mean, rtol=1e-5, atol=1e-6
    )
    lean = iris.predict(rows, batch=64, each=False)
    assert lean.members is None
    np.testing.assert_allclose(lean.std, wanted.std, rtol=1e-4, atol=1e-6)


def test_members_are_selected_by_their_numbers(iris):
    chosen = iris.select(learning_rate=0.1, fold=1)
    assert (
        chosen.members.columns()["seed"].tolist() == [0, 1, 2]
        and chosen.scores.sizes["member"] == 3
    )
    np.testing.assert_array_equal(chosen.outputs(IRIS.x[:5]), iris.outputs(IRIS.x[:5])[[3, 11, 19]])
    wanted = iris.scores["loss"].sel(learning_rate=0.1, fold=1).values
    np.testing.assert_array_equal(chosen.scores["loss"].values, wanted)
    for numbers, words in (({"learning_rate": 3.0}, "No member has"), ({"speed": 1}, "speed")):
        with pytest.raises(ValueError, match=words):
            iris.select(**numbers)
    with pytest.raises(ValueError, match="24 members"):
        iris.member(24)


def test_a_table_is_encoded_as_in_training_also_after_saving(table, tmp_path):
    result, frame = table
    new = frame.drop(columns="price")[["town", "size"]].iloc[
        :5
    ]  # other order of columns, one of two towns may be absent
    x = np.stack([new["size"], new["town"] == "north", new["town"] == "south"], axis=1).astype(
        np.float32
    )
    wanted = result.predict(x).mean
    np.testing.assert_array_equal(result.predict(new).mean, wanted)
    again = jnn.Result.load(result.save(tmp_path), result.study)
    np.testing.assert_array_equal(again.predict(new).mean, wanted)
    with pytest.raises(ValueError, match="'east'"):
        result.predict(new.assign(town="east"))
    with pytest.raises(ValueError, match="'town'"):
        result.predict(new.drop(columns="town"))


def test_rows_that_do_not_fit_get_one_sentence(iris):
    for x, words in (
        (np.zeros((3, 1)), r"shape \(4,\)"),  # would be broadcast
        (np.zeros(4), "as in training"),
        (np.zeros((0, 4)), "at least one row"),
        (np.full((2, 4), "a"), "type float32"),
    ):
        with pytest.raises(ValueError, match=words):
            iris.predict(x)
    for batch in (0, 2.5):
        with pytest.raises(ValueError, match="at least 1 row"):
            iris.predict(IRIS.x, batch=batch)


FRESH = """
import sys
for name in ("jnn", "flax", "optax"):
    sys.modules[name] = None  # importing it fails
import pathlib, jax, numpy as np
program = jax.export.deserialize(pathlib.Path(sys.argv[1]).read_bytes())
x = np.load(sys.argv[2])
np.savez(sys.argv[3], *[y for rows in (x, x[:1]) for y in jax.tree.leaves(program.call(rows))])
"""


def in_a_fresh_process(program, x, folder):
    """What the file says of all rows and of the first one alone."""
    np.save(folder / "x.npy", x)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import jax.export\n" + FRESH,
            program,
            folder / "x.npy",
            folder / "y.npz",
        ],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return list(np.load(folder / "y.npz").values())


class Network(nnx.Module):
    """Convolution, batch norm, pooling, dropout, dense."""

    def __init__(self, outputs, *, rngs):
        self.conv, self.norm = (
            jnn.modules.Conv(1, 4, (3, 3), rngs=rngs),
            jnn.modules.BatchNorm(4, rngs=rngs),
        )
        self.dropout, self.output = (
            jnn.modules.Dropout(0.5, rngs=rngs),
            jnn.modules.Dense(64, outputs, rngs=rngs),
        )

    def __call__(self, x):
        x = jnn.layers.max_pool(jax.nn.relu(self.norm(self.conv(x))), 2)
        return self.output(self.dropout(x.reshape(x.shape[0], -1)))


def test_an_exported_member_needs_neither_jnn_nor_flax(tmp_path):
    random = np.random.default_rng(0)
    data = jnn.Dataset.from_arrays(random.normal(size=(48, 8, 8, 1)), random.integers(0, 3, 48))
    made = study(functools.partial(Network, 3), inputs=jnn.preprocess.standardize)
    result = jnn.run(made, data, jnn.seeds(2))
    wanted = result.predict(data.x[:7])
    got = in_a_fresh_process(result.export(tmp_path / "member", member=1), data.x[:7], tmp_path)
    np.testing.assert_allclose(got[0], wanted.members[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1], wanted.members[1][:1], rtol=1e-5, atol=1e-6)


def test_an_exported_ensemble_gives_mean_and_spread_in_the_targets_units(table, tmp_path):
    result, frame = table
    x = jnn.Dataset.from_dataframe(frame, "price").x[:6]
    mean, std, *_ = in_a_fresh_process(result.export(tmp_path / "all"), x, tmp_path)
    wanted = result.predict(x)
    np.testing.assert_allclose(mean, wanted.mean, rtol=1e-5)
    np.testing.assert_allclose(std, wanted.std, rtol=1e-3)
    assert std.min() > 0 and mean.mean() > 1000


def test_what_cannot_be_exported_says_so(iris, tmp_path):
    with pytest.raises(ValueError, match="24 members"):
        iris.export(tmp_path / "x", member=24)
    with pytest.raises(ValueError, match="loaded without"):
        jnn.Result.load(iris.save(tmp_path)).export(tmp_path / "x")


@pytest.mark.parametrize(
    "values", [np.arange(1, 20) % 5, np.random.default_rng(0).normal(size=(40, 2))]
)
def test_windows_of_a_series_are_rows_like_any_other(values):
    is_ids = values.ndim == 1
    data = jnn.Dataset.from_tokens(values, 4) if is_ids else jnn.Dataset.from_series(values, 8, 3)
    factory = functools.partial(Words, 5) if is_ids else functools.partial(jnn.models.NLinear, 8, 3)
    result = jnn.run(study(factory, data.task, batch_size=4), data, jnn.seeds(2))
    wanted = result.predict(data.x[np.arange(10)])
    got = result.predict(data.x, batch=4)
    assert got.members.shape == (2, data.rows, *((4, 5) if is_ids else (3, 2)))
    np.testing.assert_allclose(got.mean[:10], wanted.mean, rtol=1e-5, atol=1e-6)
    if is_ids:
        np.testing.assert_allclose(got.mean.sum(axis=-1), 1, rtol=1e-5)
        with pytest.raises(ValueError, match="token ids to integers"):
            result.predict(data.x[np.arange(10)].astype(float))


class Words(nnx.Module):
    """Embedding, dense: a bigram model."""

    def __init__(self, vocabulary, *, rngs):
        self.embedding = jnn.modules.Embedding(vocabulary, 4, rngs=rngs)
        self.output = jnn.modules.Dense(4, vocabulary, rngs=rngs)

    def __call__(self, ids):
        return self.output(self.embedding(ids))


def test_outputs_in_a_tuple_are_predicted_and_exported_in_the_targets_units(tmp_path):
    """A mean and a second output; the last batch is padded, and no axis is taken for another."""
    from jax import export

    x = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    data = jnn.Dataset.from_arrays(x, 50 * x[:, 0] + 7)
    model = (
        lambda key: {"w": jax.random.normal(key, (3,))},
        lambda params, x: (x @ params["w"], -x @ params["w"]),
    )
    made = jnn.Study(
        model,
        lambda o, y: (o[0] - y) ** 2,
        optax.sgd(0.1),
        epochs=1,
        batch_size=8,
        targets=jnn.preprocess.standardize,
    )
    result = jnn.run(made, data, jnn.seeds(2))
    got, w, scale = result.predict(x, batch=10), result.trained.params["w"], result.trained.scale[1]
    wanted = [sign * (x @ w.T).T * scale.scale[:, None] + scale.shift[:, None] for sign in (1, -1)]
    exported = export.deserialize(result.export(tmp_path / "f").read_bytes()).call(x)
    for i in range(2):
        np.testing.assert_allclose(got.members[i], wanted[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(got.std[i], wanted[i].std(axis=0), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(result.outputs(x, batch=10)[i], wanted[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(exported[0][i], wanted[i].mean(axis=0), rtol=1e-4, atol=1e-3)


def test_probabilities_are_made_of_one_array():
    model = (
        lambda key: {"w": jax.random.normal(key, (4, 3))},
        lambda params, x: (x @ params["w"], x),
    )
    made = jnn.Study(
        model, lambda o, y: jnn.losses.softmax_cross_entropy(o[0], y), optax.sgd(0.1), epochs=1
    )
    result = jnn.run(made, IRIS)
    with pytest.raises(ValueError, match=r"one array of logits, .* a tuple"):
        result.predict(IRIS.x)


@pytest.mark.parametrize("positions", [2, 6])
def test_one_logit_for_each_position_gives_each_its_probabilities(positions, tmp_path):
    from jax import export

    x = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
    data = jnn.Dataset.from_arrays(
        x, (x[:, :1] > np.linspace(-1, 1, positions)).astype(int), task="classification"
    )
    model = (
        lambda key: {"w": jax.random.normal(key, (4, positions))},
        lambda params, x: x @ params["w"],
    )
    made = jnn.Study(model, jnn.losses.binary_cross_entropy, optax.sgd(0.1), epochs=1, batch_size=8)
    result = jnn.run(made, data)
    yes = 1 / (1 + np.exp(-x @ result.trained.params["w"][0]))
    wanted = np.stack([1 - yes, yes], axis=-1)
    np.testing.assert_allclose(result.predict(x).mean, wanted, rtol=1e-4, atol=1e-6)
    exported = export.deserialize(result.export(tmp_path / "f", member=0).read_bytes()).call(x)
    np.testing.assert_allclose(exported, wanted, rtol=1e-4, atol=1e-6)
