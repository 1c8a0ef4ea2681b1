# %% [markdown]
# # 5. Gradient descent, momentum, RMSprop and Adam
#
# The slopes say in which direction the loss falls. An *optimizer* decides how far to go. This
# lesson derives four common optimizers, writes each in a few lines, and asks whether Adam is better
# than the older ones. It builds on [lesson 4](04_backpropagation.ipynb).

# %%
import dataclasses
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
# The surface below is a valley whose curvature is thirty times as large across as along. Each line
# is the path of an optimizer: 60 steps from the same point towards the lowest point at (0, 0).


# %%
def valley(w):
    return (w[0] ** 2 + 30 * w[1] ** 2) / 2


slope_of_valley = jax.jit(jax.grad(valley))


def path_of(optimizer, start, steps):
    w = jnp.array(start)
    state = optimizer.init(w)
    path = [w]
    for _ in range(steps):
        update, state = optimizer.update(slope_of_valley(w), state)
        w = w + update
        path.append(w)
    return np.array(path)


optimizers = {
    "gradient descent": optax.sgd(0.06),
    "momentum": optax.sgd(0.01, momentum=0.9),
    "RMSprop": optax.rmsprop(0.15),
    "Adam": optax.adam(0.3),
}
paths = {name: path_of(optimizer, [-8.0, 1.5], 60) for name, optimizer in optimizers.items()}
figure, panels = plt.subplots(2, 2, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
first, second = np.meshgrid(np.linspace(-9, 3, 100), np.linspace(-2.2, 2.2, 100))
for axes, (name, path) in zip(panels.flat, paths.items(), strict=True):
    axes.contour(first, second, valley([first, second]), levels=12, colors="lightgray")
    axes.plot(*path.T, marker=".", color="tab:orange")
    axes.set(title=f"{name}: at the end {valley(path[-1]):.1g}")
    assert valley(path[-1]) < 0.01 * valley(path[0])
plt.show()

# %% [markdown]
# Gradient descent jumps from wall to wall, because its step is almost too large across the valley,
# and small along it. Momentum keeps its direction, so it swings, and is fast. RMSprop and Adam
# measure how steep each direction is, and move as fast along the valley as across.
#
# ## The derivation
#
# Let $w$ be one weight, $g$ its slope at this step, and $\eta$ the *learning rate*.
#
# **Gradient descent** steps in the direction of minus the slope: $w \leftarrow w - \eta g$. Which
# learning rates work? Take a parabola $L = \frac{1}{2} a w^2$, where $a$ is the *curvature*. Its
# slope is $g = a w$, so each step multiplies $w$ by a constant:
#
# $$ w \leftarrow w - \eta a w = (1 - \eta a) \, w . $$
#
# It converges if $|1 - \eta a| < 1$, that is $\eta < 2 / a$. The steepest direction sets the limit.
# In the valley it is $2 / 30$. At this rate each step multiplies the flat direction, with $a = 1$,
# by $1 - 2/30$, so that it shrinks by only 7 %. The ratio of the curvatures, here 30, is the
# *condition number*. The larger it is, the slower gradient descent is.
#
# **Momentum** ([Polyak 1964](https://doi.org/10.1016/0041-5553(64)90137-5)) keeps a *velocity* $v$,
# a sum of slopes in which older slopes count less; usually $\mu = 0.9$:
#
# $$ v \leftarrow \mu v + g , \qquad w \leftarrow w - \eta v . $$
#
# If the slope stays the same, the velocity grows to $g (1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$,
# which is ten times $g$. If it changes its sign at each step, as across the valley, the terms
# cancel. So steps along the valley grow, and those across it do not. For steps of the same size,
# $\eta$ must be a tenth of that of gradient descent.
#
# **RMSprop** ([Tieleman and Hinton
# 2012](https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf)) divides the slope
# by its recent size, the root of a running mean of its squares. Every weight has its own mean:
#
# $$ s \leftarrow \rho s + (1 - \rho) g^2 , \qquad
#    w \leftarrow w - \eta \, \frac{g}{\sqrt{s + \epsilon}} . $$
#
# If the slopes of a weight all have the size $c$, then $s \approx c^2$, and the size of each step
# is about $\eta$ for every $c$. The tiny $\epsilon$ avoids a division by zero.
#
# **Adam** ([Kingma and Ba 2014](https://arxiv.org/abs/1412.6980)) uses both an average of slopes
# and an average of squares:
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1) g , \qquad s \leftarrow \beta_2 s + (1 - \beta_2) g^2 .
# $$
#
# Both begin at 0, so they are too small at first. If $g$ were constant, then after $t$ steps $m =
# (1 - \beta_1)(1 + \beta_1 + \dots + \beta_1^{t-1}) \, g = (1 - \beta_1^t) \, g$. So Adam divides
# by this factor, which is called *bias correction*:
#
# $$ \hat m = \frac{m}{1 - \beta_1^t} , \qquad \hat s = \frac{s}{1 - \beta_2^t} , \qquad
#    w \leftarrow w - \eta \, \frac{\hat m}{\sqrt{\hat s} + \epsilon} . $$
#
# ## From scratch
#
# Each optimizer is a function of the slopes, the state that it keeps, and the number $t$ of the
# step. It returns what is added to the weights, and the new state.


# %%
def gradient_descent(g, state, t, rate):
    return -rate * g, state


def momentum(g, v, t, rate, mu=0.9):
    v = mu * v + g
    return -rate * v, v


def rmsprop(g, s, t, rate, rho=0.9, epsilon=1e-8):
    s = rho * s + (1 - rho) * g**2
    return -rate * g / np.sqrt(s + epsilon), s


def adam(g, state, t, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, s = state
    m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * g**2
    m_hat, s_hat = m / (1 - beta1**t), s / (1 - beta2**t)
    return -rate * m_hat / (np.sqrt(s_hat) + epsilon), np.stack([m, s])


# %% [markdown]
# The next cell compares each optimizer with Optax over 500 steps, on slopes of very different
# sizes, with numbers of 16 digits (`enable_x64`). The sum of all updates must agree to a millionth.

# %%
slopes = np.random.default_rng(0).normal(size=(500, 6)) * 10.0 ** np.arange(-3, 3)
pairs = {
    "gradient descent": (gradient_descent, np.zeros(6), optax.sgd(0.1)),
    "momentum": (momentum, np.zeros(6), optax.sgd(0.1, momentum=0.9)),
    "RMSprop": (rmsprop, np.zeros(6), optax.rmsprop(0.1)),
    "Adam": (adam, np.zeros((2, 6)), optax.adam(0.1)),
}
for name, (ours, state, theirs) in pairs.items():
    with jax.enable_x64(True):
        _, updates = jax.lax.scan(
            lambda state, g, theirs=theirs: theirs.update(g, state)[::-1],
            theirs.init(jnp.zeros(6)),
            jnp.array(slopes),
        )
        their_path = np.cumsum(np.asarray(updates), axis=0)
    w, our_path = np.zeros(6), []
    for t, g in enumerate(slopes, start=1):
        update, state = ours(g, state, t, rate=0.1)
        w = w + update
        our_path.append(w)
    np.testing.assert_allclose(our_path, their_path, rtol=1e-6, atol=1e-9)
    print(f"{name}: largest difference {np.abs(our_path - their_path).max():.1e}")

# %% [markdown]
# ## In jnn
#
# A study takes any optimizer of Optax. To compare with ours, train ten neurons, one for each digit,
# from zero and with all images in each step: once with the function `adam` and the slope of [lesson
# 4](04_backpropagation.ipynb), and once in jnn.

# %%
digits = jnn.data.load("digits")
steps = 40
kernel, state = np.zeros((64, 10)), np.zeros((2, 64, 10))
for t in range(1, steps + 1):
    e = np.exp(digits.x @ kernel)
    p = e / e.sum(axis=1, keepdims=True)
    slope = digits.x.T @ (p - np.eye(10)[digits.y]) / len(p)
    update, state = adam(slope, state, t, rate=0.02)
    kernel = kernel + update

linear = jnn.Study(
    model=(
        lambda key, x: {"kernel": jnp.zeros((64, 10))},
        lambda params, x: jnn.layers.dense(x, params["kernel"]),
    ),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(0.02),
    epochs=steps,
    batch_size=len(digits.x),
    evaluate_every=steps,
)
result = jnn.run(linear, digits)
np.testing.assert_allclose(result.trained.params["kernel"][0], kernel, rtol=1e-2, atol=1e-4)

# %% [markdown]
# ## Is this difference real?
#
# Is Adam better than gradient descent with momentum? The answer depends on the learning rate, so
# each optimizer is trained with eight rates, from one thousandth to three, and with several seeds
# and folds. For each optimizer, this is one population.


# %%
def init(key, x):
    keys = jax.random.split(key)
    return {
        "hidden": {"kernel": jax.random.normal(keys[0], (64, 32)) / 8, "bias": jnp.zeros(32)},
        "output": {"kernel": jax.random.normal(keys[1], (32, 10)) / 6, "bias": jnp.zeros(10)},
    }


def apply(params, x):
    hidden = jnn.layers.relu(jnn.layers.dense(x, **params["hidden"]))
    return jnn.layers.dense(hidden, **params["output"])


choices = {
    "gradient descent": lambda h: optax.sgd(h.rate),
    "momentum": lambda h: optax.sgd(h.rate, momentum=0.9),
    "RMSprop": lambda h: optax.rmsprop(h.rate),
    "Adam": lambda h: optax.adam(h.rate),
}
if QUICK:
    choices = {name: choices[name] for name in ("momentum", "Adam")}
study = jnn.Study(
    model=(init, apply),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.sgd(0.1),  # replaced below
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=4 if QUICK else 15,
    batch_size=32,
    evaluate_every=4 if QUICK else 15,
)
rates = [0.003, 0.03, 0.3] if QUICK else [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
members = jnn.seeds(3 if QUICK else 5) * jnn.folds(3 if QUICK else 5) * jnn.grid(rate=rates)
results = [
    jnn.run(dataclasses.replace(study, optimizer=choice), digits, members)
    for choice in choices.values()
]
together = jnn.Result.concat(results, optimizer=list(choices))

figure, axes = plt.subplots(figsize=(7, 4))
for name, result in zip(choices, results, strict=True):
    accuracy = result.final()["accuracy"]
    low, middle, high = accuracy.quantile([0.1, 0.5, 0.9], dim=["seed", "fold"])
    axes.plot(rates, middle, marker="o", label=name)
    axes.fill_between(rates, low, high, alpha=0.2)
n = accuracy.sizes["seed"] * accuracy.sizes["fold"]
axes.set(xscale="log", xlabel="learning rate", ylabel="accuracy", ylim=(0, 1.02))
axes.set(title=f"median, and 80 % of the members, n = {n} for each point")
axes.legend()
plt.show()

# %% [markdown]
# The curves have similar shapes and heights, but at different rates: RMSprop and Adam need a far
# smaller rate than gradient descent, and momentum is in between. Compare momentum and Adam first at
# the same rate, then each at its own best rate. The best rates are chosen on these folds, which
# makes both scores somewhat too high; [lesson 16](16_validation.ipynb) is about this.

# %%
unfair = together.compare(
    {"optimizer": "Adam", "rate": 0.003}, {"optimizer": "momentum", "rate": 0.003}, "accuracy"
)
print("Adam - momentum, both at the rate 0.003:", unfair)
assert unfair.difference.low > 0

best = [result.best("accuracy").setting for result in results]  # {"rate": ...} of each
best = dict(zip(choices, best, strict=True))
print("the best rate of each:", {name: setting["rate"] for name, setting in best.items()})
fair = together.compare(
    {"optimizer": "Adam", **best["Adam"]}, {"optimizer": "momentum", **best["momentum"]}, "accuracy"
)
print("Adam - momentum, each at its best rate:", fair)
assert abs(fair.difference.mean) < unfair.difference.mean / 2
if not QUICK:
    assert fair.difference.low <= 0 <= fair.difference.high

# %% [markdown]
# At the same rate, Adam is clearly better. This difference is real, but it is one of learning rates
# and not of optimizers: 0.003 suits Adam. With its own rate for each, these digits show no
# difference. On other tasks there may be one: Adam is clearly better than gradient descent for
# networks with attention ([Zhang et al. 2020](https://arxiv.org/abs/1912.03194)). But in a large
# comparison of fifteen optimizers none was the best on all tasks ([Schmidt et al.
# 2021](https://arxiv.org/abs/2007.01547)), and which one seems best depends on how each is tuned
# ([Choi et al. 2019](https://arxiv.org/abs/1910.05446)). An advantage of Adam follows from the
# derivation: its steps do not depend on the size of the slopes, so a loss of another scale needs no
# other rate.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# In the valley the steepest curvature is 30. Show that gradient descent converges at a rate just
# below $2/30$, and diverges just above it.

# %% tags=["hide-cell"]
below = path_of(optax.sgd(1.95 / 30), [-8.0, 1.5], 150)
above = path_of(optax.sgd(2.05 / 30), [-8.0, 1.5], 150)
print(f"{valley(below[-1]):.1g} below, {valley(above[-1]):.1g} above")
assert valley(below[-1]) < 1e-3 < 1e3 < valley(above[-1])

# %% [markdown]
# ### Exercise 2
#
# What is Adam's first step? What would it be without bias correction?

# %% tags=["hide-cell"]
g = np.array([1e-4, -0.5, 200.0])
update, _ = adam(g, np.zeros((2, 3)), t=1, rate=0.1)
np.testing.assert_allclose(update, -0.1 * np.sign(g), rtol=1e-3)  # the rate, whatever the slope
# Without it m = 0.1 g and s = 0.001 g^2, so the step is 0.1 / sqrt(0.001) = 3.2 times as large.
endless, _ = adam(g, np.zeros((2, 3)), t=10**9, rate=0.1)  # the corrections are 1
np.testing.assert_allclose(endless, -0.1 * np.sign(g) * 0.1 / np.sqrt(0.001), rtol=1e-2)

# %% [markdown]
# ### Exercise 3
#
# *Nesterov's* momentum takes the slope at the point to which the velocity is about to move. In
# Optax's form the update is $-\eta (\mu v + g)$ with the new $v$. Write it, and check it over 100
# steps.

# %% tags=["hide-cell"]


def nesterov(g, v, t, rate, mu=0.9):
    v = mu * v + g
    return -rate * (mu * v + g), v


with jax.enable_x64(True):
    theirs = optax.sgd(0.1, momentum=0.9, nesterov=True)
    v, state = np.zeros(6), theirs.init(jnp.zeros(6))
    for t, g in enumerate(slopes[:100], start=1):
        update, v = nesterov(g, v, t, rate=0.1)
        their_update, state = theirs.update(jnp.array(g), state)
        np.testing.assert_allclose(update, their_update, rtol=1e-6)
