"""Patterns of names choose the same parameters in every kind of model, and what is made of them."""

import collections
import functools
import pickle
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from safetensors.numpy import load_file

import jnn
from jnn import paths

Layer = collections.namedtuple("Layer", ["kernel", "bias"])


def layer(size):
    return {"kernel": jnp.zeros((size, size)), "bias": jnp.zeros(size)}


TREE = {
    "embedding": jnp.zeros((4, 2)),
    "encoder": [{"dense": layer(2), "norm": {"scale": jnp.ones(2)}} for _ in range(11)],
    "head": Layer(jnp.zeros((2, 3)), jnp.zeros(3)),
}


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(nn.tanh(nn.Dense(4, name="hidden")(x)))


class NnxNet(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(3, 4, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.hidden(x)))


def init(key, x):
    keys = jax.random.split(key)
    return {
        "hidden": {"kernel": jax.random.normal(keys[0], (3, 4)), "bias": jnp.zeros(4)},
        "head": {"kernel": jax.random.normal(keys[1], (4, 3)), "bias": jnp.zeros(3)},
    }


def apply(params, x):
    hidden = jnp.tanh(jnn.layers.dense(x, **params["hidden"]))
    return jnn.layers.dense(hidden, **params["head"])


NAMES = ["head/bias", "head/kernel", "hidden/bias", "hidden/kernel"]
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3


@pytest.mark.parametrize("network", [(init, apply), LinenNet(), NnxNet], ids=jnn.model.name_of)
def test_every_kind_of_model_has_the_names_of_the_saved_file(network, tmp_path):
    params, _ = jnn.as_model(network).init(jax.random.key(0), X)
    assert paths.names(params) == NAMES
    jnn.save(tmp_path / "params.safetensors", params)
    assert sorted(load_file(tmp_path / "params.safetensors")) == NAMES


def test_states_and_modules_of_nnx_lists_and_namedtuples_are_written_alike():
    module = NnxNet(rngs=nnx.Rngs(0))
    assert sorted(paths.names(nnx.state(module, nnx.Param))) == NAMES
    assert sorted(paths.names(module)) == NAMES
    assert paths.names({"a": [Layer(1, 2), (3,)]}) == ["a/0/kernel", "a/0/bias", "a/1/0"]
    mask = paths.match("**/bias", nnx.state(module, nnx.Param))
    assert mask["head"]["bias"].get_value() and not mask["head"]["kernel"].get_value()
    assert paths.match("**", jnp.zeros(2)) is True


@pytest.mark.parametrize(
    ("pattern", "number"),
    [  # how many of the 36 names of TREE fit
        ("**", 36),
        ("*", 1),
        ("**/bias", 12),
        ("encoder/*/dense/kernel", 11),
        ("encoder/?/dense/kernel", 10),
        ("encoder/1?/dense/kernel", 1),
        ("encoder/[0-3]/**", 12),
        ("encoder/[!0-3]/**", 18),
        ("**/dense/**", 22),
        ("encoder/**/scale", 11),
        ("encoder/**/**/scale", 11),
        ("**/encoder/*/*/*", 33),
        ("h*/k*", 1),
        (["head/**", "embedding"], 3),
        (("head/*", "**/bias"), 13),
        (re.compile(r"encoder/\d/.*"), 30),
        (re.compile(r".*(kernel|bias)"), 24),
        ([re.compile("head/kernel"), "head/bias"], 2),
    ],
)
def test_a_pattern_fits_whole_names(pattern, number):
    mask = paths.match(pattern, TREE)
    assert jax.tree.structure(mask) == jax.tree.structure(TREE)
    assert all(type(leaf) is bool for leaf in jax.tree.leaves(mask))
    assert sum(jax.tree.leaves(mask)) == number


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("head/bais", r"head/bais' must fit one of the 36 names, but .* names are 'head/bias'"),
        ("encoder", r"For all that is in 'encoder', write 'encoder/\*\*'"),
        ("kernel", r"For 'kernel' at any depth, write '\*\*/kernel'"),
        (["**", re.compile("kernel")], r"re.compile\('kernel'\) must fit one"),
        ("encoder/[z-a]/**", "set of characters"),
        ("", "fits none"),
    ],
)
def test_a_pattern_that_fits_nothing_is_told_with_near_names(pattern, message):
    with pytest.raises(ValueError, match=message):
        paths.match(pattern, TREE)


def test_what_is_no_pattern_is_refused_and_nothing_may_fit_if_that_is_said():
    for pattern in (3, None, re.compile(b"head"), ["head", 1]):
        with pytest.raises(TypeError, match=r"^pattern must be a glob"):
            paths.match(pattern, TREE)
    with pytest.raises(TypeError, match=r"^patterns must be a dict"):
        paths.labels(["head"], TREE)
    assert not any(jax.tree.leaves(paths.match("nothing", TREE, required=False)))
    with pytest.raises(ValueError, match="The tree has no leaves"):
        paths.match("**", {})


def test_the_first_pattern_labels_a_name():
    labels = paths.labels({"head/**": "head", "**/bias": "bias", "**": "rest"}, TREE)
    counts = collections.Counter(jax.tree.leaves(labels))
    assert counts == {"head": 2, "bias": 11, "rest": 23}
    with pytest.raises(ValueError, match=r"'embedding', 'encoder/0/dense/bias'.* and 26 more fit"):
        paths.labels({"head/**": 0}, TREE)
    with pytest.raises(ValueError, match="'head/bias' labels nothing, because every name"):
        paths.labels({"head/**": 0, "head/bias": 1, "**": 2}, TREE)


def test_frozen_parameters_keep_their_bits_and_have_no_state_and_no_gradient():
    study = jnn.Study(
        (init, apply),
        jnn.losses.softmax_cross_entropy,
        lambda h: paths.freeze("hidden/**", optax.adam(h.learning_rate)),
        epochs=2,
        batch_size=4,
    )
    member = jnn.Member(jax.random.key(1), 0, {"learning_rate": np.float32(0.1)})
    data = jnn.Data.from_arrays(X, Y)
    first = jnn.make_start(study)(member, data)
    assert len(jax.tree.leaves(first.opt_state)) == 5  # two moments of two arrays, and the count
    last = jax.jit(jnn.make_train(study))(member, data).state
    before, after = first.trained.params, last.trained.params
    jax.tree.map(np.testing.assert_array_equal, before["hidden"], after["hidden"])
    assert np.abs(after["head"]["kernel"] - before["head"]["kernel"]).min() > 0.01


def test_the_compiler_drops_the_gradients_of_frozen_parameters():
    params = init(jax.random.key(0), None)

    def products(optimizer):
        def step(params, state, x):
            gradients = jax.grad(lambda params: (apply(params, x) ** 2).sum())(params)
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        state = optimizer.init(params)
        return jax.jit(step).lower(params, state, X).compile().as_text().count(" dot(")

    # Two products forward; backward two for the kernels and one for the hidden values.
    assert products(optax.sgd(0.1)) == 5
    assert products(paths.freeze("hidden/**", optax.sgd(0.1))) == 3


def steps_of(optimizer, params, gradients):
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        yield params


def part_of(name, tree):
    return tree["head"] if name == "head" else tree["blocks"][name]


def test_a_group_that_is_unfrozen_trains_as_by_an_optimizer_that_begins_there():
    random = np.random.default_rng(1)
    params = {"head": jnp.ones(3), "blocks": [jnp.ones(2), jnp.ones(2)]}
    gradients = [
        jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape), jnp.float32), params)
        for _ in range(5)
    ]
    optimizer = paths.unfreeze({"blocks/1": 2, "blocks/0": 4}, optax.adamw(0.1))
    *_, last = steps_of(optimizer, params, gradients)
    for name, start in (("head", 0), (1, 2), (0, 4)):
        take = functools.partial(part_of, name)
        *_, alone = steps_of(optax.adamw(0.1), take(params), [*map(take, gradients[start:])])
        np.testing.assert_allclose(take(last), alone, rtol=1e-6)


def test_rates_by_depth_are_those_of_ulmfit():
    tree = {f"layer{i}": {"w": jnp.ones(2)} for i in range(12)} | {"out": jnp.ones(1)}
    decay = jnp.float32(2.6)
    transformation = paths.scale_by_depth(["layer*/w", "out"], lambda depth: 0.1 / decay**depth)
    scaled, _ = transformation.update(tree, transformation.init(tree))
    for i in range(12):
        np.testing.assert_allclose(scaled[f"layer{i}"]["w"], 0.1 / 2.6 ** (12 - i), rtol=1e-5)
    np.testing.assert_allclose(scaled["out"], 0.1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"layers must fit every name, but 'out' fit no pattern"):
        paths.depths("layer*/w", tree)
    with pytest.raises(ValueError, match="must fit one of the 13 names"):
        paths.scale({"layer12/*": 1.0}).init(tree)


def test_rates_by_name_stand_inside_of_an_optimizer_that_freezes():
    tree = {"a": jnp.ones(1), "b": jnp.ones(1), "c": jnp.ones(1)}
    inner = optax.chain(
        paths.scale_by_depth("*", lambda depth: 10.0**depth), paths.scale({"[ab]": 2.0})
    )
    optimizer = paths.freeze("a", inner)
    updates, _ = optimizer.update(tree, optimizer.init(tree), tree)
    assert [float(updates[name][0]) for name in tree] == [0.0, 20.0, 1.0]


def test_a_mask_decays_the_kernels_only():
    optimizer = optax.adamw(0.1, weight_decay=0.5, mask=functools.partial(paths.match, "**/kernel"))
    params = init(jax.random.key(0), None) | {"bias": jnp.ones(1)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    (after,) = steps_of(optimizer, params, [zeros])
    np.testing.assert_allclose(
        after["head"]["kernel"], 0.95 * np.float64(params["head"]["kernel"]), rtol=1e-6
    )
    np.testing.assert_array_equal(after["bias"], params["bias"])


def test_a_part_is_loaded_by_its_names_and_all_that_differs_is_told():
    new = init(jax.random.key(0), None)
    old = init(jax.random.key(1), None)
    old = {"hidden": Layer(**old["hidden"]), "head": {"kernel": np.ones((4, 7))}}
    filled = paths.fill(new, old, fresh="head/**")
    np.testing.assert_array_equal(filled["hidden"]["kernel"], old["hidden"].kernel)
    assert filled["head"] is not new["head"]
    np.testing.assert_array_equal(filled["head"]["kernel"], new["head"]["kernel"])
    with pytest.raises(ValueError, match=r"missing are 'head/bias', left over are none"):
        paths.fill(new, old)
    with pytest.raises(ValueError, match=r"'head/kernel' of source must have the shape \(4, 3\)"):
        paths.fill(new, old, fresh="head/bias")
    extra = {**new, "decoder": np.ones(3)}
    with pytest.raises(ValueError, match=r"missing are none, left over are 'decoder'"):
        paths.fill(new, extra)
    assert paths.names(paths.fill(new, extra, fresh="decoder")) == NAMES
    with pytest.raises(ValueError, match=r"'haed/\*\*' must fit one"):
        paths.fill(new, old, fresh="haed/**")
    text = jax.tree.map(lambda _: np.asarray("a"), new)
    with pytest.raises(TypeError, match="must be an array of numbers"):
        paths.fill(new, text)
    halves = jax.tree.map(lambda a: np.asarray(a, np.float16), new)
    assert paths.fill(new, halves)["head"]["bias"].dtype == jnp.float32
    whole = jax.tree.map(lambda a: np.zeros(a.shape, complex), new)
    with pytest.raises(ValueError, match="must be of the type float32, got complex128"):
        paths.fill(new, whole)


def test_the_average_of_a_part_is_that_of_all_there_and_the_last_elsewhere():
    first, second = init(jax.random.key(0), None), init(jax.random.key(1), None)
    state = {"mean": jnp.ones(2)}
    part = pickle.loads(pickle.dumps(jnn.averaging.only("head/**", jnn.averaging.ema(0.9))))
    average = part.update(part.init((first, {"mean": jnp.zeros(2)})), (second, state), 1, {})
    params, last_state = part.evaluated(average, (second, state), ())
    expected = 0.9 * np.float64(first["head"]["kernel"]) + 0.1 * second["head"]["kernel"]
    np.testing.assert_allclose(params["head"]["kernel"], expected, rtol=1e-6)
    np.testing.assert_array_equal(params["hidden"]["kernel"], second["hidden"]["kernel"])
    assert last_state is state and len(jax.tree.leaves(average)) == 2
    assert repr(part) == """Averaging("only('head/**', ema(0.9))")"""
