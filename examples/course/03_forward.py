# %% [markdown]
# # 3. Forward propagation
#
# A network turns an input into an answer by passing it *forward* through its layers. This lesson
# follows one image through a network, does the same for many images and for many networks at once,
# and counts the operations. It builds on [lesson 2](02_layers.ipynb).

# %%
import functools
import sys
import time

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# The data are 1797 handwritten digits, images of 8 by 8 pixels. For the network an image is a row
# of 64 numbers, from 0 for white to 1 for black. The network has a hidden layer of 32 units, and
# ten outputs, one for each digit. It is trained as in lesson 2. Lessons 4 and 5 explain training;
# this lesson only uses the trained network.


# %%
def study_of(*widths):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 64, widths, 10),
        loss=jnn.losses.softmax_cross_entropy,  # -log of the probability of the right digit
        optimizer=optax.adam(0.005),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=8 if QUICK else 20,
        batch_size=32,
    )


digits = jnn.data.load("digits")
members = jnn.seeds(3 if QUICK else 10) * jnn.folds(3 if QUICK else 5)
with_hidden = study_of(32)
result = jnn.run(with_hidden, digits, members)

trained = jax.tree.map(np.asarray, result.trained.params)  # all to NumPy, members first
W1, b1 = trained["hidden"]["0"]["kernel"][0], trained["hidden"]["0"]["bias"][0]  # of member 0
W2, b2 = trained["output"]["kernel"][0], trained["output"]["bias"][0]

# %% [markdown]
# The figure shows what happens to one image, layer by layer:

# %%
image = digits.x[7]
hidden = np.maximum(image @ W1 + b1, 0)
logits = hidden @ W2 + b2
probabilities = np.exp(logits) / np.exp(logits).sum()

figure, panels = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained")
panels[0].imshow(image.reshape(8, 8), cmap="gray_r")
panels[0].set(title="input, 64 numbers", xticks=[], yticks=[])
panels[1].bar(range(32), hidden)
panels[1].set(title="hidden layer, 32", xlabel="unit")
panels[2].bar(range(10), logits)
panels[2].set(title="outputs, 10", xlabel="digit", xticks=range(10))
panels[3].bar(range(10), probabilities, color="tab:orange")
panels[3].set(title="probabilities, 10", xlabel="digit", xticks=range(10), ylim=(0, 1))
print("the image shows", digits.y[7], "and the network says", probabilities.argmax())
assert probabilities.argmax() == digits.y[7]
plt.show()

# %% [markdown]
# The outputs of a layer are its *activations*. Some hidden units are zero for this image, so they
# do not contribute to the answer. The answer is the digit with the largest of the ten outputs.
#
# ## The derivation
#
# **One row.** Write the image as a row $x$ of 64 numbers. The hidden layer has a kernel $W_1$ with
# a column for each of its units, and the output layer has $W_2$:
#
# $$ a = x W_1 + b_1 , \qquad h = \max(0, a) , \qquad z = h W_2 + b_2 . $$
#
# The outputs $z$ are called *logits*. They can be any numbers. The *softmax* turns them into
# probabilities, which are positive and add up to 1:
#
# $$ p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} . $$
#
# **Shapes.** In a product of matrices, the left one must have as many columns as the right one has
# rows: $(r, m)$ times $(m, n)$ has the shape $(r, n)$. Checking shapes finds many mistakes in a
# network.
#
# | what | shape | numbers |
# | --- | --- | --- |
# | $x$ | $(64)$ | 64 |
# | $W_1$, $b_1$ | $(64, 32)$, $(32)$ | $64 \cdot 32 + 32 = 2080$ |
# | $a$, $h$ | $(32)$ | 32 |
# | $W_2$, $b_2$ | $(32, 10)$, $(10)$ | $32 \cdot 10 + 10 = 330$ |
# | $z$, $p$ | $(10)$ | 10 |
#
# **Parameters.** A layer from $m$ to $n$ units has $(m + 1)\, n$ parameters: each unit has $m$
# weights and a bias. This network has $2080 + 330 = 2410$.
#
# **A batch.** Stack $r$ images as the rows of a matrix $X$ of shape $(r, 64)$. Nothing else
# changes: $X W_1$ has the shape $(r, 32)$, and its row $i$ is what image $i$ alone would give.
# NumPy adds the bias to each row, which it calls *broadcasting*. Such a stack is a *batch*.
#
# **Cost.** Each weight takes part in one multiplication and one addition for each image. So a layer
# needs $2 m n$ operations per image, and the network about $2 \cdot (64 \cdot 32 + 32 \cdot 10) =
# 4736$. The ReLU and the softmax add little to this.
#
# ## From scratch
#
# First with loops, number by number, then with matrices.


# %%
def layer_by_loops(x, W, b):
    result = np.zeros((len(x), W.shape[1]))
    for i in range(x.shape[0]):  # images
        for k in range(W.shape[1]):  # units
            total = b[k]
            for j in range(W.shape[0]):  # inputs of the unit
                total += x[i, j] * W[j, k]
            result[i, k] = total
    return result


def forward(x, W1, b1, W2, b2):
    hidden = np.maximum(x @ W1 + b1, 0)  # (images, 32)
    return hidden @ W2 + b2  # (images, 10)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))  # lesson 6 says why the largest is taken off
    return e / e.sum(axis=-1, keepdims=True)


few = digits.x[:100]
start = time.perf_counter()
by_loops = layer_by_loops(np.maximum(layer_by_loops(few, W1, b1), 0), W2, b2)
middle = time.perf_counter()
by_matrices = forward(few, W1, b1, W2, b2)
end = time.perf_counter()
np.testing.assert_allclose(by_matrices, by_loops, rtol=1e-3, atol=1e-3)
print(f"loops take {(middle - start) / (end - middle):.0f} times as long")
assert middle - start > end - middle

# %% [markdown]
# The two agree up to rounding. Networks are written with matrices because it is shorter, and
# because a product of matrices is much faster than a loop in Python.
#
# ## In jnn
#
# The next cell writes the network with the layers of jnn, and compares the outputs with those of
# the trained network for all 1797 images:


# %%
def forward_in_jnn(params, x):
    hidden = jnn.layers.relu(jnn.layers.dense(x, **params["hidden"]["0"]))
    return jnn.layers.dense(hidden, **params["output"])


def of_member(index):
    return jax.tree.map(lambda array: array[index], trained)


outputs = result.outputs(digits.x)  # (members, images, digits)
z = forward_in_jnn(of_member(0), digits.x)
np.testing.assert_allclose(forward(digits.x, W1, b1, W2, b2), z, rtol=1e-3, atol=1e-3)
np.testing.assert_allclose(outputs[0], z, rtol=1e-3, atol=1e-3)
np.testing.assert_allclose(softmax(outputs).mean(axis=0), result.predict(digits.x).mean, atol=1e-5)

# %% [markdown]
# `params` is a nested dictionary of arrays, and `jax.tree.map` applies a function to each array.
# The comparisons have tolerances because of rounding: JAX computes with about 7 decimal digits,
# NumPy usually with 16.
#
# Two functions of JAX are used in all lessons. `jax.jit` compiles a function to machine code when
# it is first called, and runs that code in later calls. `jax.vmap` adds an axis: it turns a
# function of one image into a function of many images.


# %%
def of_one_image(x):
    return forward_in_jnn(of_member(0), x)


assert of_one_image(image).shape == (10,)
of_many = jax.jit(jax.vmap(of_one_image))
np.testing.assert_allclose(of_many(digits.x), z, rtol=1e-3, atol=1e-3)

# %% [markdown]
# The new axis can also be one of networks. `vmap` over the parameters runs all members of a
# population at once. This is how jnn trains them: as one program with one more axis, not as one
# program for each member.

# %%
of_all_members = jax.jit(jax.vmap(forward_in_jnn, in_axes=(0, None)))  # params vary, images do not
print("all outputs:", of_all_members(trained, digits.x).shape, "= members, images, digits")
np.testing.assert_allclose(of_all_members(trained, digits.x), outputs, rtol=1e-3, atol=1e-3)

# %% [markdown]
# With such an axis, one line answers a question about the whole population: how many of the hidden
# units are above zero?

# %%
kernels, biases = trained["hidden"]["0"]["kernel"], trained["hidden"]["0"]["bias"]
on = digits.x @ kernels + biases[:, None] > 0  # (members, images, units)
turned = (on.any(axis=1) & ~on.all(axis=1)).mean()  # on for some images, off for others
print(f"{on.mean():.0%} are on; {turned:.0%} of the units are on for some images only")
assert 0.5 < on.mean() < 0.9
assert turned > 0.5

# %% [markdown]
# Most of them are. But most units are zero for some images, so each image uses its own part of the
# network.
#
# ## Is this difference real?
#
# A layer in which every unit reads every input is called *dense*. It does not know which pixels are
# neighbors. Put the 64 pixels into another order, the same for all images, and the rows of $W_1$
# into the same order. Then each sum has the same terms in another order, and the outputs stay the
# same.

# %%
order = np.random.default_rng(0).permutation(64)
moved = forward(digits.x[:, order], W1[order], b1, W2, b2)
np.testing.assert_allclose(moved, forward(digits.x, W1, b1, W2, b2), rtol=1e-3, atol=1e-3)

figure, panels = plt.subplots(1, 4, figsize=(7, 2.2), layout="constrained")
pictures = [digits.x[7], digits.x[7][order], digits.x[8], digits.x[8][order]]
titles = ["a 7", "the 7, shuffled", "an 8", "the 8, shuffled"]
for axes, picture, title in zip(panels, pictures, titles, strict=True):
    axes.imshow(picture.reshape(8, 8), cmap="gray_r")
    axes.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# To a person the shuffled images look like noise. For this network they are as easy as the others:
# the initial weights are random, and a random row suits one pixel as well as another. So a study of
# shuffled images must have the same score, up to chance. (The two results are of two data sets, so
# this cell calls `paired_comparison`, the function behind `compare`.)

# %%
shuffled_digits = jnn.Dataset.from_arrays(digits.x[:, order], digits.y, name=digits.name)
shuffled = jnn.run(with_hidden, shuffled_digits, members)
scores = [r.final()["accuracy"].transpose("seed", "fold").values for r in (shuffled, result)]
better, worse = (scores[0] > scores[1]).sum(), (scores[0] < scores[1]).sum()
print(f"shuffled images score higher in {better} of {len(members)} pairs, and lower in {worse}")
noise = jnn.stats.paired_comparison(
    *scores, train_rows=result.schema.train_rows, test_rows=result.schema.test_rows
)
print("shuffled - as they are:", noise)
assert better > 0 and worse > 0
assert noise.difference.low <= 0 <= noise.difference.high

# %% [markdown]
# Here we know that there is no difference. Still, single pairs show one: in some pairs the shuffled
# images score higher, in others lower. The interval contains zero, as it should. Remember this when
# a paper compares two networks by one training of each. A real difference is that between a hidden
# layer and none:

# %%
without = jnn.run(study_of(), digits, members)
both = jnn.Result.concat([result, without], hidden=[1, 0])
print(both.summary("accuracy"))
difference = both.compare({"hidden": 1}, {"hidden": 0}, "accuracy")
print("with a hidden layer - without:", difference)
assert difference.difference.mean > 0
if not QUICK:
    assert difference.difference.low > 0

# %% [markdown]
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# A network for images of 28 by 28 pixels has hidden layers of 256 and 128 units, and 10 outputs.
# How many parameters does it have, and how many operations does it need per image? Check the first
# number against the parameters that the `init` of `jnn.as_model(...)` makes.

# %% tags=["hide-cell"]
layers = [(784, 256), (256, 128), (128, 10)]
parameters = sum((m + 1) * n for m, n in layers)
operations = sum(2 * m * n for m, n in layers)
print(f"{parameters} parameters, {operations} operations")
model = jnn.as_model(functools.partial(jnn.models.MLP, 784, (256, 128), 10))
made = jax.tree.leaves(model.init(jax.random.key(0), np.zeros((1, 784), np.float32)))
assert parameters == sum(np.size(array) for array in made) == 235146

# %% [markdown]
# ### Exercise 2
#
# Swap two hidden units: their columns of $W_1$, their entries of $b_1$ and their rows of $W_2$. Do
# the outputs change? In how many orders can the 32 hidden units be without a change of the outputs?

# %% tags=["hide-cell"]
swap = np.arange(32)
swap[[3, 5]] = swap[[5, 3]]
swapped = forward(digits.x, W1[:, swap], b1[swap], W2[swap], b2)
np.testing.assert_allclose(swapped, forward(digits.x, W1, b1, W2, b2), rtol=1e-3, atol=1e-3)
# Any order of the units will do: 32! = 2.6e35 of them. So unit 3 of one member has nothing to do
# with unit 3 of another seed, and the mean of their weights makes no sense.
mean_of_two = jax.tree.map(lambda array: (array[0] + array[-1]) / 2, trained)
accuracies = [
    np.mean(np.argmax(forward_in_jnn(params, digits.x), axis=1) == digits.y)
    for params in (of_member(0), of_member(-1), mean_of_two)
]
print("two networks, and the mean of their weights:", np.round(accuracies, 3))
assert accuracies[2] < min(accuracies[:2])

# %% [markdown]
# ### Exercise 3
#
# PyTorch stores kernels as (outputs, inputs). Which error does `jnn.layers.dense` raise for such a
# kernel, and how do you convert the kernel?

# %% tags=["hide-cell"]
stored = W1.T
try:
    jnn.layers.dense(digits.x, stored, b1)
except ValueError as error:
    print(error)
    assert "Transpose the kernel" in str(error)
np.testing.assert_allclose(
    jnn.layers.dense(digits.x, stored.T, b1), digits.x @ W1 + b1, rtol=1e-3, atol=1e-3
)
