"""Ten tables as people have them, trained by `jnn run` and scored beside scikit-learn's networks.

The truth is scikit-learn's own path: pandas reads the table by hand, a pipeline imputes, scales and
encodes, and its MLP is trained on the same folds.
"""

import io
import os
import pathlib
import tarfile
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import jnn
from jnn.cli import main
from jnn.cli._job import make_job
from jnn.cli._saved_command import read_command

pytestmark = pytest.mark.slow

SEEDS = 5
FOLDS = 5
PUBLISHED = pathlib.Path(os.environ.get("JNN_DATA", "."))


class Wild(NamedTuple):
    """A table: the bytes of its file, the options of `jnn run`, and what a person reads in it.

    Attributes:
        content: The file.
        options: Options of the command.
        features: The features as pandas should hold them; NaN where a value is missing.
        target: The target of each row.
    """

    content: bytes
    options: list[str]
    features: pd.DataFrame
    target: np.ndarray


def published(*names):
    path = PUBLISHED.joinpath(*names)
    if not path.exists():
        pytest.skip(f"{'/'.join(names)} is not in the folder JNN_DATA")
    return path


def no_header():
    """UCI's wine: no header, the class first."""
    path = published("wine", "wine.data")
    frame = pd.read_csv(path, header=None)
    return Wild(path.read_bytes(), ["--no-header", "--target", "0"], frame.loc[:, 1:], frame[0])


def question_marks():
    """UCI's adult: no header, a space after each comma, ? for what is missing."""
    lines = published("adult", "adult.data").read_text().splitlines(keepends=True)[:2000]
    text = "".join(lines)
    frame = pd.read_csv(io.StringIO(text), header=None, skipinitialspace=True, na_values="?")
    options = ["--no-header", "--target", "14", "--missing", "fill"]
    return Wild(text.encode(), options, frame.loc[:, :13], frame[14])


def semicolons_and_quotes():
    """UCI's red wines: semicolons, quoted names."""
    path = published("wine_quality", "winequality-red.csv")
    frame = pd.read_csv(path, sep=";")
    options = ["--target", "quality", "--task", "regression"]
    return Wild(path.read_bytes(), options, frame.drop(columns="quality"), frame["quality"])


def holes():
    """Californian houses: missing rooms, a column of categories, amounts of money."""
    with tarfile.open(published("california_housing", "housing.tgz")) as archive:
        frame = pd.read_csv(archive.extractfile("housing.csv")).iloc[::10]
    target = frame["median_house_value"]
    options = ["--target", "median_house_value", "--missing", "fill"]
    features = frame.drop(columns="median_house_value")
    return Wild(frame.to_csv(index=False).encode(), options, features, target)


def white_space():
    """UCI's yachts: columns parted by spaces, no header."""
    path = published("uci", "yacht", "data.txt")
    frame = pd.read_csv(path, sep=r"\s+", header=None)
    return Wild(path.read_bytes(), ["--no-header", "--target", "6"], frame.loc[:, :5], frame[6])


def large_offsets():
    """Meters that have counted for years: what varies is small beside their readings."""
    frame, target = sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    frame = frame.iloc[:, :10] + 1e9
    table = frame.assign(ill=np.where(target, "no", "yes"))
    content = table.to_csv(index=False, float_format="%.6f").encode()
    return Wild(content, ["--target", "ill"], frame, table["ill"])


def large_target():
    """A target whose readings are 1e9 and a little."""
    frame, target = sklearn.datasets.load_diabetes(return_X_y=True, as_frame=True)
    table = frame.assign(reading=target + 1e9)
    content = table.to_csv(index=False).encode()
    return Wild(content, ["--target", "reading"], frame, table["reading"])


def decimal_commas():
    """A spreadsheet's export: semicolons, decimal commas, Latin-1, an umlaut in a name."""
    frame, target = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
    frame.columns = ["Länge", "Breite", "Länge 2", "Breite 2"]
    table = frame.assign(Art=np.array(["setosa", "versicolor", "virginica"])[target])
    content = table.to_csv(index=False, sep=";", decimal=",").encode("latin-1")
    options = ["--target", "Art", "--decimal", ",", "--encoding", "latin-1"]
    return Wild(content, options, frame, table["Art"])


def mixed_types():
    """Numbers of children up to "3+", a yes-or-no column, and an index that pandas has written."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "children": random.choice(["0", "1", "2", "3+"], 400),
            "income": random.lognormal(10, 0.5, 400).round(2),
            "owner": random.choice([True, False], 400),
        }
    )
    score = (frame["children"] == "3+") * 1.5 + np.log(frame["income"]) + frame["owner"] * 0.5
    target = np.where(score + random.normal(0, 0.5, 400) > score.median(), "A", "B")
    table = frame.assign(band=target)
    options = ["--target", "band", "--category", "children", "--drop", "Unnamed: 0"]
    return Wild(table.to_csv().encode(), options, frame, table["band"])


def dates():
    """A sale a day: the date orders the rows and is no feature."""
    random = np.random.default_rng(0)
    day = pd.date_range("2021-01-01", periods=400)
    frame = pd.DataFrame({"price": random.uniform(1, 5, 400), "ads": random.poisson(4, 400)})
    sold = 100 - 12 * frame["price"] + 4 * frame["ads"] + random.normal(0, 5, 400)
    table = frame.assign(day=day.strftime("%d.%m.%Y"), sold=sold)
    options = ["--target", "sold", "--drop", "day"]
    return Wild(table.to_csv(index=False).encode(), options, frame, table["sold"])


TABLES = (
    no_header,
    question_marks,
    semicolons_and_quotes,
    holes,
    white_space,
    large_offsets,
    large_target,
    decimal_commas,
    mixed_types,
    dates,
)


def score_of_scikit_learn(wild, folds, task):
    """The accuracy or R2 on each fold, the mean over three seeds."""
    texts = make_column_selector(dtype_exclude="number")
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
         make_column_selector(dtype_include="number")),
        (make_pipeline(SimpleImputer(strategy="constant", fill_value="missing"),
                       OneHotEncoder(handle_unknown="ignore")), texts),
    )  # fmt: skip
    features = wild.features.copy()
    features.columns = features.columns.astype(str)
    for name in features.select_dtypes(exclude="number"):
        features[name] = (
            features[name].astype(object).where(features[name].isna(), features[name].astype(str))
        )
    target = np.asarray(wild.target)
    scores = []
    for fold in folds:
        for seed in range(3):
            settings = {"hidden_layer_sizes": (64,), "max_iter": 300, "random_state": seed}
            if task == "classification":
                network = MLPClassifier(**settings)
                center, scale = 0, 1
            else:
                network = MLPRegressor(**settings)
                center, scale = target[fold.train].mean(), target[fold.train].std()
            y = (target - center) / scale if task == "regression" else target.astype(str)
            model = make_pipeline(prepared, network)
            model.fit(features.iloc[fold.train], y[fold.train])
            scores.append(model.score(features.iloc[fold.test], y[fold.test]))
    return np.reshape(scores, (len(folds), 3)).T


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_wild_table_is_learned_as_well_as_by_scikit_learn(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)
    wild = table()
    pathlib.Path("table.csv").write_bytes(wild.content)
    main(
        ["run", "table.csv", *wild.options, "--seeds", str(SEEDS), "--folds", str(FOLDS),
         "--out", "here"]
    )  # fmt: skip
    print(capsys.readouterr().out)
    job = make_job(read_command(pathlib.Path("here")))
    assert job.data.rows == len(wild.target)
    metric = "accuracy" if job.data.task == "classification" else "r2"
    ours = jnn.Result.load("here").best(metric).interval
    folds = job.members.split.rows(job.data)
    train_rows = np.mean([len(fold.train) for fold in folds])
    test_rows = np.mean([len(fold.test) for fold in folds])
    theirs = score_of_scikit_learn(wild, folds, job.data.task)
    reference = jnn.stats.seed_fold_interval(theirs, train_rows, test_rows)
    print(f"{table.__name__}: jnn {ours}; scikit-learn {reference}")
    assert ours.mean > reference.low - 1e-9, (ours, reference)
