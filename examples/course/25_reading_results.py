# %% [markdown]
# # 25. How to read other people's results
#
# Papers, blogs and colleagues report numbers, and say that their method is better. Even with the
# best intentions such a claim can be wrong, because the role of luck in a number is easy to
# overlook. This last lesson simulates a paper whose method does almost nothing, prints the table in
# which it wins, and examines this table. It ends with a checklist.

# %%
import functools
import sys

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
# Two methods have exactly the same true accuracy, 0.90, and by the luck of the seed each training
# has an accuracy within a few percentage points of it. A paper reports one training of each method.
# The histogram shows the differences that 1000 such papers would report. Half of them report a
# gain.

# %%
random = np.random.default_rng(0)
of_baseline, of_method = 0.90 + 0.01 * random.normal(size=(2, 1000))
best_of_5 = 0.90 + 0.01 * random.normal(size=(1000, 5)).max(axis=1)

figure, axes = plt.subplots(figsize=(6, 3.6))
bins = np.linspace(-0.05, 0.06, 45)
for method, label in [(of_method, "one training of each"), (best_of_5, "best of 5 against one")]:
    share = np.mean(method > of_baseline)
    axes.hist(method - of_baseline, bins, alpha=0.6, label=f"{label}: {share:.0%} report a gain")
axes.axvline(0, color="black", linewidth=1)
axes.set(xlabel="reported difference in accuracy", ylabel="papers", ylim=(0, 130))
axes.set_title("Two equal methods, n = 1000 papers")
axes.legend()
plt.show()
assert 0.45 < np.mean(of_method > of_baseline) < 0.55 < np.mean(best_of_5 > of_baseline)

# %% [markdown]
# ## The derivation
#
# **Standard deviation and standard error.** Scores $s_1, \ldots, s_n$ of $n$ independent trainings
# have the variance $\sigma^2$. Variances of independent numbers add up, and a factor $c$ multiplies
# the variance by $c^2$:
#
# $$ \text{Var}\Big( \frac{1}{n} \sum_i s_i \Big) = \frac{1}{n^2} \, n \sigma^2
#    = \frac{\sigma^2}{n} . $$
#
# The *standard deviation* $\sigma$ says how much trainings differ; more trainings do not change it.
# The *standard error* $\sigma / \sqrt{n}$ says how far the mean may be off; it falls with $n$. The
# 95 % interval is the mean $\pm t_{n-1}$ standard errors, where $t_{n-1}$ is 2.8 for $n = 5$, and
# close to 2 for large $n$. A "±" may be any of these three, and a paper must say which.
#
# **Paired and unpaired.** If scores $a$ and $b$ of two methods have deviations $\sigma_a$,
# $\sigma_b$ and the correlation $\rho$,
#
# $$ \text{Var}(a - b) = \sigma_a^2 + \sigma_b^2 - 2 \rho \, \sigma_a \sigma_b . $$
#
# Scores on the same fold are correlated, because an easy fold is easy for both. With $\sigma_a =
# \sigma_b$ and $\rho = 0.9$ the variance of the difference is a tenth of the unpaired one. So the
# intervals of two means may overlap although the paired difference is clear. Test the difference,
# and do not compare the intervals by eye.
#
# **The best of many.** The best of $k$ settings is lucky, on average by up to $\sigma \sqrt{2 \log
# k}$, see [lesson 24](24_search.ipynb). If one method has 20 settings to choose from and the other
# has one, the first has an advantage before anything is trained. The expected best of $k$ draws
# without replacement from scores $s_{(1)} \le \ldots \le s_{(n)}$ follows from counting: the $i$-th
# score is the best if it is drawn and all others drawn are below it,
#
# $$ E \max_k = \sum_{i=k}^n \binom{i - 1}{k - 1} \Big/ \binom{n}{k} \; s_{(i)} . $$
#
# With it, methods can be compared at the same number of settings (Dodge et al. 2019,
# https://arxiv.org/abs/1909.03004; in this form Tang et al. 2020,
# https://arxiv.org/abs/2004.13705). The same luck arises if a test set is used again and again, and
# changes are kept when the score rises.
#
# **Many comparisons.** If there is no difference, a test at the level $\alpha = 5\,\%$ still finds
# one 5 times in 100. Among $m$ such independent tests, at least one finds a difference with
# probability $1 - 0.95^m$: 40 % for ten. *Holm's method* (1979,
# https://www.jstor.org/stable/4615733) sorts the p-values. It accepts the difference with the
# smallest one if $p_{(1)} \le \alpha / m$, the next if also $p_{(2)} \le \alpha / (m - 1)$, and so
# on, and stops at the first that fails. The probability of any wrong claim is then at most
# $\alpha$, for this reason. Let there be no difference in $m_0$ of the $m$ comparisons. Consider
# the first of these that is wrongly claimed, at place $i$. The $i - 1$ claims before it are of real
# differences, so $i - 1 \le m - m_0$, and its p-value is at most $\alpha / (m - i + 1) \le \alpha /
# m_0$. The probability that any of the $m_0$ p-values is so small is at most $m_0 \cdot \alpha /
# m_0 = \alpha$.
#
# ## From scratch


# %%
def interval(scores, confidence=0.95):
    n = len(scores)
    error = np.std(scores, ddof=1) / np.sqrt(n)
    half = scipy.stats.t.ppf((1 + confidence) / 2, n - 1) * error
    return np.mean(scores) - half, np.mean(scores) + half


def p_value(differences):
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    return 2 * scipy.stats.t.sf(abs(np.mean(differences)) / error, len(differences) - 1)


def holm(p_values):
    order, adjusted, largest = np.argsort(p_values), np.empty(len(p_values)), 0.0
    for place, which in enumerate(order):
        largest = max(largest, min(1, p_values[which] * (len(p_values) - place)))
        adjusted[which] = largest
    return adjusted


def expected_best(scores, k):
    n, rising = len(scores), np.sort(scores)
    chances = [scipy.special.comb(i, k - 1) / scipy.special.comb(n, k) for i in range(n)]
    return np.sum(chances * rising)


a, b = 0.4 * random.normal(size=(2, 12)) + np.linspace(0, 3, 12)  # twelve folds, easy and hard ones
ours = jnn.stats.t_interval(a)
np.testing.assert_allclose(interval(a), (ours.low, ours.high))
np.testing.assert_allclose(p_value(a - b), scipy.stats.ttest_rel(a, b).pvalue)
np.testing.assert_allclose(p_value(a - b), jnn.stats.paired_comparison(a, b).p_value)
some = [0.04, 0.01, 0.6, 0.03]
np.testing.assert_allclose(holm(some), jnn.stats.holm(some))
draws = [random.choice(a, 4, replace=False).max() for _ in range(20_000)]
np.testing.assert_allclose(expected_best(a, 4), np.mean(draws), atol=0.02)
gap = a - b
print(f"unpaired deviation {np.sqrt(a.var() + b.var()):.2f}, paired {gap.std():.2f}")
print(f"p-values {some} by Holm: {holm(some).round(2)}")

# %% [markdown]
# ## In jnn
#
# The paper proposes *DecayNet*: a network with one hidden layer, trained by AdamW with the weight
# decay 0.01. The *baseline* is the same network without decay. In so few epochs, so little decay
# changes almost nothing, but the authors do not know that. For each data set they report the
# accuracy on one test set:
#
# - the baseline "with its default step size 0.001", trained once;
# - DecayNet with the best of five step sizes and of several seeds, as seen on the test set.
#
# For each data set, one population contains everything that they could have trained, and what they
# should have trained: all seeds, five folds, and all settings.

# %%
NAMES = ["iris", "digits"] if QUICK else ["iris", "wine", "breast_cancer", "digits"]
RATES, DECAYS = [0.0003, 0.001, 0.003, 0.01, 0.03], [0.0, 0.01]
SEEDS, FOLDS = (3 if QUICK else 5), 5


def study_of(data):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, data.x.shape[1], (32,), data.classes),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adamw(h.rate, weight_decay=h.decay),
        metrics={"accuracy": jnn.metrics.accuracy},
        inputs=jnn.preprocess.standardize,
        epochs=20,
        batch_size=32,
        evaluate_every=20,
    )


members = jnn.seeds(SEEDS) * jnn.folds(FOLDS) * jnn.grid(rate=RATES, decay=DECAYS)
results = {}
for name in NAMES:
    data = jnn.data.load(name)
    results[name] = jnn.run(study_of(data), data.take(np.arange(data.rows)[-600:]), members)
scores = {}  # [seeds, folds, rates, decays]
for name, result in results.items():
    final = result.final()["accuracy"].transpose("seed", "fold", "rate", "decay")
    scores[name] = final.to_numpy().astype(np.float64)

DEFAULT = RATES.index(0.001)
print(f"{'Table 1':14} baseline  DecayNet")
printed = {}
for name, of_all in scores.items():
    test = of_all[:, 0]  # the one test set of the paper: fold 0
    baseline, proposed = test[0, DEFAULT, 0], test[:, :, 1].max()
    printed[name] = proposed - baseline
    print(f"{name:14} {baseline:.3f}     {proposed:.3f}")
assert all(gain >= 0 for gain in printed.values()) and sum(printed.values()) > 0

# %% [markdown]
# In this table DecayNet is never worse, and every digit is correct. But the table has no intervals,
# and does not say how many seeds there were.
#
# ## Is this difference real?
#
# Now the table is corrected, one step after the other:
#
# 1. Both methods get all seeds, and the mean over the seeds counts, not the best seed.
# 2. Both methods get the same step sizes to choose from.
# 3. The step size is chosen on the other folds, never on the rows that score it.


# %%
def chosen_on_others(of_method):
    """Return the score of each fold, [folds], with the rate that is best on the other folds."""
    of_folds = of_method.mean(axis=0)  # [folds, rates]
    others = [np.delete(of_folds, fold, axis=0).mean(axis=0) for fold in range(FOLDS)]
    return np.array([of_folds[fold, rate.argmax()] for fold, rate in enumerate(others)])


gains = {"as printed": list(printed.values()), "all seeds": [], "same rates": [], "all folds": []}
pairs = {}
for name, of_all in scores.items():
    baseline, proposed = of_all[..., 0], of_all[..., 1]  # [seeds, folds, rates]
    of_seeds = baseline[:, 0].mean(axis=0), proposed[:, 0].mean(axis=0)  # fold 0, [rates]
    gains["all seeds"].append(of_seeds[1].max() - of_seeds[0][DEFAULT])
    gains["same rates"].append(of_seeds[1].max() - of_seeds[0].max())
    pairs[name] = chosen_on_others(proposed), chosen_on_others(baseline)
    gains["all folds"].append(np.mean(pairs[name][0] - pairs[name][1]))

figure, axes = plt.subplots(figsize=(6, 3.6))
for place, found in enumerate(gains.values()):
    axes.plot(np.full(len(found), place), found, "o", color="tab:gray", alpha=0.6)
    axes.plot(place, np.mean(found), "_", color="tab:orange", markersize=30, markeredgewidth=3)
axes.axhline(0, color="black", linewidth=1)
axes.set_xticks(range(len(gains)), gains)
axes.set(ylabel="accuracy, DecayNet - baseline")
axes.set_title(f"n = {len(NAMES)} data sets (gray), and their mean, after each repair")
plt.show()

# %%
tests = {}
for name, (proposed, baseline) in pairs.items():
    rows = results[name].schema.train_rows, results[name].schema.test_rows
    tests[name] = jnn.stats.paired_comparison(proposed, baseline, *rows)
adjusted = jnn.stats.holm([test.p_value for test in tests.values()])
for (name, test), p in zip(tests.items(), adjusted, strict=True):
    print(f"{name}: {test.difference}, p = {p:.2g} by Holm")
assert adjusted.min() > 0.05
assert np.mean(gains["as printed"]) > abs(np.mean(gains["all folds"]))

tuned, default = {"rate": 0.01, "decay": 0.0}, {"rate": 0.001, "decay": 0.0}
of_rates = {name: result.compare(tuned, default) for name, result in results.items()}
adjusted_rates = jnn.stats.holm([test.p_value for test in of_rates.values()])
for (name, test), p in zip(of_rates.items(), adjusted_rates, strict=True):
    print(f"{name}, step size 0.01 - 0.001: {test.difference}, p = {p:.2g} by Holm")
assert adjusted_rates.min() < 0.05

# %% [markdown]
# The second correction removes most of the gain: DecayNet had five step sizes to choose from, and
# the baseline had one. After all corrections, every interval contains zero. The paper did find
# something, which it did not claim: the last comparison, with all seeds and folds, shows that the
# larger step size is better than the default on some of the data sets, also after Holm's
# correction. So the gain came from tuning, and the baseline was not tuned.
#
# **A checklist.** For each number that claims to be better, ask:
#
# 1. *How many?* From how many trainings is it, with which seeds and which splits?
# 2. *Which one?* Is it the mean of all trainings, or the best of them?
# 3. *± what?* A standard deviation, a standard error, or an interval, and over what?
# 4. *Against what?* Was the baseline trained by the same people, on the same rows, with as many
#    settings to choose from?
# 5. *Chosen by what?* Did the rows that score it also choose its settings or its epoch?
# 6. *Paired?* Was the difference tested, or were two intervals compared by eye?
# 7. *How many questions?* How many data sets, metrics and variants were compared, and were the
#    p-values corrected?
# 8. *How large?* Is a difference that is real also large enough to matter?
# 9. *Reproducible?* Are code and data available to train it again?
#
# For your own results, [Statistics](../../docs/statistics.md) says which interval to use.
# Bouthillier et al. (2021, https://arxiv.org/abs/2103.03098) measure where the variance in
# benchmarks comes from.
#
# ## Exercises
#
# ### Exercise 1
#
# A paper reports 0.91 ± 0.02 for its method and 0.89 ± 0.02 for another one, with 5 seeds each, and
# does not say what "±" is. Compute the p-value of the difference if it is a standard deviation, a
# standard error, or half of a 95 % interval. Does the answer depend on it?

# %% tags=["hide-cell"]
deviations = {
    "standard deviation": 0.02,
    "standard error": 0.02 * np.sqrt(5),
    "half of an interval": 0.02 / scipy.stats.t.ppf(0.975, 4) * np.sqrt(5),
}
p_values = {
    name: scipy.stats.ttest_ind_from_stats(0.91, std, 5, 0.89, std, 5, equal_var=False).pvalue
    for name, std in deviations.items()
}
print({name: round(float(p), 2) for name, p in p_values.items()})
assert min(p_values.values()) > 0.05  # by no reading is there a difference to be seen
assert p_values["standard error"] > p_values["standard deviation"] > 0.1

# %% [markdown]
# ### Exercise 2
#
# Simulate 2000 papers that each test 20 tricks, all of them useless, with 10 paired differences per
# trick. How many papers find at least one "significant" trick at the level of 5 %, and how many
# after Holm's correction?

# %% tags=["hide-cell"]
random = np.random.default_rng(0)
found, found_by_holm = 0, 0
for differences in random.normal(size=(2000, 20, 10)):
    errors = differences.std(axis=1, ddof=1) / np.sqrt(10)
    p_values = 2 * scipy.stats.t.sf(np.abs(differences.mean(axis=1)) / errors, 9)
    found += p_values.min() < 0.05
    found_by_holm += holm(p_values).min() < 0.05
print(f"{found / 2000:.0%} without correction, {found_by_holm / 2000:.1%} with it")
np.testing.assert_allclose(found / 2000, 1 - 0.95**20, atol=0.03)
assert found_by_holm / 2000 < 0.065

# %% [markdown]
# ### Exercise 3
#
# A contest shows the accuracy of each submission on a test set of 500 rows with two classes. Submit
# 1000 vectors of random answers, keep those that scored above one half, and submit their majority
# vote (Blum and Hardt 2015, https://arxiv.org/abs/1502.04585). What accuracy does the contest show,
# and what is the accuracy on 500 rows that were not used?

# %% tags=["hide-cell"]
truth = random.integers(2, size=1000)  # 500 rows of the contest, and 500 unseen ones
submissions = random.integers(2, size=(1000, 1000))  # [submissions, rows]
shown = np.mean(submissions[:, :500] == truth[:500], axis=1)
vote = (submissions[shown > 0.5].mean(axis=0) > 0.5).astype(int)
in_contest, unseen = np.mean(vote[:500] == truth[:500]), np.mean(vote[500:] == truth[500:])
print(f"best single one {shown.max():.3f}; the vote: {in_contest:.3f} shown, {unseen:.3f} unseen")
assert in_contest > shown.max()
interval_of_unseen = jnn.stats.proportion_interval(round(unseen * 500), 500)
assert interval_of_unseen.low < 0.5 < interval_of_unseen.high
