"""The algorithms of convolutions, and the rule that chooses among them.

With y = conv(x, kernel), every derivative of every order is one of three maps of the same geometry:

    output       (x, kernel)  -> y
    input_grad   (dy, kernel) -> dx
    kernel_grad  (x, dy)      -> dkernel

XLA computes the first map well on every platform. The other two, as JAX derives them, have
dimension numbers that XLA:CPU rewrites outside of loops only. In a scanned training step they
fall back to a naive kernel that is 30 times slower. The algorithms below use only convolutions in
the canonical layout, matrix products and shifted slices, and keep no residuals for the backward
pass.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn.layers._image_conv import canonical, image_conv, plain_conv, wide
from jnn.layers._phases import input_grad_phases
from jnn.layers._vary import vary_alike
from jnn.layers._window import Geometry, pad_space, shifts, taps, unshift

Role = Literal["output", "input_grad", "kernel_grad"]
ROLES: tuple[Role, ...] = ("output", "input_grad", "kernel_grad")

# `kernel_grad_exchange` cuts the batch into parts, which is 1.3 to 2.4 times faster on a CPU.
IMAGES_IN_PART = 8
MOST_PARTS = 8  # a longer program gains nothing

# From this number of taps on, a depthwise convolution of dy is 4 to 9 times faster than to shift
# the share of each tap back.
MANY_TAPS = 25

# Up to this number of input channels, the input gradient of a strided convolution of images is
# fastest by phases, from there on by one convolution of dy with zeros between its elements. Either
# takes .07 to .9 of the time of shares that are scattered, which every consumer computes anew.
FEW_CHANNELS = 16

# From this number of channels on, a kernel's gradient by patches is 1.1 to 2.2 times faster than by
# exchange.
MANY_CHANNELS = 128


class ConvPlan(NamedTuple):
    """The algorithms of the three maps, and that of a kernel with a members' axis."""

    output: str
    input_grad: str
    kernel_grad: str
    members: str


def plan(geometry: Geometry, in_channels: int, out_channels: int, platform: str) -> ConvPlan:
    """Choose the algorithms, given the numbers of channels of one group.

    The choices for a CPU are measured. On GPU and TPU a single model is left to XLA (cuDNN), and a
    population becomes batched matrix products, because a convolution that is grouped over members
    has no fast kernel there.
    """
    g = geometry
    if g.lowering == "lax":
        return ConvPlan("lax", "lax", "lax", members="lax")
    if g.lowering == "auto" and platform != "cpu":
        return ConvPlan("lax", "lax", "lax", members="batched taps")
    if g.groups > 1:
        is_depthwise = in_channels == 1
        is_plain = out_channels == 1 and max(g.strides) == 1
        turns = "flip taps" if is_plain and math.prod(g.window) >= MANY_TAPS else "taps"
        return ConvPlan(
            "taps" if is_depthwise else "lax",
            turns if is_depthwise else "flip",
            "by group",
            members="loop",
        )
    is_product = math.prod(g.window) == 1
    if is_product or (len(g.window) == 1 and g.strides[0] > 1):
        kernel_grad = "patches"
    else:
        kernel_grad = "exchange" if in_channels < MANY_CHANNELS else "patches by part"
    is_strided = max(g.strides) > 1
    if is_product:
        input_grad = "patches"
    elif is_strided and len(g.window) == 2 and max(g.dilation) == 1:
        input_grad = "phases" if in_channels <= FEW_CHANNELS else "flip"
    else:
        input_grad = "patches" if is_strided or in_channels <= 8 else "flip"
    return ConvPlan(
        output="patches" if is_product or max(in_channels, out_channels) <= 2 else "image",
        input_grad=input_grad,
        kernel_grad=kernel_grad,
        members="loop",
    )


def compute(
    role: Role, geometry: Geometry, a: Array, b: Array, *, platform: str, members: bool
) -> Array:
    """Compute one of the three maps; with `members` both operands have a leading members' axis."""
    in_channels = a.shape[-1] // geometry.groups if role == "kernel_grad" else b.shape[-2]
    algorithms = plan(geometry, in_channels, b.shape[-1] // geometry.groups, platform)
    if members and algorithms.members == "batched taps":
        algorithm = ALGORITHMS[role, "taps"]
    else:
        algorithm = ALGORITHMS[role, getattr(algorithms, role)]

    def one(a: Array, b: Array) -> Array:
        return algorithm(geometry, a, b).astype(a.dtype)

    if not members:
        return one(a, b)
    if algorithms.members == "loop":
        return lax.map(lambda pair: one(*pair), (a, b))
    return jax.vmap(one)(a, b)


# Algorithms: (geometry, a, b) -> result


def output_lax(g: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y by XLA's own convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        g.strides,
        g.padding,
        rhs_dilation=g.dilation,
        dimension_numbers=canonical(len(g.window)),
        feature_group_count=g.groups,
        precision=g.precision,
    )


def input_grad_lax(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute dx as JAX derives it."""
    x = jnp.zeros((dy.shape[0], *g.spatial, kernel.shape[-2] * g.groups), dy.dtype)
    return jax.vjp(lambda x: output_lax(g, x, kernel), vary_alike(x, dy)[0])[1](dy)[0]


def kernel_grad_lax(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute dkernel as JAX derives it."""
    kernel = jnp.zeros((*g.window, x.shape[-1] // g.groups, dy.shape[-1]), x.dtype)
    return jax.vjp(lambda kernel: output_lax(g, x, kernel), vary_alike(kernel, dy)[0])[1](dy)[0]


def output_image(g: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y by XLA's convolution in the form that is fast on a CPU."""
    return image_conv(g, x, kernel, strides=g.strides, padding=g.padding, dilation=g.dilation)


def output_patches(g: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y = patches of x, one row for each place, times the kernel as a matrix."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    y = jnp.matmul(patches(g, x), matrix, precision=g.precision, preferred_element_type=wide(x))
    return y.reshape(x.shape[0], *g.out_spatial, kernel.shape[-1])


def output_taps(g: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y = sum over the taps t of the window of (x shifted by t) kernel[t]."""
    out, kernel = kernel.shape[-1], split_groups(g, kernel)
    terms = (product(g, "rgi,gio->rgo", rows(g, seen), kernel[tap]) for tap, seen in shifts(g, x))
    return sum_of(terms).reshape(x.shape[0], *g.out_spatial, out)


def input_grad_patches(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute dx = dy times the kernel as a matrix, the share of each tap scattered and summed."""
    matrix = kernel.reshape(-1, kernel.shape[-1]).T
    each = jnp.matmul(
        dy.reshape(-1, dy.shape[-1]), matrix, precision=g.precision, preferred_element_type=wide(dy)
    )
    shares = jnp.split(each.reshape(*dy.shape[:-1], matrix.shape[1]), math.prod(g.window), axis=-1)
    return sum_of(unshift(g, tap, share) for tap, share in zip(taps(g), shares, strict=True))


def input_grad_taps(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute dx = sum over taps t of (dy kernel[t]^T) shifted back by t."""
    shape = (dy.shape[0], *g.out_spatial, kernel.shape[-2] * g.groups)
    kernel = split_groups(g, kernel)
    terms = ((tap, product(g, "rgo,gio->rgi", rows(g, dy), kernel[tap])) for tap in taps(g))
    return sum_of(unshift(g, tap, term.reshape(shape)) for tap, term in terms)


def kernel_grad_patches(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute dkernel = (patches of x)^T dy; the patches are recomputed, not kept."""
    matrix = jnp.matmul(
        patches(g, x).T,
        dy.reshape(-1, dy.shape[-1]),
        precision=g.precision,
        preferred_element_type=wide(x),
    )
    return matrix.reshape(*g.window, x.shape[-1], dy.shape[-1])


def kernel_grad_patches_by_part(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute `kernel_grad_patches` for a few images at a time, with a copy of the transpose."""
    if not len(x):
        return kernel_grad_patches(g, x, dy)
    # Few enough images that their patches are small beside all images.
    most = max(1, min(IMAGES_IN_PART, len(x) // MOST_PARTS))
    images = max(n for n in range(1, most + 1) if len(x) % n == 0)
    parts = len(x) // images
    channels = (x.shape[-1], dy.shape[-1])
    # Devices that share the batch keep some images of every part.
    x, dy = (a.reshape(images, parts, *a.shape[1:]) for a in (x, dy))

    def add(i: Array, total: Array) -> Array:
        x_part, dy_part = (lax.dynamic_index_in_dim(a, i, 1, keepdims=False) for a in (x, dy))
        turned = lax.optimization_barrier(patches(g, x_part).T)
        places = dy_part.reshape(-1, channels[1])
        return total + jnp.matmul(
            turned, places, precision=g.precision, preferred_element_type=total.dtype
        )

    zero = vary_alike(jnp.zeros((math.prod(g.window) * channels[0], channels[1]), wide(x)), dy)[0]
    return lax.fori_loop(0, parts, add, zero).reshape(*g.window, *channels)


def kernel_grad_taps(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute dkernel[t] = (x shifted by t)^T dy for each tap t."""
    parts = jnp.stack(
        [product(g, "rgi,rgo->gio", rows(g, seen), rows(g, dy)) for _, seen in shifts(g, x)]
    )
    return jnp.swapaxes(parts, 1, 2).reshape(*g.window, x.shape[-1] // g.groups, dy.shape[-1])


def input_grad_flip(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute dx = conv(dilated dy, flipped kernel with inputs and outputs exchanged).

    The dilated dy has `strides - 1` zeros between its elements.
    """
    dilated, flipped = flip(g, dy, kernel)
    none = ((0, 0),) * len(g.window)
    ones = (1,) * len(g.window)
    return image_conv(g, dilated, flipped, strides=ones, padding=none, dilation=g.dilation)


def input_grad_flip_taps(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute `input_grad_flip` as a sum over the taps of the window."""
    dilated, flipped = flip(g, dy, kernel)
    none = ((0, 0),) * len(g.window)
    ones = (1,) * len(g.window)
    whole = dataclasses.replace(g, spatial=dilated.shape[1:-1], strides=ones, padding=none)
    return output_taps(whole, dilated, flipped)


def flip(g: Geometry, dy: Array, kernel: Array) -> tuple[Array, Array]:
    """Return the padded, dilated dy and the flipped kernel whose convolution is dx."""
    pads = []
    for n, w, places, s, d, (lo, _) in zip(
        g.spatial, g.window, g.out_spatial, g.strides, g.dilation, g.padding, strict=True
    ):
        pads.append((d * (w - 1) - lo, n + lo - 1 - (places - 1) * s, s - 1))
    flipped = exchange_channels(g, jnp.flip(kernel, range(len(g.window))))
    return pad_space(dy, pads), flipped


def kernel_grad_exchange(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute dkernel = conv(x, dy) with batch and channels exchanged.

    dy is the window and `strides` is its dilation. The result is a sum over parts of the batch,
    because a window of all of dy would not stay in the cache.
    """
    parts = max(1, min(MOST_PARTS, math.ceil(len(x) / IMAGES_IN_PART)))
    return sum_of(exchange(g, *pair) for pair in zip(cut(x, parts), cut(dy, parts), strict=True))


def cut(x: Array, parts: int) -> list[Array]:
    """Cut the batch into parts.

    Even parts are strided, so that devices that share the batch keep their images of every part.
    """
    if len(x) % parts:
        return jnp.array_split(x, parts)
    images = x.reshape(-1, parts, *x.shape[1:])
    return [images[:, i] for i in range(parts)]


def exchange(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute `kernel_grad_exchange` of one part of the batch."""
    pads = []
    for n, w, places, s, d, (lo, _) in zip(
        g.spatial, g.window, g.out_spatial, g.strides, g.dilation, g.padding, strict=True
    ):
        pads.append((lo, d * (w - 1) + (places - 1) * s + 1 - n - lo, 0))
    batch_last = (*range(1, x.ndim - 1), 0, x.ndim - 1)
    y = plain_conv(
        g,
        jnp.swapaxes(pad_space(x, pads), 0, -1),  # in *spatial batch
        dy.transpose(batch_last),
        strides=g.dilation,
        padding=((0, 0),) * len(pads),
        dilation=g.strides,
    )
    return y.transpose(batch_last)  # from in *window out


def kernel_grad_by_group(g: Geometry, x: Array, dy: Array) -> Array:
    """Compute `kernel_grad_exchange` for one group after the other."""
    one_group = dataclasses.replace(g, groups=1)
    pairs = tuple(
        jnp.moveaxis(a.reshape(*a.shape[:-1], g.groups, a.shape[-1] // g.groups), -2, 0)
        for a in (x, dy)
    )
    parts = lax.map(lambda pair: kernel_grad_exchange(one_group, *pair), pairs)  # g *window i o
    return jnp.moveaxis(parts, 0, -2).reshape(*g.window, x.shape[-1] // g.groups, dy.shape[-1])


ALGORITHMS: dict[tuple[Role, str], Callable[[Geometry, Array, Array], Array]] = {
    ("output", "lax"): output_lax,
    ("output", "image"): output_image,
    ("output", "patches"): output_patches,
    ("output", "taps"): output_taps,
    ("input_grad", "lax"): input_grad_lax,
    ("input_grad", "patches"): input_grad_patches,
    ("input_grad", "taps"): input_grad_taps,
    ("input_grad", "flip"): input_grad_flip,
    ("input_grad", "flip taps"): input_grad_flip_taps,
    ("input_grad", "phases"): input_grad_phases,
    ("kernel_grad", "lax"): kernel_grad_lax,
    ("kernel_grad", "patches"): kernel_grad_patches,
    ("kernel_grad", "patches by part"): kernel_grad_patches_by_part,
    ("kernel_grad", "taps"): kernel_grad_taps,
    ("kernel_grad", "exchange"): kernel_grad_exchange,
    ("kernel_grad", "by group"): kernel_grad_by_group,
}


def patches(g: Geometry, x: Array) -> Array:
    """Return the patches of x under the window: (batch * places, taps * in)."""
    return jnp.concatenate([seen for _, seen in shifts(g, x)], axis=-1).reshape(
        -1, math.prod(g.window) * x.shape[-1]
    )


# Products of small matrices, one per group. The axes are r = batch and space, g = groups, i = in
# and o = out.


def rows(g: Geometry, x: Array) -> Array:
    """Return x as (r, g, channels / groups)."""
    return x.reshape(math.prod(x.shape[:-1]), g.groups, x.shape[-1] // g.groups)


def split_groups(g: Geometry, kernel: Array) -> Array:
    """Return the kernel as (*window, g, i, o)."""
    *rest, out = kernel.shape
    return jnp.swapaxes(kernel.reshape(*rest, g.groups, out // g.groups), -3, -2)


def exchange_channels(g: Geometry, kernel: Array) -> Array:
    """Turn (*window, in / groups, out) into (*window, out / groups, in)."""
    grouped = split_groups(g, kernel)  # *window g i o
    return jnp.moveaxis(grouped, -1, -3).reshape(
        *g.window, kernel.shape[-1] // g.groups, kernel.shape[-2] * g.groups
    )


def product(g: Geometry, equation: str, a: Array, b: Array) -> Array:
    """Compute an einsum; where the matrices are vectors, multiply and sum, which XLA fuses."""
    names_a, names_b, result = equation.replace("->", ",").split(",")
    size = dict(zip(names_a + names_b, a.shape + b.shape, strict=True))
    summed = next(name for name in "rio" if name not in result)
    if size[summed] > 1 and (size["g"] == 1 or min(size["i"], size["o"]) > 1):
        return jnp.einsum(equation, a, b, precision=g.precision, preferred_element_type=wide(a))
    return (spread(names_a, a) * spread(names_b, b)).sum("rgio".index(summed))


def spread(names: str, x: Array) -> Array:
    """Return x with all four axes r, g, i and o."""
    return jnp.expand_dims(
        x.astype(wide(x)), [axis for axis, name in enumerate("rgio") if name not in names]
    )


def sum_of(terms: Iterator[Array]) -> Array:
    """Sum arrays without the zero that Python's `sum` starts from."""
    return functools.reduce(jnp.add, terms)
