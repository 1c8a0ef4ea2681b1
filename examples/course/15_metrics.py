# %% [markdown]
# # 15. Metrics: what a score says
#
# A network gives a number for each row. A *metric* turns the numbers of many rows into one score.
# Different metrics answer different questions, and with the wrong metric a useless network may have
# a high score. This lesson builds the usual metrics with NumPy, compares them with scikit-learn and
# jnn, and asks whether a difference in a score is real.

# %%
import dataclasses
import functools
import sys

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import sklearn.metrics
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# A classifier looks for one digit, the eight, among 1797 small images of handwritten digits. About
# one image in ten is an eight: the classes are *imbalanced*. The classifier is linear. It is
# trained on one half of the images, and gives each image of the other half a number $z$, its
# *logit*. If $z$ is above a *threshold*, here 0, the answer is "eight". Eights are called
# *positives*, all other digits *negatives*.

# %%
digits = load_digits()
is_eight = (digits.target == 8).astype(int)
order = np.random.default_rng(0).permutation(len(is_eight))
train, test = order[::2], order[1::2]
classifier = LogisticRegression(C=1e4, max_iter=5000).fit(digits.data[train] / 16, is_eight[train])
z = classifier.decision_function(digits.data[test] / 16)
y = is_eight[test]

figure, axes = plt.subplots(figsize=(6, 4))
bins = np.linspace(z.min(), z.max(), 50)
for kind, label, color in [(0, "other digits", "tab:blue"), (1, "eights", "tab:orange")]:
    axes.hist(z[y == kind], bins, color=color, alpha=0.7, label=f"{label}, n = {(y == kind).sum()}")
axes.axvline(0, color="black", linestyle="--", label="threshold")
axes.set(yscale="log", xlabel="logit z", ylabel="images", title="Logits of held-out images")
axes.legend(loc="upper left")
axes.set_ylim(top=200)
plt.show()

# %% [markdown]
# Some eights are on the left of the threshold: they are missed. Some other digits are on the right:
# they are false alarms. Moving the threshold trades one kind of mistake for the other.
#
# ## The derivation
#
# Four counts summarize the answers at one threshold: *true positives* TP (eights that were found),
# *false negatives* FN (eights that were missed), *false positives* FP (false alarms), and *true
# negatives* TN. Together they are the *confusion matrix*. These scores are ratios of them:
#
# $$ \text{accuracy} = \frac{TP + TN}{n} , \qquad
#    \text{precision} = \frac{TP}{TP + FP} , \qquad
#    \text{recall} = \frac{TP}{TP + FN} . $$
#
# Accuracy is the share of right answers. A classifier that always says "no" has an accuracy of
# about 0.9 here, and finds nothing. Precision is the share of alarms that are right, and recall is
# the share of eights that are found. *F1* is the harmonic mean of precision and recall, which is
# low if either of them is low:
#
# $$ F_1 = \frac{2}{\frac{1}{\text{precision}} + \frac{1}{\text{recall}}}
#        = \frac{2}{\frac{TP + FP}{TP} + \frac{TP + FN}{TP}} = \frac{2\,TP}{2\,TP + FP + FN} . $$
#
# **Base rates.** Let $\pi$ be the share of positives, $r$ the recall, and $f = FP / (FP + TN)$ the
# *false positive rate*. Of $n$ rows, $\pi r n$ are right alarms and $(1 - \pi) f n$ are false
# alarms:
#
# $$ \text{precision} = \frac{\pi r}{\pi r + (1 - \pi) f} . $$
#
# Suppose that a medical test finds 90 % of the sick, and gives a false alarm for 5 % of the
# healthy. Its precision is 49 % if one person in twenty is sick ($0.045 / (0.045 + 0.0475)$), and 2
# % if one person in a thousand is sick. The test is the same. So precision and F1 cannot be
# compared between data with different base rates; recall and the false positive rate can.
#
# **All thresholds at once.** As the threshold falls, recall and false positive rate rise from 0
# to 1. The curve of recall against false positive rate is the *ROC curve*. Go through the
# negatives from the highest logit to the lowest. Each one moves the curve to the right by $1 /
# N$, at a height that is the share of positives with a higher logit. So the area under the curve
# is the mean of this share,
#
# $$ \text{AUC} = \frac{1}{P N} \sum_{\text{positives } i} \; \sum_{\text{negatives } j}
#    \big[ z_i > z_j \big] , $$
#
# with $P$ positives, $N$ negatives, and a bracket that is 1 if the inequality holds, and 1/2 for a
# tie. It is the probability that a random positive has a higher logit than a random negative, and
# 1/2 if the logits carry no information. *Average precision* is the mean of the precision over the
# thresholds at which one more positive is found.
#
# **Calibration.** The sigmoid turns a logit into a probability $p$. It is *calibrated* if, of all
# images with $p = 0.8$, 80 % are eights. To measure this, the images are sorted into bins by $p$.
# The *expected calibration error* is the mean gap $|\text{share right} - \text{mean confidence}|$
# over the bins, weighted by the number of images (Guo et al. 2017,
# https://arxiv.org/abs/1706.04599). The *confidence* is the probability of the predicted class,
# $\max(p, 1 - p)$.
#
# **The interval of a share.** A recall $\hat q = k / n$ is a share of $n$ eights. If the true
# recall is $q$, the share has the standard deviation $\sqrt{q (1 - q) / n}$. *Wilson's interval*
# (1927, https://doi.org/10.1080/01621459.1927.10502953) contains all $q$ for which $\hat q$ is at
# most $c = 1.96$ of these deviations away: $(\hat q - q)^2 \le c^2 q (1 - q) / n$. This is a
# quadratic inequality in $q$. The ends of the interval are
#
# $$ q = \frac{\hat q + \frac{c^2}{2n} \pm
#    c \sqrt{\frac{\hat q (1 - \hat q)}{n} + \frac{c^2}{4 n^2}}}{1 + \frac{c^2}{n}} . $$
#
# ## From scratch


# %%
def counts(z, y, threshold=0.0):
    says = z > threshold
    return (says & (y == 1)).sum(), (says & (y == 0)).sum(), (~says & (y == 1)).sum()


def curves(z, y):
    """Return precision, recall and false positive rate at each threshold, the highest first."""
    falling = np.argsort(-z)
    right, false = np.cumsum(y[falling]), np.cumsum(1 - y[falling])
    return right / (right + false), right / y.sum(), false / (1 - y).sum()


def auc(z, y):
    above = z[y == 1][:, None] - z[y == 0]  # [positives, negatives]
    return np.mean((above > 0) + 0.5 * (above == 0))


def calibration_error(z, y, bins=15):
    p = 1 / (1 + np.exp(-z))
    confidence, right = np.maximum(p, 1 - p), (z > 0) == y
    bin_of = np.ceil(confidence * bins)
    gaps = [abs(np.sum((right - confidence)[bin_of == b])) for b in range(bins + 1)]
    return np.sum(gaps) / len(y)


def wilson(k, n, c=1.959964):
    middle, half = k / n + c**2 / (2 * n), c * np.sqrt(k / n * (1 - k / n) / n + (c / n) ** 2 / 4)
    return (middle - half) / (1 + c**2 / n), (middle + half) / (1 + c**2 / n)


tp, fp, fn = counts(z, y)
at_each_precision, at_each_recall, at_each_false_rate = curves(z, y)
ours = {
    "accuracy": np.mean((z > 0) == y),
    "precision": tp / (tp + fp),
    "recall": tp / (tp + fn),
    "f1": 2 * tp / (2 * tp + fp + fn),
    "roc_auc": auc(z, y),
    "average_precision": np.sum(at_each_precision * np.diff(at_each_recall, prepend=0)),
    "calibration_error": calibration_error(z, y),
}
print({name: round(float(value), 3) for name, value in ours.items()})
print(f"always 'no': accuracy {np.mean(y == 0):.3f}, recall 0")
print(f"recall {tp} of {tp + fn}: 95 % interval {np.round(wilson(tp, tp + fn), 3)}")

# %% [markdown]
# scikit-learn gives the same numbers. `jnn.stats` returns the Wilson interval of SciPy, which is
# also the same.

# %%
of = sklearn.metrics
theirs = {name: getattr(of, f"{name}_score") for name in ("accuracy", "precision", "recall", "f1")}
for name, score in theirs.items():
    np.testing.assert_allclose(ours[name], score(y, z > 0))
np.testing.assert_allclose(ours["roc_auc"], of.roc_auc_score(y, z))
np.testing.assert_allclose(ours["average_precision"], of.average_precision_score(y, z))
interval = jnn.stats.proportion_interval(int(tp), int(tp + fn))
np.testing.assert_allclose(wilson(tp, tp + fn), (interval.low, interval.high), rtol=1e-6)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(at_each_false_rate, at_each_recall, label=f"AUC {ours['roc_auc']:.3f}")
left.plot([0, 1], [0, 1], ":", color="gray", label="guesses")
left.plot(fp / (y == 0).sum(), ours["recall"], "ko", label="threshold 0")
left.set(xlabel="false positive rate", ylabel="recall", title=f"ROC, n = {len(y)}")
right.plot(at_each_recall, at_each_precision, label=f"average {ours['average_precision']:.3f}")
right.axhline(y.mean(), linestyle=":", color="gray", label="guesses")
right.plot(ours["recall"], ours["precision"], "ko", label="threshold 0")
right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.03), title=f"Precision, n = {len(y)}")
for axes in (left, right):
    axes.legend(loc="center left" if axes is right else "lower right")
plt.show()

# %% [markdown]
# The ROC curve looks almost perfect: a false positive rate of a few percent is small on this axis.
# But there are about ten negatives for each positive, so these false alarms are a large share of
# all alarms, which precision shows. For imbalanced data, look at both curves.
#
# ## In jnn
#
# The metrics of `jnn.metrics` are functions of logits and labels. A study takes any number of
# metrics, and computes them on held-out rows after each epoch. For the logits from above they give
# the same numbers.

# %%
metrics = {
    "accuracy": jnn.metrics.accuracy,
    "precision": jnn.metrics.precision(average="binary"),
    "recall": jnn.metrics.recall(average="binary"),
    "f1": jnn.metrics.f1(average="binary"),
    "roc_auc": jnn.metrics.roc_auc,
    "average_precision": jnn.metrics.average_precision,
    "calibration_error": jnn.metrics.expected_calibration_error(15),
}
for name, metric in metrics.items():
    np.testing.assert_allclose(metric(jnp.asarray(z), jnp.asarray(y)), ours[name], atol=1e-5)

# %% [markdown]
# The *reliability curve* shows calibration: the share of eights in each bin of $p$. The bars are
# Wilson's intervals, and the dashed line is perfect calibration. A linear layer is trained in jnn
# on 180 images, and another one on all 899 images of the first half, for equally many steps.

# %%
linear = jnn.Study(
    model=functools.partial(jnn.models.MLP, 64, (), 2),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(0.03),
    metrics=metrics,
    epochs=40 if QUICK else 60,
    steps_per_epoch=25,
    batch_size=64,
    evaluate_every=10,
)
data = jnn.Dataset.from_arrays(digits.data / 16, is_eight, name="eights")
few, many = train[:180], train
result = jnn.run(linear, data, jnn.folds([(few, test), (many, test)]))
p = result.predict(data.x[test]).members[:, :, 1]  # the probability of an eight, by each member

figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for axes, shown, rows in zip(panels, p, (few, many), strict=True):
    jnn.plots.reliability(shown, y, bins=5, axes=axes)
    axes.set_xlabel(f"probability of an eight, after {len(rows)} images")
plt.show()

# %% [markdown]
# The network that was trained on 180 images is *overconfident*: of the images to which it gives a
# probability above 0.8, about a quarter are not eights. The other network is closer to the dashed
# line. Where a bin has few images the interval is wide, so read such a curve together with its
# intervals.
#
# ## Is this difference real?
#
# Eights are rare, so they contribute little to the loss. A common remedy is to give each class a
# weight inverse to its share, `class_weights="balanced"`. Does it help? Both studies train on the
# same ten folds, so each metric can be compared fold by fold.

# %%
balanced = dataclasses.replace(linear, class_weights="balanced")
folds = jnn.folds(4 if QUICK else 10)
results = [jnn.run(study, data, folds) for study in (linear, balanced)]
both = jnn.Result.concat(results, classes=["plain", "balanced"])
print(both.summary("f1"))

chosen = ["recall", "precision", "f1", "roc_auc"]
comparisons = {
    name: both.compare({"classes": "balanced"}, {"classes": "plain"}, name) for name in chosen
}
adjusted = jnn.stats.holm([comparison.p_value for comparison in comparisons.values()])
for (name, comparison), p_value in zip(comparisons.items(), adjusted, strict=True):
    print(f"{name}: {comparison.difference}, p = {p_value:.2g} after Holm's correction")
assert comparisons["precision"].difference.high < 0
if not QUICK:
    assert comparisons["recall"].difference.low > 0
    assert adjusted[:2].max() < 0.05
    assert comparisons["roc_auc"].difference.low < 0 < comparisons["roc_auc"].difference.high

figure, axes = plt.subplots(figsize=(6, 3.4))
for place, (name, comparison) in enumerate(comparisons.items()):
    plain, weighted = (result.final()[name].to_numpy().ravel() for result in results)
    of_folds = weighted - plain
    axes.plot(of_folds, np.full(of_folds.size, place - 0.2), "o", color="tab:gray", alpha=0.5)
    mean, low, high, *_ = comparison.difference
    axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color="k", capsize=3)
axes.axvline(0, color="gray", linewidth=1)
axes.set_yticks(range(len(chosen)), chosen)
axes.set(xlabel="balanced - plain", ylim=(-0.6, 3.5))
axes.set_title(f"Each fold (gray), mean and 95 % interval, n = {of_folds.size}")
plt.show()

# %% [markdown]
# Two differences are real: the weights raise recall and lower precision. For the AUC no difference
# can be seen, and its interval is narrow, a fraction of a percentage point to each side. So the
# order of the images by their logits is about the same, and the weights did about what a lower
# threshold does without training. For F1 the mean difference is several percentage points, but one
# end of its interval is close to zero. Ten folds with 17 or 18 eights each do not decide this
# question, least of all after a correction for four comparisons (*Holm's method*, see [lesson
# 25](25_reading_results.ipynb)).
#
# A test set with few positives makes every score uncertain. In the first half of this lesson the
# recall of one classifier, on 85 eights, had an interval almost 20 percentage points wide.
# [Statistics](../../docs/statistics.md) explains the intervals of jnn.
#
# ## Exercises
#
# ### Exercise 1
#
# The recall and the false positive rate of the classifier from the first figure are known. What
# would its precision be if one image in a thousand were an eight? Check the formula with a test set
# in which eights have a smaller weight.

# %% tags=["hide-cell"]
found, alarms = tp / (tp + fn), fp / (y == 0).sum()
rare = 0.001
by_formula = rare * found / (rare * found + (1 - rare) * alarms)
weights = np.where(y == 1, rare / y.mean(), (1 - rare) / (1 - y.mean()))
by_weights = of.precision_score(y, z > 0, sample_weight=weights)
print(f"precision {by_formula:.3f} if one in a thousand is an eight; {ours['precision']:.3f} here")
np.testing.assert_allclose(by_formula, by_weights)
weighted = metrics["precision"](jnp.asarray(z), jnp.asarray(y), jnp.asarray(weights))
np.testing.assert_allclose(weighted, by_formula, rtol=1e-4)

# %% [markdown]
# ### Exercise 2
#
# Choose the threshold that finds 90 % of the eights among the first half of the test images. What
# are recall and precision on the second half? Why must the threshold not be chosen on the images
# with which it is scored?

# %% tags=["hide-cell"]
first, second = slice(None, 449), slice(449, None)
threshold = np.quantile(z[first][y[first] == 1], 0.1)
in_first, in_second = (counts(z[part], y[part], threshold) for part in (first, second))
for name, (hits, false, missed) in [("first", in_first), ("second", in_second)]:
    interval = jnn.stats.proportion_interval(int(hits), int(hits + missed))
    print(f"{name} half: recall {interval}, precision {hits / (hits + false):.2f}")
# The threshold was fitted to the first half: its recall there is 90 % by choice, and measures
# nothing. On the second half it is a measurement, with an interval.
assert abs(in_first[0] / (in_first[0] + in_first[2]) - 0.9) < 0.03
assert in_second[0] > counts(z[second], y[second])[0]  # a lower threshold finds more

# %% [markdown]
# ### Exercise 3
#
# *Temperature scaling* divides all logits by one number $T$, chosen to minimize the cross-entropy
# on rows that were not trained on. Apply it to the network that saw 180 images: choose $T$ on the
# first half of the test images. Does the cross-entropy of the second half fall? Does the AUC
# change?

# %% tags=["hide-cell"]
outputs = result.outputs(data.x[test])[0]  # [rows, 2] of the first member
logit = outputs[:, 1] - outputs[:, 0]


def cross_entropy(temperature, part):
    return float(jnn.metrics.log_loss(jnp.asarray(logit[part] / temperature), jnp.asarray(y[part])))


temperatures = np.geomspace(0.5, 20, 60)
best = temperatures[np.argmin([cross_entropy(t, first) for t in temperatures])]
before, after = cross_entropy(1.0, second), cross_entropy(best, second)
print(f"T = {best:.1f}: cross-entropy {before:.3f} before, {after:.3f} after")
assert best > 1  # the network was overconfident
assert after < before
np.testing.assert_allclose(auc(logit[second] / best, y[second]), auc(logit[second], y[second]))
