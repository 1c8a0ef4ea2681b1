"""Streams of several arrays, and streams that are asked for in a wrong way."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn.data import Stream

pytest.importorskip("grain", reason="needs the extra 'stream'")

DRAW = np.random.default_rng(0)
X = {"ids": DRAW.integers(0, 9, (40, 3)), "numbers": DRAW.normal(size=(40, 2)).astype(np.float32)}
Y = {"label": DRAW.integers(0, 2, 40), "size": DRAW.normal(size=40).astype(np.float32)}
PAIR = (X["numbers"], Y["label"])


def init(key, x):
    return {"words": jnp.zeros(9), "kernel": jnp.zeros(2)}


def apply(params, x):
    return params["words"][x["ids"]].sum(axis=1) + x["numbers"] @ params["kernel"]


def loss(outputs, y):
    return (outputs - y["size"] - y["label"]) ** 2


def test_a_stream_of_parts_trains_as_the_rows_do():
    """One pass over all rows in one batch takes the step of a data set of these rows."""
    data = jnn.Dataset.from_arrays(X, Y)
    settings = {"epochs": 1, "batch_size": 40, "inputs": jnn.preprocess.identity}
    study = jnn.Study((init, apply), loss, optax.sgd(0.01), **settings)
    resident = jnn.run(study, data)
    streamed = jnn.run(study, Stream((X, Y), 40), test=data)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        resident.trained.params,
        streamed.trained.params,
    )
    assert streamed.predict(X).mean.shape == (40,)


def test_rows_that_are_mappings_become_parts():
    columns = {**X, **Y}
    rows = [{name: column[i] for name, column in columns.items()} for i in range(40)]
    x, y = Stream(rows, 8, columns=(["ids", "numbers"], ("label", "size")))[0]
    place = [int(np.flatnonzero((X["numbers"] == n).all(axis=1))[0]) for n in x["numbers"]]
    np.testing.assert_array_equal(x["ids"], X["ids"][place])
    np.testing.assert_array_equal(y["size"], Y["size"][place])


def test_a_stream_has_the_parts_of_its_test_set():
    study = jnn.Study((init, apply), loss, optax.sgd(0.01), epochs=1, batch_size=8)
    test = jnn.Dataset.from_arrays(X, Y)
    with pytest.raises(ValueError, match="must have the parts of the test set"):
        jnn.run(study, Stream(({"ids": X["ids"]}, Y), 8), test=test)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"source": 5}, "source must be a pair"),
        ({"source": (X["numbers"], None)}, r"source\[1\] must be an array, got None"),
        ({"batch_size": "4"}, "batch_size must be an integer, got '4'"),
        ({"batch_size": True}, "batch_size must be an integer, got True"),
        ({"threads": 1.5}, "threads must be an integer"),
        ({"seed": "x"}, "seed must be an integer"),
        ({"columns": "xy"}, "columns must be"),
        ({"transform": 5}, "transform must be a function"),
    ],
)
def test_an_argument_of_another_type_is_one_sentence(settings, sentence):
    with pytest.raises(TypeError, match=sentence):
        Stream(**{"source": PAIR, "batch_size": 4, **settings})


@pytest.mark.parametrize(
    "make",
    [
        lambda: jnn.folds([1]),
        lambda: jnn.folds("abc"),
        lambda: jnn.sample(3, seed="x", a=jnn.uniform(0, 1)),
        lambda: jnn.sample(3, a=lambda: 3),
        lambda: jnn.uniform("a", 1),
    ],
)
def test_members_of_another_type_are_one_sentence(make):
    with pytest.raises(TypeError, match=r"must be .*, (got|but)"):
        make()
