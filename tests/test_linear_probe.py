"""Linear probes are the logistic regressions of scikit-learn, for a whole population at once."""

import functools

import numpy as np
import pytest
import scipy.sparse
import scipy.special
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import jnn
from jnn.transfer._sparse import as_rows
from tests.studies import DIABETES, IRIS

RANDOM = np.random.default_rng(0)
WIDE = RANDOM.normal(size=(60, 12)).astype(np.float32) * (RANDOM.random((60, 12)) < 0.3)
LABELS = (WIDE[:, :3] + 0.5 * RANDOM.normal(size=(60, 3))).argmax(axis=1).astype(np.int32)
EXACT = functools.partial(jnn.transfer.linear_probe, tolerance=1e-6)


def few_of(x, y):
    """Thirty rows of a hundred times as many, so that they are gathered."""
    return np.concatenate([x, np.tile(x, (4, 1))]), np.concatenate([y, np.tile(y, 4)])


FORMS = ["many rows", "few rows", "sparse", "few sparse", "standardized", "two classes"]


@pytest.mark.parametrize("form", FORMS)
def test_a_probe_is_the_logistic_regression_of_scikit_learn(form):
    labels = LABELS % 2 if form == "two classes" else LABELS
    x, y = few_of(WIDE, labels) if "few" in form else (WIDE, labels)
    features = as_rows(scipy.sparse.csr_array(x)) if "sparse" in form else x
    data = jnn.Dataset.from_arrays(features, y)
    inputs = jnn.preprocess.standardize if form == "standardized" else jnn.preprocess.identity
    rows = [(np.arange(30), np.arange(30, 60)), (np.arange(20, 50), np.arange(20))]
    members = jnn.folds(rows) * jnn.grid(C=[0.1, 1.0])
    result = jnn.run(EXACT(data, inputs=inputs), data, members)
    for place, (fold, c) in enumerate([(0, 0.1), (0, 1.0), (1, 0.1), (1, 1.0)]):
        train, test = rows[fold]
        scaler = StandardScaler().fit(x[train]) if form == "standardized" else None
        seen = x if scaler is None else scaler.transform(x)
        theirs = LogisticRegression(C=c, tol=1e-7, max_iter=1000).fit(seen[train], y[train])
        ours = result.member(place)
        kernel, bias = (np.asarray(ours.trained.params[k][0]) for k in ("kernel", "bias"))
        # The bias of all classes together has no effect, and no penalty.
        if form == "two classes":
            kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
        np.testing.assert_allclose(kernel.T, theirs.coef_, rtol=2e-3, atol=1e-3)
        difference = bias - theirs.intercept_
        np.testing.assert_allclose(difference, difference.mean(), atol=1e-3)
        assert ours.final()["accuracy"].item() == pytest.approx(theirs.score(seen[test], y[test]))
        part = {k: v[test] for k, v in features.items()} if "sparse" in form else features[test]
        probabilities = ours.predict(part).mean
        np.testing.assert_allclose(probabilities, theirs.predict_proba(seen[test]), atol=1e-3)


def test_numbers_of_labels_in_groups_are_in_the_order_of_the_members():
    x, y = few_of(IRIS.x, IRIS.y)
    data = jnn.Dataset.from_arrays(x, y)
    both = jnn.transfer.run(lambda x: x, data, EXACT, jnn.folds(2), labels=[300, 6])
    for labels in (300, 6):
        alone = jnn.transfer.run(lambda x: x, data, EXACT, jnn.folds(2), labels=[labels])
        np.testing.assert_allclose(
            both.results["features"].select(labels=labels).trained.params["kernel"],
            alone.results["features"].trained.params["kernel"],
            atol=2e-3,
        )
    assert [int(n) for n in both.result.members.columns()["labels"]] == [300, 6, 300, 6]


def test_row_weights_and_ignored_rows_count_as_in_scikit_learn():
    weights = np.linspace(0, 2, len(LABELS)).astype(np.float32)
    data = jnn.Dataset.from_arrays(WIDE, LABELS, weights=weights)
    result = jnn.run(EXACT(data), data, jnn.folds([(np.arange(30), np.arange(30, 60))]))
    scaled = weights / weights.mean()
    theirs = LogisticRegression(tol=1e-7, max_iter=1000).fit(
        WIDE[:30], LABELS[:30], sample_weight=scaled[:30]
    )
    np.testing.assert_allclose(
        np.asarray(result.trained.params["kernel"][0]).T, theirs.coef_, rtol=2e-3, atol=1e-3
    )


def test_features_that_are_not_scaled_are_solved_to_the_tolerance_all_the_same(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # compiled as for users: level 0 rounds more
    base = RANDOM.normal(size=(200, 80))
    x = (30 * np.maximum(base + RANDOM.normal(size=80), 0)).astype(np.float32)
    y = (base @ RANDOM.normal(size=(80, 10))).argmax(axis=1).astype(np.int32)
    data = jnn.Dataset.from_arrays(x, y)
    result = jnn.run(jnn.transfer.linear_probe(data), data)
    kernel, bias = (np.asarray(result.trained.params[k][0], float) for k in ("kernel", "bias"))
    probabilities = scipy.special.softmax(x @ kernel + bias, axis=1)
    slope = x.T @ (probabilities - np.eye(10)[y]) + kernel
    assert np.abs(slope).max() / 200 < 3e-4  # the tolerance, and the rounding of float32


def test_data_sets_of_one_form_share_the_study_and_so_its_program():
    other = jnn.Dataset.from_arrays(IRIS.x[::-1], IRIS.y)
    assert jnn.transfer.linear_probe(IRIS) is jnn.transfer.linear_probe(other)
    assert jnn.transfer.linear_probe(IRIS) is not jnn.transfer.linear_probe(IRIS, C=2.0)


def test_what_a_probe_cannot_do_is_one_sentence():
    with pytest.raises(ValueError, match="linear_probe needs a classification"):
        jnn.transfer.linear_probe(DIABETES)
    for wrong in ({"C": 0.0}, {"C": "1"}, {"tolerance": -1}, {"iterations": 2.5}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            jnn.transfer.linear_probe(IRIS, **wrong)
    with pytest.raises(TypeError, match="metrics must be a dict of metrics by name"):
        jnn.transfer.linear_probe(IRIS, metrics=[jnn.metrics.accuracy])
    with pytest.raises(ValueError, match="reads the number C of its members, got"):
        jnn.run(EXACT(IRIS), IRIS, jnn.folds(2) * jnn.grid(rate=[1.0]))
