# %% [markdown]
# # 12. Convolutions
#
# A cat in a photograph is still a cat if it is at another place. A dense layer does not know that:
# it has different weights for every place. A *convolution* uses the same few weights at every
# place. This lesson builds one with NumPy, forward and backward, compares it with jnn, and measures
# how much it helps on digits at different places.

# %%
import dataclasses
import functools
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# Take a window of 3 by 3 weights, the *kernel*. Place it on a corner of the image, multiply each
# weight by the pixel below it, and add the nine products. This is one number of the output. Then
# move the window by one pixel and do the same again, until it has been at every place. The output
# is again an image, a *feature map*. It is large where the image looks like the kernel. (In
# mathematics, a convolution flips the kernel first, and the sum without the flip is a
# *cross-correlation*. A network learns its kernels, so this makes no difference, and libraries for
# networks do not flip.)


# %%
def place(images, rows, columns, side=16):
    """Put small images into empty squares, each with its corner at (row, column)."""
    canvas = np.zeros((len(images), side, side, 1), np.float32)
    height, width = images.shape[1:]
    for i, image in enumerate(images):
        canvas[i, rows[i] : rows[i] + height, columns[i] : columns[i] + width, 0] = image
    return canvas


digits = jnn.data.load("digits")
images = digits.x.reshape(-1, 8, 8)
vertical = np.array(
    [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]
)  # small left, large right
kernels = np.stack([vertical, vertical.T], axis=-1)[:, :, None]  # window, window, channels in, out
seven = place(images[7:8], [4], [4])
maps = jnn.layers.conv(seven, kernels)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
pictures = [(seven[0, :, :, 0], "a seven"), (maps[0, :, :, 0], "edges from left to right")]
pictures.append((maps[0, :, :, 1], "edges from top to bottom"))
for panel, (picture, title) in zip(axes, pictures, strict=True):
    limit = np.abs(picture).max()
    panel.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
    panel.set(title=title, xticks=[], yticks=[])
figure.suptitle("One image and two feature maps (red: positive, blue: negative)")
figure.tight_layout()
plt.show()

# %% [markdown]
# These kernels were not learned: they are those of Sobel, from 1968. A network learns its own
# kernels. A kernel responds to the same pattern at every place. If the seven moves by three pixels,
# its feature map moves by three pixels, and is otherwise the same. This is called *equivariance*.

# %%
moved = place(images[7:8], [7], [2])  # three down, two to the left
maps_of_moved = jnn.layers.conv(moved, kernels)
np.testing.assert_allclose(maps_of_moved[:, 4:-1, 1:-3], maps[:, 1:-4, 3:-1], atol=1e-6)

# %% [markdown]
# ## The derivation
#
# A color image has three numbers at each pixel, and the output of a layer has one for each of its
# kernels. These are the *channels*. Write $x_{p,i}$ for channel $i$ of the input at pixel $p$,
# where $p$ stands for row and column. A kernel $k_{t,i,o}$ has one weight for each place $t$ in the
# window, each channel in, and each channel out:
#
# $$ y_{p,o} = b_o + \sum_t \sum_i x_{sp + t - a,\,i} \; k_{t,i,o} $$
#
# The *stride* $s$ is how far the window moves each time. The *padding* $a$ is the number of zeros
# that are added on each side of the image. An image of $n$ pixels a side and a window of $w$ give
# $\lfloor (n + 2a - w) / s \rfloor + 1$ pixels a side. With $s = 1$ and $a = (w - 1) / 2$ the size
# stays the same.
#
# *Parameter sharing.* The layer has $w^2 c_{in} c_{out} + c_{out}$ parameters, whatever the size of
# the image. A dense layer from $n^2 c_{in}$ numbers to $n^2 c_{out}$ has a weight for each pair of
# them. For $n = 16$, $w = 3$, one channel in and eight out, that is 80 against 526,336.
#
# *Pooling* makes the maps smaller: it keeps only the largest number of each window of 2 by 2
# pixels. Then a shift by one pixel changes less, and each later kernel sees more of the image.
#
# *Receptive field.* An output of the first layer depends on $r_1 = w$ pixels a side. Each further
# layer adds $w - 1$ of *its* steps. One of its steps is as many pixels as the product of the
# strides before it:
#
# $$ r_l = r_{l-1} + (w_l - 1) \prod_{j<l} s_j $$
#
# *Backward.* Let $g_{p,o} = \partial L / \partial y_{p,o}$ be the slope of the loss with respect to
# the output, which the next layer passes back. Each weight $k_{t,i,o}$ was multiplied by
# $x_{sp+t-a,i}$ at every place $p$. So the slopes of all places add up:
#
# $$ \frac{\partial L}{\partial k_{t,i,o}} = \sum_p x_{sp+t-a,\,i} \; g_{p,o} , \qquad
#    \frac{\partial L}{\partial b_o} = \sum_p g_{p,o} . $$
#
# Each pixel $q$ was used by all outputs $p$ with $sp + t - a = q$ for some $t$. So its slope is
#
# $$ \frac{\partial L}{\partial x_{q,i}} = \sum_{(p, t) :\, sp + t - a = q} \; \sum_o
#    g_{p,o} \; k_{t,i,o} . $$
#
# ## From scratch
#
# One loop over the nine weights of the window is enough: the pixels below weight $t$ at all
# positions of the window are a slice of the image.


# %%
def window_slices(shape, window, stride):
    """Yield each place of the window, and the pixels that lie below it."""
    rows, columns = ((n - w) // stride + 1 for n, w in zip(shape[1:3], window, strict=True))
    for i, j in np.ndindex(*window):
        yield i, j, np.s_[:, i : i + stride * rows : stride, j : j + stride * columns : stride]


def conv(x, kernel, stride=1, padding=0):
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    return sum(
        x[below] @ kernel[i, j] for i, j, below in window_slices(x.shape, kernel.shape[:2], stride)
    )


def conv_backward(slope, x, kernel, stride=1, padding=0):
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    of_x, of_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for i, j, below in window_slices(x.shape, kernel.shape[:2], stride):
        of_kernel[i, j] = np.einsum("bpqi,bpqo->io", x[below], slope)
        of_x[below] += slope @ kernel[i, j].T
    inside = slice(padding, -padding or None)
    return of_x[:, inside, inside], of_kernel


def max_pool(x, window=2):
    below = [x[pixels] for _, _, pixels in window_slices(x.shape, (window, window), window)]
    return np.max(below, axis=0)


# %% [markdown]
# The layers of jnn give the same outputs, and `jax.grad` gives the same slopes, with and without
# stride and padding.

# %%
random = np.random.default_rng(0)
x = random.normal(size=(2, 9, 9, 3))
kernel = random.normal(size=(3, 3, 3, 4))
for stride, padding in [(1, 0), (1, 1), (2, 0), (2, 1)]:
    options = {"strides": stride, "padding": [(padding, padding)] * 2}
    y = conv(x, kernel, stride, padding)
    np.testing.assert_allclose(y, jnn.layers.conv(x, kernel, **options), atol=1e-5)
    assert y.shape[1] == (9 + 2 * padding - 3) // stride + 1

    def loss(x, kernel, options=options):
        return jnp.sum(jnn.layers.conv(x, kernel, **options) ** 2) / 2  # its slope by y is y

    ours = conv_backward(y, x, kernel, stride, padding)
    for mine, other in zip(ours, jax.grad(loss, (0, 1))(x, kernel), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
np.testing.assert_allclose(max_pool(x[:, :8, :8]), jnn.layers.max_pool(x[:, :8, :8], 2), atol=1e-6)
print("forward, backward and pooling: equal")

# %% [markdown]
# ## In jnn
#
# Two networks classify digits in a square of 16 by 16 pixels. The first has two convolutions, and
# then takes the largest value of each map, at whatever place it is (*global max-pooling*). The
# second, `jnn.models.MLP`, has two dense layers, and more than four times as many parameters.


# %%
def init_conv(key, x):
    first, second, last = jax.random.split(key, 3)
    normal = jax.nn.initializers.he_normal()
    return {
        "first": {"kernel": normal(first, (5, 5, 1, 8)), "bias": jnp.zeros(8)},
        "second": {"kernel": normal(second, (3, 3, 8, 32)), "bias": jnp.zeros(32)},
        "last": {"kernel": normal(last, (32, 10)), "bias": jnp.zeros(10)},
    }


def of_conv(params, x):
    y = jnn.layers.max_pool(jax.nn.relu(jnn.layers.conv(x, **params["first"])), 2)
    y = jax.nn.relu(jnn.layers.conv(y, **params["second"]))
    return jnn.layers.dense(jnn.layers.global_max_pool(y), **params["last"])


dense = functools.partial(jnn.models.MLP, 256, (48,), 10)  # flattens the image

# %% [markdown]
# In the first data set the digits are in the middle, and in the second one at random places.

# %%
corners = random.integers(0, 9, size=(2, len(images)))
centered = jnn.Dataset.from_arrays(
    place(images, *np.full_like(corners, 4)), digits.y, name="centered"
)
anywhere = jnn.Dataset.from_arrays(place(images, *corners), digits.y, name="anywhere")
study = jnn.Study(
    model=(init_conv, of_conv),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(5e-3),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=4 if QUICK else 15,
    batch_size=64,
)
dense_study = dataclasses.replace(study, model=dense)
folds = jnn.folds(3 if QUICK else 5)

# %% [markdown]
# ## Is this difference real?
#
# Each network trains on each data set in five folds, so every digit is scored once by a network
# that has not seen it.

# %%
runs = {
    (name, data.name): jnn.run(each, data, folds)
    for name, each in [("convolution", study), ("dense", dense_study)]
    for data in (centered, anywhere)
}
figure, axes = plt.subplots(figsize=(6, 4))
for column, result in enumerate(runs.values()):
    scores = result.final()["accuracy"].values
    axes.plot(np.full(len(scores), column), scores, "o", alpha=0.6)
    axes.text(column + 0.12, scores.mean(), f"{scores.mean():.1%}", va="center")
axes.set_xticks(range(len(runs)), [f"{name},\n{where}" for name, where in runs])
axes.set(xlim=(-0.5, 3.7), ylabel="accuracy", title=f"Digits; a point is a fold, n = {len(folds)}")
plt.show()

# %%
count = {
    name: sum(leaf[0].size for leaf in jax.tree.leaves(runs[name, "anywhere"].trained.params))
    for name in ("convolution", "dense")
}
print("parameters:", count)
assert count["dense"] > 4 * count["convolution"]
gains = {}
for where in ("centered", "anywhere"):
    pair = [runs["convolution", where], runs["dense", where]]
    both = jnn.Result.concat(pair, network=["convolution", "dense"])
    gains[where] = both.compare({"network": "convolution"}, {"network": "dense"}, "accuracy")
    print(f"convolution - dense, {where}: {gains[where]}")
assert gains["anywhere"].difference.low > 0.1
if not QUICK:
    assert gains["centered"].difference.low <= 0 <= gains["centered"].difference.high

# %% [markdown]
# If the digits are at random places, the convolutional network is far more accurate, with less than
# a quarter of the parameters: the interval of the difference is far from zero. If all digits are in
# the middle, the interval contains zero, and reaches two or three percentage points to either side.
# There, these digits do not show that either network is better. So convolutions are not always
# better. They help where the same pattern can be at several places, because that is what they
# assume.
#
# One choice was not tested: both networks use the same learning rate, which was not searched for
# either of them. [Lesson 24](24_search.ipynb) is about such a search.
#
# What has the network learned? The kernels of its first layer can be drawn as small images. Each
# row of the next figure is a member with a seed of its own.

# %%
of_seeds = jnn.run(study, anywhere, jnn.seeds(4) * jnn.holdout(0.2))
figure = jnn.plots.filters(of_seeds.trained.params["first"]["kernel"])
figure

# %%
alike = {}
for name, result in [("folds", runs["convolution", "anywhere"]), ("seeds", of_seeds)]:
    first, second = (result.trained.params["first"]["kernel"][i].reshape(25, 8) for i in (0, 1))
    alike[name] = np.mean([np.corrcoef(first[:, k], second[:, k])[0, 1] for k in range(8)])
    print(f"two {name}: mean correlation of their kernels {alike[name]:.2f}")
print("accuracy of each seed:", of_seeds.final()["accuracy"].values.ravel().round(3))
assert alike["folds"] > 0.8
assert abs(alike["seeds"]) < 0.5

# %% [markdown]
# Every seed has learned different kernels, but their accuracies differ by only a few percentage
# points. The folds above have one seed and so the same initial weights, and their kernels are
# almost the same. So a single kernel of a single network says little: it depends on the random
# initial weights as much as on the digits.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Compare three convolutions of 3 by 3, one after the other, with a single convolution of 7 by 7.
# All have $c$ channels in and out. What are the receptive fields and the numbers of weights
# (without biases)? The design of networks such as VGG is based on the answer ([Simonyan and
# Zisserman 2014](https://arxiv.org/abs/1409.1556)).

# %% tags=["hide-cell"]
three_of_3 = 3 + (3 - 1) + (3 - 1)  # all strides are 1
print(f"both see {three_of_3} pixels; {3 * 9} c^2 weights against {7 * 7} c^2")


def last_output(x):
    for _ in range(3):
        x = jnn.layers.conv(x, jnp.ones((3, 3, 1, 1)))
    return x[0, 10, 10, 0]


# The output depends on the pixels by which it has a slope.
pixels = jax.grad(last_output)(jnp.zeros((1, 21, 21, 1)))[0, :, :, 0] != 0
assert pixels.any(axis=0).sum() == three_of_3 == 7

# %% [markdown]
# ### Exercise 2
#
# A convolution is linear in $x$, so there is a matrix $M$ with $y = M x$. Find it for a kernel of
# three weights and five numbers in one dimension, without padding. How many different weights does
# $M$ have? Check it with `jax.jacobian`.

# %% tags=["hide-cell"]
weights = np.array([1.0, -2.0, 3.0])
matrix = np.zeros((3, 5))
for row in range(3):
    matrix[row, row : row + 3] = weights  # each row is the one above, moved by one


def conv_1d(x):
    return jnn.layers.conv(x[None, :, None], weights[:, None, None], padding="VALID")[0, :, 0]


print(matrix)
np.testing.assert_allclose(jax.jacobian(conv_1d)(jnp.ones(5)), matrix, atol=1e-6)
assert len(np.unique(matrix[matrix != 0])) == len(weights)

# %% [markdown]
# ### Exercise 3
#
# Score the networks that were trained on digits in the middle on digits at random places. Use only
# rows that the member has not seen. What do you expect for each network?

# %% tags=["hide-cell"]
unseen = folds.split.rows(centered)[0].test
elsewhere = {}
for name in ("convolution", "dense"):
    prediction = runs[name, "centered"].member(0).predict(anywhere.x[unseen])
    elsewhere[name] = np.mean(prediction.mean.argmax(axis=-1) == anywhere.y[unseen])
    print(f"{name}: {elsewhere[name]:.1%} of {len(unseen)} moved digits")
# The maximum over a map does not depend on the place. The dense weights of the border were never
# used, so that a moved digit is read by weights which learned another part of another digit.
assert elsewhere["convolution"] > elsewhere["dense"] + 0.2
