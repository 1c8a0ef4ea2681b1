"""Tensors of files become variables of networks of all three kinds, or one error lists why not."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn import weights
from jnn.weights import Layout, Pattern, Rule

KEY = jax.random.key(3)
X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


class Linen(nn.Module):
    outputs: int = 3

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Dense(5, name="first")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(self.outputs, name="second")(x)


class Nnx(nnx.Module):
    def __init__(self, outputs=3, *, rngs):
        self.first = jnn.modules.Dense(4, 5, rngs=rngs)
        self.norm = jnn.modules.BatchNorm(5, rngs=rngs)
        self.drop = jnn.modules.Dropout(0.25, rngs=rngs)
        self.second = jnn.modules.Dense(5, outputs, rngs=rngs)

    def __call__(self, x):
        return self.second(self.drop(self.norm(self.first(x))))


def pair(outputs=3):
    def init(key, x):
        first, second = jax.random.split(key)
        params = {
            "first": {"kernel": jax.random.normal(first, (4, 5)), "bias": jnp.zeros(5)},
            "norm": {"scale": jnp.ones(5), "bias": jnp.zeros(5)},
            "second": {"kernel": jax.random.normal(second, (5, outputs)),
                       "bias": jnp.zeros(outputs)},
        }  # fmt: skip
        return params, {"norm": {"mean": jnp.zeros(5), "var": jnp.ones(5)}}

    def apply(params, state, x):
        x = jnn.layers.dense(x, **params["first"])
        x = jnn.layers.batch_norm(x, state["norm"]["mean"], state["norm"]["var"], **params["norm"])
        return jnn.layers.dense(x, **params["second"]), state

    return init, apply


NETWORKS = {
    "linen": lambda outputs=3: Linen(outputs),
    "nnx": lambda outputs=3: functools.partial(Nnx, outputs),
    "pair": pair,
}
STATISTICS = {"linen": "batch_stats/norm", "nnx": "norm", "pair": "norm"}


def table(kind):
    """The names of PyTorch's Linear and BatchNorm1d."""
    return [
        ("{name}.running_mean", STATISTICS[kind].replace("norm", "{name}") + "/mean"),
        ("{name}.running_var", STATISTICS[kind].replace("norm", "{name}") + "/var"),
        ("{name}.num_batches_tracked", None),
        ("norm.weight", "norm/scale"),
        ("{name}.weight", "{name}/kernel", "transpose"),
        ("{name}.bias", "{name}/bias"),
    ]


@pytest.fixture(scope="module")
def tensors():
    """Random tensors with PyTorch's names and layouts."""
    random = np.random.default_rng(1)
    draw = lambda *shape: random.normal(size=shape).astype(np.float32)  # noqa: E731
    return {
        "first.weight": draw(5, 4),
        "first.bias": draw(5),
        "norm.weight": draw(5),
        "norm.bias": draw(5),
        "norm.running_mean": draw(5),
        "norm.running_var": random.uniform(0.5, 2, 5).astype(np.float32),
        "norm.num_batches_tracked": np.array(7),
        "second.weight": draw(3, 5),
        "second.bias": draw(3),
    }


def by_numpy(t, x):
    """The network in NumPy, in float64, with the definitions of PyTorch."""
    t = {name: array.astype(np.float64) for name, array in t.items()}
    y = x @ t["first.weight"].T + t["first.bias"]
    y = (y - t["norm.running_mean"]) / np.sqrt(t["norm.running_var"] + 1e-5)
    y = y * t["norm.weight"] + t["norm.bias"]
    return y @ t["second.weight"].T + t["second.bias"]


@pytest.mark.parametrize(
    ("kind", "form"), [("linen", "safetensors"), ("nnx", "torch"), ("pair", "npz")]
)
def test_a_network_of_each_kind_computes_what_its_file_means(kind, form, tensors, tmp_path):
    weights.save(tensors, tmp_path / "w", form)
    network = NETWORKS[kind]()
    params, state = weights.load(tmp_path / "w", network, X, family=table(kind))
    y, _ = jnn.as_model(network).apply(
        params, state, jnp.asarray(X), key=None, train=False, hyper={}
    )
    np.testing.assert_allclose(y, by_numpy(tensors, X), rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_saved_by_a_family_is_what_was_loaded_by_it(kind, tensors, tmp_path):
    variables = weights.load(tensors, NETWORKS[kind](), X, family=table(kind))
    weights.save(variables, tmp_path / "w.pt", family=table(kind), prefix="net.")
    found = weights.read(tmp_path / "w.pt")
    expected = {name: a for name, a in tensors.items() if "tracked" not in name}
    assert {*found} == {f"net.{name}" for name in expected}
    for name, array in expected.items():
        assert found[f"net.{name}"].tobytes() == array.tobytes()


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_saved_network_is_loaded_by_its_own_names(kind, tmp_path):
    network = NETWORKS[kind]()
    variables = jnn.as_model(network).init(KEY, X)
    weights.save(variables, tmp_path / "w.safetensors")
    loaded = weights.load(tmp_path / "w.safetensors", network, X, ignore="**/dropout_rate")
    assert jax.tree.structure(tuple(loaded)) == jax.tree.structure(tuple(variables))
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(variables), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("kind", NETWORKS)
def test_one_error_lists_what_is_missing_left_over_and_of_another_shape(kind, tensors):
    changed = {name: array for name, array in tensors.items() if name != "first.bias"}
    changed |= {"third.weight": np.zeros(2), "another": np.zeros(2)}
    with pytest.raises(ValueError) as caught:
        weights.load(changed, NETWORKS[kind](4), X, family=table(kind))
    text = str(caught.value)
    assert "missing in the file are ['params/first/bias (first.bias)']" in text
    assert "left over in the file are ['another', 'third.weight']" in text
    assert "params/second/bias (4,) from second.bias (3,)" in text
    assert "params/second/kernel (5, 4) from second.weight (3, 5)" in text
    assert "\n" not in text


def test_a_new_head_keeps_its_first_values_and_the_rest_is_loaded(tensors):
    network = NETWORKS["nnx"](7)
    params, _ = weights.load(tensors, network, family=table("nnx"), skip="second/*", key=KEY)
    first, _ = jnn.as_model(network).init(KEY, X)
    np.testing.assert_array_equal(params["second"]["kernel"], first["second"]["kernel"])
    np.testing.assert_array_equal(params["first"]["kernel"], tensors["first.weight"].T)


def test_tensors_that_may_be_left_over_change_nothing_else(tensors):
    more = tensors | {"third.scale": np.zeros(2), "third.shift": np.zeros(2)}
    network, rules = NETWORKS["nnx"](), table("nnx")
    params, _ = weights.load(more, network, family=rules, ignore=["third.*"])
    np.testing.assert_array_equal(params["first"]["kernel"], tensors["first.weight"].T)
    with pytest.raises(ValueError, match=r"left over in the file are \['third.shift'\]"):
        weights.load(more, network, family=rules, ignore="third.scale")


def test_two_tensors_for_one_array_are_an_error(tensors):
    rules = [("other.bias", "first/bias"), *table("nnx")]
    more = tensors | {"other.bias": tensors["first.bias"]}
    with pytest.raises(ValueError, match=r"left over in the file are \['other.bias'\]"):
        weights.load(more, NETWORKS["nnx"](), family=rules)


def test_a_part_is_loaded_by_pattern(tensors):
    network = NETWORKS["pair"]()
    part = {"first.weight": tensors["first.weight"]}
    params, _ = weights.load(part, network, X, family=table("pair"), only="first/kernel", key=KEY)
    first, _ = jnn.as_model(network).init(KEY, X)
    np.testing.assert_array_equal(params["first"]["kernel"], tensors["first.weight"].T)
    np.testing.assert_array_equal(params["second"]["kernel"], first["second"]["kernel"])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_floats_of_another_width_are_converted_only_if_asked(dtype, tensors):
    halves = {
        name: array.astype(dtype) if array.dtype == np.float32 else array
        for name, array in tensors.items()
    }
    network, rules = NETWORKS["nnx"](), table("nnx")
    with pytest.raises(ValueError, match=r"types of the network.*first\.weight.*cast=True"):
        weights.load(halves, network, family=rules)
    params, _ = weights.load(halves, network, family=rules, cast=True)
    kernel = params["first"]["kernel"]
    assert kernel.dtype == jnp.float32
    np.testing.assert_array_equal(kernel, halves["first.weight"].T.astype(np.float32))


def test_whole_numbers_do_not_become_floats(tensors):
    changed = tensors | {"first.bias": np.arange(5)}
    with pytest.raises(ValueError, match=r"first\.bias int64 for params/first/bias float32.*Only"):
        weights.load(changed, NETWORKS["nnx"](), family=table("nnx"), cast=True)


def test_tensors_of_a_part_of_a_checkpoint_are_read_by_prefix(tensors):
    inside = {f"model.{name}": array for name, array in tensors.items()}
    whole = inside | {"optimizer.rate": np.zeros(3)}
    params, _ = weights.load(whole, NETWORKS["nnx"](), family=table("nnx"), prefix="model.")
    np.testing.assert_array_equal(params["second"]["bias"], tensors["second.bias"])
    with pytest.raises(ValueError, match=r"prefix must begin some name.*'net\.'"):
        weights.load(whole, NETWORKS["nnx"](), family=table("nnx"), prefix="net.")


def test_bad_arguments_are_refused_in_one_sentence(tensors):
    network = NETWORKS["nnx"]()
    with pytest.raises(ValueError, match="family must be one of"):
        weights.load(tensors, network, family="resnet-9000")
    with pytest.raises(TypeError, match="family must be a name"):
        weights.load(tensors, network, family=3)
    with pytest.raises(TypeError, match="A rule must be"):
        weights.load(tensors, network, family=["first.weight"])
    with pytest.raises(TypeError, match=r"needs an example batch.*pass x="):
        weights.load(tensors, Linen(), family=table("linen"))
    with pytest.raises(ValueError, match="only must fit some array of the network"):
        weights.load(tensors, network, family=table("nnx"), only="third/*")
    with pytest.raises(ValueError, match="same placeholders"):
        Rule("a.{i}", "b/{j}")
    with pytest.raises(ValueError, match="one name on one of its sides"):
        Rule(("a", "b"), ("c", "d"))


def test_the_table_of_gpt2_names_every_array_of_gpt_and_comes_back_exactly(tmp_path):
    gpt = functools.partial(jnn.models.GPT, 19, 12, layers=2, num_heads=4, features=16)
    shapes = jax.eval_shape(lambda key: jnn.as_model(gpt).init(key, None), KEY)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda a: random.normal(size=a.shape).astype(a.dtype), shapes)
    path = weights.save(variables, tmp_path / "w.safetensors", family="gpt2", prefix="transformer.")
    shapes = {name: array.shape for name, array in weights.read(path).items()}
    assert shapes["transformer.h.1.attn.c_attn.weight"] == (16, 48)
    assert len(shapes) == 4 + 1 + 2 * 12  # as GPT2LMHeadModel has, with lm_head.weight
    loaded = weights.load(path, gpt, family="gpt2")
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(variables), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert "gpt2" in weights.families()


LAYOUTS = {  # layout: (file's shapes, network's shapes, the truth in NumPy)
    "transpose": ([(2, 3)], [(3, 2)], lambda a: [a.T]),
    "OIHW->HWIO": ([(2, 3, 4, 5)], [(4, 5, 3, 2)], lambda a: [np.einsum("oihw->hwio", a)]),
    "OIW->WIO": ([(2, 3, 4)], [(4, 3, 2)], lambda a: [np.einsum("oiw->wio", a)]),
    "IOHW->HWIO flip HW": (
        [(2, 3, 4, 5)],
        [(4, 5, 2, 3)],
        lambda a: [np.einsum("iohw->hwio", a)[::-1, ::-1]],
    ),
    "(HK)D->DHK": ([(6, 4)], [(4, 2, 3)], lambda a: [a.T.reshape(4, 2, 3)]),
    "D(HK)->HKD": ([(4, 6)], [(2, 3, 4)], lambda a: [a.reshape(4, 2, 3).transpose(1, 2, 0)]),
    "O(CHW)->(HWC)O C=2 H=3": (
        [(5, 24)],
        [(24, 5)],
        lambda a: [a.reshape(5, 2, 3, 4).transpose(2, 3, 1, 0).reshape(24, 5)],
    ),
    "gates ifgo->ifog": (
        [(3, 8)],
        [(3, 8)],
        lambda a: [np.hstack([a[:, :4], a[:, 6:], a[:, 4:6]])],
    ),
    "transpose; gates rzn->zrn": (
        [(6, 2)],
        [(2, 6)],
        lambda a: [np.vstack([a[2:4], a[:2], a[4:]]).T],
    ),
    "split 3": ([(2, 6)], [(2, 2)] * 3, lambda a: [a[:, :2], a[:, 2:4], a[:, 4:]]),
    "split 2 1 1 axis 0": ([(8, 2)], [(4, 2), (2, 2), (2, 2)], lambda a: [a[:4], a[4:6], a[6:]]),
    "split 3; D(HK)->DHK": (
        [(4, 18)],
        [(4, 2, 3)] * 3,
        lambda a: list(a.reshape(4, 3, 2, 3).transpose(1, 0, 2, 3)),
    ),
    "concatenate": ([(2, 3), (2, 3)], [(2, 6)], lambda a, b: [np.hstack([a, b])]),
    "concatenate 2 1 axis 0": ([(4, 2), (2, 2)], [(6, 2)], lambda a, b: [np.vstack([a, b])]),
    "stack": ([(2, 3)] * 4, [(4, 2, 3)], lambda *a: [np.array(a)]),
}


@pytest.mark.parametrize("text", LAYOUTS)
def test_a_layout_is_what_numpy_computes_and_its_way_back_is_exact(text):
    there, here, truth = LAYOUTS[text]
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape) for shape in there]
    moved = Layout(text).to_network(arrays, here)
    expected = truth(*arrays)
    assert [a.shape for a in moved] == here == [a.shape for a in expected]
    for a, b in zip(moved, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    back = Layout(text).to_file(moved, len(arrays))
    for a, b in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sums_and_ties_come_back_as_tensors_that_mean_the_same():
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(Layout("sum").to_network([a, b], None)[0], a + b)
    np.testing.assert_array_equal(sum(Layout("sum").to_file([a + b], 2)), a + b)
    assert len(Layout("tied").to_file(Layout("tied").to_network([a, a], None), 2)) == 2
    with pytest.raises(ValueError, match="must be equal"):
        Layout("tied").to_network([a, b], None)
    np.testing.assert_array_equal(Layout("add 1; times 2").to_network([a], None)[0], (a + 1) * 2)


@pytest.mark.parametrize(
    "text", ["OIHW->HWI", "spin", "split a", "gates ifg->ifo", "O(CH->HCO", "gates", "OO->OO"]
)
def test_a_layout_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        Layout(text).to_network([np.zeros((2, 3))], [(2, 3)])


def test_a_transposed_convolution_of_pytorch_has_its_window_turned():
    """The definition of PyTorch: y[s i + k] += x[i] w[k], without padding."""
    random = np.random.default_rng(0)
    w, x = random.normal(size=(2, 3, 4)).astype(np.float32), random.normal(size=(1, 5, 2))
    expected = np.zeros((1, 12, 3))
    for i in range(5):
        for k in range(4):
            expected[0, 2 * i + k] += x[0, i] @ w[:, :, k]
    factory = functools.partial(jnn.modules.ConvTranspose, 2, 3, (4,), 2, padding="VALID",
                                use_bias=False)  # fmt: skip
    params, state = weights.load({"w": w}, factory, family=[("w", "kernel", "IOW->WIO flip W")])
    y, _ = jnn.as_model(factory).apply(
        params, state, x.astype(np.float32), key=None, train=False, hyper={}
    )
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("h.{i}.w", "h.12.w", {"i": "12"}),
        ("conv{i+1}", "conv3", {"i": "2"}),
        ("conv{i+1}", "conv0", None),
        ("conv{i+1}", "convx", None),
        ("{}.{}", "a.b", {"_0": "a", "_1": "b"}),
        ("{a}/{a}", "x/x", {"a": "x"}),
        ("{a}/{a}", "x/y", None),
        ("h.{i}.w", "h.1.2.w", None),
        ("a(b)*", "a(b)*", {}),
    ],
)
def test_a_pattern_reads_the_values_of_a_name_and_makes_the_name_of_them(text, name, values):
    assert Pattern(text).values(name) == values
    if values is not None:
        assert Pattern(text).name(values) == name


def test_a_mapping_may_hold_lists():
    table = {"output/kernel": [[1.0, 2.0]], "output/bias": [0.5, 0.25]}
    network = functools.partial(jnn.models.MLP, 1, (), 2)
    params, _ = jnn.weights.load(table, network, cast=True)
    np.testing.assert_array_equal(params["output"]["kernel"], [[1.0, 2.0]])


def test_what_is_neither_a_path_nor_a_mapping_is_refused():
    with pytest.raises(TypeError, match="path must be a file, a folder or a mapping of names"):
        jnn.weights.load(object(), functools.partial(jnn.models.MLP, 1, (), 2))
    with pytest.raises(ValueError, match="The tree must hold at least one array, got None"):
        jnn.weights.save(None, "nothing.npz")
