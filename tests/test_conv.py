"""Convolutions against `jax.lax`, value and every derivative, and under every transformation."""

import functools
import inspect

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jnn.layers._conv import conv, conv_general_dilated, conv_plan, conv_transpose
from jnn.layers._lowering import ALGORITHMS, compute
from jnn.layers._window import Geometry, check_lowering, per_axis, resolve_padding

# x, kernel, and how the window moves: one line for each algorithm and each odd case
CASES = {
    "plain": ((2, 6, 5, 3), (3, 3, 3, 4), {}),
    "one channel": ((2, 6, 5, 1), (3, 2, 1, 4), {}),
    "strides": ((2, 7, 6, 3), (3, 3, 3, 4), {"strides": (2, 3)}),
    "unused border": ((2, 8, 7, 3), (2, 3, 3, 2), {"strides": 3, "padding": "VALID"}),
    "dilation": ((2, 9, 8, 3), (3, 2, 3, 4), {"dilation": (2, 3)}),
    "strides and dilation": ((1, 9, 8, 2), (3, 3, 2, 3), {"strides": 2, "dilation": (1, 2)}),
    "wide padding": ((2, 4, 5, 3), (2, 3, 3, 4), {"padding": [(3, 1), (0, 4)]}),
    "negative padding": ((2, 7, 8, 3), (3, 3, 3, 4), {"padding": [(-1, 2), (1, -2)], "strides": 2}),
    "one tap": ((2, 5, 4, 3), (1, 1, 3, 4), {"strides": 2}),
    "groups": ((2, 5, 6, 4), (3, 2, 2, 6), {"groups": 2}),
    "depthwise": ((2, 5, 6, 4), (3, 3, 1, 4), {"groups": 4, "strides": 2}),
    "depthwise, many taps": (
        (2, 6, 5, 4),
        (5, 5, 1, 4),
        {"groups": 4, "padding": [(1, 3), (0, 4)]},
    ),
    "depthwise, more outputs": ((2, 5, 6, 3), (2, 3, 1, 6), {"groups": 3, "dilation": 2}),
    "groups with one output each": ((2, 5, 6, 4), (3, 2, 2, 2), {"groups": 2}),
    "series": ((3, 11, 4), (5, 4, 3), {"strides": 2, "padding": [(1, 1)]}),
    "causal": ((2, 9, 3), (3, 3, 4), {"dilation": 2, "padding": "CAUSAL"}),
    "many channels": ((2, 6, 5, 2), (3, 3, 2, 17), {"strides": (1, 2)}),
    "a kernel of very many channels": ((4, 4, 3, 128), (3, 2, 128, 2), {"strides": (1, 2)}),
    "series of many channels": ((2, 9, 17), (3, 17, 2), {"padding": [(2, 1)]}),
    "volume": ((1, 4, 5, 3, 2), (2, 3, 2, 2, 3), {"strides": (1, 2, 1)}),
}
every_case = pytest.mark.parametrize("case", CASES)


def operands(case, dtype=np.float32):
    """Return x, kernel and a weight for each output."""
    x, kernel, moves = CASES[case]
    random = np.random.default_rng(0)
    y = jax.eval_shape(functools.partial(conv, **moves), jnp.zeros(x), jnp.zeros(kernel))
    return [jnp.asarray(random.normal(size=shape), dtype) for shape in (x, kernel, y.shape)]


def ours(case, lowering="auto"):
    return functools.partial(conv, **CASES[case][2], lowering=lowering)


def truth(case):
    """Return the same convolution by `jax.lax`."""
    x, kernel, moves = CASES[case]
    rank = len(x) - 2

    def each(value):
        return (value,) * rank if isinstance(value, int) else tuple(value)

    dilation, padding = each(moves.get("dilation", 1)), moves.get("padding", "SAME")
    if padding == "CAUSAL":
        padding = [(dilation[0] * (kernel[0] - 1), 0)]

    def function(x, kernel):
        if not isinstance(
            padding, str
        ):  # gradients under lax's own negative padding are wrong on CPU
            x = padded(x, padding)
        return lax.conv_general_dilated(
            x,
            kernel,
            each(moves.get("strides", 1)),
            padding if isinstance(padding, str) else "VALID",
            rhs_dilation=dilation,
            dimension_numbers=layout(rank),
            feature_group_count=moves.get("groups", 1),
        )

    return function


def layout(rank):
    letters = "HWD"[:rank]
    return f"N{letters}C", f"{letters}IO", f"N{letters}C"


def padded(x, pairs, between=0):
    pads = [
        (before, after, gap)
        for (before, after), gap in zip(pairs, np.broadcast_to(between, len(pairs)), strict=True)
    ]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def with_gradients(function):
    """Return the value and both gradients of a nonlinear function of the output."""

    def of(x, kernel, weight):
        def loss(x, kernel):
            y = function(x, kernel)
            return (weight * jnp.sin(y)).sum(), y

        (_, y), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(x, kernel)
        return y, *gradients

    return of


def assert_close(got, wanted, tolerance=2e-5):
    def check(a, b):
        scale = max(1.0, float(jnp.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)

    jax.tree.map(check, got, wanted)


@functools.cache
def compiled_truth(case):
    """Compile the value and gradients by `jax.lax`, once for all tests of a case."""
    return jax.jit(with_gradients(truth(case)))


@every_case
def test_values_and_gradients_are_those_of_lax(case):
    args = operands(case)
    assert_close(jax.jit(with_gradients(ours(case)))(*args), compiled_truth(case)(*args))


@pytest.mark.parametrize("case", ["plain", "strides and dilation", "groups"])
def test_float64_is_exact_to_float64(case):
    with jax.enable_x64(True):
        args = operands(case, np.float64)
        got = jax.jit(with_gradients(ours(case)))(*args)
        assert {a.dtype for a in got} == {jnp.dtype("float64")}
        assert_close(got, compiled_truth(case)(*args), 1e-13)


@pytest.mark.parametrize("lowering", ["lax", "direct"])
def test_each_lowering_gives_the_same_numbers(lowering):
    args = operands("strides and dilation")
    assert_close(
        jax.jit(with_gradients(ours("strides and dilation", lowering)))(*args),
        compiled_truth("strides and dilation")(*args),
    )


@pytest.mark.parametrize("case", ["strides", "negative padding", "depthwise, more outputs"])
def test_gradient_of_a_gradient_penalty_is_that_of_lax(case):
    x, kernel, weight = operands(case)

    def penalty(function):
        return lambda x, kernel: sum(
            (g**2).sum() for g in with_gradients(function)(x, kernel, weight)[1:]
        )

    wanted = jax.jit(jax.grad(penalty(truth(case)), (0, 1)))(x, kernel)
    assert_close(jax.jit(jax.grad(penalty(ours(case)), (0, 1)))(x, kernel), wanted, 1e-4)


def test_forward_mode_and_linearize_are_those_of_lax():
    x, kernel, _ = operands("strides")
    moved = (jnp.cos(x), jnp.sin(kernel))
    wanted = jax.jvp(truth("strides"), (x, kernel), moved)
    y, linear = jax.linearize(ours("strides"), x, kernel)
    assert_close((y, linear(*moved)), wanted)
    assert_close(jax.jvp(ours("strides"), (x, kernel), moved), wanted)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)], ids=["inputs", "kernels", "both"])
@pytest.mark.parametrize("case", ["strides", "one channel", "groups"])
@pytest.mark.parametrize("lowering", ["lax", "auto"])
def test_vmap_is_a_loop(case, axes, lowering):
    x, kernel, weight = operands(case)
    stacks = [
        jnp.stack([a, 2 * a, -a]) if axis == 0 else a
        for a, axis in zip((x, kernel), axes, strict=True)
    ]
    function = with_gradients(ours(case, lowering))
    got = jax.jit(jax.vmap(function, (*axes, None)))(*stacks, weight)
    loop = compiled_truth(case)
    single = [
        loop(*(a[i] if axis == 0 else a for a, axis in zip(stacks, axes, strict=True)), weight)
        for i in range(3)
    ]
    assert_close(got, tuple(jnp.stack(parts) for parts in zip(*single, strict=True)))


def test_nested_vmap_is_a_nested_loop():
    x, kernel, _ = operands("plain")
    xs, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, -kernel, kernel + 1])
    got = jax.vmap(jax.vmap(conv, (None, 0)), (0, None))(xs, kernels)
    both = jax.vmap(jax.vmap(conv))(jnp.stack([xs] * 3), jnp.stack([kernels[:2]] * 3))
    wanted = jnp.stack([jnp.stack([truth("plain")(x, kernel) for kernel in kernels]) for x in xs])
    assert_close(got, wanted)
    assert_close(both[2], jnp.stack([wanted[0, 0], wanted[1, 1]]))


def test_batched_taps_the_population_lowering_of_gpus_is_a_loop():
    x, kernel, weight = operands("strides and dilation")
    (x_pair, kernel_pair, weights) = (jnp.stack([a, a + 1]) for a in (x, kernel, weight))
    geometry = Geometry(x.shape[1:-1], (3, 3), (2, 2), ((1, 1), (2, 2)), (1, 2))
    for role, a, b in (("output", x_pair, kernel_pair), ("input_grad", weights, kernel_pair)):
        got = compute(role, geometry, a, b, platform="gpu", members=True)
        single = ALGORITHMS[role, "lax"]
        assert_close(got, jnp.stack([single(geometry, *pair) for pair in zip(a, b, strict=True)]))


def test_scan_and_checkpoint_change_nothing():
    x, kernel, weight = operands("plain")

    def step(kernel, x):
        y, _, gradient = with_gradients(jax.checkpoint(conv))(x, kernel, weight)
        return kernel - 0.01 * gradient, y.sum()

    xs = jnp.stack([x, -x, 2 * x])
    got, sums = jax.jit(lambda: lax.scan(step, kernel, xs))()
    for x, total in zip(xs, sums, strict=True):
        y, _, gradient = with_gradients(truth("plain"))(x, kernel, weight)
        assert_close(total, y.sum(), 1e-4)
        kernel = kernel - 0.01 * gradient
    assert_close(got, kernel)


def test_shard_map_sums_the_kernel_gradient_over_the_mesh():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    x, kernel, _ = operands("plain")

    def loss(x, kernel):
        return lax.psum(jnp.sin(conv(x, kernel)).sum(), "data")

    sharded = jax.shard_map(loss, mesh=mesh, in_specs=(P("data"), P()), out_specs=P())
    wanted = jax.grad(lambda kernel: jnp.sin(truth("plain")(x, kernel)).sum())(kernel)
    assert_close(jax.jit(jax.grad(sharded, 1))(x, kernel), wanted)


def test_bfloat16_adds_in_float32():
    x, kernel = jnp.ones((4, 16, 16, 64), jnp.bfloat16), jnp.ones((3, 3, 64, 8), jnp.bfloat16)
    function = functools.partial(conv, padding="VALID")
    y, pull = jax.vjp(function, x, kernel)
    dx, dkernel = pull(jnp.ones_like(y))
    assert y.dtype == dx.dtype == dkernel.dtype == jnp.bfloat16
    assert (y == 576).all()  # in bfloat16, 256 + 1 = 256
    assert (dkernel == 4 * 14 * 14).all()


def test_bias_is_added_to_each_output_channel():
    x, kernel, _ = operands("plain")
    bias = jnp.arange(4.0)
    assert_close(conv(x, kernel, bias) - conv(x, kernel), jnp.broadcast_to(bias, (2, 6, 5, 4)))


def test_causal_padding_hides_the_future():
    x, kernel, _ = operands("causal")
    jacobian = jax.jacobian(lambda x: ours("causal")(x, kernel).sum((0, 2)))(
        x
    )  # [time out, batch, time in, in]
    sees = np.abs(jacobian).sum((1, 3)) > 0
    assert (sees == np.tril(sees)).all() and np.diag(sees).all()


@pytest.mark.parametrize("channels", [3, 128])
def test_no_images_have_no_gradient(channels):
    x, kernel = jnp.ones((0, 4, 4, channels)), jnp.ones((3, 3, channels, 2))
    gradient = jax.grad(lambda kernel: conv(x, kernel).sum())(kernel)
    assert (
        conv(x, kernel).shape == (0, 4, 4, 2)
        and gradient.shape == kernel.shape
        and not gradient.any()
    )


def test_data_gets_no_gradient():
    x, kernel, weight = operands("plain")
    program = str(jax.make_jaxpr(jax.grad(lambda kernel: (conv(x, kernel) * weight).sum()))(kernel))
    assert "conv_kernel_grad" in program and "conv_input_grad" not in program


@pytest.mark.parametrize(("channels", "strides"), [((16, 32), 1), ((16, 32), 2), ((128, 128), 1)])
def test_a_residual_block_trains_in_the_memory_of_lax(channels, strides):
    few, many = channels
    x = jnp.ones((8, 16, 16, few))
    kernels = [
        jnp.ones(shape) for shape in ((3, 3, few, many), (3, 3, many, many), (1, 1, few, many))
    ]

    def bytes_of(function):
        def loss(kernels, x):
            h = jax.nn.relu(function(x, kernels[0], strides))
            return jax.nn.relu(function(x, kernels[2], strides) + function(h, kernels[1], 1)).sum()

        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(kernels, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    def plain(x, kernel, strides):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (strides, strides), "SAME", dimension_numbers=numbers
        )

    assert bytes_of(lambda x, kernel, strides: conv(x, kernel, strides=strides)) <= 1.5 * bytes_of(
        plain
    )


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [(1, [(1, 1), (1, 1)]), ((0, 2), [(0, 0), (2, 2)]), ((1, (0, 2)), [(1, 1), (0, 2)])],
)
def test_padding_by_numbers_is_padding_by_equal_pairs(padding, pairs):
    x, kernel, _ = operands("plain")
    for function in (conv, conv_transpose):
        np.testing.assert_array_equal(
            function(x, kernel, padding=padding), function(x, kernel, padding=pairs)
        )


@pytest.mark.parametrize(
    "case", ["plain", "one channel", "depthwise", "groups", "causal", "volume"]
)
def test_no_rows_give_no_rows_and_a_zero_gradient(case):
    x, kernel, weight = (a[:0] if i != 1 else a for i, a in enumerate(operands(case)))
    y, dx, dkernel = jax.jit(with_gradients(ours(case)))(x, kernel, weight)
    assert y.shape == weight.shape and dx.shape == x.shape
    assert not dkernel.any()


@pytest.mark.parametrize("case", ["plain", "one channel", "groups"])
def test_no_rows_give_no_rows_also_to_a_population_of_kernels(case):
    x, kernel, weight = (
        a[:0] if i != 1 else jnp.stack([a, -a]) for i, a in enumerate(operands(case))
    )
    y, dx, dkernel = jax.jit(jax.vmap(with_gradients(ours(case)), (None, 0, None)))(
        x, kernel, weight
    )
    assert y.shape == (2, *weight.shape) and dx.shape == (2, *x.shape)
    assert not dkernel.any()


def test_a_grouped_transposed_convolution_is_one_for_each_group():
    random = np.random.default_rng(0)
    x, kernel = (
        jnp.asarray(random.normal(size=s), jnp.float32) for s in ((2, 5, 4, 6), (3, 2, 2, 9))
    )
    function = functools.partial(conv_transpose, strides=2, dilation=(1, 2))
    each = [function(x[..., 2 * i : 2 * i + 2], kernel[..., 3 * i : 3 * i + 3]) for i in range(3)]
    assert_close(function(x, kernel, groups=3), jnp.concatenate(each, -1))
    with pytest.raises(ValueError, match="outputs that 3 groups divide"):
        inspect.unwrap(conv_transpose)(x, kernel[..., :4], groups=3)


TRANSPOSED = {
    "plain": ((2, 5, 4, 3), (3, 3, 3, 4), {}),
    "twice the size": ((2, 5, 4, 3), (3, 3, 3, 4), {"strides": 2}),
    "twice the size, many channels": ((2, 5, 4, 3), (4, 4, 3, 17), {"strides": 2}),
    "stride beyond the window": ((2, 4, 3), (2, 3, 4), {"strides": 3}),
    "stride beyond the window, valid": ((2, 4, 3), (2, 3, 4), {"strides": 3, "padding": "VALID"}),
    "valid": ((2, 4, 5, 3), (3, 2, 3, 2), {"strides": (2, 1), "padding": "VALID"}),
    "pairs": ((2, 4, 5, 3), (4, 4, 3, 2), {"strides": 2, "padding": [(2, 2), (1, 3)]}),
    "wide pairs": ((2, 4, 5, 3), (2, 2, 3, 2), {"strides": 2, "padding": [(3, 0), (1, 4)]}),
    "dilation": ((2, 6, 3), (3, 3, 4), {"strides": 2, "dilation": 2}),
    "volume": ((1, 3, 2, 4, 2), (2, 3, 2, 2, 3), {"strides": (1, 2, 2)}),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution_is_that_of_lax(case):
    x_shape, kernel_shape, moves = TRANSPOSED[case]
    random = np.random.default_rng(0)
    x, kernel = (jnp.asarray(random.normal(size=s), jnp.float32) for s in (x_shape, kernel_shape))
    rank = x.ndim - 2
    strides, dilation = (
        np.broadcast_to(moves.get(name, 1), rank) for name in ("strides", "dilation")
    )
    padding = moves.get("padding", "SAME")

    def wanted(x, kernel):
        if isinstance(padding, str):
            return lax.conv_transpose(x, kernel, strides, padding, dilation, layout(rank))
        x = padded(x, padding, strides - 1)
        return lax.conv_general_dilated(
            x, kernel, (1,) * rank, "VALID", None, dilation, layout(rank)
        )

    weight = jnp.asarray(random.normal(size=wanted(x, kernel).shape), jnp.float32)
    function = functools.partial(conv_transpose, **moves)
    got = jax.jit(with_gradients(function))(x, kernel, weight)
    assert_close(got, jax.jit(with_gradients(wanted))(x, kernel, weight))


@pytest.mark.parametrize(
    "arguments",
    [
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
        {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "lhs_dilation": (2, 1)},
        {
            "dimension_numbers": ("NHWC", "HWIO", "NHWC"),
            "rhs_dilation": (1, 2),
            "feature_group_count": 2,
        },
        {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "batch_group_count": 2},
    ],
    ids=["channels first", "input dilation", "groups", "batch groups"],
)
def test_conv_general_dilated_is_that_of_lax(arguments):
    groups = arguments.get("feature_group_count", 1)
    last = "NHWC" in arguments["dimension_numbers"]
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, 6, 6, 4) if last else (2, 4, 6, 6)), jnp.float32)
    kernel = jnp.asarray(
        random.normal(size=(3, 3, 4 // groups, 8) if last else (8, 4, 3, 3)), jnp.float32
    )
    for padding in (
        ([(1, 0), (2, 1)],) if "lhs_dilation" in arguments else ("SAME_LOWER", [(1, 0), (2, 1)])
    ):
        got = conv_general_dilated(x, kernel, (2, 1), padding, **arguments)
        assert_close(got, lax.conv_general_dilated(x, kernel, (2, 1), padding, **arguments))


@pytest.mark.parametrize(
    ("x", "kernel", "padding"),
    [
        ((2, 2, 2, 3), (3, 3, 3, 4), "VALID"),
        ((2, 0, 5, 3), (3, 3, 3, 4), [(0, 0), (1, 1)]),
        ((2, 6, 5, 0), (3, 3, 0, 4), "SAME"),
        ((2, 6, 5, 3), (3, 3, 3, 0), "SAME"),
        ((2, 3), (3, 4), []),
    ],
    ids=["large window", "no space", "no inputs", "no outputs", "no axes of space"],
)
def test_conv_general_dilated_of_nothing_is_that_of_lax(x, kernel, padding):
    letters = "HW"[: len(x) - 2]
    how = (1,) * len(letters), padding, None, None, (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    got, wanted = (
        f(jnp.ones(x), jnp.ones(kernel), *how)
        for f in (conv_general_dilated, lax.conv_general_dilated)
    )
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "moves", [{}, {"strides": 2, "feature_group_count": 2}, {"padding": "CIRCULAR"}], ids=str
)
def test_flax_layers_take_the_function_and_keep_their_numbers(moves):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5, 4)), jnp.float32)

    def nnx_layer(**injected):
        return nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0), **moves, **injected)

    def linen_layer(**injected):
        return flax.linen.Conv(6, (3, 3), **moves, **injected)

    def nnx_loss(layer):
        return jnp.sin(layer(x)).sum()

    got, wanted = (
        nnx.grad(nnx_loss)(nnx_layer(**i))
        for i in ({"conv_general_dilated": conv_general_dilated}, {})
    )
    assert_close(nnx.to_pure_dict(got), nnx.to_pure_dict(wanted))
    params = linen_layer().init(jax.random.key(0), x)
    assert_close(
        linen_layer(conv_general_dilated=conv_general_dilated).apply(params, x),
        linen_layer().apply(params, x),
    )


def test_the_plan_follows_platform_shape_and_override():
    shapes = ((8, 28, 28, 16), (3, 3, 16, 32))
    assert conv_plan(*shapes, platform="gpu") == ("lax", "lax", "lax", "batched taps")
    separate = conv_plan((8, 9, 9, 4), (7, 7, 1, 4), groups=4, platform="cpu")
    assert separate == ("taps", "flip taps", "by group", "loop")
    assert conv_plan(*shapes, platform="cpu") == ("image", "flip", "exchange", "loop")
    assert conv_plan(*shapes, platform="gpu", lowering="direct") == conv_plan(
        *shapes, platform="cpu"
    )
    assert conv_plan(*shapes, platform="cpu", lowering="lax") == ("lax", "lax", "lax", "lax")
    assert (
        conv_plan((8, 9, 9, 128), (3, 3, 128, 2), platform="cpu").kernel_grad == "patches by part"
    )
    assert conv_plan((8, 28, 28, 1), (3, 3, 1, 2), platform="cpu").output == "patches"
    assert conv_plan((8, 28, 1), (3, 1, 4), strides=2, platform="cpu").kernel_grad == "patches"
    strided = functools.partial(conv_plan, strides=2, platform="cpu")
    assert strided((8, 28, 28, 16), (4, 4, 16, 2)).input_grad == "phases"
    assert strided((8, 28, 28, 17), (4, 4, 17, 2)).input_grad == "flip"
    assert strided((8, 28, 17), (4, 17, 2)).input_grad == "patches"
    assert conv_plan(*shapes) == conv_plan(*shapes, platform=jax.default_backend())


@pytest.mark.parametrize(
    ("x", "kernel", "moves", "says"),
    [
        ((4, 3), (3, 4), {}, "the same rank"),
        ((2, 6, 6, 3), (3, 3, 4), {}, "the same rank"),
        ((2, 6, 6, 3), (3, 3, 4, 8), {}, "channels"),
        ((2, 6, 6, 4), (3, 3, 2, 5), {"groups": 2}, "groups divide"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"groups": 0}, "groups must be 1 or more"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"strides": 0}, "strides must be a positive integer"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"strides": (1, 1, 1)}, "strides must be a positive integer"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"dilation": (1,)}, "dilation must be a positive integer"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"padding": "FULL"}, "padding must be 'SAME'"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"padding": "CAUSAL"}, "1-D only"),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"padding": [(1, 1)]}, "a pair"),
        ((2, 2, 2, 4), (3, 3, 4, 4), {"padding": "VALID"}, "window must fit into the padded input"),
    ],
)
def test_what_does_not_fit_is_one_sentence(x, kernel, moves, says):
    with pytest.raises(ValueError, match=says):
        jax.eval_shape(
            functools.partial(inspect.unwrap(conv), **moves), jnp.zeros(x), jnp.zeros(kernel)
        )


def test_a_bias_of_another_shape_is_one_sentence():
    x, kernel = jnp.zeros((2, 6, 3)), jnp.zeros((3, 3, 4))
    for function in (conv, conv_transpose):
        for shape in [(), (1,), (6, 4)]:
            with pytest.raises(ValueError, match=r"bias must have the shape \(4,\)"):
                inspect.unwrap(function)(x, kernel, jnp.zeros(shape))


def test_a_transposed_kernel_with_swapped_channels_is_one_sentence():
    with pytest.raises(ValueError, match="in = 3"):
        inspect.unwrap(conv_transpose)(jnp.zeros((2, 6, 3)), jnp.zeros((3, 4, 3)))


@pytest.mark.parametrize(
    ("padding", "error"),
    [
        ((1, 1, 1), ValueError),
        (((1, 1),), ValueError),
        (((1, 1, 1), (0, 0)), ValueError),
        (None, TypeError),
        (1.5, TypeError),
        ((None, 1), TypeError),
        (((1, 0.5), 1), TypeError),
    ],
)
def test_padding_of_another_rank_or_type_is_one_sentence(padding, error):
    with pytest.raises(error, match="a pair"):
        inspect.unwrap(resolve_padding)(padding, (6, 6), (3, 3), (1, 1), (1, 1))


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        (1.5, TypeError),
        ((1.5, 1), TypeError),
        (None, TypeError),
        ("22", TypeError),
        ((1, 1, 1), ValueError),
        (0, ValueError),
    ],
)
def test_sizes_that_are_not_positive_integers_are_one_sentence(sizes, error):
    with pytest.raises(error, match="strides must be a positive integer, or 2 of them"):
        inspect.unwrap(per_axis)("strides", sizes, 2)


def test_a_lowering_that_there_is_not_is_one_sentence():
    with pytest.raises(ValueError, match="lowering must be 'auto', 'lax' or 'direct', got 'foo'"):
        check_lowering("foo")


def test_a_convolution_works_with_jit_disabled():
    x, kernel = jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))
    wanted = conv(x, kernel)
    with jax.disable_jit():
        np.testing.assert_allclose(conv(x, kernel), wanted)
