# %% [markdown]
# # 17. Overfitting
#
# A network that fits its training rows better and better can become worse and worse on new rows.
# This lesson derives the gap between the two errors, draws learning curves over epochs and over the
# number of rows, stops training early, and goes past the point where a model can fit all rows
# exactly: there, the error on new rows falls again.

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
# Twelve noisy points are fitted by a sum of random bumps (a layer of random units, whose outputs
# get their weights by least squares). With few bumps the curve is too stiff: *underfitting*. With
# as many bumps as points the curve goes through every point and swings widely between them:
# *overfitting*. With far more bumps than points many curves go through all points, and the one with
# the smallest weights swings less again.

# %%
random = np.random.default_rng(4)
x = np.linspace(-1, 1, 12)
y = np.sin(3 * x) + 0.2 * random.normal(size=12)
line = np.linspace(-1, 1, 400)
centers, slopes = random.uniform(-1.5, 1.5, 2000), random.normal(0, 2, 2000)


def bumps(x, count):
    return np.exp(-(((x[:, None] - centers[:count]) * slopes[:count]) ** 2))


figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for axes, count in zip(panels, [3, 12, 2000], strict=True):
    weights = np.linalg.pinv(bumps(x, count)) @ y
    axes.plot(line, np.sin(3 * line), "--", color="0.6", label="truth")
    axes.plot(line, bumps(line, count) @ weights, color="tab:blue", label="fit")
    axes.scatter(x, y, s=15, color="black", zorder=3)
    axes.set(title=f"{count} bumps, 12 points", xlabel="x", ylim=(-3, 3))
panels[0].legend(fontsize="small")
plt.show()

# %% [markdown]
# ## The derivation
#
# **The gap.** Let $n$ rows follow $y = X w + \varepsilon$ with $p < n$ columns and noise of
# variance $\sigma^2$. Least squares projects $y$ onto the $p$ directions that the columns span;
# write $H$ for this projection. It leaves $X w$ as it is and keeps the part $H \varepsilon$ of the
# noise. A projection onto $p$ of $n$ directions keeps the share $p / n$ of the noise on average, so
#
# $$ E \, \| H \varepsilon \|^2 = p \, \sigma^2 , \qquad
#    E \, \| \varepsilon - H \varepsilon \|^2 = (n - p) \, \sigma^2 . $$
#
# The second is the training error. On new measurements at the same places, with the new noise
# $\varepsilon'$, the error is $\varepsilon' - H \varepsilon$, and the two noises are independent.
# Per row,
#
# $$ \text{training error} = \sigma^2 \Big( 1 - \frac{p}{n} \Big) , \qquad
#    \text{error on new rows} = \sigma^2 \Big( 1 + \frac{p}{n} \Big) . $$
#
# Each column lowers the training error and raises the error on new rows by $\sigma^2 / n$: the part
# of the noise that was learned is subtracted from one and added to the other. With more rows the
# gap is smaller.
#
# **Beyond $p = n$** the training error is zero for many $w$. Gradient descent from zero finds a
# particular one of them. The slope $X^T (X w - y)$ is a combination of the rows of $X$, so $w$ is
# always such a combination: $w = X^T a$. With $X w = y$ this gives $a = (X X^T)^{-1} y$ and
#
# $$ w = X^T (X X^T)^{-1} y , $$
#
# This is the solution of smallest norm. Any other solution differs from it by a $d$ with $X d = 0$.
# This $d$ is orthogonal to all rows of $X$, and so to $w$, and makes the solution longer. With more
# columns there are more solutions to choose from, so the smallest norm falls as $p$ grows. At $p =
# n$ there is a single solution, $X^{-1} y$. A square random matrix is often close to singular, so
# the weights are very large there, and the error has a peak. It falls on both sides: *double
# descent* (Belkin et al. 2019, [arXiv:1812.11118](https://arxiv.org/abs/1812.11118)).
#
# ## From scratch
#
# First the gap, with $n = 50$, $\sigma = 1$ and no signal:

# %%
for p in (5, 25, 45):
    gaps = []
    for _ in range(400):
        table, noise, new = random.normal(size=(50, p)), *random.normal(size=(2, 50))
        fitted = table @ np.linalg.lstsq(table, noise, rcond=None)[0]
        gaps.append([np.mean((noise - fitted) ** 2), np.mean((new - fitted) ** 2)])
    training, on_new = np.mean(gaps, axis=0)
    print(f"p = {p}: training {training:.2f} (derived {1 - p / 50:.2f}), ", end="")
    print(f"new {on_new:.2f} (derived {1 + p / 50:.2f})")
    np.testing.assert_allclose([training, on_new], [1 - p / 50, 1 + p / 50], atol=0.06)

# %% [markdown]
# Now digits: 300 rows train, 60 of them with a wrong label. A layer of $p$ random units feeds ten
# outputs, whose weights are found by least squares, those of smallest norm where there is a choice.

# %%
digits = jnn.data.load("digits")
order = random.permutation(digits.rows)
train_rows, test_rows = order[:300], order[300:]
labels = np.array(digits.y)
labels[train_rows[:60]] = (labels[train_rows[:60]] + random.integers(1, 10, 60)) % 10
one_hot = np.eye(10)[labels]


def units(x, p):
    return np.tanh(2 * (x - 0.5) @ random.normal(size=(64, p)) / 4 + random.normal(size=p))


widths = [10, 30, 100, 200, 250, 300, 350, 400, 600, 1000, 2000]
repeats = 3 if QUICK else 10
errors, norms = np.zeros((2, len(widths), repeats))
for i, p in enumerate(widths):
    for repeat in range(repeats):
        hidden = units(digits.x, p)
        weights = np.linalg.lstsq(hidden[train_rows], one_hot[train_rows], rcond=None)[0]
        answers = (hidden[test_rows] @ weights).argmax(axis=1)
        errors[i, repeat] = np.mean(answers != labels[test_rows])
        norms[i, repeat] = np.linalg.norm(weights)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
names = ["share of held-out digits that are wrong", "norm of the weights"]
for axes, values, name in zip(panels, [errors, norms], names, strict=True):
    axes.plot(widths, values, ".", color="tab:blue", alpha=0.4)
    axes.plot(widths, values.mean(axis=1), color="tab:blue")
    axes.axvline(300, color="0.6", ls="--")
    axes.set(xscale="log", xlabel="random units p (dashed: n = 300 rows)")
    axes.set_title(f"{name}, n = {repeats} draws", fontsize=9)
panels[1].set_yscale("log")
plt.show()

# %%
by_width = dict(zip(widths, errors.mean(axis=1), strict=True))
print({p: float(error.round(2)) for p, error in by_width.items()})
assert by_width[300] > by_width[100] + 0.2  # up to the peak
assert by_width[300] > by_width[2000] + 0.2  # and down again
assert norms[widths.index(300)].mean() > 3 * norms[-1].mean()

# %% [markdown]
# ## In jnn
#
# Gradient descent from zero must find the solution of smallest norm. To check this, take 40 rows
# and 2000 random units. The network is the last layer only, which learns whether a digit is
# below 5.


# %%
def init_linear(key, x):
    return {"kernel": jnp.zeros((x.shape[-1], 1))}


right_rows = train_rows[60:100]  # their labels are right
few = units(digits.x, 2000)[right_rows].astype(np.float32)
last_layer = jnn.Study(
    model=(init_linear, lambda params, x: jnn.layers.dense(x, **params)),
    loss=jnn.losses.squared_error,
    optimizer=optax.sgd(0.001, momentum=0.9),
    epochs=2000,
    batch_size=40,
    evaluate_every=2000,
)
small_digit = np.where(labels[right_rows] < 5, 1.0, -1.0)
wide = jnn.Dataset.from_arrays(few, small_digit, name="random units")
found = jnn.run(last_layer, wide).trained.params["kernel"][0, :, 0]
smallest = np.linalg.pinv(few) @ small_digit
print(f"largest weight {np.abs(smallest).max():.4f}, ", end="")
print(f"largest difference {np.abs(found - smallest).max():.6f}")
np.testing.assert_allclose(found, smallest, atol=0.02 * np.abs(smallest).max())

# %% [markdown]
# Now a network whose two layers both learn. Its width is a number of the member: units beyond the
# width are masked, so one program trains all widths. A fifth of the training rows of each member
# are set aside as validation rows, and `keep="best"` keeps the parameters of the epoch with the
# lowest loss on these rows: *early stopping*.


# %%
def init(key, x):
    hidden_key, output_key = jax.random.split(key)
    return {
        "hidden": {
            "kernel": jnn.initializers.he_normal()(hidden_key, (64, 256)),
            "bias": jnp.zeros(256),
        },
        "output": jax.random.normal(output_key, (256, 10)),
    }


def network(params, x, *, hyper):
    hidden = jax.nn.relu(jnn.layers.dense(x, **params["hidden"]))
    hidden = hidden * (jnp.arange(256) < hyper["width"])
    return jnn.layers.dense(hidden, params["output"]) / jnp.sqrt(hyper["width"])


study = jnn.Study(
    model=(init, network),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(3e-3),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=30 if QUICK else 200,
    batch_size=48,
    evaluate_every=10,
    validation=0.2,
    keep="best",
    record=["train_scores"],
)
noisy = jnn.Dataset.from_arrays(digits.x, labels, name="digits, a fifth of the labels wrong")
grid = [4, 8, 16, 32, 64, 128, 256]
seeds = jnn.seeds(2 if QUICK else 6)
result = jnn.run(study, noisy, seeds * jnn.folds([(train_rows, test_rows)]) * jnn.grid(width=grid))

# %% [markdown]
# ## Is this difference real?
#
# `scores` has the scores of every epoch, and `final()` those of the epoch that was kept. So one run
# shows how much early stopping helps, for each seed:

# %%
at_256 = result.scores.isel(fold=0).sel(width=256)
last = at_256["accuracy"].isel(epoch=-1).values
stopped = result.final()["accuracy"].isel(fold=0).sel(width=256).values
worth = jnn.stats.paired_comparison(stopped, last)
print("epochs kept:", at_256["best_epoch"].values)
print("256 units, best - last epoch:", worth)
wider = result.compare({"width": 256}, {"width": 128}, "accuracy")
print("256 - 128 units, both stopped in time:", wider)
narrow = result.compare({"width": 256}, {"width": 4}, "accuracy")
print("256 - 4 units, both stopped in time:", narrow)
if not QUICK:
    assert worth.difference.low > 0.05
    assert wider.difference.low <= 0 <= wider.difference.high
    assert narrow.difference.low > 0.1
    ends = result.scores["accuracy"].isel(fold=0, epoch=-1).mean("seed")
    assert float(ends.sel(width=grid[2:]).min()) > 0.75  # no peak from 16 units on

figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
scored = at_256.dropna("epoch")
for name, label in [("train_accuracy", "training rows"), ("accuracy", "held-out rows")]:
    values = scored[name].transpose("epoch", "seed").values
    bands = [jnn.stats.t_interval(each) for each in values]
    panels[0].plot(scored["epoch"], values.mean(axis=1), label=label)
    low, high = [band.low for band in bands], [band.high for band in bands]
    panels[0].fill_between(scored["epoch"], low, high, alpha=0.2)
panels[0].set(xlabel="epoch", ylabel="accuracy", title="256 units")
at_end = result.scores["accuracy"].isel(fold=0, epoch=-1)
for values, label in [(result.final()["accuracy"].isel(fold=0), "best epoch"), (at_end, "last")]:
    bands = [jnn.stats.t_interval(values.sel(width=width).values) for width in grid]
    means = np.array([band.mean for band in bands])
    error = means - np.array([band.low for band in bands])
    panels[1].errorbar(grid, means, error, marker="o", capsize=3, label=f"held-out rows, {label}")
panels[1].set(xscale="log", xlabel="width", title="all widths", ylim=(0.2, 1.02))
for axes in panels:
    axes.legend(loc="lower right", fontsize="small")
figure.suptitle(f"a fifth of the training labels wrong; 95 % intervals, n = {len(last)} seeds")
figure.tight_layout()
plt.show()

# %% [markdown]
# On the training rows, whose labels are partly wrong, the accuracy rises to the end. On held-out
# rows it is best early, and then falls by several percentage points: the network first learns what
# digits have in common, and then the wrong labels. Early stopping avoids this loss, and the
# difference is real. With early stopping, these seeds do not show whether 128 or 256 units are
# better. Is there double descent? With these widths and numbers of steps, the trained network has
# no peak. Least squares has one because it solves for the weights exactly, however large they
# become. Trained networks can have a peak too, with longer training on more wrong labels (Nakkiran
# et al. 2020, [arXiv:1912.02292](https://arxiv.org/abs/1912.02292)).
#
# **More rows.** The derivation says that more rows make the gap smaller. Members may train on
# different numbers of rows: each size is a pair of training rows and test rows. Here all labels are
# right, and there is no early stopping.

# %%
clean = jnn.Dataset.from_arrays(digits.x, digits.y, name="digits")
sizes = [50, 100, 200, 400, 800]
by_size = jnn.folds([(order[:size], order[-500:]) for size in sizes])
plain = dataclasses.replace(
    study, validation=0.0, keep="last", hyper={"width": 64}, epochs=20 if QUICK else 100
)
curve = jnn.run(plain, clean, seeds * by_size)
end = curve.final()
for number, size in enumerate(sizes):
    learned = end["train_accuracy"].isel(fold=number).mean().item()
    interval = jnn.stats.t_interval(end["accuracy"].isel(fold=number).values)
    print(f"{size} rows: training {learned:.3f}, held-out {interval}")
more = jnn.stats.paired_comparison(
    end["accuracy"].isel(fold=4).values, end["accuracy"].isel(fold=3).values
)
print("800 - 400 rows:", more)
if not QUICK:
    assert more.difference.low > 0

# %% [markdown]
# At every size the training rows are memorized, or nearly so. The gap shrinks with each doubling,
# and even the last doubling helps. (n is the number of seeds, which are paired and all have the
# same rows.) Such a curve helps to decide whether to collect more data or to change the network.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# A small ridge penalty ([lesson 9](09_weight_decay.ipynb)) removes the peak. Add it to the least
# squares at $p = 300$, and compare the shares of wrong answers.

# %% tags=["hide-cell"]
hidden = units(digits.x, 300)
train_part, target_part = hidden[train_rows], one_hot[train_rows]
shares = []
for strength in (0.0, 10.0):
    square = train_part.T @ train_part + strength * np.eye(300)
    weights = np.linalg.solve(square, train_part.T @ target_part)
    answers = (hidden[test_rows] @ weights).argmax(axis=1)
    shares.append(np.mean(answers != labels[test_rows]))
print(f"wrong without penalty {shares[0]:.2f}, with it {shares[1]:.2f}")
assert shares[1] < shares[0] - 0.3

# %% [markdown]
# ### Exercise 2
#
# Each column of a table lowers the error by the square of its true weight $w_j$ (times the mean
# square of the column), and raises it by $\sigma^2 / n$. Which columns should be used if
# $w_j = 2^{-j}$ with $n = 50$ and $\sigma = 1$? Check it with orthogonal columns.

# %% tags=["hide-cell"]
# Use column j if 4^-j > 1 / 50, which holds for j = 0, 1, 2: three columns.
columns = np.linalg.qr(random.normal(size=(50, 10)))[0] * np.sqrt(50)  # mean square 1
truth = columns @ 2.0 ** -np.arange(10)
noise, new = random.normal(size=(2, 20_000, 50))
mean_errors = []
for p in range(1, 11):
    fitted = (truth + noise) @ columns[:, :p] @ columns[:, :p].T / 50
    mean_errors.append(np.mean((truth + new - fitted) ** 2))
print("error with 1 to 10 columns:", np.round(mean_errors, 3))
assert np.argmin(mean_errors) + 1 == 3

# %% [markdown]
# ### Exercise 3
#
# `patience=50` ends a member that has not improved for 50 epochs. Does it keep other epochs than
# the full training does? How many epochs does it save?

# %% tags=["hide-cell"]
impatient = jnn.run(
    dataclasses.replace(study, patience=50),
    noisy,
    seeds * jnn.folds([(train_rows, test_rows)]) * jnn.grid(width=[256]),
)
kept = impatient.scores["best_epoch"].values.ravel()
print("epochs kept:", kept, "in place of", at_256["best_epoch"].values)
scored_epochs = impatient.scores["accuracy"].dropna("epoch", how="all")["epoch"]
print(f"the last member ended after {scored_epochs.max().item()} of {study.epochs} epochs")
np.testing.assert_array_equal(kept, at_256["best_epoch"].values)
