# %% [markdown]
# # 11. Initialization
#
# Training starts from random weights. If they are too small, the activations shrink from layer to
# layer; if they are too large, the activations grow. This lesson derives the size of weights that
# keeps the activations at one level, measures them at every depth, and trains networks of 20 layers
# from good and from bad initial weights.

# %%
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
# Send random rows through 20 layers of 256 units with ReLU and weights of mean zero. Only the
# standard deviation of the weights differs. The curves show the size of the activations after each
# layer, as the root of their mean square.

# %%
random = np.random.default_rng(0)
DEPTH, WIDTH = 20, 256
rows = random.normal(size=(100, WIDTH))

figure, axes = plt.subplots(figsize=(6, 4))
for deviation in (0.05, 0.0625, np.sqrt(2 / WIDTH), 0.13):
    h, sizes = rows, [1.0]
    for _ in range(DEPTH):
        h = np.maximum(h @ (deviation * random.normal(size=(WIDTH, WIDTH))), 0)
        sizes.append(np.sqrt(np.mean(h**2)))
    axes.semilogy(sizes, marker=".", label=f"deviation {deviation:.4f}")
axes.set(xlabel="layer", ylabel="root mean square of the activations", xticks=range(0, 21, 5))
axes.set_title("one network each, n = 100 rows", fontsize=10)
axes.legend()
plt.show()

# %% [markdown]
# A factor of two in the deviation decides whether the activations vanish or explode. One value in
# between keeps the level.
#
# ## The derivation
#
# A unit computes $z = \sum_{i=1}^{n} w_i x_i$ from the $n$ outputs of the layer below; $n$ is its
# *fan-in*. Draw the weights independently with mean zero and variance $v$. Then $E[z] = 0$, and the
# terms of different $i$ are uncorrelated, so that
#
# $$ E[z^2] = \sum_i E[w_i^2] \, E[x_i^2] = n \, v \, E[x^2] . $$
#
# **A linear layer**, or $\tanh$ near zero, does not change $z$. The level stays if $n v = 1$, so
# $v = 1 / n$ (*LeCun* initialization, [LeCun et al.
# 1998](https://doi.org/10.1007/3-540-49430-8_2)).
#
# **ReLU** sets half of the $z$ to zero. Since $z$ and $-z$ are equally likely,
# $E[\max(z, 0)^2] = E[z^2] / 2$. Each layer multiplies the mean square by $n v / 2$, and $L$ layers
# by
#
# $$ \Big( \frac{n v}{2} \Big)^L . $$
#
# The level stays if $v = 2 / n$: *He* initialization (He et al. 2015,
# [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)). With $v = 1 / n$, twenty layers multiply
# the mean square by $2^{-20}$, about a millionth.
#
# **Backward.** The slope with respect to $x_i$ is a sum over the $m$ units of the next layer that
# read it: $\partial L / \partial x_i = \sum_j w_{ij} \, \partial L / \partial z_j$. By the same
# argument its mean square is multiplied by $m v$ (by $m v / 2$ with ReLU, which stops the slope of
# half the units). Here $m$ is the *fan-out*. The forward pass needs $v = 1 / n$, and the backward
# pass needs $v = 1 / m$. *Glorot* (or *Xavier*) initialization takes $v = 2 / (n + m)$, between the
# two (Glorot and Bengio 2010, [paper](https://proceedings.mlr.press/v9/glorot10a.html)).
#
# **Why random at all?** If two units of a layer have the same weights in and out, they have the
# same outputs and the same slopes. Each step changes both in the same way, so they stay equal
# forever: a layer that starts *symmetric* works like a layer of one unit. From zeros the network
# learns even less. If the output of a layer is zero, the weights after it get no slope, and through
# weights of zero no slope reaches the layer before.
#
# ## From scratch
#
# The forward and the backward pass through a deep network in NumPy. Both return the root mean
# square of each layer.


# %%
def forward(x, kernels):
    activations = [x]
    for kernel in kernels:
        activations.append(np.maximum(activations[-1] @ kernel, 0))
    return activations


def backward(slope, activations, kernels):
    slopes = [slope]
    for kernel, h in zip(kernels[::-1], activations[:0:-1], strict=True):
        slopes.append((slopes[-1] * (h > 0)) @ kernel.T)
    return slopes[::-1]  # of the activations, from the first to the last


def rms(arrays):
    return np.array([np.sqrt(np.mean(array**2)) for array in arrays])


def draw(variance):
    return [np.sqrt(variance) * random.normal(size=(WIDTH, WIDTH)) for _ in range(DEPTH)]


starts = {
    "LeCun, v = 1/n": draw(1 / WIDTH),
    "He, v = 2/n": draw(2 / WIDTH),
    "twice He, v = 4/n": draw(4 / WIDTH),
}
slope = random.normal(size=rows.shape)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
measured = {}
for name, kernels in starts.items():
    activations = forward(rows, kernels)
    measured[name] = rms(activations), rms(backward(slope, activations, kernels))
    for axes, values in zip(panels, measured[name], strict=True):
        axes.semilogy(values, marker=".", label=name)
panels[0].set(title="activations, going up", xlabel="layer", ylabel="root mean square")
panels[1].set(title="slopes, coming down", xlabel="layer")
panels[0].legend(fontsize="small")
plt.show()

# %%
factors = {"LeCun, v = 1/n": 1 / 2, "He, v = 2/n": 1.0, "twice He, v = 4/n": 2.0}
for name, factor in factors.items():
    forth, back = measured[name]
    up, down = (forth[-1] / forth[0]) ** (2 / DEPTH), (back[0] / back[-1]) ** (2 / DEPTH)
    print(
        f"{name}: derived a factor of {factor} a layer, {up:.2f} going up, {down:.2f} coming down"
    )
    np.testing.assert_allclose([up, down], factor, rtol=0.1)

# %% [markdown]
# The slopes are those of `jax.grad`:


# %%
def sum_of_outputs(x):
    for kernel in starts["He, v = 2/n"]:
        x = jax.nn.relu(x @ kernel)
    return jnp.sum(slope * x)


kernels = starts["He, v = 2/n"]
ours = backward(slope, forward(rows, kernels), kernels)[0]
theirs = jax.grad(sum_of_outputs)(rows)
np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(ours).max())

# %% [markdown]
# ## In jnn
#
# `jnn.initializers` has these initializations by name; each is a function of a key and a shape.
# Kernels are (in, out), so the fan-in is the first number of the shape.

# %%
key = jax.random.key(0)
named = {
    "lecun_normal": 1 / 400,
    "he_normal": 2 / 400,
    "he_uniform": 2 / 400,
    "glorot_normal": 2 / (400 + 1000),
}
for name, variance in named.items():
    kernel = getattr(jnn.initializers, name)()(key, (400, 1000))
    print(f"{name}: deviation {kernel.std():.4f}, derived {np.sqrt(variance):.4f}")
    np.testing.assert_allclose(kernel.std(), np.sqrt(variance), rtol=0.01)

# %% [markdown]
# A network of 20 hidden layers classifies digits. Its hidden layers have the same shape, so their
# kernels are one array with an axis of layers, and `jax.lax.scan` loops over this axis.


# %%
def make_init(draw):
    def init(key, x):
        keys = jax.random.split(key, DEPTH + 1)
        hidden = jnp.stack([draw(key, (64, 64)) for key in keys[1:]])
        return {
            "hidden": {"kernel": hidden, "bias": jnp.zeros((DEPTH, 64))},
            "output": {"kernel": draw(keys[0], (64, 10)), "bias": jnp.zeros(10)},
        }

    return init


def network(params, x):
    def layer(h, own):
        return jax.nn.relu(jnn.layers.dense(h, **own)), None

    h, _ = jax.lax.scan(layer, x, params["hidden"])
    return jnn.layers.dense(h, **params["output"])


digits = jnn.data.load("digits")
members = jnn.seeds(2 if QUICK else 6) * jnn.holdout(0.3)


def train(draw):
    study = jnn.Study(
        model=(make_init(draw), network),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.sgd(0.02),
        metrics={"accuracy": jnn.metrics.accuracy},
        inputs=jnn.preprocess.standardize,
        epochs=3 if QUICK else 15,
        batch_size=32,
    )
    return jnn.run(study, digits, members)


# %% [markdown]
# ## Is this difference real?
#
# Each initialization is a study, and its seeds are a population.

# %%
draws = {
    "zeros": jnn.initializers.zeros,
    "LeCun": jnn.initializers.lecun_normal(),
    "He normal": jnn.initializers.he_normal(),
    "He uniform": jnn.initializers.he_uniform(),
}
results = {name: train(draw) for name, draw in draws.items()}
result = jnn.Result.concat(list(results.values()), start=list(results))
print(result.summary("accuracy"))
gain = result.compare({"start": "He normal"}, {"start": "LeCun"}, "accuracy")
print("He - LeCun:", gain)
shape = result.compare({"start": "He normal"}, {"start": "He uniform"}, "accuracy")
print("He normal - He uniform:", shape)
if not QUICK:
    assert gain.difference.low > 0.3
    assert shape.difference.low <= 0 <= shape.difference.high

figure = result.plot.curves("accuracy")
figure

# %% [markdown]
# At this learning rate and in these epochs, the network learns with one variance, and hardly learns
# with the other. For the shape of the distribution, normal or uniform, the interval contains zero.
# But it is wide: so few seeds cannot rule out a difference of several percentage points. All
# members share one split, so the intervals are about other seeds, not about other rows. From zeros
# the hidden layers learn nothing, with any seed:

# %%
stuck = results["zeros"].trained.params
assert not np.any(stuck["hidden"]["kernel"])
assert np.any(stuck["output"]["bias"])  # all that moved
print("zeros: every hidden weight is still", np.abs(stuck["hidden"]["kernel"]).max())

# %% [markdown]
# How large are the activations of the trained members, layer by layer?


# %%
def activations(result):
    def layer(h, own):
        h = jax.nn.relu(jnn.layers.dense(h, **own))
        return h, h

    x = (digits.x - digits.x.mean(axis=0)) / np.maximum(digits.x.std(axis=0), 1e-3)
    hidden = result.trained.params["hidden"]  # [members, layers, ...]
    each = jax.vmap(lambda own: jax.lax.scan(layer, x[:200], own)[1])(hidden)
    return {str(number + 1): each[:, number] for number in range(DEPTH)}


trained = {name: activations(results[name]) for name in ("LeCun", "He normal")}
figure = jnn.plots.by_depth(trained, label="activations after training")
figure.axes[0].set_title(f"200 digits, n = {len(members)} members", fontsize=10)
figure

# %% [markdown]
# Other methods also keep the activations of deep networks at one level, and make the initialization
# less important: the norms of [lesson 10](10_normalization.ipynb), and adding the input of a layer
# to its output (*residual connections*, He et al. 2016,
# [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)).
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Let all weights into five hidden units start at the same constant, which is not zero, and let each
# output read all five units with the same weight. Take a few steps of gradient descent in JAX, and
# show that the hidden units stay equal.


# %% tags=["hide-cell"]
def loss(params):
    hidden = jax.nn.relu(digits.x[:100] @ params["in"])
    logits = hidden @ params["out"]
    return jnn.losses.softmax_cross_entropy(logits, digits.y[:100]).mean()


params = {"in": jnp.full((64, 5), 0.1), "out": 0.1 * jax.random.normal(key, (1, 10))}
params["out"] = jnp.repeat(params["out"], 5, axis=0)  # equal for all units
before = loss(params)
for _ in range(20):
    params = jax.tree.map(lambda w, slope: w - 0.1 * slope, params, jax.grad(loss)(params))
print(
    f"loss {before:.3f} -> {loss(params):.3f}; first weights of the five units:", params["in"][20]
)
assert loss(params) < before
np.testing.assert_allclose(params["in"], jnp.repeat(params["in"][:, :1], 5, axis=1), rtol=1e-5)

# %% [markdown]
# ### Exercise 2
#
# Leaky ReLU is $z$ for $z > 0$ and $a z$ otherwise. Which variance keeps the level? Check it with
# $a = 0.3$ over 20 layers.

# %% tags=["hide-cell"]
# E[f(z)^2] = (1 + a^2) / 2 E[z^2], so v = 2 / ((1 + a^2) n).
h = rows
for kernel in draw(2 / (1 + 0.3**2) / WIDTH):
    z = h @ kernel
    h = np.where(z > 0, z, 0.3 * z)
print(f"root mean square {np.sqrt(np.mean(rows**2)):.2f} -> {np.sqrt(np.mean(h**2)):.2f}")
assert 0.5 < np.sqrt(np.mean(h**2)) < 2

# %% [markdown]
# ### Exercise 3
#
# Does a shallow network learn from LeCun's initialization? Compare the factor $2^{-L/2}$ on the
# size of the activations for $L = 2$ and $L = 20$, and train `jnn.models.MLP` with two hidden
# layers, which uses LeCun's initialization.

# %% tags=["hide-cell"]
print(f"two layers leave {2.0**-1:.2f} of the size, twenty leave {2.0**-10:.4f}")
shallow = jnn.Study(
    model=lambda rngs: jnn.models.MLP(64, (64, 64), 10, rngs=rngs),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.sgd(0.1),
    metrics={"accuracy": jnn.metrics.accuracy},
    inputs=jnn.preprocess.standardize,
    epochs=3 if QUICK else 15,
)
of_two = jnn.run(shallow, digits, members)
print(of_two.summary("accuracy"))
assert float(of_two.final()["accuracy"].mean()) > 0.9
