"""Searches: spaces, strategies, the loop with resume, and an honest winner."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

import jnn
from jnn import search
from jnn.search import discrete
from jnn.search._cohort import Cohort
from jnn.search._found import _expected_best
from jnn.search._goal import Goal
from jnn.search._importance import importance_of

SPACE = search.space(learning_rate=jnn.log_uniform(1e-3, 1e-1), width=jnn.choice(4, 8))


@functools.cache
def iris():
    return jnn.data.load("iris")


def study_of(c, *, epochs=3):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, (c.width,), 3),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=_adam,
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=32,
    )


def _adam(h):
    return optax.adam(h.learning_rate)


def run(by=None, *, trials=6, **options):
    options = {"folds": 2, "test_seeds": 2, "space": SPACE, **options}
    return search.run(options.pop("study_of", study_of), iris(), by=by, trials=trials, **options)


@functools.cache
def random_found():
    return run(search.random(batch=3))


def test_a_space_draws_each_choice_from_its_distribution():
    shares = np.random.default_rng(0).random((4000, 2))
    settings = SPACE.at(shares)
    logs = np.log10([setting["learning_rate"] for setting in settings])
    assert scipy.stats.kstest(logs, "uniform", args=(-3, 2)).pvalue > 0.01
    widths = [setting["width"] for setting in settings]
    assert set(map(type, widths)) == {int}
    assert abs(np.mean(np.array(widths) == 4) - 0.5) < 0.03


def test_choices_under_a_condition_exist_only_where_it_holds():
    space = search.space(
        depth=[1, 2, 3],
        second=search.when(lambda c: c.depth >= 2, jnn.choice(16, 32)),
        third=search.when(lambda c: c.second == 32, jnn.uniform(0, 1)),
    )
    for setting in space.at(np.random.default_rng(0).random((200, 3))):
        assert ("second" in setting) == (setting["depth"] >= 2)
        assert ("third" in setting) == (setting.get("second") == 32)
    assert len(list(search.grid(points=2)(space, 0).ask(99))) == 1 + 2 * (1 + 2)


def test_a_condition_on_a_name_that_the_space_lacks_is_told():
    for condition in (lambda c: c.wdith > 4, lambda c: c["wdith"] > 4):
        space = search.space(width=[4, 8], rate=search.when(condition, jnn.uniform(0, 1)))
        with pytest.raises(ValueError, match=r"condition of 'rate' failed .*no choice 'wdith'"):
            space.at(np.zeros((1, 2)))


def test_what_a_program_shares_are_the_numbers_that_may_apply_in_it():
    space = search.space(
        depth=[1, 2],
        rate=jnn.uniform(0, 1),
        second=search.when(lambda c: c.depth == 2, [16, 32]),
        third=search.when(lambda c: c["second"] == 32, jnn.uniform(0, 1)),
        fourth=search.when(lambda c: c.rate > 0.5, jnn.uniform(0, 1)),
    )
    assert space.possible({"depth": 1}) == {"depth", "rate", "fourth"}
    assert space.possible({"depth": 2}) == {*space.dimensions}
    assert space.possible({"depth": 2, "second": 16}) == {*space.dimensions} - {"third"}


def test_a_number_of_one_optimizer_is_none_of_another():
    def chosen(c):
        if c.optimizer == "sgd":
            return dataclasses.replace(fixed, optimizer=lambda h: optax.sgd(0.1, h.momentum))
        return fixed

    fixed = dataclasses.replace(study_of(search.Choices({"width": 4})), epochs=1)
    fixed = dataclasses.replace(fixed, optimizer=optax.adam(0.01))
    momentum = search.when(lambda c: c.optimizer == "sgd", jnn.uniform(0, 0.9))
    space = search.space(optimizer=["adam", "sgd"], momentum=momentum)
    found = run(search.grid(points=2), study_of=chosen, space=space)
    assert [trial.setting.get("momentum") for trial in found.trials] == [None, 0.0, 0.9]


def test_a_grid_takes_each_combination_once():
    settings = search.grid(points=3)(SPACE, 0).ask(100)
    rates = sorted({setting["learning_rate"] for setting in settings})
    np.testing.assert_allclose(rates, [1e-3, 1e-2, 1e-1], rtol=1e-12)
    assert len(settings) == 6 == len({tuple(s.items()) for s in settings})


def test_sobol_points_are_more_even_than_random_ones():
    def discrepancy(by):
        settings = by(search.space(a=jnn.uniform(0, 1), b=jnn.uniform(0, 1)), 0).ask(64)
        return scipy.stats.qmc.discrepancy([list(setting.values()) for setting in settings])

    assert discrepancy(search.sobol()) < discrepancy(search.random()) / 3


def test_the_best_setting_is_that_of_the_scores_and_is_scored_on_other_rows():
    found = random_found()
    assert len(found.trials) == 6
    means = [trial.score.mean for trial in found.trials]
    assert found.best_trial.score.mean == max(means)
    assert found.best.setting == found.best_trial.setting
    # The winner's own scores, on the test rows, whose seeds are not those of the search.
    assert found.best.interval.mean == pytest.approx(
        float(found.winner.final()["accuracy"].mean()), abs=1e-6
    )
    assert set(found.winner.members.columns()["seed"]).isdisjoint({0})
    gap = found.search_score.mean - found.best.interval.mean
    assert found.optimism.mean == pytest.approx(gap)
    assert found.optimism.low < gap < found.optimism.high


def test_a_setting_of_a_search_has_the_scores_of_its_own_run():
    found = random_found()
    trial = found.trials[0]
    (fold,) = jnn.holdout(0.2).split.rows(iris())
    members = jnn.seeds(1) * jnn.folds(2) * jnn.grid(learning_rate=[trial.setting["learning_rate"]])
    result = jnn.run(study_of(search.Choices(trial.setting)), iris().take(fold.train), members)
    scores = result.final()["accuracy"].values.reshape(1, 2)
    np.testing.assert_allclose(trial.score.values, scores, atol=1e-6)


def test_the_result_of_a_search_holds_every_member():
    found = random_found()
    scores = found.result.final()
    assert scores.sizes["member"] == 6 * 2
    for trial in found.trials:
        chosen = found.result.select(**trial.setting)
        np.testing.assert_allclose(chosen.final()["accuracy"].mean(), trial.score.mean, atol=1e-6)


def test_the_table_shows_the_best_first_and_what_no_other_setting_beats():
    table = random_found().table
    assert list(table["accuracy"]) == sorted(table["accuracy"], reverse=True)
    parameters = {width: 4 * width + width + 3 * width + 3 for width in (4, 8)}
    assert [parameters[width] for width in table["width"]] == list(table["parameters"])
    for _, row in table.iterrows():
        beaten = (
            (table["accuracy"] >= row["accuracy"])
            & (table["parameters"] <= row["parameters"])
            & ((table["accuracy"] > row["accuracy"]) | (table["parameters"] < row["parameters"]))
        )
        assert row["pareto"] == (not beaten.any())


def test_the_curve_of_random_search_is_the_expected_best_of_random_orders():
    values = np.array([3.0, 1.0, 2.0, 7.0, 7.5])
    random = np.random.default_rng(0)
    orders = np.array([random.permutation(values) for _ in range(20000)])
    simulated = np.maximum.accumulate(orders, axis=1).mean(axis=0)
    np.testing.assert_allclose(_expected_best(values), simulated, atol=0.05)
    curve = random_found().curve
    assert curve["best"].is_monotonic_increasing
    assert curve["steps"].iloc[-1] == sum(trial.steps for trial in random_found().trials)
    assert random_found().trials[0].steps == 2 * 3 * math.ceil(60 / 32)  # folds, epochs, batches


def test_a_search_that_was_killed_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    by = search.tpe(batch=2)
    whole = run(by, directory=tmp_path / "whole")
    rounds = []

    def stop(status):
        if not status.alive:
            rounds.append(status.trials)
        if len(rounds) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(by, directory=tmp_path / "killed", progress=stop)
    trained = []
    train = Cohort._train

    def note(cohort, population, epoch):
        trained.append(cohort._journal.members.parent.parent.name)
        train(cohort, population, epoch)

    monkeypatch.setattr(Cohort, "_train", note)
    found = run(by, directory=tmp_path / "killed")
    assert {folder[:4] for folder in trained} == {"0002"}  # the third round alone
    assert [t.setting for t in found.trials] == [t.setting for t in whole.trials]
    for ours, theirs in zip(found.trials, whole.trials, strict=True):
        np.testing.assert_array_equal(ours.score.values, theirs.score.values)
    for ours, theirs in zip(
        *(jax.tree.leaves(f.winner.trained.params) for f in (found, whole)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    again = jnn.Result.load(tmp_path / "killed")
    assert len(again.members) == 2
    with pytest.raises(ValueError, match="another seed"):
        run(by, directory=tmp_path / "killed", seed=1)


def test_halving_lets_the_best_continue_as_if_they_were_alone():
    def longer(c):
        return study_of(c, epochs=4)

    found = run(search.halving(batch=6, eta=2, rungs=2), study_of=longer)
    epochs = [trial.score.epoch for trial in found.trials]
    assert sorted(epochs) == [1, 1, 1, 2, 4, 4]
    whole = run(search.random(batch=6), study_of=longer)
    for ours, theirs in zip(found.trials, whole.trials, strict=True):
        assert ours.setting == theirs.setting
        if ours.score.epoch == 4:
            np.testing.assert_allclose(ours.score.values, theirs.score.values, atol=1e-6)
    assert found.best_trial.score.epoch == 4
    assert found.result.final().sizes["member"] == 12


def test_hyperband_runs_brackets_from_many_short_to_few_long_ones():
    strategy = search.hyperband(eta=3, brackets=3)(SPACE, 0)
    sizes = []
    for _ in range(4):
        settings = strategy.ask(strategy.batch)
        sizes.append((len(settings), strategy.looks(9)))
    assert sizes == [(9, [1, 3]), (5, [3]), (3, []), (9, [1, 3])]  # Li et al. (2018), table 1


def test_racing_ends_settings_that_are_settled_and_keeps_the_others():
    random = np.random.default_rng(0)
    values = np.stack([random.normal(mean, 0.01, (2, 5)) for mean in (0.9, 0.9, 0.5)])
    goal = Goal("accuracy", 1, 80, 20)
    racing = search.racing()(SPACE, 0)
    assert racing.stays(values, goal, 3).tolist() == [True, True, False]


def test_racing_ends_equal_settings_as_rarely_as_it_says():
    random = np.random.default_rng(0)
    goal = Goal("accuracy", 1, 80, 20)
    racing = search.racing(error_rate=0.1)(SPACE, 0)
    wrong = 0
    for _ in range(300):
        values = random.normal(0, 1, (4, 3, 5))
        wrong += any(not racing.stays(values[:, : seeds + 1], goal, 2).all() for seeds in range(2))
    assert wrong / 300 < 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)


def test_a_race_trains_what_remains_on_more_seeds():
    space = search.space(learning_rate=jnn.choice(1e-6, 0.05), width=[8])
    found = run(
        search.racing(search.grid(), error_rate=0.5),
        space=space, seeds=3, folds=3, trials=2,
        study_of=functools.partial(study_of, epochs=30),
    )  # fmt: skip
    seeds = {trial.setting["learning_rate"]: len(trial.score.values) for trial in found.trials}
    assert seeds[0.05] == 3 and seeds[1e-6] < 3
    assert found.best.setting["learning_rate"] == 0.05


def test_population_based_training_replays_the_schedule_of_its_winner():
    space = search.space(learning_rate=jnn.log_uniform(1e-3, 1e-1))
    found = run(
        search.population_based(population=4, looks=2, share=0.5),
        space=space, trials=4, study_of=lambda c: study_of(search.Choices({"width": 4})),
    )  # fmt: skip
    schedules = [trial.schedule for trial in found.trials]
    assert any(len({step[1]["learning_rate"] for step in s}) > 1 for s in schedules)
    assert all([epoch for epoch, _ in schedule] == [0, 1, 2] for schedule in schedules)
    assert found.best_trial.setting in [trial.setting for trial in found.trials]
    assert len(found.winner.members) == 2


def test_settings_that_all_diverge_are_told_and_nothing_is_lost():
    space = search.space(learning_rate=jnn.choice(0.1, 1.0), width=[4])
    optimizer = lambda h: optax.sgd(h.learning_rate * jnp.inf)  # noqa: E731
    found = run(
        space=space,
        trials=2,
        study_of=lambda c: dataclasses.replace(study_of(c), optimizer=optimizer),
    )
    assert math.isnan(found.best.interval.mean) and "all 2 settings failed" in repr(found)
    assert list(found.table["diverged"]) == [2, 2]
    assert found.result.final().sizes["member"] == 4


def test_any_object_that_asks_and_is_told_serves_as_a_strategy():
    class Mine:
        def __init__(self):
            self.told = []

        def ask(self, n):
            return [{"learning_rate": 0.01, "width": 4}][: 1 - len(self.told)]

        def tell(self, settings, scores):
            self.told += scores

    mine = Mine()
    found = run(mine)
    assert len(found.trials) == 1 and mine.told[0].mean == found.trials[0].score.mean


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: search.space(), ValueError, "at least one choice"),
        (lambda: search.space(rate=3.0), TypeError, "rate must be jnn.uniform"),
        (lambda: search.space(fold=[1, 2]), ValueError, "'fold' is a reserved name"),
        (lambda: search.space(mask=[np.eye(2)]), TypeError, "must be numbers or texts"),
        (lambda: search.space(a=[1, 1]), ValueError, "options of a must differ"),
        (lambda: run(trials=None), ValueError, "needs a budget"),
        (lambda: run(trials=0), ValueError, "trials must be a positive integer"),
        (lambda: run(trials=None, steps=3), ValueError, "steps must allow one setting"),
        (lambda: run(metric="f1"), ValueError, "metric must be one of the scores"),
        (lambda: run(by="tpe"), TypeError, "by must be a strategy"),
        (lambda: run(study_of=study_of(search.Choices({"width": 4}))), TypeError, "got a study"),
        (
            lambda: run(space=search.space(width=[4], activation=["relu", "gelu"])),
            ValueError,
            "Nothing reads the choice 'activation'",
        ),
        (
            lambda: run(study_of=lambda c: study_of(search.Choices({"width": c.learning_rate}))),
            ValueError,
            "study_of must not read 'learning_rate'",
        ),
        (
            lambda: run(space=search.space(learning_rate=jnn.uniform(0, 1))),
            ValueError,
            "no choice 'width'",
        ),
        (lambda: search.evolution()(SPACE, 0), ValueError, r"\['learning_rate'\] are ranges"),
        (
            lambda: run(
                search.population_based(population=6), trials=6
            ),
            ValueError,
            "needs one program for all settings",
        ),
    ],
)  # fmt: skip
def test_wrong_searches_get_one_sentence(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_evolution_and_reinforce_find_the_best_option_of_each_choice():
    target = jnp.array([3, 1, 4, 0, 2, 2])

    def score_of(setting):
        return jnp.sum(setting == target) / 6

    keys = jax.random.split(jax.random.key(0), 50)
    best = {}
    for name, strategy in {
        "random": discrete.random((5,) * 6),
        "evolution": discrete.evolution((5,) * 6),
        "reinforce": discrete.reinforce((5,) * 6, learning_rate=0.1),
    }.items():
        one = functools.partial(discrete.simulate, strategy, score_of, 150)
        settings, scores = jax.jit(jax.vmap(one))(keys)
        np.testing.assert_allclose(scores, jax.vmap(jax.vmap(score_of))(settings))
        best[name] = float(scores.max(axis=1).mean())
    assert best["evolution"] > best["random"] + 0.15
    assert best["reinforce"] > best["random"] + 0.05


def test_a_child_differs_from_its_parent_in_one_choice_and_the_oldest_dies():
    strategy = discrete.evolution((3, 2, 1), population=2, tournament=2)
    state = strategy.init(jax.random.key(0))
    for setting, score in (((0, 0, 0), 5.0), ((2, 1, 0), 1.0)):
        state = strategy.tell(state, jnp.array(setting), jnp.float32(score))
    children = jax.vmap(lambda key: strategy.ask(state, key))(
        jax.random.split(jax.random.key(1), 100)
    )
    assert set((np.asarray(children) != 0).sum(axis=1)) == {1}
    state = strategy.tell(state, jnp.array((1, 1, 0)), jnp.float32(0.0))
    assert sorted(np.asarray(state.scores)) == [0.0, 1.0]


def test_the_importance_is_that_of_the_choice_that_matters():
    random = np.random.default_rng(0)
    settings = [{"a": random.random(), "b": random.choice(["x", "y"])} for _ in range(60)]
    table = importance_of(settings, [s["a"] for s in settings])
    assert list(table["choice"]) == ["a", "b"]
    assert table["importance"][0] > 0.5 > abs(table["importance"][1]) * 5


def test_the_folder_of_a_search_is_no_folder_of_a_run(tmp_path):
    (tmp_path / "command.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="holds a run"):
        run(directory=tmp_path)
