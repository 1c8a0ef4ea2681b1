# %% [markdown]
# # 20. Generating text
#
# A *language model* gives the probability of each next character. With these probabilities it can
# write: draw a character, append it, and repeat. This lesson builds the smallest language model by
# counting, shows that it is a network of one layer, trains a recurrent network, and lets both
# invent names.

# %%
import functools
import re
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
# The text is a list of 32,000 first names ([Karpathy 2022](https://github.com/karpathy/makemore))
# in random order, one on each line. The last 1000 names are for testing. If the file is neither
# here nor can be downloaded, the lesson uses the words of Python's own source.

# %%
try:
    names = jnn.data.load("names", split="all")
    words, name = names.tokenizer.decode(names.x.values).split(), "names"
except FileNotFoundError:
    source = jnn.data.load("python_library", split="all")
    source = source.tokenizer.decode(source.x.values)
    words = sorted(set(re.findall(r"(?<![A-Za-z])[a-z]{3,10}(?![A-Za-z])", source)))
    words, name = list(np.random.default_rng(0).permutation(words)), "words of Python"
text = "\n" + "\n".join(words) + "\n"
tokenizer = jnn.data.CharTokenizer("\nabcdefghijklmnopqrstuvwxyz")
ids = tokenizer.encode(text)
VOCABULARY = tokenizer.size
end = len(ids) - sum(len(word) + 1 for word in words[-1000:])  # where the test begins
train_ids, test_ids = ids[:end], ids[end - 1 :]
print(f"{len(words)} words, {len(ids)} characters; for example", ", ".join(words[:5]))

# %% [markdown]
# Characters do not follow each other at random. In the figure, a row is a character, a column is
# the next character, and the color shows how often the pair occurs. The line break, which begins
# and ends each name, is written as a dot.

# %%
letters = ["·", *"abcdefghijklmnopqrstuvwxyz"]
counts = np.zeros((VOCABULARY, VOCABULARY))
np.add.at(counts, (train_ids[:-1], train_ids[1:]), 1)
table = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
figure, axes = plt.subplots(figsize=(6, 5))
image = axes.imshow(table, cmap="Blues")
axes.set_xticks(range(VOCABULARY), letters, size=8)
axes.set_yticks(range(VOCABULARY), letters, size=8)
axes.set(xlabel="next character", ylabel="character", title=f"n = {len(train_ids) - 1:,} pairs")
figure.colorbar(image, label="probability")
plt.show()

# %% [markdown]
# This table is already a language model, a *bigram* model. It remembers one character.
#
# ## The derivation
#
# By the chain rule of probability, the probability of a text is that of the first character, times
# that of the second character given the first, and so on:
#
# $$ P(c_1 \dots c_T) = \prod_t P(c_t \mid c_1 \dots c_{t-1}) . $$
#
# *Training* makes the probability of the given text as large as possible. The loss is the mean of
# $-\log P(c_t \mid \dots)$: the cross-entropy of a classifier whose classes are the characters.
# Divided by $\log 2$ it is in *bits per character*: roughly, how many yes-or-no questions must be
# answered, on average, to know the next character. A model that knows nothing needs $\log_2 27
# \approx 4.75$ bits.
#
# *Counting is training.* A bigram model with a table of logits $z_{ab}$, a row for each character
# $a$, has $p_{ab} = e^{z_{ab}} / \sum_c e^{z_{ac}}$. Let $N_{ab}$ be how often $b$ follows $a$ in
# the text, and $N_a = \sum_b N_{ab}$. The sum of the losses is $-\sum_{ab} N_{ab} \log p_{ab}$. Its
# slope, as in [lesson 18](18_images.ipynb), is
#
# $$ \frac{\partial L}{\partial z_{ab}} = N_a \, p_{ab} - N_{ab} . $$
#
# It is zero exactly if $p_{ab} = N_{ab} / N_a$. So the best table is that of the shares, and a
# network of one layer that is trained for long enough ends there. A pair that was never seen would
# have the probability 0, and a text with this pair would have an infinite loss. To avoid this, 1 is
# added to each count.
#
# *Longer memory.* A table for the last three characters has $27^3 = 19{,}683$ rows, most of which
# are rarely seen. A recurrent network ([lesson 13](13_recurrent.ipynb)) has a state in place of the
# table, so similar beginnings share what was learned.
#
# *Temperature.* To write, draw from $p_i \propto e^{z_i / \tau}$. With $\tau = 1$ these are the
# probabilities of the model. A smaller $\tau$ makes likely characters more likely; as $\tau \to 0$,
# the most likely one is always drawn. A larger $\tau$ makes the probabilities more equal.
#
# ## From scratch


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def bits(table, ids):
    return -np.mean(np.log2(table[ids[:-1], ids[1:]]))


def slope(logits, counts):
    return (counts.sum(axis=1, keepdims=True) * softmax(logits) - counts) / counts.sum()


def write(table, random, temperature=1.0):
    character, word = 0, []
    while len(word) < 20:
        character = random.choice(VOCABULARY, p=softmax(np.log(table[character]) / temperature))
        if character == 0:
            break
        word.append(character)
    return tokenizer.decode(word)


random = np.random.default_rng(1)
frequencies = np.bincount(train_ids, minlength=VOCABULARY) / len(train_ids)
alone = np.tile(frequencies, (VOCABULARY, 1))  # does not look at the character before
of_counts = bits(table, test_ids)
print(f"nothing known: {np.log2(VOCABULARY):.2f} bits; frequencies: {bits(alone, test_ids):.2f}")
print(f"bigrams: {of_counts:.2f} bits per character")
print("bigrams write:", ", ".join(write(table, random) for _ in range(8)))
assert of_counts < bits(alone, test_ids) < np.log2(VOCABULARY)

# %% [markdown]
# The slope by hand and by `jax.grad`; for the table of shares it is zero:


# %%
def loss_in_jax(logits):
    return jnn.losses.softmax_cross_entropy(logits[train_ids[:-1]], train_ids[1:]).mean()


logits = random.normal(size=(VOCABULARY, VOCABULARY))
ours = slope(logits, counts)
np.testing.assert_allclose(ours, jax.grad(loss_in_jax)(jnp.asarray(logits)), atol=1e-5)
np.testing.assert_allclose(slope(np.log(counts + 1e-12), counts), 0, atol=1e-9)

# %% [markdown]
# ## In jnn
#
# The bigram network looks up a row of logits for each character. This is a layer without a bias
# that reads the character as a *one-hot* vector. `jnn.Dataset.from_tokens` cuts the text into
# windows of 16 characters; their targets are the same windows, one character later. The second
# network is `jnn.models.LanguageModel`, with a GRU of 48 units.

# %%
LENGTH = 16
data = jnn.Dataset.from_tokens(ids, LENGTH, classes=VOCABULARY, name=name)
tests = np.arange(end - 1, len(ids) - LENGTH, LENGTH)  # windows side by side
fold = jnn.folds([(np.arange(end - LENGTH - 1), tests)])


def init_bigram(key, x):
    return {"logits": jnp.zeros((VOCABULARY, VOCABULARY))}


def bigram(params, x):
    return params["logits"][x]


def make_study(model, optimizer, steps):
    return jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optimizer,
        metrics={"bits": jnn.metrics.bits_per_character},
        epochs=5,
        steps_per_epoch=steps // 5,
        batch_size=32,
    )


def clipped(h):
    return optax.chain(optax.clip_by_global_norm(h.clip), optax.adam(5e-3))


gru = functools.partial(jnn.models.LanguageModel, VOCABULARY, 48, layer=jnn.modules.GRU)
seeds = jnn.seeds(2 if QUICK else 4)
of_bigram = jnn.run(make_study((init_bigram, bigram), optax.adam(0.02), 1000), data, seeds * fold)
gru_study = make_study(gru, clipped, 300 if QUICK else 2000)
of_gru = jnn.run(gru_study, data, seeds * fold * jnn.grid(clip=[0.25, 1.0]))
learned = softmax(of_bigram.trained.params["logits"].mean(axis=0))
print(f"counted: {of_counts:.3f} bits; learned: {bits(learned, test_ids):.3f} bits")
assert abs(bits(learned, test_ids) - of_counts) < 0.03

# %% [markdown]
# The layer has learned the table of counts. For the GRU, gradients that are longer than `clip` are
# shortened to this length, which is common for recurrent networks. Two values of `clip` are
# compared below.
#
# ## Is this difference real?

# %%
both = jnn.Result.concat([of_bigram, of_gru], model=["bigram", "GRU"])
print(both.summary("bits"))
gain = both.compare({"model": "GRU", "clip": 1.0}, {"model": "bigram"}, "bits")
clips = of_gru.compare({"clip": 1.0}, {"clip": 0.25}, "bits")
print("GRU - bigram:", gain)
print("clip 1 - clip 0.25:", clips)
assert gain.difference.mean < 0
if not QUICK:
    assert gain.difference.high < 0
    if data.name == "names":
        assert clips.difference.low <= 0 <= clips.difference.high

figure, axes = plt.subplots(figsize=(6, 3.6))
scores = {
    "nothing": [np.log2(VOCABULARY)],
    "frequencies": [bits(alone, test_ids)],
    "bigram": of_bigram.final()["bits"].values.ravel(),
    "GRU": of_gru.final()["bits"].sel(clip=1.0).values.ravel(),
}
for place, values in enumerate(scores.values()):
    axes.plot(np.full(len(values), place), values, "o", alpha=0.6)
    axes.text(place + 0.1, np.mean(values), f"{np.mean(values):.2f}", va="center")
axes.set_xticks(range(4), scores)
axes.set(
    xlim=(-0.4, 3.6), ylabel="bits per character", title=f"Networks: n = {len(values)} seeds each"
)
plt.show()

# %% [markdown]
# With its memory, the GRU needs a good part of a bit per character less than the bigrams, and the
# interval of the difference is far from zero. On the names, these few seeds do not show whether
# clipping at 1 or at a quarter is better: the interval contains zero. (It is narrow, so the
# difference is small compared with that between the two networks.)
#
# Now one member writes names at three temperatures.

# %%
params, state, _, _ = jax.tree.map(lambda leaf: leaf[0], of_gru.select(seed=0, clip=1.0).trained)
network = jnn.as_module(gru, params, state)


@jax.jit
def write_ids(key, temperature):
    line_breaks = jnp.zeros((200, 1), int)
    return jnn.generate(network, line_breaks, LENGTH, key=key, temperature=temperature)


known, existing = {}, set(words)
for temperature in (0.5, 1.0, 1.5):
    rows = write_ids(jax.random.key(0), temperature)
    written = [tokenizer.decode(row).split("\n")[0] for row in rows]
    known[temperature] = np.mean([word in existing for word in written])
    print(f"{temperature}: {', '.join(written[:8])}")
    print(f"     {known[temperature]:.0%} exist, {len(set(written))} of {len(written)} differ")
assert known[0.5] > known[1.5]

# %% [markdown]
# At a low temperature more of the names exist. At a high temperature more of them are new, and many
# cannot be pronounced. Which temperature is best depends on the purpose of the text. The figure
# shows how the temperature changes the probabilities of the character after "ma".

# %%
logits = np.asarray(network(jnp.asarray(tokenizer.encode("\nma"))[None])[0, -1])
figure, axes = plt.subplots(figsize=(9, 3))
for shift, temperature in enumerate((0.5, 1.0, 1.5)):
    places = np.arange(VOCABULARY) + 0.27 * (shift - 1)
    axes.bar(places, softmax(logits / temperature), width=0.27, label=f"temperature {temperature}")
axes.set_xticks(range(VOCABULARY), letters)
axes.set(ylabel="probability", title='One GRU, the character after "ma"')
axes.legend()
plt.show()

# %% [markdown]
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Count *trigrams*: which character follows each pair? Add 1 to each count again. Is it better than
# the bigrams, and than the GRU?

# %% tags=["hide-cell"]
triples = np.ones((VOCABULARY,) * 3)
np.add.at(triples, (train_ids[:-2], train_ids[1:-1], train_ids[2:]), 1)
shares = triples / triples.sum(axis=-1, keepdims=True)
of_trigrams = -np.mean(np.log2(shares[test_ids[:-2], test_ids[1:-1], test_ids[2:]]))
print(
    f"trigrams: {of_trigrams:.2f} bits, bigrams: {of_counts:.2f}, GRU: {scores['GRU'].mean():.2f}"
)
assert of_trigrams < of_counts

# %% [markdown]
# ### Exercise 2
#
# How many bits does a whole name need? Compare "anna" with "xqzv", for the bigrams and for the GRU.
# Include the line break after the name, and start from the one before it.

# %% tags=["hide-cell"]
for_name = {}
for name in ("anna", "xqzv"):
    spelled = tokenizer.encode(f"\n{name}\n")
    by_counts = bits(table, spelled) * (len(spelled) - 1)
    probabilities = softmax(np.asarray(network(jnp.asarray(spelled)[None])[0]))
    by_gru = -np.log2(probabilities[np.arange(len(spelled) - 1), spelled[1:]]).sum()
    for_name[name] = by_counts, by_gru
    print(f"{name}: {by_counts:.1f} bits by bigrams, {by_gru:.1f} by the GRU")
assert np.all(np.less(for_name["anna"], for_name["xqzv"]))  # under both

# %% [markdown]
# ### Exercise 3
#
# What do the bigrams write at a temperature near 0, and why is it always the same?

# %% tags=["hide-cell"]
cold = {write(table, random, temperature=0.001) for _ in range(20)}
print(cold)  # each character is followed by its likeliest one, so that nothing is left to chance
assert len(cold) == 1
