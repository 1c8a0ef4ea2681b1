"""What a run writes down: files that are read again, and the record of a study."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from tests.studies import IRIS, QUICK, study


def test_a_damaged_file_is_named(tmp_path):
    jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    for name in ("result.json", "scores.nc", "members.safetensors"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            jnn.Result.load(tmp_path, QUICK)
        (tmp_path / name).write_bytes(whole)
    with pytest.raises(
        ValueError, match=r"params/hidden/0/bias must have shape \(16,\), got \(8,\)"
    ):
        jnn.Result.load(tmp_path, study(model=functools.partial(jnn.models.MLP, 4, (16,), 3)))


def test_the_record_of_a_study_names_what_it_is_made_of():
    loss = functools.partial(jnn.losses.softmax_cross_entropy, label_smoothing=0.1)
    told = study(
        loss=loss, optimizer=optax.sgd(0.1), metrics={"top": jnn.metrics.top_k(2)}
    ).describe()
    assert (told["inputs"], told["targets"], told["loss"]) == (
        "standardize",
        "identity",
        "softmax_cross_entropy",
    )
    assert told["penalty"] == "none" and "0x" not in str(told)


def test_numbers_of_numpy_are_kept(tmp_path):
    jnn.run(QUICK, IRIS, jnn.seeds(1)).save(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["parts"][0]["study"]["hyper"] == {
        "learning_rate": pytest.approx(0.01)
    }


def test_the_notes_of_a_checkpoint_are_readable(tmp_path):
    jnn.storage.save(tmp_path / "a.safetensors", {"w": np.ones(2)}, epoch=3)
    assert jnn.storage.notes(tmp_path / "a.safetensors") == {"epoch": 3}
    assert jnn.storage.load_nested(tmp_path / "a.safetensors")["w"].tolist() == [1, 1]


def test_a_state_comes_back_from_its_file_with_its_scalars(tmp_path):
    params, key = {"w": jnp.ones((2, 3))}, jax.random.key(3)
    trained = jnn.Trained(params, {}, (), {"rate": jnp.float32(0.5)})
    opt_state = optax.adam(0.1).init(params)
    state = jnn.State(trained, opt_state, jnp.int32(0), key, jnp.int32(7))
    jnn.save(tmp_path / "a", state)
    again = jnn.load(tmp_path / "a", state)
    assert [a.shape for a in jax.tree.leaves(again)] == [a.shape for a in jax.tree.leaves(state)]
    assert (again.step, again.key) == (7, key)
    for found, like in (
        (np.ones((3, 5)), np.ones(3)),
        (np.ones(1), np.ones(())),
        (np.ones((2, 2), np.uint32), key),
    ):
        jnn.save(tmp_path / "b", {"a": found})
        with pytest.raises(ValueError, match="a must have shape"):
            jnn.load(tmp_path / "b", {"a": like})
