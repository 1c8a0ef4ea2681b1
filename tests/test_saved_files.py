"""Saved results, checkpoints and trees are what they were, or are refused in one sentence."""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import jnn
from jnn.result import Schema
from jnn.storage import FormError, atomic_path, check_form, load_nested, write_record
from tests import fuzz_saved_files as fuzz
from tests.studies import IRIS, QUICK, study


@pytest.fixture
def saved(tmp_path):
    """A copy of a saved result that may be changed."""
    return shutil.copytree(fuzz.originals()["complete"], tmp_path / "saved")


def refused(folder, *words, made=None):
    """Load a result that must be refused, in one line with these words."""
    with pytest.raises(ValueError) as error:
        jnn.Result.load(folder, made)
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


@pytest.mark.parametrize("kind", ["complete", "unfinished", "bare", "old"])
def test_no_random_change_of_a_file_gives_a_traceback_or_another_result(kind):
    outcomes = [fuzz.outcome(kind, seed) for seed in range(25)]
    assert "refused" in outcomes
    if kind in ("complete", "unfinished"):  # the others have no digests
        assert "changed" not in outcomes


def test_the_digests_in_a_result_are_those_of_its_files(saved):
    record = json.loads((saved / "result.json").read_text())
    scores = hashlib.sha256((saved / "scores.nc").read_bytes()).hexdigest()
    assert record["digests"]["scores.nc"] == scores
    own = record.pop("sha256")
    assert own == hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    assert record["versions"]["jnn"] == record["jnn"] == jnn.__version__


def test_files_of_another_run_are_refused(saved):
    other = fuzz.originals()["other"]
    shutil.copy(other / "members.safetensors", saved)
    refused(saved, "members.safetensors is damaged", "jnn resume", made=fuzz.MADE)
    refused(saved, "members.safetensors is damaged")
    shutil.copy(other / "scores.nc", saved)
    refused(saved, "scores.nc is damaged", "delete", "result.json")


def test_a_seed_less_in_the_record_is_refused_also_without_digests(saved):
    fuzz._strip(saved / "result.json")
    record = json.loads((saved / "result.json").read_text())
    record["members"]["axes"]["seed"]["seed"].pop()
    (saved / "result.json").write_text(json.dumps(record))
    refused(saved, "each of the 4 members once")
    for part in record["parts"]:
        part["places"] = list(range(4))
    (saved / "result.json").write_text(json.dumps(record))
    refused(saved, "1 entries of seed, but scores.nc has 2")


EDITS = [
    (lambda r: r.clear(), "lacks members, timing"),
    (lambda r: r["members"].pop("axes"), "members lacks axes"),
    (lambda r: r["members"]["split"].update(kind="a"), "members.split has the unknown entry kind"),
    (lambda r: r["members"]["axes"]["seed"].update(seed=[]), "members.axes.seed.seed must hold"),
    (lambda r: r["members"]["axes"]["learning_rate"].update(learning_rate=[0.1, "a"]), "numbers"),
    (lambda r: r["members"]["axes"]["learning_rate"].update(learning_rate=None), "must be a list"),
    (lambda r: r.update(timing={"run": "a"}), "timing.run must be a number, got 'a'"),
    (lambda r: r["schema"].update(classes=None), "schema.classes must be a whole number, got null"),
    (lambda r: r["parts"][0].pop("places"), "parts[0] lacks places"),
]


@pytest.mark.parametrize(("edit", "words"), EDITS, ids=[words for _, words in EDITS])
def test_an_edited_record_is_named_with_field_and_value(saved, edit, words):
    fuzz._strip(saved / "result.json")
    record = json.loads((saved / "result.json").read_text())
    edit(record)
    (saved / "result.json").write_text(json.dumps(record))
    refused(saved, "result.json is damaged", words)


def test_a_record_of_a_newer_version_says_so(saved):
    fuzz._strip(saved / "result.json")
    record = json.loads((saved / "result.json").read_text())
    record["members"]["split"]["kind"] = "new"
    (saved / "result.json").write_text(json.dumps({**record, "jnn": "99.1"}))
    refused(saved, "was written by jnn 99.1", f"this is jnn {jnn.__version__}", "Update")


def test_a_missing_file_is_called_missing(saved):
    (saved / "members.safetensors").unlink()
    refused(saved, "members.safetensors is missing", "`jnn resume", made=fuzz.MADE)
    (saved / "scores.nc").unlink()
    refused(saved, "scores.nc is missing")


def test_what_the_sentence_for_damage_advises_helps(tmp_path):
    made = jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    with (tmp_path / "scores.nc").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"or delete .*result\.json and call the same jnn\.run"):
        jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    (tmp_path / "result.json").unlink()
    again = jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    assert again.scores.identical(made.scores)


def test_a_finished_directory_gives_its_result_without_training(tmp_path):
    made = jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    before = (tmp_path / "scores.nc").stat().st_mtime_ns
    told = []
    again = jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path, progress=told.append)
    assert not told and (tmp_path / "scores.nc").stat().st_mtime_ns == before
    assert again.scores.identical(made.scores) and again.study is QUICK
    np.testing.assert_array_equal(again.outputs(IRIS.x[:4]), made.outputs(IRIS.x[:4]))


class Relu(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(4)(x)))


class Tanh(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(jnp.tanh(nn.Dense(4)(x)))


class Renamed(nn.Module):
    """The same network as Relu."""

    @nn.compact
    def __call__(self, x):
        def hidden_layer(x):
            return nn.relu(nn.Dense(4, name="Dense_1")(x))

        return nn.Dense(3, name="Dense_0")(hidden_layer(x))


def test_a_network_of_the_same_shapes_that_computes_something_else_is_refused(tmp_path):
    result = jnn.run(study(model=Relu(), epochs=1), IRIS, jnn.seeds(1))
    result.save(tmp_path)
    again = jnn.Result.load(tmp_path, study(model=Renamed(), epochs=1))
    np.testing.assert_array_equal(again.outputs(IRIS.x[:3]), result.outputs(IRIS.x[:3]))
    refused(tmp_path, "network Relu of the result", made=study(model=Tanh(), epochs=1))


def test_names_with_slashes_are_told_apart_in_a_file(tmp_path):
    tree = {"a": {"kernel": np.ones(2), "%2F": np.zeros(1)}, "a/kernel": np.full(3, 2.0)}
    jnn.save(tmp_path / "tree", tree)
    again = jnn.load(tmp_path / "tree", tree)
    np.testing.assert_array_equal(again["a"]["kernel"], [1, 1])
    np.testing.assert_array_equal(again["a/kernel"], [2, 2, 2])
    assert load_nested(tmp_path / "tree").keys() == tree.keys()
    jnn.save(tmp_path / "plain", {"a/b": np.ones(2)})  # as before, where no two are mixed up
    assert load_file(tmp_path / "plain").keys() == {"a/b"}


def test_a_network_with_a_slash_in_a_name_is_saved_and_loaded(tmp_path):
    class Slash(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3, name="a")(x) + self.param("a/kernel", nn.initializers.ones, (3,))

    made = study(model=Slash(), epochs=1)
    result = jnn.run(made, IRIS, jnn.seeds(1), directory=tmp_path)
    again = jnn.Result.load(tmp_path, made)
    np.testing.assert_array_equal(again.outputs(IRIS.x[:3]), result.outputs(IRIS.x[:3]))


def test_a_tree_without_a_digest_is_read_as_before(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "old", {"notes": "{}"})
    np.testing.assert_array_equal(jnn.load(tmp_path / "old", {"a": np.ones(2)})["a"], [1, 1])


def test_an_nnx_state_is_saved_by_the_names_of_all_trees_and_read_by_those_of_0_4(tmp_path):
    state = nnx.state(nnx.Linear(2, 1, rngs=nnx.Rngs(0)))
    jnn.save(tmp_path / "state", {"layer": state})
    saved = load_file(tmp_path / "state")
    assert set(saved) == {"layer/kernel", "layer/bias"}
    save_file({f"{name}/value": array for name, array in saved.items()}, tmp_path / "old")
    for name in ("state", "old"):
        again = jnn.load(tmp_path / name, {"layer": state})["layer"]
        assert isinstance(again["kernel"], nnx.Param)
        np.testing.assert_array_equal(again["kernel"][...], state["kernel"][...])


def test_a_home_is_meant_by_a_tilde_at_every_entrance(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    made = jnn.run(QUICK, IRIS, jnn.seeds(1), directory="~/run")
    made.save("~/again")
    jnn.save("~/tree", {"a": np.ones(1)})
    jnn.load("~/tree", {"a": np.ones(1)})
    made.export("~/program")
    assert jnn.Result.load("~/again").scores.identical(jnn.Result.load("~/run").scores)
    names = {path.name for path in (tmp_path / "home").iterdir()}
    assert names == {"run", "again", "tree", "program"} and not (tmp_path / "~").exists()


def test_files_have_the_mode_of_other_files_and_keep_their_own(tmp_path):
    former = os.umask(0o027)
    try:
        jnn.save(tmp_path / "tree", {"a": np.ones(1)})
        assert stat.S_IMODE((tmp_path / "tree").stat().st_mode) == 0o640
        (tmp_path / "tree").chmod(0o600)
        jnn.save(tmp_path / "tree", {"a": np.ones(1)})
        assert stat.S_IMODE((tmp_path / "tree").stat().st_mode) == 0o600
    finally:
        os.umask(former)


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with atomic_path(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with atomic_path(tmp_path / "pipe") as place:
        assert place == tmp_path / "pipe"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with atomic_path(tmp_path / "out") as first:
        first.write_text("first")
        with atomic_path(tmp_path / "out") as second:
            second.write_text("second")
        assert (tmp_path / "out").read_text() == "second"
    assert (tmp_path / "out").read_text() == "first" and len([*tmp_path.iterdir()]) == 1


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path):
    path = tmp_path / ("ä" * 120 + ".txt")
    with atomic_path(path) as partial:
        partial.write_text("x")
    assert path.read_text() == "x"


def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.numpy.save_file", full)
        with pytest.raises(OSError, match=r"safetensors cannot be written: .*No space left"):
            jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    made = jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xarray.Dataset.to_netcdf", full_disk)
        with pytest.raises(OSError, match="No space left"):
            made.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(ValueError, match=r"directory must be a folder, but .*file is a file"):
            jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path / place)


def test_a_form_is_checked_by_its_hints():
    check_form({"a": [1, 2.5], "b": None}, dict[str, list[float] | None])
    for value, form, words in (
        ({"a": ["x"]}, dict[str, list[float]], "a[0] must be a number, got 'x'"),
        ([1], tuple[int, int], "must be a list of 2"),
        (True, int, "must be a whole number, got True"),
        (3, str | None, "must be text or null, got 3"),
    ):
        with pytest.raises(FormError, match=re.escape(words)):
            check_form(value, form)


def test_fields_that_a_former_version_did_not_write_have_their_defaults():
    schema = Schema.of_data(IRIS, IRIS)
    fields = schema.to_json()
    del fields["shared_digest"], fields["plan"]
    assert Schema.from_json(fields) == schema
    assert dataclasses.fields(Schema)[0].name == "data"


def test_a_record_is_the_same_after_writing_whatever_numbers_it_holds(tmp_path):
    from jnn.storage import read_record

    content = {"a": float("nan"), "b": [1e-320, -0.0, 2**70], "c": {1: "ü\udcff"}}
    write_record(tmp_path / "r.json", content)
    again = read_record(tmp_path / "r.json", dict)
    assert again["b"] == content["b"] and again["c"] == {"1": "ü\udcff"}
    text = pathlib.Path(tmp_path / "r.json").read_text()
    (tmp_path / "r.json").write_text(text.replace("1e-320", "2e-320"))
    with pytest.raises(ValueError, match="was changed after"):
        read_record(tmp_path / "r.json", dict)


def test_a_result_that_version_0_2_saved_predicts_the_same():
    folder = pathlib.Path(__file__).parent / "fixtures" / "results_0_2" / "iris"
    made = jnn.Study(
        functools.partial(jnn.models.MLP, 4, (3,), 3),
        jnn.losses.softmax_cross_entropy,
        lambda h: optax.adam(h.learning_rate),
        metrics={"accuracy in %": jnn.metrics.accuracy},
        hyper={"learning_rate": 0.01},
        epochs=2,
        batch_size=8,
        inputs=jnn.preprocess.standardize,
    )
    result = jnn.Result.load(folder, made)
    mean = np.load(folder / "mean.npy")
    np.testing.assert_allclose(result.predict(IRIS.x[:5]).mean, mean, rtol=1e-5)
    assert "2 seeds x 2 folds" in str(result.summary())
