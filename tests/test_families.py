"""Model families by name: every one trains on the data it is for, and what does not fit gets one sentence."""

import functools

import jax
import numpy as np
import pytest

import jnn
from jnn.cli import _recipe as recipe
from jnn.preprocess import standardize_channels
from jnn.recipes import _families as families

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 7, 40)
DATA = {
    "vectors": jnn.Dataset.from_arrays(RANDOM.normal(size=(24, 40)), RANDOM.integers(0, 3, 24)),
    "images": jnn.Dataset.from_arrays(RANDOM.normal(size=(24, 8, 8, 3)), RANDOM.integers(0, 3, 24)),
    "signals": jnn.Dataset.from_arrays(RANDOM.normal(size=(24, 16, 2)), RANDOM.integers(0, 3, 24)),
    "texts": jnn.Dataset.from_arrays(
        RANDOM.integers(0, 9, (24, 6)), RANDOM.integers(0, 3, 24), ids=True
    ),
    "tokens": jnn.Dataset.from_tokens(IDS, 6),
    "series": jnn.Dataset.from_series(RANDOM.normal(size=(60, 2)), 16, 4),
}
CASES = [
    ("mlp:8", "images"), ("lenet:4,4", "images"), ("resnet:8", "images"), ("vit:4,1,2,8", "images"),
    ("cnn1d:4,4", "signals"), ("cnn1d", "vectors"), ("textcnn:4,8", "texts"), ("encoder:1,2,8", "texts"),
    ("gpt:1,2,8", "tokens"), ("lstm:8", "tokens"), ("gru:8", "texts"), ("rnn:8,2", "series"), ("lstm:8", "signals"),
    ("nlinear", "series"), ("dlinear", "series"), ("patchtst", "series"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "kind"), CASES, ids=[f"{m} on {k}" for m, k in CASES])
def test_a_family_makes_a_network_for_its_data(model, kind):
    data = DATA[kind]
    about = recipe.about_data(data)
    assert about.kind == kind
    study = recipe.make_study(recipe.Run("x", model=model, batch_size=4), about, data.task)
    x = jax.ShapeDtypeStruct((4, *data.x.shape[1:]), data.x.dtype)

    def outputs(x):
        params, state = study.model.init(jax.random.key(0), x)
        return study.model.apply(params, state, x, key=jax.random.key(1), train=True)[0]

    wanted = (4, *data.y.shape[1:], *([data.classes] if data.task == "classification" else []))
    assert jax.eval_shape(outputs, x).shape == wanted


def test_the_table_lists_every_family_with_its_numbers():
    lines = families.describe().splitlines()
    assert {line.split(":")[0] for line in lines} >= {model.partition(":")[0] for model, _ in CASES}
    assert any(line.startswith("gpt:4,4,128  layers, heads, width") for line in lines)


WRONG = [
    ("tree", "vectors", "wanted one of the models"),
    (
        "lenet",
        "vectors",
        r"images for the model lenet, .* rows of shape \(40,\); use one of \['cnn1d', 'gru', 'lstm', 'mlp'",
    ),
    ("mlp:8", "texts", "'textcnn'"),
    ("gpt:1,2,3,4", "tokens", "at most 3 numbers.*layers, heads, width"),
    ("resnet:x", "images", "whole numbers"),
    ("resnet:0", "images", "at least 1"),
    ("nlinear:3", "series", "at most 0 numbers"),
]


@pytest.mark.parametrize(
    ("model", "kind", "words"), WRONG, ids=[f"{m} on {k}" for m, k, _ in WRONG]
)
def test_what_does_not_fit_gets_one_sentence(model, kind, words):
    with pytest.raises(ValueError, match=words):
        families.make_factory(model, recipe.about_data(DATA[kind]), {})


def test_a_family_of_ones_own_joins(monkeypatch):
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))

    def make(about, numbers, dropout):
        return functools.partial(jnn.models.MLP, about.shape[0], (numbers[0],) * 2, about.outputs)

    families.register("twice", families.Family(make, ("vectors",), (5,), "units of both layers"))
    factory = families.make_factory("twice:7", recipe.about_data(DATA["vectors"]), {})
    assert factory.args == (40, (7, 7), 3)
    with pytest.raises(ValueError, match="new name"):
        families.register("twice", families.Family(make, ("vectors",), (5,), ""))


def test_dropout_is_a_number_of_the_members_only_where_the_grid_names_it():
    command = recipe.Run("iris", model="mlp:8", grid=("dropout_rate=0,0.5",))
    about = families.About("iris", "vectors", (4,), (), 3, 0)
    model = recipe.make_study(command, about, "classification").model
    _, state = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 4)))
    assert "dropout_rate" in state["dropout"]


def test_channels_are_standardised_by_the_weighted_moments_of_numpy():
    x = (RANDOM.normal(size=(9, 4, 5, 3)) * [1, 50, 0] + [7, -1e4, 3]).astype(np.float32)
    weights = np.array([1, 0, 1, 1, 0, 1, 1, 1, 1], np.float32)
    x[1] = np.nan  # absent rows may hold anything
    stats = jax.jit(standardize_channels.fit)(x, weights)
    chosen = x[weights > 0].astype(np.float64)
    np.testing.assert_allclose(stats.shift, chosen.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(stats.scale, [*chosen.std((0, 1, 2))[:2], 1], rtol=1e-4)
    forward = standardize_channels.forward(stats, chosen.astype(np.float32))
    np.testing.assert_allclose(forward.mean((0, 1, 2)), 0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "kind"), CASES, ids=[f"{m} on {k}" for m, k in CASES])
def test_a_family_trains_and_is_exported_for_any_number_of_rows(model, kind, tmp_path, monkeypatch):
    import jaxtyping
    from jax import export

    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # a number of rows without a value is no int to it
    data = DATA[kind]
    study = recipe.make_study(
        recipe.Run("x", model=model, batch_size=4, epochs=1), recipe.about_data(data), data.task
    )
    result = jnn.run(study, data, jnn.seeds(1))
    program = export.deserialize(result.export(tmp_path / "program", member=0).read_bytes())
    x = data.x[np.arange(5)]
    np.testing.assert_allclose(program.call(x), result.predict(x).members[0], rtol=1e-4, atol=1e-5)
    assert (
        result.study.describe()
        == recipe.study_of(
            recipe.Run("x", model=model, batch_size=4, epochs=1), result.schema
        ).describe()
    )
