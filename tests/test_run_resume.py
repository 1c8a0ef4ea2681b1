"""Runs that are killed go on where they were, and no other run takes their place."""

import functools
import itertools
import os
import pathlib
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn.engine import fold_data
from jnn.population import (
    Keeper,
)
from jnn.population._job import columns_of, prepare, text_of
from jnn.storage import notes
from tests.studies import IRIS, PATIENT, PATIENT_PLAN, QUICK, study

DROPOUT = study(epochs=4, model=functools.partial(jnn.models.MLP, 4, (8,), 3, dropout_rate=0.2))
PARTS = jnn.Plan(1, 1, 2)  # two parts of DROPOUT's four members, one after the other


@functools.cache
def undisturbed():
    """The result of a run that nothing has stopped."""
    return jnn.run(DROPOUT, IRIS, jnn.seeds(4), plan=PARTS)


ALWAYS = {"save_every": 0, "look_every": 0}  # a run saves its state after each epoch


def assert_same_bits(result, expected):
    for name in expected.scores:
        np.testing.assert_array_equal(result.scores[name], expected.scores[name])
    jax.tree.map(np.testing.assert_array_equal, result.trained, expected.trained)


def test_a_killed_run_finds_its_members_where_they_lay(tmp_path):
    members = jnn.seeds(12)
    expected = jnn.run(PATIENT, IRIS, members, plan=PATIENT_PLAN)
    path = tmp_path / "unfinished" / "0-12.safetensors"

    def die(status):
        if path.exists() and notes(path)["order"] != list(range(12)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(
            PATIENT, IRIS, members, plan=PATIENT_PLAN, directory=tmp_path, progress=die, **ALWAYS
        )
    assert_same_bits(jnn.run(PATIENT, IRIS, members, directory=tmp_path), expected)


def test_an_unfinished_run_goes_on_with_the_same_bits(tmp_path):
    expected = undisturbed()

    def die(status):
        if status.stage == "training" and status.done > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnn.run(DROPOUT, IRIS, jnn.seeds(4), plan=PARTS, directory=tmp_path, progress=die, **ALWAYS)
    assert any((tmp_path / "unfinished").glob("*.safetensors"))
    statuses = []
    result = jnn.run(
        DROPOUT, IRIS, jnn.seeds(4), directory=tmp_path, progress=statuses.append, **ALWAYS
    )
    assert statuses[0].plan == PARTS
    assert next(s.done for s in statuses if s.stage == "training") > 0.6
    assert_same_bits(result, expected)
    assert not (tmp_path / "unfinished").exists() and (tmp_path / "result.json").exists()


def train(folder, is_killed):
    """Train in a process of its own, which is killed while it saves its state for the 7th time."""
    if is_killed:
        die_before_the_seventh_file()

    def tell(status):
        if status.stage == "training":
            print(status.done)

    jnn.run(DROPOUT, IRIS, jnn.seeds(4), plan=PARTS, directory=folder, progress=tell, **ALWAYS)


def die_before_the_seventh_file():
    replace, saved = pathlib.Path.replace, itertools.count(1)

    def replace_or_die(path, target):
        if path.name.endswith(".safetensors.partial") and next(saved) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    pathlib.Path.replace = replace_or_die


def test_a_killed_process_loses_nothing(tmp_path):
    def run(is_killed):
        return subprocess.run(
            [sys.executable, "-c", f"{code}; train({str(tmp_path)!r}, {is_killed})"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )

    code = f"from {__name__} import train"
    assert run(is_killed=True).returncode == -signal.SIGKILL
    assert list((tmp_path / "unfinished").glob("*.safetensors.partial"))
    assert not (tmp_path / "result.json").exists()
    again = run(is_killed=False)
    assert again.returncode == 0 and min(map(float, again.stdout.split())) > 0.8
    assert_same_bits(jnn.Result.load(tmp_path, DROPOUT), undisturbed())


def test_parts_that_were_kept_in_other_layouts_are_found_again(tmp_path):
    columns, arrays = {"seed": np.zeros(6, np.int32)}, fold_data(study(), IRIS, jnn.seeds(1))
    keeper = Keeper(tmp_path, "program", columns, arrays)
    for start, width in ((0, 4), (4, 2)):  # memory ran out after the first part
        keeper.save(
            start, jnn.Plan(1, 1, width), 3, np.arange(width), {"a": np.ones(width)}, last=True
        )
    assert [keeper.plan(start, 1) for start in (0, 4)] == [jnn.Plan(1, 1, 4), jnn.Plan(1, 1, 2)]
    assert keeper.plan(6, 1) is None


def keeper_of(folder, program="program"):
    return Keeper(
        folder, program, {"seed": np.zeros(2, np.int32)}, fold_data(study(), IRIS, jnn.seeds(1))
    )


def test_a_part_that_another_run_left_behind_is_not_taken_for_ones_own(tmp_path):
    plan, state = jnn.Plan(1, 1, 2), {"a": np.ones(2)}
    first = keeper_of(tmp_path)
    first.save(0, plan, 3, np.arange(2), state, last=True)
    assert first.load(0, plan, state)[0] == 3
    first.close()
    (tmp_path / "unfinished" / "run.json").unlink()  # as by a kill while it was cleared
    assert keeper_of(tmp_path, "another").load(0, plan, state) is None


def test_what_was_kept_is_removed_under_the_lock_parts_first(tmp_path, monkeypatch):
    keeper, removed, unlink = keeper_of(tmp_path), [], pathlib.Path.unlink
    keeper.save(0, jnn.Plan(1, 1, 2), 3, np.arange(2), {"a": np.ones(2)}, last=True)

    def watched(path, **options):
        removed.append((path.name, keeper.lock.is_locked))
        unlink(path, **options)

    monkeypatch.setattr(pathlib.Path, "unlink", watched)
    keeper.clear()
    assert removed == [("0-2.safetensors", True), ("run.json", True), ("lock", False)]
    assert not (tmp_path / "unfinished").exists()


def program_of(made):
    """The text by which a run knows its program again."""
    job, _ = prepare(made, IRIS, jnn.seeds(1), test=None, plan=None, devices=None)
    return text_of(job, columns_of(jnn.seeds(1)))


def test_a_constant_inside_a_jitted_loss_makes_another_run():
    def text(last):
        weights = jnp.asarray([1.0, 1.0, last])
        loss = jax.jit(lambda o, y: jnn.losses.softmax_cross_entropy(o, y, class_weights=weights))
        return program_of(study(loss=loss))

    assert text(1.0) == text(1.0) != text(9.0)


def test_a_folder_with_another_run_is_refused(tmp_path):
    def other_loss(outputs, labels):
        return 2 * jnn.losses.softmax_cross_entropy(outputs, labels)

    keeper_of(tmp_path, program_of(study())).close()
    keeper_of(tmp_path, program_of(study())).close()
    for other in (
        study(epochs=9),
        study(loss=other_loss),
        study(optimizer=lambda h: optax.sgd(h.learning_rate)),
    ):
        with pytest.raises(ValueError, match="another study, other members or other data"):
            keeper_of(tmp_path, program_of(other))


def test_a_directory_keeps_the_result_of_another_run(tmp_path):
    jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)
    before = (tmp_path / "scores.nc").read_bytes()
    with pytest.raises(ValueError, match="holds the result of another study"):
        jnn.run(QUICK, IRIS, jnn.seeds(1, first=7), directory=tmp_path)
    assert (tmp_path / "scores.nc").read_bytes() == before and not (
        tmp_path / "unfinished"
    ).exists()
    jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path)


def test_a_directory_serves_one_run_at_a_time(tmp_path):
    def run(**options):
        return jnn.run(QUICK, IRIS, jnn.seeds(1), directory=tmp_path, **options)

    def run_beside(status):
        with pytest.raises(ValueError, match="Another run trains in"):
            run()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=run_beside)
    run()  # nobody is there any more
