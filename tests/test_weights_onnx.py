"""Networks as programs in ONNX compute what they compute in JAX, in onnxruntime."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import weights
from jnn.weights._plain import plain

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 11, (3, 6)).astype(np.int32)


def rows(*shape):
    return RANDOM.normal(size=(3, *shape)).astype(np.float32)


def of(network, *arguments, **options):
    return functools.partial(network, *arguments, **options)


NETWORKS = {
    "mlp": (of(jnn.models.MLP, 8, (16,), 3, dropout_rate=0.5), rows(8)),
    "lenet": (of(jnn.models.LeNet, (12, 12, 1), 3, batch_norm=True), rows(12, 12, 1)),
    "resnet": (of(jnn.models.ResNet, 3, 10, 8), rows(8, 8, 3)),
    "gru": (
        of(jnn.models.SequenceClassifier, (6,), 5, 3, layer=jnn.modules.GRU, bidirectional=True),
        rows(6),
    ),
    "lstm": (of(jnn.models.LanguageModel, 11, 8), IDS),
    "gpt": (of(jnn.models.GPT, 11, 6, layers=1, num_heads=2, features=8), IDS),
    "llama": (of(jnn.models.Llama, 11, layers=1, num_heads=4, features=8, hidden=6), IDS),
    "bert": (of(jnn.models.TextEncoder, 11, 6, 3, layers=1, num_heads=2, features=8), IDS),
    "vit": (
        of(jnn.models.ViT, (8, 8, 3), 3, patch=4, layers=1, num_heads=2, features=8),
        rows(8, 8, 3),
    ),
    "text cnn": (of(jnn.models.TextCNN, 11, 3), IDS),
}


def primitives(jaxpr) -> set[str]:
    """The names of all operations, those in loops and calls included."""
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for value in jax.tree.leaves(equation.params, is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            found |= primitives(inner) if hasattr(inner, "eqns") else set()
    return found


def test_a_plain_program_computes_the_same_by_the_operations_of_jax():
    network, x = NETWORKS["lenet"]
    model = jnn.as_model(network)
    params, state = model.init(jax.random.key(0), x)

    def function(x):
        return model.apply(params, state, x, key=None, train=False, hyper={})[0]

    program = plain(function, x)
    names = primitives(jax.make_jaxpr(program)(x).jaxpr)
    assert not names & {"rows_product", "conv_output", "custom_jvp_call", "pad"}, names
    np.testing.assert_allclose(jax.jit(program)(x)[0], jax.jit(function)(x), 1e-5, 1e-6)


def test_loops_and_branches_of_a_plain_program_are_those_of_the_function():
    def function(x):
        doubled = jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, x))
        chosen = jax.lax.cond(x[0] > 0, lambda y: y + 1, lambda y: y - 1, doubled[1])
        return jax.lax.scan(lambda c, y: (c + y, c * y), 1.0, chosen, reverse=True), jnp.pad(x, 1)

    for x in (np.array([1.0, 2.0], np.float32), np.array([-1.0, 2.0], np.float32)):
        for ours, theirs in zip(plain(function, x)(x), jax.tree.leaves(function(x)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_in_onnx_computes_what_it_computes_in_jax(name, tmp_path, any_types):
    pytest.importorskip("jax2onnx", reason="needs the extra 'onnx'")
    import onnxruntime

    network, x = NETWORKS[name]
    model = jnn.as_model(network)
    variables = model.init(jax.random.key(0), x)
    weights.save(variables, tmp_path / "net.onnx", network=network, x=x[:2])
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (y,) = session.run(None, {session.get_inputs()[0].name: x})  # another number of rows
    expected, _ = model.apply(*variables, x, key=None, train=False, hyper={})
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


def test_the_exporter_is_named_if_it_is_absent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    network, x = NETWORKS["mlp"]
    variables = jnn.as_model(network).init(jax.random.key(0), x)
    with pytest.raises(ImportError, match=r"jax2onnx.*pip install 'jnn-jax\[onnx\]'"):
        weights.save(variables, tmp_path / "net.onnx", network=network, x=x)
    with pytest.raises(TypeError, match=r"needs .*network= and x="):
        weights.save(variables, tmp_path / "net.onnx")
