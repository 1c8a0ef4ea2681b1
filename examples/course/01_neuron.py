# %% [markdown]
# # 1. What a neuron is
#
# A neuron is the smallest network: it multiplies numbers by weights, adds them up, and turns the
# sum into an answer. This lesson builds one with NumPy, trains it, does the same with jnn, and asks
# whether one neuron is better than another. You need Python, NumPy, and derivatives as taught at
# school. You need no knowledge of JAX.
#
# Each lesson is a notebook and a script. To run it, install jnn as [Start
# here](../../docs/start.md) says, and call `python examples/course/01_neuron.py` in the folder of
# the clone. Two of the libraries below may be new to you: JAX is like NumPy, but it also computes
# derivatives, and Optax provides *optimizers*, the rules by which training changes weights.

# %%
import dataclasses
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_breast_cancer

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# A doctor looks at cells of a tumor through a microscope and measures two things: how large the
# cells are (*radius*) and how much their gray varies (*texture*). Is the tumor malignant? Each
# point below is one of 569 patients.

# %%
cancer = load_breast_cancer()
names = ["mean radius", "mean texture"]
columns = [list(cancer.feature_names).index(name) for name in names]
measured = cancer.data[:, columns]
malignant = 1 - cancer.target  # 1 for a malignant tumor, 0 for a benign one

figure, axes = plt.subplots(figsize=(6, 4))
for kind, label, color in [(0, "benign", "tab:blue"), (1, "malignant", "tab:orange")]:
    rows = malignant == kind
    axes.scatter(*measured[rows].T, s=10, color=color, label=f"{label}, n = {rows.sum()}")
axes.set(xlabel="mean radius [pixels]", ylabel="mean texture", title="569 tumors")
axes.legend()
plt.show()

# %% [markdown]
# A straight line separates most malignant tumors from most benign ones. A neuron is such a line. It
# has a weight for each input, and a number that is added, the *bias*:
#
# $$ z = w_1 x_1 + w_2 x_2 + b $$
#
# On the line $z$ is zero; on one side of it $z$ is positive, and on the other side negative. To get
# a probability, the neuron applies the *sigmoid* to $z$, which maps every number into the range
# from 0 to 1:
#
# $$ p = \sigma(z) = \frac{1}{1 + e^{-z}} $$
#
# *Training* moves the line until the probabilities fit the patients whose answer is known. All
# networks work like this: language models, and programs that play chess, recognize faces or fold
# proteins, are many neurons in layers, trained by the same rule as this one.
#
# ## The derivation
#
# How wrong is a probability? The *loss* measures it. If the tumor is malignant ($y = 1$), the loss
# is $-\log p$. It is close to zero if the neuron is right and sure ($p$ near 1), and large if it is
# wrong and sure ($p$ near 0). If the tumor is benign ($y = 0$), the loss is $-\log(1 - p)$. In one
# formula, averaged over the $n$ patients:
#
# $$ L = -\frac{1}{n} \sum_i \big( y_i \log p_i + (1 - y_i) \log(1 - p_i) \big) $$
#
# To lower the loss, compute how it changes with each weight. This is the *slope* of the loss with
# respect to the weight: its partial derivative. All slopes together are the *gradient*. The sigmoid
# has the slope $\sigma'(z) = p (1 - p)$. By the chain rule, for one patient,
#
# $$ \frac{\partial L}{\partial w_j}
#    = \frac{\partial L}{\partial p} \frac{\partial p}{\partial z} \frac{\partial z}{\partial w_j}
#    = \frac{p - y}{p (1 - p)} \, p (1 - p) \, x_j = (p - y) \, x_j , \qquad
#    \frac{\partial L}{\partial b} = p - y . $$
#
# So the slope is *the error times the input*. Each step of *gradient descent* changes every weight
# a little in the direction that lowers the loss: by minus its slope times a small number, the
# *learning rate* or *step size*.
#
# ## From scratch
#
# The two columns are first *standardized*: their mean is subtracted, and they are divided by their
# standard deviation. Then one learning rate suits both.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(weights, bias, x, y):
    p = sigmoid(x @ weights + bias)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def gradient(weights, bias, x, y):
    error = sigmoid(x @ weights + bias) - y
    return x.T @ error / len(y), error.mean()


def train(x, y, steps=500, rate=0.5):
    weights, bias = np.zeros(x.shape[1]), 0.0
    for _ in range(steps):
        slope, slope_of_bias = gradient(weights, bias, x, y)
        weights, bias = weights - rate * slope, bias - rate * slope_of_bias
    return weights, bias


x = (measured - measured.mean(axis=0)) / measured.std(axis=0)
weights, bias = train(x, malignant)
accuracy = np.mean((x @ weights + bias > 0) == malignant)
print(f"weights {weights.round(2)}, bias {bias:.2f}")
print(f"loss {loss(weights, bias, x, malignant):.3f}, {accuracy:.1%} of the patients are right")
assert accuracy > 0.85


# %% [markdown]
# JAX can compute slopes automatically: `jax.grad` takes a function and returns a function that
# computes its gradient. Our slopes must be the same.


# %%
def loss_in_jax(weights, bias, x, y):
    p = jax.nn.sigmoid(x @ weights + bias)
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))


ours = gradient(np.array([0.3, -0.2]), 0.1, x, malignant)
theirs = jax.grad(loss_in_jax, argnums=(0, 1))(jnp.array([0.3, -0.2]), 0.1, x, malignant)
for mine, other in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)

# %% [markdown]
# ## In jnn
#
# A *study* has these parts: the network, the loss, the optimizer, and the *metrics*, which are what
# is measured. Here the network is one `dense` layer, which multiplies the inputs by weights (the
# *kernel*) and adds the bias. The network is two functions. `init` makes the weights and the bias,
# which are the *parameters*. It receives a random `key`, which is not used here because all
# parameters start at zero, and rows `x`, which show how many inputs there are. `neuron` computes
# the output from the parameters and the inputs. The optimizer `optax.sgd(0.5)` is gradient descent
# with the learning rate 0.5.


# %%
def init(key, x):
    return {"kernel": jnp.zeros((x.shape[-1], 1)), "bias": jnp.zeros(1)}


def neuron(params, x):
    return jnn.layers.dense(x, **params)[:, 0]  # z; the loss applies the sigmoid


study = jnn.Study(
    model=(init, neuron),
    loss=jnn.losses.binary_cross_entropy,
    optimizer=optax.sgd(0.5),
    metrics={"accuracy": jnn.metrics.accuracy},
    inputs=jnn.preprocess.standardize,
    epochs=500,
    batch_size=569,  # all rows in each step, as above
)
data = jnn.Dataset.from_arrays(measured, malignant, name="two measurements")
result = jnn.run(study, data)
trained = result.trained.params  # the first axis of each array is members; here there is one
np.testing.assert_allclose(trained["kernel"][0, :, 0], weights, rtol=1e-3)
np.testing.assert_allclose(trained["bias"][0, 0], bias, rtol=1e-3)
print("jnn finds the same weights:", trained["kernel"][0, :, 0].round(2))

# %% [markdown]
# ## Is this difference real?
#
# The data have 30 measurements of each tumor, and we used two. Are 30 better? To answer, two things
# are needed. First, a neuron must be scored on patients that it has not seen. So the patients are
# cut into ten *folds*; each neuron trains on nine of them and is scored on the tenth. Second, a
# single score depends on luck: on who is in the fold. So there must be many scores. jnn trains all
# ten neurons at once, as the *members* of one *population*. Each step now uses 64 patients, drawn
# at random (*stochastic* gradient descent), and a pass over all training patients is an *epoch*.
# The random numbers of a member come from its *seed*; here all members have the same one.
#
# `dataclasses.replace` copies a study and changes some of its parts. `concat` joins two results,
# and names them by a setting `measurements`.

# %%
everything = jnn.Dataset.from_arrays(cancer.data, malignant, name="breast cancer")
of_30 = dataclasses.replace(study, epochs=50, batch_size=64)


def init_of_2(key, x):
    return init(key, x[:, columns])


def neuron_of_2(params, x):
    return neuron(params, x[:, columns])


of_2 = dataclasses.replace(of_30, model=(init_of_2, neuron_of_2))
folds = jnn.folds(5 if QUICK else 10)
results = [jnn.run(each, everything, folds) for each in (of_2, of_30)]
both = jnn.Result.concat(results, measurements=[2, 30])
print(both.summary("accuracy"))
difference = both.compare({"measurements": 30}, {"measurements": 2}, "accuracy")
print("30 - 2 measurements:", difference)
assert difference.difference.low > 0

# %% [markdown]
# The number after ± gives a 95 % interval: how far the mean may be off by luck. The line below the
# table names its formula, which [Statistics](../../docs/statistics.md) explains. `compare` takes
# the difference in each fold, so an easy fold is easy for both. The interval of the difference does
# not contain zero, so 30 measurements are better than two.
#
# Now compare two neurons that differ in a detail: the learning rate is 0.4 or 0.5. Members may set
# such numbers, and the optimizer reads them from `h`. `final()` returns all scores as an
# `xarray.Dataset`, a table with named axes, and `sel` selects a part of it.

# %%
any_rate = dataclasses.replace(of_30, optimizer=lambda h: optax.sgd(h.rate))
rates = jnn.run(any_rate, everything, folds * jnn.grid(rate=[0.4, 0.5]))
per_fold = rates.final()["accuracy"]
slower, faster = per_fold.sel(rate=0.4), per_fold.sel(rate=0.5)
print(
    f"0.4 is better in {int((slower > faster).sum())} folds, 0.5 in {int((slower < faster).sum())}"
)
noise = rates.compare({"rate": 0.5}, {"rate": 0.4}, "accuracy")
print("0.5 - 0.4:", noise)
assert noise.difference.low <= 0 <= noise.difference.high

# %% [markdown]
# With one of these folds alone, one of the two learning rates may seem better. But the interval of
# the difference contains zero: these patients do not show which of the two is better.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Add a third column, `mean smoothness`, to the NumPy neuron. Does the training loss fall?

# %% tags=["hide-cell"]
third = list(cancer.feature_names).index("mean smoothness")
three = cancer.data[:, [*columns, third]]
three = (three - three.mean(axis=0)) / three.std(axis=0)
loss_of_three = loss(*train(three, malignant), three, malignant)
print(f"{loss_of_three:.3f} with three columns, {loss(weights, bias, x, malignant):.3f} with two")
assert loss_of_three < loss(weights, bias, x, malignant)

# %% [markdown]
# ### Exercise 2
#
# Use the squared error $(p - y)^2$ in place of the cross-entropy. Derive its slope, and check it
# against `jax.grad`. Why does a neuron that is sure, and wrong, learn slowly from it?

# %% tags=["hide-cell"]


def squared(weights, bias, x, y):
    return jnp.mean((jax.nn.sigmoid(x @ weights + bias) - y) ** 2)


def slope_of_squared(weights, bias, x, y):
    p = sigmoid(x @ weights + bias)
    error = 2 * (p - y) * p * (1 - p)  # p (1 - p) stays, as nothing cancels it
    return x.T @ error / len(y), error.mean()


at = np.array([0.3, -0.2]), 0.1, x, malignant
for mine, other in zip(slope_of_squared(*at), jax.grad(squared, (0, 1))(*at), strict=True):
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
sure = sigmoid(8.0)  # the answer was 0
print(f"error times slope at p = {sure:.4f}: {2 * sure * sure * (1 - sure):.5f}")

# %% [markdown]
# ### Exercise 3
#
# No line solves *exclusive or*: the answer is 1 if exactly one of two numbers is 1. Train the
# neuron on the four cases, and see what it says. (The next lesson adds a layer, which solves it.)

# %% tags=["hide-cell"]
cases = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
answers = np.array([0, 1, 1, 0])
on_cases = train(cases, answers, steps=5000)
print("probabilities:", sigmoid(cases @ on_cases[0] + on_cases[1]).round(3))
np.testing.assert_allclose(sigmoid(cases @ on_cases[0] + on_cases[1]), 0.5, atol=1e-3)
