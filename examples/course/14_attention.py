# %% [markdown]
# # 14. Attention
#
# A recurrent network must store all that it has read in one state. *Attention* keeps every input,
# and looks up what it needs. It was first added to recurrent networks for translation ([Bahdanau et
# al. 2014](https://arxiv.org/abs/1409.0473)). The *transformer* uses attention without recurrence
# ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)), and is the basis of today's language
# models. This lesson derives attention, writes it in a few lines of NumPy, and shows what a trained
# network attends to.

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
# Think of a dictionary in Python. You have a *query*, compare it with every *key*, and take the
# *value* of the key that matches. Attention is a soft dictionary. Queries and keys are lists of
# numbers, and their dot product says how well they match. The result is a weighted mean of all
# values, in which the values of matching keys have larger weights.

# %%
words = ["the", "cat", "drank", "the", "milk", "because", "it", "was", "thirsty"]
fits = np.array([0.0, 3.0, 0.5, 0.0, 2.0, 0.0, 1.0, 0.0, 0.5])  # of the query of "it" and each key
weights = np.exp(fits) / np.exp(fits).sum()

figure, axes = plt.subplots(figsize=(9, 3))
for place, (word, weight) in enumerate(zip(words, weights, strict=True)):
    axes.annotate("", (place, 0.85), (6, 0.15), arrowprops={"arrowstyle": "-", "lw": 8 * weight})
    axes.text(place, 1, word, ha="center", va="center", size=12)
    axes.text(place, 1.2, f"{weight:.2f}", ha="center", color="tab:blue")
axes.text(6, 0, "it", ha="center", va="center", size=12)
axes.set(xlim=(-0.5, 8.5), ylim=(-0.15, 1.35), title="What 'it' might look at (invented numbers)")
axes.axis("off")
plt.show()

# %% [markdown]
# The new features of a word are the weighted mean of the features of all words. So "it" becomes
# something like "the cat, perhaps the milk". Each word is used directly, however many words are in
# between.
#
# ## The derivation
#
# A text of $n$ words is a matrix $X$ with a row of $d$ features for each. Three learned matrices
# make the queries, keys and values:
#
# $$ Q = X W_q , \qquad K = X W_k , \qquad V = X W_v . $$
#
# The *score* of query $i$ and key $j$ is their dot product $s_{ij} = q_i \cdot k_j$. The weights
# must be positive, and those of one query must add up to 1. The *softmax* of each row of scores, as
# in [lesson 6](06_activations.ipynb), has both properties:
#
# $$ a_{ij} = \frac{e^{s_{ij}}}{\sum_l e^{s_{il}}} , \qquad y_i = \sum_j a_{ij} v_j . $$
#
# *Why divide by $\sqrt d$?* Let the $d$ numbers in $q$ and $k$ be independent, with mean 0 and
# variance 1. Each product $q_m k_m$ then has mean 0 and variance $1 \cdot 1 = 1$. Variances of
# independent numbers add up:
#
# $$ \operatorname{Var}(q \cdot k) = \sum_{m=1}^{d} \operatorname{Var}(q_m k_m) = d . $$
#
# So the size of the scores is about $\sqrt d$. With $d = 256$ this is 16, and $e^{16}$ is nine
# million, so one weight is nearly 1 and all others are nearly 0. Then little is learned, because
# the slope of the softmax
#
# $$ \frac{\partial a_{ij}}{\partial s_{il}} = a_{ij} \, (1_{j=l} - a_{il}) $$
#
# vanishes where each $a$ is 0 or 1. Divided by $\sqrt d$, the scores have variance 1 for every $d$:
#
# $$ Y = \operatorname{softmax}\!\Big( \frac{Q K^\top}{\sqrt d} \Big) V . $$
#
# *Several heads.* One softmax gives one set of weights for each query. To look up several things at
# once, the features are cut into $h$ groups of $d / h$. Each group is a *head*, which has its own
# attention, with $\sqrt{d / h}$ in place of $\sqrt d$. The results are concatenated. (Vaswani et
# al. multiply them by a fourth matrix. Here the layer that follows does that.)
#
# *Masks.* A *mask* says which keys a query may see. The scores of hidden keys are set to $-\infty$,
# so their weights are $e^{-\infty} = 0$. A language model must not see the words that it has to
# predict. Its *causal* mask hides all keys after the query.
#
# *Positions.* Without a mask, if two words swap places, their rows of $Y$ swap places, and nothing
# else changes, because the sum over $j$ has no order. If the order matters, the features must
# contain the place. One way is to add a vector $p_t$ of sines and cosines to the word at place $t$:
#
# $$ p_{t,2m} = \sin(t / 10000^{2m/d}) , \qquad p_{t,2m+1} = \cos(t / 10000^{2m/d}) . $$
#
# ## From scratch


# %%
def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))  # the same, without overflow
    return weights / weights.sum(axis=-1, keepdims=True)


def attention(q, k, v, mask=None):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return softmax(scores) @ v


def split(x, heads):
    return np.stack(np.split(x, heads, axis=-1))  # heads, time, features of a head


def multi_head(x, w_q, w_k, w_v, heads, mask=None):
    y = attention(split(x @ w_q, heads), split(x @ w_k, heads), split(x @ w_v, heads), mask)
    return np.concatenate(y, axis=-1)


def positions(length, d):
    angles = np.arange(length)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, d)


random = np.random.default_rng(0)
x = random.normal(size=(6, 8))  # six words of eight features
w_q, w_k, w_v = random.normal(size=(3, 8, 8)) / np.sqrt(8)
causal = np.tril(np.ones((6, 6), bool))  # row i sees the columns up to i
y = multi_head(x, w_q, w_k, w_v, heads=2, mask=causal)

# %% [markdown]
# In jnn and JAX the heads are on the axis before the last: [time, heads, features].

# %%
q, k, v = (jnp.moveaxis(split(x @ w, 2), 0, 1) for w in (w_q, w_k, w_v))
of_jnn = jnn.layers.attention(q, k, v, causal=True).reshape(6, 8)
of_jax = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(6, 8)
np.testing.assert_allclose(y, of_jnn, atol=1e-5)
np.testing.assert_allclose(y, of_jax, atol=1e-5)
np.testing.assert_allclose(positions(6, 8), jnn.layers.sinusoidal_positions(6, 8), atol=1e-5)

order = random.permutation(6)
shuffled = multi_head(x[order], w_q, w_k, w_v, heads=2)
np.testing.assert_allclose(shuffled, multi_head(x, w_q, w_k, w_v, heads=2)[order])
print("attention, mask and positions: equal; shuffled words give shuffled rows")

# %% [markdown]
# The slope of the softmax, by the formula and by `jax.jacobian`:

# %%
a = softmax(random.normal(size=5))
np.testing.assert_allclose(
    np.diag(a) - np.outer(a, a), jax.jacobian(jax.nn.softmax)(jnp.log(a)), atol=1e-6
)

# %% [markdown]
# The figure shows the effect of the division by $\sqrt d$: the largest of ten weights, and the size
# of the slope, for random queries and keys with more and more features.

# %%
sizes = [1, 4, 16, 64, 256, 1024]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2))
for label in ("q k", "q k / sqrt(d)"):
    largest, slopes = [], []
    for d in sizes:
        queries, keys = random.normal(size=(2, 200, 10, d))
        scores = np.einsum("nd,nkd->nk", queries[:, 0], keys) / (np.sqrt(d) if "/" in label else 1)
        a = softmax(scores)
        largest.append(a.max(axis=1).mean())
        slopes.append((a * (1 - a)).sum(axis=1).mean())
    panels[0].semilogx(sizes, largest, "o-", label=label)
    panels[1].semilogx(sizes, slopes, "o-", label=label)
panels[0].set(xlabel="features d", title="largest weight of ten keys", ylim=(0, 1))
panels[1].set(xlabel="features d", title="slope, sum of a (1 - a)", ylim=(0, 1))
panels[1].legend(title="mean of n = 200", loc=(0.5, 0.35))
assert slopes[-1] > 0.5  # of the last label, with the root: the slope is not small for d = 1024
plt.show()

# %% [markdown]
# ## In jnn
#
# A small task that needs attention is to reverse a row of eight digits. Output $i$ must use input
# $7 - i$, counted from 0. The network has an embedding, one layer of attention with two heads, and
# a dense layer. The vectors of the positions are multiplied by a number of the member, `positions`;
# with 0 the member has none.

# %%
LENGTH, DIGITS, FEATURES, HEADS = 8, 10, 32, 2


def init(key, x):
    keys = jax.random.split(key, 5)
    normal = jax.nn.initializers.lecun_normal()
    kernels = {name: normal(k, (FEATURES, FEATURES)) for name, k in zip("qkv", keys, strict=False)}
    embedding = jax.random.normal(keys[3], (DIGITS, FEATURES))
    return kernels | {"embedding": embedding, "out": normal(keys[4], (FEATURES, DIGITS))}


def project(params, x, scale):
    """Return queries, keys and values [batch, time, heads, features]."""
    x = params["embedding"][x] + scale * jnn.layers.sinusoidal_positions(LENGTH, FEATURES)
    return [(x @ params[name]).reshape(*x.shape[:2], HEADS, -1) for name in "qkv"]


def apply(params, x, *, hyper):
    y = jnn.layers.attention(*project(params, x, hyper["positions"]))
    return y.reshape(*x.shape, FEATURES) @ params["out"]  # logits of a digit for each place


rows = random.integers(0, DIGITS, size=(1500, LENGTH))
make_data = functools.partial(
    jnn.Dataset.from_arrays, rows, ids=True, task="classification", target_names=tuple("0123456789")
)
turned = make_data(rows[:, ::-1], name="turned around")
study = jnn.Study(
    model=(init, apply),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.adam(1e-2),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=10,
    batch_size=50,
)
members = jnn.seeds(3 if QUICK else 6) * jnn.holdout(1 / 3) * jnn.grid(positions=[0.0, 0.9, 1.0])
result = jnn.run(study, turned, members)
accuracy = result.final()["accuracy"]
assert accuracy.sel(positions=1.0).min() > 0.98

# %% [markdown]
# What does a trained member attend to? In the figure, each row is a place of the output (the
# query), and each column a place of the input (the key).

# %%
found = result.select(seed=0, positions=1.0).trained.params
params = jax.tree.map(lambda leaf: leaf[0], found)  # without the axis of the members
q, k, _ = project(params, rows[:100], 1.0)
maps = jax.nn.softmax(jnp.einsum("bihd,bjhd->hbij", q, k) / np.sqrt(q.shape[-1]))
figure = jnn.plots.attention(maps.mean(axis=1), [str(place) for place in range(LENGTH)])
figure.suptitle("One member, mean over n = 100 rows")
figure

# %% [markdown]
# Both heads have learned the rule: place 0 attends to place 7, place 1 to place 6, and so on. They
# also attend to the neighbors, because the sines of neighboring places are similar.
#
# ## Is this difference real?
#
# Are positions always needed? The answer of the second task, at every place, is whether the sum of
# the digits is above 36. For each task, networks train without positions, and with positions times
# 0.9 and times 1.

# %%
is_large = rows.sum(axis=1, keepdims=True) > 36
large = make_data(np.repeat(is_large, LENGTH, axis=1).astype(int), name="large sum")
summed = jnn.run(study, large, members)
gains = {}
for data, of_task in [(turned, result), (large, summed)]:
    print(of_task.summary("accuracy"))
    gains[data.name] = of_task.compare({"positions": 1.0}, {"positions": 0.0}, "accuracy")
    print("with - without:", gains[data.name])
assert gains["turned around"].difference.low > 0.5
assert gains["large sum"].difference.mean < 0.02
noise = summed.compare({"positions": 1.0}, {"positions": 0.9}, "accuracy")
print("large sum, times 1 - times 0.9:", noise)
assert noise.difference.low <= 0 <= noise.difference.high

# %% [markdown]
# To reverse the row, positions are necessary; a single seed would show it. For the sum, which does
# not depend on the order, they do not help, and may lower the accuracy, because the network has to
# learn to ignore them. So whether a part of a network helps depends on the task.
#
# For the sum, are positions times 1 better than positions times 0.9? The interval contains zero, so
# these seeds do not show a difference. A difference of one or two percentage points is possible.
# (All intervals are over seeds, on the same test rows.)
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Without positions, nearly a third of the digits in the first task are still right; guessing would
# give a tenth. What does the network answer? Compute the accuracy of the best answer without
# positions.

# %% tags=["hide-cell"]
# At each place it knows its own digit, and which other digits are in the row, but not where. The
# answer is one of the seven others, so the best guess is the most frequent digit among them.
others = [np.bincount(np.delete(row, i)).max() for row in rows for i in range(LENGTH)]
best_guess = np.mean(others) / (LENGTH - 1)
without = accuracy.sel(positions=0.0).values.mean()
print(f"most frequent other digit of the row: {best_guess:.3f}; network: {without:.3f}")
assert abs(best_guess - without) < 0.02

# %% [markdown]
# ### Exercise 2
#
# Show that with the causal mask the slope of an output with respect to any later word is zero. (Use
# the NumPy weights and `jnn.layers.attention`.)

# %% tags=["hide-cell"]


def causal_attention(x):
    q, k, v = ((x @ w).reshape(6, 2, 4) for w in (w_q, w_k, w_v))
    return jnn.layers.attention(q, k, v, causal=True).reshape(6, 8)


np.testing.assert_allclose(causal_attention(x), y, atol=1e-5)
slopes = jnp.abs(jax.jacobian(causal_attention)(jnp.asarray(x))).sum(axis=(1, 3))  # output, input
print(slopes.round(1))
assert np.all(slopes[~causal] == 0) and np.all(slopes[causal] > 0)

# %% [markdown]
# ### Exercise 3
#
# Multiply all scores by a factor before the softmax. What does attention compute if the factor is
# 0, and if it is very large? (`jnn.layers.attention` takes it as `scale`.)

# %% tags=["hide-cell"]
q, k, v = (random.normal(size=(6, 1, 8)) for _ in range(3))
mean = jnn.layers.attention(q, k, v, scale=0.0)
np.testing.assert_allclose(mean, np.broadcast_to(v.mean(axis=0), v.shape), atol=1e-5)
nearest = np.argmax(q[:, 0] @ k[:, 0].T, axis=1)
np.testing.assert_allclose(jnn.layers.attention(q, k, v, scale=1e4), v[nearest], atol=1e-5)
print("0: the mean of all values; large: the value of the key that fits best")
