"""What a network does in training besides returning outputs: it sows losses, it writes."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn.model import take_effects

X = np.asarray(np.random.default_rng(0).normal(size=(12, 4)), np.float32)
Y = np.arange(12) % 3
LOSS = jnn.losses.softmax_cross_entropy


class Losses(nnx.Variable):
    """A type of one's own for losses."""


class Sowing(nn.Module):
    """Sows two losses, a metric and intermediates."""

    @nn.compact
    def __call__(self, x):
        hidden = nn.Dense(5)(x)
        self.sow("losses", "size", 0.1 * jnp.mean(hidden**2))
        self.sow("losses", "sum", 0.01 * hidden.sum(), reduce_fn=jnp.add, init_fn=lambda: 0.0)
        self.sow("statistics", "hidden", hidden)
        self.sow("last", "hidden", hidden, reduce_fn=lambda _, new: new, init_fn=lambda: 0.0)
        self.sow("intermediates", "hidden", hidden)
        return nn.Dense(3)(hidden)


class Layer(nnx.Module):
    def __init__(self, kind, *, rngs):
        self.linear, self.kind = nnx.Linear(4, 4, rngs=rngs), kind

    def __call__(self, x):
        x = self.linear(x)
        self.sow(self.kind, "size", 0.1 * jnp.mean(x**2))
        self.sow(nnx.Intermediate, "seen", x)
        self.sow("statistics", "seen", x)
        return x


class SowingNnx(nnx.Module):
    """Two layers that sow losses of a name or of a type, and a loss in a variable."""

    def __init__(self, kind, *, rngs):
        self.first, self.second = Layer(kind, rngs=rngs), Layer(kind, rngs=rngs)
        self.extra = Losses(jnp.float32(7.0))

    def __call__(self, x):
        x = self.second(self.first(x))
        self.extra[...] = jnp.mean(x)
        return x[:, :3]


def expected_linen(params):
    hidden = X @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    logits = hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
    return logits, 0.1 * jnp.mean(hidden**2) + 0.01 * hidden.sum()


def expected_nnx(params):
    first = X @ params["first"]["linear"]["kernel"] + params["first"]["linear"]["bias"]
    second = first @ params["second"]["linear"]["kernel"] + params["second"]["linear"]["bias"]
    sown = 0.1 * jnp.mean(first**2) + 0.1 * jnp.mean(second**2)
    return second[:, :3], sown + jnp.mean(second)


SOWING = {
    "linen": (Sowing(), expected_linen),
    "nnx by name": (functools.partial(SowingNnx, "losses"), expected_nnx),
    "nnx by type": (functools.partial(SowingNnx, Losses), expected_nnx),
}


def own_objective(forward, batch):
    outputs, state = forward(batch.x)
    return LOSS(outputs, batch.y), state


@pytest.mark.parametrize(
    ("name", "objective"), [*((name, None) for name in SOWING), ("linen", own_objective)]
)
def test_sown_losses_are_added_to_the_training_loss(name, objective):
    """The truth is the gradient of the sum, written by hand."""
    network, by_hand = SOWING[name]
    study = jnn.Study(network, LOSS, optax.sgd(0.5), epochs=1, objective=objective, batch_size=12)
    data = jnn.Data.from_arrays(X, Y)
    state = jnn.make_start(study)(jnn.Member(jax.random.key(0), 0, {}), data)

    def total(params):
        logits, sown = by_hand(params)
        return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean() + sown

    expected_loss, gradient = jax.value_and_grad(total)(state.trained.params)
    step = jax.jit(jnn.make_step(study))
    after, loss = step(state, jnn.Batch(X, Y))
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, state.trained.params, gradient)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        after.trained.params,
        expected,
    )
    again, loss = step(after, jnn.Batch(X, Y))  # nothing is left over from the step before
    np.testing.assert_allclose(loss, total(after.trained.params), rtol=1e-5)
    assert jax.tree.structure(again) == jax.tree.structure(state)


def test_sown_losses_are_not_part_of_the_scores():
    study = jnn.Study(Sowing(), LOSS, optax.sgd(0.0), {}, evaluation_batch=12)
    data = jnn.Data.from_arrays(X, Y, test=np.arange(12))
    state = jnn.make_start(study)(jnn.Member(jax.random.key(0), 0, {}), data)
    logits, _ = expected_linen(state.trained.params)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()
    scores = jax.jit(jnn.make_evaluate(study))(state, data, data.test)
    np.testing.assert_allclose(scores["loss"], expected, rtol=1e-5)


class Scanned(nn.Module):
    """Three layers gone through by `scan`, each of which sows a loss."""

    @nn.compact
    def __call__(self, x):
        class Block(nn.Module):
            @nn.compact
            def __call__(self, x, _):
                self.sow("losses", "mean", x.mean())
                return x + 1.0, None

        scan = nn.scan(Block, variable_axes={"losses": 0}, length=3)
        return scan()(x, None)[0]


def test_losses_sown_in_a_scan_are_summed():
    model = jnn.as_model(Scanned())
    params, state = model.init(jax.random.key(0), X)
    assert (params, state) == ({}, {})
    _, state = model.apply(params, state, X, train=True, key=jax.random.key(0))
    np.testing.assert_allclose(take_effects(state)[1].loss, 3 * X.mean() + 3, rtol=1e-5)


class Clipped(nnx.Module):
    """Clips its own weights whenever it is called."""

    def __init__(self, *, rngs):
        self.first, self.second = nnx.Linear(4, 5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        self.first.kernel[...] = jnp.clip(self.first.kernel[...], -0.2, 0.2)
        return self.second(nnx.relu(self.first(x)))


class Spectral(nnx.Module):
    def __init__(self, *, rngs):
        self.first = nnx.SpectralNorm(nnx.Linear(4, 3, rngs=rngs), rngs=rngs)

    def __call__(self, x):
        return self.first(x)


@pytest.mark.parametrize("network", [Clipped, Spectral])
def test_parameters_that_an_nnx_module_writes_to_go_on_from_there(network):
    """The truth is the training loop of plain NNX."""
    study = jnn.Study(network, LOSS, optax.sgd(0.5), epochs=3, batch_size=12, order="sequential")
    result = jnn.run(study, jnn.Dataset.from_arrays(X, Y))
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), 0)
    model = network(rngs=nnx.Rngs(key))
    optimizer = nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)

    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(X), Y).mean()

    for _ in range(3):
        optimizer.update(model, nnx.grad(loss)(model))
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        kernel = functools.reduce(lambda tree, name: tree[name], path, result.trained.params)[0]
        np.testing.assert_allclose(kernel, variable.get_value(), rtol=1e-4, atol=1e-6)


def test_weights_that_are_written_in_bfloat16_keep_the_digits_of_those_that_are_not_clipped():
    study = jnn.Study(Clipped, LOSS, optax.sgd(0.0), batch_size=12, precision="bfloat16")
    data = jnn.Data.from_arrays(X, Y)
    state = jnn.make_start(study)(jnn.Member(jax.random.key(0), 0, {}), data)
    after, _ = jax.jit(jnn.make_step(study))(state, jnn.Batch(X, Y))
    before, kernel = (s.trained.params["first"]["kernel"] for s in (state, after))
    inside = np.abs(before) < 0.19
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(kernel[inside], before[inside])
    np.testing.assert_allclose(np.abs(kernel[~inside]), 0.2, rtol=0.06)


class AuxLoss(nnx.Variable):
    pass


class AuxiliaryNnx(nnx.Module):
    def __init__(self, *, rngs):
        self.dense = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        self.sow(AuxLoss, "constant", jnp.float32(5.0))
        return self.dense(x)


class AuxiliaryLinen(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.sow("aux_loss", "constant", jnp.float32(5.0))
        return nn.Dense(3)(x)


@pytest.mark.parametrize("network", [AuxiliaryNnx, AuxiliaryLinen()])
def test_losses_of_other_usual_names_are_added_too(network):
    study = jnn.Study(network, LOSS, optax.sgd(0.1), {})
    state = jnn.make_start(study)(jnn.Member(jax.random.key(0), 0, {}), jnn.Data.from_arrays(X, Y))
    outputs, model_state = study.model.apply(state.trained.params, {}, X)
    step = jnn.make_step(study)
    after, loss = jax.jit(step)(state, jnn.Batch(X, Y))
    assert state.trained.model_state == model_state == after.trained.model_state == {}
    expected = 5 + optax.softmax_cross_entropy_with_integer_labels(outputs, Y).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
