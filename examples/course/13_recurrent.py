# %% [markdown]
# # 13. Recurrent networks
#
# A sentence, a melody and a share price have no fixed length, and their order matters. A
# *recurrent* network reads them one step at a time and keeps a memory. This lesson writes the plain
# recurrent network, the LSTM and the GRU with NumPy, derives the slopes through time, shows why
# they vanish, and measures which network still remembers after 40 steps.

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
# The network has a *state* $h$, a list of numbers that starts at zero. At each step it computes a
# new state from the old state and the next input, always with the same weights. Drawn step by step,
# or *unrolled*, it looks like a deep network whose layers are all the same.

# %%
figure, axes = plt.subplots(figsize=(9, 2.6))
box = {"boxstyle": "circle", "facecolor": "white", "edgecolor": "tab:blue"}
for t in range(5):
    axes.text(t, 1, f"$h_{t}$", ha="center", va="center", bbox=box, size=13)
    if t:
        axes.text(t, 0, f"$x_{t}$", ha="center", va="center", size=13)
        axes.annotate("", (t, 0.7), (t, 0.18), arrowprops={"arrowstyle": "->"})
        axes.annotate("", (t - 0.2, 1), (t - 0.8, 1), arrowprops={"arrowstyle": "->"})
        axes.text(t + 0.06, 0.42, "$W$")
        axes.text(t - 0.5, 1.08, "$U$", ha="center")
axes.annotate("", (4.8, 1), (4.2, 1), arrowprops={"arrowstyle": "->"})
axes.text(4.85, 1, "answer", va="center")
axes.set(xlim=(-0.4, 5.3), ylim=(-0.2, 1.4), title="A recurrent network, unrolled over four steps")
axes.axis("off")
plt.show()

# %% [markdown]
# ## The derivation
#
# *The plain recurrent network* ([Elman 1990](https://doi.org/10.1207/s15516709cog1402_1)) is a
# dense layer that reads the input and the old state. Rows are examples, so the weights are on the
# right:
#
# $$ h_t = \tanh(x_t W + h_{t-1} U + b) $$
#
# *Backpropagation through time.* The loss $L$ depends on the last state $h_T$. Write $d_t$ for the
# slope $\partial L / \partial h_t$, and $a_t$ for the argument of the tanh, whose slope is $1 -
# \tanh^2 = 1 - h_t^2$. The chain rule goes backwards in time:
#
# $$ \frac{\partial L}{\partial a_t} = d_t \, (1 - h_t^2) , \qquad
#    d_{t-1} = \frac{\partial L}{\partial a_t} \, U^\top . $$
#
# The same weights are used at every step, so the slopes of all steps add up:
#
# $$ \frac{\partial L}{\partial W} = \sum_t x_t^\top \frac{\partial L}{\partial a_t} , \qquad
#    \frac{\partial L}{\partial U} = \sum_t h_{t-1}^\top \frac{\partial L}{\partial a_t} , \qquad
#    \frac{\partial L}{\partial b} = \sum_t \frac{\partial L}{\partial a_t} . $$
#
# *The vanishing gradient.* Each step back multiplies the slope by $1 - h^2$, which is at most 1,
# and by $U^\top$. If together they multiply its size by 0.9, then after 40 steps $0.9^{40} \approx
# 0.015$ of it is left, and the weights hardly learn from inputs that long ago. If the factor is
# larger than 1, the slope *explodes* ([Bengio et al. 1994](https://doi.org/10.1109/72.279181)).
#
# *The LSTM* (long short-term memory, [Hochreiter and Schmidhuber
# 1997](https://doi.org/10.1162/neco.1997.9.8.1735)) has a second memory, the *cell* $c_t$, which is
# changed by addition. Three *gates* with values from 0 to 1 decide how much of the old cell is kept
# ($f$, forget, added by [Gers et al. 2000](https://doi.org/10.1162/089976600300015015)), how much
# of the new value is written ($i$, input), and how much of the cell is shown ($o$, output).
# $\sigma$ is the sigmoid. Each gate has weights of its own; $\odot$ multiplies number by number:
#
# $$ \begin{aligned}
# i, f, o &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
# g &= \tanh(x_t W_g + h_{t-1} U_g + b_g) \\
# c_t &= f \odot c_{t-1} + i \odot g , \qquad h_t = o \odot \tanh(c_t)
# \end{aligned} $$
#
# From one cell to the one before, the slope is multiplied by $f$ alone, without a matrix or a tanh.
# Where $f$ is near 1, the slope is kept.
#
# *The GRU* (gated recurrent unit, [Cho et al. 2014](https://arxiv.org/abs/1406.1078)) does this
# with two gates and no second memory. $z$ decides how much of the old state is kept, and $r$ how
# much of it the new value $n$ sees. (Here $r$ multiplies the product $h_{t-1} U_n$, as in PyTorch;
# in the published paper it multiplies $h_{t-1}$.)
#
# $$ \begin{aligned}
# r, z &= \sigma(x_t W_{r,z} + h_{t-1} U_{r,z} + b_{r,z}) \\
# n &= \tanh(x_t W_n + b_n + r \odot (h_{t-1} U_n)) \\
# h_t &= (1 - z) \odot n + z \odot h_{t-1}
# \end{aligned} $$
#
# ## From scratch
#
# The gates are side by side in the columns of one kernel, so one product computes all of them.


# %%
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def rnn_step(h, x, w, u, b):
    return np.tanh(x @ w + h @ u + b)


def gru_step(h, x, w, u, b):
    (r, z, n), (ur, uz, un) = np.split(x @ w + b, 3, axis=-1), np.split(h @ u, 3, axis=-1)
    r, z = sigmoid(r + ur), sigmoid(z + uz)
    return (1 - z) * np.tanh(n + r * un) + z * h


def lstm_step(h, c, x, w, u, b):
    i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def through_time(x, w, u, b, slope):
    """Return the slopes by w, u and b, given the slope of the loss by the last state."""
    states = [np.zeros((len(x), len(u)))]
    for t in range(x.shape[1]):
        states.append(rnn_step(states[-1], x[:, t], w, u, b))
    of_w, of_u, of_b = np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        inner = slope * (1 - states[t + 1] ** 2)
        of_w += x[:, t].T @ inner
        of_u += states[t].T @ inner
        of_b += inner.sum(axis=0)
        slope = inner @ u.T
    return of_w, of_u, of_b


# %% [markdown]
# After six steps, the layers of jnn must give the same states, and `jax.grad` the same slopes.

# %%
random = np.random.default_rng(0)
x = random.normal(size=(5, 6, 3))  # five rows, six steps, three numbers each


def draw(gates, inputs, hidden, *count):
    """Draw the weights of one network, or of `count` networks."""
    shapes = {
        "input_kernel": (*count, inputs, gates * hidden),
        "recurrent_kernel": (*count, hidden, gates * hidden),
        "bias": (*count, gates * hidden),
    }
    return {name: random.normal(scale=hidden**-0.5, size=s) for name, s in shapes.items()}


of_rnn, of_gru, of_lstm = draw(1, 3, 4), draw(3, 3, 4), draw(4, 3, 4)
plain = gated = hidden = cell = np.zeros((5, 4))
for t in range(6):
    plain = rnn_step(plain, x[:, t], *of_rnn.values())
    gated = gru_step(gated, x[:, t], *of_gru.values())
    hidden, cell = lstm_step(hidden, cell, x[:, t], *of_lstm.values())
np.testing.assert_allclose(plain, jnn.layers.rnn(x, of_rnn)[0], atol=1e-5)
np.testing.assert_allclose(gated, jnn.layers.gru(x, of_gru)[0], atol=1e-5)
np.testing.assert_allclose(hidden, jnn.layers.lstm(x, of_lstm)[0].hidden, atol=1e-5)
np.testing.assert_allclose(cell, jnn.layers.lstm(x, of_lstm)[0].cell, atol=1e-5)

slopes = jax.grad(lambda params: jnp.sum(jnn.layers.rnn(x, params)[0] ** 2) / 2)(of_rnn)
ours = through_time(x, *of_rnn.values(), slope=plain)  # the slope of h^2 / 2 is h
for mine, name in zip(ours, of_rnn, strict=True):
    np.testing.assert_allclose(mine, slopes[name], rtol=1e-4, atol=1e-5)
print("states and slopes: equal")

# %% [markdown]
# ## In jnn
#
# From how far back do inputs influence the last state? The next figure shows, for untrained
# networks of each kind, the size of the slope of the last state with respect to the input of each
# step, relative to that of the last step. `jax.vmap` computes all networks at once.
#
# This depends on the gates. With a bias of zero they start near one half, and $0.5^{40}$ is about
# $10^{-12}$. (The gates differ, and the most open ones matter most, so more than this is left.)
# With a bias of 4, the gate that keeps the old state starts *open*, at $\sigma(4) \approx 0.98$. A
# positive bias, of 1, is what [Jozefowicz et al.
# 2015](https://proceedings.mlr.press/v37/jozefowicz15.html) recommend for the LSTM; 40 steps need a
# larger one.

# %%
STEPS, HIDDEN, NETWORKS = 40, 16, 20
kinds = {  # the layer, and the bias of each of its gates
    "RNN": (jnn.layers.rnn, [0]),
    "LSTM, gates half open": (jnn.layers.lstm, [0, 0, 0, 0]),
    "LSTM": (jnn.layers.lstm, [0, 4, 0, 0]),  # i, f, g, o
    "GRU": (jnn.layers.gru, [0, 4, 0]),  # r, z, n
}


@functools.partial(jax.jit, static_argnums=0)
def reach(layer, params, inputs):
    """Return the size of the slope of the last state by each input: [networks, steps]."""

    def last_state(inputs, params):
        return layer(inputs, params)[1][-1]

    slopes = jax.vmap(jax.jacobian(last_state))(inputs, params)  # networks, hidden, steps, 1
    return jnp.linalg.norm(slopes, axis=(1, 3))


figure, axes = plt.subplots(figsize=(6, 4))
ago = np.arange(STEPS)
felt = {}
for name, (layer, biases) in kinds.items():
    params = draw(len(biases), 1, HIDDEN, NETWORKS)
    params["bias"] = np.tile(np.repeat(biases, HIDDEN), (NETWORKS, 1)).astype(float)
    sizes = reach(layer, params, random.normal(size=(NETWORKS, STEPS, 1)))
    logs = np.log10(sizes / sizes[:, -1:])[:, ::-1]
    felt[name] = 10 ** np.median(logs, axis=0)
    axes.semilogy(ago, felt[name], label=name)
    axes.fill_between(ago, *10 ** np.quantile(logs, [0.1, 0.9], axis=0), alpha=0.2)
axes.set(
    xlabel="steps ago", ylabel="slope, relative", title="What the last state feels, n = 20 networks"
)
axes.legend(title="median, and 10 to 90 %")
plt.show()

# %%
for name, sizes in felt.items():
    print(f"{name}: {sizes[-1]:.1e} of the slope is left after {STEPS - 1} steps")
assert max(felt["RNN"][-1], felt["LSTM, gates half open"][-1]) < 0.01
assert min(felt["LSTM"][-1], felt["GRU"][-1]) > 0.1

# %% [markdown]
# ## Is this difference real?
#
# The next task tests only memory: was the first number positive? All later numbers are noise. There
# are two versions, both with 40 steps: the last 10 steps are random numbers, after 30 zeros; or all
# 40 steps are. The networks are `jnn.models.SequenceClassifier`: a recurrent layer, and a dense
# layer that reads its last state.


# %%
def open_update(key, shape, dtype=jnp.float32):
    return jnp.repeat(jnp.array([0, 4, 0], dtype), shape[-1] // 3)


layers = {
    "RNN": jnn.modules.RNN,
    "LSTM": functools.partial(jnn.modules.LSTM, bias_init=jnn.initializers.forget_bias(4.0)),
    "GRU": functools.partial(jnn.modules.GRU, bias_init=open_update),
}
noise = random.normal(size=(1500, STEPS, 1))


def ask(length):
    rows = noise.copy()
    rows[:, : STEPS - length] = 0
    is_positive = (rows[:, STEPS - length, 0] > 0).astype(int)
    return jnn.Dataset.from_arrays(rows, is_positive, name=f"the first of {length}")


members = jnn.seeds(3 if QUICK else 8) * jnn.holdout(1 / 3)
studies, runs = {}, {}
for name, layer in layers.items():
    classifier = functools.partial(jnn.models.SequenceClassifier, (STEPS, 1), HIDDEN, 2)
    studies[name] = jnn.Study(
        model=functools.partial(classifier, layer=layer),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(5e-3),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=8 if QUICK else 20,
        batch_size=50,
    )
    for length in (10, 40):
        runs[name, length] = jnn.run(studies[name], ask(length), members)

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for (name, length), result in runs.items():
    panel = panels[int(length == 40)]
    accuracy = result.scores["accuracy"].values.reshape(len(members), -1)  # members, epochs
    epochs = np.arange(1, accuracy.shape[1] + 1)
    panel.plot(epochs, accuracy.mean(axis=0), label=name)
    panel.fill_between(epochs, accuracy.min(axis=0), accuracy.max(axis=0), alpha=0.2)
    panel.set(xlabel="epoch", title=f"{length} steps, n = {len(members)}")
panels[0].set(ylabel="accuracy")
panels[0].legend(title="mean, least and most")
plt.show()

# %%
differences = {}
for length in (10, 40):
    results = [runs[name, length] for name in layers]
    three = jnn.Result.concat(results, layer=list(layers))
    for a, b in [("LSTM", "RNN"), ("GRU", "RNN"), ("GRU", "LSTM")]:
        differences[a, b, length] = three.compare({"layer": a}, {"layer": b}, "accuracy")
        print(f"{length} steps, {a} - {b}: {differences[a, b, length]}")
assert differences["LSTM", "RNN", 40].difference.mean > 0.1
if not QUICK:
    assert all(differences[name, "RNN", 40].difference.low > 0 for name in ("LSTM", "GRU"))
    of_gated = differences["GRU", "LSTM", 10].difference
    assert of_gated.low <= 0 <= of_gated.high

# %% [markdown]
# Over 40 steps, the plain network only guesses, while the LSTM and the GRU have learned to
# remember: both differences are far from zero. Over 10 steps the plain network learns the task too.
# Is the GRU better than the LSTM there? The interval of their difference contains zero, so this
# task does not show it, although one of the two curves ends above the other.
#
# Six comparisons were made. If nothing differed, each interval would exclude zero by chance in one
# of 20 cases. If the six were independent, at least one would do so in $1 - 0.95^6 \approx 26\,\%$
# of cases. So an interval that barely excludes zero, such as that of GRU and LSTM over 40 steps, is
# a reason to train new seeds, but not enough to call one of them better. Also, all members share
# one split and one learning rate: the intervals are about other seeds, not about other rows or
# other rates.
#
# ## Exercises
#
# Try each before you open the solution.
#
# ### Exercise 1
#
# Leave out the tanh, and let $U$ be an *orthogonal* matrix, which does not change lengths, times
# 0.9 or times 1.1. What is the length of $d_0$ after 40 steps if that of $d_{40}$ is 1? Check it
# with `jax.grad`, by the state $h_0$ that the layer starts from (its argument `carry`).

# %% tags=["hide-cell"]
orthogonal = np.linalg.qr(random.normal(size=(4, 4)))[0]
end = np.array([1.0, 0.0, 0.0, 0.0])  # the slope by the last state
for factor in (0.9, 1.1):
    params = {"input_kernel": np.zeros((1, 4)), "recurrent_kernel": factor * orthogonal}

    def last(carry, params=params):
        identity = jnn.layers.identity
        return jnn.layers.rnn(jnp.zeros((40, 1)), params, carry, activation=identity)[0] @ end

    length_of_slope = jnp.linalg.norm(jax.grad(last)(jnp.ones(4)))
    print(f"{factor}: {length_of_slope:.3g}")
    np.testing.assert_allclose(length_of_slope, factor**40, rtol=1e-3)

# %% [markdown]
# ### Exercise 2
#
# An LSTM with $U = 0$ has gates that depend on the inputs alone. What then is
# $\partial c_T / \partial c_0$? Check it with `jax.grad` and `jnn.layers.lstm`.

# %% tags=["hide-cell"]
without_u = {**of_lstm, "recurrent_kernel": np.zeros_like(of_lstm["recurrent_kernel"])}


def last_cell(cell):
    return jnn.layers.lstm(x[0], without_u, (jnp.zeros(4), cell))[0].cell.sum()


forget = sigmoid(x[0] @ of_lstm["input_kernel"] + of_lstm["bias"])[:, 4:8]  # steps, hidden
np.testing.assert_allclose(jax.grad(last_cell)(jnp.zeros(4)), forget.prod(axis=0), rtol=1e-4)
print("the product of the forget gates:", forget.prod(axis=0))

# %% [markdown]
# ### Exercise 3
#
# Let the plain recurrent network read the 40 numbers from the last to the first. Does it still
# guess? ([Sutskever et al. 2014](https://arxiv.org/abs/1409.3215) reversed the sentences for their
# translator.)

# %% tags=["hide-cell"]
forward = ask(40)
backward = jnn.Dataset.from_arrays(forward.x[:, ::-1], forward.y, name="backward")
reversed_scores = jnn.run(studies["RNN"], backward, members).final()["accuracy"]
print(f"{reversed_scores.values.mean():.1%}: the first number is now the last one that is read")
assert reversed_scores.min() > 0.9
