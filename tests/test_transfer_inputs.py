"""What `jnn.transfer.run` takes from a trunk, and what it refuses."""

import dataclasses
import functools
import os

import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from tests.studies import DIABETES, IRIS


@pytest.fixture(scope="module")
def curve():
    trunks = {"sepal": lambda x: x[:, :2], "petal": lambda x: x[:, 2:]}
    return jnn.transfer.run(trunks, IRIS, members=jnn.folds(2), labels=[12])


def test_a_setting_of_a_trunk_is_checked():
    with pytest.raises(ValueError, match="batch must be a positive integer, got 0"):
        jnn.transfer.trunk(lambda x: x, batch=0)
    with pytest.raises(TypeError, match="cut must be the name of a layer"):
        jnn.transfer.trunk(functools.partial(jnn.models.MLP, 4, (2,), 3), {}, cut=3)


def test_a_task_without_classes_is_refused_before_the_trunk_runs():
    with pytest.raises(ValueError, match="linear_probe needs a classification"):
        jnn.transfer.run(lambda x: pytest.fail("the trunk ran"), DIABETES, labels=[16])


def test_predictions_need_rows(curve):
    with pytest.raises(ValueError, match="rows must have at least one row, got none"):
        curve.predict(IRIS.x[:0], "petal")
    with pytest.raises(TypeError, match="rows must be a list of texts or an array of rows"):
        curve.predict("one text", "petal")


def test_a_name_that_a_curve_lacks_is_told(curve):
    with pytest.raises(ValueError, match="There are several representations"):
        curve.predict(IRIS.x[:2])
    with pytest.raises(ValueError, match=r"metric must be one of the metrics \['accuracy'\]"):
        curve.plot("loss")


def test_a_file_of_features_that_was_changed_is_refused(tmp_path):
    features_of = functools.partial(
        jnn.transfer._features.features_of, jnn.transfer.trunk(lambda x: x), IRIS, "x", tmp_path
    )
    features_of()
    (path,) = tmp_path.rglob("*.safetensors")
    for tree, fault in (({"features": IRIS.x[:3]}, "has features of"), ({"x": IRIS.x}, "holds no")):
        jnn.storage.save(path, tree)
        with pytest.raises(ValueError, match=f"is damaged .it {fault}"):
            features_of()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged"):
        features_of()
    path.unlink()
    other, old = (path.with_name(f"{digit * 8}.rows.partial") for digit in "ab")
    for one in (other, old):
        one.touch()
    os.utime(old, (0, 0))
    features_of()
    assert other.exists() and not old.exists()  # another process may write it just now


def test_the_default_splits_keep_groups_together():
    groups = np.arange(IRIS.rows) // 5
    members = jnn.transfer._run._default_members(dataclasses.replace(IRIS, groups=groups))
    data = dataclasses.replace(IRIS, groups=groups)
    for fold in members.split.rows(data):
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_lists_of_numbers_are_features():
    trunk = jnn.transfer.trunk(lambda x: x.tolist())
    features = jnn.transfer._features.features_of(trunk, IRIS, "lists", None)
    np.testing.assert_array_equal(features, IRIS.x)


def test_floats_of_any_width_become_those_of_32_bits():
    for form in (np.float16, np.float64, jnp.bfloat16):
        trunk = jnn.transfer.trunk(lambda x, form=form: x.astype(form))
        features = jnn.transfer._features.features_of(trunk, IRIS, "half", None)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, IRIS.x, rtol=1e-2)


@pytest.mark.peers
def test_tensors_of_torch_are_features():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(4, 3)
    for dtype in (torch.float32, torch.bfloat16):
        trunk = jnn.transfer.trunk(
            lambda x, dtype=dtype: linear(torch.tensor(np.asarray(x))).to(dtype)
        )
        features = jnn.transfer._features.features_of(trunk, IRIS, "torch", None)
        theirs = linear(torch.tensor(IRIS.x)).detach().numpy()
        np.testing.assert_allclose(features, theirs, rtol=2e-2, atol=2e-2)
