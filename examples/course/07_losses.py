# %% [markdown]
# # 7. Losses
#
# The loss says what counts as a mistake, and how much. A network learns to lower its loss, and
# nothing else. This lesson derives the common losses from one principle, and shows how each treats
# outliers, confident mistakes and rare classes. It builds on [lesson 4](04_backpropagation.ipynb).

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
# Nine people earn about 30 thousand a year each, and a tenth person earns 300 thousand. Which
# single number describes all ten incomes best? If a mistake counts by its square, it is the *mean*,
# which the tenth person pulls far away from all the others. If a mistake counts by its size, it is
# the *median*, and it hardly matters how much the tenth person earns.

# %%
incomes = np.array([24, 26, 27, 29, 30, 31, 32, 34, 36, 300.0])
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
error = np.linspace(-3, 3, 301)
for name, values in {
    "squared error / 2": error**2 / 2,
    "absolute error": np.abs(error),
    "Huber, δ = 1": np.where(np.abs(error) <= 1, error**2 / 2, np.abs(error) - 0.5),
}.items():
    panels[0].plot(error, values, label=name)
panels[0].set(xlabel="error", ylabel="loss", title="three losses of a number")
panels[0].legend()
panels[1].plot(incomes, np.zeros(10), "o", color="gray")
panels[1].axvline(incomes.mean(), color="tab:blue", label="mean: least squared error")
panels[1].axvline(np.median(incomes), color="tab:orange", label="median: least absolute error")
panels[1].set(xlabel="income in thousands", yticks=[], title="ten people")
panels[1].legend()
plt.show()

# %% [markdown]
# The *Huber* loss is between the two: a square for small errors, and a straight line for large
# ones.
#
# ## The derivation
#
# **Maximum likelihood.** For each row, a network says how probable every answer is. The best
# network is the one that gives the answers in the data the highest probability. For independent
# rows the probabilities multiply, and the logarithm turns this product into a sum. So minimize
#
# $$ L = -\frac{1}{n} \sum_i \log p(y_i \mid x_i) , $$
#
# where $p(y_i \mid x_i)$ is the probability of the answer $y_i$ for the inputs $x_i$ of row $i$.
# The losses below are this formula with different assumptions on how the answers vary.
#
# **Numbers with normal noise.** Suppose that $y$ is the output $f$ plus noise from a normal
# distribution with standard deviation $s$. Then
#
# $$ p = \frac{1}{s \sqrt{2 \pi}} \, e^{-(y - f)^2 / 2 s^2} , \qquad
#    -\log p = \frac{(y - f)^2}{2 s^2} + \text{a constant} , $$
#
# Up to a factor, this is the *squared error*. Its mean over the rows is the *MSE* (mean squared
# error). For one number $f$ and many $y_i$, its slope $\sum_i 2 (f - y_i)$ is zero at the mean.
#
# **Numbers with outliers.** If large errors are more common, let the density of the noise fall as
# $e^{-|y - f| / s}$ (the *Laplace* distribution). Then $-\log p = |y - f| / s$ plus a constant. Up
# to a factor, this is the *absolute error*; its mean is the *MAE* (mean absolute error). Each $y_i$
# adds 1 or -1 to the slope, so at the best $f$ as many $y_i$ are above as below: it is the median.
# The **Huber** loss ([1964](https://doi.org/10.1214/aoms/1177703732)) is $e^2 / 2$ for errors $|e|
# \le \delta$, with the slope $e$, and has the slope $\pm\delta$ beyond.
#
# **Classes.** The network gives a probability $p_k$ for each class, and the loss of a row of class
# $y$ is $-\log p_y$. This is the *cross-entropy*. With two classes it is the loss of [lesson
# 1](01_neuron.ipynb), and its slope with respect to the output $z$ is the error, $p - y$.
#
# **Why not the squared error for classes?** Take $(p - y)^2$ with $p = \sigma(z)$. By the chain
# rule its slope with respect to $z$ is
#
# $$ 2 (p - y) \, p (1 - p) . $$
#
# If the network is confident and wrong, say $y = 1$ and $p = 0.001$, then $p (1 - p)$ is about
# 0.001, and the slope is nearly zero: the network learns least where it is most wrong. The
# cross-entropy has the slope -0.999 there.
#
# **Class weights.** If one class is rare, the mean over the rows depends mostly on the other one.
# To make a class count more, the loss of each row is multiplied by a weight $w_y$ of its class.
# This has the effect of repeating the rows of the class $w_y$ times. *Balanced* weights give all
# classes the same total weight.
#
# | answers | loss | in jnn |
# | --- | --- | --- |
# | numbers | squared error | `jnn.losses.squared_error` |
# | numbers with outliers | Huber or absolute error | `jnn.losses.huber`, `absolute_error` |
# | one of several classes | cross-entropy of the softmax | `jnn.losses.softmax_cross_entropy` |
# | yes or no | cross-entropy of the sigmoid | `jnn.losses.binary_cross_entropy` |
# | counts | Poisson likelihood | `jnn.losses.poisson_nll` |
# | a range for a number | quantiles | `jnn.losses.quantile` |
#
# ## From scratch
#
# The losses of one row and their slopes with respect to the output, compared with jnn and
# `jax.grad`:


# %%
def squared(f, y):
    return (f - y) ** 2, 2 * (f - y)


def absolute(f, y):
    return np.abs(f - y), np.sign(f - y)


def huber(f, y, delta=1.0):
    e = f - y
    near = np.abs(e) <= delta
    return np.where(near, e**2 / 2, delta * (np.abs(e) - delta / 2)), np.clip(e, -delta, delta)


def binary_cross_entropy(z, y):
    p = 1 / (1 + np.exp(-z))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)), p - y


random = np.random.default_rng(0)
f = 3 * random.normal(size=20)
numbers, classes = random.normal(size=20), random.integers(0, 2, 20)
for ours, theirs, y in [
    (squared, jnn.losses.squared_error, numbers),
    (absolute, jnn.losses.absolute_error, numbers),
    (huber, jnn.losses.huber, numbers),
    (binary_cross_entropy, jnn.losses.binary_cross_entropy, classes),
]:
    loss, slope = ours(f, y)
    np.testing.assert_allclose(loss, theirs(f, y), rtol=1e-4)
    their_slope = jax.grad(lambda f, y=y, theirs=theirs: theirs(f, y).sum())(f)
    np.testing.assert_allclose(slope, their_slope, rtol=1e-4, atol=1e-6)

# %% [markdown]
# The next neuron starts confident and wrong: one row with $y = 1$, and $z = -6$. How many steps
# does each loss need?

# %%
history = {"squared error": [-6.0], "cross-entropy": [-6.0]}
for _ in range(400):
    z = history["squared error"][-1]
    p = 1 / (1 + np.exp(-z))
    history["squared error"].append(z - 0.5 * 2 * (p - 1) * p * (1 - p))
    z = history["cross-entropy"][-1]
    history["cross-entropy"].append(z - 0.5 * binary_cross_entropy(z, 1)[1])

figure, axes = plt.subplots(figsize=(6, 3.4))
for name, z in history.items():
    p = 1 / (1 + np.exp(-np.array(z)))
    axes.plot(p, label=name)
    print(f"{name}: p > 1/2 after", int(np.argmax(p > 0.5)) or "more than 400", "steps")
assert np.argmax(np.array(history["cross-entropy"]) > 0) < 50
assert max(history["squared error"]) < 0
axes.set(xlabel="step", ylabel="p of the right answer", title="one neuron, sure and wrong at first")
axes.legend()
plt.show()

# %% [markdown]
# ## In jnn
#
# Fit a straight line to points, of which one in ten is far off, by gradient descent with the slopes
# from above. In jnn a loss may read a number of the member from `h`, here $\delta$. So three lines,
# for three values of $\delta$, are one study. A very large $\delta$ gives half the squared error,
# and a very small one gives $\delta$ times the absolute error.

# %%
t = np.linspace(0, 1, 40)
points = 1 + 2 * t + 0.2 * random.normal(size=40)
points[::10] += 8  # the outliers
deltas = [0.1, 1.0, 100.0]


def line_by_huber(delta, steps=1000, rate=0.5):
    slope, height = 0.0, 0.0
    for _ in range(steps):
        pull = huber(slope * t + height, points, delta)[1]
        slope, height = slope - rate * (pull * t).mean(), height - rate * pull.mean()
    return slope, height


def huber_of_member(outputs, targets, *, h):
    return jnn.losses.huber(outputs, targets, delta=h.delta)


line = jnn.Study(
    model=(
        lambda key, x: {"slope": jnp.zeros(()), "height": jnp.zeros(())},
        lambda params, x: params["slope"] * x[:, 0] + params["height"],
    ),
    loss=huber_of_member,
    optimizer=optax.sgd(0.5),
    epochs=1000,
    batch_size=40,
    evaluate_every=1000,
)
lines = jnn.run(line, jnn.Dataset.from_arrays(t[:, None], points), jnn.grid(delta=deltas))
found = np.stack([lines.trained.params[name] for name in ("slope", "height")], axis=1)
np.testing.assert_allclose(found, [line_by_huber(delta) for delta in deltas], rtol=1e-2, atol=1e-3)

figure, axes = plt.subplots(figsize=(6, 3.8))
axes.plot(t, points, "o", color="gray", label="36 points, and 4 outliers")
for (slope, height), name in zip(found, ["δ = 0.1", "δ = 1", "δ = 100, a square"], strict=True):
    axes.plot(t, slope * t + height, label=name)
axes.set(xlabel="x", ylabel="y", title="lines by the Huber loss")
axes.legend()
np.testing.assert_allclose(found[-1], np.polyfit(t, points, 1), rtol=1e-2)  # least squares
assert abs(found[0, 0] - 2) < abs(found[-1, 0] - 2)  # the points were made with the slope 2
plt.show()

# %% [markdown]
# ## Is this difference real?
#
# The data are 442 patients with ten measurements each, and how far their diabetes progressed in a
# year. Suppose that in one of ten training rows the decimal point of the answer is misplaced, so
# the answer is ten times too large. The test rows are correct. So the data contain every patient
# twice: the first 442 rows have such slips, the others do not. A fold trains on rows with slips and
# is scored on rows without, of other patients.

# %%
patients = jnn.data.load("diabetes")
clean = patients.y.ravel() / 100
slipped = np.where(random.uniform(size=len(clean)) < 0.1, 10 * clean, clean)
twice = jnn.Dataset.from_arrays(
    np.concatenate([patients.x, patients.x]), np.concatenate([slipped, clean]), name="twice"
)
order = random.permutation(len(clean))
parts = np.array_split(order, 3 if QUICK else 5)
with_slips = [(np.setdiff1d(order, part), part + len(clean)) for part in parts]
without = [(np.setdiff1d(order, part) + len(clean), part + len(clean)) for part in parts]


def init(key, x):
    keys = jax.random.split(key)
    return {
        "hidden": {"kernel": jax.random.normal(keys[0], (10, 16)) / 3, "bias": jnp.zeros(16)},
        "output": {"kernel": jax.random.normal(keys[1], (16, 1)) / 4, "bias": jnp.zeros(1)},
    }


def apply(params, x):
    hidden = jnn.layers.tanh(jnn.layers.dense(x, **params["hidden"]))
    return jnn.layers.dense(hidden, **params["output"])[:, 0]


study = jnn.Study(
    model=(init, apply),
    loss=huber_of_member,
    optimizer=optax.adam(0.01),
    metrics={"mae": jnn.metrics.mae},
    inputs=jnn.preprocess.standardize,
    epochs=15 if QUICK else 40,
    batch_size=32,
    evaluate_every=15 if QUICK else 40,
)
deltas = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
members = jnn.seeds(3 if QUICK else 5) * jnn.grid(delta=deltas)
on_slips = jnn.run(study, twice, members * jnn.folds(with_slips))
on_clean = jnn.run(study, twice, members * jnn.folds(without))

figure, axes = plt.subplots(figsize=(7, 3.6))
for name, result in [("one answer in ten slipped", on_slips), ("no slips", on_clean)]:
    low, middle, high = result.final()["mae"].quantile([0.1, 0.5, 0.9], dim=["seed", "fold"])
    axes.plot(deltas, middle, marker="o", label=name)
    axes.fill_between(deltas, low, high, alpha=0.2)
n = len(members) * len(parts) // len(deltas)
axes.set(xscale="log", xlabel="δ", ylabel="mean absolute error, other patients")
axes.set(title=f"median, and 80 % of the members, n = {n} for each point")
axes.legend()
plt.show()

# %%
near_absolute, near_squared = {"delta": 0.1}, {"delta": 30.0}
slips = on_slips.compare(near_absolute, near_squared, "mae")
clean_rows = on_clean.compare(near_absolute, near_squared, "mae")
print("δ = 0.1 minus δ = 30, with slips:   ", slips)
print("δ = 0.1 minus δ = 30, without slips:", clean_rows)
assert slips.difference.high < 0
assert clean_rows.difference.low <= 0 <= clean_rows.difference.high

# %% [markdown]
# With slips, the loss matters: with the large $\delta$, which is half the squared error, the error
# is more than twice as large. Without slips, the interval of the difference contains zero. Its
# upper end says how much the small $\delta$ may cost: a few percent of the error. So on these data
# a Huber loss costs little, and protects against answers that are far off. (The score is an
# absolute error, which favors a small $\delta$.)
#
# Now a rare class: is a digit an 8? About one in ten is. The weight of the 8s is a number of the
# member, 1 or 9. (For fixed balanced weights, use `Study(class_weights="balanced")`.)

# %%
digits = jnn.data.load("digits")
eights = jnn.Dataset.from_arrays(digits.x, (digits.y == 8).astype(int), name="eights")


def weighted(outputs, targets, *, h):
    return jnn.losses.binary_cross_entropy(outputs, targets, positive_weight=h.weight)


neuron = jnn.Study(
    model=(
        lambda key, x: {"kernel": jnp.zeros((64, 1)), "bias": jnp.zeros(1)},
        lambda params, x: jnn.layers.dense(x, **params)[:, 0],
    ),
    loss=weighted,
    optimizer=optax.adam(0.01),
    metrics={
        "accuracy": jnn.metrics.accuracy,
        "recall": jnn.metrics.recall(average="binary"),
        "precision": jnn.metrics.precision(average="binary"),
    },
    epochs=30,
    batch_size=32,
)
few = jnn.seeds(3) * jnn.folds(5)
rare = jnn.run(neuron, eights, few * jnn.grid(weight=[1.0, 9.0]))
print(rare.summary())
recall, precision = (
    rare.compare({"weight": 9.0}, {"weight": 1.0}, name) for name in ("recall", "precision")
)
print("weight 9 minus weight 1, recall:   ", recall)
print("weight 9 minus weight 1, precision:", precision)
assert recall.difference.low > 0 > precision.difference.high

# %% [markdown]
# With the larger weight, the neuron finds a larger share of the 8s (the *recall* rises), and a
# smaller share of what it calls an 8 is an 8 (the *precision* falls). Both differences are real.
# The weight trades one kind of mistake for the other. [Lesson 15](15_metrics.ipynb) is about such
# scores.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Which loss of one number $f$ is lowest at the income that 80 % of people are below? Errors above
# and below $f$ must have slopes of different size. Check it on numbers from 0 to 100.

# %% tags=["hide-cell"]


def pinball(f, y, q):
    return np.where(y > f, q * (y - f), (1 - q) * (f - y))


many = random.uniform(0, 100, 1000)
candidates = np.linspace(0, 100, 1001)
# At the best f the pulls are equal: q times the share above is (1 - q) times the share below.
least = candidates[np.argmin([pinball(f, many, 0.8).mean() for f in candidates])]
print(least, np.quantile(many, 0.8).round(1))
assert abs(least - np.quantile(many, 0.8)) < 0.5
np.testing.assert_allclose(
    pinball(f, numbers, 0.8), jnn.losses.quantile(f, numbers, q=0.8), rtol=1e-4
)

# %% [markdown]
# ### Exercise 2
#
# Show that a weight of 3 for class 1 gives the same slope of the summed loss as repeating every row
# of class 1 three times.

# %% tags=["hide-cell"]
often = np.repeat(np.arange(20), np.where(classes == 1, 3, 1))
slope = binary_cross_entropy(f, classes)[1]
x = random.normal(size=(20, 4))  # the inputs of the rows; the slope by the weights is x^T (p - y)
repeated = x[often].T @ slope[often]
np.testing.assert_allclose(x.T @ (slope * np.where(classes == 1, 3, 1)), repeated)

# %% [markdown]
# ### Exercise 3
#
# Train a neuron for the 8s with the squared error $(p - y)^2$ in place of the cross-entropy. It
# starts at weights 0, where all probabilities are 1/2. Is the difference in accuracy real?

# %% tags=["hide-cell"]


def either(outputs, targets, *, h):
    squares = (jax.nn.sigmoid(outputs) - targets) ** 2
    entropy = jnn.losses.binary_cross_entropy(outputs, targets)
    return h.squared * squares + (1 - h.squared) * entropy


with_either = dataclasses.replace(neuron, loss=either)
both = jnn.run(with_either, eights, few * jnn.grid(squared=[1, 0]))
difference = both.compare({"squared": 1}, {"squared": 0}, "accuracy")
print("squared error minus cross-entropy:", difference)
assert abs(difference.difference.mean) < 0.02
# The interval contains zero, so no difference is shown. The squared error is harmful where the
# network is sure and wrong, and at the start this one is sure of nothing.
