"""`jnn search`: what is typed, what is refused, what is found, and how a killed search goes on."""

import importlib.util
import inspect
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import pandas as pd
import pytest
import scipy.stats
from safetensors.numpy import load_file

import jnn
from jnn import search
from jnn.cli import main
from jnn.cli._command import Run, Search, parse
from jnn.cli._search_job import make_search_job
from jnn.cli._search_space import make_space
from jnn.cli._space import parse_space
from jnn.cli._strategy import parse_strategy, strategies
from jnn.recipes import About, make_study, network_choices, takes_option, with_choices

QUICK = ["--epochs", "2", "--folds", "2", "--test-seeds", "2", "--batch-size", "40"]
SPACE = ["--space", "learning_rate=log:1e-3:0.3", "dropout_rate=0:0.5", "activation=tanh,relu"]
VECTORS = About("iris", "vectors", "classification", (4,), (), 3)
TEXTS = About("texts", "texts", "classification", (6,), (), 2, 9)


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch):
    # The tests have configured JAX already.
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a search of two programs, which was interrupted after its first round."""
    home = tmp_path_factory.mktemp("search")
    words = ["search", "iris", *QUICK, *SPACE, "--model", "mlp:4", "--by", "random:batch=3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jnn.cli._setup.configure_jax", lambda: None)
        whole = home / "whole"
        main([*words, "--trials", "6", "--out", str(whole)])
        patch.setattr("jnn.cli._search._move", _interrupt_second_round)
        with pytest.raises(SystemExit) as stop:
            main([*words, "--trials", "6", "--out", str(home / "killed")])
    assert stop.value.code == 130
    return whole


def _interrupt_second_round(bar, task, trials, status):
    assert trials == 6 and status.alive <= 3
    if status.trials > 3:
        raise KeyboardInterrupt


def wrong(arguments, capsys):
    """The one sentence that a failing command prints."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    told = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and told.startswith("jnn: ") and len(told.splitlines()) == 1, told
    return told


def test_a_range_is_even_in_its_values_or_in_their_logarithms():
    typed = ["learning_rate=log:1e-4:1e-1", "dropout_rate = 0 : .5", "width=32, 64 ,128"]
    space = search.space(**parse_space(typed))
    settings = space.at(np.random.default_rng(0).random((2000, 3)))
    logs = np.log10([setting["learning_rate"] for setting in settings])
    rates = [setting["dropout_rate"] for setting in settings]
    assert scipy.stats.kstest(logs, "uniform", args=(-4, 3)).pvalue > 0.01
    assert scipy.stats.kstest(rates, "uniform", args=(0, 0.5)).pvalue > 0.01
    assert {setting["width"] for setting in settings} == {32, 64, 128}


def test_a_comma_begins_another_model_only_before_a_name():
    space = parse_space(["model=mlp:64,32,lstm, mlp:,textcnn:8,16"])
    assert space["model"].options == ("mlp:64,32", "lstm", "mlp:", "textcnn:8,16")


def test_the_strategies_are_all_those_of_the_library():
    returns = {
        name: inspect.signature(getattr(search, name)).return_annotation
        for name in search.__all__
        if inspect.isfunction(getattr(search, name))
    }
    makers = {name for name, kind in returns.items() if kind == search.Maker}
    assert makers - set(strategies()) <= {"optuna", "listed", "one_shot"}
    assert {"random", "tpe", "halving", "dehb", "bohb", "nsga2", "racing"} <= set(strategies())
    space = search.space(learning_rate=[0.1, 0.2])
    for name in strategies():
        if name == "gp" and importlib.util.find_spec("torch") is None:
            with pytest.raises(ImportError, match="pip install torch"):
                parse_strategy(name)(space, 0)
        else:
            assert isinstance(parse_strategy(name)(space, 0), search.Strategy), name


def test_a_strategy_has_its_numbers_after_a_colon():
    strategy = parse_strategy("halving:batch=9,eta=4,by=sobol")(search.space(a=[1, 2]), 0)
    assert strategy.batch == 9 and strategy.survivors([_score(v) for v in range(8)]).sum() == 2


def _score(value):
    return search.Score(float(value), 0.1, np.array([[value]]), 1)


@pytest.mark.parametrize(
    ("model", "about", "choices", "text"),
    [
        ("mlp:64", VECTORS, {"width": 8, "depth": 3}, "mlp:8,8,8"),
        ("mlp:64,32,16", VECTORS, {"depth": 2}, "mlp:64,32"),
        ("lstm", VECTORS, {"width": 8}, "lstm:8,1"),
        ("lstm:8", VECTORS, {"depth": 2}, "lstm:8,2"),
        ("encoder", TEXTS, {"heads": 2, "width": 8}, "encoder:2,2,8"),
        ("textcnn:4,8", TEXTS, {"width": 2, "vector": 3}, "textcnn:2,3"),
    ],
)
def test_the_numbers_of_a_network_are_replaced_by_name(model, about, choices, text):
    assert with_choices(model, about, choices) == text
    replaced = network_choices(text, about)
    assert replaced == {**replaced, **choices}


def test_what_a_network_takes_is_told_from_its_arguments():
    assert takes_option("mlp:4", VECTORS, "activation")
    assert not takes_option("lstm:4", VECTORS, "activation")
    assert takes_option("lstm:4", VECTORS, "dropout_rate")
    assert not takes_option("cnn1d", VECTORS, "dropout_rate")


@pytest.mark.parametrize("name", ["adam", "nadam", "lion", "rmsprop", "sgd"])
def test_an_optimizer_decays_weights_apart_from_the_gradient(name):
    rate, decay = 0.1, 0.01

    class Numbers:
        learning_rate = rate
        weight_decay = decay

    params = np.array([2.0, -3.0], np.float32)
    steps = []
    for hyper in ({}, {"weight_decay": 0.0}):
        study = make_study(VECTORS, model="mlp:4", hyper=hyper, optimizer=name)
        optimizer = study.optimizer(Numbers)
        update, _ = optimizer.update(np.array([0.5, 0.1]), optimizer.init(params), params)
        steps.append(update)
    np.testing.assert_allclose(steps[1] - steps[0], -rate * decay * params, rtol=1e-4)
    theirs = {"sgd": optax.sgd(rate, 0.9), "rmsprop": optax.rmsprop(rate)}.get(name)
    if theirs is not None:
        update, _ = theirs.update(np.array([0.5, 0.1]), theirs.init(params), params)
        np.testing.assert_allclose(steps[0], update, rtol=1e-6)


def test_a_choice_of_one_model_only_applies_to_that_model():
    command = Search("iris", space=("activation=tanh,gelu", "depth=1,2", "model=mlp:4,lstm:4"))
    space = make_space(command, VECTORS)
    settings = list(search.grid()(space, 0).ask(99))
    assert all(("activation" in s) == s["model"].startswith("mlp") for s in settings)
    assert len(settings) == 2 * 2 + 2


def test_a_search_without_a_space_searches_what_its_network_and_strategy_can():
    for by in ("random", "evolution", "population_based", "tpe"):
        _, command = make_search_job(Search("iris", by=by, folds=2))
        names = [word.partition("=")[0] for word in command.space]
        assert names[:3] == ["learning_rate", "weight_decay", "dropout_rate"]
        assert ("width" in names) == (by != "population_based")
        assert all(":" not in word for word in command.space) == (by == "evolution")
    _, command = make_search_job(Search("iris", model="cnn1d", folds=2))
    assert command.space == ("learning_rate=log:1e-4:1e-1", "weight_decay=log:1e-6:1e-1")
    assert command.trials == 64 and command.batch_size == 32


def test_a_search_by_several_metrics_tells_the_strategy_all_of_them():
    for words, metric in (
        (("accuracy", "log_loss"), None),
        (("accuracy,parameters",), ("accuracy", "parameters")),
    ):
        job, _ = make_search_job(Search("iris", metric=words, folds=2))
        assert job.metric == metric
        study = job.study_of(search.Choices(job.space.at(np.zeros((1, 4)))[0]))
        assert list(study.metrics) == [
            n for n in ("accuracy", "log_loss") if n in words[0] + words[-1]
        ]
    job, _ = make_search_job(Search("iris", metric=("accuracy", "f1"), folds=2, by="nsga2"))
    assert job.metric == ("accuracy", "f1")


def test_the_options_of_data_are_those_of_a_run():
    words = ["t.csv", "--target", "y", "--missing", "fill", "--metric", "mae", "rmse"]
    run, command = parse(["run", *words]), parse(["search", *words])
    shared = set(vars(run)) & set(vars(command))
    assert {"text", "horizon", "series", "size", "epochs", "out"} <= shared
    assert {name: vars(run)[name] for name in shared - {"folds", "seeds"}} == {
        name: vars(command)[name] for name in shared - {"folds", "seeds"}
    }
    assert list(vars(Run("iris")))[:3] == ["data", "target", "task"]


def test_a_search_leaves_a_table_figures_and_a_winner(folder, capsys):
    assert {path.name for path in folder.iterdir()} == {
        "command.json", "search.json", "found.json", "search.csv", "search.png", "choices.png",
        "rounds", "search.lock", "result.json", "run.json", "scores.nc", "members.safetensors",
    }  # fmt: skip
    table = pd.read_csv(folder / "search.csv")
    assert len(table) == 6 and set(table["activation"]) == {"tanh", "relu"}
    assert table["accuracy"].is_monotonic_decreasing
    main(["show", str(folder)])
    told = capsys.readouterr().out
    assert "jnn search iris" in told and "--by random:batch=3" in told
    assert "all 6 settings, the best first" in told and "on rows that the search never saw" in told
    best = json.loads((folder / "found.json").read_text())["setting"]
    assert best["learning_rate"] == pytest.approx(table["learning_rate"][0])


def test_a_narrow_terminal_and_plain_text_lose_no_number(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    main(["show", str(folder)])
    told = capsys.readouterr().out
    table = pd.read_csv(folder / "search.csv")
    assert all(f"learning_rate={value:.4g}" in told for value in table["learning_rate"])


def test_a_search_that_was_stopped_goes_on_and_finds_the_same(folder, capsys):
    killed = folder.parent / "killed"
    main(["show", str(killed)])
    told = capsys.readouterr().out
    assert "unfinished: 3 of 6 settings are saved, in 1 rounds" in told
    assert f"`jnn resume {killed}`" in told
    assert "is not complete" in wrong(["predict", str(killed), "rows.csv"], capsys)
    main(["resume", str(killed)])
    assert "best of 6 settings" in capsys.readouterr().out
    ours, theirs = (
        pd.read_csv(home / "search.csv").drop(columns="seconds") for home in (killed, folder)
    )
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    _assert_same_arrays(killed, folder)
    assert (killed / "found.json").read_bytes() == (folder / "found.json").read_bytes()


def _assert_same_arrays(ours, theirs):
    first, second = (load_file(home / "members.safetensors") for home in (ours, theirs))
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_the_winner_predicts_as_the_network_that_was_found(folder, tmp_path, capsys):
    x = jnn.data.load("iris").x[:7]
    np.save(tmp_path / "rows.npy", x)
    main(["predict", str(folder), str(tmp_path / "rows.npy"), "--out", str(tmp_path / "p.csv")])
    written = pd.read_csv(tmp_path / "p.csv").filter(like="p(").to_numpy()
    best = json.loads((folder / "found.json").read_text())["setting"]
    # The network by hand, from the saved arrays.
    arrays = load_file(folder / "members.safetensors")
    kernels = [np.asarray(a, np.float64) for n, a in sorted(arrays.items()) if "kernel" in n]
    biases = [np.asarray(a, np.float64) for n, a in sorted(arrays.items()) if "bias" in n]
    train, _ = make_search_job(parse(["search", "iris", *QUICK, *SPACE, "--model", "mlp:4"]))
    rows = np.asarray(train.rows.x, np.float64)
    z = (x - rows.mean(axis=0)) / rows.std(axis=0)
    activate = {"tanh": np.tanh, "relu": lambda v: np.maximum(v, 0)}[best["activation"]]
    hidden = activate(z @ kernels[0] + biases[0][:, None])
    logits = hidden @ kernels[1] + biases[1][:, None]
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = (odds / odds.sum(axis=-1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(written, expected, atol=2e-5)
    main(["export", str(folder), "--out", str(tmp_path / "scores.csv")])
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert sorted(set(scores["seed"])) == [1_000_003, 1_000_004]
    assert "holds a run already" in wrong(["search", "iris", "--out", str(folder)], capsys)


WRONG = [
    (["--space"], "--space must name what to search, got nothing"),
    (["--space", "width"], "--space must be name=low:high"),
    (["--space", "width="], "--space must be name=low:high"),
    (["--space", "width=4,4"], "must name each value once"),
    (["--space", "width=4,,8"], "must have a value on both sides of each comma"),
    (["--space", "width=4,large"], "must have either numbers or words"),
    (["--space", "width=4,inf"], "must have finite numbers"),
    (["--space", "width=4:8"], "shapes the program, so it must be a list"),
    (["--space", "width=4.5,8"], "must have whole numbers of at least 1"),
    (["--space", "depth=0,1"], "must have whole numbers of at least 1"),
    (["--space", "width=4", "width=8"], "'width' again"),
    (["--space", "speed=1,2"], "what can be searched with the model mlp:64, which is activation"),
    (["--space", "heads=1,2"], "batch_size, depth, dropout_rate, learning_rate"),
    (["--space", "learning_rate=0.1:0.1"], "must have a lower bound that is below"),
    (["--space", "learning_rate=1:0.1"], "must have a lower bound that is below"),
    (["--space", "learning_rate=log:0:0.1"], "must have bounds above 0 after log"),
    (["--space", "learning_rate=log:0.1"], "--space learning_rate must be name=low:high"),
    (["--space", "learning_rate=low:high"], "must have finite numbers as its bounds"),
    (["--space", "learning_rate=fast,slow"], "must have numbers as its values"),
    (["--space", "learning_rate=-1:1"], "must be at least 0"),
    (["--space", "weight_decay=-1,0"], "must be at least 0"),
    (["--space", "dropout_rate=0:2"], "at most 1"),
    (["--space", "activation=relu,swift"], "--space activation must be among relu, gelu"),
    (["--space", "optimizer=adam,adamax"], "--space optimizer must be among adam"),
    (["--space", "model=mlp:4,tree"], "model must be one of"),
    (["--space", "model=mlp:4", "--model", "mlp:4"], "--model must be left out"),
    (["--space", "batch_size=8", "--batch-size", "8"], "--batch-size must be left out"),
    (["--space", "model=mlp:", "width=4,8"], "give the sizes of its layers"),
    (["--by", "genius"], "--by must be one of bohb, cma_es, "),
    (["--by", "halving:speed=2"], "numbers of the names by, batch, eta, rungs"),
    (["--by", "halving:eta=fast"], "--by must have numbers"),
    (["--by", "halving:eta=1"], "eta must be an integer of at least 2"),
    (["--by", "halving:by=genius"], "--by must be one of bohb, cma_es, "),
    (["--by", "evolution", "--space", "learning_rate=0.1:1"], "Write them as --space"),
    (["--trials", "0"], "--trials must be at least 1, got 0"),
    (["--steps", "0"], "--steps must be a finite number above 0, got 0"),
    (["--steps", "1"], "--steps must allow one setting"),
    (["--seconds", "-1"], "--seconds must be a finite number above 0"),
    (["--seconds", "nan"], "--seconds must be a finite number above 0"),
    (["--folds", "0"], "--folds must be at least 1"),
    (["--seeds", "0"], "--seeds must be at least 1"),
    (["--test", "1"], "--test must be a share of the rows between 0 and 1"),
    (["--test-seeds", "0"], "--test-seeds must be at least 1"),
    (["--seed", "-1"], "--seed must be at least 0"),
    (["--epochs", "0"], "--epochs must be at least 1"),
    (["--metric", "rmse"], "jnn: --metric must be among those for a classification"),
    (["--metric", "parameters"], "--metric must be one of the scores"),
    (["--metric", "accuracy", "speed", "--by", "nsga2"], "--metric must be among those"),
    (["--target", "y"], "--target must be left out"),
]


@pytest.mark.parametrize(("words", "told"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_input_gets_one_sentence_and_leaves_nothing(
    words, told, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert told in wrong(["search", "iris", *words], capsys)
    assert not list(tmp_path.iterdir())


def test_settings_that_all_fail_are_told_in_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0)}).to_csv("t.csv", index=False)
    monkeypatch.setattr("jnn.recipes._optimizers.OPTIMIZERS", {"adam": (_diverging, _diverging)})
    words = ["search", "t.csv", "--target", "y", *QUICK, "--batch-size", "8", "--model", "mlp:"]
    told = wrong([*words, "--space", "learning_rate=1,2", "--trials", "2", "--out", "f"], capsys)
    assert "All 2 settings failed, see f/search.csv" in told
    assert list(pd.read_csv("f/search.csv")["diverged"]) == [2, 2]
    assert "has no winner" in wrong(["export", "f", "--out", "f.stablehlo"], capsys)


def _diverging(hyper):
    return optax.sgd(hyper.learning_rate * jax.numpy.inf)


@pytest.mark.slow
def test_a_search_that_is_killed_anywhere_goes_on_and_finds_the_same(tmp_path):
    words = [sys.executable, "-m", "jnn", "search", "iris", "--epochs", "40", "--folds", "3",
             "--by", "tpe:batch=4", "--trials", "12", "--test-seeds", "2", "--out"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(jnn.__file__).parents[1])}
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    started = time.perf_counter()
    subprocess.run([*words, "whole"], check=True, **options)
    seconds = time.perf_counter() - started
    for share in (0.35, 0.6, 0.85):
        part = subprocess.Popen(
            [*words, "killed"] if share == 0.35 else [*words[:3], "resume", "killed"],
            cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds * share)
        part.send_signal(signal.SIGKILL)
        part.wait()
    subprocess.run([*words[:3], "resume", "killed"], check=True, **options)
    ours, theirs = (
        pd.read_csv(tmp_path / name / "search.csv").drop(columns="seconds")
        for name in ("killed", "whole")
    )
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    _assert_same_arrays(tmp_path / "killed", tmp_path / "whole")
