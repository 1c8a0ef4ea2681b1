"""Numbers keep their digits: offsets that float32 cannot hold are taken out in float64."""

import dataclasses

import numpy as np
import pytest

import jnn
from jnn.data import Dataset, offset_of, with_offset, without_offset

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).astype(np.float32)
SMALL = np.round(X.astype(np.float64) @ [3.0, 1.0, -2.0], 2)


def study_of(data, **settings):
    about = jnn.recipes.About.from_data(data)
    return jnn.recipes.make_study(about, model="mlp:8", batch_size=10, **settings)


@pytest.mark.parametrize(
    "values",
    [
        1e9 + np.arange(20.0),
        202401150000 + np.arange(0, 2400, 7),  # int64 stamps
        1.7e12 + 1000.0 * np.arange(120),
        123456789.5 + 0.5 * np.arange(1000),
        48.1370001 + 1e-6 * np.arange(50),  # coordinates
        2**60 + np.arange(30),  # beyond what float64 holds
        np.array([1e9, np.nan, 1e9 + 1, 1e9 + 3]),
    ],
    ids=["offset", "stamps", "milliseconds", "meter", "coordinates", "nanoseconds", "a hole"],
)
def test_what_varies_is_kept_to_the_last_digit(values):
    offset = offset_of(values)
    rest = without_offset(values, offset)
    exact = np.array([float(v - values[0]) for v in values.tolist()])  # in Python's own numbers
    np.testing.assert_allclose(
        rest.astype(np.float32).astype(float) - rest[0], exact, rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=1000),
        RANDOM.normal(300, 10, size=1000),
        RANDOM.lognormal(0, 4, size=1000),
        np.append(RANDOM.normal(size=999), 1e12),
        np.full(5, 0.1),
        np.array([0.3, 0.1 + 0.2]),  # float64's own rounding
        np.arange(1000),
        np.zeros(0),
    ],
    ids=["normal", "kelvin", "skewed", "outlier", "constant", "rounding", "counts", "none"],
)
def test_ordinary_numbers_stay_as_they_are(values):
    assert offset_of(values) is None
    if len(values):
        Dataset.from_arrays(values[:, None])


def test_each_column_has_an_offset_of_its_own():
    values = np.stack([np.arange(20.0), 1e9 + np.arange(20.0)], axis=1)
    first, second = offset_of(values)
    assert first == 0 and second == 1e9 + 10


@pytest.mark.parametrize(
    ("row", "shape"), [((), (2, 5)), ((), (2, 5, 1)), ((), (2, 5, 3)), ((2,), (2, 5, 2)),
                       ((2,), (2, 5, 4)), ((2,), (2, 5, 2, 3)), ((4, 2), (2, 5, 4, 2))],
)  # fmt: skip
def test_an_offset_meets_every_form_of_outputs(row, shape):
    offset = np.array([10.0, 20.0]) if row else np.array(10.0)
    got = with_offset(np.zeros(shape), offset, row, axes=2)
    assert got.shape == shape
    expected = np.zeros(shape)
    if not row:
        expected += 10
    elif len(shape) == len(row) + 3:
        expected += np.array([[10.0], [20.0]])
    else:
        expected[..., 0::2] += 10
        expected[..., 1::2] += 20
    np.testing.assert_array_equal(got, expected)


def test_targets_far_from_zero_are_learned_like_those_near_it(tmp_path):
    """Scores are those of the same targets without the offset; predictions have it in float64."""
    near = Dataset.from_arrays(X, SMALL)
    far = Dataset.from_arrays(X, 1e9 + SMALL)
    assert near.target_offset is None and far.target_offset.dtype == np.float64
    study = study_of(near, epochs=3)
    members = jnn.seeds(1) * jnn.folds(2)
    results = [jnn.run(study, data, members) for data in (near, far)]
    scores = [result.final() for result in results]
    for name in ("rmse", "mae", "r2"):
        np.testing.assert_allclose(scores[1][name], scores[0][name], rtol=2e-3)
    plain, shifted = (result.predict(X) for result in results)
    np.testing.assert_allclose(shifted.mean - 1e9, plain.mean, atol=5e-3)
    np.testing.assert_allclose(shifted.members - 1e9, plain.members, atol=5e-3)
    np.testing.assert_allclose(shifted.std, plain.std, atol=5e-3)
    again = jnn.Result.load(results[1].save(tmp_path), study)
    np.testing.assert_array_equal(again.predict(X).mean, shifted.mean)
    np.testing.assert_array_equal(again.outputs(X), shifted.members)
    with pytest.raises(ValueError, match="differ in target_offset"):
        jnn.Result.concat(results, form=["near", "far"])


def test_a_metric_that_changes_with_the_offset_is_refused():
    far = Dataset.from_arrays(X, 1e9 + SMALL)
    study = dataclasses.replace(study_of(far), metrics={"mape": jnn.metrics.mape})
    with pytest.raises(ValueError, match=r"metrics\['mape'\] must not depend on an offset"):
        jnn.run(study, far, jnn.seeds(1))


def test_a_test_set_has_the_offset_of_the_training_set():
    from jnn.engine import fold_data

    data = Dataset.from_arrays(X, 1e9 + SMALL)
    test = Dataset.from_arrays(X[:9], 1e9 + 5 + SMALL[:9])
    arrays = fold_data(study_of(data), data, jnn.seeds(1), test)
    np.testing.assert_allclose(arrays.y + data.target_offset - 1e9,
                               np.append(SMALL, 5 + SMALL[:9]), atol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dataset.from_arrays(1e9 + np.arange(20.0)[:, None]),
        lambda: Dataset.from_arrays(1700000000 + np.arange(20)[:, None], np.arange(20) % 2),
        lambda: Dataset(X.astype(np.float64) + 1e9, None, "unsupervised"),
        lambda: Dataset(X, 1e9 + SMALL, "regression"),
        lambda: jnn.Data.from_arrays(X.astype(np.float64) + 1e9),
        lambda: jnn.Data.from_arrays(X, 1e9 + SMALL),
    ],
)
def test_plain_arrays_that_float32_would_merge_are_refused(make):
    with pytest.raises(ValueError, match=r"must keep what varies in float32, .* Subtract [\d.]+ "):
        make()


def test_a_target_that_only_float64_tells_apart_from_a_constant_is_refused():
    with pytest.raises(ValueError, match="y must vary"):
        Dataset.from_arrays(X[:4], [0.3, 0.1 + 0.2, 0.3, 0.3])
