"""Families of networks: each trains on the data it is for; what does not fit is one sentence."""

import functools

import jax
import numpy as np
import pytest

import jnn
from jnn.preprocess import standardize_channels
from jnn.recipes import (
    About,
    Family,
    _families,
    describe_families,
    make_model,
    make_study,
    register,
)

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
    ("mlp:8", "images"),
    ("lenet:4,4", "images"),
    ("resnet:8", "images"),
    ("vit:4,1,2,8", "images"),
    ("cnn1d:4,4", "signals"),
    ("cnn1d", "vectors"),
    ("textcnn:4,8", "texts"),
    ("encoder:1,2,8", "texts"),
    ("gpt:1,2,8", "tokens"),
    ("lstm:8", "tokens"),
    ("gru:8", "texts"),
    ("rnn:8,2", "series"),
    ("lstm:8", "signals"),
    ("nlinear", "series"),
    ("dlinear", "series"),
    ("patchtst", "series"),
]


@pytest.mark.parametrize(("model", "kind"), CASES, ids=[f"{m} on {k}" for m, k in CASES])
def test_a_family_makes_a_network_for_its_data(model, kind):
    data = DATA[kind]
    about = About.from_data(data)
    assert about.kind == kind
    study = make_study(about, model=model, batch_size=4)
    x = jax.ShapeDtypeStruct((4, *data.x.shape[1:]), data.x.dtype)

    def outputs(x):
        params, state = study.model.init(jax.random.key(0), x)
        return study.model.apply(params, state, x, key=jax.random.key(1), train=True)[0]

    expected = (4, *data.y.shape[1:], *([data.classes] if data.task == "classification" else []))
    assert jax.eval_shape(outputs, x).shape == expected


def test_the_table_lists_every_family_with_its_numbers():
    lines = describe_families().splitlines()
    assert {line.split(":")[0] for line in lines} >= {model.partition(":")[0] for model, _ in CASES}
    assert any(line.startswith("gpt:4,4,128  layers, heads, width") for line in lines)


WRONG = [
    ("tree", "vectors", "model must be one of"),
    (
        "lenet",
        "vectors",
        r"model lenet reads images, .* rows of shape \(40,\). Use one of \['cnn1d', 'gru', 'lstm', "
        r"'mlp'",
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
        make_model(model, About.from_data(DATA[kind]))


def test_a_family_of_ones_own_joins(monkeypatch):
    monkeypatch.setattr(_families, "_FAMILIES", dict(_families._FAMILIES))

    def make(about, numbers, options):
        return functools.partial(jnn.models.MLP, about.shape[0], (numbers[0],) * 2, about.outputs)

    family = Family(make, ("vectors",), (5,), "units of both layers")
    register("twice", family)
    factory = make_model("twice:7", About.from_data(DATA["vectors"]))
    assert factory.args == (40, (7, 7), 3)
    with pytest.raises(ValueError, match="name must be new, got 'twice'"):
        register("twice", family)
    with pytest.raises(ValueError, match="name must be an identifier, got 'two words'"):
        register("two words", family)


def test_data_without_targets_get_no_recipe():
    data = jnn.Dataset.from_arrays(RANDOM.normal(size=(24, 4)), name="faces")
    with pytest.raises(ValueError, match="faces must have targets to be learned, but has none"):
        About.from_data(data)


IRIS = About("iris", "vectors", "classification", (4,), (), 3)


def test_dropout_is_a_number_of_the_members_only_where_it_is_named():
    for hyper, has_dropout in (({"dropout_rate": 0.0}, True), ({}, False)):
        model = make_study(IRIS, model="mlp:8", hyper=hyper).model
        _, state = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 4)))
        assert ("dropout_rate" in state.get("dropout", {})) == has_dropout


def test_a_study_from_a_recipe_trains_without_the_command_line():
    """What a recipe says of the optimizer holds: AdamW with the decay is not Adam."""
    data = DATA["vectors"]
    about = About.from_data(data)
    losses = []
    for hyper in ({"learning_rate": 0.1}, {"learning_rate": 0.1, "weight_decay": 1.0}):
        study = make_study(about, model="mlp:", hyper=hyper, epochs=3, batch_size=8)
        result = jnn.run(study, data, jnn.seeds(2))
        losses.append(result.final()["train_loss"].values)
    assert (losses[0] < losses[1]).all()


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
    study = make_study(About.from_data(data), model=model, batch_size=4, epochs=1)
    result = jnn.run(study, data, jnn.seeds(1))
    program = export.deserialize(result.export(tmp_path / "program", member=0).read_bytes())
    x = data.x[np.arange(5)]
    np.testing.assert_allclose(program.call(x), result.predict(x).members[0], rtol=1e-4, atol=1e-5)
    about = About.from_schema(result.schema)
    again = make_study(about, model=model, batch_size=4, epochs=1)
    assert result.study.describe() == again.describe()
