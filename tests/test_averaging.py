"""Averaged parameters are scored, kept and returned, as hand-written loops average them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(20, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + RANDOM.normal(size=(20, 1))).astype(np.float32)
DATA = jnn.Dataset.from_arrays(X, Y)
EPOCHS, BATCH = 3, 5


def init(key, x):
    state = {"mean": jnp.zeros(3), "steps": jnp.int32(0)}
    return {"w": jnp.ones((3, 1))}, state


def apply(params, state, x, *, train):
    """A linear model that keeps a running mean of its inputs and counts its steps."""
    if train:
        mean = 0.9 * state["mean"] + 0.1 * x.mean(axis=0)
        state = {"mean": mean, "steps": state["steps"] + 1}
    return x @ params["w"], state


def study(**settings):
    defaults = {
        "loss": jnn.losses.squared_error,
        "optimizer": lambda h: optax.sgd(h.learning_rate),
        "metrics": {"mse": jnn.metrics.mse},
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "order": "sequential",
        "hyper": {"learning_rate": 0.1},
    }
    return jnn.Study((init, apply), **(defaults | settings))


MOVING = study(averaging=jnn.averaging.ema(lambda h: h.decay))


def loop(optimizer):
    """Yield epoch, parameters, running mean and optimizer state after each step, in float64."""
    w, mean = np.ones((3, 1)), np.zeros(3)
    state = optimizer.init({"w": jnp.asarray(w, jnp.float32)})
    for epoch in range(EPOCHS):
        for first in range(0, 20, BATCH):
            x, y = X[first : first + BATCH], Y[first : first + BATCH]
            gradient = 2 * x.T @ (x @ w - y) / BATCH
            tree = {"w": jnp.asarray(w, jnp.float32)}
            updates, state = optimizer.update({"w": jnp.asarray(gradient)}, state, tree)
            w = w + np.asarray(updates["w"], np.float64)
            mean = 0.9 * mean + 0.1 * x.mean(axis=0)
            yield epoch, w, mean, state


def mse(w):
    return np.mean((X @ w - Y) ** 2)


def assert_is(result, member, w, mean):
    trained = result.member(member).trained
    np.testing.assert_allclose(trained.params["w"][0], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.model_state["mean"][0], mean, rtol=1e-5, atol=1e-6)
    score = float(result.member(member).final()["train_mse"].values.ravel()[0])
    np.testing.assert_allclose(score, mse(w), rtol=1e-5)


def test_each_member_is_scored_and_kept_with_its_own_moving_average():
    decays = [0.5, 0.9]
    result = jnn.run(MOVING, DATA, jnn.grid(decay=decays))
    for member, decay in enumerate(decays):
        w, mean = np.ones((3, 1)), np.zeros(3)
        for _, params, running, _ in loop(optax.sgd(0.1)):
            w = decay * w + (1 - decay) * params
            mean = decay * mean + (1 - decay) * running
        assert_is(result, member, w, mean)
    assert (np.asarray(result.trained.model_state["steps"]) == 12).all()
    assert not np.allclose(result.trained.params["w"][0], params)


def test_weight_averaging_is_the_mean_over_epochs_from_its_start_on():
    starts = [2, 3]
    made = study(averaging=jnn.averaging.swa(lambda h: h.start))
    result = jnn.run(made, DATA, jnn.grid(start=starts))
    ends = [last for n, last in enumerate(loop(optax.sgd(0.1))) if n % 4 == 3]
    scores = result.scores["train_mse"].values
    np.testing.assert_allclose(scores[:, 0], mse(ends[0][1]), rtol=1e-5)  # before: the last
    for member, start in enumerate(starts):
        w, mean = (np.mean([end[i] for end in ends[start - 1 :]], axis=0) for i in (1, 2))
        assert_is(result, member, w, mean)


def test_a_schedule_free_optimizer_is_scored_at_its_average():
    optimizer = optax.contrib.schedule_free_sgd(0.2)
    result = jnn.run(study(optimizer=optimizer), DATA)
    *_, (_, y, mean, state) = loop(optimizer)
    x = optax.contrib.schedule_free_eval_params(state, {"w": y})["w"]
    assert_is(result, 0, x, mean)
    assert not np.allclose(x, y, rtol=1e-2)


def test_a_schedule_free_optimizer_of_some_parameters_leaves_the_others():
    optimizer = optax.multi_transform(
        {"free": optax.contrib.schedule_free_sgd(0.2), "plain": optax.sgd(0.1)},
        {"a": "free", "b": "plain"},
    )
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    state = optimizer.init(params)
    updates, state = optimizer.update(params, state, params)
    params = optax.apply_updates(params, updates)
    evaluated, _ = jnn.averaging.schedule_free().evaluated((), (params, {}), state)
    inner = state.inner_states["free"].inner_state
    expected = optax.contrib.schedule_free_eval_params(inner._replace(z=inner.z["a"]), params["a"])
    np.testing.assert_array_equal(evaluated["a"], expected)
    np.testing.assert_array_equal(evaluated["b"], params["b"])


def test_the_best_epoch_keeps_its_averaged_parameters():
    made = study(
        averaging=jnn.averaging.ema(0.5),
        keep="best",
        monitor="mse",
        metrics={"mse": jnn.metrics.mse},
    )
    held_out = RANDOM.normal(size=(7, 3)).astype(np.float32)
    targets = held_out[:, :1] * 3
    data = jnn.Dataset.from_arrays(np.r_[X, held_out], np.r_[Y, targets])
    split = jnn.folds([(np.arange(20), np.arange(20, 26), [26])])
    result = jnn.run(made, data, split)
    w, best = np.ones((3, 1)), None
    for n, (_, params, _, _) in enumerate(loop(optax.sgd(0.1))):
        w = 0.5 * w + 0.5 * params
        score = np.mean((held_out[:6] @ w - targets[:6]) ** 2)
        if n % 4 == 3 and (best is None or score < best[0]):
            best = score, w
    np.testing.assert_allclose(result.trained.params["w"][0], best[1], rtol=1e-5)
    np.testing.assert_allclose(result.final()["validation_mse"].values.ravel(), best[0], rtol=1e-5)


def averaged(averaging, sequence, h=None):
    """Average a sequence of variables, `[values, ...]` of one array."""
    average = averaging.init(({"w": jnp.asarray(sequence[0])}, {}))
    for number, values in enumerate(sequence[1:], 1):
        average = averaging.update(average, ({"w": jnp.asarray(values)}, {}), number, h or {})
    variables, _ = averaging.evaluated(average, ({"w": jnp.asarray(values)}, {}), ())
    return np.asarray(variables["w"])


def test_an_average_without_bias_is_that_of_optax():
    sequence = RANDOM.normal(size=(8, 4)).astype(np.float32)
    transform = optax.ema(0.9, debias=True)
    state = transform.init(sequence[0])
    for values in sequence[1:]:
        expected, state = transform.update(values, state)
    actual = averaged(jnn.averaging.ema(0.9, debias=True), sequence)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.peers
def test_averages_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    sequence = RANDOM.normal(size=(9, 4)).astype(np.float32)
    module = torch.nn.Linear(4, 1, bias=False)
    moving = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    mean = AveragedModel(module)
    for number, values in enumerate(sequence):
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(values))
        moving.update_parameters(module)  # the first one is copied
        if number >= 3:
            mean.update_parameters(module)
    actual = averaged(jnn.averaging.ema(0.8), sequence)
    np.testing.assert_allclose(actual, moving.module.weight.detach().numpy()[0], rtol=1e-5)
    actual = averaged(jnn.averaging.swa(start=3), sequence)
    np.testing.assert_allclose(actual, mean.module.weight.detach().numpy()[0], rtol=1e-5)


def test_what_is_no_float_is_that_of_the_last_step():
    averaging = jnn.averaging.ema(0.5)
    first, last = ({"count": jnp.int32(n), "key": jax.random.key(n)} for n in (0, 3))
    average = averaging.update(averaging.init(({}, first)), ({}, last), 1, {})
    _, state = averaging.evaluated(average, ({}, last), ())
    assert state["count"] == 3 and (state["key"] == jax.random.key(3)).all()


def test_narrow_parameters_are_averaged_in_float32():
    sequence = [np.ones(1)] + [np.full(1, 2.0)] * 2000
    narrow = [jnp.asarray(values, jnp.bfloat16) for values in sequence]
    actual = averaged(jnn.averaging.ema(0.999), narrow)
    assert actual.dtype == jnp.bfloat16  # in which 0.999 + 0.001 is lost
    np.testing.assert_allclose(actual.astype(np.float32), 2 - 0.999**2000, rtol=4e-3)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: jnn.averaging.ema(1.0), "decay must be from 0 to less than 1, got 1.0"),
        (lambda: jnn.averaging.ema("a"), "decay must be a number"),
        (lambda: jnn.averaging.swa(0), "start must be a whole number from 1 on, got 0"),
        (lambda: study(averaging=jnn.averaging.ema), "must be made by a function of jnn.averaging"),
        (lambda: study(averaging=jnn.averaging.swa(9)), "averaging must start by the last epoch"),
        (
            lambda: jnn.run(study(averaging=jnn.averaging.schedule_free()), DATA),
            "needs a schedule-free optimizer",
        ),
    ],
)
def test_a_wrong_averaging_is_refused(make, error):
    with pytest.raises((TypeError, ValueError), match=error):
        make()


def test_studies_that_average_can_be_copied_and_described():
    import pickle

    averaging = pickle.loads(pickle.dumps(jnn.averaging.ema(0.9, debias=True)))
    assert study(averaging=averaging).describe()["averaging"] == "ema(0.9, debias=True)"


def test_averages_of_members_move_with_them():
    members = jnn.grid(decay=[0.5, 0.9])
    population = jnn.start(MOVING, DATA, members).advance(1).gather([1, 1]).advance(2)
    w = population.result().trained.params["w"]
    np.testing.assert_array_equal(w[0], w[1])
    undisturbed = jnn.run(MOVING, DATA, members)
    np.testing.assert_allclose(w[1], undisturbed.trained.params["w"][1], rtol=1e-6)
    np.testing.assert_allclose(population.result().trained.hyper["decay"], 0.9, rtol=1e-6)
