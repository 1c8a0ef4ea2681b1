# %% [markdown]
# # 2. Layers and feed-forward networks
#
# One neuron draws one straight line. A *layer* is several neurons side by side, and a network is
# several layers, one after the other. This lesson shows what a second layer adds, and how wide it
# should be. It builds on [lesson 1](01_neuron.ipynb).

# %%
import functools
import sys

import matplotlib.pyplot as plt
import numpy as np
import optax

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# *Exclusive or* is the smallest task that a neuron cannot solve: the answer is 1 if exactly one of
# two numbers is 1. Points with the same answer are at opposite corners of a square, and no line
# separates the two kinds. Two lines do: between them the answer is 1. So take two neurons, each of
# which draws a line, and a third one that reads their outputs.

# %%
cases = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
answers = np.array([0, 1, 1, 0])

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
ends = np.array([-0.4, 1.4])
panels[0].plot(ends, 0.9 - 0.6 * ends, color="gray")
panels[0].set(title="any one line is wrong somewhere", xlabel="$x_1$", ylabel="$x_2$")
panels[1].fill_between(ends, 0.5 - ends, 1.5 - ends, color="tab:orange", alpha=0.2)
for height in (0.5, 1.5):
    panels[1].plot(ends, height - ends, color="gray")
panels[1].set(title="two lines have the 1 between them", xlabel="$x_1$")
for axes in panels:
    for answer, color in [(0, "tab:blue"), (1, "tab:orange")]:
        points = cases[answers == answer]
        axes.scatter(*points.T, s=80, color=color, label=f"answer {answer}", zorder=2)
    axes.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), aspect="equal")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# The two neurons are a *hidden layer*: their outputs are neither inputs nor the answer. A network
# in which every layer reads only the layer before it is a *feed-forward network*, or *multi-layer
# perceptron* (MLP). The number of neurons in a layer is its *width*. Neurons are also called
# *units*.
#
# ## The derivation
#
# **A layer is a matrix.** Unit $k$ of the hidden layer has a weight $W_{jk}$ for each input $x_j$,
# a bias $b_k$, and an *activation* $f$, the function that bends its output:
#
# $$ h_k = f\Big( \sum_j x_j W_{jk} + b_k \Big) \qquad \text{or, for all units at once,} \qquad
#    h = f(x W + b) . $$
#
# The *output layer* does the same with $h$ in place of $x$, usually without an activation: $z = h
# V + c$. A common activation is the *rectifier*, or *ReLU*: $f(a) = \max(0, a)$. It leaves
# positive numbers as they are, and turns negative ones into 0.
#
# **Without an activation, two layers are one.** Leave $f$ out, and multiply:
#
# $$ (x W + b) V + c = x (W V) + (b V + c) . $$
#
# This is one layer with the weights $W V$ and the bias $b V + c$. So several layers can do more
# than one only if there is an activation between them.
#
# **A network for exclusive or** can be found by hand. Let $s = x_1 + x_2$, which is 0, 1, 1, 2 in
# the four cases. The unit $h_1 = f(s)$ is 0, 1, 1, 2, and the unit $h_2 = f(s - 1)$ is 0, 0, 0, 1.
# Then $z = h_1 - 2 h_2$ is 0, 1, 1, 0, which are the answers.
#
# **Enough units can follow any curve.** Choose points $t_0 < t_1 < \dots < t_n$, and connect the
# values $g(t_k)$ of a curve $g$ by straight pieces. Piece $k$ has the slope
#
# $$ m_k = \frac{g(t_{k+1}) - g(t_k)}{t_{k+1} - t_k} . $$
#
# The unit $f(x - t_k)$ is 0 before $t_k$, and rises with slope 1 after it. So it can change the
# slope at $t_k$ from that of one piece to that of the next. A hidden layer of $n$ units draws all
# the pieces:
#
# $$ z(x) = g(t_0) + m_0 f(x - t_0) + \sum_{k=1}^{n-1} (m_k - m_{k-1}) f(x - t_k) . $$
#
# With more pieces the error is smaller. A wide enough hidden layer can approximate every continuous
# function of any number of inputs, on a closed and bounded region. This is the *universal
# approximation theorem* ([Cybenko 1989](https://doi.org/10.1007/BF02551274) for sigmoids, [Leshno
# et al. 1993](https://doi.org/10.1016/S0893-6080(05)80131-5) for all activations that are not
# polynomials, such as the ReLU). The theorem says that good weights exist. It does not say how many
# units are needed, or that training finds the weights.
#
# ## From scratch
#
# A layer is one line of NumPy. `@` multiplies matrices: row $i$ of `x @ kernel` holds the sums of
# all units for row $i$ of `x`. From here on the matrix of weights is called the *kernel*, as in
# Keras, Flax and jnn.


# %%
def relu(a):
    return np.maximum(a, 0)


def forward(x, kernel, bias, output_kernel, output_bias):
    hidden = relu(x @ kernel + bias)
    return hidden @ output_kernel + output_bias


by_hand = {
    "kernel": np.array([[1.0, 1.0], [1.0, 1.0]]),  # both units add the two inputs
    "bias": np.array([0.0, -1.0]),
    "output_kernel": np.array([[1.0], [-2.0]]),
    "output_bias": np.array([0.0]),
}
print("exclusive or:", forward(cases, **by_hand)[:, 0])
np.testing.assert_array_equal(forward(cases, **by_hand)[:, 0], answers)

# %% [markdown]
# Two layers without an activation are one, for any numbers:

# %%
random = np.random.default_rng(0)
x = random.normal(size=(5, 3))
W, b, V, c = (random.normal(size=shape) for shape in [(3, 4), 4, (4, 2), 2])
np.testing.assert_allclose((x @ W + b) @ V + c, x @ (W @ V) + (b @ V + c))

# %% [markdown]
# Now the curve. The weights below come from the formula, and nothing is trained.


# %%
def connect(curve, points):
    """Return the network that connects the values of a curve at some points."""
    slopes = np.diff(curve(points)) / np.diff(points)
    changes = np.diff(slopes, prepend=0)
    return {
        "kernel": np.ones((1, len(slopes))),
        "bias": -points[:-1],
        "output_kernel": changes[:, None],
        "output_bias": curve(points[:1]),
    }


def curve(t):
    return np.sin(t) + np.sin(3 * t) / 2


t = np.linspace(0, 6, 601)
figure, panels = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True)
errors = []
for axes, width in zip(panels, [6, 12, 24], strict=True):
    z = forward(t[:, None], **connect(curve, np.linspace(0, 6, width + 1)))[:, 0]
    errors.append(np.abs(z - curve(t)).max())
    axes.plot(t, curve(t), color="lightgray", linewidth=5)
    axes.plot(t, z, color="tab:orange")
    axes.set(title=f"{width} hidden units", xlabel="x")
print("largest errors:", np.round(errors, 3))
assert errors[0] > 2 * errors[1] > 4 * errors[2]
plt.show()

# %% [markdown]
# With twice the width, the error is less than half. (For a smooth curve and many units, it falls to
# about a quarter.)
#
# ## In jnn
#
# The layer is `jnn.layers.dense`, and the whole network is `jnn.models.MLP`, which takes the widths
# of its hidden layers as a tuple. First, the network that was made by hand:

# %%
hidden = jnn.layers.relu(jnn.layers.dense(cases, by_hand["kernel"], by_hand["bias"]))
z = jnn.layers.dense(hidden, by_hand["output_kernel"], by_hand["output_bias"])
np.testing.assert_array_equal(z[:, 0], answers)

# %% [markdown]
# `z` is an array of JAX, which works like one of NumPy; `np.asarray(z)` converts it.
#
# Now a task for which weights are hard to find by hand: two spirals, wound into each other. The
# answer is one number, which is positive for the second spiral, so the network has one output.
# `functools.partial` sets the sizes, here 2 inputs and 1 output, without making the network. jnn
# makes it, once for each member.

# %%
spirals = jnn.data.spirals(400, classes=2, noise=0.05)


def study_of(*widths):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 2, widths, 1),
        loss=jnn.losses.binary_cross_entropy,  # applies the sigmoid to the output
        optimizer=optax.adam(0.03),  # a kind of gradient descent, see lesson 5
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=40 if QUICK else 100,
        batch_size=32,
    )


seeds = jnn.seeds(3 if QUICK else 10)
folds = jnn.folds(3 if QUICK else 5)
widths = [0, 16, 32] if QUICK else [0, 2, 8, 16, 32]
results = [
    jnn.run(study_of(width) if width else study_of(), spirals, seeds * folds) for width in widths
]

# %% [markdown]
# (For a table of your own, replace the spirals by `jnn.Dataset.from_csv("table.csv",
# target="column")`, and the 2 inputs by the number of its columns; see [Start
# here](../../docs/start.md).)
#
# `study_of()` has no hidden layer: it is the neuron of lesson 1. The *seed* of a member determines
# its initial random weights, and the *fold* determines which rows score it. `*` combines each seed
# with each fold. The arrays of trained parameters have one more axis in front, the members. With
# the parameters of one member, our function in NumPy gives the same outputs:

# %%
result = results[-1]
params = result.trained.params
layer, output = params["hidden"]["0"], params["output"]
print("kernel of the hidden layer:", layer["kernel"].shape, "= members, inputs, units")
theirs = result.outputs(spirals.x)  # [members, rows, outputs]
ours = forward(
    spirals.x, layer["kernel"][0], layer["bias"][0], output["kernel"][0], output["bias"][0]
)
np.testing.assert_allclose(ours, theirs[0], rtol=1e-3, atol=1e-3)

# %% [markdown]
# ## Is this difference real?
#
# What has each member learned? In the figure, each thin line is the *decision boundary* of one
# member: on one side it answers the first spiral, on the other side the second. The color is the
# mean of the probabilities of all members, and the thick line is where this mean is one half.

# %%
shown = [widths[1], widths[-1]]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for axes, width in zip(panels, shown, strict=True):
    of_fold_0 = results[widths.index(width)].select(fold=0)
    jnn.plots.decision_boundary(of_fold_0, spirals, axes=axes)
    axes.set_title(f"{width} hidden units, n = {len(of_fold_0.members)} seeds")
plt.show()

# %% [markdown]
# With 2 units the boundary of a member has a few bends. They differ between members, because each
# member started from different weights. With 32 units the members agree where there are points. Far
# from the points they disagree, because the data say nothing there.

# %%
both = jnn.Result.concat(results, width=widths)
print(both.summary("accuracy"))
hidden_layer = both.compare({"width": 16}, {"width": 0}, "accuracy")
print("16 units - no hidden layer:", hidden_layer)
assert hidden_layer.difference.low > 0.1

# %% [markdown]
# The hidden layer raises the accuracy by tens of percentage points. The last line below the table
# says where chance comes from: from the seed, from the fold, and, as the *residual*, from the two
# together. Is 32 better than 16?

# %%
wider = both.compare({"width": 32}, {"width": 16}, "accuracy")
print("32 units - 16 units:", wider)
accuracy = both.final()["accuracy"].values.reshape(len(widths), -1)  # [widths, members]
up, down = (accuracy[-1] > accuracy[-2]).mean(), (accuracy[-1] < accuracy[-2]).mean()
print(f"32 is better in {up:.0%} of the pairs, and 16 in {down:.0%}")
if not QUICK:
    assert down > 0
    assert wider.difference.low <= 0 <= wider.difference.high

# %% [markdown]
# Here the interval contains zero: these points do not show whether 32 units are better than 16.
# With a single network of each width, one of them would still have seemed better, and chance would
# have decided which.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# How many *parameters*, which are weights and biases, does a network with 2 inputs, one hidden
# layer of 32 units and 1 output have? Count by hand, then count in `params`.

# %% tags=["hide-cell"]
count = (2 + 1) * 32 + (32 + 1) * 1  # each unit has a weight for each input, and a bias
arrays = [layer["kernel"], layer["bias"], output["kernel"], output["bias"]]
in_params = sum(array[0].size for array in arrays)  # those of member 0
print(count, in_params)
assert count == in_params == 129

# %% [markdown]
# ### Exercise 2
#
# Find by hand a network with three inputs whose answer is 1 if exactly one of them is 1. Check all
# eight cases.

# %% tags=["hide-cell"]
eight = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
# The sum s is 0, 1, 2 or 3: rise by 1 at s = 0, turn down at s = 1, become flat at s = 2.
exactly_one = {
    "kernel": np.ones((3, 3)),
    "bias": np.array([0.0, -1.0, -2.0]),
    "output_kernel": np.array([[1.0], [-2.0], [1.0]]),
    "output_bias": np.array([0.0]),
}
np.testing.assert_array_equal(forward(eight, **exactly_one)[:, 0], eight.sum(axis=1) == 1)

# %% [markdown]
# ### Exercise 3
#
# A network with two hidden layers of 8 units has (2 + 1) 8 + (8 + 1) 8 + (8 + 1) = 105 parameters,
# fewer than the 129 of one hidden layer of 32. Is it better or worse on the spirals?

# %% tags=["hide-cell"]
deep = jnn.run(study_of(8, 8), spirals, seeds * folds)
depth = jnn.Result.concat([deep, result], layers=[2, 1])
print(depth.summary("accuracy"))
difference = depth.compare({"layers": 2}, {"layers": 1}, "accuracy")
print("two layers of 8 - one of 32:", difference)
# The points do not show which is better, and both solve the task.
assert deep.final()["accuracy"].mean() > 0.8
if not QUICK:
    assert difference.difference.low <= 0 <= difference.difference.high
