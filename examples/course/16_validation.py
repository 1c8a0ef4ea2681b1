# %% [markdown]
# # 16. Validation
#
# A network that has memorized its training rows has a perfect score on them. What matters is the
# score on rows that it has not seen. This lesson cuts rows into folds in four ways, derives how far
# the mean over folds may be off, and builds three traps, two of which make a useless model look
# good.

# %%
import dataclasses
import sys

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import scipy.stats

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# A *hold-out* sets some rows aside, trains on the others, and scores on the rows set aside.
# *Cross-validation* does this $k$ times: the rows are cut into $k$ *folds*, and each fold is held
# out once. There are several ways to cut:
#
# - *plain*: at random;
# - *stratified*: each fold has the same share of every class;
# - *grouped*: all rows of a group, such as the visits of one patient, are in the same fold;
# - *time*: training rows come before the rows that score them.
#
# In the figure, each line of a panel is a fold, and each column is one of 24 rows of data: six
# patients with four visits each. Dark rows are scored, light rows train, and white rows do neither.

# %%
random = np.random.default_rng(0)
patients = np.repeat(np.arange(6), 4)
small = jnn.Dataset.from_arrays(
    np.arange(24.0)[:, None], np.arange(24) % 3 == 0, groups=patients, name="24 rows"
)
figure, panels = plt.subplots(1, 4, figsize=(9, 2.2), sharey=True)
for axes, kind in zip(panels, ["plain", "stratified", "grouped", "time"], strict=True):
    picture = np.full((3, 24), 0.0)
    for number, fold in enumerate(jnn.folds(3, kind=kind).split.rows(small)):
        picture[number, fold.train] = 1
        picture[number, fold.test] = 2
    axes.imshow(picture, aspect="auto", cmap="Blues", vmin=0, vmax=2)
    axes.set(title=kind, xlabel="row", yticks=range(3))
panels[0].set_ylabel("fold")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## The derivation
#
# The score of fold $j$ is $s_j$, and the result is their mean $\bar s$. How far may it be off? A
# common answer is $s / \sqrt{k}$, the *standard error* of $k$ independent numbers with the standard
# deviation $s$. But the folds are not independent: any two of them share most of their training
# rows. Let each $s_j$ have the variance $\sigma^2$ and each pair the correlation $\rho$. Then
#
# $$ \mathrm{Var}[\bar s] = \frac{1}{k^2} \Big( k \sigma^2 + k (k - 1) \rho \sigma^2 \Big)
#    = \sigma^2 \Big( \rho + \frac{1 - \rho}{k} \Big) . $$
#
# The variance of the scores does not include what all folds have in common. It estimates $E[s^2] =
# \sigma^2 (1 - \rho)$. Insert $\sigma^2 = E[s^2] / (1 - \rho)$:
#
# $$ \mathrm{Var}[\bar s] = E[s^2] \Big( \frac{1}{k} + \frac{\rho}{1 - \rho} \Big) . $$
#
# So $s^2 / k$ is too small if $\rho > 0$, and more folds do not correct it, because the second
# term stays. There is no unbiased estimate of the variance from one cross-validation (Bengio and
# Grandvalet 2004, [paper](https://www.jmlr.org/papers/v5/grandvalet04a.html)). Nadeau and Bengio
# (2003, [doi:10.1023/A:1024068626366](https://doi.org/10.1023/A:1024068626366)) approximate the
# correlation by the share of test rows, $\rho = n_{test} / (n_{test} + n_{train})$. Then $\rho /
# (1 - \rho)$ is $n_{test} / n_{train}$, and the interval is
#
# $$ \bar s \pm t_{k-1} \, s \, \sqrt{\frac{1}{k} + \frac{n_{test}}{n_{train}}} , $$
#
# where $t_{k-1}$, about 2 for many folds, is a quantile of Student's distribution. This is an
# approximation for random splits, so it must be tested.
#
# ## From scratch
#
# A 95 % interval should contain the true score in 95 of 100 studies. To count how often it does,
# draw a small table of 40 rows, cross-validate a linear regression ten times with five folds,
# compute both intervals, and repeat this with new tables. The true score is known, because any
# number of new rows can be drawn.


# %%
def draw_table(rows):
    x = random.normal(size=(rows, 5))
    return x, x @ np.array([1.0, -1.0, 0.5, 0.0, 0.0]) + random.normal(size=rows)


def fit(x, y):
    return np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ y)


def folds(rows, k):
    order = random.permutation(rows)
    for test in np.array_split(order, k):
        yield np.setdiff1d(order, test), test


def interval(scores, ratio):
    k = len(scores)
    half = scipy.stats.t.ppf(0.975, k - 1) * scores.std(ddof=1) * np.sqrt(1 / k + ratio)
    return scores.mean() - half, scores.mean() + half


tables = 100 if QUICK else 400
fresh_x, fresh_y = draw_table(2000)
scores, errors = [], []
for _ in range(tables):
    x, y = draw_table(40)
    parts = [part for _ in range(10) for part in folds(40, 5)]
    fitted = [fit(x[train], y[train]) for train, _ in parts]
    tested = zip(parts, fitted, strict=True)
    scores.append([np.mean((y[test] - x[test] @ w) ** 2) for (_, test), w in tested])
    errors.append(np.mean((fresh_y[:, None] - fresh_x @ np.array(fitted).T) ** 2))
scores, truth = np.array(scores), np.mean(errors)
covered = {}
for name, ratio in [("s / sqrt(k)", 0.0), ("Nadeau and Bengio", 8 / 32)]:
    ends = np.array([interval(each, ratio) for each in scores])
    covered[name] = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    print(f"{name}: 95 % intervals contain the truth in {covered[name]:.0%} of {tables} studies")
assert covered["s / sqrt(k)"] < 0.6
assert covered["Nadeau and Bengio"] > 0.8
ours = interval(scores[0], 8 / 32)
theirs = jnn.stats.corrected_interval(scores[0], train_rows=32, test_rows=8)
np.testing.assert_allclose(ours, [theirs.low, theirs.high], rtol=1e-6)

# %% [markdown]
# The usual error bar is wrong more often than it is right. More repeats make it worse, because it
# treats 50 scores as 50 independent ones. The corrected interval is right far more often, but in
# somewhat less than 95 % of these studies: with 40 rows the approximation is not exact.
#
# ## In jnn
#
# Folds are members. The summary has the corrected interval, which is computed here again from the
# scores:

# %%
cancer = jnn.data.load("breast_cancer")


def init(key, x):
    return {"kernel": jnp.zeros((x.shape[-1], 1)), "bias": jnp.zeros(1)}


def neuron(params, x):
    return jnn.layers.dense(x, **params)[:, 0]


study = jnn.Study(
    model=(init, neuron),
    loss=jnn.losses.binary_cross_entropy,
    optimizer=optax.adam(0.02),
    metrics={"accuracy": jnn.metrics.accuracy},
    inputs=jnn.preprocess.standardize,
    epochs=10 if QUICK else 30,
)
members = jnn.folds(5, repeats=1 if QUICK else 2)
inside = jnn.run(study, cancer, members)
print(inside.summary())
accuracy = inside.final()["accuracy"].values
low, high = interval(accuracy, 1 / 4)  # a fifth of the rows tests, four fifths train
shown = inside.summary().rows[0].intervals["accuracy"]
np.testing.assert_allclose([shown.low, shown.high], [low, high], atol=1e-3)

# %% [markdown]
# ## Is this difference real?
#
# *Leakage* means that the test rows have influenced the training. A well-known case is to
# standardize all rows *before* the split. (`Study(inputs=...)` is fitted on the training rows of
# each fold alone.) How much does this leak raise the score?

# %%
scaled = (cancer.x - cancer.x.mean(axis=0)) / cancer.x.std(axis=0)
leaked = jnn.run(
    dataclasses.replace(study, inputs=jnn.preprocess.identity),
    jnn.Dataset.from_arrays(scaled, cancer.y, name="scaled before the split"),
    members,
)
gain = jnn.stats.paired_comparison(
    leaked.final()["accuracy"].values, accuracy, train_rows=455, test_rows=114
)
print("scaled before - inside the split:", gain)
assert gain.difference.low <= 0 <= gain.difference.high

# %% [markdown]
# Here the interval contains zero. A small effect was to be expected, because a mean over 569 rows
# hardly depends on which fifth of them is held out. Still, everything should be fitted inside the
# fold, as the next trap shows. Take 2000 columns of pure noise, and labels by coin toss. Select the
# 20 columns with the highest correlation with the labels, once on all rows before the split, and
# once inside each fold. Nothing can be learned: the true accuracy is one half.


# %%
def select(x, y):
    correlation = np.abs((x - x.mean(axis=0)).T @ (y - y.mean()))
    return np.argsort(-correlation)[:20]


def score(train, test, chosen):
    weights = fit(noise_x[train][:, chosen], 2 * coin[train] - 1)
    return np.mean((noise_x[test][:, chosen] @ weights > 0) == coin[test])


before, within = [], []
for _ in range(20):  # 20 tables
    noise_x, coin = random.normal(size=(100, 2000)), random.integers(0, 2, 100)
    parts = list(folds(100, 5))
    chosen = select(noise_x, coin)
    before.append(np.mean([score(train, test, chosen) for train, test in parts]))
    chosen_within = [(a, b, select(noise_x[a], coin[a])) for a, b in parts]
    within.append(np.mean([score(*part) for part in chosen_within]))
print("columns selected before the split:", jnn.stats.t_interval(before))
print("columns selected inside the folds:", jnn.stats.t_interval(within))
assert jnn.stats.t_interval(before).low > 0.8
assert abs(np.mean(within) - 0.5) < 0.05

# %% [markdown]
# The third trap has 40 patients with ten recordings each. Every patient has a pattern of 20 random
# numbers, and each recording is this pattern plus noise. Half of the patients, drawn at random, are
# ill. A network can learn to recognize a patient, but nothing about the illness.

# %%
patients = np.repeat(np.arange(40), 10)
recordings = random.normal(size=(40, 20))[patients] + 0.5 * random.normal(size=(400, 20))
ill = (random.permutation(40) < 20)[patients]
visits = jnn.Dataset.from_arrays(recordings, ill, groups=patients, name="recordings")
learner = jnn.Study(
    model=lambda rngs: jnn.models.MLP(20, (64,), 2, rngs=rngs),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(0.01),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=20,
)
seeds = jnn.seeds(2 if QUICK else 5)
plain = jnn.run(learner, visits, seeds * jnn.folds(5, kind="plain"))
grouped = jnn.run(learner, visits, seeds * jnn.folds(5, kind="grouped"))
for name, each in [("plain", plain), ("grouped", grouped)]:
    print(f"{name} folds:", each.summary().rows[0].intervals["accuracy"])
honest = grouped.summary().rows[0].intervals["accuracy"]
assert plain.summary().rows[0].intervals["accuracy"].low > 0.85
assert honest.low <= 0.5 <= honest.high

# %% [markdown]
# With plain folds the network looks excellent, because it has trained on other recordings of every
# patient. With grouped folds its interval contains one half, the accuracy of a coin toss. (The
# interval is wide: each fold scores only eight patients.) If a data set has groups, `jnn.folds`
# keeps them together by default.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Choosing the best setting also makes a score too high. Take 100 rows of noise with coin-toss
# labels, and let forty settings use different columns (each a mask of zeros and ones). Compare the
# best mean in the summary with `result.best()`, which scores each fold with the setting that is
# best on the other folds (*nested selection*). Repeat it for ten tables.


# %% tags=["hide-cell"]
def masked_neuron(params, x, *, hyper):
    return neuron(params, x * hyper["mask"])


choosing = dataclasses.replace(study, model=(init, masked_neuron), epochs=20)
best_means, nested = [], []
for table in range(10):
    draws = np.random.default_rng(table)
    coins = jnn.Dataset.from_arrays(draws.normal(size=(100, 10)), draws.permutation(100) < 50)
    masks = draws.integers(0, 2, size=(40, 10)).astype(float)
    trials = jnn.run(choosing, coins, jnn.folds(5) * jnn.grid(mask=masks))
    best_means.append(max(row.intervals["accuracy"].mean for row in trials.summary().rows))
    nested.append(trials.best("accuracy").interval.mean)
flattered, honest = jnn.stats.t_interval(best_means), jnn.stats.t_interval(nested)
print("best of forty:        ", flattered)
print("with nested selection:", honest)
assert flattered.low > 0.5  # an interval that misses the truth
assert honest.low <= 0.5 <= honest.high  # stricter still: Study(validation=0.25), inner rows choose

# %% [markdown]
# ### Exercise 2
#
# A table contains every row twice, as happens when tables are joined. The labels are coin tosses.
# Score the *nearest neighbor* of each test row with plain folds, and then with the copies as
# groups.

# %% tags=["hide-cell"]
once = random.normal(size=(100, 5))
twice, coin = np.concatenate([once, once]), np.tile(random.integers(0, 2, 100), 2)


def nearest(train, test):
    distances = ((twice[test][:, None] - twice[train]) ** 2).sum(axis=-1)
    return np.mean(coin[train][distances.argmin(axis=1)] == coin[test])


with_copies = np.mean([nearest(*part) for part in folds(200, 5)])
keep_together = [(np.r_[a, a + 100], np.r_[b, b + 100]) for a, b in folds(100, 5)]
without = np.mean([nearest(*part) for part in keep_together])
print(f"plain folds {with_copies:.2f}, copies together {without:.2f}")
assert with_copies > 0.8
assert without < 0.7

# %% [markdown]
# ### Exercise 3
#
# Predict a random walk from the time alone, by its value at the nearest training time. Compare
# plain folds with folds in time. Which error shows how well the *future* is predicted?

# %% tags=["hide-cell"]
walk = random.normal(size=300).cumsum()
series = jnn.Dataset.from_arrays(np.arange(300.0)[:, None], walk)
mean_error = {}
for kind in ("plain", "time"):
    parts = jnn.folds(5, kind=kind).split.rows(series)
    guesses = [
        walk[part.train][np.abs(part.test[:, None] - part.train).argmin(axis=1)] for part in parts
    ]
    misses = [np.abs(walk[p.test] - g).mean() for p, g in zip(parts, guesses, strict=True)]
    mean_error[kind] = np.mean(misses)
print({kind: float(error.round(2)) for kind, error in mean_error.items()})
print("Only the folds in time know nothing of the future, as in use.")
assert mean_error["time"] > 2 * mean_error["plain"]
