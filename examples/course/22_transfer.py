# %% [markdown]
# # 22. Transfer
#
# What a network has learned for one task can be useful for another. *Transfer learning* starts from
# a trained network in place of random weights. This lesson trains a network on five digits,
# transfers it to five other digits that have only a few labels, and compares three ways to do so.

# %%
import dataclasses
import functools
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# MNIST-1D (Greydanus and Kobak 2024, https://arxiv.org/abs/2011.14439) draws each digit as a short
# curve, moves it, and adds noise: 40 numbers a row. The digits 0 to 4 have many labels. For the
# digits 5 to 9, suppose that labels must be written by hand, so there are few. The curves differ,
# but both tasks are hard for the same reasons: the curves are at random places, and noisy.

# %%
everything = jnn.data.load("mnist1d", split="all")
is_known = everything.y < 5
known, new = (
    jnn.Dataset.from_arrays(everything.x[rows][:, :, None], everything.y[rows] - shift, name=name)
    for rows, shift, name in [(is_known, 0, "digits 0-4"), (~is_known, 5, "digits 5-9")]
)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axes, data in zip(panels, (known, new), strict=True):
    for digit in range(3):
        for row in np.flatnonzero(data.y == digit)[:2]:
            axes.plot(data.x[row, :, 0] - 5 * digit, color=f"C{digit}", linewidth=1)
    axes.set(xlabel="place", yticks=[], title=f"{data.name}: two rows of three of them")
plt.show()

# %% [markdown]
# The first network has three convolutions, see [lesson 12](12_convolutions.ipynb), and a linear
# layer, the *head*. The convolutions are its *trunk*: they turn a row into 80 numbers, its
# *features*. The head computes the answer from the features.


# %%
def init(key, x):
    draw, keys = jax.nn.initializers.he_normal(), jax.random.split(key, 4)
    shapes = [(5, 1, 16), (3, 16, 16), (3, 16, 16)]
    params = {
        f"conv_{i}": {"kernel": draw(keys[i], shape), "bias": jnp.zeros(16)}
        for i, shape in enumerate(shapes)
    }
    params["output"] = {"kernel": 0.1 * draw(keys[3], (80, 5)), "bias": jnp.zeros(5)}
    return params


def trunk(params, x, layers=3):
    for i in range(layers):
        x = jax.nn.relu(jnn.layers.conv(x, **params[f"conv_{i}"], strides=2))
    return x.reshape(len(x), -1)


def network(params, x):
    return jnn.layers.dense(trunk(params, x), **params["output"])


first_study = jnn.Study(
    model=(init, network),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(5e-3),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=8 if QUICK else 30,
    batch_size=64,
    evaluate_every=10,
)
first = jnn.run(first_study, known, jnn.holdout(0.2))
base = jax.tree.map(lambda array: jnp.asarray(array[0]), first.trained.params)  # of member 0
print(f"digits 0-4: accuracy {first.final()['accuracy'].item():.2f} on held-out rows")

# %% [markdown]
# ## The derivation
#
# Let $\phi(x)$ be the features of a row $x$, as a row of $d = 80$ numbers. There are three ways to
# learn the new task:
#
# - *From scratch*: all parameters $\theta$ of trunk and head begin at random numbers.
# - *Fine-tuning*: the trunk begins with the trained parameters, the head is new, and all of them
#   are trained.
# - *Frozen features*: the trunk stays as it is, and only a new head is trained, a *linear probe*.
#
# By the chain rule, the gradient of the trunk is the gradient at the features, passed backward
# through the trunk. A frozen trunk does not need it: the features $\phi(x_i)$ are fixed numbers,
# computed once, and what remains is *softmax regression*. With logits $z_i = \phi(x_i) W + b$ and
# probabilities $p_i = \text{softmax}(z_i)$, a penalty on the weights, and $n$ labels,
#
# $$ L(W, b) = -\sum_{i=1}^n \log p_{i, y_i} + \frac{1}{2} \lVert W \rVert^2 . $$
#
# The slope of $-\log p_{i, y_i}$ with respect to the logit of class $c$ is $p_{i,c} - [y_i = c]$
# (derived in [lesson 4](04_backpropagation.ipynb)). Each logit is linear in $W$, so with the
# matrices $\Phi$ of features, $P$ of probabilities and $Y$ of labels as rows of zeros and a one,
#
# $$ \frac{\partial L}{\partial W} = \Phi^T (P - Y) + W , \qquad
#    \frac{\partial L}{\partial b} = \sum_i (P_i - Y_i) . $$
#
# $L$ is *convex*: gradient descent reaches the same smallest value from every start. With the
# penalty, $W$ is unique too, and so are the probabilities. They depend only on the features and on
# the labeled rows.
#
# **Why few labels favor the probe.** The probe learns 405 numbers, and the whole network about
# 1,700 more. A network that can change all its parameters can fit a few rows in many ways, and most
# of these are bad on new rows. With a frozen trunk there are fewer ways. But if the features do not
# contain what distinguishes a 7 from a 9, no number of labels can add it: the probe stops
# improving, while a network that can change its features continues to improve. So the order of the
# three methods should depend on the number of labels. How well features of deep networks transfer
# between tasks was measured by Yosinski et al. (2014, https://arxiv.org/abs/1411.1792).
#
# ## From scratch
#
# The probe in NumPy, for 50 labels, with a minimizer of SciPy:


# %%
def probe_loss(flat, features, labels):
    """Return the loss and its slope, of W and b in one vector."""
    weights, bias = flat[:-5].reshape(-1, 5), flat[-5:]
    logits = features @ weights + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    error = np.exp(logs) - np.eye(5)[labels]
    slope = np.concatenate([(features.T @ error + weights).ravel(), error.sum(axis=0)])
    return -logs[np.arange(len(labels)), labels].sum() + np.sum(weights**2) / 2, slope


def fit_probe(features, labels):
    start = np.zeros(5 * features.shape[1] + 5)
    best = minimize(probe_loss, start, (features, labels), jac=True, options={"gtol": 1e-4})
    return best.x[:-5].reshape(-1, 5), best.x[-5:]


def loss_in_jax(flat, features, labels):
    logits = features @ flat[:-5].reshape(-1, 5) + flat[-5:]
    penalty = jnp.sum(flat[:-5] ** 2) / 2
    return jnn.losses.softmax_cross_entropy(logits, labels).sum() + penalty


all_features = np.asarray(trunk(base, jnp.asarray(new.x)), np.float64)
labeled, rest = np.arange(50), np.arange(50, new.rows)
at = 0.1 * np.random.default_rng(0).normal(size=5 * 80 + 5)
_, ours = probe_loss(at, all_features[labeled], new.y[labeled])
theirs = jax.grad(loss_in_jax)(jnp.float32(at), all_features[labeled], new.y[labeled])
np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)

weights, bias = fit_probe(all_features[labeled], new.y[labeled])
of_sklearn = LogisticRegression(max_iter=1000, tol=1e-6).fit(all_features[labeled], new.y[labeled])
np.testing.assert_allclose(of_sklearn.coef_.T, weights, atol=1e-2)
accuracy = np.mean((all_features[rest] @ weights + bias).argmax(axis=1) == new.y[rest])
print(f"50 labels of the digits 5-9: accuracy {accuracy:.2f}; guesses have 0.20")

# %% [markdown]
# ## In jnn
#
# `jnn.transfer.run` takes any functions from rows to features. It computes the features once, draws
# the labeled rows, and solves the probes of all splits and numbers of labels as one population. The
# trained trunk is compared with the same trunk with random weights, and with the rows themselves. A
# small tolerance makes the solver continue to the minimum.

# %%
fresh = init(jax.random.key(7), new.x)
probe = functools.partial(jnn.transfer.linear_probe, tolerance=1e-6, iterations=5000)
LABELS = [10, 50] if QUICK else [10, 50, 200, 1000]
SPLITS = 4 if QUICK else 8
few = jnn.transfer.run(
    {
        "trained": lambda rows: trunk(base, jnp.asarray(rows)),
        "random": lambda rows: trunk(fresh, jnp.asarray(rows)),
        "rows": lambda rows: rows.reshape(len(rows), -1),
    },
    new,
    heads=probe,
    members=jnn.folds(StratifiedShuffleSplit(SPLITS, test_size=500, random_state=0)),
    labels=LABELS,
    draw="balanced",
)
print(few)

# %% [markdown]
# Its probes equal ours: for the same labeled rows the probabilities agree.

# %%
place = LABELS.index(50)  # the first split with 50 labels
drawn = few.draws.rows(place)
weights, bias = fit_probe(all_features[drawn.train], new.y[drawn.train])
logits = all_features[drawn.test] @ weights + bias
ours = np.asarray(jax.nn.softmax(jnp.asarray(logits)))
theirs = few.results["trained"].member(place).predict(all_features[drawn.test]).mean
np.testing.assert_allclose(theirs, ours, atol=1e-2)

# %% [markdown]
# ## Is this difference real?
#
# Whole networks train on the same labeled rows, for the same number of steps: from scratch, and
# from the trained trunk with a new head. `start_from` sets the initial parameters, and `fresh`
# names those that are drawn at random.

# %%
rows = [few.draws.rows(place) for place in range(len(LABELS) * SPLITS)]
members = jnn.folds([(fold.train, fold.test) for fold in rows])
whole = dataclasses.replace(
    first_study, epochs=1, evaluate_every=1, steps_per_epoch=150 if QUICK else 300, batch_size=32
)
scratch = jnn.run(whole, new, members)
tuned = jnn.run(whole, new, members, start_from=base, fresh="output/**")

accuracies = {
    "from scratch": scratch.final()["accuracy"].to_numpy().reshape(SPLITS, -1),
    "fine-tuned": tuned.final()["accuracy"].to_numpy().reshape(SPLITS, -1),
    "frozen": few.results["trained"].final()["accuracy"].to_numpy().reshape(SPLITS, -1),
    "random features": few.results["random"].final()["accuracy"].to_numpy().reshape(SPLITS, -1),
}
figure, axes = plt.subplots(figsize=(6, 4))
for name, scores in accuracies.items():
    found = [jnn.stats.corrected_interval(column, 2000, 500) for column in scores.T]
    low, high = [one.low for one in found], [one.high for one in found]
    axes.fill_between(LABELS, low, high, alpha=0.2)
    axes.plot(LABELS, scores.mean(axis=0), "o-", label=name)
axes.axhline(0.2, linestyle=":", color="gray", label="guesses")
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 500 rows", xticks=LABELS)
axes.set_xticklabels(LABELS)
axes.set_title(f"Digits 5-9: mean and 95 % interval, n = {SPLITS} splits")
axes.legend(fontsize="small")
plt.show()


# %%
def compare(a, b, labels):
    at = LABELS.index(labels)
    pair = accuracies[a][:, at], accuracies[b][:, at]
    comparison = jnn.stats.paired_comparison(*pair, train_rows=2000, test_rows=500)
    print(f"{a} - {b}, {labels} labels: {comparison}")
    return comparison.difference


helps = compare("frozen", "from scratch", 50)
learned = compare("frozen", "random features", 50)
both_ways = compare("fine-tuned", "frozen", 10)
limit = compare("fine-tuned", "frozen", LABELS[-1])
assert helps.low > 0
assert learned.low > 0
assert both_ways.low < 0 < both_ways.high
if not QUICK:
    assert limit.low > 0

# %% [markdown]
# With 50 labels a head on frozen features is more accurate than a network from scratch, by more
# than ten percentage points on average, and the interval is far from zero. This comes from what the
# first task taught, and not from the shape of the network, because the same trunk with random
# weights is much less accurate. Between fine-tuning and frozen features with ten labels, the
# interval contains zero: these splits do not show which is better. With the most labels,
# fine-tuning is clearly better, as expected: the features of the first task lack something.
#
# These results are for one first network. The intervals are over splits, and do not include the
# luck of that network. Another first network, or another pair of tasks, may give other numbers. If
# the tasks have little in common, features of the first task may be worse than the rows themselves.
# [Transfer](../../docs/transfer.md) has examples of both.
#
# ## Exercises
#
# ### Exercise 1
#
# At which layer should the trunk be cut? Compare the features after one, two and three
# convolutions, with 50 labels. The features after the first convolution have more numbers per row:
# why are they not better?

# %% tags=["hide-cell"]
of_fifty = [fold for fold in rows if len(fold.train) == 50]
by_layer = {}
for layers in (1, 2, 3):
    inputs = np.asarray(trunk(base, jnp.asarray(new.x), layers))
    by_layer[layers] = [
        LogisticRegression(max_iter=2000)
        .fit(inputs[fold.train], new.y[fold.train])
        .score(inputs[fold.test], new.y[fold.test])
        for fold in of_fifty
    ]
    print(f"after {layers}: {inputs.shape[1]} features, accuracy {np.mean(by_layer[layers]):.2f}")
deeper = jnn.stats.paired_comparison(by_layer[3], by_layer[1], train_rows=2000, test_rows=500)
print("after 3 - after 1:", deeper)
assert deeper.difference.low > 0
# Early features say what is where. Only later ones say less of the place, on which the digit does
# not depend.

# %% [markdown]
# ### Exercise 2
#
# Combine the old head with a trunk that was fine-tuned with the most labels. How accurate is this
# network on the digits 0 to 4 now? (This is called *catastrophic forgetting*, or *interference* in
# [McCloskey and Cohen 1989](https://doi.org/10.1016/S0079-7421%2808%2960536-8).)

# %% tags=["hide-cell"]
last = jax.tree.map(lambda array: array[-1], tuned.trained.params)  # of the last member
(fold,) = jnn.holdout(0.2).split.rows(known)
held_out = jnp.asarray(known.x[fold.test])
before = jnn.metrics.accuracy(network(base, held_out), known.y[fold.test])
after = jnn.metrics.accuracy(
    network(last | {"output": base["output"]}, held_out), known.y[fold.test]
)
print(f"digits 0-4: {before:.2f} before fine-tuning, {after:.2f} after")
assert before - after > 0.2

# %% [markdown]
# ### Exercise 3
#
# A *nearest-mean classifier* needs no training: its answer is the class whose labeled rows have the
# nearest mean. Try it with 10 labels on the trained features, and on the rows themselves, for all
# splits. Are the features better?

# %% tags=["hide-cell"]


def nearest_mean(inputs, training, test):
    means = [inputs[training][new.y[training] == label].mean(axis=0) for label in range(5)]
    distances = ((inputs[test][:, None] - np.stack(means)) ** 2).sum(axis=2)
    return np.mean(distances.argmin(axis=1) == new.y[test])


of_ten = [fold for fold in rows if len(fold.train) == 10]
by_means = {
    name: np.array([nearest_mean(inputs, fold.train, fold.test) for fold in of_ten])
    for name, inputs in [("features", all_features), ("rows", new.x[:, :, 0])]
}
gain = jnn.stats.paired_comparison(*by_means.values(), train_rows=2000, test_rows=500)
print({name: round(float(scores.mean()), 2) for name, scores in by_means.items()}, gain)
# The features score higher on average. But over eight splits the interval contains zero: with two
# labels of each digit these splits do not settle it.
assert by_means["features"].mean() > by_means["rows"].mean()
if not QUICK:
    assert gain.difference.low < 0 < gain.difference.high
