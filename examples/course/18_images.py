# %% [markdown]
# # 18. Classifying images
#
# What is in the picture? This lesson trains a small convolutional network and a linear model on
# photographs of clothes. Then it looks at the answers: which clothes are confused, whether mirrored
# images help in training, and how uncertain a score on 1000 images is.

# %%
import functools
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import sklearn.metrics

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# *Fashion-MNIST* ([Xiao et al. 2017](https://arxiv.org/abs/1708.07747)) has 70,000 gray photographs
# of ten kinds of clothes, 28 by 28 pixels each. Here 3000 of them are training images and 1000 test
# images, so the lesson takes about a minute. If the files are neither here nor can be downloaded,
# the lesson uses the digits of scikit-learn, enlarged.

# %%
random = np.random.default_rng(0)
TRAIN, TEST = (600, 300) if QUICK else (3000, 1000)
try:
    everything = jnn.data.load("fashion_mnist", split="all")
    train, test = everything.splits[0]  # as published
except FileNotFoundError:
    digits = jnn.data.load("digits")
    large = digits.x.reshape(-1, 8, 8).repeat(3, axis=1).repeat(3, axis=2)
    large = np.pad(large, [(0, 0), (2, 2), (2, 2)])[..., None]
    everything = jnn.Dataset.from_arrays(large, digits.y, name="digits")
    train, test = np.split(random.permutation(len(digits.y)), [1300])
is_fashion = everything.name == "fashion_mnist"
rows = np.concatenate([random.permutation(train)[:TRAIN], random.permutation(test)[:TEST]])
data = everything.take(rows)
train, test = np.arange(min(TRAIN, len(train))), np.arange(min(TRAIN, len(train)), len(rows))
names = data.target_names
print(f"{data.name}: {len(train)} images train, {len(test)} test")

figure, axes = plt.subplots(2, 10, figsize=(9, 2.6))
for kind, name in enumerate(names):
    for panel, image in zip(axes[:, kind], data.x[data.y == kind][:2], strict=True):
        panel.imshow(image[..., 0], cmap="gray")
        panel.set(xticks=[], yticks=[])
    axes[0, kind].set_title(name, size=9)
figure.suptitle("Two images of each class")
figure.tight_layout()
plt.show()

# %% [markdown]
# To a program, an image is a table of numbers. The network turns it into ten numbers, the *logits*,
# one for each class. The softmax turns the logits into probabilities.
#
# ## The derivation
#
# A linear model has the logits $z_k = x \cdot w_k + b_k$, where $x$ holds all 784 pixels in a row.
# The softmax gives $p_k = e^{z_k} / \sum_l e^{z_l}$. The loss is the cross-entropy $L = -\log p_y$
# of the right class $y$. Since $\log p_y = z_y - \log \sum_l e^{z_l}$, its slope is
#
# $$ \frac{\partial L}{\partial z_k} = p_k - 1_{k=y} , \qquad
#    \frac{\partial L}{\partial w_k} = (p_k - 1_{k=y}) \, x . $$
#
# So each class has one template $w_k$, and the answer is the class whose template matches the image
# best. A convolutional network ([lesson 12](12_convolutions.ipynb)) replaces the pixels $x$ by
# learned features that depend less on the exact place.
#
# *Augmentation.* A mirrored boot is still a boot. If a change $T$ of the image does not change its
# class, then the loss should be small for the changed images too. So train on the mean over such
# changes, $\mathbb{E}_T \, L(T x, y)$. Drawing a new $T$ for each image in each step estimates this
# mean without bias, and needs no more steps.
#
# *Two kinds of luck.* The accuracy $\hat p$ on $n$ test images is a mean of $n$ numbers that are 1
# with probability $p$ and 0 otherwise. One such number has variance
# $p (1 - p)^2 + (1 - p) p^2 = p (1 - p)$, so that
#
# $$ \text{standard error} = \sqrt{\frac{p (1 - p)}{n}} , $$
#
# about one percentage point for $p = 0.85$ and $n = 1000$. This is the luck of *which images* are
# in the test set. It does not shrink when more networks are trained. The other luck is that of the
# *seed*: the initial weights and the order of the images. More seeds reduce this one.
#
# ## From scratch
#
# The linear model by gradient descent, and the *confusion matrix*: row $i$, column $j$ counts the
# images of class $i$ for which the answer is class $j$.


# %%
def probabilities(kernel, bias, x):
    z = x @ kernel + bias
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gradient(kernel, bias, x, y):
    error = probabilities(kernel, bias, x) - np.eye(10)[y]
    return x.T @ error / len(y), error.mean(axis=0)


def descend(x, y, steps, rate):
    kernel, bias = np.zeros((x.shape[1], 10)), np.zeros(10)
    for _ in range(steps):
        of_kernel, of_bias = gradient(kernel, bias, x, y)
        kernel, bias = kernel - rate * of_kernel, bias - rate * of_bias
    return kernel, bias


def confusions(truth, answers):
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (truth, answers), 1)
    return counts


flat = data.x.reshape(len(data.x), -1)
kernel, bias = descend(flat[train], data.y[train], steps=50, rate=0.1)
answers = probabilities(kernel, bias, flat[test]).argmax(axis=1)
counts = confusions(data.y[test], answers)
print(f"linear, 50 steps: {np.trace(counts) / len(test):.1%} right")
np.testing.assert_array_equal(counts, sklearn.metrics.confusion_matrix(data.y[test], answers))


def loss_in_jax(kernel, bias):
    losses = jnn.losses.softmax_cross_entropy(flat[train] @ kernel + bias, data.y[train])
    return losses.mean()


slopes = jax.grad(loss_in_jax, (0, 1))(jnp.asarray(kernel), jnp.asarray(bias))
for mine, other in zip(gradient(kernel, bias, flat[train], data.y[train]), slopes, strict=True):
    np.testing.assert_allclose(mine, other, atol=1e-5)

# %% [markdown]
# ## In jnn
#
# The same model takes the same steps in jnn. `jnn.folds` with one pair of lists of rows means:
# train on the first, and test on the second.


# %%
def init_linear(key, x):
    return {"kernel": jnp.zeros((784, 10)), "bias": jnp.zeros(10)}


def linear(params, x):
    return jnn.layers.dense(x.reshape(len(x), -1), **params)


fold = jnn.folds([(train, test)])
by_hand = jnn.Study(
    model=(init_linear, linear),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.sgd(0.1),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=50,
    batch_size=len(train),  # all images in each step, as above
    evaluate_every=50,
)
same = jnn.run(by_hand, data, fold)
np.testing.assert_allclose(same.trained.params["kernel"][0], kernel, atol=1e-4)
print("jnn takes the same 50 steps")

# %% [markdown]
# Now train both models for longer, in batches of 50 with Adam. `jnn.models.LeNet` has two
# convolutions with pooling and two dense layers. Training images are mirrored with the probability
# `h.flip_rate`, a number of the member, so networks with and without mirrored images train
# together.


# %%
def mirror(batch, *, key, h):
    return batch._replace(x=jnn.augment.flip(batch.x, h.flip_rate, key=key))


def make_study(model, rate):
    return jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=4 if QUICK else 8,
        batch_size=50,
        augment=mirror,
    )


lenet = functools.partial(jnn.models.LeNet, (28, 28, 1), 10, maps=(8, 16), hidden=32)
members = jnn.seeds(2 if QUICK else 5) * fold * jnn.grid(flip_rate=[0.0, 0.5])
of_linear = jnn.run(make_study((init_linear, linear), 1e-3), data, members)
of_lenet = jnn.run(make_study(lenet, 3e-3), data, members)

# %% [markdown]
# ## Is this difference real?
#
# First the luck of the seed: all members are scored on the same images.

# %%
both = jnn.Result.concat([of_linear, of_lenet], model=["linear", "LeNet"])
print(both.summary("accuracy"))
plain_linear, plain_lenet = ({"model": m, "flip_rate": 0.0} for m in ("linear", "LeNet"))
gain = both.compare(plain_lenet, plain_linear, "accuracy")
flips = of_lenet.compare({"flip_rate": 0.5}, {"flip_rate": 0.0}, "accuracy")
print("LeNet - linear:", gain)
print("LeNet, mirrored - not:", flips)

figure, axes = plt.subplots(figsize=(6, 4))
for column, result in enumerate([of_linear, of_lenet]):
    for rate, color in [(0.0, "tab:blue"), (0.5, "tab:orange")]:
        scores = result.final()["accuracy"].sel(flip_rate=rate).values.ravel()
        place = column + (rate - 0.25) * 0.6
        axes.plot(np.full(len(scores), place), scores, "o", color=color, alpha=0.6)
        axes.text(place, scores.min() - 0.006, f"flips {rate:g}", ha="center", va="top", size=9)
axes.set_xticks([0, 1], ["linear", "LeNet"])
axes.set(xlim=(-0.5, 1.5), ylabel="accuracy", title=f"A point is a seed, n = {len(scores)} each")
axes.margins(y=0.15)
plt.show()

# %% [markdown]
# The interval of LeNet - linear is above zero: with other seeds, LeNet would be better too. For
# LeNet on clothes, the interval of mirrored - not contains zero: these seeds do not show whether
# mirrored images help. The linear model scores lower with mirrored images: its one template of a
# sneaker must now match sneakers that point to the left and to the right. (A mirrored digit is
# mostly not a digit. If the digits replace the clothes, both models score lower with mirrored
# images.)
#
# Would LeNet also be better on other *images*? More seeds cannot answer this, but the differences
# between images can. For each image, take the share of members that are right, for LeNet minus for
# the linear model. Then compute the interval of the mean over images.

# %%
truth = data.y[test]


def right(result):
    """Return whether each member is right about each test image, [members, images]."""
    return result.select(flip_rate=0.0).predict(data.x[test]).members.argmax(axis=-1) == truth


right_linear, right_lenet = right(of_linear), right(of_lenet)
one = jnn.stats.proportion_interval(int(right_lenet[0].sum()), len(test))
over_images = jnn.stats.t_interval(
    right_lenet.mean(axis=0, dtype=float) - right_linear.mean(axis=0, dtype=float)
)
print("one LeNet, over images:", one)
print("LeNet - linear, over images:", over_images)
assert min(right_lenet.mean(), right_linear.mean()) > 0.6
if not QUICK:
    assert gain.difference.low > 0 and over_images.low > 0
if is_fashion and not QUICK:
    assert flips.difference.low <= 0 <= flips.difference.high

# %% [markdown]
# Because there are only 1000 images, the score of one LeNet is uncertain by about two percentage
# points, for any number of seeds. The *difference* of two models on the same images is more certain
# than it would be on different images, because a hard image is hard for both. Both intervals of the
# difference, over seeds and over images, are above zero: LeNet is better than the linear model on
# these data. Many seeds on one small test set measure only one of the two kinds of luck.
#
# Which classes are confused? The matrix is the mean over the seeds, in percent of the true class.

# %%
answers = of_lenet.select(flip_rate=0.0).predict(data.x[test]).members.argmax(axis=-1)
mean_counts = np.mean([confusions(truth, of_member) for of_member in answers], axis=0)
shares = 100 * mean_counts / mean_counts.sum(axis=1, keepdims=True)
figure, axes = plt.subplots(figsize=(6.4, 5.4))
axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
for i, j in np.ndindex(10, 10):
    if shares[i, j] >= 1:
        color = "white" if shares[i, j] > 50 else "black"
        axes.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", size=9, color=color)
axes.set_xticks(range(10), names, rotation=45, ha="right")
axes.set_yticks(range(10), names)
axes.set(
    xlabel="answer",
    ylabel="truth",
    title=f"LeNet, percent of a row, n = {len(answers)} seeds, {len(test)} images",
)
figure.tight_layout()
plt.show()

# %% [markdown]
# Of the clothes, shirts are the hardest: the answers for them are often T-shirt, pullover or coat.
# The accuracy alone does not show this. For trousers and bags, nearly all answers are right. (There
# are about 100 images of each class, so one percent is one image.)
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# The *recall* of a class is the share of its images for which the answer is right. The *precision*
# is the share of right answers among the answers with this class. Compute both from the matrix of
# the linear model, and check them with scikit-learn. Which class has the lowest recall?

# %% tags=["hide-cell"]
recall = np.diag(counts) / counts.sum(axis=1)
precision = np.diag(counts) / np.maximum(counts.sum(axis=0), 1)  # 0 for a class never answered
linear_answers = probabilities(kernel, bias, flat[test]).argmax(axis=1)
report = sklearn.metrics.precision_recall_fscore_support(truth, linear_answers, zero_division=0)
np.testing.assert_allclose(precision, report[0])
np.testing.assert_allclose(recall, report[1])
print(f"lowest recall: {names[recall.argmin()]}, {recall.min():.0%}")

# %% [markdown]
# ### Exercise 2
#
# An *ensemble* averages the probabilities of all members. Is it more accurate than its members are
# on average?

# %% tags=["hide-cell"]
prediction = of_lenet.select(flip_rate=0.0).predict(data.x[test])
of_ensemble = np.mean(prediction.mean.argmax(axis=-1) == truth)
print(f"members {right_lenet.mean(axis=1).round(3)}, ensemble {of_ensemble:.3f}")
assert of_ensemble >= right_lenet.mean(axis=1).min()
if not QUICK:
    assert of_ensemble > right_lenet.mean()

# %% [markdown]
# ### Exercise 3
#
# How many test images are needed so that the interval of an accuracy of 85 % is at most one
# percentage point wide to each side? Check it with `jnn.stats.proportion_interval`.

# %% tags=["hide-cell"]
needed = int(np.ceil(0.85 * 0.15 * (1.96 / 0.01) ** 2))  # 1.96 standard errors are one point
interval = jnn.stats.proportion_interval(round(0.85 * needed), needed)
print(f"{needed} images: {interval}")
assert abs((interval.high - interval.low) / 2 - 0.01) < 1e-3
