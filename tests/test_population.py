"""A population is advanced, thinned out and rearranged, and no member changes by the others."""

import collections
import copy
import dataclasses
import functools
import gc
import pickle
import types
import weakref

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from tests.networks import Nnx

IRIS = jnn.data.load("iris")
MEMBERS = jnn.seeds(4) * jnn.folds(2) * jnn.grid(learning_rate=[0.01, 0.1])
PLAN = jnn.Plan(1, 4, 4)


@functools.cache
def study(**settings):
    return jnn.Study(
        functools.partial(Nnx, 4),
        jnn.losses.softmax_cross_entropy,
        lambda h: optax.sgd(h.learning_rate, momentum=0.9),
        {"accuracy": jnn.metrics.accuracy},
        epochs=5,
        batch_size=16,
        **settings,
    )


@functools.cache
def whole():
    return jnn.run(study(), IRIS, MEMBERS, plan=PLAN)


def assert_same(result, index, other):
    """Member `index` of one result has the bits of the only member of the other."""
    member = result.member(index)
    chex.assert_trees_all_equal(member.trained, other.trained)
    for name in other.scores.data_vars:
        np.testing.assert_array_equal(
            member.scores[name].values.ravel(), other.scores[name].values.ravel()
        )


def test_advancing_in_segments_gives_the_bits_of_one_run():
    population = jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(2)
    assert population.epoch == 2 and population.scores["accuracy"].shape == (4, 2, 2, 2)
    np.testing.assert_array_equal(
        population.scores["train_loss"], whole().scores["train_loss"].isel(epoch=slice(2))
    )
    result = population.advance(3).result()
    chex.assert_trees_all_equal(result.trained, whole().trained)
    assert result.summary().__str__() == whole().summary().__str__()


def test_members_that_stay_have_the_bits_of_those_whose_neighbors_stayed():
    population = jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(1)
    population.keep(np.arange(16) % 3 == 0).advance(1).keep([1, 4]).advance(3)
    assert len(population) == 2
    assert population.scores["member"].values.tolist() == [3, 12]
    for place, index in enumerate((3, 12)):
        assert_same(whole(), index, population.result().member(place))


def test_members_that_stay_in_a_narrower_program_agree():
    population = jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(1)
    result = population.keep([5], exact=False).advance(4).result()
    assert population.plan.size < PLAN.size
    expected = whole().member(5).trained.params
    chex.assert_trees_all_close(result.trained.params, expected, rtol=2e-3, atol=2e-5)


def test_groups_that_memory_does_not_hold_together_are_advanced_in_turn():
    plan = jnn.Plan(1, 1, 4)
    result = jnn.start(study(), IRIS, MEMBERS, plan=plan).advance(2).advance(3).result()
    one_after_the_other = jnn.run(study(), IRIS, MEMBERS, plan=plan)
    chex.assert_trees_all_equal(result.trained, one_after_the_other.trained)
    np.testing.assert_array_equal(result.scores["accuracy"], one_after_the_other.scores["accuracy"])


def test_a_second_population_compiles_nothing():
    whole()
    events = []
    listen = lambda name, seconds, **_: events.append(name)  # noqa: E731
    population = jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(1).keep([0, 2]).advance(1)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        population = jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(1)
        population.keep([3, 1]).advance(1)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not [name for name in events if "backend_compile" in name]


def test_a_copied_member_continues_as_its_source_would_with_its_own_key():
    """Without dropout and with one order of the rows, a copy is the source from then on."""
    made = jnn.Study(
        functools.partial(jnn.models.MLP, 4, (6,), 3),
        jnn.losses.softmax_cross_entropy,
        lambda h: optax.sgd(h.learning_rate, momentum=0.9),
        epochs=4,
        order="shared",
    )
    members = jnn.seeds(2) * jnn.grid(learning_rate=[0.01, 0.1])
    alone = jnn.run(made, IRIS, members)
    population = jnn.start(made, IRIS, members).advance(2).gather([0, 0, 3, 3]).advance(2)
    losses, expected = population.scores["train_loss"].values, alone.scores["train_loss"].values
    losses = losses.reshape(4, 4)
    expected = expected.reshape(4, 4)
    np.testing.assert_array_equal(losses, expected[[0, 0, 3, 3]])


def test_new_hyper_parameters_hold_from_the_next_epoch_on():
    population = jnn.start(study(), IRIS, jnn.seeds(2) * jnn.grid(learning_rate=[0.01, 0.1]))
    population.advance(2).gather(np.arange(4), hyper={"learning_rate": [0.0, 0.1, 0.0, 0.2]})
    before = population.result().trained.params
    result = population.advance(1).result()
    changes = [
        max(float(np.abs(a[i] - b[i]).max()) for a, b in _pairs(before, result.trained.params))
        for i in range(4)
    ]
    assert changes[1] > 1e-4 and changes[3] > 1e-4
    rates = result.scores["learning_rate_by_epoch"].values
    np.testing.assert_allclose(rates[3], [0.1, 0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(result.members.columns()["learning_rate"], [0, 0.1, 0, 0.2])


def _pairs(first, second):
    return zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)


def test_whole_numbers_stay_whole_and_defaults_of_the_study_become_columns():
    members = jnn.seeds(2) * jnn.grid(learning_rate=[1, 2])
    with pytest.raises(ValueError, match="must be of type int32, as at the start"):
        jnn.start(study(), IRIS, members).advance(1).gather(
            np.arange(4), hyper={"learning_rate": [0.5] * 4}
        )
    made = dataclasses.replace(study(), hyper={"learning_rate": 0.01})
    population = jnn.start(made, IRIS, jnn.seeds(3)).advance(1).keep([2, 0]).advance(1)
    population.gather([0, 1], hyper={"learning_rate": [0.02, 0.1]}).advance(1)
    scores = population.scores
    assert scores["member"].values.tolist() == [2, 0]
    assert population.members.columns()["learning_rate"].tolist() == [0.02, 0.1]
    assert scores["learning_rate_by_epoch"].values.tolist() == [
        [0.01] * 2 + [0.02],
        [0.01] * 2 + [0.1],
    ]


def test_members_that_ended_may_be_kept_and_copied_in_several_groups():
    made = dataclasses.replace(
        study(), keep="best", patience=1, validation=0.2, hyper={"learning_rate": 0.01}
    )
    population = jnn.start(made, IRIS, jnn.seeds(6), plan=jnn.Plan(1, 1, 2)).advance(4)
    population.keep([0, 3, 5]).gather([1, 1, 2]).advance(1)
    result = population.gather([0, 1, 0]).result()
    assert (
        result.final()["train_loss"].shape == (3,) and len(result.predict(IRIS.x[:2]).members) == 3
    )
    with pytest.raises(TypeError, match="A Population cannot be copied or pickled"):
        copy.deepcopy(population)


def test_a_member_that_diverges_is_not_alive():
    members = jnn.seeds(2) * jnn.grid(learning_rate=[0.01, 1e38])
    population = jnn.start(study(), IRIS, members)
    assert population.alive.all()
    assert population.advance(2).alive.tolist() == [True, False, True, False]


REFUSALS = {
    "more epochs": (lambda p: p.advance(9), ValueError, "epochs must be at most 4"),
    "half an epoch": (lambda p: p.advance(0.5), TypeError, "epochs must be a positive integer"),
    "nobody": (lambda p: p.keep([]), ValueError, "at least one member"),
    "names": (lambda p: p.keep(["a"]), TypeError, "which must be a mask or the numbers"),
    "a ragged list": (lambda p: p.keep([[0], [1, 2]]), TypeError, "which must be a list of"),
    "floats as sources": (
        lambda p: p.gather(np.arange(16) / 2),
        TypeError,
        "sources must be numbers of members",
    ),
    "a list of numbers": (lambda p: p.gather(range(16), hyper=[1]), TypeError, "must be a dict"),
    "a negative rate": (
        lambda p: p.gather(np.arange(16), hyper={"learning_rate": np.full(16, -1.0)}),
        ValueError,
        "learning_rate",
    ),
    "no mask true": (lambda p: p.keep(np.zeros(16, bool)), ValueError, "at least one member"),
    "a short mask": (lambda p: p.keep([True]), ValueError, r"a mask of shape \(16,\)"),
    "a stranger": (lambda p: p.keep([16]), ValueError, "which must be from 0 to 15, got 16"),
    "twins": (lambda p: p.keep([1, 1]), ValueError, "names a member twice"),
    "few sources": (lambda p: p.gather([0]), ValueError, "for each of the 16 members"),
    "another fold": (lambda p: p.gather(np.zeros(16, int)), ValueError, "of the same fold"),
    "an unknown number": (
        lambda p: p.gather(np.arange(16), hyper={"momentum": np.ones(16)}),
        ValueError,
        r"hyper\['momentum'\] is no hyper-parameter",
    ),
    "NaN": (
        lambda p: p.gather(np.arange(16), hyper={"learning_rate": np.full(16, np.nan)}),
        ValueError,
        "finite",
    ),
}


@functools.cache
def advanced():
    return jnn.start(study(), IRIS, MEMBERS, plan=PLAN).advance(1)


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_population_cannot_do_is_one_sentence(case):
    call, kind, sentence = REFUSALS[case]
    with pytest.raises(kind, match=sentence):
        call(advanced())
    assert len(advanced()) == 16 and advanced().epoch == 1


def test_a_result_needs_an_epoch():
    with pytest.raises(ValueError, match="at least one epoch"):
        jnn.start(study(), IRIS, MEMBERS, plan=PLAN).result()


def test_programs_are_dropped_with_their_study():
    made = jnn.Study(
        functools.partial(jnn.models.MLP, 4, (3,), 3),
        jnn.losses.softmax_cross_entropy,
        optax.sgd(0.1),
        epochs=1,
    )
    result = jnn.run(made, IRIS)
    result.predict(IRIS.x[:3])
    dropped = weakref.ref(made)
    del made, result
    gc.collect()
    assert dropped() is None


def test_the_network_is_traced_to_size_it_to_train_it_and_to_score_it(tmp_path):
    """Three times in all, whether or not the run is recorded in a folder."""
    traces = collections.Counter()

    def apply(params, x, *, train):
        traces["training" if train else "scoring"] += 1
        return x @ params["w"]

    made = jnn.Study(
        (lambda key, x: {"w": jnp.zeros((4, 3))}, apply),
        jnn.losses.softmax_cross_entropy,
        optax.sgd(0.1),
        epochs=1,
    )
    jnn.run(made, IRIS, jnn.folds(3), directory=tmp_path)
    assert traces == {"training": 2, "scoring": 1}


def test_short_runs_are_compiled_quickly_and_agree_with_the_others(monkeypatch):
    members = jnn.seeds(2) * jnn.grid(learning_rate=[0.01])
    quick = jnn.run(study(), IRIS, members, plan=jnn.Plan(1, 1, 2, compiler="quick"))
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # so that the level is the one that users have
    full = jnn.run(study.__wrapped__(), IRIS, members, plan=jnn.Plan(1, 1, 2))
    chex.assert_trees_all_close(full.trained.params, quick.trained.params, rtol=2e-3, atol=2e-5)
    sizes = jnn.population.Sizes(100_000, 1)
    devices = jax.local_devices()[:1]
    plans = [jnn.population.make_plan(10, sizes, devices, steps=n) for n in (100, 100_000)]
    assert [plan.compiler for plan in plans] == ["quick", "full"]
    with pytest.raises(ValueError, match="compiler must be 'full' or 'quick', got 'fast'"):
        jnn.Plan(compiler="fast")


def test_a_level_of_optimization_in_xla_flags_holds(monkeypatch):
    options = []
    program = types.SimpleNamespace(compile=options.append)
    layout = jnn.population.make_layout(jnn.Plan(), jax.devices())
    for flags in ("--xla_backend_optimization_level=0", "--xla_cpu_max_isa=AVX2"):
        monkeypatch.setenv("XLA_FLAGS", flags)
        layout.compile([program])
    assert options == [{}, {"xla_backend_optimization_level": 1}]


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"devices": 2}, TypeError, "devices must be a list of devices"),
        ({"devices": "cpu"}, TypeError, "devices must be a list of devices"),
        ({"devices": []}, ValueError, "devices must be one or more different devices"),
        ({"directory": 3}, TypeError, "directory must be a path, got 3"),
        ({"progress": 3}, TypeError, "progress must be a function of a Status, got 3"),
        ({"save_every": "a"}, TypeError, "save_every must be a number of seconds, got 'a'"),
        ({"look_every": float("nan")}, ValueError, "look_every must be a finite number"),
    ],
)
def test_options_of_a_run_that_do_not_fit_are_told_at_once(options, kind, sentence):
    with pytest.raises(kind, match=sentence):
        jnn.run(study(), IRIS, MEMBERS, **options)


def test_distributions_are_pickled():
    for draw in (jnn.uniform(0, 1), jnn.log_uniform(0.1, 1), jnn.choice([1, 2])):
        again = pickle.loads(pickle.dumps(draw))
        first, second = (f(np.random.default_rng(0), 4) for f in (draw, again))
        np.testing.assert_array_equal(first, second)
