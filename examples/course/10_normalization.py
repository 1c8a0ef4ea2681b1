# %% [markdown]
# # 10. Batch norm and layer norm
#
# Normalization keeps the numbers inside a network at one scale. This lesson derives its forward and
# backward pass, shows that batch norm works differently in training and in scoring, and asks at
# which learning rates, and for which batch sizes, it helps.

# %%
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# The inputs of a network are standardized: their mean is subtracted, and they are divided by their
# standard deviation. The inputs of the second layer are outputs of the first. As the first layer
# trains, their mean and deviation drift. *Batch norm* standardizes them again, each unit over the
# rows of the batch (Ioffe and Szegedy 2015, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)).
# *Layer norm* standardizes each row over its units (Ba et al. 2016,
# [arXiv:1607.06450](https://arxiv.org/abs/1607.06450)). Whether batch norm helps because it removes
# this drift has been questioned (Santurkar et al. 2018,
# [arXiv:1805.11604](https://arxiv.org/abs/1805.11604)).

# %%
random = np.random.default_rng(0)
values = random.normal(size=(8, 6)) * [1, 4, 1, 2, 1, 1] + [0, 5, 0, -3, 2, 0]
batch_normed = (values - values.mean(axis=0)) / values.std(axis=0)
layer_normed = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)

figure, panels = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
shown = {"a batch": values, "batch norm": batch_normed, "layer norm": layer_normed}
for axes, (title, array) in zip(panels, shown.items(), strict=True):
    picture = axes.imshow(array, cmap="RdBu_r", vmin=-8, vmax=8)
    axes.set(title=title, xlabel="6 units")
panels[0].set_ylabel("8 rows")
panels[1].add_patch(plt.Rectangle((0.5, -0.5), 1, 8, fill=False, lw=2))
panels[2].add_patch(plt.Rectangle((-0.5, 2.5), 6, 1, fill=False, lw=2))
figure.colorbar(picture, ax=panels, shrink=0.8)
plt.show()

# %% [markdown]
# The frames show which numbers are standardized together: a column for batch norm, a row for layer
# norm.
#
# ## The derivation
#
# Take the $n$ numbers $x_1 \ldots x_n$ in one frame. With their mean $\mu$ and the small number
# $\epsilon$, which prevents a division by zero,
#
# $$ s^2 = \frac{1}{n} \sum_i (x_i - \mu)^2 + \epsilon, \qquad
#    \hat x_i = \frac{x_i - \mu}{s}, \qquad y_i = \gamma \hat x_i + \beta . $$
#
# The *scale* $\gamma$ and the *bias* $\beta$ are learned, one pair for each unit. With them the
# layer can undo the normalization.
#
# **Backward.** Each $x_j$ changes all $n$ outputs, since it changes $\mu$ and $s$. First,
# $\partial \mu / \partial x_j = 1 / n$. Next, differentiate both sides of the formula for $s^2$:
# $2 s \, \partial s / \partial x_j = 2 (x_j - \mu) / n$, so that
# $\partial s / \partial x_j = \hat x_j / n$. Together, with $\delta_{ij} = 1$ for $i = j$ and 0
# otherwise,
#
# $$ \frac{\partial \hat x_i}{\partial x_j}
#    = \frac{\delta_{ij} - 1/n}{s} - \frac{x_i - \mu}{s^2} \cdot \frac{\hat x_j}{n}
#    = \frac{1}{s} \Big( \delta_{ij} - \frac{1}{n} - \frac{\hat x_i \hat x_j}{n} \Big) . $$
#
# Let $g_i = \gamma \, \partial L / \partial y_i$ be the slope that arrives at $\hat x_i$. Summed
# over $i$, with a bar for the mean over the frame,
#
# $$ \frac{\partial L}{\partial x_j} = \sum_i g_i \frac{\partial \hat x_i}{\partial x_j}
#    = \frac{1}{s} \Big( g_j - \bar g - \hat x_j \, \overline{g \hat x} \Big) , \qquad
#    \frac{\partial L}{\partial \gamma} = \sum_i \frac{\partial L}{\partial y_i} \hat x_i , \qquad
#    \frac{\partial L}{\partial \beta} = \sum_i \frac{\partial L}{\partial y_i} . $$
#
# Two parts are removed from the slope: the part that would shift all $x$, and the part that would
# stretch them. Neither of the two changes the output. (The sums for $\gamma$ and $\beta$ go over
# the rows of the batch. For layer norm the frame is a row, and each unit in it has its own
# $\gamma$.)
#
# **What it does to the learning rate.** If the weights before a batch norm are multiplied by $c$,
# then $x$, $\mu$ and $s$ are multiplied by $c$ too (apart from $\epsilon$), and the output stays
# the same. So the slope with respect to these weights is divided by $c$. Because their length does
# not change the output, the slope is at right angles to the weights, and every step of gradient
# descent makes them longer. Steps that are too long make the weights large, which makes the next
# slopes small. So the length of the steps limits itself (Arora et al. 2019,
# [arXiv:1812.03981](https://arxiv.org/abs/1812.03981)).
#
# **Training and scoring.** In training, the output of batch norm for a row depends on the other
# rows of its batch. A prediction must not depend on other rows. So batch norm keeps *running
# averages* of $\mu$ and of the variance during training, $\mu_{run} \leftarrow \rho \mu_{run} +
# (1 - \rho) \mu$ with the *momentum* $\rho$, and uses them in scoring. Layer norm needs no
# running averages.
#
# ## From scratch


# %%
def normalize(x, axis, scale, bias, eps):
    mean = x.mean(axis=axis, keepdims=True)
    s = np.sqrt(((x - mean) ** 2).mean(axis=axis, keepdims=True) + eps)
    normed = (x - mean) / s
    return scale * normed + bias, (normed, s)


def slopes_of_normalize(slope, kept, axis, scale):
    normed, s = kept
    g = slope * scale
    mean_g = g.mean(axis=axis, keepdims=True)
    mean_product = (g * normed).mean(axis=axis, keepdims=True)
    return (g - mean_g - normed * mean_product) / s, (slope * normed).sum(0), slope.sum(0)


x, slope = random.normal(2, 3, size=(8, 6)), random.normal(size=(8, 6))
scale, bias = random.normal(size=6), random.normal(size=6)
layers = {
    "batch": (0, lambda x, scale, bias: jnn.layers.batch_norm_train(x, scale, bias, eps=1e-5)[0]),
    "layer": (1, lambda x, scale, bias: jnn.layers.layer_norm(x, scale, bias, eps=1e-5)),
}
for name, (axis, layer) in layers.items():
    y, kept = normalize(x, axis, scale, bias, 1e-5)
    np.testing.assert_allclose(y, layer(x, scale, bias), rtol=1e-4, atol=1e-5)
    theirs = jax.grad(lambda *a, f=layer: jnp.sum(slope * f(*a)), argnums=(0, 1, 2))(x, scale, bias)
    for mine, other in zip(slopes_of_normalize(slope, kept, axis, scale), theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    print(f"{name} norm: values and three slopes are those of JAX")

# %% [markdown]
# The running averages after 50 batches, compared with those of `jnn.modules.BatchNorm`:

# %%
module = jnn.modules.BatchNorm(6, momentum=0.9, rngs=nnx.Rngs(0))
running_mean, running_var = np.zeros(6), np.ones(6)
for _ in range(50):
    batch = random.normal(2, 3, size=(8, 6))
    module(jnp.asarray(batch))
    running_mean = 0.9 * running_mean + 0.1 * batch.mean(axis=0)
    running_var = 0.9 * running_var + 0.1 * batch.var(axis=0)
np.testing.assert_allclose(module.mean[...], running_mean, rtol=1e-4)
np.testing.assert_allclose(module.var[...], running_var, rtol=1e-4)
module.eval()  # from now on the running averages
alone = module(jnp.asarray(x[:1]))  # a single row
np.testing.assert_allclose(alone, (x[:1] - running_mean) / np.sqrt(running_var + 1e-5), rtol=1e-4)
print("true mean 2, running averages", running_mean.round(1))

# %% [markdown]
# ## In jnn
#
# What a network stores besides its parameters, such as running averages, is its *state*. A pair of
# functions with state returns `(params, state)` from `init` and `(outputs, state)` from `apply`.
# The keyword `train` says whether it trains or scores. The next function makes three networks:
# without a norm, with batch norm, and with layer norm. The three hidden layers have the same shape,
# so their parameters are arrays with an axis of layers, and `jax.lax.scan` loops over this axis.


# %%
def init(key, x):
    draw = jnn.initializers.he_normal()
    kernels = jnp.stack([draw(layer_key, (64, 64)) for layer_key in jax.random.split(key, 3)])
    hidden = {"kernel": kernels, "scale": jnp.ones((3, 64)), "bias": jnp.zeros((3, 64))}
    state = {"mean": jnp.zeros((3, 64)), "var": jnp.ones((3, 64))}
    return {"hidden": hidden, "output": draw(key, (64, 10))}, state


def make_apply(norm):
    def one_norm(x, running, scale, bias, train):
        if norm == "layer":
            return jnn.layers.layer_norm(x, scale, bias), running
        if norm == "none":
            return x + bias, running
        if not train:
            return jnn.layers.batch_norm(x, **running, scale=scale, bias=bias), running
        x, (mean, var) = jnn.layers.batch_norm_train(x, scale, bias)
        now = {"mean": mean, "var": var}
        return x, jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, now)

    def apply(params, state, x, *, train):
        def layer(x, own):
            params, running = own
            x = jnn.layers.dense(x, params["kernel"])
            x, running = one_norm(x, running, params["scale"], params["bias"], train)
            return jax.nn.relu(x), running

        x, state = jax.lax.scan(layer, x, (params["hidden"], state))
        return jnn.layers.dense(x, params["output"]), state

    return apply


def make_study(norm, batch_size, epochs):
    return jnn.Study(
        model=(init, make_apply(norm)),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.sgd(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=batch_size,
    )


digits = jnn.data.load("digits")
order = random.permutation(digits.rows)
train_rows, test_rows = order[:1280], order[1280:]  # 40 batches of 32
split = jnn.folds([(train_rows, test_rows)])

# %% [markdown]
# ## Is this difference real?
#
# Compare the networks at each learning rate separately, because the answer may depend on the rate.
# All members share one split, so the intervals are about other seeds, not about other rows.

# %%
seeds = jnn.seeds(2 if QUICK else 6)
rates = [0.001, 0.01, 0.1, 0.5, 1.0, 3.0]
norms = ["none", "batch", "layer"]
epochs = 2 if QUICK else 12
results = [
    jnn.run(make_study(norm, 32, epochs), digits, seeds * split * jnn.grid(learning_rate=rates))
    for norm in norms
]
both = jnn.Result.concat(results, norm=norms)

figure, axes = plt.subplots(figsize=(6, 4))
for norm, result in zip(norms, results, strict=True):
    intervals = [row.intervals["accuracy"] for row in result.summary("accuracy").rows]
    means = np.array([interval.mean for interval in intervals])
    error = means - np.array([interval.low for interval in intervals])
    axes.errorbar(rates, means, error, marker="o", capsize=3, label=norm)
axes.set(xscale="log", xlabel="learning rate", ylabel="accuracy on held-out digits", ylim=(0, 1.02))
axes.set_title(f"mean and 95 % interval, n = {intervals[0].n} seeds", fontsize=10)
axes.legend(loc="lower left")
axes.grid(alpha=0.3)
plt.show()

# %%
plain, normed, _ = (result.final()["accuracy"].fillna(0) for result in results)  # NaN: diverged
for rate in rates:
    a, b = (scores.sel(learning_rate=rate).values.ravel() for scores in (normed, plain))
    print(f"batch norm - none, rate {rate}: {jnn.stats.paired_comparison(a, b)}")
    if not QUICK and rate >= 1:
        assert jnn.stats.paired_comparison(a, b).difference.low > 0.5
for norm, result in zip(norms, results, strict=True):
    print(f"the best rate of {norm} is {result.best('accuracy').setting['learning_rate']}")

# %% [markdown]
# At rates of 1 and 3 the plain network learns nothing, and the network with batch norm is nearly as
# accurate as at its best rate. At 0.5 the interval is wide, because the seeds of the plain network
# differ widely. At the best rate of each, the gain is small, about two percentage points. So how
# much batch norm helps depends on the learning rate. Do the two norms differ, at a rate of 0.1?

# %%
a, b = ({"norm": norm, "learning_rate": 0.1} for norm in ("batch", "layer"))
between = both.compare(a, b)
print("batch - layer, rate 0.1:", between)
if not QUICK:
    assert between.difference.low <= 0 <= between.difference.high

# %% [markdown]
# The interval contains zero: at this rate, these seeds do not show a difference. The seeds share
# one split of the rows; on another split the answer may differ.
#
# **Small batches.** With two rows in a batch, $\mu$ is halfway between them. So $x_1 - \mu$ and
# $x_2 - \mu$ are $\pm d$, and $s = d$. The normalized values are $\pm 1$: only the sign is left.

# %%
pair = random.normal(size=(2, 6))
normed = normalize(pair, 0, 1.0, 0.0, 0.0)[0]
np.testing.assert_allclose(np.abs(normed), 1.0)

small = [
    jnn.run(
        make_study(norm, 2, 1 if QUICK else 3),
        digits,
        seeds * split * jnn.grid(learning_rate=[0.003, 0.01]),
    )
    for norm in ("batch", "layer")
]
of_two = jnn.Result.concat(small, norm=["batch", "layer"])
print(of_two.summary("accuracy"))
a, b = ({"norm": norm, "learning_rate": 0.01} for norm in ("layer", "batch"))
print("layer - batch, two rows in a batch:", of_two.compare(a, b))
if not QUICK:
    assert of_two.compare(a, b).difference.low > 0.1

# %% [markdown]
# With two rows in a batch, batch norm fails. Layer norm does not depend on the size of the batch.
# So layer norm is used where batches are small, and for texts, whose rows have different lengths.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# A bias before a batch norm has no effect, because it is subtracted with the mean. Show with
# `jax.grad` that its slope is zero, and that the slope with respect to the weights is divided by
# $c$ if they are multiplied by $c = 10$.


# %% tags=["hide-cell"]
def loss(kernel, bias):
    y, _ = jnn.layers.batch_norm_train(jnn.layers.dense(x, kernel, bias), eps=0.0)
    return jnp.sum(slope * y)


kernel = random.normal(size=(6, 6))
of_kernel, of_bias = jax.grad(loss, argnums=(0, 1))(kernel, jnp.zeros(6))
np.testing.assert_allclose(of_bias, 0, atol=1e-4)
np.testing.assert_allclose(jax.grad(loss)(10 * kernel, jnp.zeros(6)), of_kernel / 10, atol=1e-4)
print("largest slope: of the bias", jnp.abs(of_bias).max(), "of the weights", of_kernel.max())

# %% [markdown]
# ### Exercise 2
#
# Score the trained network with the statistics of the batch in place of the running averages, on
# batches that hold 40 digits of one class each. What happens, and why?

# %% tags=["hide-cell"]
one = results[1].select(learning_rate=0.1, seed=0)
params, state = jax.tree.map(lambda array: array[0], (one.trained.params, one.trained.model_state))
apply = make_apply("batch")
right = {True: 0, False: 0}
for digit in range(10):
    rows = test_rows[digits.y[test_rows] == digit][:40]
    for train in (True, False):
        outputs, _ = apply(params, state, digits.x[rows], train=train)
        right[train] += int(jnp.sum(outputs.argmax(axis=-1) == digit))
print(f"right: {right[False]} of 400 with running averages, {right[True]} without")
# The norm takes out what the rows of a batch share, and all of them share their class.
assert right[True] < right[False] / 2

# %% [markdown]
# ### Exercise 3
#
# `jnn.layers.rms_norm` leaves out the mean: $y = x / \sqrt{\overline{x^2} + \epsilon}$. Derive its
# backward pass, and check it.

# %% tags=["hide-cell"]
# With r the root, dr / dx_j = x_j / (n r), so dL/dx_j = (g_j - xhat_j mean(g xhat)) / r.
r = np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)
normed = x / r
ours = (slope - normed * (slope * normed).mean(axis=1, keepdims=True)) / r
theirs = jax.grad(lambda x: jnp.sum(slope * jnn.layers.rms_norm(x)))(x)
np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
