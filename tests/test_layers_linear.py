"""Linear layers equal NumPy and Flax, and refuse what does not fit."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax import lax
from jax.ad_checkpoint import print_saved_residuals
from jax.experimental import jet

from jnn import layers


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (2, 0)])
def test_dense_is_flax_linear(batch):
    module = nnx.Linear(5, 3, rngs=nnx.Rngs(0), bias_init=nnx.initializers.normal())
    x = normal(0, *batch, 5)
    np.testing.assert_allclose(
        layers.dense(x, module.kernel[...], module.bias[...]), module(x), rtol=1e-5, atol=1e-6
    )


def test_embedding_is_flax_embed_and_its_gradient_adds_up_repeated_ids():
    module = nnx.Embed(4, 3, rngs=nnx.Rngs(0))
    ids = jnp.array([[1, 3], [1, 0]])
    table = module.embedding[...]
    np.testing.assert_array_equal(layers.embedding(ids, table), module(ids))
    gradient = jax.grad(lambda table: layers.embedding(ids, table).sum())(table)
    np.testing.assert_array_equal(gradient, np.array([1, 2, 0, 1])[:, None] * np.ones(3))


def test_embedding_clips_ids_out_of_range():
    table = normal(0, 4, 3)
    np.testing.assert_array_equal(
        layers.embedding(jnp.array([-1, -9, 4, 99]), table), table[np.array([0, 0, 3, 3])]
    )


def test_lora_is_a_dense_layer_with_the_merged_kernel():
    x, kernel, a, b = normal(0, 2, 5), normal(1, 5, 3), normal(2, 5, 2), normal(3, 2, 3)
    merged = layers.dense(x, kernel + 0.5 * a @ b)
    np.testing.assert_allclose(
        layers.lora(x, kernel, a, b, scale=0.5), merged, rtol=1e-5, atol=1e-5
    )


def test_lora_of_whole_numbers_keeps_the_digits_of_the_update():
    x, kernel, a, b = (
        jnp.array([[1, 2, 3, 4, 5]]),
        normal(1, 5, 3),
        normal(2, 5, 2),
        normal(3, 2, 3),
    )
    y = inspect.unwrap(layers.lora)(x, kernel, a, b, scale=0.5)
    np.testing.assert_allclose(y, x @ (kernel + 0.5 * a @ b), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (((2, 5), (4, 3)), "x must have 4 features on its last axis"),
        (((), (4, 3)), "x must be .* and kernel must be"),
        (((2, 4), (4,)), "x must be .* and kernel must be"),
        (((2, 4), (4, 2, 3)), "x must be .* and kernel must be"),
        (((2, 4), (4, 1), (4,)), r"bias must have the shape \(1,\)"),
        (((2, 4), (4, 3), (2, 3)), r"bias must have the shape \(3,\)"),
    ],
)
def test_shapes_that_do_not_chain_are_refused_in_a_sentence(shapes, says):
    with pytest.raises(ValueError, match=says):
        inspect.unwrap(layers.dense)(*map(jnp.ones, shapes))


def assert_same(got, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, wanted)


def curved(product):
    return lambda x, kernel: (jnp.sin(product(x, kernel)) * jnp.arange(1.0, 5.0)).sum()


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: jax.jacfwd(f, (0, 1)),
        lambda f: jax.hessian(f, (0, 1)),
        lambda f: jax.jacrev(jax.jacrev(f, (0, 1)), (0, 1)),
    ],
    ids=["forward", "forward over reverse", "reverse over reverse"],
)
def test_every_derivative_of_dense_is_that_of_a_matrix_product(derivative):
    x, kernel = normal(0, 5, 3), normal(1, 3, 4)
    got, wanted = (derivative(curved(product))(x, kernel) for product in (layers.dense, jnp.matmul))
    assert_same(got, wanted)


EITHER = [(0, None), (None, 0), (0, 0)]


@pytest.mark.parametrize("outer", EITHER, ids=str)
@pytest.mark.parametrize("inner", EITHER, ids=str)
def test_nested_vmap_over_rows_and_kernels_is_that_of_a_matrix_product(inner, outer):
    batch = [[n for axes, n in ((outer, 3), (inner, 2)) if axes[side] == 0] for side in (0, 1)]
    x, kernel = normal(0, *batch[0], 5, 3), normal(1, *batch[1], 3, 4)

    def of(product):
        value_and_gradients = jax.value_and_grad(curved(product), (0, 1))
        return jax.jit(jax.vmap(jax.vmap(value_and_gradients, inner), outer))(x, kernel)

    assert_same(of(layers.dense), of(jnp.matmul))


@pytest.mark.parametrize(
    "types", [("float32", "bfloat16"), ("bfloat16", "float32"), ("float32", "int32")]
)
def test_dense_of_two_types_promotes_as_a_matrix_product_does(types):
    x, kernel = (
        jnp.ones(shape, dtype) for shape, dtype in zip([(2, 3), (3, 4)], types, strict=True)
    )
    got, wanted = inspect.unwrap(layers.dense)(x, kernel), x @ kernel
    assert got.dtype == wanted.dtype
    assert_same(got, wanted)


@pytest.mark.parametrize(
    ("shapes", "numbers", "options"),
    [
        (((2, 5, 3), (3, 4)), (((2,), (0,)), ((), ())), {}),
        (
            ((2, 5, 3), (3, 4)),
            (((2,), (0,)), ((), ())),
            {"precision": "highest", "preferred_element_type": "float32"},
        ),
        (((5, 3), (4, 3)), (((1,), (1,)), ((), ())), {}),
        (((2, 5, 3), (2, 3, 4)), (((2,), (1,)), ((0,), (0,))), {}),
        (((3,), (3, 4)), (((0,), (0,)), ((), ())), {}),
    ],
    ids=["rows", "options", "another axis", "batches", "vector"],
)
def test_dot_general_is_that_of_lax(shapes, numbers, options):
    x, kernel = (normal(seed, *shape) for seed, shape in enumerate(shapes))
    assert_same(
        layers.dot_general(x, kernel, numbers, **options),
        lax.dot_general(x, kernel, numbers, **options),
    )


@pytest.mark.parametrize(("columns", "of_b"), [(4, 1), (1, 4)])
def test_an_update_of_other_columns_is_refused_not_broadcast(columns, of_b):
    with pytest.raises(ValueError, match=rf"b must be \(rank, {columns}\)"):
        inspect.unwrap(layers.lora)(
            jnp.ones(3), jnp.ones((3, columns)), jnp.ones((3, 2)), jnp.ones((2, of_b))
        )


def test_a_flax_layer_refuses_rows_of_other_features_in_a_sentence():
    layer = nnx.Linear(3, 4, rngs=nnx.Rngs(0), dot_general=layers.dot_general)
    with pytest.raises(ValueError, match=r"x must have 3 features .* got x \(2, 5\)"):
        layer(normal(0, 2, 5))


def test_flax_layers_take_the_product_and_keep_their_numbers():
    x = normal(0, 2, 5, 3)
    ours, theirs = (
        nnx.Linear(3, 4, rngs=nnx.Rngs(0), dot_general=dot)
        for dot in (layers.dot_general, lax.dot_general)
    )
    got, wanted = (
        nnx.grad(lambda layer: jnp.sin(layer(x)).sum())(layer) for layer in (ours, theirs)
    )
    assert_same(nnx.to_pure_dict(got), nnx.to_pure_dict(wanted))
    params = linen.Dense(4).init(jax.random.key(0), x)
    assert_same(
        linen.Dense(4, dot_general=layers.dot_general).apply(params, x),
        linen.Dense(4).apply(params, x),
    )


@pytest.mark.parametrize("features", [3, 256])  # few numbers, and as many as a CPU copies
def test_the_gradient_inside_shard_map_is_summed_over_the_mesh(features):
    mesh = jax.make_mesh(
        (2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2]
    )
    x, kernel = normal(0, 4, features), normal(1, features, 4) / features

    def loss(x, kernel):
        return lax.psum(jnp.sin(layers.dense(x, kernel)).sum(), "data")

    spec = jax.sharding.PartitionSpec
    sharded = jax.shard_map(loss, mesh=mesh, in_specs=(spec("data"), spec()), out_specs=spec())
    wanted = jax.grad(lambda kernel: jnp.sin(x @ kernel).sum())(kernel)
    assert_same(jax.jit(jax.grad(sharded, 1))(x, kernel), wanted)


def test_a_bias_may_be_a_list():
    x, kernel = normal(0, 2, 3), normal(1, 3, 2)
    y = inspect.unwrap(layers.dense)(x, kernel, [1.0, 2.0])
    np.testing.assert_array_equal(y, layers.dense(x, kernel, jnp.array([1.0, 2.0])))


# Enough numbers in x for a program on a CPU to copy its transpose.
ROWS, FIRST, SECOND = normal(0, 32, 16), normal(1, 16, 16) / 4, normal(2, 16, 4) / 4


def two_layers(product, x, first, second):
    return jnp.tanh(product(jnp.tanh(product(x, first)), second)).sum()


def test_a_checkpoint_policy_saves_the_products_of_dense(capsys):
    saved = []
    for product in (layers.dense, jnp.matmul):
        loss = functools.partial(two_layers, product)
        policy = jax.checkpoint_policies.dots_saveable
        print_saved_residuals(jax.checkpoint(loss, policy=policy), ROWS, FIRST, SECOND)
        lines = capsys.readouterr().out.splitlines()
        saved.append([line.split(" from ")[0] for line in lines])
    assert saved[0] == saved[1]
    assert sum("output of dot_general" in line for line in saved[0]) == 2


@pytest.mark.parametrize("order", [0, 1], ids=["value", "gradient"])
def test_taylor_series_through_dense_are_those_of_a_matrix_product(order):
    arguments = (ROWS, FIRST, SECOND)
    series = [[jnp.cos(a), jnp.sin(2 * a)] for a in arguments]
    expansions = []
    for product in (layers.dense, jnp.matmul):
        function = functools.partial(two_layers, product)
        for _ in range(order):
            function = jax.grad(function, 1)
        expansions.append(jet.jet(function, arguments, series))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *expansions)


def kernel_gradient():
    return jax.jit(jax.grad(lambda *a: two_layers(layers.dense, *a), 1))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_a_program_for_a_cpu_copies_the_transpose_of_the_rows(platform):
    exported = jax.export.export(kernel_gradient(), platforms=[platform])(ROWS, FIRST, SECOND)
    assert ("optimization_barrier" in exported.mlir_module()) == (platform == "cpu")


def test_a_program_for_several_platforms_has_the_numbers_of_this_one():
    arguments = (ROWS, FIRST, SECOND)
    exported = jax.export.export(kernel_gradient(), platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert "optimization_barrier" in exported.mlir_module()
    assert_same(exported.call(*arguments), kernel_gradient()(*arguments))


FLAT, IMAGES = ((2, 3), (3, 4)), ((1, 4, 3), (3, 3, 2))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (layers.dense, FLAT),
        (lambda x, kernel: layers.dot_general(x, kernel, (((1,), (0,)), ((), ()))), FLAT),
        (layers.conv, IMAGES),
        (layers.conv_transpose, IMAGES),
        (
            lambda *a: layers.conv_general_dilated(
                *a, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")
            ),
            IMAGES,
        ),
    ],
    ids=["dense", "dot_general", "conv", "conv_transpose", "conv_general_dilated"],
)
def test_the_precision_set_around_a_product_holds_for_it_and_its_gradients(function, shapes):
    def loss(x, kernel):
        with jax.default_matmul_precision("bfloat16"):
            return jnp.sin(function(x, kernel)).sum()

    with jax.default_matmul_precision(
        "highest"
    ):  # of what is compiled, or written outside of the function
        program = jax.jit(jax.grad(loss, (0, 1))).lower(*map(jnp.ones, shapes)).as_text()
    assert "DEFAULT" in program and "HIGHEST" not in program


def test_without_a_precision_around_it_a_product_leaves_it_open():
    with jax.default_matmul_precision(None):
        program = str(
            jax.make_jaxpr(lambda *a: layers.conv(layers.dense(*a[:2])[None], a[2]))(
                *map(jnp.ones, (*FLAT, (3, 4, 2)))
            )
        )
    assert program.count("precision=None") == 2
