"""Half precision: sums are taken in float32, and networks really compute in bfloat16."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import layers, models, modules

KEY = jax.random.key(0)
HALVES = (jnp.bfloat16, jnp.float16)
TERMS = (1024, 1024)  # of each sum


def cotangent(*shape, dtype):
    """Return random numbers between 0 and 1, smaller in float16, whose sums end at 65504."""
    values = np.random.default_rng(0).random(shape, np.float32)
    return jnp.asarray(values if dtype == jnp.bfloat16 else values / 32, dtype)


def gradient_of(f, parameter, ct):
    return jax.jit(lambda p, ct: jax.vjp(f, p)[1](ct)[0])(parameter, ct)


def recurrent(layer, name, features):
    """Return a function of one parameter of a recurrent layer whose other parameters are 0."""
    shapes = {"input_kernel": (1, features), "recurrent_kernel": (features, features)}

    def f(parameter):
        params = {key: jnp.zeros(shape, parameter.dtype) for key, shape in shapes.items()}
        x = jnp.zeros((4096, 8, 1), parameter.dtype)
        return layer(x, params | {name: parameter})[1]

    return f


linear_rnn = functools.partial(layers.rnn, activation=lambda a: a)

# Name -> (function of a parameter that adds it to every position, shape of the parameter). The
# gradient is then the sum of the cotangents, except for a factor.
SHARED_BY_POSITIONS = {
    "bias of conv": (
        lambda b: layers.conv(jnp.zeros((*TERMS, 1), b.dtype), jnp.zeros((1, 1, 2), b.dtype), b),
        1,
    ),
    "bias of conv_transpose": (
        lambda b: layers.conv_transpose(
            jnp.zeros((*TERMS, 1), b.dtype), jnp.zeros((1, 1, 2), b.dtype), b
        ),
        1,
    ),
    "bias of dense": (
        lambda b: layers.dense(jnp.zeros((*TERMS, 1), b.dtype), jnp.zeros((1, 2), b.dtype), b),
        1,
    ),
    "kernel of dense": (
        lambda k: layers.dense(jnp.ones((*TERMS, 1), k.dtype), k[None]),
        1,
    ),
    "slope of prelu": (lambda s: layers.prelu(-jnp.ones((*TERMS, 2), s.dtype), s), -1),
    "bias of layer_norm": (
        lambda b: layers.layer_norm(jnp.zeros((*TERMS, 2), b.dtype), None, b),
        1,
    ),
    "bias of batch_norm_train": (
        lambda b: layers.batch_norm_train(jnp.zeros((*TERMS, 2), b.dtype), None, b)[0],
        1,
    ),
    "scale of rms_norm": (lambda s: layers.rms_norm(jnp.ones((*TERMS, 2), s.dtype), s), 1),
    "row of embedding": (
        lambda row: layers.embedding(jnp.zeros(TERMS, int), jnp.stack([row, row])),
        1,
    ),
    "bias of rnn": (recurrent(linear_rnn, "bias", 2), 1),
    "recurrent bias of rnn": (recurrent(linear_rnn, "recurrent_bias", 2), 1),
}


@pytest.mark.parametrize("name", SHARED_BY_POSITIONS)
def test_gradients_of_parameters_that_positions_share_are_summed_in_float32(name):
    f, factor = SHARED_BY_POSITIONS[name]
    for dtype in HALVES:
        parameter = jnp.zeros(2, dtype)
        ct = cotangent(*jax.eval_shape(f, parameter).shape, dtype=dtype)
        expected = factor * np.asarray(ct, np.float64).sum((0, 1))
        gradient = gradient_of(f, parameter, ct)
        assert gradient.dtype == dtype
        np.testing.assert_allclose(np.asarray(gradient, np.float64), expected, rtol=0.01)


def test_gradients_of_a_loop_over_time_are_summed_in_float32():
    params = {
        "input_kernel": jnp.ones((1, 3)) / 4,
        "recurrent_kernel": jnp.ones((1, 3)) / 4,
        "bias": jnp.zeros(3),
    }
    x = jnp.ones((1, 2048, 1))

    @jax.jit
    @jax.grad
    def gradient(params, x):
        y = layers.gru(x, params, reset_after=False)[1]
        return y.astype(jnp.float32).sum()

    wide = gradient(params, x)
    half = gradient(*jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, x)))
    for name in wide:
        largest = np.abs(wide[name]).max()
        np.testing.assert_allclose(half[name].astype(np.float32), wide[name], atol=largest / 20)


def test_equal_largest_values_share_the_gradient_however_many_they_are():
    x = jnp.zeros((1, 4096, 1), jnp.bfloat16)
    for pool in (layers.global_max_pool, lambda x: layers.adaptive_max_pool(x, 1)):
        gradient = jax.grad(lambda x: pool(x).astype(jnp.float32).sum())(x)  # noqa: B023
        assert (gradient == 1 / 4096).all()


def test_the_bias_of_attention_that_rows_share_is_summed_in_float32():
    q = jnp.zeros((4096, 2, 1, 1), jnp.bfloat16)

    v = jnp.broadcast_to(jnp.array([0.0, 1.0], jnp.bfloat16)[:, None, None], (4096, 2, 1, 1))

    @jax.jit
    @jax.grad
    def gradient(bias):
        return layers.attention(q, q, v, bias=bias).astype(jnp.float32).sum()

    found = gradient(jnp.zeros((1, 2, 2), jnp.bfloat16))
    # Each weight is 1/2, so d(w_1) / d(b_1) = 1/4, in each of 4096 rows.
    np.testing.assert_array_equal(found, [[[-1024, 1024], [-1024, 1024]]])


def test_forward_mode_and_second_derivatives_of_half_precision():
    ids = jnp.array([0, 2, 2])
    q, table = (jax.random.normal(key, (3, 3), jnp.bfloat16) for key in jax.random.split(KEY))

    def f(table, q):
        rows = layers.embedding(ids, table)[:, None]
        return layers.attention(q[:, None], rows, rows).astype(jnp.float32).sum()

    @jax.jit
    def second(table, q):
        _, tangent = jax.jvp(lambda t: jax.grad(f)(t, q), (table,), (table,))
        return jax.vmap(tangent.__mul__)(jnp.ones((2, 1, 1), tangent.dtype))

    half = second(table, q).astype(jnp.float32)
    wide = second(table.astype(jnp.float32), q.astype(jnp.float32))
    np.testing.assert_allclose(half, wide, atol=0.05)


LAYERS = {
    "Dense": lambda: modules.Dense(1, 2, rngs=nnx.Rngs(0)),
    "Conv": lambda: modules.Conv(1, 2, (1,), rngs=nnx.Rngs(0)),
    "ConvTranspose": lambda: modules.ConvTranspose(1, 2, (1,), rngs=nnx.Rngs(0)),
    "LayerNorm": lambda: modules.LayerNorm(1, rngs=nnx.Rngs(0)),
    "BatchNorm": lambda: modules.BatchNorm(1, rngs=nnx.Rngs(0)),
    "GroupNorm": lambda: modules.GroupNorm(1, 1, rngs=nnx.Rngs(0)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_module_sums_the_gradient_of_its_bias_in_float32(name):
    layer = LAYERS[name]()
    layer.eval()
    graph, params, rest = nnx.split(layer, nnx.Param, ...)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    x = jnp.zeros((*TERMS, 1), jnp.bfloat16)

    def apply(params):
        return nnx.merge(graph, params, rest)(x)

    y = jax.eval_shape(apply, half)
    assert y.dtype == jnp.bfloat16
    ct = cotangent(*y.shape, dtype=jnp.bfloat16)
    gradient = gradient_of(apply, half, ct)["bias"].get_value()
    expected = np.asarray(ct, np.float64).sum((0, 1))
    np.testing.assert_allclose(np.asarray(gradient, np.float64), expected, rtol=0.01)


ids = jnp.zeros((2, 8), jnp.int32)
images = jnp.zeros((2, 16, 16, 3))
series = jnp.zeros((2, 32, 2))
transformer = {"layers": 1, "num_heads": 2, "features": 8}
NETWORKS = {
    "CNN1D": (functools.partial(models.CNN1D, (32, 2), 3), series),
    "CellNet": (functools.partial(models.CellNet, 4, 1, 3), images),
    "ConvNeXt": (functools.partial(models.ConvNeXt, 3, 3, depths=(1, 1), widths=(4, 8)), images),
    "DCGANDiscriminator": (functools.partial(models.DCGANDiscriminator, (16, 16, 3)), images),
    "DCGANGenerator": (
        functools.partial(models.DCGANGenerator, (8, 8, 3), noise=4),
        jnp.zeros((2, 4)),
    ),
    "DLinear": (functools.partial(models.DLinear, 32, 4), series),
    "Forecaster": (functools.partial(models.Forecaster, 2, 4, 8), series),
    "GPT": (functools.partial(models.GPT, 8, 8, **transformer), ids),
    "LanguageModel": (functools.partial(models.LanguageModel, 8, 8), ids),
    "LeNet": (functools.partial(models.LeNet, (16, 16, 3), 3, batch_norm=True), images),
    "Llama": (functools.partial(models.Llama, 8, hidden=16, **transformer), ids),
    "MLP": (functools.partial(models.MLP, 768, (8,), 3), images),
    "MiniXception": (functools.partial(models.MiniXception, 3, 3, stem=(4,), widths=(8,)), images),
    "NLinear": (functools.partial(models.NLinear, 32, 4), series),
    "PatchTST": (
        functools.partial(models.PatchTST, 32, 4, patch=8, features=8, layers=1),
        series,
    ),
    "ResNet": (functools.partial(models.ResNet, 3, 3, 8, width=4), images),
    "SNGANDiscriminator": (
        functools.partial(models.SNGANDiscriminator, (8, 8, 3), width=2),
        jnp.zeros((2, 8, 8, 3)),
    ),
    "SNGANGenerator": (
        functools.partial(models.SNGANGenerator, (8, 8, 3), noise=4, width=2),
        jnp.zeros((2, 4)),
    ),
    "SequenceClassifier": (
        functools.partial(models.SequenceClassifier, (8,), 4, 3, vocabulary=8, layer=modules.GRU),
        ids,
    ),
    "SpeedNet": (functools.partial(models.SpeedNet, 3, 3, widths=(8,)), images),
    "SuperCNN": (functools.partial(models.SuperCNN, 3, (4, 4), 3), images),
    "SuperMLP": (functools.partial(models.SuperMLP, 768, 8, 2, 3), images),
    "TextCNN": (functools.partial(models.TextCNN, 8, 3, features=8), ids),
    "TextEncoder": (functools.partial(models.TextEncoder, 8, 8, 3, **transformer), ids),
    "ViT": (functools.partial(models.ViT, (16, 16, 3), 3, patch=8, **transformer), images),
}
PRODUCTS = ("dot_general", "rows_product", "conv_general_dilated", "conv_output")
GRADIENTS = ("conv_input_grad", "conv_kernel_grad")


def half_study(model, **settings):
    loss = settings.pop("loss", lambda outputs, y: (outputs**2).reshape(len(outputs), -1).mean(1))
    return jnn.Study(model, loss, optax.sgd(1.0), precision="bfloat16", **settings)


def trained_shapes(study, x):
    def start(key):
        params, state = study.model.init(key, x)
        return jnn.Trained(params, state, ((), ()), {})

    return jax.eval_shape(start, KEY)


def gradient_jaxpr(study, x):
    """Return the program of the gradient of a network's outputs, and the types of its state."""
    forward = jnn.engine.make_forward(study)
    trained = trained_shapes(study, x)

    def loss(params, trained, x, key):
        outputs, state = forward(trained._replace(params=params), x, key=key, train=True)
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(outputs)), state

    return jax.make_jaxpr(jax.grad(loss, has_aux=True))(trained.params, trained, x, KEY)


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def products(jaxpr):
    """Return the types of the operands of every product in a program."""
    return [
        {str(operand.aval.dtype) for operand in equation.invars}
        for equation in equations(jaxpr.jaxpr)
        if equation.primitive.name in PRODUCTS + GRADIENTS
    ]


@functools.cache
def program_of(name):
    """Return the program of the gradient of one of jnn's networks."""
    model, x = NETWORKS[name]
    return gradient_jaxpr(half_study(model), x)


def test_every_network_is_here():
    public = {name: getattr(models, name) for name in models.__all__}
    networks = [name for name, value in public.items() if isinstance(value, type(nnx.Module))]
    assert set(NETWORKS) == set(networks)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_products_of_a_network_are_in_bfloat16(name):
    found = products(program_of(name))
    assert len(found) >= 2
    assert found == [{"bfloat16"}] * len(found)


@pytest.mark.parametrize("name", ["GPT", "LeNet"])
def test_statistics_and_softmax_are_in_float32(name):
    jaxpr = program_of(name).jaxpr
    wide = {"exp", "rsqrt", "reduce_sum", "cumsum", "scatter-add"}
    types = {
        (equation.primitive.name, str(equation.invars[0].aval.dtype))
        for equation in equations(jaxpr)
        if equation.primitive.name in wide
    }
    assert types and not {kind for kind in types if kind[1] == "bfloat16"}


def one_row(outputs):
    return (lambda key, x: {"w": jnp.ones(())}), (lambda params, x: outputs(params["w"], x))


def test_complex_and_integer_outputs_stay_as_they_are():
    def outputs(w, x):
        return {"wave": jax.lax.complex(jnp.float32(0), jnp.float32(1)) * w, "count": x.argmax()}

    study = half_study(one_row(outputs))
    trained = jnn.Trained({"w": jnp.ones(())}, {}, ((), ()), {})
    found, _ = jnn.engine.make_forward(study)(trained, jnp.arange(4.0)[None])
    assert found["wave"] == 1j
    assert found["count"] == 3 and found["count"].dtype == jnp.int32


def test_ids_and_shared_arrays_of_a_network_in_bfloat16():
    seen = {}

    def apply(params, x, *, shared):
        seen.update(ids=x["ids"].dtype, numbers=x["numbers"].dtype, table=shared["table"].dtype)
        return shared["table"][x["ids"]] * params["w"] + x["numbers"]

    study = half_study(((lambda key, x, *, shared: {"w": jnp.ones(())}), apply))
    trained = jnn.Trained({"w": jnp.ones(())}, {}, ((), ()), {})
    x = {"ids": jnp.array([257, 1000]), "numbers": jnp.zeros(2)}
    table = {"table": jnp.arange(1001.0) / 8}
    outputs, _ = jnn.engine.make_forward(study)(trained, x, shared=table)
    assert seen == {"ids": jnp.int32, "numbers": jnp.bfloat16, "table": jnp.bfloat16}
    np.testing.assert_array_equal(outputs, np.array([257 / 8, 125], jnp.bfloat16))


def test_inputs_that_bfloat16_would_round_away_are_refused():
    study = half_study(functools.partial(modules.Dense, 2, 1), loss=jnn.losses.squared_error)
    rows = np.random.default_rng(0).permutation(300).astype(np.float32)
    x = np.stack([rows / 300, 1000 + rows / 300], 1)
    data = jnn.Dataset.from_arrays(x, rows)
    with pytest.raises(ValueError, match=r"would round column 1 of x of arrays, from 1000 to 1001"):
        jnn.run(study, data, jnn.seeds(1))


def test_ids_in_an_array_of_floats_stay_what_they_are():
    table = np.random.default_rng(0).integers(-100, 100, 2000).astype(np.float32)

    def apply(params, x):
        ids = jnp.clip(x[:, 0], 0, 1999)
        rows = params["table"][ids.astype(int)]
        hot = (x[:, :1] == jnp.arange(2000)).astype(x.dtype) @ params["table"]
        return {"rows": rows, "hot": hot, "is 257": x[:, 0] == params["id"], "number": x[:, 1]}

    trained = jnn.Trained({"table": jnp.asarray(table), "id": jnp.float32(257)}, {}, ((), ()), {})
    ids = np.array([257, 1001, 1999])
    x = jnp.asarray(np.stack([ids, ids / 7], 1), jnp.float32)
    forward = jnn.engine.make_forward(half_study((lambda key, x: {}, apply)))
    outputs, _ = jax.jit(forward)(trained, x)
    np.testing.assert_array_equal(outputs["rows"], table[ids])
    np.testing.assert_array_equal(outputs["hot"], table[ids])
    np.testing.assert_array_equal(outputs["is 257"], [True, False, False])
    np.testing.assert_array_equal(outputs["number"], (ids / 7).astype(jnp.bfloat16))


class Nnx(nnx.Module):
    """Layers of Flax, of which embedding and batch norm hold float32."""

    def __init__(self, *, rngs):
        self.embedding = nnx.Embed(8, 8, rngs=rngs)
        self.conv = nnx.Conv(8, 8, (3,), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.cell = nnx.RNN(nnx.LSTMCell(8, 8, rngs=rngs))
        self.output = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, ids):
        x = self.norm(self.conv(self.embedding(ids)))
        positions = jnp.sin(jnp.arange(x.shape[1], dtype=jnp.float32))  # promotes the sum
        return self.output(self.cell(x + positions[:, None]))


class Linen(nn.Module):
    """The same without the recurrent layer."""

    @nn.compact
    def __call__(self, ids, *, train=False):
        x = nn.Conv(8, (3,))(nn.Embed(8, 8)(ids))
        return nn.Dense(2)(nn.BatchNorm(use_running_average=not train)(x))


@pytest.mark.parametrize("model", [Nnx, Linen()], ids=["NNX", "Linen"])
def test_all_products_of_layers_of_flax_are_in_bfloat16(model):
    found = products(gradient_jaxpr(half_study(model), jnp.zeros((2, 8), jnp.int32)))
    assert len(found) >= 6
    assert found == [{"bfloat16"}] * len(found)


def with_scan(params, x):
    def step(h, x):
        return x + (h * params["w"] + params["b"]) / 2, None

    return jax.lax.scan(step, jnp.zeros_like(x[:, 0]), x.swapaxes(0, 1))[0]


# A network [rows, time, 1] -> [rows, ...] of parameters w and b, [1].
BY_HAND = {
    "a bias": lambda params, x: x * params["w"] + params["b"],
    "numbers": lambda params, x: x * params["w"][0] + params["b"][0],
    "a loop over time": with_scan,
    "a checkpoint": jax.checkpoint(lambda params, x: x * params["w"] + params["b"]),
    "a branch": lambda params, x: jax.lax.cond(
        x[0, 0, 0] > -9, lambda: x * params["w"] + params["b"], lambda: x
    ),
    "a lookup": lambda params, x: (
        x[..., 0] * params["w"][x[..., 0].astype(int)] + params["b"][x[..., 0].astype(int)]
    ),
    "a maximum": lambda params, x: x * params["w"] + jnp.maximum(params["b"], x - 0.5),
    "a function of functions": lambda params, x: jax.vmap(
        jax.jit(lambda x: params["w"] * x + params["b"])
    )(x),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_step_of_any_network_sums_gradients_in_float32(name):
    x = jnp.asarray(np.random.default_rng(0).random((64, 256, 1)), jnp.float32)
    params = {"w": jnp.ones(1), "b": jnp.zeros(1)}
    trained = jnn.Trained(params, {}, ((), ()), {})

    def gradient(precision):
        study = jnn.Study(
            (lambda key, x: params, BY_HAND[name]),
            jnn.losses.squared_error,
            optax.sgd(1.0),
            precision=precision,
        )
        forward = jnn.engine.make_forward(study)

        def loss(params):
            return forward(trained._replace(params=params), x)[0].sum()

        return jax.jit(jax.grad(loss))(params)

    wide = gradient("float32")
    half = gradient("bfloat16")
    for leaf in params:
        assert abs(float(half[leaf][0] / wide[leaf][0]) - 1) < 0.02


def test_a_state_keeps_its_types_in_bfloat16():
    model, x = NETWORKS["LeNet"]
    leaves = jax.tree.leaves(trained_shapes(half_study(model), x).model_state)
    state = program_of("LeNet").out_avals[-len(leaves) :]
    assert state and {aval.dtype for aval in state} == {np.dtype(np.float32)}


class Cnn(nnx.Module):
    """Two convolutions of Flax, whose biases are added to 64 x 28 x 28 places."""

    def __init__(self, *, rngs):
        self.conv1 = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(8, 8, (3, 3), rngs=rngs)
        self.output = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(self.conv2(jax.nn.relu(self.conv1(x))))
        return self.output(layers.global_avg_pool(x))


def test_a_step_in_bfloat16_moves_biases_as_one_in_float32():
    random = np.random.default_rng(17)
    x = random.random((64, 28, 28, 1), np.float32)
    data = jnn.Data.from_arrays(x, random.integers(0, 3, 64))
    batch = jnn.Batch(x, data.y)

    def moved(precision):
        loss = jnn.losses.softmax_cross_entropy
        study = jnn.Study(Cnn, loss, optax.sgd(1.0), precision=precision)
        before = jnn.make_start(study)(jnn.Member(KEY, 0, {}), data)
        after, _ = jax.jit(jnn.make_step(study))(before, batch)
        return jax.tree.map(np.subtract, after.trained.params, before.trained.params)

    for half, wide in zip(
        *map(jax.tree.leaves, (moved("bfloat16"), moved("float32"))), strict=True
    ):
        np.testing.assert_allclose(half, wide, atol=0.05 * np.abs(wide).max())


def test_training_in_bfloat16_scores_as_in_float32():
    data = jnn.data.load("digits")
    accuracy = {}
    for precision in ("float32", "bfloat16"):
        study = jnn.Study(
            functools.partial(models.MLP, 64, (32,), 10),
            jnn.losses.softmax_cross_entropy,
            optax.adam(3e-3),
            {"accuracy": jnn.metrics.accuracy},
            epochs=3,
            precision=precision,
        )
        result = jnn.run(study, data, jnn.seeds(3) * jnn.holdout(0.25), progress=None)
        accuracy[precision] = result.final()["accuracy"].values
    assert accuracy["float32"].min() > 0.85
    np.testing.assert_allclose(accuracy["bfloat16"], accuracy["float32"], atol=0.02)


def test_float16_is_refused_with_what_to_use():
    with pytest.raises(ValueError, match=r"got 'float16'\. Use bfloat16"):
        jnn.Study(Cnn, jnn.losses.squared_error, optax.sgd(1.0), precision="float16")
