# %% [markdown]
# # 24. Searching architectures and settings
#
# How many layers, how many units, which activation, which step size? A *search* trains many
# settings and keeps the best. This lesson compares ways to search, trains many architectures as one
# program, and shows a problem of every search: the best of many scores is too high.

# %%
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
# Suppose that there is time for nine trainings, to choose two numbers. A *grid* tries three values
# of each, in all combinations. *Random search* draws both numbers at random for each training. If
# only one of the two numbers matters, and it is not known which, the grid has tried three values of
# it, and random search nine (Bergstra and Bengio 2012,
# https://jmlr.org/papers/v13/bergstra12a.html). The curve below each square is the true score
# against the number that matters (both are invented).


# %%
def true_score(x):
    return 0.6 + 0.3 * np.exp(-(((x - 0.7) / 0.12) ** 2))


of_grid = np.stack(np.meshgrid([1 / 6, 3 / 6, 5 / 6], [1 / 6, 3 / 6, 5 / 6]), axis=-1).reshape(9, 2)
of_random = np.random.default_rng(3).random((9, 2))
figure, panels = plt.subplots(2, 2, figsize=(9, 4.4), sharex=True, height_ratios=[2, 1])
for (above, below), name, tried in [
    (panels[:, 0], "grid", of_grid),
    (panels[:, 1], "random", of_random),
]:
    above.plot(*tried.T, "o", color="tab:orange")
    above.set(ylabel="does not matter", yticks=[], ylim=(0, 1), xlim=(0, 1))
    above.set_title(f"{name}: {len(set(tried[:, 0].round(6)))} values of what matters")
    below.plot(np.linspace(0, 1, 200), true_score(np.linspace(0, 1, 200)), "k", linewidth=1)
    below.plot(tried[:, 0], true_score(tried[:, 0]), "o", color="tab:orange")
    below.set(xlabel="matters", ylabel="score")
plt.show()

# %% [markdown]
# ## The derivation
#
# **How many random settings?** Call the best 5 % of all settings good. A random one misses them
# with probability 0.95, and $k$ of them all miss with $0.95^k$. For $k = 60$ this is 4.6 %: among
# sixty random settings there is a good one with 95 % probability, for any number of dimensions. A
# grid of $k$ points has only $k^{1/d}$ values in each of $d$ dimensions.
#
# **Architectures as numbers.** Let the widest hidden layer have 32 units. A *mask* $m$ of ones and
# zeros switches units off: $y = W_2 \, (m \odot f(W_1 x + b_1)) + b_2$, where $\odot$ multiplies
# number by number. The term of unit $j$ is $W_{2,j} \, m_j \, f(\ldots)_j$. With $m_j = 0$ it is
# zero, and so are the slopes of all its weights, so these weights do not change. The masked network
# computes the same as the smaller network. Architectures differ only in these numbers, so all of
# them can be trained together in one program, each with weights of its own. (*Weight sharing* goes
# further: all architectures use the same weights, Pham et al. 2018,
# https://arxiv.org/abs/1802.03268.)
#
# **Successive halving.** Early scores predict later ones to some degree. Train $n$ settings for a
# few epochs, train the best third of them for three times as long, and so on (Jamieson and
# Talwalkar 2016, https://arxiv.org/abs/1502.07943). Let 27 settings train to epoch 1, the best 9 to
# epoch 3, 3 to epoch 9, and 1 to epoch 27. Each setting continues its training, so the stages take
# 27, 18, 18 and 18 epochs. Together this is as much as three trainings of 27 epochs.
#
# **The winner's curse.** A score on held-out rows is the true score plus luck, $s_i = \mu_i +
# \varepsilon_i$, with luck of mean 0 and standard deviation $\sigma$. Let all $n$ settings be
# equally good. The best score is then that of the luckiest setting. How large is its luck? For
# normal luck $E \, e^{t \varepsilon} = e^{t^2 \sigma^2 / 2}$. For any $t > 0$, the convexity of
# $e^{t x}$ (first step) and the sum being larger than its largest term (second) give
#
# $$ e^{t \, E \max_i \varepsilon_i} \le E \, e^{t \max_i \varepsilon_i}
#    \le \sum_i E \, e^{t \varepsilon_i} = n \, e^{t^2 \sigma^2 / 2} , $$
#
# so that $E \max_i \varepsilon_i \le \frac{\log n}{t} + \frac{t \sigma^2}{2}$. The right side is
# smallest at $t = \sqrt{2 \log n} / \sigma$:
#
# $$ E \max_i \varepsilon_i \le \sigma \sqrt{2 \log n} . $$
#
# An accuracy near 1/2 on 100 rows has $\sigma = \sqrt{0.25 / 100} = 0.05$, and the best of 40
# settings seems better than it is by at most $0.05 \sqrt{2 \log 40} = 0.14$ on average. With more
# settings this grows, slowly; with more rows it shrinks.
#
# ## From scratch


# %%
def masked(params, x, mask):
    (first, first_bias), (second, second_bias) = params
    return (np.tanh(x @ first + first_bias) * mask) @ second + second_bias


def slopes(params, x, mask, y):
    """Return the slopes of the mean squared error by both kernels."""
    (first, first_bias), (second, _) = params
    hidden = np.tanh(x @ first + first_bias)
    error = 2 * (masked(params, x, mask) - y) / y.size
    return x.T @ (error @ second.T * mask * (1 - hidden**2)), (hidden * mask).T @ error


random = np.random.default_rng(0)
params = [
    (random.normal(size=(3, 32)), random.normal(size=32)),
    (random.normal(size=(32, 2)), np.zeros(2)),
]
x, y = random.normal(size=(10, 3)), random.normal(size=(10, 2))
mask = (np.arange(32) < 8).astype(float)
small = [(params[0][0][:, :8], params[0][1][:8]), (params[1][0][:8], params[1][1])]
np.testing.assert_allclose(masked(params, x, mask), masked(small, x, 1))


def loss(kernels):
    hidden = jnp.tanh(x @ kernels[0] + params[0][1]) * mask
    return jnp.mean((hidden @ kernels[1] - y) ** 2)


theirs = jax.grad(loss)([jnp.float32(kernel) for kernel, _ in params])
for mine, other in zip(slopes(params, x, mask, y), theirs, strict=True):
    np.testing.assert_allclose(mine, other, atol=1e-5)
assert not np.any(slopes(params, x, mask, y)[0][:, 8:])  # units that are off do not learn

# %% [markdown]
# Successive halving on invented learning curves: setting $i$ rises to its own limit $a_i$, and each
# measured score is noisy. Random search trains as many settings to the end as the same number of
# epochs allows.


# %%
def score(limit, epochs, random):
    return limit - 0.3 * np.exp(-epochs / 5) + 0.02 * random.normal(size=len(limit))


def halve(limits, random, score=score, eta=3, rungs=(1, 3, 9, 27)):
    """Return the chosen setting and the number of epochs of all settings together."""
    alive, spent, before = np.arange(len(limits)), 0, 0
    for epochs in rungs:
        spent, before = spent + len(alive) * (epochs - before), epochs
        best_first = alive[np.argsort(-score(limits[alive], epochs, random))]
        alive = best_first[: max(1, len(alive) // eta)]
    return best_first[0], spent


gains = []
for _ in range(500):
    limits = 0.8 + 0.05 * random.normal(size=27)  # one search
    chosen, spent = halve(limits, random)
    affordable = limits[: spent // 27]  # whole trainings for the same number of epochs
    by_random = affordable[np.argmax(score(affordable, 27, random))]
    gains.append(limits[chosen] - by_random)
gain = jnn.stats.t_interval(gains)
print(f"{spent} epochs are {spent / 27:.1f} whole trainings")
print("true score of the winner, halving - random:", gain)
assert gain.low > 0

# %% [markdown]
# On such curves, which do not cross, halving clearly helps. Real curves may cross.
#
# The bound on the luck of the winner, against simulated luck:

# %%
for n in (2, 10, 40, 1000):
    luck = np.random.default_rng(n).normal(size=(5000, n)).max(axis=1).mean()
    print(f"best of {n}: luck {luck:.2f} deviations, at most {np.sqrt(2 * np.log(n)):.2f}")
    assert luck < np.sqrt(2 * np.log(n))

# %% [markdown]
# ## In jnn
#
# `jnn.models.SuperMLP` is a network with masks: its depth, widths and activation are numbers of the
# members, like the learning rate. The data are MNIST-1D, see [lesson 22](22_transfer.ipynb). The
# rows are cut into *repeats*: searches with 300 training rows and 100 test rows each, which have no
# rows in common. The remaining rows are used to estimate the true scores.

# %%
data = jnn.data.load("mnist1d", split="all")
REPEATS, SETTINGS, EPOCHS = (4, 20, 18) if QUICK else (8, 40, 36)
searches = np.arange(REPEATS * 400).reshape(REPEATS, 400)
fresh = data.take(np.arange(3200, data.rows))
choices = {
    "depth": jnn.choice(1, 2),
    "width_1": jnn.choice(4, 8, 16, 32),
    "width_2": jnn.choice(4, 8, 16, 32),
    "activation": jnn.choice(0, 1),  # ReLU, tanh
    "rate": jnn.log_uniform(1e-4, 3e-2),  # the step size
}
study = jnn.Study(
    model=functools.partial(jnn.models.SuperMLP, 40, 32, 2, 10),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=lambda h: optax.adam(h.rate),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=EPOCHS,
    batch_size=50,
    evaluate_every=EPOCHS // 9,
)
members = jnn.folds([(rows[:300], rows[300:]) for rows in searches])
result = jnn.run(study, data, members * jnn.sample(SETTINGS, **choices))
print(f"{len(result.members)} networks of up to {SETTINGS} architectures in one program")

# %% [markdown]
# The next cell computes one of these members as a small network, from its own rows and columns of
# the kernels.

# %%
columns = result.members.columns()
member = int(np.argmax((columns["depth"] == 2) & (columns["width_1"] < 32)))
first, second = int(columns["width_1"][member]), int(columns["width_2"][member])
trained = result.member(member).trained.params
kernels = [np.asarray(trained["hidden"][i]["kernel"][0], np.float64) for i in "01"]
biases = [np.asarray(trained["hidden"][i]["bias"][0], np.float64) for i in "01"]
activation = [lambda z: np.maximum(z, 0), np.tanh][int(columns["activation"][member])]
hidden = activation(fresh.x @ kernels[0][:, :first] + biases[0][:first])
hidden = activation(hidden @ kernels[1][:first, :second] + biases[1][:second])
logits = hidden @ trained["output"]["kernel"][0][:second] + trained["output"]["bias"][0]
np.testing.assert_allclose(result.member(member).outputs(fresh.x)[0], logits, atol=1e-3)
print(f"member {member} is a network with {first} and {second} units")

# %% [markdown]
# `jnn.search.run` does a whole search, and then scores the winner fairly: it is trained again, with
# new seeds, and scored on rows that the search never saw.

# %%
space = jnn.search.space(**choices)
TRIALS = 9 if QUICK else 18
STEPS = TRIALS * EPOCHS * 6  # of all settings together: 6 batches of 50 rows an epoch


def search(rows, by, seed):
    return jnn.search.run(
        lambda c: study,
        data.take(rows),
        space,
        by=by,
        steps=STEPS,
        folds=jnn.holdout(0.25),
        test=fresh,
        test_seeds=3,
        seed=seed,
    )


found = search(searches[0], jnn.search.random(batch=TRIALS), seed=0)
print(found)

# %% [markdown]
# ## Is this difference real?
#
# **The winner's curse, measured.** The members from above were scored on 100 rows each, as in a
# search. Now score them on 1800 other rows, which estimates their true accuracy. In each repeat one
# setting won the search.

# %%
in_search = result.final()["accuracy"].to_numpy().reshape(REPEATS, -1)
probabilities = result.predict(fresh.x).members
truth = np.mean(probabilities.argmax(axis=-1) == fresh.y, axis=1).reshape(REPEATS, -1)
winners = in_search.argmax(axis=1)
at_winner = np.arange(REPEATS), winners

figure, axes = plt.subplots(figsize=(6, 4.4))
axes.plot(truth.ravel(), in_search.ravel(), ".", color="tab:gray", alpha=0.5, label="others")
axes.plot(truth[at_winner], in_search[at_winner], "o", color="tab:orange", label="winners")
ends = [truth.min(), max(truth.max(), in_search.max())]
axes.plot(ends, ends, "k:", linewidth=1, label="no luck")
axes.set(xlabel="accuracy on 1800 fresh rows", ylabel="accuracy on the 100 rows of the search")
axes.set_title(f"n = {REPEATS} searches of {SETTINGS} settings")
axes.legend()
plt.show()

# %%
curse = jnn.stats.t_interval(in_search[at_winner] - truth[at_winner])
of_all = jnn.stats.t_interval((in_search - truth).mean(axis=1))
worth = jnn.stats.paired_comparison(truth[at_winner], truth.mean(axis=1))
deviation = np.sqrt(truth.mean() * (1 - truth.mean()) / 100)
print("search score - truth, of the winners:", curse)
print("search score - truth, mean of all settings:", of_all)
print(f"the bound for {SETTINGS} equal ones: {deviation * np.sqrt(2 * np.log(SETTINGS)):.3f}")
print("truth, winner - mean of all:", worth)
assert curse.low > 0
assert curse.mean < deviation * np.sqrt(2 * np.log(SETTINGS))
assert of_all.low < 0 < of_all.high
if not QUICK:
    assert worth.difference.low > 0

# %% [markdown]
# The search scores of the winners are several percentage points above their true accuracy, and the
# interval is far from zero. The mean over all settings is not too high, because no setting was
# chosen by its score: its interval contains zero. The search was still useful: its winners are
# better than the mean of all settings. But the score by which a search chooses must not be reported
# as the score of its winner.
#
# **Does the way of searching matter?** Random search and halving get the same number of training
# steps in each repeat, and are compared by the scores of their winners on new rows.

# %%
methods = {
    "random": jnn.search.random(batch=TRIALS),
    "halving": jnn.search.halving(batch=27, eta=3, rungs=2),
}
repeats = range(2 if QUICK else 5)
everything = {name: [search(searches[r], by, r) for r in repeats] for name, by in methods.items()}
table = jnn.search.compare(everything)
print(table.round(3).to_string(index=False))
honest = {name: [one.best.interval.mean for one in all_of] for name, all_of in everything.items()}
noise = jnn.stats.paired_comparison(honest["halving"], honest["random"])
print("halving - random:", noise)
if not QUICK:
    assert noise.difference.low < 0 < noise.difference.high

# %% [markdown]
# In five repeats no difference can be seen, although halving tried several times as many settings.
# On the invented curves above it was clearly better: there, early scores predicted the later ones
# well, and the best settings were far ahead. Here, scores on 100 rows are so noisy that both
# methods choose among the good settings mostly by luck. [Search](../../docs/searching.md) has a
# larger comparison, with the same outcome. A new search method should be compared with random
# search at equal steps, over several repeats.
#
# ## Exercises
#
# ### Exercise 1
#
# Check by simulation that 60 random settings contain one of the best 5 % with 95 % probability. How
# many values does a grid of 64 points have in each of six dimensions?

# %% tags=["hide-cell"]
quality = np.random.default_rng(0).random((10_000, 60))  # share of all settings that are worse
share = np.mean(quality.max(axis=1) > 0.95)
print(
    f"{share:.1%} of the searches hold a good setting; the grid has {64 ** (1 / 6):.0f} values each"
)
np.testing.assert_allclose(share, 1 - 0.95**60, atol=0.01)

# %% [markdown]
# ### Exercise 2
#
# How does the winner's curse grow with the number of settings? Take $k$ of the trained settings at
# random, let the best one of them win by its score in the search, and average its score and its
# truth over many draws and all repeats, for $k$ = 1, 5 and 20.

# %% tags=["hide-cell"]
random, gaps = np.random.default_rng(0), []
for k in (1, 5, 20):
    promised, kept = [], []
    for _ in range(500):
        taken = random.choice(SETTINGS, k, replace=False)
        winner = np.arange(REPEATS), taken[in_search[:, taken].argmax(axis=1)]
        promised.append(in_search[winner].mean())
        kept.append(truth[winner].mean())
    gaps.append(np.mean(promised) - np.mean(kept))
    print(f"best of {k}: promised {np.mean(promised):.3f}, kept {np.mean(kept):.3f}")
assert gaps[0] < gaps[1] < gaps[2]

# %% [markdown]
# ### Exercise 3
#
# Halving relies on early scores. Let good settings rise slowly: with the limit $a$, the time
# constant in `score` is $5 + 100 \, (a - 0.75)$ epochs, but at least 1, in place of 5. Does halving
# still find better settings than random search?

# %% tags=["hide-cell"]


def slow_score(limit, epochs, random, noise=0.02):
    time = np.maximum(1, 5 + 100 * (limit - 0.75))
    return limit - 0.3 * np.exp(-epochs / time) + noise * random.normal(size=limit.shape)


losses = []
for _ in range(500):
    limits = 0.8 + 0.05 * random.normal(size=27)
    chosen, spent = halve(limits, random, slow_score)
    affordable = limits[: spent // 27]
    by_random = affordable[np.argmax(slow_score(affordable, 27, random))]
    first, second = (
        slow_score(limit, 27, random, noise=0) for limit in (limits[chosen], by_random)
    )
    losses.append(first - second)
loss_of_halving = jnn.stats.t_interval(losses)
print("score after 27 epochs, halving - random:", loss_of_halving)
assert loss_of_halving.high < 0  # no, it finds worse ones: the good ones were dropped early
