# %% [markdown]
# # 8. Dropout
#
# A network with many units can memorize its training rows. *Dropout* makes that harder: in each
# step of training it switches units off at random. This lesson derives why the other units are
# scaled up, shows that dropout acts like a penalty on weights, trains with it, and measures when it
# helps and when it does not.

# %%
import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_diabetes
from sklearn.metrics import roc_auc_score

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# Each step of training draws a *mask*: a random choice of the hidden units that take part. A unit
# cannot rely on one particular neighbor, because the neighbor may be absent. After training, all
# units take part.

# %%
random = np.random.default_rng(0)
sizes = [3, 6, 6, 2]
places = [[(layer, unit - (n - 1) / 2) for unit in range(n)] for layer, n in enumerate(sizes)]
figure, panels = plt.subplots(1, 3, figsize=(9, 3))
for axes, rate in zip(panels, [0.0, 0.5, 0.5], strict=True):
    kept = [random.random(n) >= rate * (layer in (1, 2)) for layer, n in enumerate(sizes)]
    for layer in range(3):
        for i, j in itertools.product(range(sizes[layer]), range(sizes[layer + 1])):
            if kept[layer][i] and kept[layer + 1][j]:
                (left, low), (right, high) = places[layer][i], places[layer + 1][j]
                axes.plot([left, right], [low, high], color="0.75", lw=0.7)
    colors = np.where(np.concatenate(kept), "tab:blue", "white")
    axes.scatter(*np.concatenate(places).T, s=70, color=colors, edgecolor="tab:blue", zorder=3)
    axes.set_title("a step of training, rate 0.5" if rate else "scoring", fontsize="medium")
    axes.axis("off")
plt.show()

# %% [markdown]
# ## The derivation
#
# Let $h$ be the output of a hidden unit and $r$ the *dropout rate*, the share of units that are
# dropped. The mask $m$ is 0 with probability $r$ and 1 with probability $1 - r$, so its mean is
# $E[m] = 1 - r$. The next layer would see $E[m h] = (1 - r) h$ in training, and $h$ in scoring.
# *Inverted dropout* removes this difference by scaling the units in training:
#
# $$ \tilde h = \frac{m}{1 - r} \, h , \qquad E[\tilde h] = \frac{1 - r}{1 - r} \, h = h . $$
#
# Scoring then needs no change. Dropout adds noise of mean zero. Because $m^2 = m$, $E[m^2] = 1 -
# r$, and the variance is
#
# $$ \mathrm{Var}[\tilde h] = \frac{E[m^2]}{(1 - r)^2} h^2 - h^2
#    = \Big( \frac{1}{1 - r} - 1 \Big) h^2 = \frac{r}{1 - r} \, h^2 . $$
#
# In the backward pass the slope is multiplied by the same factor as the value. By the chain rule,
# $\partial L / \partial h = \partial L / \partial \tilde h \cdot m / (1 - r)$, so the slope of a
# dropped unit is zero, and its weights get no slope in this step.
#
# **Dropout is a penalty.** Take a linear model $w \cdot x$ with dropout on its inputs, and the
# squared error. The mean of a square is the square of the mean plus the variance. The masks are
# independent, so their variances add up:
#
# $$ E\big[ (y - w \cdot \tilde x)^2 \big]
#    = (y - w \cdot x)^2 + \frac{r}{1 - r} \sum_j w_j^2 x_j^2 . $$
#
# The first term is the loss without dropout. The second term penalizes large weights. It is the
# *ridge* penalty of [lesson 9](09_weight_decay.ipynb), with each weight multiplied by its input
# (Srivastava et al. 2014, [section 9.1](https://jmlr.org/papers/v15/srivastava14a.html)).
#
# **Dropout is an ensemble.** With $k$ units there are $2^k$ masks, and each mask is a network. All
# of them share their weights. The network without masks, which is used for scoring, approximates
# their average. For one linear layer before a softmax it is exactly their geometric mean, scaled to
# sum to 1 (exercise 3).
#
# ## From scratch
#
# Dropout in NumPy. The mask is an argument, so both passes use the same one:


# %%
def dropout(h, mask, rate):
    return h * mask / (1 - rate)


def slope_of_dropout(slope, mask, rate):
    return slope * mask / (1 - rate)


rate = 0.25
h = random.normal(size=5)
masks = random.random((200_000, 5)) >= rate
dropped = dropout(h, masks, rate)
print("h       ", h.round(2))
print("mean    ", dropped.mean(axis=0).round(2))
print("variance", dropped.var(axis=0).round(3), "expected", (rate / (1 - rate) * h**2).round(3))
np.testing.assert_allclose(dropped.mean(axis=0), h, rtol=0.01)
np.testing.assert_allclose(dropped.var(axis=0), rate / (1 - rate) * h**2, rtol=0.02)

# %% [markdown]
# `jnn.layers.dropout` draws the mask from a random key. Applied to ones, it shows the mask. With
# this mask our functions must give the same values, and the same slopes as `jax.grad`.

# %%
key = jax.random.key(0)
x = random.normal(size=(4, 6))
mask = np.asarray(jnn.layers.dropout(jnp.ones(x.shape), rate, key=key)) > 0
ours = dropout(x, mask, rate)
np.testing.assert_allclose(ours, jnn.layers.dropout(x, rate, key=key), rtol=1e-5)
theirs = jax.grad(lambda x: jnp.sum(jnn.layers.dropout(x, rate, key=key) ** 2))(x)
np.testing.assert_allclose(slope_of_dropout(2 * ours, mask, rate), theirs, rtol=1e-5)

# %% [markdown]
# The penalty can be checked exactly. Ten columns have $2^{10} = 1024$ masks; weight the loss of
# each mask by its probability.

# %%
columns, progression = load_diabetes(return_X_y=True)
columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
progression = (progression - progression.mean()) / progression.std()
weights = random.normal(size=10)

every_mask = np.array(list(itertools.product([0, 1], repeat=10)))
probability = np.prod(np.where(every_mask == 1, 1 - rate, rate), axis=1)
loss_of_mask = [
    np.mean((progression - dropout(columns, mask, rate) @ weights) ** 2) for mask in every_mask
]
plain = np.mean((progression - columns @ weights) ** 2)
penalty = rate / (1 - rate) * np.sum(weights**2 * np.mean(columns**2, axis=0))
print(f"mean over 1024 masks {probability @ loss_of_mask:.6f}, formula {plain + penalty:.6f}")
np.testing.assert_allclose(probability @ loss_of_mask, plain + penalty, rtol=1e-10)

# %% [markdown]
# ## In jnn
#
# A network that needs random numbers takes the keyword `key`. jnn passes a new key in each step,
# and None when it scores; without a key `jnn.layers.dropout` changes nothing. The keyword `hyper`
# holds the numbers that a member sets, here the dropout rate.


# %%
def init_linear(key, x):
    return {"kernel": jnp.zeros((x.shape[-1], 1))}


def linear(params, x, *, key, hyper):
    x = jnn.layers.dropout(x, hyper["dropout_rate"], key=key)
    return jnn.layers.dense(x, **params)


regression = jnn.Study(
    model=(init_linear, linear),
    loss=jnn.losses.squared_error,
    optimizer=optax.sgd(0.05),
    averaging=jnn.averaging.swa(start=200),  # the mean of the weights after epoch 200
    epochs=800,
    batch_size=442,  # all rows
    evaluate_every=800,
)
diabetes = jnn.Dataset.from_arrays(columns, progression, name="diabetes")
rates = np.array([0.0, 0.3, 0.6])
trained = jnn.run(regression, diabetes, jnn.seeds(8) * jnn.grid(dropout_rate=rates))
kernels = trained.trained.params["kernel"][..., 0].reshape(8, 3, 10).mean(axis=0)  # over seeds

# %% [markdown]
# If the derivation is right, the weights are those of a ridge regression, which has a formula.
# Setting the slope of loss plus penalty to zero gives $\big( X^T X / n + \tfrac{r}{1 - r} D \big)
# w = X^T y / n$, where $D$ is diagonal and holds the mean squares of the columns. (At the rate 0
# there is no penalty, and 800 steps are too few, because some columns are strongly correlated. So
# that line does not agree, and is not checked.)

# %%
square = columns.T @ columns / 442
for r, kernel in zip(rates, kernels, strict=True):
    with_penalty = square + r / (1 - r) * np.diag(np.diag(square))
    ridge = np.linalg.solve(with_penalty, columns.T @ progression / 442)
    print(f"rate {r}: dropout {kernel[2:5].round(2)} ... ridge {ridge[2:5].round(2)} ...")
    if r > 0:  # without a penalty the correlated columns need many more steps
        np.testing.assert_allclose(kernel, ridge, atol=0.02)

# %% [markdown]
# Now a network that can memorize its training rows: it trains on 500 digits, of which 100 have a
# wrong label. The other 1297 digits, all with the right label, score it. `jnn.models.MLP` has
# dropout built in, and members may set its rate.

# %%
digits = jnn.data.load("digits")
order = random.permutation(digits.rows)
train_rows, test_rows = order[:500], order[500:]
labels = np.array(digits.y)
labels[train_rows[:100]] = (labels[train_rows[:100]] + random.integers(1, 10, 100)) % 10
noisy = jnn.Dataset.from_arrays(digits.x, labels, name="digits, a fifth of the labels wrong")
split = jnn.folds([(train_rows, test_rows)])

study = jnn.Study(
    model=functools.partial(jnn.models.MLP, 64, (128, 128), 10, dropout_rate=0.5),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(1e-3),
    metrics={"accuracy": jnn.metrics.accuracy},
    record=["train_scores"],
    epochs=20 if QUICK else 60,
    batch_size=32,
    evaluate_every=20,
)

# %% [markdown]
# ## Is this difference real?
#
# The rate is a number, so all rates and seeds are one population and one compiled program. All
# members share one split, so the intervals are about other seeds, not about other rows.

# %%
grid = [0.0, 0.2, 0.4, 0.5, 0.6, 0.8]
members = jnn.seeds(3 if QUICK else 8) * split * jnn.grid(dropout_rate=grid)
result = jnn.run(study, noisy, members)
print(result.summary("accuracy"))
learned = result.final()["train_accuracy"].mean(["seed", "fold"]).values
print("accuracy on the training rows:", learned.round(3))
helps = result.compare({"dropout_rate": 0.5}, {"dropout_rate": 0.0}, "accuracy")
print("0.5 - 0:", helps)
if not QUICK:
    assert helps.difference.low > 0
    assert learned[0] > 0.9 > learned[3]

# %% [markdown]
# A fifth of the training labels are wrong, so a network that has learned the digits and not the
# mistakes has an accuracy of about 0.8 on the training rows. Without dropout its accuracy there is
# far higher: it has memorized most of the mistakes, and is worse on new digits. With a rate of 0.5
# it is several percentage points better on new digits. A rate of 0.8 is too much noise for these
# widths. Is 0.6 better or worse than 0.5?

# %%
close = result.compare({"dropout_rate": 0.6}, {"dropout_rate": 0.5}, "accuracy")
print("0.6 - 0.5:", close)
if not QUICK:
    assert close.difference.low <= 0 <= close.difference.high

# %% [markdown]
# The interval contains zero: these seeds do not show which of the two rates is better. What if no
# label is wrong? The same study, on the right labels:

# %%
clean = jnn.Dataset.from_arrays(digits.x, digits.y, name="digits")
on_clean = jnn.run(study, clean, members)
no_help = on_clean.compare({"dropout_rate": 0.5}, {"dropout_rate": 0.0}, "accuracy")
print("right labels, 0.5 - 0:", no_help)
if not QUICK:
    assert no_help.difference.high < 0.01  # what can be ruled out is a gain of a point

figure, axes = plt.subplots(figsize=(6, 4))
for each, label in [(result, "a fifth of the labels wrong"), (on_clean, "all labels right")]:
    rows = each.summary("accuracy").rows
    intervals = [row.intervals["accuracy"] for row in rows]
    means = np.array([interval.mean for interval in intervals])
    error = means - np.array([interval.low for interval in intervals])
    axes.errorbar(grid, means, error, marker="o", capsize=3, label=label)
axes.set(xlabel="dropout rate", ylabel="accuracy on held-out digits", ylim=(0.75, 1))
axes.set_title(f"mean and 95 % interval, n = {intervals[0].n} seeds", fontsize=10)
axes.legend(loc="lower left")
axes.grid(alpha=0.3)
plt.show()

# %% [markdown]
# On the right labels, a gain of one percentage point is ruled out for this split. So dropout helps
# this network where it would memorize wrong labels, and need not help elsewhere.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# *Monte Carlo dropout* uses masks in scoring too, and takes the disagreement of the masks as a
# measure of doubt (Gal and Ghahramani 2016, [arXiv:1506.02142](https://arxiv.org/abs/1506.02142)).
# `result.predict(x, samples=50)` does it. Do the masks disagree more on the digits for which the
# network is wrong?

# %% tags=["hide-cell"]
one = result.select(dropout_rate=0.5, seed=0)
held_out = digits.x[test_rows]
prediction = one.predict(held_out, samples=50)
answer = prediction.mean.argmax(axis=-1)
doubt = np.mean(prediction.members[0].argmax(axis=-1) != answer, axis=0)  # share of the 50 masks
is_wrong = answer != digits.y[test_rows]
print(f"{is_wrong.sum()} of {len(answer)} are wrong. A mask disagrees with the mean in")
print(f"{doubt[is_wrong].mean():.0%} of these and in {doubt[~is_wrong].mean():.0%} of the others.")
auc = roc_auc_score(is_wrong, doubt)
print(f"In {auc:.0%} of pairs of a wrong and a right digit, masks disagree more on the wrong one.")
assert auc > 0.7

# %% [markdown]
# ### Exercise 2
#
# What happens if the scale $1 / (1 - r)$ is forgotten? Take two random layers with ReLU and a rate
# of 0.5 in NumPy. Compare the size of the mean output over many masks with the size of the output
# without masks.

# %% tags=["hide-cell"]
first, second, output = (random.normal(size=(100, 100)) / 10 for _ in range(3))
x = random.normal(size=100)
hidden = np.maximum(x @ first, 0)
unmasked = np.linalg.norm(np.maximum(hidden @ second, 0) @ output)
shares = []
for scale in (2.0, 1.0):
    masks = scale * (random.random((2, 5000, 100)) >= 0.5)
    masked = masks[1] * np.maximum(masks[0] * hidden @ second, 0) @ output
    shares.append(np.linalg.norm(masked.mean(axis=0)) / unmasked)
print(f"{shares[0]:.2f} with the scale, {shares[1]:.2f} without: each layer halves the output")
assert shares[0] > 0.9
np.testing.assert_allclose(shares[1], shares[0] / 4, rtol=0.1)

# %% [markdown]
# ### Exercise 3
#
# A softmax layer with dropout on its inputs is $p = \mathrm{softmax}(W \tilde x)$. Show that the
# geometric mean of $p$ over all masks, scaled to sum to 1, is $\mathrm{softmax}(W x)$. Check it
# with six inputs.

# %% tags=["hide-cell"]
# log p = W x~ - log(sum), and the mean of W x~ over the masks is W x. What is left of the sums is
# the same for all classes, and goes away when the result is scaled to sum to 1.
matrix, row = random.normal(size=(6, 3)), random.normal(size=6)
six = np.array(list(itertools.product([0, 1], repeat=6)))
chances = np.prod(np.where(six == 1, 1 - rate, rate), axis=1)
log_p = np.asarray(jax.nn.log_softmax(dropout(row, six, rate) @ matrix))
geometric = np.exp(chances @ log_p)
print("geometric mean of 64 networks:", (geometric / geometric.sum()).round(4))
np.testing.assert_allclose(geometric / geometric.sum(), jax.nn.softmax(row @ matrix), rtol=1e-5)
