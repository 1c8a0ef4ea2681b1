"""The reproductions reach a score within seconds; their verdicts are those of a t test."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

import jnn

FOLDER = pathlib.Path(__file__).parents[1] / "examples" / "reproductions"
VECTORS = {"ag_news", "movie_reviews", "mr_word_vectors"}  # read those of wordllama
NEEDS = {  # script -> data sets, joined by spaces, and further arguments of the quick run
    "mnist1d": ("mnist1d", ["logistic", "MLP", "GRU"]),
    "uci_dropout": ("yacht", ["yacht"]),
    "uci_ensembles": ("yacht", ["yacht"]),
    "mnist_cnn": ("mnist", []),
    "mr_textcnn": ("rt_polarity", []),
    "etth1": ("etth1", []),
    "shakespeare": ("tinyshakespeare", []),
    "nasbench201": ("nasbench201", []),
    "zero_cost": ("nasbench201 cifar10", ["synflow", "jacob_cov"]),
    "darts": ("nasbench201 cifar10", []),
    "pbt_toy": ("", []),
    "gan_ring": ("", ["plain", "packed2"]),
    "gan_stacked_mnist": ("mnist", ["plain", "packed2"]),
    "gan_losses": ("fashion_mnist", ["hinge", "non_saturating"]),
    "dehb": ("", []),
    "search_noise": ("iris", []),
    "search_budget": ("concrete", ["concrete"]),
    "../transfer/ag_news": ("ag_news_test", ["words"]),
    "../transfer/movie_reviews": ("rt_polarity", ["words"]),
    "../transfer/mr_word_vectors": ("rt_polarity", ["static"]),
    "../transfer/images": ("mnist optdigits", ["optdigits"]),
}


@pytest.fixture
def record(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import _record

    return _record


def is_published(name):
    """Tell whether the published files are there; a generated stand-in does not count."""
    if name == "nasbench201":
        return (pathlib.Path(os.environ.get("JNN_DATA", "")) / name).is_dir()
    try:
        return "generated" not in jnn.data.load(name).source
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("script", NEEDS)
def test_a_reproduction_reaches_its_quick_score_and_records_it(script, tmp_path):
    data, more = NEEDS[script]
    if pathlib.Path(script).name in VECTORS and importlib.util.find_spec("wordllama") is None:
        pytest.skip("needs the vectors of wordllama, which is not installed")
    for name in data.split():
        if not is_published(name):
            pytest.skip(f"the files of {name} are not in the folder JNN_DATA")
    command = [
        sys.executable,
        str(FOLDER / f"{script}.py"),
        "--quick",
        "--output",
        str(tmp_path / "record.json"),
        *more,
    ]
    environment = {**os.environ, "XLA_FLAGS": ""}  # compiled as for users
    completed = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stderr
    saved = json.loads((tmp_path / "record.json").read_text())
    assert saved["quick"] and saved["rows"] and saved["not_run"] and saved["versions"]["jax"]
    for row in saved["rows"]:
        assert row["name"] in completed.stdout
        assert row["ours"]["mean"] == pytest.approx(np.mean(row["values"]))


@pytest.mark.parametrize("published, verdict", [(0.5, "inside"), (3.0, "outside")])
def test_a_single_published_run_is_inside_where_it_could_be_one_more_of_ours(
    record, published, verdict
):
    values = scipy.stats.norm.ppf((np.arange(20) + 0.5) / 20)  # as normal as 20 values can be
    prediction_error = values.std(ddof=1) * np.sqrt(1 + 1 / 20)
    half = scipy.stats.t.ppf(0.975, 19) * prediction_error
    row = record.Row("x", values, published)
    assert row.margin == pytest.approx(half)
    assert row.verdict == verdict == ("inside" if published <= half else "outside")


def test_a_published_mean_is_judged_by_both_standard_errors(record):
    values = np.array([1.0, 2.0, 3.0, 4.0])
    row = record.Row("x", values, 3.0, error=0.2, rounding=0.05)
    margin = scipy.stats.t.ppf(0.975, 3) * np.sqrt(values.var(ddof=1) / 4 + 0.04) + 0.05
    assert row.margin == pytest.approx(margin)
    assert row.verdict == "inside"


def test_one_run_without_an_interval_gets_no_verdict(record):
    assert record.Row("x", [1.0], 9.0).verdict == "-"
    assert record.Row("x", [1.0, 2.0], 9.0, is_judged=False).verdict == "-"


def test_the_committed_records_are_of_full_runs_and_say_what_was_not_run():
    beside = [FOLDER / f"{script}.py" for script in NEEDS if "transfer" in script]
    records = [path.parent / "results" / f"{path.stem}.json" for path in beside]
    for path in (*(FOLDER / "results").glob("*.json"), *records):
        saved = json.loads(path.read_text())
        assert not saved["quick"], path.name
        assert saved["not_run"] and saved["cpu"] and saved["commit"] and saved["rows"], path.name
