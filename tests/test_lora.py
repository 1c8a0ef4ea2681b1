"""Frozen parameters and low-rank updates: the numbers of the definition, and shared arrays."""

import collections
import functools
import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn

RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(24, 3)), jnp.float32)
Y = np.arange(24) % 2
DATA = jnn.Dataset.from_arrays(np.asarray(X), Y)


def init(key, x):
    keys = jax.random.split(key)
    return {
        "hidden": {"kernel": jax.random.normal(keys[0], (3, 4)), "bias": jnp.ones(4)},
        "head": [jax.random.normal(keys[1], (4, 2)), jnp.zeros(2)],
    }


def apply(params, x):
    hidden = jnp.tanh(jnn.layers.dense(x, **params["hidden"]))
    return jnn.layers.dense(hidden, *params["head"])


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(2, name="head")(nn.tanh(nn.Dense(4, name="hidden")(x)))


class NnxNet(nnx.Module):
    def __init__(self, *, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.hidden = nnx.Linear(3, 4, rngs=rngs)
        self.head = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.hidden(self.norm(x))))


NETWORKS = pytest.mark.parametrize(
    "network", [(init, apply), LinenNet(), NnxNet], ids=["pair", "linen", "nnx"]
)
TRUNKS = ["hidden/**", "norm/**"]


def pretrained(network):
    """Parameters and state as if they had been trained elsewhere."""
    variables = jnn.as_model(network).init(jax.random.key(7), X)
    return jax.tree.map(lambda a: a + 0.25, variables)


def study_of(frozen, **settings):
    return jnn.Study(
        frozen.model,
        jnn.losses.softmax_cross_entropy,
        lambda h: optax.adam(h.rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=2,
        batch_size=8,
        hyper={"rate": 0.1},
        shared=frozen.shared,
        **settings,
    )


def with_random_b(params):
    return jax.tree.map(
        lambda leaf: leaf + jnp.asarray(RANDOM.normal(size=leaf.shape), leaf.dtype), params
    )


@NETWORKS
def test_an_adapted_network_starts_as_the_base_and_adds_the_product_of_the_factors(network):
    params, state = pretrained(network)
    adapted = jnn.lora.adapt(network, (params, state), "hidden/kernel", rank=2, alpha=3)
    first, first_state = adapted.model.init(jax.random.key(1), X, shared=adapted.shared)
    assert jnn.paths.names(first) == ["hidden/kernel/lora_a", "hidden/kernel/lora_b"]
    jax.tree.map(np.testing.assert_array_equal, first_state, state)
    original = jnn.as_model(network)
    call = functools.partial(adapted.model.apply, key=None, train=False, hyper={})
    y, _ = call(first, first_state, X, shared=adapted.shared)
    np.testing.assert_array_equal(y, original.apply(params, state, X)[0])
    changed = with_random_b(first)
    y, _ = call(changed, first_state, X, shared=adapted.shared)
    low = changed["hidden"]["kernel"]
    by_hand = np.float64(params["hidden"]["kernel"])
    by_hand = by_hand + 3 / 2 * np.float64(low.lora_a) @ np.float64(low.lora_b)
    merged = adapted.merge(changed)
    np.testing.assert_allclose(merged["hidden"]["kernel"], by_hand, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(y, original.apply(merged, state, X)[0], rtol=1e-5, atol=1e-5)
    plain = adapted.unmerge(changed, merged)
    assert jax.tree.structure(plain) == jax.tree.structure(params)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), plain, params)


@functools.cache
def trained(network):
    """Members of an adapted network, and one of them alone, in the same program."""
    adapted = jnn.lora.adapt(network, pretrained(network), "hidden/kernel", rank=2, fresh="head/**")
    study = study_of(adapted)
    members = jnn.seeds(3) * jnn.grid(rate=[0.03, 0.1])
    plan = jnn.Plan(1, 2, 3)
    alone = jnn.run(study, DATA, members[[4]], plan=plan)
    return adapted, jnn.run(study, DATA, members, plan=plan), alone


@pytest.mark.parametrize(
    "network", [NnxNet, pytest.param(LinenNet(), marks=pytest.mark.slow)], ids=["nnx", "linen"]
)
def test_members_have_the_factors_only_and_each_equals_its_run_alone(network):
    adapted, result, alone = trained(network)
    assert sum(array[0].size for array in jax.tree.leaves(result.trained.params)) == 14 + 10
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a[4], b[0]), result.trained, alone.trained
    )
    merged = jax.vmap(adapted.merge)(result.trained.params)
    for array in jax.tree.leaves(jnn.paths.take(["head/**", "hidden/kernel"], merged)):
        assert len(np.unique(array, axis=0)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("network", [NnxNet, LinenNet()], ids=["nnx", "linen"])
def test_the_merged_network_computes_what_the_saved_members_do(network, tmp_path):
    adapted, result, _ = trained(network)
    result.save(tmp_path / "result")
    loaded = jnn.Result.load(tmp_path / "result", result.study)
    merged = jax.vmap(adapted.merge)(loaded.trained.params)
    state = loaded.trained.model_state
    y, _ = jax.vmap(jnn.as_model(network).apply, (0, 0, None))(merged, state, X)
    np.testing.assert_allclose(loaded.outputs(np.asarray(X)), y, rtol=1e-4, atol=1e-5)
    members = result.members
    alone = jnn.run(result.study, DATA, members[[4]])  # in a program of its own
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: close(a[4], b[0]), result.trained, alone.trained)


def test_the_program_has_the_base_once_for_all_members():
    adapted = jnn.lora.adapt((init, apply), pretrained((init, apply))[0], "hidden/kernel", rank=1)
    study = study_of(adapted)
    data = jnn.Data.from_arrays(X, Y, shared=adapted.shared)
    columns = {"seed": np.arange(5), "rate": np.full(5, 0.1, np.float32)}
    start = jax.vmap(
        lambda c, data: jnn.make_start(study)(jnn.engine.member_of(c), data), (0, None)
    )
    state = jax.eval_shape(start, columns, data)
    batched = {leaf.shape for leaf in jax.tree.leaves((state.trained.params, state.opt_state))}
    assert batched == {(5, 3, 1), (5, 1, 4), (5,)}
    batch = jnn.Batch(data.x[:8], data.y[:8], shared=data.shared)
    jaxpr = jax.make_jaxpr(jax.vmap(jnn.make_step(study), (0, None)))(state, batch).jaxpr
    assert (3, 4) in [variable.aval.shape for variable in jaxpr.invars]
    assert not {(5, 3, 4), (5, 12)} & shapes_in(jaxpr)


def shapes_in(jaxpr):
    """Return the shapes of all arrays that a program computes."""
    shapes = {v.aval.shape for equation in jaxpr.eqns for v in equation.outvars}
    inner = (leaf for equation in jaxpr.eqns for leaf in jax.tree.leaves(equation.params))
    programs = [getattr(leaf, "jaxpr", None) for leaf in inner]
    return shapes.union(*(shapes_in(program) for program in programs if program is not None))


@pytest.mark.parametrize(
    "lookup",
    [
        lambda table, ids: jnn.layers.embedding(ids, table),
        lambda table, ids: table[ids],
        lambda table, ids: jnp.take(table, ids, axis=0),
    ],
)
def test_rows_of_a_table_are_looked_up_in_base_and_update_apart(lookup):
    ids = jnp.arange(12).reshape(3, 4) % 7
    base = jnp.asarray(RANDOM.normal(size=(7, 5)), jnp.float32)
    adapted = jnn.lora.adapt((lambda key, x: base, lookup), base, "**", rank=1)
    low = with_random_b(adapted.model.init(jax.random.key(0), ids, shared=adapted.shared)[0])

    def embedded(low):
        return adapted.model.apply(low, {}, ids, shared=adapted.shared)[0]

    expected = np.float64(adapted.merge(low))[np.asarray(ids)]
    np.testing.assert_allclose(embedded(low), expected, rtol=1e-4, atol=1e-5)
    assert (7, 5) not in shapes_in(jax.make_jaxpr(embedded)(low).jaxpr)


def every_use(params, x):
    """Read the kernels in a loop, a part that is computed again, and products of other forms."""
    loop, deep, wide, tied = (params[name] for name in ("loop", "deep", "wide", "tied"))
    x = x + jnn.layers.embedding(jnp.arange(6) % 5, params["table"])
    _, x = jax.lax.scan(lambda h, row: (jnp.tanh(h @ loop + row),) * 2, jnp.zeros(4), x)
    x = jax.checkpoint(lambda x: jnp.sin(jax.jit(jnn.layers.dense)(x, deep)))(x)  # [rows, 4]
    x = jax.lax.dot_general(x.reshape(-1, 2, 2), wide, (((2, 1), (1, 0)), ((), ())))  # [rows, 2, 3]
    return jnp.einsum("...i,ji->...j", x, tied) + tied[0, 0]


@pytest.mark.parametrize(("pattern", "outputs"), [(["loop", "deep", "t*"], 1), ("wide", 2)])
def test_an_update_is_added_wherever_a_kernel_is_read(pattern, outputs):
    shapes = {"loop": (4, 4), "deep": (4, 4), "wide": (2, 2, 2, 3), "tied": (5, 3)}
    shapes["table"] = (5, 4)
    random = np.random.default_rng(3)
    params = {k: jnp.asarray(0.5 * random.normal(size=v), jnp.float32) for k, v in shapes.items()}
    x = jnp.asarray(random.normal(size=(6, 4)), jnp.float32)
    network = (lambda key, x: params, every_use)
    adapted = jnn.lora.adapt(network, params, pattern, rank=1, alpha=2, outputs=outputs)
    first, _ = adapted.model.init(jax.random.key(1), x, shared=adapted.shared)
    changed = jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape) / 2, a.dtype), first)

    def apart(params):
        y, _ = adapted.model.apply(params, {}, x, train=True, shared=adapted.shared)
        return (y**2).sum(), y

    def merged(params):
        y = every_use(adapted.merge(params), x)
        return (y**2).sum(), y

    answers = [jax.jit(jax.value_and_grad(f, has_aux=True))(changed) for f in (apart, merged)]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), *answers)
    (_, y), _ = answers[0]
    assert np.abs(y - every_use(params, x)).max() > 0.01


def test_a_convolution_is_adapted_as_by_two_convolutions():
    kernel = RANDOM.normal(size=(3, 3, 2, 4)).astype(np.float32)
    x = RANDOM.normal(size=(2, 5, 5, 2)).astype(np.float32)

    def convolve(params, x):
        return jax.lax.conv_general_dilated(
            x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    network = (lambda key, x: {"kernel": jnp.zeros_like(kernel)}, convolve)
    adapted = jnn.lora.adapt(network, {"kernel": kernel}, "kernel", rank=3, alpha=6)
    params, state = adapted.model.init(jax.random.key(0), x, shared=adapted.shared)
    params = with_random_b(params)
    y, _ = adapted.model.apply(params, state, x, shared=adapted.shared)
    low = params["kernel"]
    narrow = convolve({"kernel": low.lora_a.reshape(3, 3, 2, 3)}, x)
    update = convolve({"kernel": low.lora_b.reshape(1, 1, 3, 4)}, narrow)
    np.testing.assert_allclose(y, convolve({"kernel": kernel}, x) + 2 * update, atol=1e-4)
    dropping = jnn.lora.adapt(network, {"kernel": kernel}, "kernel", rank=3, dropout_rate=0.1)
    call = functools.partial(dropping.model.apply, params, state, x, shared=dropping.shared)
    call(key=jax.random.key(0), train=False)
    with pytest.raises(ValueError, match="must be multiplied by rows for dropout_rate, but"):
        call(key=jax.random.key(0), train=True)


def test_ranks_are_those_of_the_first_pattern_that_a_kernel_fits():
    ranks = {"hidden/*": 3, "**": 1}
    adapted = jnn.lora.adapt((init, apply), BASE, ["hidden/kernel", "head/0"], rank=ranks, alpha=6)
    params, _ = adapted.model.init(jax.random.key(0), X, shared=adapted.shared)
    params = with_random_b(params)
    merged = adapted.merge(params)
    for low, base, whole, rank in (
        (params["hidden"]["kernel"], BASE["hidden"]["kernel"], merged["hidden"]["kernel"], 3),
        (params["head"][0], BASE["head"][0], merged["head"][0], 1),
    ):
        assert low.lora_a.shape[1] == rank
        expected = np.float64(base) + 6 / rank * np.float64(low.lora_a) @ np.float64(low.lora_b)
        np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)


def test_dropout_is_of_the_rows_that_an_update_sees_and_members_set_its_rate():
    base = {"kernel": jnp.zeros((3, 3))}
    network = (lambda key, x: base, lambda params, x: x @ params["kernel"])
    adapted = jnn.lora.adapt(network, base, "kernel", rank=3, dropout_rate=0.25)
    eye = {"kernel": jnn.lora.LowRank(jnp.eye(3), jnp.eye(3))}  # the update returns what it sees
    x = jnp.ones((4000, 3))
    call = functools.partial(adapted.model.apply, eye, {}, x, shared=adapted.shared)
    np.testing.assert_array_equal(call(key=jax.random.key(0), train=False)[0], x)
    for hyper, rate in (({}, 0.25), ({"lora_dropout_rate": 0.5}, 0.5)):
        seen, _ = call(key=jax.random.key(0), train=True, hyper=hyper)
        np.testing.assert_allclose(np.unique(seen), [0, 1 / (1 - rate)], rtol=1e-4)
        # The share of 12,000 entries is off by .02 at more than 4 standard errors.
        assert abs(np.mean(seen == 0) - rate) < 0.02
    full = jnn.lora.adapt(network, {"kernel": jnp.eye(3)}, "kernel", rank=3, dropout_rate=1.0)
    seen, _ = full.model.apply(
        eye, {}, x, shared=full.shared, key=jax.random.key(0), train=True, hyper={}
    )
    np.testing.assert_array_equal(seen, x)  # the base has the whole rows


def test_members_with_dropout_of_their_own_train_in_one_program():
    adapted = jnn.lora.adapt(NnxNet, pretrained(NnxNet), "h*/kernel", rank=1, dropout_rate=0.0)
    members = jnn.grid(lora_dropout_rate=[0.0, 0.0, 0.5])
    result = jnn.run(study_of(adapted), DATA, members)
    first, same, other = result.trained.params["hidden"]["kernel"].lora_b
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3
    with pytest.raises(ValueError, match="'lora_dropout_rate' must be at most 1"):
        jnn.grid(lora_dropout_rate=[1.5])


def test_first_factors_have_the_moments_of_their_distributions():
    kernel = {"kernel": np.zeros((400, 8), np.float32)}
    network = (lambda key, x: kernel, lambda params, x: x @ params["kernel"])
    for initial, deviation in (("kaiming", 1 / np.sqrt(3 * 400)), ("gaussian", 1 / 8)):
        adapted = jnn.lora.adapt(network, kernel, "kernel", rank=8, initial=initial)
        low = adapted.model.init(jax.random.key(0), None, shared=adapted.shared)[0]["kernel"]
        assert not low.lora_b.any()
        # The deviation of 3,200 numbers is off by 5 % at 4 standard errors.
        assert abs(np.std(low.lora_a) / deviation - 1) < 0.05
        assert initial == "gaussian" or np.abs(low.lora_a).max() <= 1 / 20


def test_a_kernel_for_several_heads_may_have_two_axes_of_outputs():
    attention = nn.MultiHeadDotProductAttention(num_heads=3, qkv_features=12)
    x = jnp.ones((2, 5, 6))
    variables = attention.init(jax.random.key(0), x, x)
    adapted = jnn.lora.adapt(attention, variables, "query/kernel", rank=4, outputs=2)
    shapes = jax.eval_shape(adapted.model.init, jax.random.key(0), x, shared=adapted.shared)[0]
    low = shapes["query"]["kernel"]
    assert (low.lora_a.shape, low.lora_b.shape) == ((6, 4), (4, 12))


@NETWORKS
def test_what_is_frozen_keeps_its_bits_and_what_is_fresh_is_drawn(network):
    params, state = pretrained(network)
    patterns = [one for one in TRUNKS if one.startswith("hidden") or "norm" in params]
    frozen = jnn.freeze(network, (params, state), patterns, fresh="head/**")
    first, _ = frozen.model.init(jax.random.key(1), X, shared=frozen.shared)
    drawn = jnn.as_model(network).init(jax.random.key(1), X)[0]
    jax.tree.map(np.testing.assert_array_equal, first["head"], drawn["head"])
    assert len(jax.tree.leaves(first)) == 2
    merged = frozen.merge(with_random_b(first))
    jax.tree.map(np.testing.assert_array_equal, merged["hidden"], params["hidden"])
    assert jax.tree.structure(merged) == jax.tree.structure(params)


def test_every_form_of_variables_is_the_same_base():
    module = NnxNet(rngs=nnx.Rngs(3))
    model = jnn.as_model(NnxNet)
    params, state = jnn.model.variables_of(model, module)
    np.testing.assert_array_equal(params["head"]["kernel"], module.head.kernel[...])
    np.testing.assert_array_equal(state["norm"]["mean"], module.norm.mean[...])
    both = jnn.model.variables_of(model, nnx.state(module))
    jax.tree.map(np.testing.assert_array_equal, both, (params, state))
    variables = LinenNet().init(jax.random.key(0), X)
    linen = jnn.as_model(LinenNet())
    params, state = jnn.model.variables_of(linen, variables)
    assert params is variables["params"] and list(state) == ["batch_stats"]
    assert jnn.model.variables_of(linen, params) == (params, None)
    named = collections.namedtuple("Variables", ["params", "state"])(params, state)
    assert jnn.model.variables_of(linen, named) == (params, state)
    with pytest.raises(TypeError, match=r"got the leaf 'folder'\. Load a file by"):
        jnn.freeze(NnxNet, "folder", "**")
    layers = ({"w": 1.0}, {"w": 2.0})  # parameters that are themselves a pair
    pair = jnn.as_model((lambda key, x: layers, lambda params, x: x))
    assert jnn.model.variables_of(pair, layers) == (layers, None)
    assert jnn.model.variables_of(pair, (layers, {})) == (layers, None)


def test_only_the_parameters_of_one_member_are_merged():
    frozen = jnn.freeze((init, apply), BASE, "hidden/**", fresh="head/**")
    adapted = jnn.lora.adapt((init, apply), BASE, "hidden/kernel", rank=1)
    for one in (frozen, adapted):
        params, _ = one.model.init(jax.random.key(0), X, shared=one.shared)
        members = jax.tree.map(lambda array: array[None], params)
        with pytest.raises(ValueError, match="params must be those of one member"):
            one.merge(members)
        merged = jax.vmap(one.merge)(members)
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), merged, one.merge(params))
        for wrong in (None, {"head": BASE["head"]}, {**params, "tail": X}):
            with pytest.raises(ValueError, match="params must have the names of apply"):
                one.merge(wrong)
            with pytest.raises(ValueError, match="params must have the names of apply"):
                one.unmerge(wrong, BASE)


def test_a_frozen_network_can_be_pickled():
    adapted = jnn.lora.adapt(NnxNet, pretrained(NnxNet), "hidden/kernel", rank=1)
    copy = pickle.loads(pickle.dumps(adapted))
    assert repr(copy) == "Frozen('NnxNet with LoRA', 6 arrays)"
    params, _ = copy.model.init(jax.random.key(0), X, shared=copy.shared)
    params = with_random_b(params)
    jax.tree.map(np.testing.assert_array_equal, copy.merge(params), adapted.merge(params))


BASE = init(jax.random.key(0), X)
adapt = functools.partial(jnn.lora.adapt, (init, apply))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adapt(BASE, "hidden/kernel", rank=4), r"rank must be at most 3 for 'hidden/kern"),
        (lambda: adapt(BASE, "hidden/bias"), r"of 2 or more axes, but 'hidden/bias' has the shape"),
        (lambda: adapt(BASE, "hiden/kernel"), r"fits none. Near names are 'hidden/kernel'"),
        (lambda: adapt(BASE, []), r"^pattern must name at least one kernel"),
        (
            lambda: adapt({**BASE, "hidden": {"kernel": np.ones((3, 4), int)}}, "hidden/kernel"),
            r"must name kernels of floats, but 'hidden/kernel' is of int",
        ),
        (lambda: adapt(BASE, "hidden/kernel", rank=0), r"^rank must be a positive integer"),
        (lambda: adapt(BASE, "hidden/kernel", rank={"head/*": 2}), r"'head/\*' must fit one of"),
        (lambda: adapt(BASE, "hidden/kernel", dropout_rate=2), r"^dropout_rate must be"),
        (lambda: adapt(BASE, "head/0", rank=1, train="head/*"), r"\['head/0'\] also fit train"),
        (lambda: adapt(BASE, "head/0", rank=1, initial="he"), r"^initial must be 'kaiming' or"),
        (
            lambda: jnn.freeze((init, apply), BASE, "trunk/**"),
            r"'trunk/\*\*' must fit one of the 4",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_base_that_is_not_that_of_the_network_is_refused_before_it_is_compiled():
    wrong = {**BASE, "hidden": {"kernel": jnp.zeros((3, 5)), "bias": jnp.zeros(4)}, "tail": X}
    for base, fresh, message in (
        (wrong, (), r"missing are none, left over are 'tail'"),
        (wrong, "tail", r"'hidden/kernel' of base must have the shape \(3, 4\), got \(3, 5\)"),
        (BASE, "haed/**", r"The pattern 'haed/\*\*' must fit one of the 4 names"),
    ):
        frozen = jnn.freeze((init, apply), base, "hidden/**", fresh=fresh)
        with pytest.raises(ValueError, match=message):
            jnn.run(study_of(frozen), DATA)
    study = jnn.Study(
        frozen.model, jnn.losses.softmax_cross_entropy, optax.sgd(0.1), epochs=1, batch_size=8
    )
    with pytest.raises(ValueError, match="shared must hold the frozen parameters of apply"):
        jnn.run(study, DATA)
