# %% [markdown]
# # 4. Backpropagation
#
# Training needs the slope of the loss with respect to every weight, and a network may have millions
# of weights. *Backpropagation* computes all slopes in one pass back through the network, which
# takes about twice the work of the forward pass. This lesson derives it, writes it in NumPy, and
# checks it in two ways. It builds on [lesson 3](03_forward.ipynb).

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
# A formula is a *graph* of small steps. Below is the squared error of the smallest network, $L = (w
# x + b - y)^2$, at $w = 3$, $x = 2$, $b = 1$, $y = 5$. The values, in blue, are computed from left
# to right. The slopes of $L$ with respect to each of them, in orange, are computed from right to
# left: each step multiplies the slope that comes from the right by its own slope.


# %%
steps = [  # name, value, slope of L by it, where it is drawn, what it is made from
    ("w", 3, 8, (0, 2), []),
    ("x", 2, 12, (0, 1), []),
    ("b", 1, 4, (1, 0), []),
    ("a = w x", 6, 4, (1, 1.5), [0, 1]),
    ("z = a + b", 7, 4, (2, 1), [3, 2]),
    ("e = z - 5", 2, 4, (3, 1), [4]),
    ("L = e²", 4, 1, (4, 1), [5]),
]
figure, axes = plt.subplots(figsize=(9, 3.6))
for name, value, slope, (left, up), sources in steps:
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "gray"}
    arrow = {"arrowstyle": "-|>", "shrinkB": 32}
    axes.text(left, up, name, ha="center", va="center", fontsize=12, bbox=box, zorder=3)
    axes.text(left, up + 0.22, f"{value}", color="tab:blue", ha="center", va="bottom")
    axes.text(left, up - 0.22, f"{slope}", color="tab:orange", ha="center", va="top")
    for source in sources:
        start = steps[source][3]
        axes.annotate("", (left, up), start, zorder=1, arrowprops=arrow)
axes.set(xlim=(-0.4, 4.4), ylim=(-0.6, 2.6))
axes.set_title("values forward (blue), slopes of L backward (orange)")
axes.axis("off")
plt.show()

# %% [markdown]
# For example, $e^2$ has the slope $2e = 4$ with respect to $e$. A sum passes this slope on without
# a change: 4. The product $w x$ has the slope $x = 2$ with respect to $w$, so $L$ has the slope $4
# \cdot 2 = 8$ with respect to $w$.
#
# ## The derivation
#
# **The chain rule on a graph.** If $L$ depends on $u$ only through $v$, its slope with respect to
# $u$ is a product. If $u$ enters several $v_i$, the products for all of them add up:
#
# $$ \frac{\partial L}{\partial u}
#    = \sum_i \frac{\partial L}{\partial v_i} \, \frac{\partial v_i}{\partial u} . $$
#
# Start with $\partial L / \partial L = 1$ and go back through the graph. Each step needs the slopes
# of the steps that read its value, which have been computed before, and the values that the forward
# pass has stored. Each step is visited once. This is backpropagation ([Rumelhart, Hinton and
# Williams 1986](https://doi.org/10.1038/323533a0)).
#
# **A layer.** Write $\bar u$ for the slopes of $L$ with respect to the entries of $u$; it has the
# shape of $u$. A layer computes $Z = H V + c$ for a batch, so that $Z_{ik} = \sum_j H_{ij} V_{jk} +
# c_k$. In each row $i$, the slope of $Z_{ik}$ with respect to the weight $V_{jk}$ is $H_{ij}$. For
# each unit $k$, its slope with respect to $H_{ij}$ is $V_{jk}$. So
#
# $$ \bar V_{jk} = \sum_i H_{ij} \bar Z_{ik} , \qquad \bar c_k = \sum_i \bar Z_{ik} , \qquad
#    \bar H_{ij} = \sum_k \bar Z_{ik} V_{jk} , $$
#
# As products of matrices, $\bar V = H^T \bar Z$ and $\bar H = \bar Z V^T$, where $T$ swaps rows and
# columns.
#
# **The ReLU.** $H = \max(0, A)$ has the slope 1 where $A$ is positive, and 0 elsewhere. So $\bar
# A_{ij} = \bar H_{ij}$ where $A_{ij} > 0$, and 0 elsewhere.
#
# **Softmax and cross-entropy.** The loss of a row with the label $t$ is $-\log p_t = -z_t + \log
# \sum_j e^{z_j}$. Its slope with respect to $z_k$ is $e^{z_k} / \sum_j e^{z_j} = p_k$, minus 1 if
# $k = t$. Let $Y$ hold the labels as rows of zeros with a single one. For the mean over $n$ rows,
#
# $$ \bar Z = \frac{1}{n} (P - Y) . $$
#
# This is the error, as for the single neuron of lesson 1.
#
# **Cost.** Forward, a layer is one product of matrices. Backward, it is two of the same size, one
# for $\bar V$ and one for $\bar H$. So all slopes together cost about twice the forward pass, for
# any number of weights. To find the slopes by changing one weight at a time takes one or two
# forward passes for *each weight*.
#
# **Depth.** The slope of an early layer is a product with a factor for every later layer. If the
# factors are small, the slope *vanishes*, and the layer hardly learns. [Lesson
# 6](06_activations.ipynb) measures this.
#
# ## From scratch
#
# This is the network of lesson 3, for the digits. Each line of `backward` is a formula from above.


# %%
def forward(params, x):
    a = x @ params["W"] + params["b"]
    h = np.maximum(a, 0)
    z = h @ params["V"] + params["c"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return a, h, e / e.sum(axis=1, keepdims=True)


def loss(params, x, labels):
    p = forward(params, x)[-1]
    return -np.log(p[np.arange(len(x)), labels]).mean()


def backward(params, x, labels):
    a, h, p = forward(params, x)
    z_bar = (p - np.eye(10)[labels]) / len(x)
    h_bar = z_bar @ params["V"].T
    a_bar = np.where(a > 0, h_bar, 0)
    return {
        "W": x.T @ a_bar,
        "b": a_bar.sum(axis=0),
        "V": h.T @ z_bar,
        "c": z_bar.sum(axis=0),
    }


digits = jnn.data.load("digits")
x, labels = digits.x.astype(np.float64), digits.y
random = np.random.default_rng(0)
first = {
    "W": random.normal(size=(64, 32)) / 8,  # lesson 11 is about the scale of first weights
    "b": np.zeros(32),
    "V": random.normal(size=(32, 10)) / 6,
    "c": np.zeros(10),
}
slopes = backward(first, x, labels)

# %% [markdown]
# The first check compares the slopes with those of JAX. Like `backward`, `jax.grad` goes back
# through the graph, which it records while the function runs. This is called *reverse-mode
# automatic differentiation*.


# %%
def loss_in_jax(params, x, labels):
    h = jax.nn.relu(x @ params["W"] + params["b"])
    z = h @ params["V"] + params["c"]
    return -jax.nn.log_softmax(z)[jnp.arange(len(x)), labels].mean()


by_jax = jax.grad(loss_in_jax)(first, x, labels)
for name, slope in slopes.items():
    np.testing.assert_allclose(slope, by_jax[name], rtol=1e-3, atol=1e-6)

# %% [markdown]
# The second check needs no library. A slope is by definition what a small step changes, so move one
# weight by $\pm\varepsilon$ and see: $\big(L(w + \varepsilon) - L(w - \varepsilon)\big) / 2
# \varepsilon$. This is a *finite difference*, and its error falls with $\varepsilon^2$. But if
# $\varepsilon$ is very small, the two losses agree in almost all of their 16 digits, and their
# difference is mostly rounding error. So there is a best step in between.


# %%
def by_difference(name, place, step):
    moved = {sign: first[name].copy() for sign in (1, -1)}
    for sign, array in moved.items():
        array[place] += sign * step
    up, down = (loss({**first, name: moved[sign]}, x, labels) for sign in (1, -1))
    return (up - down) / (2 * step)


step_sizes = 10.0 ** np.arange(-13, 0)
place = np.unravel_index(np.abs(slopes["V"]).argmax(), slopes["V"].shape)
errors = [abs(by_difference("V", place, step) - slopes["V"][place]) for step in step_sizes]

figure, axes = plt.subplots(figsize=(6, 3.6))
axes.loglog(step_sizes, errors, marker="o")
axes.set(xlabel="step ε", ylabel="error of the slope", title="finite difference by one weight")
assert min(errors) < 1e-8
assert min(errors[0], errors[-1]) > 100 * min(errors)
plt.show()

# %% [markdown]
# With a step of about $10^{-5}$, about ten digits are right. Use it to check some weights of every
# array:

# %%
for name, slope in slopes.items():
    for _ in range(5):
        place = tuple(random.integers(size) for size in slope.shape)
        np.testing.assert_allclose(by_difference(name, place, 1e-5), slope[place], atol=1e-8)
count = sum(array.size for array in first.values())
print(f"all {count} slopes by differences: {2 * count} forward passes; by backpropagation: about 3")

# %% [markdown]
# Training is a loop that changes each weight by minus its slope times the learning rate:

# %%
trained = first
for _ in range(50):
    slopes = backward(trained, x, labels)
    trained = {name: array - 0.5 * slopes[name] for name, array in trained.items()}
print(f"loss {loss(first, x, labels):.3f} before, {loss(trained, x, labels):.3f} after 50 steps")
assert loss(trained, x, labels) < loss(first, x, labels) / 2

# %% [markdown]
# ## In jnn
#
# jnn calls `jax.grad` on the loss of the study, so a network needs no `backward`. With the same
# initial weights and the same steps it ends with the same weights. `start_from` sets the initial
# parameters of a member.

# %%
study = jnn.Study(
    model=functools.partial(jnn.models.MLP, 64, (32,), 10),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.sgd(0.5),
    epochs=50,
    batch_size=len(x),  # all rows in each step, as above
    evaluate_every=50,
)
hidden = {"kernel": first["W"], "bias": first["b"]}
output = {"kernel": first["V"], "bias": first["c"]}
result = jnn.run(study, digits, start_from={"hidden": {"0": hidden}, "output": output})
params = result.trained.params
np.testing.assert_allclose(params["hidden"]["0"]["kernel"][0], trained["W"], rtol=1e-3, atol=1e-4)
np.testing.assert_allclose(params["output"]["kernel"][0], trained["V"], rtol=1e-3, atol=1e-4)

# %% [markdown]
# ## Is this difference real?
#
# Slopes that are written by hand can have mistakes. Does a score show them? Here are two mistakes.
# One forgets the slope of the hidden layer's bias, so the bias stays at zero. The other forgets the
# slope of the hidden layer's kernel, so these weights stay random. In JAX, `stop_gradient` returns
# its input, and has the slope zero. Each member sets two numbers, 1 or 0, which say whether each of
# the two slopes is right.


# %%
def init(key, x):
    keys = jax.random.split(key)
    return {
        "W": jax.random.normal(keys[0], (64, 32)) / 8,
        "b": jnp.zeros(32),
        "V": jax.random.normal(keys[1], (32, 10)) / 6,
        "c": jnp.zeros(10),
    }


def with_slope(array, right):
    return right * array + (1 - right) * jax.lax.stop_gradient(array)


def apply(params, x, *, hyper):
    W = with_slope(params["W"], hyper["kernel"])
    b = with_slope(params["b"], hyper["bias"])
    h = jnn.layers.relu(jnn.layers.dense(x, W, b))
    return jnn.layers.dense(h, params["V"], params["c"])


with_mistakes = jnn.Study(
    model=(init, apply),
    loss=jnn.losses.softmax_cross_entropy,
    optimizer=optax.sgd(0.2),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=15 if QUICK else 30,
    batch_size=32,
)
members = jnn.seeds(4 if QUICK else 10) * jnn.folds(3 if QUICK else 5)
result = jnn.run(with_mistakes, digits, members * jnn.grid(kernel=[1, 0]) * jnn.grid(bias=[1, 0]))
print(result.summary("accuracy"))

# %%
right = {"kernel": 1, "bias": 1}
without_kernel = result.compare({"kernel": 0, "bias": 1}, right, "accuracy")
without_bias = result.compare({"kernel": 1, "bias": 0}, right, "accuracy")
print("forgets the kernel's slope - right:", without_kernel)
print("forgets the bias's slope - right:  ", without_bias)
assert without_kernel.difference.high < 0
assert without_bias.difference.low <= 0 <= without_bias.difference.high

# %% [markdown]
# Without the slope of the kernel the accuracy is lower, and the interval is far from zero. But even
# this network learns: an output layer on random features works quite well. Without the slope of the
# bias, but with that of the kernel, no difference can be seen: the interval contains zero, and
# rules out more than a fraction of a percentage point. (With a random kernel, in the last two rows
# of the table, the bias is all that the hidden layer can learn, and there it matters.) So a program
# may have a mistake that its score does not show. A backward pass that is written by hand needs the
# two checks above.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Replace the ReLU by $\tanh$, whose slope is $1 - \tanh^2$. Which lines of `forward` and `backward`
# change? Check against `jax.grad`.

# %% tags=["hide-cell"]


def tanh_slopes(params, x, labels):
    h = np.tanh(x @ params["W"] + params["b"])
    z = h @ params["V"] + params["c"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    z_bar = (p - np.eye(10)[labels]) / len(x)
    a_bar = (z_bar @ params["V"].T) * (1 - h**2)  # here, and in the line of h
    return {"W": x.T @ a_bar, "V": h.T @ z_bar}


def tanh_loss(params, x, labels):
    z = jnp.tanh(x @ params["W"] + params["b"]) @ params["V"] + params["c"]
    return -jax.nn.log_softmax(z)[jnp.arange(len(x)), labels].mean()


by_jax = jax.grad(tanh_loss)(first, x, labels)
for name, slope in tanh_slopes(first, x, labels).items():
    np.testing.assert_allclose(slope, by_jax[name], rtol=1e-3, atol=1e-6)

# %% [markdown]
# ### Exercise 2
#
# Suppose that `backward` has the line `a_bar = h_bar`, and so forgets the ReLU. Which of the four
# arrays of slopes are wrong? Does a small step along minus these slopes still lower the loss?

# %% tags=["hide-cell"]
right_slopes = backward(first, x, labels)
a_bar = (forward(first, x)[-1] - np.eye(10)[labels]) / len(x) @ first["V"].T
wrong = {**right_slopes, "W": x.T @ a_bar, "b": a_bar.sum(axis=0)}
assert [name for name in first if not np.allclose(wrong[name], right_slopes[name])] == ["W", "b"]
moved = {name: first[name] - 0.1 * wrong[name] for name in first}
print(f"loss {loss(first, x, labels):.3f} before, {loss(moved, x, labels):.3f} after the step")
assert loss(moved, x, labels) < loss(first, x, labels)  # learning is no proof

# %% [markdown]
# ### Exercise 3
#
# JAX can count the operations of a compiled function: `jax.jit(f).lower(...).compile()` has the
# method `cost_analysis()`. For a network with four hidden layers of 64 units, how many times as
# many operations as the loss does `jax.value_and_grad` need?

# %% tags=["hide-cell"]


def deep_loss(kernels, x, labels):
    for kernel in kernels[:-1]:
        x = jax.nn.relu(x @ kernel)
    return -jax.nn.log_softmax(x @ kernels[-1])[jnp.arange(len(x)), labels].mean()


kernels = [np.ones((64, 64), np.float32)] * 4 + [np.ones((64, 10), np.float32)]
operations = [
    jax.jit(f).lower(kernels, digits.x, digits.y).compile().cost_analysis()["flops"]
    for f in (deep_loss, jax.value_and_grad(deep_loss))
]
print(f"{operations[1] / operations[0]:.2f} times")  # below 3: the input needs no slope
assert 2.5 < operations[1] / operations[0] < 3.1
