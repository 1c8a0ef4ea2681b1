"""Convolution and pooling equal PyTorch's: values and gradients over random configurations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.layers._conv import conv, conv_transpose
from jnn.layers._pool import adaptive_avg_pool, adaptive_max_pool, avg_pool, max_pool

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
CONFIGURATIONS = range(12)


def channels_first(a):
    """From [batch, *spatial, channels], or [*window, in, out], to PyTorch's order and back."""
    return np.moveaxis(a, -1, 1)


def both_ways(function, torch_function, arrays, to_torch, dtype):
    """Compare values and gradients of `sum(weight * sin(y))` of both libraries."""
    tensors = [
        torch.tensor(np.ascontiguousarray(f(a)), requires_grad=True)
        for f, a in zip(to_torch, arrays, strict=True)
    ]
    theirs = torch_function(*tensors)
    weight = np.random.default_rng(1).normal(size=theirs.shape).astype(dtype)
    (theirs.sin() * torch.tensor(weight)).sum().backward()

    def loss(*arrays):
        y = function(*arrays)
        return (jnp.sin(y) * np.moveaxis(weight, 1, -1)).sum(), y

    gradients, ours = jax.jit(jax.grad(loss, tuple(range(len(arrays))), has_aux=True))(
        *map(jnp.asarray, arrays)
    )
    assert_close(ours, np.moveaxis(theirs.detach().numpy(), 1, -1), dtype)
    for gradient, tensor, convert in zip(gradients, tensors, to_torch, strict=True):
        assert_close(convert(np.asarray(gradient)), tensor.grad.numpy(), dtype)


def assert_close(got, wanted, dtype):
    assert got.dtype == dtype
    tolerance = (1e-12 if dtype == np.float64 else 2e-5) * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def draw(random, rank, low, high):
    return tuple(int(n) for n in random.integers(low, high + 1, rank))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", CONFIGURATIONS)
def test_conv_is_pytorchs(seed, dtype):
    random = np.random.default_rng(seed)
    rank, groups = 1 + seed % 3, int(random.choice([1, 1, 2, 3]))
    window, strides, dilation = (
        draw(random, rank, 1, 3),
        draw(random, rank, 1, 3),
        draw(random, rank, 1, 2),
    )
    padding, spatial = draw(random, rank, 0, 2), draw(random, rank, 5, 8)
    per_group, out = int(random.integers(1, 4)), groups * int(random.integers(1, 4))
    x = random.normal(size=(2, *spatial, per_group * groups)).astype(dtype)
    kernel = random.normal(size=(*window, per_group, out)).astype(dtype)
    bias = random.normal(size=out).astype(dtype)
    torch_conv = getattr(torch.nn.functional, f"conv{rank}d")
    theirs = functools.partial(
        torch_conv, stride=strides, padding=padding, dilation=dilation, groups=groups
    )
    ours = functools.partial(
        conv, strides=strides, padding=[(p, p) for p in padding], dilation=dilation, groups=groups
    )
    weights_first = lambda k: np.moveaxis(k, (-1, -2), (0, 1))  # noqa: E731  (a converter beside its use)
    with jax.enable_x64(dtype == np.float64):
        both_ways(
            ours, theirs, (x, kernel, bias), (channels_first, weights_first, np.asarray), dtype
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", CONFIGURATIONS)
def test_conv_transpose_is_pytorchs_with_the_kernel_turned_round(seed, dtype):
    random = np.random.default_rng(seed)
    rank = 1 + seed % 3
    window, strides, dilation = (
        draw(random, rank, 1, 4),
        draw(random, rank, 1, 3),
        draw(random, rank, 1, 2),
    )
    reach = [d * (w - 1) for w, d in zip(window, dilation, strict=True)]
    padding = tuple(int(random.integers(0, r + 1)) for r in reach)
    more = tuple(int(random.integers(0, s)) for s in strides)
    groups = int(random.choice([1, 1, 2, 3]))
    x = random.normal(size=(2, *draw(random, rank, 3, 6), 2 * groups)).astype(dtype)
    kernel = random.normal(size=(*window, 2, 3 * groups)).astype(dtype)
    pairs = [(r - p, r - p + q) for r, p, q in zip(reach, padding, more, strict=True)]
    torch_conv = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    theirs = functools.partial(
        torch_conv,
        stride=strides,
        padding=padding,
        output_padding=more,
        dilation=dilation,
        groups=groups,
    )
    ours = functools.partial(
        conv_transpose, strides=strides, padding=pairs, dilation=dilation, groups=groups
    )

    def turned(kernel):  # PyTorch has the groups in the inputs' axis: [in, out / groups, *window]
        flipped = np.flip(kernel, range(rank)).reshape(*window, 2, groups, 3)
        return np.moveaxis(flipped, (-2, -3, -1), (0, 1, 2)).reshape(2 * groups, 3, *window)

    with jax.enable_x64(dtype == np.float64):
        both_ways(ours, theirs, (x, kernel), (channels_first, turned), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("seed", CONFIGURATIONS)
def test_pools_are_pytorchs(seed, kind, dtype):
    random = np.random.default_rng(seed)
    rank = 1 + seed % 3
    window, strides = draw(random, rank, 2, 3), draw(random, rank, 1, 3)
    padding = tuple(int(random.integers(0, w // 2 + 1)) for w in window)
    values = random.normal(size=(2, *draw(random, rank, 5, 8), 2)).astype(dtype)
    x = np.maximum(values, 0) if seed % 2 else values  # as after a relu: ties at zero
    torch_pool = getattr(torch.nn.functional, f"{kind}_pool{rank}d")
    theirs = functools.partial(torch_pool, kernel_size=window, stride=strides, padding=padding)
    ours = max_pool if kind == "max" else functools.partial(avg_pool, count_padding=True)
    ours = functools.partial(
        ours, window=window, strides=strides, padding=[(p, p) for p in padding]
    )
    with jax.enable_x64(dtype == np.float64):
        both_ways(ours, theirs, (x,), (channels_first,), dtype)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("seed", CONFIGURATIONS)
def test_adaptive_pools_are_pytorchs(seed, kind):
    random = np.random.default_rng(seed)
    rank = 1 + seed % 3
    size = draw(random, rank, 1, 5)
    x = random.normal(size=(2, *draw(random, rank, 5, 8), 2)).astype(np.float32)
    theirs = functools.partial(
        getattr(torch.nn.functional, f"adaptive_{kind}_pool{rank}d"), output_size=size
    )
    ours = functools.partial({"max": adaptive_max_pool, "avg": adaptive_avg_pool}[kind], size=size)
    both_ways(ours, theirs, (x,), (channels_first,), np.float32)
