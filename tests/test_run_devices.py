"""Members on devices: memory, sharing of batches, and members that end early."""

import functools
import math
import re
import types

import jax
import numpy as np
import pytest

import jnn
from jnn.engine import fold_data
from jnn.population import (
    _job,
    _population,
    bytes_needed,
    compile_population,
    is_out_of_memory,
    packed,
)
from jnn.population._job import columns_of
from tests.studies import IRIS, PATIENT, PATIENT_PLAN, PLAIN, WHOLE, study, trained_at_once


def test_the_plan_is_halved_until_memory_suffices(monkeypatch):
    compile_all, plans = _job.compile_population, []

    def small_machine(study, plan, *rest):
        plans.append(plan)
        if plan.size > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")
        return compile_all(study, plan, *rest)

    expected = trained_at_once()
    monkeypatch.setattr(_job, "compile_population", small_machine)
    result = jnn.run(PLAIN, IRIS, jnn.seeds(5), plan=jnn.Plan(1, 1, 8))
    assert [p.width for p in plans][:3] == [8, 4, 2]
    losses = expected.scores["train_loss"]
    np.testing.assert_allclose(result.scores["train_loss"], losses, rtol=1e-4)
    assert not is_out_of_memory(ValueError("shapes"))


def test_what_does_not_fit_into_memory_is_not_begun(monkeypatch):
    sizes = []

    def needed(compiled):
        sizes.append(compiled.layout.plan.size)
        return sizes[-1] * 10

    monkeypatch.setattr(_population, "bytes_needed", needed)
    monkeypatch.setattr(_population, "memory_of", lambda device: 25)
    result = jnn.run(PLAIN, IRIS, jnn.seeds(5), plan=WHOLE)
    assert np.isfinite(result.scores["train_loss"]).all() and sizes == [5, 2, 2, 2]
    monkeypatch.setattr(_population, "memory_of", lambda device: 5)
    with pytest.raises(ValueError, match="GB of memory"):
        jnn.run(PLAIN, IRIS, jnn.seeds(1), plan=jnn.Plan(1, 1, 2))


def test_memory_that_the_file_cache_holds_counts_as_left(monkeypatch):
    from jnn.population._plan import memory_of

    host = types.SimpleNamespace(total=9000, free=10, available=4000, cached=3990)
    monkeypatch.setattr("psutil.virtual_memory", lambda: host)
    (cpu, *_) = jax.devices("cpu")
    assert memory_of(cpu) == 4000 and memory_of(cpu, 4) == 1000


def test_the_memory_of_a_program_grows_with_its_members():
    arrays = fold_data(PLAIN, IRIS, jnn.seeds(1))
    sizes = []
    for width in (2, 5):
        plan = jnn.Plan(1, 1, width)
        columns = columns_of(jnn.seeds(width))
        compiled = compile_population(PLAIN, plan, jax.devices(), columns, arrays)
        sizes.append(bytes_needed(compiled))
    params = 4 * (4 * 8 + 8 + 8 * 3 + 3)
    # Parameters and Adam's two moments of 3 members more.
    assert sizes[1] - sizes[0] > 3 * 3 * params


def test_devices_that_share_a_batch_each_hold_their_part_of_it():
    layers = functools.partial(jnn.models.MLP, 4, (256,), 3)
    made = study(model=layers, batch_size=48, evaluation_batch=8)
    arrays = fold_data(made, IRIS, jnn.seeds(1))
    needed = []
    for plan in (jnn.Plan(1), jnn.Plan(4, split=4)):
        columns = columns_of(jnn.seeds(1))
        compiled = compile_population(made, plan, jax.devices(), columns, arrays)
        needed.append(compiled.memory.temp_size_in_bytes)
        assert plan.size == 1 and ("all-reduce" in compiled.advance.as_text()) == (plan.split > 1)
    hidden = 4 * 256 * 48
    assert needed[0] - needed[1] > hidden / 2  # of which three of four parts lie elsewhere


SPREAD = {
    "ResNet": (functools.partial(jnn.models.ResNet, 3, 3, 8), (8, 8, 3)),
    "LeNet": (functools.partial(jnn.models.LeNet, (8, 8, 1), 3, maps=(4, 8), hidden=8), (8, 8, 1)),
    "ViT": (
        functools.partial(
            jnn.models.ViT, (8, 8, 3), 3, patch=4, layers=1, num_heads=2, features=16
        ),
        (8, 8, 3),
    ),
    "LSTM": (functools.partial(jnn.models.SequenceClassifier, (12, 5), 8, 3), (12, 5)),
}


@pytest.mark.parametrize("name", SPREAD)
def test_devices_that_share_a_batch_send_each_other_sums_only(name):
    model, shape = SPREAD[name]
    made = study(model=model, batch_size=32, inputs=jnn.preprocess.identity)
    data = jnn.Dataset.from_arrays(np.ones((64, *shape)), np.arange(64) % 3)
    columns = columns_of(jnn.seeds(1))
    arrays, plan = fold_data(made, data, jnn.seeds(1)), jnn.Plan(2, split=2)
    text = compile_population(made, plan, jax.devices(), columns, arrays).advance.as_text()
    assert " all-reduce(" in text
    assert not re.findall(r" (all-gather|all-to-all|collective-permute)\(", text)


@pytest.mark.parametrize(
    "plan", [jnn.Plan(1, 5, 1), jnn.Plan(2, 3, 4), jnn.Plan(4, 2, 3, 2), jnn.Plan(1, 1, 8)]
)
def test_members_at_work_are_packed_into_the_fewest_chunks(plan):
    random = np.random.default_rng(0)
    busy = lambda idle: (~idle.reshape(-1, plan.chunks, plan.width).all(axis=2)).sum(axis=1)  # noqa: E731
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        idle = random.random(plan.size) < share
        order, before = packed(idle, plan), busy(idle).max()
        devices = plan.devices // plan.split
        fewest = math.ceil(math.ceil((~idle).sum() / devices) / plan.width)
        if order is None:
            assert before == fewest
        else:
            assert (
                sorted(order) == list(range(plan.size))
                and busy(idle[order]).max() == fewest < before
            )


def test_chunks_of_idle_members_are_passed_over():
    arrays = fold_data(PATIENT, IRIS, jnn.seeds(1))
    idle = np.array([[1, 1, 0, 1, 0, 0], [1, 1, 1, 1, 1, 0]], bool).ravel()  # on two devices
    columns = columns_of(jnn.seeds(12))
    compiled = compile_population(PATIENT, PATIENT_PLAN, jax.devices(), columns, arrays)
    columns, idle = compiled.layout.split((columns, idle))
    arrays = compiled.layout.share(arrays)
    training = compiled.begin(columns, arrays)
    training = compiled.advance(training, idle, arrays, np.int32(0), np.int32(2))
    assert list(training.state.step > 0) == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1]


def test_members_that_have_ended_make_room_and_change_no_bit_of_the_others(monkeypatch):
    orders = []

    def run(pack):
        monkeypatch.setattr("jnn.population._group.packed", pack)
        return jnn.run(PATIENT, IRIS, jnn.seeds(12), plan=PATIENT_PLAN, look_every=0)

    result = run(lambda idle, plan: orders.append(packed(idle, plan)) or orders[-1])
    assert any(order is not None for order in orders)
    expected = run(lambda idle, plan: None)
    assert len(set(expected.scores["best_epoch"].values)) > 1
    for name in expected.scores:
        np.testing.assert_array_equal(result.scores[name], expected.scores[name])
    jax.tree.map(np.testing.assert_array_equal, result.trained, expected.trained)
