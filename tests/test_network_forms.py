"""Networks as they are written for Flax: trained as Flax trains them, or refused in a sentence."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn.model import DrawsWithoutKey, NetworkError
from tests.networks import Linen, Nnx

X = np.asarray(np.random.default_rng(0).normal(size=(12, 4)), np.float32)
Y = np.arange(12) % 3
KEY = jax.random.key(1)


def trained_step(network, **options):
    """One forward pass in training, as a step of a study does it."""
    model = jnn.as_model(network, **options)
    params, state = model.init(jax.random.key(0), X)
    return model.apply(params, state, X, train=True, key=KEY)


class Net(nn.Module):
    """Dropout and batch norm behind a switch of any meaning."""

    rate: float = 0.5
    norm: bool = False

    @nn.compact
    def __call__(self, x, told=False):
        x = nn.Dropout(self.rate, deterministic=not told)(nn.Dense(3)(x))
        return nn.BatchNorm(use_running_average=not told)(x) if self.norm else x


class OfNnx(nnx.Module):
    def __init__(self, rate=0.5, norm=False, *, rngs):
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs) if norm else None

    def __call__(self, x, told=False):
        x = self.drop(x, deterministic=not told)
        return x if self.norm is None else self.norm(x, use_running_average=not told)


class Wrapped(nn.Module):
    def setup(self):
        self.net = Net()

    def __call__(self, x, **kwargs):
        return self.net(x, **kwargs)


class Attending(nn.Module):
    @nn.compact
    def __call__(self, x):
        attend = nn.MultiHeadDotProductAttention(2, dropout_rate=0.5, deterministic=True)
        return attend(x[None])[0]


RESTING = {
    "linen dropout": (Net(), "dropout that drops nothing"),
    "linen both": (Net(norm=True), "batch statistics that do not change and dropout that"),
    "linen statistics": (Net(0.0, norm=True), "batch statistics that do not change while"),
    "linen wrapper": (Wrapped(), "dropout that drops nothing"),
    "linen sequence": (
        nn.Sequential([nn.Dense(3), nn.BatchNorm(use_running_average=True)]),
        "batch statistics that do not change",
    ),
    "linen attention": (Attending(), "dropout that drops nothing"),
    "nnx dropout": (OfNnx, "dropout that drops nothing"),
    "nnx both": (functools.partial(OfNnx, norm=True), "batch statistics that do not change and"),
    "nnx statistics": (functools.partial(OfNnx, 0.0, True), "batch statistics that do not"),
}


@pytest.mark.parametrize("name", RESTING)
def test_a_network_that_trains_as_it_is_scored_is_refused_unless_it_is_meant(name):
    network, words = RESTING[name]
    with pytest.raises(NetworkError, match=f"must switch to training, but it has {words}.*keyword"):
        trained_step(network)
    trained_step(network, train_keyword={})
    if not isinstance(network, nn.Sequential | Attending):
        outputs, _ = trained_step(network, train_keyword="told")
        assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    "network",
    [
        Net(0.0),
        Net(1.0),
        functools.partial(OfNnx, 0.0),
        Linen(),
        functools.partial(Nnx, 4),
        nn.Dense(3),
        functools.partial(nnx.Linear, 4, 3),
        nn.Sequential([nn.Dense(3), nn.Dropout(0.0, deterministic=True)]),
        nn.Sequential(
            [nn.BatchNorm(use_running_average=False), nn.Dropout(0.1, deterministic=False)]
        ),
    ],
    ids=jnn.model.name_of,
)
def test_networks_without_anything_to_switch_and_those_that_switch_are_not(network):
    outputs, _ = trained_step(network)
    assert len(outputs) == len(X) and np.isfinite(outputs).all()


class PartlyFrozen(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=True)(nn.Dropout(0.1, deterministic=True)(x))
        x = nn.BatchNorm(use_running_average=not train)(nn.Dropout(0.1)(x, not train))
        return nn.Dense(3)(x)


def test_a_part_may_be_frozen():
    _, state = trained_step(PartlyFrozen())
    frozen = state["batch_stats"]["BatchNorm_0"]["mean"]
    trained = state["batch_stats"]["BatchNorm_1"]["mean"]
    assert not frozen.any() and trained.all()


def test_a_study_is_refused_before_it_is_compiled_and_trains_if_the_switch_is_named():
    data = jnn.Dataset.from_arrays(X, Y)
    settings = (jnn.losses.softmax_cross_entropy, optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"^Wrapped must switch to training"):
        jnn.run(jnn.Study(Wrapped(), *settings, epochs=1, batch_size=12), data)


class NormOnly(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False)(x)


def test_a_network_that_changes_its_statistics_while_it_is_scored_is_refused():
    model = jnn.as_model(NormOnly())
    params, state = model.init(jax.random.key(0), X)
    model.apply(params, state, X, train=True, key=KEY)
    with pytest.raises(NetworkError, match="NormOnly must change its variables only while it trai"):
        model.apply(params, state, X)


class Always(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5, deterministic=False)(x)


class AlwaysNnx(nnx.Module):
    def __init__(self, *, rngs):
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(x, deterministic=False)


@pytest.mark.parametrize("network", [Always(), AlwaysNnx])
@pytest.mark.parametrize("key", [None, KEY])
def test_dropout_that_drops_while_it_is_scored_is_refused(network, key):
    model = jnn.as_model(network)
    params, state = model.init(jax.random.key(0), X)
    with pytest.raises(NetworkError, match="only while it trains") as error:
        model.apply(params, state, X, key=key)
    assert not isinstance(error.value, DrawsWithoutKey)


class MembersRate(nn.Module):
    rate: float | None = None

    @nn.compact
    def __call__(self, x, train=False):
        rate = self.rate
        if rate is None:
            rate = self.variable("hyper", "dropout_rate", lambda: jnp.float32(0.5)).value
        return nn.Dropout(rate, broadcast_dims=(1,))(x, deterministic=not train)


def test_a_members_rate_in_linens_dropout_drops_as_flax_drops_at_that_rate():
    ones = jnp.ones((400, 3))
    model = jnn.as_model(MembersRate())
    _, state = model.init(jax.random.key(0), ones)
    apply = jax.jit(
        lambda rate, key, train: model.apply(
            {}, state, ones, train=train, key=key, hyper={"dropout_rate": rate}
        )[0],
        static_argnums=2,
    )
    rngs = {"dropout": jax.random.fold_in(KEY, 1)}
    for rate in (0.0, 0.3, 1.0):
        expected = MembersRate(rate).apply({}, ones, train=True, rngs=rngs)
        np.testing.assert_allclose(apply(rate, KEY, True), expected, rtol=1e-6)
    np.testing.assert_array_equal(apply(0.3, KEY, False), ones)
    slope = jax.grad(lambda rate: apply(rate, KEY, True).sum())(1.0)
    assert np.isfinite(slope)


class NnxRate(nnx.Module):
    def __init__(self, *, rngs):
        self.rate = jnn.Hyper(jnp.float32(0.5))
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        self.drop.rate = self.rate[...]
        return self.drop(x)


class AttentionRate(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        rate = self.variable("hyper", "rate", lambda: jnp.float32(0.5)).value
        return nn.MultiHeadDotProductAttention(2, dropout_rate=rate)(x, deterministic=not train)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (NnxRate, r"of Dropout in NnxRate must be a fixed number.* Use jnn\.modules\.Dropout"),
        (AttentionRate(), r"of MultiHeadDotProduct.* Use jnn\.layers\.dropout"),
    ],
)
def test_a_members_rate_where_flax_decides_by_it_is_refused_with_the_layer_to_use(network, words):
    model = jnn.as_model(network)

    def outputs(rate):
        params, state = model.init(jax.random.key(0), X[None])
        return model.apply(params, state, X[None], train=True, key=KEY, hyper={"rate": rate})[0]

    with pytest.raises(NetworkError, match=words):
        jax.eval_shape(outputs, 0.5)


class Axis(nn.Module):
    axis: str | None = "batch"

    @nn.compact
    def __call__(self, x, train=False):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train)
        return norm(axis_name=self.axis)(norm(axis_name=self.axis and "rows")(x))


def test_the_axis_of_pmap_is_the_whole_batch():
    outputs, state = trained_step(Axis())
    expected, after = trained_step(Axis(None))
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, state, after)


class Auxiliary(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        hidden = nn.Dense(5)(x)
        outputs = nn.Dense(3)(hidden)
        return (outputs, nn.Dense(2, name="auxiliary")(hidden)) if train else outputs


def test_parts_that_exist_only_in_training_have_parameters():
    model = jnn.as_model(Auxiliary())
    params, state = model.init(jax.random.key(0), X)
    assert params["auxiliary"]["kernel"].shape == (5, 2)
    plain = Auxiliary().init(jax.random.split(jax.random.key(0))[0], X)["params"]
    jax.tree.map(np.testing.assert_array_equal, {k: params[k] for k in plain}, plain)
    outputs, auxiliary = model.apply(params, state, X, train=True, key=KEY)[0]
    np.testing.assert_array_equal(outputs, model.apply(params, state, X)[0])
    assert auxiliary.shape == (12, 2)


class Partitioned(nn.Module):
    axes: tuple[str, ...] | None = ("a", "b")

    @nn.compact
    def __call__(self, x):
        draw = nn.initializers.lecun_normal()
        if self.axes:
            draw = nn.with_partitioning(draw, self.axes)
        return nn.Dense(3, kernel_init=draw)(x)


def test_partitioned_parameters_are_plain_arrays():
    boxed, plain = (jnn.as_model(Partitioned(axes)) for axes in (("a", "b"), None))
    params, _ = boxed.init(jax.random.key(0), X)
    jax.tree.map(np.testing.assert_array_equal, params, plain.init(jax.random.key(0), X)[0])
    assert jax.tree.structure(params) == jax.tree.structure(plain.init(jax.random.key(0), X)[0])


class Containers(nnx.Module):
    """Plain arrays in a dict, in a list and in a wrapper of Flax."""

    def __init__(self, *, rngs):
        self.linear = nnx.WeightNorm(nnx.Linear(4, 3, rngs=rngs), rngs=rngs)
        self.scales = nnx.data({"all": jnp.arange(3.0), "more": [jnp.ones(3)]})

    def __call__(self, x):
        return self.linear(x) * self.scales["all"] + self.scales["more"][0]


def test_plain_arrays_in_containers_are_state():
    model = jnn.as_model(Containers)
    params, state = jax.jit(model.init)(jax.random.key(0), X)
    plain = Containers(rngs=nnx.Rngs(jax.random.key(0)))
    outputs = jax.jit(model.apply)(params, state, X)[0]
    np.testing.assert_allclose(outputs, plain(X), rtol=1e-5)
    restored = jnn.as_module(Containers, params, state)
    np.testing.assert_allclose(restored(X), outputs, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Net, r"must be an instance, got the class Net\. Call it: Net\(\.\.\.\)"),
        (functools.partial(Net, 0.1), r"class Net in a functools\.partial\. Call it: partial"),
        ((Net(), {}), r"must be the module alone, got Net in a tuple"),
        (
            type("Mlp", (), {"__module__": "equinox.nn"})(),
            r"Equinox network .*pair.*eqx\.partition",
        ),
        (type("Mlp", (), {"__module__": "torch.nn"}), r"must be written in JAX, got Mlp"),
    ],
)
def test_other_forms_are_refused_with_what_to_pass(network, words):
    with pytest.raises(TypeError, match=words):
        jnn.as_model(network)


def test_the_two_functions_of_a_linen_module_are_the_module():
    module = Linen()
    model = jnn.as_model((module.init, module.apply))
    params, state = model.init(jax.random.key(0), X)
    expected, _ = jnn.as_model(module).apply(params, state, X)
    np.testing.assert_array_equal(model.apply(params, state, X)[0], expected)


class NoisyNnx(nnx.Module):
    def __init__(self, *, rngs):
        self.linear, self.rngs = nnx.Linear(4, 3, rngs=rngs), rngs

    def __call__(self, x):
        return self.linear(x) + jax.random.normal(self.rngs.noise(), (len(x), 3))


class NoisyLinen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x) + jax.random.normal(self.make_rng("noise"), (len(x), 3))


class Latent(nn.Module):
    @nn.compact
    def __call__(self, x, z_rng):
        return nn.Dense(3)(x) + jax.random.normal(z_rng, (len(x), 3))


@pytest.mark.parametrize("network", [NoisyNnx, NoisyLinen(), Latent()])
def test_noise_in_scoring_is_that_of_the_member_and_the_row(network):
    """Outputs do not depend on the batch, differ between members, and have the right spread."""
    x = np.zeros((12, 4), np.float32)
    data = jnn.Data.from_arrays(x, np.zeros((12, 3), np.float32), test=np.arange(12))
    scores = []
    for batch, seeds in ((12, [0]), (4, [0, 1])):
        study = jnn.Study(
            network, optax.l2_loss, optax.sgd(0.0), {"mse": jnn.metrics.mse}, evaluation_batch=batch
        )
        start, evaluate = jnn.make_start(study), jnn.make_evaluate(study)
        score = jax.jit(
            lambda key, start=start, evaluate=evaluate: evaluate(
                start(jnn.Member(key, 0, {}), data), data, data.test
            )["mse"]
        )
        scores += [score(jax.random.key(seed)) for seed in seeds]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)
    assert abs(scores[1] - scores[2]) > 1e-3
    assert 0.2 < scores[0] < 2.6  # the mean of 36 squared normal numbers, beyond 6 deviations
