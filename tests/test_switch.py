"""Networks are told whether they train, by whatever keyword or attribute they listen to."""

import dataclasses
import enum
import functools
import pickle
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn

X = np.asarray(np.random.default_rng(0).normal(size=(6, 4)), np.float32)
KEY = jax.random.key(1)
ON = (True, False)
OFF = (False, True)
NAMES = {
    **dict.fromkeys(("train", "training", "is_train", "is_training", "train_mode"), ON),
    **dict.fromkeys(("enable_dropout", "use_dropout", "apply_dropout", "stochastic"), ON),
    **dict.fromkeys(("isTraining", "dropout", "update_batch_stats"), ON),
    **dict.fromkeys(("deterministic", "use_running_average", "eval", "inference", "test"), OFF),
    **dict.fromkeys(("testing", "evaluate", "is_eval", "predict", "disable_dropout"), OFF),
}


def values_of(network, **options):
    """What the network returns in training and in scoring."""
    model = jnn.as_model(network, **options)
    params, state = model.init(jax.random.key(0), X)
    apply = functools.partial(model.apply, params, state, X)
    return apply(train=True, key=KEY)[0], apply()[0]


def class_of(form, signature, body="return value"):
    """A Linen module, an NNX factory or a pair whose call has this signature."""
    space = {"Any": Any, "Literal": Literal, "Mode": Mode}
    first = "params" if form == "pair" else "self"
    exec(f"def __call__({first}, x, {signature}):\n    {body}", space)
    if form == "pair":
        return (lambda key: {}), space["__call__"]
    members = {"__call__": space["__call__"], "__module__": __name__}
    if form == "linen":
        return type("Net", (nn.Module,), members)()
    return type("Net", (nnx.Module,), {**members, "__init__": lambda self, *, rngs: None})


class Mode(enum.Enum):
    TRAIN = 1
    EVAL = 2


@pytest.mark.parametrize("form", ["linen", "nnx", "pair"])
@pytest.mark.parametrize("name", NAMES)
def test_a_keyword_of_any_usual_name_is_found(form, name):
    wrong = not NAMES[name][0]
    network = class_of(form, f"{name}: bool = {wrong}", f"return {name}")
    assert values_of(network) == NAMES[name]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("mode='train'", ("train", "eval")),
        ("mode='test'", ("train", "test")),
        ("mode: Literal['training', 'inference']", ("training", "inference")),
        ("mode=Mode.EVAL", (Mode.TRAIN, Mode.EVAL)),
        ("train, /", ON),
        ("mask=None, deterministic: bool | None = None", OFF),
        ("*, train", ON),
    ],
)
def test_words_and_positions_are_switches_too(signature, expected):
    name = next(name for name in ("mode", "train", "deterministic") if name in signature)
    if "Literal" in signature:
        name = "mode"
    network = class_of("linen", signature, f"return {name}")
    assert values_of(network) == expected


@pytest.mark.parametrize(
    "signature",
    ["pretrained=False", "latest=True", "dropout=0.1", "scale=1.0", "axis='rows'", "test=None"],
)
def test_other_options_keep_their_defaults(signature):
    name, default = signature.split("=")
    network = class_of("nnx", signature, f"return {name}")
    assert values_of(network) == (eval(default),) * 2


@pytest.mark.parametrize("form", ["linen", "nnx", "pair"])
@pytest.mark.parametrize(
    ("train_keyword", "expected"),
    [
        ("noisy", ON),
        ({"noisy": (3, 5)}, (3, 5)),
        ({}, ("default", "default")),
    ],
)
def test_a_switch_can_be_named(form, train_keyword, expected):
    network = class_of(form, "noisy='default', train=None", "return noisy")
    assert values_of(network, train_keyword=train_keyword) == expected


@pytest.mark.parametrize("form", ["linen", "nnx", "pair"])
def test_a_wrapper_passes_a_named_switch_on(form):
    network = class_of(form, "**kwargs", "return kwargs")
    assert values_of(network, train_keyword="train") == ({"train": True}, {"train": False})


@pytest.mark.parametrize("form", ["linen", "nnx", "pair"])
def test_a_named_switch_that_there_is_not_is_refused_with_those_that_there_are(form):
    network = class_of(form, "mask=None, train=False")
    with pytest.raises(
        ValueError, match=r"train_keyword must name .*\['.*mask', 'train'\].*'tran'"
    ):
        values_of(network, train_keyword="tran")


@pytest.mark.parametrize("wrong", [3, "", {"train": True}, {1: ON}, ["train"]])
def test_a_train_keyword_of_another_form_is_refused(wrong):
    with pytest.raises(TypeError, match="train_keyword must be the name of the switch"):
        jnn.as_model(class_of("linen", "train"), train_keyword=wrong)


def test_a_required_argument_that_is_no_switch_is_named():
    with pytest.raises(ValueError, match=r"needs \['x', 'mask'\]\. Give the others defaults"):
        values_of(class_of("linen", "mask"))


def test_the_parts_of_a_tree_are_several_arguments():
    network = class_of("linen", "lengths, train=False", "return x, lengths")
    model = jnn.as_model(network)
    for x in ((5, 3), {"lengths": 3, "x": 5}):
        assert model.apply({}, {}, x)[0] == (5, 3)


def test_a_study_keeps_and_changes_its_train_keyword():
    network = class_of("linen", "noisy=None, train=None", "return noisy")
    study = jnn.Study(network, optax.l2_loss, optax.sgd(0.1), train_keyword={"noisy": ("a", "b")})
    again = dataclasses.replace(study, epochs=3)
    other = dataclasses.replace(study, train_keyword="noisy")
    values = [made.model.apply({}, {}, X, train=True, key=KEY)[0] for made in (study, again, other)]
    assert values == ["a", "a", True]
    assert study.describe()["train_keyword"] == {"noisy": ["a", "b"]}


class Pickled(nn.Module):
    @nn.compact
    def __call__(self, x, noisy=None):
        return noisy


def test_a_pickled_model_keeps_its_train_keyword():
    model = pickle.loads(pickle.dumps(jnn.as_model(Pickled(), train_keyword="noisy")))
    assert model.apply({}, {}, X, train=True)[0] is True


class Inner(nn.Module):
    training: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=not self.training)(x)
        return nn.Dropout(0.5, deterministic=not self.training)(x)


class Outer(nn.Module):
    inner: nn.Module
    again: nn.Module

    def __call__(self, x):
        return self.again(self.inner(x))


@dataclasses.dataclass(frozen=True)
class Settings:
    features: int = 3
    deterministic: bool = False


class Configured(nn.Module):
    """Reads its switch from a dataclass of settings."""

    settings: Settings

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(self.settings.features)(x)
        x = nn.Dropout(0.5, deterministic=self.settings.deterministic)(x)
        return nn.BatchNorm(self.settings.deterministic)(x)


class WithNorm(nn.Module):
    norm: Any

    @nn.compact
    def __call__(self, x):
        return self.norm()(nn.Dense(3)(x))


FIELDS = {  # networks that are told by a field, and the ways to say so in Flax
    "own": (Inner(), lambda train: Inner(training=train)),
    "nested": (Outer(Inner(), nn.Dense(2)), lambda train: Outer(Inner(train), nn.Dense(2))),
    "settings": (
        Configured(Settings()),
        lambda train: Configured(Settings(deterministic=not train)),
    ),
    "partial": (
        WithNorm(functools.partial(nn.BatchNorm, use_running_average=False)),
        lambda train: WithNorm(functools.partial(nn.BatchNorm, use_running_average=not train)),
    ),
    "sequence": (
        nn.Sequential([nn.Dense(3), nn.BatchNorm(use_running_average=False)]),
        lambda train: nn.Sequential([nn.Dense(3), nn.BatchNorm(use_running_average=not train)]),
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_a_linen_module_is_a_switch(name):
    """The truth is Flax, with the field set as one would by hand."""
    network, in_flax = FIELDS[name]
    model = jnn.as_model(network)
    params, state = model.init(jax.random.key(0), X)
    for train in (True, False):
        variables = {"params": params, **state}
        rngs = {"dropout": jax.random.fold_in(KEY, 1)}
        expected, after = in_flax(train).apply(variables, X, rngs=rngs, mutable=["batch_stats"])
        outputs, new = model.apply(params, state, X, key=KEY, train=train)
        np.testing.assert_allclose(outputs, expected, rtol=1e-6)
        if train:
            jax.tree.map(np.testing.assert_allclose, new["batch_stats"], after["batch_stats"])


def test_a_module_that_stands_in_two_fields_stays_one():
    shared = Inner()
    _, state = jnn.as_model(Outer(shared, shared)).init(jax.random.key(0), X)
    assert list(state["batch_stats"]) == ["inner"]


class OwnMethods(nnx.Module):
    """Its noise is switched by its own methods."""

    def __init__(self, *, rngs):
        self.drop, self.noise = nnx.Dropout(0.5, rngs=rngs), None

    def train(self, **attributes):
        super().train(**attributes)
        self.noise = 10.0

    def eval(self, **attributes):
        super().eval(**attributes)
        self.noise = 0.0

    def __call__(self, x):
        return self.drop(x) * 0 + self.noise


class LikeTorch(nnx.Module):
    def __init__(self, *, rngs):
        self.noise = None

    def train(self, mode=True):
        self.noise = 10.0 * mode

    def __call__(self, x):
        return x * 0 + self.noise


class Attribute(nnx.Module):
    def __init__(self, *, rngs):
        self.training = True

    def __call__(self, x):
        return x * 0 + 10.0 * self.training


class Holder(nnx.Module):
    def __init__(self, inner, *, rngs):
        self.inner = inner(rngs=rngs)

    def __call__(self, x):
        return self.inner(x)


class Frozen(Holder):
    """Keeps a part in evaluation, as one freezes a trunk."""

    def train(self, **attributes):
        super().train(**attributes)
        self.inner.eval()


@pytest.mark.parametrize("inner", [OwnMethods, LikeTorch, Attribute])
@pytest.mark.parametrize("outer", [None, Holder])
def test_the_own_methods_and_attributes_of_an_nnx_module_are_switches(inner, outer):
    factory = inner if outer is None else functools.partial(outer, inner)
    training, scoring = values_of(factory)
    assert (np.unique(training), np.unique(scoring)) == (10.0, 0.0)


def test_a_part_that_the_outer_module_keeps_in_evaluation_stays_there():
    training, _ = values_of(functools.partial(Frozen, OwnMethods), train_keyword={})
    assert not training.any()


class DroppingAtCall(nnx.Module):
    def __init__(self, *, rngs):
        self.drop = nnx.Dropout(0.5)

    def __call__(self, x, rngs: nnx.Rngs | None = None):
        return self.drop(x, rngs=rngs)


class DroppingRequired(DroppingAtCall):
    def __call__(self, x, rngs):
        return super().__call__(x, rngs)


class DroppingKey(DroppingAtCall):
    def __call__(self, x, *, dropout_rng=None):
        return super().__call__(x, dropout_rng)


@pytest.mark.parametrize("factory", [DroppingAtCall, DroppingRequired, DroppingKey])
def test_keys_that_an_nnx_module_takes_when_it_is_called_are_given_in_training(factory):
    model, ones = jnn.as_model(factory), jnp.ones((400, 4))
    apply = functools.partial(model.apply, {}, {}, ones)
    one, same, other = (
        np.asarray(apply(train=True, key=jax.random.key(seed))[0]) for seed in (1, 1, 2)
    )
    assert set(np.unique(one)) == {0.0, 2.0} and abs(one.mean() - 1) < 0.15  # 6 deviations
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(apply()[0], ones)


def test_the_key_of_an_attention_is_no_random_key():
    network = class_of("nnx", "key=None, value=None", "return key")
    assert values_of(network) == (None, None)


class Named(nn.Module):
    """Draws from a stream of its own under a transformation that shares the parameters."""

    @nn.compact
    def __call__(self, x, train=False):
        if not train:
            return x
        draw = nn.vmap(
            lambda module, x: x + jax.random.normal(module.make_rng("noise")),
            variable_axes={"params": None},
            split_rngs={"params": False, "noise": True},
        )
        return draw(self, x)


def test_every_stream_that_a_linen_module_asks_for_has_a_key_of_its_own():
    drawn = np.asarray(jnn.as_model(Named()).apply({}, {}, jnp.zeros(5), train=True, key=KEY)[0])
    assert len(np.unique(drawn)) == 5


class Plain(nn.Module):
    @nn.compact
    def __call__(self, x, mask=None, train=False):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(3, name="dense")(x))


class RematMethod(nn.Module):
    @functools.partial(nn.remat, static_argnums=(3,))
    @nn.compact
    def __call__(self, x, mask=None, train=False):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(3, name="dense")(x))


LIFTED = {
    "remat": nn.remat(Plain, static_argnums=(3,))(),
    "jit": nn.jit(Plain, static_argnums=(3,))(),
    "remat of a method": RematMethod(),
}


@pytest.mark.parametrize("name", LIFTED)
def test_transformations_that_number_the_switch_are_called_by_position(name):
    """The truth is Flax, called as its documentation says."""
    model = jnn.as_model(LIFTED[name])
    params, state = model.init(jax.random.key(0), X)
    rngs = {"dropout": jax.random.fold_in(KEY, 1)}
    for train in (True, False):
        expected = LIFTED[name].apply({"params": params}, X, None, train, rngs=rngs)
        outputs = model.apply(params, state, X, train=train, key=KEY)[0]
        np.testing.assert_allclose(outputs, expected, rtol=1e-6)
