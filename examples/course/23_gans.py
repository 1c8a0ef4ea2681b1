# %% [markdown]
# # 23. Generative adversarial networks
#
# The networks so far made predictions from data. A *generator* makes new data. In a *generative
# adversarial network* (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661) it learns from a
# second network, which tries to distinguish its examples from real ones. This lesson derives this
# game, trains a pair in one dimension with NumPy, and then trains many pairs, because two trainings
# of the same pair may end very differently.

# %%
import sys
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from scipy.stats import norm

import jnn
from jnn import gan

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# The generator $G$ turns random numbers $z$ into examples $x = G(z)$. The *discriminator* $D$ gives
# each example a probability that it is real. $D$ is trained to be right, and $G$ is trained to make
# $D$ wrong. Neither of them knows a formula for the real examples.
#
# On the left, real examples come from the blue distribution, and generated ones from the orange
# distribution. The black curve is the best possible discriminator: close to 1 where only real
# examples are likely, and 1/2 where both are equally likely. On the right are the slopes from which
# the generator learns; the next section explains them.

# %%
at = np.linspace(-4, 5, 400)
real, fake = norm.pdf(at, 2, 0.7), norm.pdf(at, -1, 1.2)
logits = np.linspace(-8, 8, 200)
belief = 1 / (1 + np.exp(-logits))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.fill_between(at, real, color="tab:blue", alpha=0.4, label="real")
left.fill_between(at, fake, color="tab:orange", alpha=0.4, label="generated")
left.plot(at, real / (real + fake), "k", label="best discriminator")
left.set(xlabel="x", title="What the discriminator sees")
right.plot(logits, -belief, label=r"minimax, $\log(1 - D)$")
right.plot(logits, -(1 - belief), label=r"non-saturating, $-\log D$")
right.axvspan(-8, -3, color="gray", alpha=0.15)
right.text(-7.8, -0.55, "the example\nis exposed", fontsize="small")
right.set(xlabel="logit of a generated example", ylabel="slope of the generator's loss")
right.set_title("What the generator learns from")
for axes in (left, right):
    axes.legend(fontsize="small", loc="upper left" if axes is left else "center right")
plt.show()

# %% [markdown]
# ## The derivation
#
# **The game.** Let real examples have the density $p(x)$ and generated ones $q(x)$. The
# discriminator maximizes the log-likelihood of the right answers, and the generator minimizes it:
#
# $$ V(D, G) = E_{x \sim p} \log D(x) + E_{x \sim q} \log (1 - D(x))
#    = \int p(x) \log D(x) + q(x) \log (1 - D(x)) \, dx . $$
#
# **The best discriminator.** The integral is largest if its integrand is largest at each $x$. For
# two numbers $p$ and $q$, the derivative of $p \log d + q \log (1 - d)$ with respect to $d$ is $p /
# d - q / (1 - d)$. It is zero at
#
# $$ D^*(x) = \frac{p(x)}{p(x) + q(x)} , \qquad \text{whose logit is} \quad
#    \log \frac{D^*}{1 - D^*} = \log \frac{p(x)}{q(x)} . $$
#
# So a good discriminator estimates a *ratio of densities*, although it sees only examples.
#
# **What the generator minimizes.** Insert $D^*$ into $V$, and let $m = (p + q) / 2$. Then
#
# $$ V(D^*, G) = \int p \log \frac{p}{2 m} + q \log \frac{q}{2 m} \, dx
#    = \text{KL}(p \,\Vert\, m) + \text{KL}(q \,\Vert\, m) - \log 4 . $$
#
# The *Kullback-Leibler divergence* $\text{KL}(f \,\Vert\, g) = \int f \log (f / g) \, dx$ is never
# negative, and zero only if $f = g$. Both divergences are zero only if $p = m = q$. So against a
# perfect discriminator, the distribution of the best generator is that of the real examples.
#
# **Two slopes.** Let $a$ be the logit of a generated example, $D = \sigma(a)$. The generator of the
# game minimizes $\log (1 - \sigma(a))$, the *minimax* loss. In practice one often minimizes
# $-\log \sigma(a)$ instead, the *non-saturating* loss. With $\sigma' = \sigma (1 - \sigma)$,
#
# $$ \frac{d}{da} \log (1 - \sigma(a)) = -\sigma(a) , \qquad
#    \frac{d}{da} \big( -\log \sigma(a) \big) = -(1 - \sigma(a)) . $$
#
# With both losses $a$ rises. But at the beginning the generated examples are bad, the discriminator
# is confident, and $\sigma(a)$ is almost zero. Then the slope of the minimax loss is almost zero,
# and that of the non-saturating loss has its largest size.
#
# **What can go wrong.** The derivation assumes that $D$ is perfect at each step of $G$. In training
# they take turns, so the discriminator changes while the generator learns from it. The generator
# may then make only the examples that deceive the current discriminator. This is called *mode
# collapse*.
#
# ## From scratch
#
# The real examples are normal numbers with mean 2 and standard deviation 0.7. The generator is $x =
# m + s z$ with normal numbers $z$. For normal densities $\log (p / q)$ is a parabola in $x$, so the
# discriminator's logit is $a(x) = w_1 x + w_2 x^2 + w_3$. Its slopes are those of logistic
# regression, see [lesson 1](01_neuron.ipynb). The slopes of the generator pass through the
# discriminator: $da/dx = w_1 + 2 w_2 x$, $dx/dm = 1$, and $dx/ds = z$.


# %%
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def powers(x):
    return np.stack([x, x**2, np.ones_like(x)], axis=-1)


def discriminator_slope(w, real, fake):
    error_of_real, error_of_fake = sigmoid(powers(real) @ w) - 1, sigmoid(powers(fake) @ w)
    return powers(real).T @ error_of_real / len(real) + powers(fake).T @ error_of_fake / len(fake)


def generator_slope(w, mean, deviation, z):
    x = mean + deviation * z
    by_x = -(1 - sigmoid(powers(x) @ w)) * (w[0] + 2 * w[1] * x)  # the non-saturating loss
    return by_x.mean(), (by_x * z).mean()


STEPS, ROWS = 2000, 128
random = np.random.default_rng(0)
w, mean, deviation, path = np.zeros(3), -1.0, 1.2, []
for _ in range(STEPS):
    for _ in range(5):  # the discriminator stays ahead
        drawn, made = (
            2 + 0.7 * random.normal(size=ROWS),
            mean + deviation * random.normal(size=ROWS),
        )
        w = w - 0.1 * discriminator_slope(w, drawn, made)
    slope_of_mean, slope_of_deviation = generator_slope(
        w, mean, deviation, random.normal(size=ROWS)
    )
    mean, deviation = mean - 0.05 * slope_of_mean, deviation - 0.05 * slope_of_deviation
    path.append((mean, deviation))
print(f"generated: mean {mean:.2f}, deviation {deviation:.2f}; real: 2.00, 0.70")
print("weights of the discriminator, which cannot tell them apart any more:", w.round(2))
np.testing.assert_allclose((mean, deviation), (2, 0.7), atol=0.1)
assert np.abs(sigmoid(powers(np.linspace(1, 3, 9)) @ w) - 0.5).max() < 0.1

figure, axes = plt.subplots(figsize=(6, 3.2))
axes.plot(np.array(path), label=["mean", "deviation"])
axes.hlines([2, 0.7], 0, STEPS, color="gray", linestyle=":", label="real")
axes.set(xlabel="step of the generator", title="One pair in one dimension")
axes.legend()
plt.show()

# %% [markdown]
# At first the mean becomes too large, and the deviation becomes a fraction of the real one: for a
# while the generator makes nearly the same number each time. Later both recover. JAX gives the same
# slopes:


# %%
def loss_of_discriminator(w, real, fake):
    a, b = (jnp.stack([x, x**2, jnp.ones_like(x)], axis=-1) @ w for x in (real, fake))
    return -jnp.mean(jax.nn.log_sigmoid(a)) - jnp.mean(jnp.log(1 - jax.nn.sigmoid(b)))


def loss_of_generator(generator, w, z):
    x = generator[0] + generator[1] * z
    logit = w[0] * x + w[1] * x**2 + w[2]
    return jnp.mean(gan.non_saturating.generator(logit))


some = np.array([0.4, -0.3, 0.2])
z = random.normal(size=16)
ours = discriminator_slope(some, drawn, made)
np.testing.assert_allclose(jax.grad(loss_of_discriminator)(some, drawn, made), ours, rtol=1e-4)
ours = generator_slope(some, -1.0, 1.2, z)
theirs = jax.grad(loss_of_generator)(jnp.array([-1.0, 1.2]), some, z)
np.testing.assert_allclose(theirs, ours, rtol=1e-4)

# %% [markdown]
# ## In jnn
#
# `jnn.gan.Study` is a study of two networks. The same game, with the same learning rates and five
# updates of the discriminator for each update of the generator, ends at about the same numbers for
# each of several seeds.


# %%
def init_generator(key, z):
    return {"mean": jnp.array([-1.0]), "deviation": jnp.array([1.2])}


def generate(params, z):
    return params["mean"] + params["deviation"] * z


def init_discriminator(key, x):
    return {"kernel": jnp.zeros((2, 1)), "bias": jnp.zeros(1)}


def discriminate(params, x):
    return jnn.layers.dense(jnp.concatenate([x, x**2], axis=1), **params)


line = gan.Study(
    generator=(init_generator, generate),
    discriminator=(init_discriminator, discriminate),
    latent=1,
    optimizers=(optax.sgd(0.05), optax.sgd(0.1)),
    discriminator_steps=5,
    epochs=1,
    steps_per_epoch=STEPS,
    batch_size=ROWS,
)
numbers = 2 + 0.7 * np.random.default_rng(1).normal(size=(10_000, 1))
pairs = jnn.run(line, jnn.Dataset.from_arrays(numbers, name="numbers"), jnn.seeds(4))
made = gan.sample(pairs, 2000)[..., 0]  # [members, examples]
print("mean of each seed", made.mean(axis=1).round(2), "deviation", made.std(axis=1).round(2))
np.testing.assert_allclose(made.mean(axis=1), mean, atol=0.15)
np.testing.assert_allclose(made.std(axis=1), deviation, atol=0.15)

# %% [markdown]
# ## Is this difference real?
#
# Now the real examples are points in the plane: eight small clouds on a ring, the *modes*. How many
# modes does a generator find? The optimizer is Adam with the learning rate 0.005. Its momentum
# $\beta_1$ is 0.9 by default; Radford et al. (2015, https://arxiv.org/abs/1511.06434) propose 0.5
# for such games. Each setting is trained with many seeds, for both losses of the generator. A mode
# counts as found if at least one of 1000 examples is within three standard deviations of it.

# %%
MEANS, STD = gan.ring(8), 0.02
SEEDS, EPOCHS = (6, 2) if QUICK else (16, 4)
ring = jnn.Dataset.from_arrays(gan.draw_mixture(MEANS, STD, 10_000), name="ring")


def adam(h):
    return optax.adam(0.005, b1=h.momentum)


def study_of(loss):
    return gan.Study(
        generator=partial(jnn.models.MLP, 8, (32, 32), 2),
        discriminator=partial(jnn.models.MLP, 2, (32, 32), 1),
        latent=8,
        optimizers=(adam, adam),
        loss=loss,
        metrics={"modes": gan.modes(MEANS, STD), "near_a_mode": gan.high_quality(MEANS, STD)},
        samples=1000,
        evaluation_batch=1000,
        epochs=EPOCHS,
        steps_per_epoch=500,
        batch_size=64,
    )


members = jnn.seeds(SEEDS) * jnn.grid(momentum=[0.5, 0.9])
losses = {"non-saturating": gan.non_saturating, "minimax": gan.minimax}
results = {name: jnn.run(study_of(loss), ring, members) for name, loss in losses.items()}
both = jnn.Result.concat([*results.values()], loss=[*results])
print(both.summary("train_modes"))

figure = jnn.plots.histogram(results["non-saturating"], "train_modes")
figure.axes[0].set_title(f"Modes found of 8, non-saturating loss, n = {SEEDS} seeds each")
figure

# %%
first, second = ({"loss": "non-saturating", "momentum": value} for value in (0.5, 0.9))
momentum = both.compare(first, second, "train_modes")
print("momentum 0.5 - 0.9, modes:", momentum)
other = {"loss": "minimax", "momentum": 0.9}
of_loss = both.compare(second, other, "train_modes")
print("non-saturating - minimax at momentum 0.9, modes:", of_loss)
assert momentum.difference.low > 0
if not QUICK:
    assert of_loss.difference.low < 0 < of_loss.difference.high

# %% [markdown]
# With momentum 0.5 nearly every pair finds all eight modes. With 0.9 the same pair may find few or
# all, depending on the seed. The mean is lower, and the interval of the difference does not contain
# zero. Between the two losses at momentum 0.9 the interval contains zero. It is wide: a difference
# of about one mode in either direction is possible. With a single training of each, either loss
# could have seemed better, because the seeds differ by several modes. The figure below shows four
# seeds of one setting, from the one that found the fewest modes to the one that found the most.

# %%
one = results["non-saturating"].select(momentum=0.9)
found = one.final()["train_modes"].to_numpy().ravel()
worst_first = np.argsort(found, kind="stable")
examples = gan.sample(one, 500)  # [members, examples, 2]

figure, panels = plt.subplots(1, 4, figsize=(9, 2.7), sharex=True, sharey=True)
for axes, place in zip(panels, np.linspace(0, SEEDS - 1, 4).astype(int), strict=True):
    member = worst_first[place]
    axes.plot(*MEANS.T, "o", color="tab:blue", alpha=0.3, markersize=9)
    axes.plot(*examples[member].T, ".", color="tab:orange", markersize=2)
    axes.set(title=f"{found[member]:.0f} of 8", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
figure.suptitle(f"Modes (blue) and 500 examples (orange), 4 of n = {SEEDS} seeds", fontsize=10)
plt.show()

# %% [markdown]
# [Generative adversarial networks](../../docs/gan.md) shows how to set packing, penalties and other
# losses, and how to score images.
#
# ## Exercises
#
# ### Exercise 1
#
# Compute $V(D^*, G)$ for the two distributions of the first figure, once from its definition and
# once from the two Kullback-Leibler divergences. What is its value if both distributions are the
# same?

# %% tags=["hide-cell"]
points = np.linspace(-12, 12, 20_001)
p, q = norm.pdf(points, 2, 0.7), norm.pdf(points, -1, 1.2)
m = (p + q) / 2
p_log, q_log = (norm.logpdf(points, *which) for which in [(2, 0.7), (-1, 1.2)])
sum_log = np.logaddexp(p_log, q_log)  # of p + q, also where both underflow
value = np.trapezoid(p * (p_log - sum_log) + q * (q_log - sum_log), points)
m_log = sum_log - np.log(2)
divergences = [np.trapezoid(f * (f_log - m_log), points) for f, f_log in [(p, p_log), (q, q_log)]]
print(f"{value:.4f} = {divergences[0]:.4f} + {divergences[1]:.4f} - log 4")
np.testing.assert_allclose(value, sum(divergences) - np.log(4), rtol=1e-6)
same = np.trapezoid(2 * p * np.log(0.5), points)  # D = 1/2 everywhere
np.testing.assert_allclose(same, -np.log(4), rtol=1e-6)
assert value > same

# %% [markdown]
# ### Exercise 2
#
# The *least-squares* discriminator (Mao et al. 2016, https://arxiv.org/abs/1611.04076) minimizes
# $(D - 1)^2$ on real and $D^2$ on generated examples, without a sigmoid. Derive the best output at
# a point where the densities are $p = 0.3$ and $q = 0.1$, and find it from `gan.least_squares`.

# %% tags=["hide-cell"]
# The slope 2 p (d - 1) + 2 q d is zero at d = p / (p + q): the same ratio of densities.
outputs = jnp.linspace(-1, 2, 3001)
ones, zeros = jnp.ones(3001), jnp.zeros(3001)
losses_of = gan.least_squares.discriminator
loss_at_point = 0.3 * losses_of(outputs, ones) + 0.1 * losses_of(outputs, zeros)
best = float(outputs[jnp.argmin(loss_at_point)])
print(f"best output {best:.3f}")
np.testing.assert_allclose(best, 0.3 / 0.4, atol=2e-3)

# %% [markdown]
# ### Exercise 3
#
# In the smallest game, one player changes $u$ to lower $u v$, and the other changes $v$ to raise
# it, both with the step size $\eta$ and at the same time. The solution is $u = v = 0$. Show that
# $u^2 + v^2$ grows by the factor $1 + \eta^2$ in each step. What changes if they take turns?

# %% tags=["hide-cell"]
# (u - eta v)^2 + (v + eta u)^2 = (1 + eta^2) (u^2 + v^2): the mixed terms cancel.
eta, u, v = 0.1, 1.0, 0.0
for _ in range(500):
    u, v = u - eta * v, v + eta * u
np.testing.assert_allclose(u**2 + v**2, (1 + eta**2) ** 500)
in_turn, radii = np.array([1.0, 0.0]), []
for _ in range(500):
    in_turn[0] -= eta * in_turn[1]
    in_turn[1] += eta * in_turn[0]  # it sees the move of the other
    radii.append(np.hypot(*in_turn))
print(f"at once: {np.hypot(u, v):.1f} from the solution; in turn: {max(radii):.2f} at most")
assert min(radii) > 0.9 and max(radii) < 1.1  # it circles, and does not arrive either
