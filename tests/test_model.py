"""Plain pairs, Linen modules and NNX factories become the same model."""

import copy
import dataclasses
import functools
import inspect
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jnn
from jnn.model import Shared
from tests.networks import Linen, Nnx, pair_apply, pair_init

FORMS = {"pair": (pair_init, pair_apply), "linen": Linen(), "nnx": functools.partial(Nnx, 5)}
X = jnp.asarray(np.random.default_rng(0).normal(size=(7, 5)), jnp.float32)


def variables_of(form):
    """The pair's parameters and statistics, in the structure that `form` keeps them in."""
    model = jnn.as_model(FORMS[form])
    params, state = model.init(jax.random.key(3), X)
    wanted, statistics = pair_init(jax.random.key(0), X)
    params = jax.tree.map(lambda old, new: new.reshape(old.shape), params, wanted)
    if form == "linen":
        state = {**state, "batch_stats": statistics}
    elif form == "nnx":
        state = {**state, "norm": statistics["norm"]}
    else:
        state = statistics
    return model, params, state


def statistics_of(form, state):
    return state["batch_stats"]["norm"] if form == "linen" else state["norm"]


@pytest.mark.parametrize("form", ["linen", "nnx"])
@pytest.mark.parametrize("train", [False, True])
def test_three_forms_give_the_same_numbers(form, train):
    wanted_model, params, state = variables_of("pair")
    wanted, wanted_state = wanted_model.apply(
        params, state, X, train=train, hyper={"dropout_rate": 0.0}
    )
    model, params, state = variables_of(form)
    key = jax.random.key(1) if form == "linen" else None
    got, got_state = model.apply(
        params, state, X, key=key, train=train, hyper={"dropout_rate": 0.0}
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            statistics_of(form, got_state)[name], wanted_state["norm"][name], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("form", FORMS)
def test_dropout_follows_the_key_and_the_members_number(form):
    model, params, state = variables_of(form)
    apply = jax.jit(
        lambda key, rate: model.apply(
            params, state, X, key=key, train=True, hyper={"dropout_rate": rate}
        )[0]
    )
    one, same, other = (
        apply(jax.random.key(1), 0.5),
        apply(jax.random.key(1), 0.5),
        apply(jax.random.key(2), 0.5),
    )
    none, again = apply(jax.random.key(1), 0.0), apply(jax.random.key(2), 0.0)
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    np.testing.assert_allclose(none, again)


@pytest.mark.parametrize("form", FORMS)
def test_the_default_number_stays_after_a_member_set_its_own(form):
    model, params, state = variables_of(form)
    _, after = model.apply(
        params, state, X, key=jax.random.key(0), train=True, hyper={"dropout_rate": 0.9}
    )
    assert jax.tree.structure(after) == jax.tree.structure(state)
    kept = [a for p, a in jax.tree_util.tree_leaves_with_path(after) if "dropout_rate" in str(p)]
    assert all(float(a) == 0.25 for a in kept) and len(kept) == (form != "pair")


@pytest.mark.parametrize("form", FORMS)
def test_initial_parameters_under_vmap_are_those_of_single_calls(form):
    model = jnn.as_model(FORMS[form])
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(lambda key: model.init(key, X)))(keys)
    alone = jax.jit(lambda key: model.init(key, X))(keys[1])
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda a: a[1], together), alone)
    kernels = together[0]["first"]["kernel"]
    assert not np.array_equal(kernels[0], kernels[1])


def test_a_pair_without_state_and_keywords_is_enough():
    model = jnn.as_model((lambda key: {"w": jnp.ones(2)}, lambda params, x: x @ params["w"]))
    params, state = model.init(jax.random.key(0), np.ones((3, 2)))
    y, after = model.apply(params, state, np.ones((3, 2)), key=None, train=True, hyper={})
    assert y.tolist() == [2, 2, 2] and after == state


@pytest.mark.parametrize(
    "keyword", ["train", "is_train", "is_training", "deterministic", "inference"]
)
def test_the_mode_of_a_linen_module_is_found_by_its_keyword(keyword):
    body = f"def __call__(self, x, {keyword}): return x + (10 if {keyword} else 0)"
    space = {}
    exec(body, space)
    model = jnn.as_model(
        type("Module", (nn.Module,), {"__call__": space["__call__"], "__module__": __name__})()
    )
    y_train, _ = model.apply({}, {}, jnp.zeros(1), train=True)
    y_test, _ = model.apply({}, {}, jnp.zeros(1), train=False)
    is_inverse = keyword in ("deterministic", "inference")
    assert (y_train.item(), y_test.item()) == ((0, 10) if is_inverse else (10, 0))


@pytest.mark.parametrize(
    ("keyword", "trains"), [("train", True), ("training", True), ("deterministic", False)]
)
def test_the_mode_of_an_nnx_module_is_found_by_its_keyword(keyword, trains):
    class Norm(nnx.Module):
        def __init__(self, *, rngs):
            self.norm = nnx.BatchNorm(2, rngs=rngs)

        def __call__(self, x, **mode):
            return self.norm(x, use_running_average=mode[keyword] is not trains)

    parameter = inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY)
    x = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    Norm.__call__.__signature__ = inspect.Signature([self_, x, parameter])
    model, x = jnn.as_model(Norm), jnp.array([[1.0, 2.0], [3.0, 6.0]])
    params, state = model.init(jax.random.key(0), x)
    trained, after = model.apply(params, state, x, key=jax.random.key(1), train=True)
    np.testing.assert_allclose(trained.mean(axis=0), 0, atol=1e-6)
    assert jax.tree.leaves(after)[0].tolist() != jax.tree.leaves(state)[0].tolist()
    np.testing.assert_allclose(model.apply(params, state, x)[0], x, atol=1e-4)


def test_the_module_of_a_member_has_its_numbers():
    factory, numbers = (
        functools.partial(jnn.models.SuperMLP, 5, 4, 1, 2),
        {"width_1": 2, "learning_rate": 0.1},
    )
    model = jnn.as_model(factory)
    params, state = model.init(jax.random.key(0), X)
    got, default = (jnn.as_module(factory, params, state, hyper)(X) for hyper in (numbers, None))
    np.testing.assert_array_equal(got, model.apply(params, state, X, hyper=numbers)[0])
    assert not np.allclose(got, default)


class Stacked(nnx.Module):
    """Three layers with dropout in one, made by `vmap` and gone through by `scan`."""

    def __init__(self, *, rngs):
        self.layers = nnx.split_rngs(splits=3)(
            nnx.vmap(lambda rngs: jnn.modules.Dropout(0.5, rngs=rngs))
        )(rngs)

    def __call__(self, x):
        return nnx.scan(lambda layer, x: layer(x), in_axes=(0, None), out_axes=0)(self.layers, x)


def test_stacked_layers_take_the_members_number_and_draw_each_by_a_key_of_its_own():
    model, x = jnn.as_model(Stacked), jnp.ones(200)
    params, state = model.init(jax.random.key(0), x)
    apply = jax.jit(
        lambda rate: model.apply(params, state, x, key=jax.random.key(1), train=True, hyper=rate)
    )
    dropped, after = apply({"dropout_rate": 0.5})
    assert len(np.unique(dropped, axis=0)) == 3 and jax.tree.map(jnp.shape, after) == jax.tree.map(
        jnp.shape, state
    )
    np.testing.assert_array_equal(apply({"dropout_rate": 0.0})[0], jnp.ones((3, 200)))


def test_a_switch_that_would_never_be_turned_is_refused():
    class Switched(nnx.Module):
        def __init__(self, *, rngs):
            del rngs

        def __call__(self, x, train_phase=True, return_attention=False):
            return x

    with pytest.raises(
        ValueError, match=r"one of \['deterministic', .* got train_phase=True\. Rename it"
    ):
        jnn.as_model(Switched).init(jax.random.key(0), X)


def test_a_pairs_own_options_are_no_state():
    model = jnn.as_model(
        (
            lambda key, width=8: {"w": 2.0 * width},
            lambda params, x, scale=1.0: params["w"] * scale * x,
        )
    )
    params, state = model.init(jax.random.key(0), jnp.ones(3))
    assert (state, model.apply(params, state, jnp.ones(3))[0].tolist()) == ({}, [16.0] * 3)


def test_nnx_numbers_and_streams_are_taken_out_of_the_state():
    _, state = jnn.as_model(functools.partial(Nnx, 5)).init(jax.random.key(0), X)
    names = {str(p[-1].key) for p, _ in jax.tree_util.tree_leaves_with_path(state)}
    assert names == {"mean", "var", "dropout_rate"}


def test_an_nnx_instance_is_refused_with_the_fix():
    with pytest.raises(TypeError, match=r"functools\.partial\(Nnx, \.\.\.\)"):
        jnn.as_model(Nnx(5, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("wrong", [3, "mlp", lambda x: x, (1, 2)])
def test_what_is_no_model_is_refused(wrong):
    with pytest.raises(TypeError, match="must be a pair"):
        jnn.as_model(wrong)


def test_a_pair_of_wrong_arity_is_refused():
    with pytest.raises(TypeError, match="two or three positional"):
        jnn.as_model((lambda key, x: {}, lambda x: x))


class Parts(nnx.Module):
    """All kinds of attributes: plain arrays, a tree in one parameter, what is sown."""

    def __init__(self, *, rngs):
        self.shift, self.scale = jnp.arange(2.0), np.full(2, 3.0, np.float32)
        self.dense = nnx.Param({"w": jax.random.normal(rngs.params(), (2, 1)), "b": jnp.zeros(1)})

    def __call__(self, x):
        self.sow(nnx.Intermediate, "seen", x)
        dense = self.dense.get_value()
        return (x * self.scale + self.shift) @ dense["w"] + dense["b"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_nnx_module_may_hold_plain_arrays_and_trees_and_sow():
    model, x = jnn.as_model(Parts), jnp.ones((3, 2))
    init, apply = jax.jit(model.init), jax.jit(functools.partial(model.apply, train=True))
    params, state = init(jax.random.key(0), x)
    y, after = apply(params, state, x, key=jax.random.key(1))
    np.testing.assert_allclose(y, (3 * x + np.arange(2)) @ params["dense"]["w"], rtol=1e-5)
    assert (
        jax.tree.map(jnp.shape, after)
        == jax.tree.map(jnp.shape, state)
        == {"shift": (2,), "scale": (2,)}
    )


def test_a_linen_module_that_draws_when_it_is_scored_is_told():
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x + jax.random.normal(self.make_rng("noise"), x.shape)

    model = jnn.as_model(Noisy())
    model.apply({}, {}, X, key=jax.random.key(0), train=True)
    with pytest.raises(
        ValueError, match=r"Noisy must draw random numbers only while it trains, got: .*noise"
    ):
        model.apply({}, {}, X)


def test_parameters_that_are_no_arrays_are_told():
    model = jnn.as_model((lambda key: {"w": 1.0, "activation": jax.nn.relu}, lambda params, x: x))
    with pytest.raises(
        TypeError, match=r"init of a pair must return arrays only, got .* at \['activation'\]"
    ):
        model.init(jax.random.key(0), X)


def forms_that_pickle():
    """Models whose sources are module-level: one of each form, and one made by hand."""
    forms = {**FORMS, "by hand": jnn.Model(pair_init, pair_apply, "hand")}
    return {name: jnn.as_model(form) for name, form in forms.items()}


def first_outputs(model):
    params, state = jax.jit(model.init)(jax.random.key(0), X)
    return np.asarray(model.apply(params, state, X)[0])


def test_a_pickled_model_gives_the_same_numbers_in_a_fresh_process(tmp_path):
    models = forms_that_pickle()
    file = tmp_path / "models.pickle"
    file.write_bytes(pickle.dumps({name: (m, first_outputs(m)) for name, m in models.items()}))
    script = (
        "import pickle, sys, numpy\n"
        "from tests.test_model import first_outputs\n"
        "for name, (model, outputs) in pickle.load(open(sys.argv[1], 'rb')).items():\n"
        "    numpy.testing.assert_array_equal(first_outputs(model), outputs)\n"
        "    print(name, model.name)\n"
    )
    call = [sys.executable, "-c", script, str(file)]
    printed = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    assert printed.split("\n")[:-1] == [f"{name} {m.name}" for name, m in models.items()]


@pytest.mark.parametrize("name", forms_that_pickle())
def test_a_deep_copy_of_a_model_is_the_same_model(name):
    model = forms_that_pickle()[name]
    clone = copy.deepcopy(model)
    assert clone.name == model.name
    np.testing.assert_array_equal(first_outputs(clone), first_outputs(model))


def test_a_model_with_another_apply_is_not_pickled_as_its_source():
    model = dataclasses.replace(jnn.as_model(FORMS["pair"]), init=pair_init, apply=zero_apply)
    assert not first_outputs(pickle.loads(pickle.dumps(model))).any()


def zero_apply(params, state, x, *, key=None, train=False, hyper=None, shared=None):
    return jnp.zeros(1), state


TABLE = np.arange(14.0, dtype=np.float32).reshape(7, 2)
IDS = np.array([[1, 6, 0], [2, 2, 5]])


class Encoder(nnx.Module):
    """Rows of a table that all members share."""

    def __init__(self, *, rngs):
        self.table = Shared(jnp.zeros((7, 2)))

    def __call__(self, ids):
        return self.table[...][ids]


class SharedNnx(nnx.Module):
    """A linear layer on rows of the table."""

    def __init__(self, *, rngs):
        self.encoder = Encoder(rngs=rngs)
        self.linear = nnx.Linear(2, 3, rngs=rngs)

    def __call__(self, ids):
        return self.linear(self.encoder(ids))


class LinenEncoder(nn.Module):
    @nn.compact
    def __call__(self, ids):
        return self.variable("shared", "table", lambda: jnp.zeros((7, 2))).value[ids]


class SharedLinen(nn.Module):
    @nn.compact
    def __call__(self, ids):
        return nn.Dense(3, name="linear")(LinenEncoder(name="encoder")(ids))


def shared_init(key, ids, *, shared):
    return {"linear": {"kernel": jax.random.normal(key, (shared["table"].shape[1], 3))}}


def shared_apply(params, ids, *, shared):
    return shared["table"][ids] @ params["linear"]["kernel"]


SHARED = {"pair": (shared_init, shared_apply), "linen": SharedLinen(), "nnx": SharedNnx}


@functools.cache
def sharing(form):
    model = jnn.as_model(SHARED[form])
    params, state = model.init(jax.random.key(0), IDS, shared={"table": TABLE})
    return model, params, state


@pytest.mark.parametrize("form", SHARED)
def test_shared_arrays_reach_the_network_and_are_neither_parameters_nor_state(form):
    model, params, state = sharing(form)
    assert list(params) == ["linear"] and not state
    y, after = model.apply(params, state, IDS, key=None, train=True, shared={"table": TABLE})
    linear = params["linear"]
    expected = TABLE[IDS] @ linear["kernel"] + linear.get("bias", 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    assert not after


@pytest.mark.parametrize("form", SHARED)
def test_members_read_one_copy_of_a_shared_array_and_send_it_no_gradient(form):
    """No array of the vmapped gradient has an axis of members beside the table's."""
    model, params, state = sharing(form)
    members = jax.tree.map(lambda a: jnp.stack([a] * 5), params)

    def loss(params, shared):
        y, _ = model.apply(params, state, IDS, key=jax.random.key(0), train=True, shared=shared)
        return (y**2).sum()

    gradients = jax.vmap(jax.grad(loss), in_axes=(0, None))
    text = str(jax.make_jaxpr(gradients)(members, {"table": TABLE}))
    assert "f32[7,2]" in text and "f32[5,7,2]" not in text
    assert jax.tree.structure(gradients(members, {"table": TABLE})) == jax.tree.structure(params)


@pytest.mark.parametrize("form", ["linen", "nnx"])
def test_a_shared_array_is_found_by_its_path_before_its_name(form):
    model, params, state = sharing(form)
    by_path = {"encoder": {"table": 2 * TABLE}}
    expected = model.apply(params, state, IDS, shared={"table": 2 * TABLE})[0]
    np.testing.assert_array_equal(model.apply(params, state, IDS, shared=by_path)[0], expected)


@pytest.mark.parametrize("form", ["linen", "nnx"])
@pytest.mark.parametrize(
    ("shared", "words"),
    [
        (None, r"declares: \['encoder.table'\] are missing and \[\]"),
        ({"tabel": TABLE}, r"\['encoder.table'\] are missing and \['tabel'\] are declared nowhere"),
        ({"table": TABLE, "encoder": {"bias": TABLE}}, r"\[\] are missing and \['encoder.bias'\]"),
        ({"table": TABLE[1:]}, r"must have the shape \(7, 2\) that Shared.* got \(6, 2\)"),
    ],
)
def test_shared_arrays_that_do_not_match_the_declaration_are_refused(form, shared, words):
    with pytest.raises(ValueError, match=words):
        jnn.as_model(SHARED[form]).init(jax.random.key(0), IDS, shared=shared)


def test_a_pair_takes_shared_arrays_only_by_its_keyword():
    with pytest.raises(ValueError, match="shared must hold the arrays that shared_apply reads"):
        jnn.as_model(SHARED["pair"]).init(jax.random.key(0), IDS)
    with pytest.raises(ValueError, match="neither it nor pair_init takes the keyword shared"):
        jnn.as_model(FORMS["pair"]).init(jax.random.key(0), X, shared={"table": TABLE})


class Head(nnx.Module):
    """A linear layer on the features of a frozen network."""

    def __init__(self, *, rngs):
        self.trunk = Shared(jnn.as_model(TRUNK).init(jax.random.key(0), None))
        self.linear = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.linear(jnn.as_module(TRUNK, *self.trunk.get_value())(x))


TRUNK = functools.partial(jnn.models.MLP, 5, (4,), 8)


def test_a_frozen_trunk_is_one_shared_tree():
    trunk = jnn.as_model(TRUNK)
    pretrained = trunk.init(jax.random.key(7), X)
    shared = {"trunk": pretrained}
    model = jnn.as_model(Head)
    params, state = model.init(jax.random.key(1), X, shared=shared)
    assert list(params) == ["linear"] and not state
    y, _ = model.apply(params, state, X, shared=shared)
    head = nnx.Linear(8, 3, rngs=nnx.Rngs(0))
    nnx.update(head, params["linear"])
    np.testing.assert_allclose(y, head(trunk.apply(*pretrained, X)[0]), rtol=1e-5)
    head_alone = jnn.as_module(Head, params, state, shared=shared)
    np.testing.assert_array_equal(head_alone(X), y)
