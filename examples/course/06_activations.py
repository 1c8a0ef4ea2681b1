# %% [markdown]
# # 6. Activations: sigmoid, tanh, ReLU, GELU, softmax
#
# The activation is the function that a unit applies to its weighted sum. It decides whether slopes
# reach the first layers of a deep network. This lesson measures that, counts units that no longer
# learn, and writes a softmax that does not overflow. It builds on [lesson
# 4](04_backpropagation.ipynb).

# %%
import functools
import math
import sys

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# On the left are four activations, on the right their slopes. Where the slope is nearly zero, the
# output hardly changes with the input, and the weights of the unit hardly learn: the unit is
# *saturated*.

# %%
ACTIVATIONS = {
    "sigmoid": jnn.layers.sigmoid,
    "tanh": jnn.layers.tanh,
    "ReLU": jnn.layers.relu,
    "GELU": functools.partial(jnn.layers.gelu, approximate=False),
}
z = np.linspace(-5, 5, 400, dtype=np.float32)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for name, activation in ACTIVATIONS.items():
    panels[0].plot(z, activation(z), label=name)
    panels[1].plot(z, jax.vmap(jax.grad(activation))(z), label=name)
panels[0].set(title="activation f(z)", xlabel="z", ylim=(-1.2, 3))
panels[1].set(title="slope f'(z)", xlabel="z")
panels[0].legend()
plt.show()

# %% [markdown]
# The sigmoid and tanh saturate on both sides, the ReLU and the GELU only on the left.
#
# ## The derivation
#
# **Sigmoid.** From $\sigma(z) = 1 / (1 + e^{-z})$ follows
#
# $$ \sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2} = \sigma(z) \, (1 - \sigma(z)) \le \tfrac{1}{4} , $$
#
# as $p (1 - p)$ is largest at $p = \frac{1}{2}$. **Tanh** is the sigmoid stretched to the range
# from -1 to 1, $\tanh(z) = 2 \sigma(2z) - 1$, so its slope is
# $4 \, \sigma'(2z) = 1 - \tanh^2(z) \le 1$.
#
# **Depth.** By [lesson 4](04_backpropagation.ipynb), the slope at an early layer has a factor $f'$
# for every later layer. With the sigmoid each factor is at most $\frac{1}{4}$. After eight layers
# their product is at most $4^{-8} \approx 0.000015$, unless large weights compensate for it. This
# is the *vanishing gradient* ([Hochreiter 1998](https://doi.org/10.1142/S0218488598000094), [Glorot
# and Bengio 2010](https://proceedings.mlr.press/v9/glorot10a.html)).
#
# **ReLU**, $\max(0, z)$, has the slope 1 wherever it is on ([Nair and Hinton
# 2010](https://www.cs.toronto.edu/~hinton/absps/reluICML.pdf)). But where it is off, the slope
# is 0. A unit that is off for *all* rows has the slope 0 for all its weights, so they do not
# change. It is a *dead* unit. In the first layer it is off forever. In a later layer, only a
# change of the layers before it can turn it on again.
#
# **GELU** ([Hendrycks and Gimpel 2016](https://arxiv.org/abs/1606.08415)) is a smooth ReLU. With
# $\Phi(z)$ for the share of the standard normal distribution that lies below $z$, and $\varphi$ for
# its density,
#
# $$ f(z) = z \, \Phi(z) , \qquad f'(z) = \Phi(z) + z \, \varphi(z) . $$
#
# **Softmax** turns the outputs of a network into probabilities, $p_k = e^{z_k} / \sum_j e^{z_j}$.
# Add a number $c$ to all outputs:
#
# $$ \frac{e^{z_k + c}}{\sum_j e^{z_j + c}} = \frac{e^c \, e^{z_k}}{e^c \sum_j e^{z_j}} = p_k . $$
#
# Nothing changes: the softmax is *shift invariant*. This solves a problem of computers, for which
# $e^{1000}$ is infinite. Choose $c = -\max_j z_j$. Then the largest exponent is 0, nothing can
# overflow, and the sum is at least 1. For two outputs the softmax is a sigmoid: $p_1 = \sigma(z_1 -
# z_0)$.
#
# ## From scratch
#
# Each function and its slope, compared with `jax.grad`. (`vmap` applies a function of one number to
# each number of an array.)


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slope_of_sigmoid(z):
    return sigmoid(z) * (1 - sigmoid(z))


def slope_of_tanh(z):
    return 1 - np.tanh(z) ** 2


def slope_of_relu(z):
    return np.where(z > 0, 1, 0)


def slope_of_gelu(z):
    share = (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return share + z * density


slopes = [slope_of_sigmoid, slope_of_tanh, slope_of_relu, slope_of_gelu]
for ours, theirs in zip(slopes, ACTIVATIONS.values(), strict=True):
    np.testing.assert_allclose(ours(z), jax.vmap(jax.grad(theirs))(z), atol=1e-5)
assert slope_of_sigmoid(z).max() <= 0.25

# %% [markdown]
# The softmax, first as in the formula, then with the largest output subtracted:


# %%
def naive_softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


outputs = np.array([2.0, 1.0, 0.0])
np.testing.assert_allclose(naive_softmax(outputs), softmax(outputs))
np.testing.assert_allclose(softmax(outputs + 1000), softmax(outputs))
with np.errstate(all="ignore"):
    print("naive: ", naive_softmax(outputs + 1000))
    assert np.isnan(naive_softmax(outputs + 1000)).all()  # infinity divided by infinity
print("stable:", softmax(outputs + 1000).round(3))
np.testing.assert_allclose(jnn.layers.softmax(outputs + 1000), softmax(outputs), rtol=1e-5)

# %% [markdown]
# ## In jnn
#
# Below is a network with eight hidden layers of 64 units, not yet trained, with each of the four
# activations. `vmap` over random keys makes a population of initial weights, and `vmap` over these
# weights makes a population of slopes. How large are the slopes in each layer? The figure has a
# logarithmic axis.

# %%
digits = jnn.data.load("digits")
few, labels = digits.x[:100], digits.y[:100]
shapes = [(64, 64)] * 8 + [(64, 10)]


def first_kernels(key):
    keys = jax.random.split(key, len(shapes))
    draw = jnn.initializers.lecun_normal()  # lesson 11 is about the scale of first weights
    return [draw(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def loss(kernels, activation):
    h = few
    for kernel in kernels[:-1]:
        h = activation(jnn.layers.dense(h, kernel))
    logits = jnn.layers.dense(h, kernels[-1])
    return jnn.losses.softmax_cross_entropy(logits, labels).mean()


names = ["sigmoid", "ReLU"] if QUICK else list(ACTIVATIONS)
n = 10 if QUICK else 50
kernels = jax.vmap(first_kernels)(jax.random.split(jax.random.key(0), n))
gradients = {}
for name in names:
    slope = jax.grad(functools.partial(loss, activation=ACTIVATIONS[name]))
    by_layer = jax.jit(jax.vmap(slope))(kernels)  # for each layer: (members, 64, 64)
    gradients[name] = {str(i + 1): by_layer[i] for i in range(8)}
figure, axes = plt.subplots(figsize=(7, 4))
jnn.plots.by_depth(gradients, label="the slopes by the kernel", axes=axes)
plt.show()

# %%
for name, by_layer in gradients.items():
    size = {layer: np.sqrt(np.mean(np.square(by_layer[layer]))) for layer in ("1", "8")}
    print(f"{name}: layer 1 gets {size['1'] / size['8']:.1e} of what layer 8 gets")
    assert name != "sigmoid" or size["1"] < 1e-4 * size["8"]
    assert name == "sigmoid" or size["1"] > 1e-3 * size["8"]

# %% [markdown]
# With the sigmoid, the slopes become smaller by a factor of about four at each layer, as derived.
# With the others, the slopes of the first layer are about as large as those of the last. (The
# levels of the curves differ because of the initial weights, see [lesson
# 11](11_initialization.ipynb).)
#
# ## Is this difference real?
#
# Does this affect the accuracy? Train networks with four hidden layers, each activation at several
# learning rates, as in [lesson 5](05_optimizers.ipynb).

# %%
rates = [0.01, 0.1] if QUICK else [0.003, 0.01, 0.03, 0.1, 0.3]
members = jnn.seeds(2 if QUICK else 4) * jnn.folds(3 if QUICK else 5) * jnn.grid(rate=rates)


def study_of(activation):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 64, (24,) * 4, 10, activation=activation),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.sgd(h.rate, momentum=0.9),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=5 if QUICK else 12,
        batch_size=32,
        evaluate_every=5 if QUICK else 12,
    )


results = {name: jnn.run(study_of(ACTIVATIONS[name]), digits, members) for name in names}
together = jnn.Result.concat(list(results.values()), activation=names)
best = {name: {"activation": name, **results[name].best("accuracy").setting} for name in names}
for name in names:
    print(f"{name}: {results[name].best('accuracy')}")

relu_or_sigmoid = together.compare(best["ReLU"], best["sigmoid"], "accuracy")
print("ReLU - sigmoid, each at its best rate:", relu_or_sigmoid)
assert relu_or_sigmoid.difference.low > 0.1

# %%
if not QUICK:
    for name in ("ReLU", "tanh"):
        difference = together.compare(best["GELU"], best[name], "accuracy")
        print(f"GELU - {name}, each at its best rate:", difference)
    assert difference.difference.low <= 0 <= difference.difference.high  # GELU - tanh

# %% [markdown]
# With the sigmoid the network learns nothing in these epochs: at every rate its accuracy is that of
# guessing. The other three learn, and are within a few percentage points of each other. These
# digits do not show a difference between GELU and tanh.
#
# How many units of the ReLU networks are dead, that is, zero for every image? It depends on the
# learning rate.


# %%
def dead_shares(result):
    h, dead = digits.x, []
    for layer in result.trained.params["hidden"].values():
        h = np.maximum(h @ layer["kernel"] + layer["bias"][:, None], 0)  # (members, images, units)
        dead.append((h == 0).all(axis=1))
    return np.mean(dead, axis=(0, 2))  # over layers and units


of_relu = results["ReLU"]
dead = [dead_shares(of_relu.select(rate=rate)) for rate in rates]
accuracies = [of_relu.final()["accuracy"].sel(rate=rate).values.mean() for rate in rates]
figure, axes = plt.subplots(figsize=(6, 3.6))
for rate, shares in zip(rates, dead, strict=True):
    axes.scatter(np.full(len(shares), rate), shares, s=12, color="tab:green", alpha=0.5)
axes.plot(rates, np.mean(dead, axis=1), color="tab:green")
axes.set(xscale="log", xlabel="learning rate", ylabel="share of dead units", ylim=(-0.03, 1.03))
axes.set_title(f"ReLU, 96 hidden units, n = {len(dead[0])} members at each rate")
print("dead:", np.mean(dead, axis=1).round(2), "accuracy:", np.round(accuracies, 2))
assert np.mean(dead[-1]) > np.mean(dead[-2])
plt.show()

# %% [markdown]
# At a large learning rate, a single step can change the weights so much that units are off for all
# images. Their slopes are then zero, so they stay off. Where most units are dead, the accuracy is
# that of guessing.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Any layer with tanh can be replaced by one with the sigmoid that computes the same, with other
# weights here and in the next layer. Find them, by $\tanh(z) = 2 \sigma(2z) - 1$, and check.

# %% tags=["hide-cell"]
random = np.random.default_rng(0)
x, W, b = random.normal(size=(5, 3)), random.normal(size=(3, 4)), random.normal(size=4)
V, c = random.normal(size=(4, 2)), random.normal(size=2)
with_tanh = np.tanh(x @ W + b) @ V + c
with_sigmoid = sigmoid(x @ (2 * W) + 2 * b) @ (2 * V) + (c - V.sum(axis=0))
np.testing.assert_allclose(with_sigmoid, with_tanh)

# %% [markdown]
# ### Exercise 2
#
# The outputs of a network are 1000 and 0, and the right class is the second. The loss is $-\log
# p_1$, which is $1000$. Which losses do you get with `naive_softmax` and `softmax`? Write a
# function that computes the logarithm of the softmax correctly.

# %% tags=["hide-cell"]


def log_softmax(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


far = np.array([1000.0, 0.0])
with np.errstate(all="ignore"):
    print(-np.log(naive_softmax(far))[1], -np.log(softmax(far))[1], -log_softmax(far)[1])
    assert np.isinf(-np.log(softmax(far))[1])  # the probability itself is too small to write down
assert log_softmax(far)[1] == jnn.layers.log_softmax(far)[1] == -1000

# %% [markdown]
# ### Exercise 3
#
# At the learning rate 0.1 the members differ in their share of dead units. Do members with more
# dead units score lower?

# %% tags=["hide-cell"]
at_one_rate = of_relu.select(rate=0.1)
shares, scores = dead_shares(at_one_rate), at_one_rate.final()["accuracy"].values
correlation = np.corrcoef(shares, scores)[0, 1]
print(f"correlation {correlation:.2f}, n = {len(scores)} members")
if not QUICK:
    assert correlation < -0.3
# They do. That does not say which causes which: a step may kill units and spoil the others as well.
