"""A study that brings its own training; weights of rows and of classes; arrays that all share."""

import copy
import functools
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.utils.class_weight import compute_class_weight

import jnn
from jnn import engine
from jnn.engine import key_of
from tests import studies

RNG = np.random.default_rng(0)
POINTS = jnn.Dataset.from_arrays((RNG.normal(size=(64, 2)) + 3).astype(np.float32))
IRIS = jnn.data.load("iris")


def two_players(study):
    """A generator that shifts noise and a linear critic, each with an optimizer of its own."""
    slow, fast = optax.sgd(0.05), optax.sgd(0.2)

    def fakes(params, key, count):
        return jax.random.normal(key, (count, 2)) + params["generator"]

    def start(member, data):
        params = {"generator": jnp.zeros(2), "critic": jnp.zeros(2)}
        states = {
            "generator": slow.init(params["generator"]),
            "critic": fast.init(params["critic"]),
        }
        trained = jnn.Trained(params, {}, (), {k: jnp.asarray(v) for k, v in member.hyper.items()})
        key = jax.random.key_data(member.key)
        return jnn.State(trained, states, jnp.int32(member.fold), key, jnp.int32(0))

    def step(state, batch):
        params, key = state.trained.params, key_of(state.key, 2, state.step)

        def gap(critic, generator):
            fake = fakes({"generator": generator}, key, len(batch.x))
            weights = batch.weights[:, None]
            real = (weights * batch.x).sum(0) / weights.sum()
            return critic @ (real - fake.mean(0)) - state.trained.hyper["decay"] * critic @ critic

        ascent = jax.grad(gap)(params["critic"], params["generator"])
        update, critic_state = fast.update(-ascent, state.opt_state["critic"])
        critic = params["critic"] + update
        descent = jax.grad(gap, 1)(critic, params["generator"])
        update, generator_state = slow.update(descent, state.opt_state["generator"])
        params = {"generator": params["generator"] + update, "critic": critic}
        states = {"generator": generator_state, "critic": critic_state}
        trained = state.trained._replace(params=params)
        logs = {"gap": gap(critic, params["generator"]), "norm": jnp.linalg.norm(critic)}
        return state._replace(trained=trained, opt_state=states, step=state.step + 1), logs

    def evaluate(state, data, rows):
        del rows
        return {"distance": jnp.linalg.norm(state.trained.params["generator"] - data.x.mean(0))}

    def predict(trained, x, shared=None):
        del shared
        return x + trained.params["generator"]

    return jnn.Trainer(start, step, evaluate, predict)


def game(**settings):
    model = (lambda key, x: {}, lambda params, x: x)
    defaults = {"trainer": two_players, "epochs": 30, "batch_size": 16, "hyper": {"decay": 1.0}}
    return jnn.Study(model, **(defaults | settings))


def test_two_players_without_targets_train_as_a_population(tmp_path):
    members = jnn.seeds(3) * jnn.grid(decay=[0.5, 1.0])
    made = game()
    result = jnn.run(made, POINTS, members, directory=tmp_path / "run")
    assert {"train_gap", "train_norm", "train_distance"} == set(result.scores.data_vars)
    final = result.final()["train_distance"].values
    assert (final < 0.5).all() and (result.scores["train_distance"].values[..., 0] > 2).all()
    assert "over 3 seeds" in str(result.summary("train_distance"))
    alone = jnn.run(made, POINTS, members[3], plan=jnn.Plan(1, 1, 1))
    np.testing.assert_allclose(
        alone.trained.params["generator"], result.member(3).trained.params["generator"], rtol=1e-4
    )
    moved = result.outputs(np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(moved[:, 0], result.trained.params["generator"], rtol=1e-6)
    again = jnn.Result.load(tmp_path / "run", made)
    np.testing.assert_array_equal(again.trained.params["critic"], result.trained.params["critic"])


def test_members_of_a_trainer_begin_with_given_parameters_if_it_can_restart():
    def step(state, batch):
        """Move by the state of the optimizer, which start and restart begin."""
        params = {"w": state.trained.params["w"] + state.opt_state}
        trained = state.trained._replace(params=params)
        return state._replace(trained=trained, step=state.step + 1), jnp.float32(0)

    def start(member, data):
        trained = jnn.Trained({"w": jnp.zeros(2)}, {}, (), dict(member.hyper))
        key = jax.random.key_data(member.key)
        return jnn.State(trained, jnp.zeros(2), member.fold, key, jnp.int32(0))

    def restart(state, trained):
        return state._replace(trained=trained, opt_state=trained.params["w"])

    learned = {"w": np.float32([1, 2])}
    able = game(trainer=bare(start=start, step=step, restart=restart), epochs=1, batch_size=64)
    begun = jnn.run(able, POINTS, jnn.seeds(2), start_from=learned)
    np.testing.assert_array_equal(begun.trained.params["w"], [[2, 4], [2, 4]])
    drawn = jnn.run(able, POINTS, jnn.seeds(2))
    np.testing.assert_array_equal(drawn.trained.params["w"], np.zeros((2, 2)))

    with pytest.raises(ValueError, match=r"must have a function restart\(state, trained\)"):
        jnn.start(game(trainer=bare()), POINTS, start_from=learned)
    wider = bare(restart=lambda state, trained: state._replace(step=jnp.zeros(3)))
    with pytest.raises(ValueError, match="The trainer's restart must keep the shapes"):
        jnn.start(game(trainer=wider), POINTS, start_from=learned)


def test_a_trainer_of_another_type_is_refused():
    made = jnn.Study((lambda key: {}, lambda params, x: x), trainer=lambda study: None)
    with pytest.raises(TypeError, match=r"must return a jnn\.Trainer"):
        jnn.run(made, POINTS)


def bare(**functions):
    """Return a trainer that learns nothing, with other functions in place of its own."""

    def start(member, data):
        trained = jnn.Trained({"w": jnp.zeros(2)}, {}, (), dict(member.hyper))
        return jnn.State(trained, {}, member.fold, jax.random.key_data(member.key), jnp.int32(0))

    defaults = {
        "start": start,
        "step": lambda state, batch: (state, {"gap": 0.0}),
        "evaluate": lambda state, data, rows: {"distance": 0.0},
        "predict": lambda trained, x, shared: x,
    }
    return lambda study: jnn.Trainer(**(defaults | functions))


def wider(state, batch):
    params = {"w": jnp.zeros(3)}
    return state._replace(trained=state.trained._replace(params=params)), 0.0


STEP = "The trainer's step must return"
LOGS = "The logs of the trainer's step must"
EVALUATE = "The trainer's evaluate must return a dict of scores by name, got"


@pytest.mark.parametrize(
    ("functions", "kind", "sentence"),
    [
        (
            {"start": lambda member, data: {}},
            TypeError,
            "start must return a jnn.State, got .*dict",
        ),
        ({"step": lambda state, batch: None}, TypeError, f"{STEP} .*, got None"),
        (
            {"step": lambda state, batch: state},
            TypeError,
            f"{STEP} .*, got an object of type State",
        ),
        ({"step": lambda state, batch: (state, None)}, TypeError, f"{LOGS} be a number or a dict"),
        ({"step": lambda state, batch: (state, [0.0])}, TypeError, f"{LOGS} be .* of type list"),
        ({"step": lambda state, batch: (state, {1: 0.0})}, TypeError, f"{LOGS} have text as names"),
        ({"step": lambda state, batch: (state, jnp.ones(2))}, ValueError, "single numbers"),
        ({"step": wider}, ValueError, r"it changes .*'w'.* Check the step of the trainer"),
        ({"evaluate": lambda state, data, rows: None}, TypeError, f"{EVALUATE} None"),
        (
            {"evaluate": lambda state, data, rows: 0.0},
            TypeError,
            f"{EVALUATE} an object of .*float",
        ),
        ({"evaluate": lambda state, data, rows: {"a": "b"}}, TypeError, "'a' is .* of type str"),
        ({"evaluate": lambda state, data, rows: {"fold": 0.0}}, ValueError, "reserved name 'fold'"),
        (
            {"evaluate": lambda state, data, rows: {"gap": 0.0}},
            ValueError,
            r"both give \['train_gap",
        ),
        (
            {"evaluate": lambda state, data, rows: {"decay": 0.0}},
            ValueError,
            r"\['train_decay'\] have",
        ),
        ({"predict": lambda trained, x: x}, TypeError, "predict must be callable as predict"),
        ({"predict": lambda trained, x, shared: x[0]}, ValueError, r"the shape \[rows, \.\.\.\]"),
        ({"start": 3}, TypeError, "The trainer's start must be a function"),
        ({"higher_is_better": "distance"}, TypeError, "higher_is_better must be a set of names"),
        ({"higher_is_better": None}, TypeError, "higher_is_better must be a set of names"),
    ],
)
def test_what_a_trainer_returns_is_checked_before_compiling(functions, kind, sentence):
    made = game(trainer=bare(**functions))
    with pytest.raises(kind, match=sentence):
        jnn.start(made, POINTS, jnn.seeds(2) * jnn.grid(train_decay=[0.5]))


def test_the_best_epoch_by_a_score_that_a_trainer_does_not_give_names_those_it_gives():
    made = game(trainer=bare(), keep="best", validation=0.25)
    with pytest.raises(ValueError, match=r"Set for example Study\(monitor='distance'\)"):
        jnn.start(made, POINTS, jnn.seeds(2))


def linear(**settings):
    model = (lambda key, x: {"w": jnp.zeros((4, 3))}, lambda params, x: x @ params["w"])
    defaults = {"epochs": 2, "batch_size": 20, "order": "sequential"}
    return jnn.Study(
        model,
        jnn.losses.softmax_cross_entropy,
        optax.sgd(0.1),
        {"accuracy": jnn.metrics.accuracy},
        **(defaults | settings),
    )


def test_a_row_of_weight_two_is_the_row_twice():
    """In a full batch: parameters, preprocessing, training loss and scores."""
    weights = 1.0 + (np.arange(150) % 2)
    rows = np.repeat(np.arange(150), weights.astype(int))
    weighted = jnn.Dataset.from_arrays(IRIS.x, IRIS.y, weights=weights)
    repeated = jnn.Dataset.from_arrays(IRIS.x[rows], IRIS.y[rows])
    scale = {"inputs": jnn.preprocess.standardize}
    first = jnn.run(linear(batch_size=150, **scale), weighted)
    second = jnn.run(linear(batch_size=225, **scale), repeated)
    chex.assert_trees_all_close(first.trained, second.trained, rtol=1e-4, atol=1e-6)
    for name in first.scores:
        np.testing.assert_allclose(first.scores[name], second.scores[name], rtol=1e-4)


def test_a_row_of_weight_zero_is_absent():
    weights = np.r_[np.ones(100), np.zeros(50)]
    spoiled = np.r_[IRIS.x[:100], 1e6 * IRIS.x[100:]]
    data = jnn.Dataset.from_arrays(spoiled, IRIS.y, weights=weights)
    first = jnn.run(linear(batch_size=150, inputs=jnn.preprocess.standardize), data)
    few = jnn.Dataset.from_arrays(IRIS.x[:100], IRIS.y[:100], target_names=IRIS.target_names)
    second = jnn.run(linear(batch_size=100, inputs=jnn.preprocess.standardize), few)
    np.testing.assert_allclose(
        first.trained.params["w"], second.trained.params["w"], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(first.scores["train_accuracy"], second.scores["train_accuracy"])


def test_a_fold_whose_rows_all_weigh_nothing_is_refused():
    data = jnn.Dataset.from_arrays(IRIS.x, IRIS.y, weights=np.r_[np.zeros(50), np.ones(100)])
    with pytest.raises(ValueError, match="The test rows of a fold all have weight 0"):
        jnn.run(linear(), data, jnn.folds([(range(40, 150), range(40))]))


def test_balanced_classes_weigh_as_in_scikit_learn_in_each_fold():
    folds = [(np.r_[0:50, 50:60, 100:150], [60]), (np.r_[0:10, 50:150], [10])]
    made = linear(class_weights="balanced", epochs=1, batch_size=110)
    result = jnn.run(made, IRIS, jnn.folds(folds))
    for fold, (train, _) in enumerate(folds):
        y = IRIS.y[train]
        class_weights = compute_class_weight("balanced", classes=np.arange(3), y=y)
        np.testing.assert_allclose(result.trained.scale[2][fold], class_weights, rtol=1e-6)
        weights = class_weights[y] / class_weights[y].sum()
        error = np.full((len(y), 3), 1 / 3) - np.eye(3)[y]  # softmax of zeros, minus labels
        step = -0.1 * IRIS.x[train].T @ (weights[:, None] * error)
        np.testing.assert_allclose(result.trained.params["w"][fold], step, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("class_weights", "kind", "sentence"),
    [
        ("balance", ValueError, 'must be "balanced" or one number per class'),
        ([1.0, -1.0, 1.0], ValueError, "at least 0"),
        ([1.0, 2.0], ValueError, "one weight for each of the 3 classes"),
    ],
)
def test_class_weights_that_do_not_fit_are_told(class_weights, kind, sentence):
    with pytest.raises(kind, match=sentence):
        jnn.run(linear(class_weights=class_weights), IRIS)


TABLE = np.asarray(RNG.normal(size=(4, 5)), np.float32)


def shared_study(table):
    def apply(params, x, *, shared):
        return (x @ shared["table"]) @ params["w"]

    model = (lambda key, x: {"w": jnp.zeros((5, 3))}, apply)
    return jnn.Study(
        model,
        jnn.losses.softmax_cross_entropy,
        lambda h: optax.sgd(h.learning_rate),
        epochs=2,
        shared={"table": table},
    )


def test_shared_arrays_equal_features_computed_before():
    members = jnn.seeds(2) * jnn.grid(learning_rate=[0.01, 0.05])
    made = shared_study(TABLE)
    result = jnn.run(made, IRIS, members)
    before = jnn.Dataset.from_arrays(IRIS.x @ TABLE, IRIS.y)
    model = (lambda key, x: {"w": jnp.zeros((5, 3))}, lambda params, x: x @ params["w"])
    plain = jnn.Study(model, made.loss, made.optimizer, epochs=2)
    expected = jnn.run(plain, before, members)
    np.testing.assert_allclose(
        result.trained.params["w"], expected.trained.params["w"], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        result.predict(IRIS.x[:7]).mean, expected.predict(before.x[:7]).mean, rtol=1e-4
    )


def test_shared_arrays_are_an_argument_of_the_program_and_are_not_copied_per_member():
    made = shared_study(TABLE)
    data = jnn.Data.from_arrays(IRIS.x, IRIS.y, shared={"table": jnp.asarray(TABLE)})
    members = jnn.Member(jax.vmap(jax.random.key)(jnp.arange(7)), jnp.zeros(7, int), {})
    members = members._replace(hyper={"learning_rate": jnp.ones(7)})
    train = jax.vmap(jnn.make_train(made), (jnn.Member(0, 0, {"learning_rate": 0}), None))
    program = jax.make_jaxpr(train)(members, data)
    assert "f32[7,4,5]" not in str(program) and not program.consts
    assert "f32[4,5]" in str(program)


def module_level_loss(outputs, y):
    return jnn.losses.softmax_cross_entropy(outputs, y)


def test_a_study_is_copied_and_pickled_before_and_after_a_run():
    made = jnn.Study(
        functools.partial(jnn.models.MLP, 4, (3,), 3),
        module_level_loss,
        module_level_optimizer,
        {"accuracy": jnn.metrics.accuracy},
        epochs=1,
        hyper={"learning_rate": 0.1},
        inputs=jnn.preprocess.standardize,
    )
    for _ in range(2):
        expected = jnn.run(made, IRIS).trained.params
        for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert other is not made and other.describe() == made.describe()
        np.testing.assert_array_equal(
            jnn.run(other, IRIS).trained.params["output"]["kernel"], expected["output"]["kernel"]
        )


def module_level_optimizer(h):
    return optax.sgd(h.learning_rate)


def test_a_lambda_in_a_study_is_named_when_it_is_pickled():
    with pytest.raises(pickle.PicklingError, match=r"Study\.optimizer cannot be pickled"):
        pickle.dumps(_with_lambda())


def _with_lambda():
    return jnn.Study(
        functools.partial(jnn.models.MLP, 4, (3,), 3),
        module_level_loss,
        lambda h: optax.sgd(h.learning_rate),
    )


def test_a_score_named_loss_is_kept_without_held_out_rows():
    """The step of this trainer logs no loss, so the one that it scores is not a second one."""

    def make(made):
        own = engine.supervised(made)

        def step(state, batch):
            state, loss = own.step(state, batch)
            return state, {"twice": 2 * loss}

        return own._replace(step=step)

    result = jnn.run(studies.study(trainer=make, epochs=1), studies.IRIS)
    final = result.final()
    assert {"train_loss", "train_twice", "train_accuracy"} == set(final.data_vars)
    outputs = result.outputs(studies.IRIS.x)[0].astype(np.float64)
    labelled = outputs[np.arange(150), studies.IRIS.y]
    entropy = np.log(np.exp(outputs).sum(axis=1)) - labelled
    np.testing.assert_allclose(final["train_loss"].item(), entropy.mean(), rtol=1e-5)
