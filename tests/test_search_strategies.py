"""Strategies that are only asked and told: every one keeps the same promises."""

import functools
import itertools
import math
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import search
from jnn.search import _kernels, discrete
from jnn.search._objectives import pareto

pytest.importorskip("optuna")

MIXED = search.space(
    rate=jnn.log_uniform(1e-4, 1e-1),
    momentum=jnn.uniform(0, 0.9),
    width=jnn.choice(16, 32, 64),
    kind=jnn.choice("relu", "gelu"),
    second=search.when(lambda c: c.width == 64, jnn.uniform(0, 1)),
)
OPTIONS = search.space(
    width=jnn.choice(16, 32, 64),
    kind=jnn.choice("relu", "gelu"),
    second=search.when(lambda c: c.width == 64, jnn.choice(1, 2)),
)


def samplers():
    """Return a maker of each sampler of Optuna, by its name."""
    import optuna.samplers as names

    grid = {
        "rate": [1e-3, 1e-2], "momentum": [0.1], "width": [16, 64], "kind": ["relu"],
        "second": [0.5],
    }  # fmt: skip
    return {
        "TPESampler": lambda seed: names.TPESampler(seed=seed, n_startup_trials=4),
        "GPSampler": lambda seed: names.GPSampler(seed=seed, n_startup_trials=4),
        "CmaEsSampler": lambda seed: names.CmaEsSampler(seed=seed),
        "NSGAIISampler": lambda seed: names.NSGAIISampler(seed=seed, population_size=4),
        "NSGAIIISampler": lambda seed: names.NSGAIIISampler(seed=seed, population_size=4),
        "QMCSampler": lambda seed: names.QMCSampler(seed=seed, scramble=True),
        "RandomSampler": lambda seed: names.RandomSampler(seed=seed),
        "GridSampler": lambda seed: names.GridSampler(grid, seed=seed),
        "BruteForceSampler": lambda seed: names.BruteForceSampler(seed=seed),
        "PartialFixedSampler": lambda seed: names.PartialFixedSampler(
            {"width": 16}, names.RandomSampler(seed=seed)
        ),
    }


SAMPLERS = [
    "TPESampler", "GPSampler", "CmaEsSampler", "NSGAIISampler", "NSGAIIISampler", "QMCSampler",
    "RandomSampler", "GridSampler", "BruteForceSampler", "PartialFixedSampler",
]  # fmt: skip
OURS = {
    "random": (search.random, MIXED),
    "sobol": (search.sobol, MIXED),
    "grid": (search.grid, MIXED),
    "evolution": (search.evolution, OPTIONS),
    "reinforce": (search.reinforce, OPTIONS),
    "halving": (search.halving, MIXED),
    "halving of evolution": (lambda: search.halving(search.evolution()), OPTIONS),
    "hyperband": (search.hyperband, MIXED),
    "racing": (search.racing, MIXED),
    "population_based": (search.population_based, MIXED),
    "bohb": (search.bohb, MIXED),
    "dehb": (search.dehb, MIXED),
    "tpe": (search.tpe, MIXED),
    "nsga2": (search.nsga2, MIXED),
    "cma_es": (search.cma_es, MIXED),
    "halving of tpe": (lambda: search.halving(search.tpe()), MIXED),
}
STRATEGIES = [
    pytest.param(name, marks=pytest.mark.slow if name == "GPSampler" else ())
    for name in [*OURS, *SAMPLERS]
]


def make(name, seed=0):
    if name in ("cma_es", "CmaEsSampler"):
        pytest.importorskip("cmaes")
    if name == "GPSampler":
        pytest.importorskip("torch")
    if name in OURS:
        maker, space = OURS[name]
        return maker()(space, seed), space
    space = OPTIONS if name == "BruteForceSampler" else MIXED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of experimental samplers
        return search.optuna(samplers()[name], batch=4)(space, seed), space


def score(setting, mean=None, *, epoch=9):
    """Return a score of a setting that depends on all of its choices."""
    if mean is None:
        mean = -sum((hash(str(key)) % 7) * _number(value) for key, value in setting.items())
    return search.Score(mean, 0.1, np.full((1, 2), mean), epoch)


def _number(value):
    return len(value) if isinstance(value, str) else math.tanh(value)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_keeps_its_promises(name):
    rounds = []
    for seed in (0, 0):
        strategy, space = make(name, seed)
        asked = []
        for number in range(4):
            settings = strategy.ask(5)
            assert len(settings) <= 5
            assert [space.check(setting) for setting in settings] == [dict(s) for s in settings]
            means = [math.nan if i == number else None for i in range(len(settings))]
            epochs = [3 if i == 3 else 9 for i in range(len(settings))]  # one was ended early
            scores = [
                score(*pair, epoch=epoch)
                for *pair, epoch in zip(settings, means, epochs, strict=True)
            ]
            strategy.tell(settings, scores)
            asked += settings
        rounds.append(asked)
    assert rounds[0] == rounds[1] and rounds[0]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_may_be_told_one_by_one_and_more_than_it_asked_for(name):
    strategy, space = make(name)
    first, second = strategy.ask(3), strategy.ask(2)
    for setting in reversed([*first, *second]):
        strategy.tell([setting], [score(setting)])
    if name not in ("GridSampler", "PartialFixedSampler"):
        others = space.at(np.random.default_rng(0).random((4, len(space))))
        strategy.tell(others, [score(setting) for setting in others])
    assert strategy.ask(0) == []
    for setting in strategy.ask(4):
        space.check(setting)


@pytest.mark.parametrize("name", ["grid", "GridSampler", "BruteForceSampler"])
def test_a_strategy_that_has_named_everything_ends(name):
    strategy, _ = make(name)
    seen = []
    for _ in range(500):
        settings = strategy.ask(4)
        if not settings:
            break
        strategy.tell(settings, [score(setting) for setting in settings])
        seen += [tuple(sorted(setting.items())) for setting in settings]
    expected = {"grid": 5 * 5 * 2 * (1 + 1 + 5), "GridSampler": 4, "BruteForceSampler": 2 * 4}
    assert len(set(seen)) == expected[name]


def test_settings_that_end_early_are_pruned_trials_of_optuna():
    from optuna.trial import TrialState

    strategy = search.halving(search.tpe(), batch=4)(MIXED, 0)
    settings = strategy.ask(4)
    epochs = [3, 9, 3, 9]
    scores = [
        score(s, float(i), epoch=e) for i, (s, e) in enumerate(zip(settings, epochs, strict=True))
    ]
    strategy.tell(settings, scores)
    trials = strategy._strategy._study.trials
    states = [trial.state for trial in trials]
    assert states == [TrialState.PRUNED, TrialState.COMPLETE] * 2
    assert trials[2].intermediate_values == {3: 2.0} and trials[3].value == 3.0


def test_nsga2_learns_a_front_that_random_search_does_not():
    """The front of ZDT1, Zitzler et al. (2000): f2 = 1 - sqrt(f1) where all others are 0."""
    space = search.space(**{f"x{i}": jnn.uniform(0, 1) for i in range(6)})

    def front(maker):
        strategy = maker(space, 0)
        strategy.objectives = 2
        gaps = []
        for _ in range(30):
            settings = strategy.ask(20)
            scores = []
            for setting in settings:
                x = list(setting.values())
                g = 1 + 9 * sum(x[1:]) / 5
                second = g * (1 - math.sqrt(x[0] / g))
                gaps.append(second - (1 - math.sqrt(x[0])))
                scores.append(score(setting, -x[0])._replace(others=(-second,)))
            strategy.tell(settings, scores)
        return np.mean(gaps[-100:])

    assert front(search.nsga2(batch=20)) < front(search.random()) / 2


@pytest.mark.parametrize("low, high", [(1e-3, 1e-1), (3e-4, 1e-2), (0.1, 0.3)])
def test_the_bounds_of_a_range_lie_in_it(low, high):
    for distribution in (jnn.uniform(low, high), jnn.log_uniform(low, high)):
        space = search.space(rate=distribution)
        for setting in search.grid(points=7)(space, 0).ask(7):
            space.check(setting)


def test_a_library_that_is_missing_is_named(monkeypatch):
    for maker, module, install in (
        (search.cma_es, "cmaes", "jnn-jax"),
        (search.gp, "torch", "pip install torch"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=install):
            maker()(MIXED, 0)


@functools.cache
def iris():
    return jnn.data.load("iris")


def study_of(c):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, (c.width,), 3),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=2,
        batch_size=32,
    )


@pytest.mark.parametrize(
    ("metric", "kind", "words"),
    [
        (("accuracy", "size"), ValueError, "metric must be one of the scores"),
        (("parameters",), ValueError, "metric must be one of the scores"),
        (("loss", "loss"), ValueError, "several different ones"),
        ((), ValueError, "metric must be one name"),
        (("loss", 3), TypeError, "metric must be a name, or a tuple of names"),
    ],
)
def test_metrics_that_are_none_get_one_sentence(metric, kind, words):
    space = search.space(learning_rate=[0.1], width=[2])
    with pytest.raises(kind, match=words):
        search.run(study_of, iris(), space, trials=1, metric=metric)


def test_a_front_holds_the_rows_that_no_other_row_beats():
    rows = np.random.default_rng(0).integers(0, 4, (40, 3)).astype(float)
    rows[3, 1] = np.nan
    for place, row in enumerate(rows):
        beaten = any((other >= row).all() and (other > row).any() for other in rows)
        assert pareto(rows)[place] == (not beaten and np.isfinite(row).all())


def rounds_of(strategy, function, count):
    """Ask and tell whole batches; return the settings and scores of each round."""
    rounds = []
    for _ in range(count):
        settings = strategy.ask(strategy.batch)
        scores = [score(setting, function(setting)) for setting in settings]
        rounds.append((strategy.fidelity(27), settings, [each.mean for each in scores]))
        strategy.tell(settings, scores)
    return rounds


def test_dehb_promotes_the_best_of_each_rung_and_then_evolves():
    space = search.space(a=jnn.uniform(0, 1), b=jnn.uniform(0, 1))
    rounds = rounds_of(search.dehb()(space, 0), lambda s: -s["a"] - s["b"], 13)
    sizes = [(fidelity, len(settings)) for fidelity, settings, _ in rounds]
    assert sizes[:10] == [  # Hyperband's brackets for R = 27, eta = 3; Awad et al. (2021)
        (1, 27), (3, 9), (9, 3), (27, 1), (3, 9), (9, 3), (27, 1), (9, 6), (27, 2), (27, 4),
    ]  # fmt: skip
    for before, after in ((0, 1), (1, 2), (2, 3)):
        _, settings, means = rounds[before]
        order = np.argsort(means)[::-1][: len(rounds[after][1])]
        assert rounds[after][1] == [settings[place] for place in order]
    first = {tuple(setting.items()) for setting in rounds[0][1]}
    assert first.isdisjoint({tuple(setting.items()) for setting in rounds[10][1]})
    assert np.mean(rounds[10][2]) > np.mean(rounds[0][2])


def test_a_child_of_dehb_is_made_of_its_parent_and_of_three_others():
    space = search.space(**{f"x{i}": jnn.uniform(0, 1) for i in range(8)})
    strategy = search.dehb(factor=0.3, crossover=0.5)(space, 0)
    rounds_of(strategy, lambda s: -sum(s.values()), 10)
    population = strategy._populations[0]
    parent = population.vectors[0].copy()
    best = population.best(27)
    mutants = {
        round(float(a + 0.3 * (b - c)), 9)
        for a, b, c in itertools.permutations(best[:, 0], 3)
    }  # fmt: skip
    inherited = random = 0
    for _ in range(200):
        child = strategy._child(parent)
        assert (child >= 0).all() and (child <= 1).all() and (child != parent).any()
        inherited += (child == parent).mean() / 200
        random += child[0] != parent[0] and round(float(child[0]), 9) not in mutants
    assert abs(inherited - 0.5) < 3 * math.sqrt(0.25 / 1600)
    outside = np.mean([not 0 <= value <= 1 for value in mutants])
    assert random / 100 < outside + 0.15


def test_dehb_is_closer_to_the_optimum_than_random_search():
    space = search.space(**{f"x{i}": jnn.uniform(0, 1) for i in range(4)})

    def function(setting):
        return -sum((value - 0.3) ** 2 for value in setting.values())

    best = {"dehb": [], "random": []}
    for seed in range(5):
        rounds = rounds_of(search.dehb()(space, seed), function, 120)
        means = [mean for _, _, means in rounds for mean in means]
        best["dehb"].append(max(means))
        settings = search.random()(space, seed).ask(len(means))
        best["random"].append(max(map(function, settings)))
    assert np.mean(best["dehb"]) > np.mean(best["random"]) / 3


@pytest.fixture(scope="module")
def dehb_runs(tmp_path_factory):
    """A search by DEHB and three metrics, the same one killed and resumed, and the strategies."""
    folder = tmp_path_factory.mktemp("dehb")
    made = []

    def by(space, seed):
        made.append(search.dehb(eta=2, brackets=2)(space, seed))
        made[-1].objectives = 1
        return made[-1]

    def run(name, progress=None):
        return search.run(
            lambda c: study_of(search.Choices({"width": 2})), iris(),
            search.space(learning_rate=jnn.log_uniform(1e-3, 1e-1)), folds=2, trials=6, by=by,
            test_seeds=1, metric=("accuracy", "loss", "parameters"), directory=folder / name,
            progress=progress,
        )  # fmt: skip

    def stop(status):
        if status.trials == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("killed", stop)
    return run("whole"), run("killed"), made


def test_dehb_trains_a_setting_anew_for_more_epochs_and_goes_on_after_a_kill(dehb_runs):
    whole, resumed, _ = dehb_runs
    assert [trial.score.epoch for trial in whole.trials[:4]] == [1, 1, 2, 2]
    promoted = max(whole.trials[:2], key=lambda trial: trial.score.mean)
    assert whole.trials[2].setting == promoted.setting
    assert whole.best_trial.score.epoch == 2
    assert [trial.setting for trial in resumed.trials] == [t.setting for t in whole.trials]
    for ours, theirs in zip(resumed.trials, whole.trials, strict=True):
        np.testing.assert_array_equal(ours.score.values, theirs.score.values)
        assert ours.score.others == theirs.score.others


def test_a_search_by_several_metrics_tells_all_of_them_and_finds_the_front(dehb_runs):
    found, _, strategies = dehb_runs
    assert {strategy.objectives for strategy in strategies} == {3}
    for part, trials in zip(found.parts, ([0, 1], [2], [3]), strict=False):
        assert len(part.settings) == len(trials)
        losses = np.asarray(part.load().final()["loss"]).reshape(2, len(trials)).mean(axis=0)
        for trial, loss in zip(trials, losses, strict=True):
            others = found.trials[trial].score.others
            assert others == (pytest.approx(-loss), -((4 + 1) * 2 + (2 + 1) * 3))
    table = found.table
    accuracy = np.where(table["epochs"] == 2, table["accuracy"], np.nan)  # of whole trainings
    objectives = np.stack([accuracy, -table["loss"], -table["parameters"]], axis=1)
    np.testing.assert_array_equal(table["pareto"], pareto(objectives))
    assert len(found.pareto) == table["pareto"].sum() > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: search.dehb(eta=1), "eta must be"),
        (lambda: search.dehb(factor=0), "factor must be above 0"),
        (lambda: search.dehb(crossover=2), "crossover must be from 0 to 1"),
        (lambda: search.nsga2(batch=1), "batch must be"),
        (lambda: discrete.bohb((2, 2), capacity=3), "capacity must be"),
        (lambda: discrete.bohb((2, 2), good_share=2), "good_share must be from 0 to 1"),
        (lambda: search.bohb(random_share=-1), "random_share must be from 0 to 1"),
    ],
)
def test_settings_of_strategies_that_make_no_sense_get_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_dehb_says_that_it_waits_for_scores():
    strategy = search.dehb(brackets=1)(MIXED, 0)
    strategy.ask(9)
    with pytest.raises(ValueError, match="must be told the scores"):
        strategy.ask(1)


def test_most_settings_of_bohb_are_near_the_best_and_some_are_random():
    space = search.space(**{f"x{i}": jnn.uniform(0, 1) for i in range(2)})
    strategy = search.bohb()(space, 0)
    for _ in range(8):
        settings = strategy.ask(strategy.batch)
        distances = [sum((value - 0.3) ** 2 for value in s.values()) for s in settings]
        order = np.argsort(np.argsort(distances))
        scores = [
            score(setting, -distance, epoch=27 if place < len(settings) / 3 else 9)
            for setting, distance, place in zip(settings, distances, order, strict=True)
        ]
        strategy.tell(settings, scores)
    values = np.array([list(s.values()) for s in strategy.ask(27)])
    near = (np.abs(values - 0.3) < 0.2).all(axis=1).mean()  # 16 % of the square
    assert 0.45 < near < 0.95  # by chance alone 0.16, without chance about 1


def test_the_densities_of_bohb_are_means_of_kernels():
    options = (5, 3, 2)
    random = np.random.default_rng(0)
    settings = np.stack([random.integers(0, n, 20) for n in options], axis=1)
    chosen = random.random(20) < 0.5
    every = np.stack(np.meshgrid(*map(np.arange, options), indexing="ij"), -1).reshape(-1, 3)
    expected = []
    for point in every:
        values = []
        for setting in settings[chosen]:
            product = 1.0
            for choice, size in enumerate(options):
                counts = np.bincount(settings[chosen, choice], minlength=size) / chosen.sum()
                b = (1 - (counts**2).sum()) * chosen.sum() ** (-1 / 7)
                product *= 1 - b if point[choice] == setting[choice] else b / (size - 1)
            values.append(product)
        expected.append(np.log(np.mean(values)))
    log_density = jax.jit(functools.partial(_kernels.log_density, options=options))
    found = np.asarray(log_density(every, settings, chosen))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


def test_bohb_over_options_finds_more_than_random_search_and_forgets_what_failed():
    target = np.array([3, 1, 4, 0, 2, 2])

    def score_of(setting):
        matches = jnp.sum(setting == target) / 6
        return jnp.where(setting[0] == 4, jnp.nan, matches)

    strategy = discrete.bohb((5,) * 6, capacity=64)  # the ring goes around
    keys = jax.random.split(jax.random.key(0), 30)
    run = jax.jit(jax.vmap(functools.partial(discrete.simulate, strategy, score_of, 100)))
    settings, scores = map(np.asarray, run(keys))
    assert (settings < 5).all() and (settings >= 0).all()
    drawn = np.random.default_rng(0).integers(0, 5, settings.shape)
    at_random = np.where(drawn[..., 0] == 4, np.nan, (drawn == target).mean(axis=2))
    best, failed = {}, {}
    for name, values in (("bohb", scores), ("random", at_random)):
        best[name] = float(np.nanmax(values, axis=1).mean())
        failed[name] = float(np.isnan(values[:, 50:]).mean())
    assert best["bohb"] > best["random"] + 0.08
    assert failed["bohb"] < 0.8 * failed["random"]


@pytest.mark.parametrize("outer", ["halving", "hyperband", "racing", "population_based"])
def test_a_strategy_that_ends_settings_chooses_them_by_one_that_does_not(outer):
    make = getattr(search, outer)
    for inner in (search.halving(), search.dehb(), search.racing()):
        with pytest.raises(ValueError, match="by must only choose settings here"):
            make(inner)(MIXED, 0)
    with pytest.raises(TypeError, match="by must be a strategy"):
        make("tpe")(MIXED, 0)

    class Mine:
        def __init__(self, space=None, seed=None):
            self.space = space

        def ask(self, n):
            return list(search.random()(MIXED, 0).ask(n))

        def tell(self, settings, scores):
            """Learn nothing."""

    assert make(Mine())(MIXED, 0).ask(2) == make(Mine)(MIXED, 0).ask(2)


@pytest.mark.parametrize("sampler", ["tpe", 3, lambda seed: "tpe", object()])
def test_what_is_no_sampler_gets_one_sentence(sampler):
    with pytest.raises(TypeError, match="sampler must be a sampler of Optuna"):
        search.optuna(sampler)(MIXED, 0)


def test_the_class_of_a_sampler_serves_with_the_seed_of_the_search():
    from optuna.samplers import RandomSampler

    asked = [search.optuna(RandomSampler)(MIXED, seed).ask(3) for seed in (0, 0, 1)]
    assert asked[0] == asked[1] != asked[2]


def test_hyperband_that_is_asked_for_nothing_stays_at_its_bracket():
    strategy = search.hyperband(eta=2, brackets=3)(MIXED, 0)
    size = strategy.batch
    assert strategy.ask(0) == [] and strategy.batch == size


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "GPSampler"])
def test_samplers_of_several_objectives_are_told_all_of_them(name):
    strategy, _ = make(name)
    strategy.objectives = 2

    def rounds():
        for number in range(3):
            settings = strategy.ask(4)
            scores = [score(setting)._replace(others=(float(number),)) for setting in settings]
            strategy.tell(settings, scores)

    if name == "CmaEsSampler":
        with pytest.raises(ValueError, match="metric must be one name for CmaEsSampler"):
            rounds()
        return
    rounds()
    values = {trial.values[1] for trial in strategy._study.trials if trial.values}
    assert values >= {0.0} and strategy._study.directions == [2, 2]  # to be maximized
