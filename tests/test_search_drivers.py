"""How a search trains: its own drivers, failures, kills, other studies, budgets, latency."""

import dataclasses
import functools
import json
import math
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import search
from jnn.search._cohort import Cohort
from tests.searched import SPACE, STRATEGIES, find, study_of

IRIS = jnn.data.load("iris")


@functools.cache
def undisturbed(name):
    return find(name)


def run(of=study_of, by=None, **options):
    options = {"trials": 4, "folds": 2, "test_seeds": 1, "space": SPACE, **options}
    return search.run(of, IRIS, options.pop("space"), by=by, **options)


def assert_same(found, other):
    assert [t.setting for t in found.trials] == [t.setting for t in other.trials]
    for one, two in zip(found.trials, other.trials, strict=True):
        np.testing.assert_array_equal(one.score.values, two.score.values)
        assert (one.steps, one.failed, one.schedule) == (two.steps, two.failed, two.schedule)
    for results in ((found.winner, other.winner), (found.result, other.result)):
        parts = [[part.trained for part in result.parts] for result in results]
        jax.tree.map(np.testing.assert_array_equal, *parts)
        np.testing.assert_array_equal(*(r.scores["train_loss"] for r in results))


def killed(name, folder, moment):
    """Search in another process until it is killed, and return whether it was."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.searched", name, str(folder), str(moment)],
        capture_output=True,
        check=False,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr.decode()[-2000:]
    return process.returncode != 0


def trained_epochs(monkeypatch):
    """Return a list of the first and the last epoch of each stretch of training from now on."""
    stretches = []
    train = Cohort._train

    def note(cohort, population, epoch):
        stretches.append((population.epoch, epoch))
        train(cohort, population, epoch)

    monkeypatch.setattr(Cohort, "_train", note)
    return stretches


def test_a_search_killed_inside_a_round_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    # By the 16th file, the settings of both programs have passed the first rung after one epoch.
    assert killed("halving", tmp_path, 16)
    content = json.loads((tmp_path / "search.json").read_text())
    assert content["rounds"] == [] and content["begun"]["asked"] == 6
    whole = undisturbed("halving")
    stretches = trained_epochs(monkeypatch)
    assert_same(find("halving", tmp_path), whole)
    assert len(stretches) > 0 and min(first for first, _ in stretches) > 0
    assert not list(tmp_path.glob("rounds/*-unfinished"))


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_search_killed_at_any_moment_finds_the_same(name, tmp_path):
    moment = 1
    while killed(name, tmp_path / str(moment), moment):
        assert_same(find(name, tmp_path / str(moment)), undisturbed(name))
        moment += 5
    assert moment > 11


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_finds_the_same(tmp_path):
    kills = 0
    while killed("halving", tmp_path, 7):
        kills += 1
    assert kills > 3
    assert_same(find("halving", tmp_path), undisturbed("halving"))


def test_another_study_is_refused_where_rounds_are_complete_or_begun(tmp_path):
    find("whole", tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    for options in ({"momentum": 0.8}, {"epochs": 5}):
        with pytest.raises(ValueError, match=r"study_of must return the study .* returns another"):
            find("whole", tmp_path, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert_same(find("whole", tmp_path), undisturbed("whole"))


def test_a_larger_budget_goes_on_searching_in_the_same_folder(tmp_path, monkeypatch):
    by = search.random(batch=2)
    first = run(by=by, trials=2, directory=tmp_path)
    stretches = trained_epochs(monkeypatch)
    found = run(by=by, trials=6, directory=tmp_path)
    assert len(stretches) <= 4 and len(found.trials) == 6  # two rounds of at most two programs
    assert_same(found, run(by=by, trials=6))
    assert [t.setting for t in first.trials] == [t.setting for t in found.trials[:2]]
    assert jnn.Result.load(tmp_path).members.columns()["learning_rate"][0] == pytest.approx(
        found.best.setting["learning_rate"]
    )


def test_a_folder_is_locked_while_a_search_runs(tmp_path):
    def enter(status):
        with pytest.raises(ValueError, match="Another search runs in"):
            run(directory=tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(trials=1, directory=tmp_path, progress=enter)


class Told:
    """A strategy of given settings that remembers what it is told."""

    def __init__(self, settings):
        self.settings = settings
        self.scores = []

    def ask(self, n):
        return self.settings[len(self.scores) :][:n]

    def tell(self, settings, scores):
        self.scores += scores


def diverging(h):
    return optax.sgd(jnp.where(h.learning_rate > 1, jnp.inf, h.learning_rate), 0.9)


def failing(c):
    """A study that cannot be made for width 5, not be traced for 6, not fit for 7."""
    if c.width == 5:
        raise FileNotFoundError("no table")
    study = dataclasses.replace(study_of(c, epochs=2), optimizer=diverging)
    if c.width == 6:
        wrong = functools.partial(jnn.models.MLP, 9, (6,), 3)
        return dataclasses.replace(study, model=wrong)
    return dataclasses.replace(study, batch_size=999) if c.width == 7 else study


FAILING_SPACE = search.space(
    learning_rate=jnn.choice(0.01, 0.1, 2.0), width=jnn.choice(4, 5, 6, 7, 8)
)
SETTINGS = [
    {"learning_rate": rate, "width": width}
    for rate, width in ((0.01, 4), (0.01, 5), (0.01, 6), (0.01, 7), (2.0, 4), (0.1, 4), (0.1, 8))
]


@functools.cache
def partly_failed():
    by = Told(SETTINGS)
    return run(failing, by, space=FAILING_SPACE, trials=7), by


def test_a_setting_fails_alone_and_the_table_says_why():
    found, by = partly_failed()
    failed = [trial.failed for trial in found.trials]
    assert failed[0] == failed[5] == failed[6] == ""
    assert failed[1] == "study_of failed: FileNotFoundError: no table"
    assert "(16, 4)" in failed[2] and failed[3].startswith("batch_size must be at most")
    assert [math.isnan(score.mean) for score in by.scores] == [bool(text) for text in failed]
    table = found.table.set_index("trial")
    assert list(table["failed"].sort_index()) == failed
    assert table["steps"][1] == table["steps"][2] == 0 < table["steps"][0]
    assert "4 failed, the first one by: study_of failed" in repr(found)
    assert found.best_trial.number in (0, 5, 6)
    alone = run(failing, Told(SETTINGS[5:]), space=FAILING_SPACE, trials=2)
    for trial, other in zip(found.trials[5:], alone.trials, strict=True):
        np.testing.assert_allclose(trial.score.values, other.score.values, atol=1e-6)


def test_a_diverged_setting_says_in_which_epoch_and_how_many_members():
    found, _ = partly_failed()
    (trial,) = [t for t in found.trials if t.setting["learning_rate"] == 2.0]
    loss = found.result.select(learning_rate=2.0).scores["train_loss"].values
    epoch = 1 + int(np.argmax(~np.isfinite(loss).all(axis=0)))
    assert trial.failed == f"train_loss not finite in epoch {epoch} on 2 of 2 members"
    assert found.table.set_index("trial")["diverged"][trial.number] == 2


def test_settings_that_all_fail_for_one_reason_are_an_error_of_the_user(tmp_path):
    by = Told([{"learning_rate": rate, "width": 7} for rate in (0.01, 0.1)])
    with pytest.raises(ValueError, match="batch_size must be at most"):
        run(failing, by, space=FAILING_SPACE, directory=tmp_path)
    assert json.loads((tmp_path / "search.json").read_text())["begun"] is None


def test_settings_that_all_fail_for_several_reasons_lose_nothing():
    found = run(failing, Told(SETTINGS[1:4]), space=FAILING_SPACE)
    assert "all 3 settings failed" in repr(found) and "study_of failed" in repr(found)
    assert math.isnan(found.best.interval.mean) and math.isnan(found.optimism.mean)
    assert found.curve["best"].isna().all() and found.importance["importance"].isna().all()
    assert len(found.table) == 3 and not found.table["pareto"].any() and not len(found.front())
    assert found.latency["milliseconds"].isna().all()
    with pytest.raises(ValueError, match="A result needs members, but none was trained"):
        _ = found.result


def test_a_number_that_a_network_refuses_fails_its_setting_alone():
    def of(c):
        model = functools.partial(jnn.models.MLP, 4, (4,), 3, dropout_rate=0.0)
        return dataclasses.replace(study_of({"width": 4}, epochs=1), model=model)

    space = search.space(learning_rate=[0.01, 0.1], dropout_rate=[0.1, 7.0])
    found = run(of, search.grid(), space=space)
    for trial in found.trials:
        assert bool(trial.failed) == (trial.setting["dropout_rate"] == 7.0)
    assert "dropout_rate" in next(trial.failed for trial in found.trials if trial.failed)


def test_a_strategy_trains_in_its_own_way():
    class Half:
        batch = 4

        def __init__(self):
            self.scores = []

        def ask(self, n):
            return SPACE.at(np.random.default_rng(len(self.scores)).random((n, 2)))

        def tell(self, settings, scores):
            self.scores += scores

        def train(self, batch):
            for cohort in batch.cohorts():
                with batch.failing(cohort):
                    cohort.advance(cohort.program.study.epochs // 2)
                    batch.end(cohort)

    by = Half()
    assert isinstance(by, search.Driver)
    found = run(by=by)
    assert [score.epoch for score in by.scores] == [2] * 4
    assert found.trials[0].steps == 2 * 2 * math.ceil(60 / 16)  # epochs, folds, batches
    whole = run(functools.partial(study_of, epochs=2), Told([t.setting for t in found.trials]))
    for trial, other in zip(found.trials, whole.trials, strict=True):
        np.testing.assert_allclose(trial.score.values, other.score.values, atol=1e-6)


def test_halving_spends_a_budget_of_steps_on_more_settings_than_whole_training():
    step = 2 * 4  # folds and batches of an epoch
    for epochs, eta, count in ((4, 2, 6), (9, 3, 9), (8, 2, 5)):
        halving = search.halving(batch=64, eta=eta, rungs=2)(SPACE, 0)
        spent, former, left = 0, 0, count
        for look in [*halving.looks(epochs), epochs]:
            spent += left * (look - former)
            former, left = look, math.ceil(left / eta)
        assert halving.cost(count, epochs) == spent < count * epochs
    found = run(by=search.halving(batch=64, eta=2, rungs=2), trials=None, steps=13 * step)
    assert len(found.trials) == 6 > 13 // 4
    assert sum(trial.steps for trial in found.trials) == (6 * 1 + 3 * 1 + 2 * 2) * step


class _Slow:
    """A linear network that takes 30 milliseconds to predict a single row."""

    def init(self, key, x):
        return {"kernel": jnp.zeros((4, 3))}

    def apply(self, params, x):
        if x.shape[0] != 1:
            return x @ params["kernel"]
        wait = jax.pure_callback(_wait, jax.ShapeDtypeStruct((), jnp.float32), x[0, 0])
        return x @ params["kernel"] + 0 * wait


def _wait(number):
    time.sleep(0.03)
    return np.float32(0 * number)


def test_latency_is_measured_once_for_each_program_and_makes_a_front():
    slow = _Slow()

    def of(c):
        study = study_of({"width": 8}, epochs=1)
        return dataclasses.replace(study, model=(slow.init, slow.apply)) if c.slow else study

    found = run(of, search.grid(), space=search.space(learning_rate=[1e-6, 0.1], slow=[0, 1]))
    table = found.latency
    is_slow = table["slow"] == 1
    assert (table["milliseconds"][is_slow] > 30).all()
    assert (table["milliseconds"][~is_slow] < 30).all()
    assert (table["milliseconds_batch"] < 30).all() and table["milliseconds"].nunique() == 2
    for against in ("milliseconds", "parameters", "steps"):
        front = found.front(against)
        pairs = list(zip(table["accuracy"], table[against], strict=True))
        best = {
            (score, cost)
            for score, cost in pairs
            if not any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in pairs)
        }
        assert set(zip(front["accuracy"], front[against], strict=True)) == best
    with pytest.raises(ValueError, match="against must be one of"):
        found.front("price")


def test_a_restored_population_goes_on_with_the_same_bits(tmp_path):
    study = study_of({"width": 4}, epochs=5)
    members = jnn.seeds(2) * jnn.folds(2) * jnn.grid(learning_rate=[0.01, 0.05, 0.1])

    def gathered(population):
        rates = {"learning_rate": np.linspace(0.01, 0.02, len(population))}
        return population.gather(np.array([1, 1, 3, 3, 4, 5, 7, 7]), hyper=rates)

    population = jnn.start(study, IRIS, members).advance(2)
    population.save(tmp_path / "all")
    population.keep(np.arange(12) % 3 != 1)
    gathered(population).advance(1).save(tmp_path / "gathered")
    result = population.advance(2).result()

    kept = jnn.start(study, IRIS, members).keep(np.arange(12) % 3 != 1)
    for restored in (
        gathered(kept.restore(tmp_path / "all")),
        jnn.start(study, IRIS, members).keep(np.arange(12) % 3 != 1).restore(tmp_path / "gathered"),
    ):
        other = restored.advance(5 - restored.epoch).result()
        assert result.scores.identical(other.scores)
        jax.tree.map(np.testing.assert_array_equal, result.trained, other.trained)
    with pytest.raises(ValueError, match="lacks the members"):
        jnn.start(study, IRIS, members).restore(tmp_path / "gathered")
    other = dataclasses.replace(study, optimizer=optax.sgd(0.1), hyper={"learning_rate": 0.1})
    with pytest.raises(ValueError, match="another study or other data"):
        jnn.start(other, IRIS, jnn.seeds(2) * jnn.folds(2)).restore(tmp_path / "all")


@pytest.mark.slow
def test_programs_compiled_beside_each_other_give_the_same_bits(monkeypatch):
    import contextlib

    space = search.space(learning_rate=[0.05], width=[4, 5, 6])
    found = run(space=space, by=search.grid(), trials=3)
    alone = lambda cohorts: contextlib.nullcontext()  # noqa: E731
    monkeypatch.setattr("jnn.search._train.compiling", alone)
    assert_same(found, run(space=space, by=search.grid(), trials=3))


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"steps": math.inf}, ValueError, "steps must be above 0 and finite"),
        ({"seconds": math.nan}, ValueError, "seconds must be above 0 and finite"),
        ({"trials": True}, TypeError, "trials must be a positive integer, got True"),
        ({"steps": 15}, ValueError, "steps must allow one setting, which takes 32 steps"),
        ({"test": 0}, ValueError, "test must be a share between 0 and 1, got 0"),
        ({"test": True}, TypeError, "test must be a share of the rows"),
        (
            {
                "test": jnn.Dataset.from_arrays(
                    np.zeros((9, 4), np.float32), np.linspace(0, 1, 9)[:, None]
                )
            },
            ValueError,
            "test set must have the targets",
        ),
        ({"folds": 1000}, ValueError, "folds must be at most the number of rows"),
        ({"confidence": 95}, ValueError, "confidence must be between 0 and 1"),
        ({"directory": 3}, TypeError, "directory must be a path"),
        ({"progress": 3}, TypeError, "progress must be a function"),
        ({"by": search.tpe}, TypeError, r"got tpe. Call it, as tpe\(\)"),
        ({"by": Told}, TypeError, "got Told"),
        ({"by": Told([])}, ValueError, "must name at least one setting"),
        ({"by": Told([[]])}, TypeError, "must ask for dicts of choices"),
        ({"by": Told([{"width": 4}])}, ValueError, "must have a value for 'learning_rate'"),
        (
            {"by": Told([{"width": 4, "learning_rate": None}])},
            ValueError,
            "learning_rate must be a number from",
        ),
        ({"of": lambda c: None}, TypeError, "study_of must return a jnn.Study"),
        ({"of": lambda c: 1 / 0}, ValueError, "study_of failed: ZeroDivisionError"),
        (
            {"space": search.space(learning_rate=[0.1], width=[4], other=[0.1, 0.2])},
            ValueError,
            "Nothing reads",
        ),
    ],
)
def test_wrong_searches_get_one_sentence_before_they_begin(options, kind, words):
    with pytest.raises(kind, match=words):
        run(**options)
