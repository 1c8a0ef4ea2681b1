"""Optimizers get what they ask for, and draw random numbers by the key of their member."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import jnn
from jnn.engine._update import initial_opt_state

RANDOM = np.random.default_rng(6)
X = RANDOM.normal(size=(12, 2)).astype(np.float32)
Y = (X @ [[1.5], [-1.0]] + 0.1 * RANDOM.normal(size=(12, 1))).astype(np.float32)
DATA = jnn.Dataset.from_arrays(X, Y)
EPOCHS = 4


def start(key, x):
    return {"w": jnp.zeros((2, 1))}


def apply(params, x):
    return jnp.tanh(x @ params["w"])


def objective(params, x=X, y=Y):
    return jnp.mean((apply(params, x) - y) ** 2) + 0.01 * jnp.sum(params["w"] ** 2)


def study(optimizer, **settings):
    """Full batches of a small regression with a penalty."""
    defaults = {"epochs": EPOCHS, "batch_size": 12, "order": "sequential"}
    return jnn.Study(
        (start, apply),
        jnn.losses.squared_error,
        optimizer,
        penalty=lambda params, h: 0.01 * jnp.sum(params["w"] ** 2),
        **(defaults | settings),
    )


def loop(optimizer, fast=lambda params: params, params=None, **extra):
    """Train by the optimizer alone and return its parameters."""
    params = start(None, None) if params is None else params
    state = optimizer.init(params)
    for _ in range(EPOCHS):
        value, gradient = jax.value_and_grad(objective)(fast(params))
        known = {"value": value, "grad": gradient}
        options = {k: known.get(k, v) for k, v in extra.items()}
        updates, state = optimizer.update(gradient, state, params, **options)
        params = optax.apply_updates(params, updates)
    return params


def assert_trains_like(expected, optimizer):
    result = jnn.run(study(optimizer), DATA)
    np.testing.assert_allclose(result.trained.params["w"][0], expected["w"], rtol=1e-4, atol=1e-6)
    assert np.abs(expected["w"]).max() > 0.1


GRADIENT = lambda params, i: jax.grad(objective)(params)  # noqa: E731
CASES = {
    "line search": (
        lambda: optax.chain(optax.sgd(2.0), optax.scale_by_backtracking_linesearch(5)),
        {"value": 0, "grad": 0, "value_fn": objective},
    ),
    "strict in a chain": (
        lambda: optax.chain(optax.clip(9.0), contrib.sam(optax.sgd(0.3), optax.sgd(0.05))),
        {},
    ),
    "sam": (lambda: contrib.sam(optax.sgd(0.3), optax.sgd(0.05)), {}),
    "opaque sam": (
        lambda: contrib.sam(optax.sgd(0.3), optax.sgd(0.05), opaque_mode=True),
        {"grad_fn": GRADIENT},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_optimizer_gets_the_keywords_that_it_asks_for(name):
    make, extra = CASES[name]
    assert_trains_like(loop(make(), **extra), make())


def test_lbfgs_gets_what_its_line_search_needs():  # traced only: it takes long to compile
    one = jnn.Data.from_arrays(X, Y)
    member = jnn.Member(jax.random.key(0), 0, {})
    made = study(optax.lbfgs())
    state = jnn.make_start(made)(member, one)
    after, _ = jax.eval_shape(jnn.make_step(made), state, jnn.Batch(X, Y))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)


def test_lookahead_is_scored_and_kept_with_its_slow_parameters():
    make = lambda: optax.lookahead(optax.sgd(0.3), 3, 0.5)  # noqa: E731
    pairs = optax.LookaheadParams.init_synced(start(None, None))
    expected = loop(make(), fast=lambda pair: pair.fast, params=pairs)
    assert not np.allclose(expected.fast["w"], expected.slow["w"])
    assert_trains_like(expected.slow, make())


def strict(**state):
    """An optimizer with keywords of its own choice, which it keeps in its state."""

    def update(updates, state, params=None, *, key, value):
        return jax.tree.map(jnp.zeros_like, updates), {
            "draws": jnp.roll(state["draws"], 1).at[0].set(jax.random.uniform(key)),
            "value": value,
        }

    return optax.GradientTransformationExtraArgs(
        lambda params: {"draws": jnp.zeros(EPOCHS), "value": jnp.float32(0)}, update
    )


def test_an_own_optimizer_has_a_key_for_each_member_and_step():
    population = jnn.start(study(strict()), DATA, jnn.seeds(2)).advance(EPOCHS)
    state = population._collect().state.opt_state
    assert len(np.unique(state["draws"])) == 2 * EPOCHS
    np.testing.assert_allclose(state["value"], np.mean(Y**2), rtol=1e-5)


def test_each_seed_has_noise_of_its_own_and_always_the_same():
    noise = optax.chain(optax.scale(0.0), optax.add_noise(1.0, 0.0, jax.random.key(3)))
    made = study(noise, epochs=1)
    both = jnn.run(made, DATA, jnn.seeds(2)).trained.params["w"]
    assert np.abs(both[0] - both[1]).min() > 1e-3
    again = jnn.run(made, DATA, jnn.seeds(2)).trained.params["w"]
    np.testing.assert_array_equal(both, again)


def test_keys_as_words_are_the_members_own_too():
    estimator = contrib.hutchinson_estimator_diag_hessian()
    states = [initial_opt_state(estimator, {}, jax.random.key(seed)) for seed in (0, 1)]
    assert (np.asarray(states[0].key) != np.asarray(states[1].key)).any()
    counts = jnp.zeros(2, jnp.uint32)  # which are no key
    other = optax.GradientTransformation(lambda params: {"counts": counts}, None)
    assert initial_opt_state(other, {}, jax.random.key(1))["counts"] is counts


def test_an_optimizer_that_takes_parameters_for_rows_is_refused():
    with pytest.raises(ValueError, match="must return updates of the shapes of the parameters"):
        jnn.run(study(optax.contrib.differentially_private_aggregate(1.0, 0.1, 0)), DATA)
    of_rows = optax.chain(contrib.differentially_private_aggregate(1.0, 0.1, 0), optax.sgd(0.1))
    biased = (lambda key, x: {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}, lambda p, x: x @ p["w"])
    made = jnn.Study(biased, jnn.losses.squared_error, of_rows, batch_size=12)
    with pytest.raises(ValueError, match="must take the gradient of a batch"):
        jnn.run(made, DATA)


SCHEDULES = {
    "warmup and cosine": (
        lambda h: optax.warmup_cosine_decay_schedule(0.0, h.rate, 2, 6, h.rate / 10),
        [0.1, 0.3],
    ),
    "steps": (lambda h: optax.linear_schedule(0.0, 0.1, h.rate), [2, 4]),
    "decay": (lambda h: optax.exponential_decay(0.1, 2, h.rate, staircase=True), [0.5, 0.9]),
    "restarts": (
        lambda h: optax.sgdr_schedule(
            [{"init_value": 0.0, "peak_value": h.rate, "decay_steps": 3, "warmup_steps": 1}] * 2
        ),
        [0.1, 0.2],
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_member_sets_the_numbers_of_a_schedule(name):
    schedule, numbers = SCHEDULES[name]
    ones = jnn.Data.from_arrays(np.ones((4, 1), np.float32), np.ones(4, np.float32))
    made = jnn.Study(
        (lambda key, x: {"w": jnp.zeros(1)}, lambda params, x: x * params["w"]),
        lambda outputs, targets: outputs[:, 0],  # whose gradient is 1
        lambda h: optax.chain(optax.add_decayed_weights(0 * h.rate), optax.sgd(schedule(h))),
        epochs=EPOCHS,
        batch_size=4,
    )
    step = jax.jit(jnn.make_step(made))
    start = jnn.make_start(made)
    zero = [0] if name == "warmup and cosine" else []
    for number in [*numbers, *zero]:
        member = jnn.Member(jax.random.key(0), 0, {"rate": np.float32(number)})
        state = start(member, ones)
        for _ in range(EPOCHS):
            state, _ = step(state, jnn.Batch(ones.x, ones.y))
        w = state.trained.params["w"]
        if number:
            of_number = schedule(jnn.engine.HyperParameters({"rate": number}))
            expected = -sum(float(of_number(count)) for count in range(EPOCHS))
            np.testing.assert_allclose(w, expected, rtol=1e-5)
        else:  # a peak of 0 is no answer to that schedule
            assert np.isnan(w).all()


def test_a_schedule_that_cannot_be_traced_says_what_to_do():
    def optimizer(h):
        return optax.sgd(optax.piecewise_constant_schedule(0.1, {int(h.step): 0.1}))

    with pytest.raises(ValueError, match=r"Study\.optimizer failed .* Multiply a schedule"):
        jnn.run(study(optimizer), DATA, jnn.grid(step=[1, 2]))


def test_members_that_go_on_from_one_member_keep_their_own_noise():
    """Parameters are nothing but noise here, so that the same noise would be the same step."""
    noise = optax.chain(optax.scale(0.0), optax.add_noise(1.0, 0.0, 0))
    model = (lambda key, x: {"kernel": jnp.zeros((3, 2))}, lambda params, x: x @ params["kernel"])
    study = jnn.Study(model, optax.l2_loss, noise, epochs=2, batch_size=4)
    data = jnn.Dataset.from_arrays(np.ones((4, 3)), np.eye(4)[:, :2])
    population = jnn.start(study, data, jnn.seeds(2)).advance(1).gather([1, 1])
    before = population.result().trained.params["kernel"]
    after = population.advance(1).result().trained.params["kernel"]
    np.testing.assert_array_equal(before[0], before[1])
    assert np.abs((after - before)[0] - (after - before)[1]).min() > 1e-6
