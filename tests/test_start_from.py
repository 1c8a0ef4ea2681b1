"""Members begin with what another training learned; one that goes on seems never to have ended."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3)).astype(np.float32)
DATA = jnn.Dataset.from_arrays(X, np.arange(24) % 2, name="here")
ELSEWHERE = jnn.Dataset.from_arrays(X[::-1] + 1, np.arange(24) % 2, name="elsewhere")
FOLDS = jnn.seeds(2) * jnn.folds(2)


def init(key, x):
    keys = jax.random.split(key)
    params = {
        "trunk": jax.random.normal(keys[0], (3, 2)),
        "head": jax.random.normal(keys[1], (2, 2)),
    }
    return params, {"steps": jnp.int32(0)}


def apply(params, state, x, *, train):
    return jnp.tanh(x @ params["trunk"]) @ params["head"], {"steps": state["steps"] + train}


STUDY = jnn.Study(
    (init, apply),
    jnn.losses.softmax_cross_entropy,
    lambda h: optax.sgd(h.rate, momentum=0.9),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=2,
    batch_size=6,  # two steps per epoch on one of two folds
    hyper={"rate": 0.1},
    averaging=jnn.averaging.ema(0.5),
)
LONGER = dataclasses.replace(STUDY, epochs=5)
STILL = jnn.grid(rate=[0.0])  # what such members begin with they also end with
PLAN = jnn.Plan(1, 2, 2)
run = functools.partial(jnn.run, plan=PLAN)
equal = functools.partial(jax.tree.map, np.testing.assert_array_equal)


@functools.cache
def short():
    return run(STUDY, DATA, FOLDS, keep_optimizer=True)


@functools.cache
def elsewhere():
    return run(STUDY, ELSEWHERE, FOLDS)


def assert_same_bits(result, expected):
    for name in expected.scores:
        np.testing.assert_array_equal(result.scores[name], expected.scores[name])
    equal(result.trained, expected.trained)


def test_a_training_that_goes_on_has_the_bits_of_one_that_never_ended(tmp_path):
    expected = run(LONGER, DATA, FOLDS)
    short().save(tmp_path / "short")
    loaded = jnn.Result.load(tmp_path / "short", STUDY)
    for first in (short(), loaded, tmp_path / "short"):
        result = run(LONGER, DATA, FOLDS, start_from=first, resume_optimizer=True)
        assert_same_bits(result, expected)
    options = {"start_from": loaded, "resume_optimizer": True, "plan": PLAN}
    begun = jnn.start(LONGER, DATA, FOLDS, **options)
    assert begun.epoch == 2 and begun.scores.sizes["epoch"] == 2
    begun.keep([3]).advance(3)
    np.testing.assert_array_equal(
        begun.result().trained.params["head"][0], expected.trained.params["head"][3]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"keep": "best", "validation": 0.25, "patience": 2, "averaging": None},
        {"averaging": jnn.averaging.swa(start=2)},
        {
            "optimizer": optax.chain(optax.add_noise(0.1, 0.5, 3), optax.adam(0.1)),
            "averaging": None,
        },
        {"optimizer": optax.adam(optax.cosine_decay_schedule(0.1, 12)), "order": "shared"},
    ],
)
def test_every_kind_of_training_goes_on(settings, tmp_path):
    study, longer = (dataclasses.replace(one, **settings) for one in (STUDY, LONGER))
    expected = run(longer, DATA, FOLDS)
    run(study, DATA, FOLDS, keep_optimizer=True, directory=tmp_path / "first")
    first = jnn.Result.load(tmp_path / "first")
    assert_same_bits(run(longer, DATA, FOLDS, start_from=first, resume_optimizer=True), expected)


@pytest.mark.slow
def test_members_on_several_devices_and_members_of_a_stream_begin_alike():
    expected = run(STUDY, DATA, FOLDS, start_from=elsewhere())
    result = jnn.run(STUDY, DATA, FOLDS, start_from=elsewhere(), plan=jnn.Plan(2, 1, 2))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, result.trained, expected.trained)
    study = dataclasses.replace(STUDY, steps_per_epoch=2)
    stream = jnn.data.Stream((DATA.x, DATA.y), 6)
    first = elsewhere().member(2)
    options = {"test": DATA, "start_from": first}
    result = jnn.run(study, stream, jnn.seeds(2) * STILL, **options)
    equal(result.trained.params["head"][1], first.trained.params["head"][0])


def test_members_begin_with_the_member_of_their_seed_and_fold():
    result = run(STUDY, DATA, FOLDS * STILL, start_from=elsewhere())
    first = elsewhere().trained
    equal(result.trained.params, first.params)
    # The state goes on from the steps of the first training, and preprocessing is fitted anew.
    np.testing.assert_array_equal(result.trained.model_state["steps"], 2 * 4 * np.ones(4))
    turned = FOLDS[[3, 1]] * STILL
    result = run(STUDY, DATA, turned, start_from=elsewhere())
    equal(result.trained.params, jax.tree.map(lambda a: a[[3, 1]], first.params))
    moved = run(STUDY, DATA, FOLDS, start_from=elsewhere())
    alone = jnn.run(STUDY, DATA, FOLDS[[2]], start_from=elsewhere())
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: close(a[2], b[0]), moved.trained, alone.trained)
    assert np.abs(moved.trained.params["head"] - first.params["head"]).min() > 1e-5


@pytest.mark.parametrize("form", ["params", "pair", "trained", "result"])
def test_all_members_begin_with_the_same_parameters(form):
    one = elsewhere().member(1)
    first = jax.tree.map(lambda array: array[0], one.trained)
    start_from = {
        "params": first.params,
        "pair": (first.params, first.model_state),
        "trained": first,
        "result": one,
    }[form]
    result = run(STUDY, DATA, FOLDS * STILL, start_from=start_from)
    equal(result.trained.params, jax.tree.map(lambda a: np.stack([a] * 4), first.params))
    steps = 4 if form == "params" else 8
    np.testing.assert_array_equal(result.trained.model_state["steps"], steps)


def test_a_new_head_is_drawn_and_the_trunk_is_taken_over():
    old = {"trunk": np.ones((3, 2)), "head": np.ones((2, 7)), "tail": np.ones(3)}
    result = run(STUDY, DATA, FOLDS * STILL, start_from=old, fresh=["head", "tail"])
    drawn = run(STUDY, DATA, FOLDS * STILL).trained.params
    np.testing.assert_array_equal(result.trained.params["head"], drawn["head"])
    np.testing.assert_array_equal(result.trained.params["trunk"], 1)


def test_the_first_steps_are_those_of_an_optimizer_that_begins_anew():
    """The truth is a loop in NumPy, in float64."""
    first = jax.tree.map(lambda array: array[0], elsewhere().trained.params)
    data = jnn.Dataset.from_arrays(X[:6], np.arange(6) % 2)
    result = jnn.run(STUDY, data, start_from=first)
    trunk, head = np.float64(first["trunk"]), np.float64(first["head"])
    target = np.eye(2)[np.arange(6) % 2]
    velocity = [0.0, 0.0]
    average = [trunk, head]
    for _ in range(2):
        hidden = np.tanh(X[:6] @ trunk)
        logits = hidden @ head
        error = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - target
        inner = (error @ head.T) * (1 - hidden**2)
        gradients = [X[:6].T @ inner / 6, hidden.T @ error / 6]
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
        trunk, head = trunk - 0.1 * velocity[0], head - 0.1 * velocity[1]
        average = [0.5 * a + 0.5 * p for a, p in zip(average, (trunk, head), strict=True)]
    np.testing.assert_allclose(result.trained.params["trunk"][0], average[0], rtol=1e-4)
    np.testing.assert_allclose(result.trained.params["head"][0], average[1], rtol=1e-4)


def test_a_run_in_a_folder_belongs_to_its_start(tmp_path):
    first, second = elsewhere(), short()

    def die(status):
        if status.stage == "training":
            raise KeyboardInterrupt

    options = {"directory": tmp_path, "save_every": 0, "look_every": 0}
    with pytest.raises(KeyboardInterrupt):
        run(STUDY, DATA, FOLDS, start_from=first, progress=die, **options)
    for other in ({}, {"start_from": second}):
        with pytest.raises(ValueError, match="holds a run of another study"):
            run(STUDY, DATA, FOLDS, **other, **options)
    result = run(STUDY, DATA, FOLDS, start_from=first, **options)
    assert_same_bits(result, run(STUDY, DATA, FOLDS, start_from=first))
    again = run(STUDY, DATA, FOLDS, start_from=first, **options)
    assert_same_bits(again, result)
    with pytest.raises(ValueError, match="without the state of its optimizer"):
        run(STUDY, DATA, FOLDS, start_from=first, keep_optimizer=True, **options)


def test_what_has_trained_on_rows_that_score_a_member_is_refused():
    start = functools.partial(jnn.start, STUDY, DATA)
    with pytest.raises(ValueError, match=r"must have been trained on the same folds, but"):
        start(jnn.folds(3), start_from=short())
    with pytest.raises(ValueError, match=r"it has one of fold 1 only, which has trained on the"):
        start(FOLDS, start_from=short().member(1))
    schema = dataclasses.replace(short().schema, split="", digest="of no folds")
    whole = dataclasses.replace(short().member(0), schema=schema)
    with pytest.raises(ValueError, match=r"on the same rows with no folds"):
        start(FOLDS, start_from=whole)
    start(jnn.seeds(3), start_from=short().member(1))  # no row scores these
    start(jnn.folds(3), start_from=elsewhere().member(1))
    start(FOLDS[[1]] * jnn.grid(rate=[0.1, 0.2]), start_from=short().member(1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start_from": {"trunk": np.ones((3, 2))}}, ValueError, "missing are 'head'"),
        (
            {"start_from": {"trunk": np.ones((3, 4)), "head": np.ones((2, 2))}},
            ValueError,
            r"'trunk' of start_from must have the shape \(3, 2\), got \(3, 4\)",
        ),
        (
            {"start_from": {"trunk": np.ones((3, 2)), "head": np.full((2, 2), np.nan, "f4")}},
            ValueError,
            "finite parameters, but 'head' has NaN or infinity",
        ),
        ({"fresh": "head"}, ValueError, "^fresh belongs to start_from"),
        ({"resume_optimizer": True}, ValueError, "^resume_optimizer belongs to start_from"),
        ({"resume_optimizer": 1}, TypeError, "^resume_optimizer must be True or False"),
        ({"start_from": {}, "resume_optimizer": True}, TypeError, "^start_from must be a Result"),
        ({"start_from": 3}, TypeError, "^start_from must be a jnn.Result, the folder of one, or"),
        ({"start_from": []}, TypeError, "^start_from must be a jnn.Result, the folder of one, or"),
        ({"start_from": "/no/such/folder"}, ValueError, "holds no result"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_compiled(options, error, message):
    with pytest.raises(error, match=message):
        jnn.start(STUDY, DATA, FOLDS, **options)


def test_a_result_that_does_not_fit_is_refused():
    both = jnn.Result.concat([elsewhere(), elsewhere()], rate=[0.1, 0.2])
    start = functools.partial(jnn.start, STUDY, DATA)
    with pytest.raises(ValueError, match=r"it has 2 for fold 0 and seed 0. Pass result.best_m"):
        start(FOLDS, start_from=both)
    start(FOLDS, start_from=both.best_members())
    start(FOLDS * jnn.grid(rate=[0.1, 0.2]), start_from=both)  # of the same numbers
    with pytest.raises(ValueError, match=r"it has 0 for fold 0 and seed 2"):
        start(jnn.seeds(1, first=2) * jnn.folds(2), start_from=short())
    going_on = functools.partial(jnn.start, data=DATA, members=FOLDS, resume_optimizer=True)
    with pytest.raises(ValueError, match=r"Train it by jnn.run\(..., keep_optimizer=True\)"):
        going_on(LONGER, start_from=elsewhere())
    with pytest.raises(ValueError, match=r"^Study.epochs must be more than the 2 epochs"):
        going_on(STUDY, start_from=short())
    with pytest.raises(ValueError, match=r"^fresh must be empty"):
        going_on(LONGER, start_from=short(), fresh="head")
    other = dataclasses.replace(LONGER, optimizer=optax.adam(0.1))
    with pytest.raises(ValueError, match=r"^start_from can only go on with the .* 'opt_state/"):
        going_on(other, start_from=short())
