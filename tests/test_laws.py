"""The laws: a member is the same training alone, in any company and on any layout."""

import functools

import jax
import numpy as np
import optax
import pytest

import jnn
from tests.networks import Nnx

IRIS = jnn.data.load("iris")
DIGITS = jnn.data.load("digits").take(slice(0, 240))
IMAGES = jnn.Dataset.from_arrays(DIGITS.x.reshape(-1, 8, 8, 1), DIGITS.y)
MODELS = {
    "mlp with dropout": (functools.partial(jnn.models.MLP, 4, (8,), 3, dropout_rate=0.3), IRIS),
    "batch norm and dropout": (functools.partial(Nnx, 4), IRIS),
    "lenet with batch norm": (
        functools.partial(jnn.models.LeNet, (8, 8, 1), 10, maps=(3, 4), hidden=8, batch_norm=True),
        IMAGES,
    ),
}
MEMBERS = jnn.seeds(4) * jnn.folds(2) * jnn.grid(learning_rate=[0.01, 0.1])


@functools.cache
def study_of(name):
    return jnn.Study(
        model=MODELS[name][0],
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.sgd(
            h.learning_rate, momentum=0.9
        ),  # Adam turns rounding of a zero gradient into steps
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=2,
        batch_size=16,
        hyper={"learning_rate": 0.05},
    )


@functools.cache
def together(name, plan=None):
    return jnn.run(study_of(name), MODELS[name][1], MEMBERS, plan=plan)


def assert_same_member(one, many, index, *, exact=False):
    """`one` is a result of one member, which is number `index` of `many`."""
    alone, member = one.trained, many.member(index).trained
    compare = (
        np.testing.assert_array_equal
        if exact
        else functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-5)
    )
    jax.tree.map(compare, alone.params, member.params)
    compare(
        one.scores["train_loss"].values.ravel(),
        many.member(index).scores["train_loss"].values.ravel(),
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("index", [0, 13])
def test_a_member_equals_its_solo_run(name, index):
    alone = jnn.run(study_of(name), MODELS[name][1], MEMBERS[index], plan=jnn.Plan(1, 1, 1))
    assert_same_member(alone, together(name), index)


LAYOUTS = [
    ("mlp with dropout", (1, 1, 32)),
    ("mlp with dropout", (1, 3, 7)),
    ("mlp with dropout", (4, 1, 4)),
    ("batch norm and dropout", (1, 16, 1)),
    ("batch norm and dropout", (2, 1, 8)),
    ("lenet with batch norm", (1, 1, 16)),
    ("lenet with batch norm", (2, 8, 1)),
    ("mlp with dropout", (4, 8, 1, 2)),
    ("batch norm and dropout", (4, 1, 16, 4)),
    ("lenet with batch norm", (2, 16, 1, 2)),
]


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_the_layout_changes_no_member(name, layout):
    other = together(name, jnn.Plan(*layout))
    for index in (0, 7, 15):
        assert_same_member(other.member(index), together(name), index)


def test_the_same_chunking_gives_the_same_bits():
    name, plan = "batch norm and dropout", jnn.Plan(1, 1, 4)
    few = jnn.run(study_of(name), IRIS, MEMBERS[4:8], plan=plan)
    many = together(name, plan)
    for i in range(4):
        assert_same_member(few.member(i), many, 4 + i, exact=True)


def test_neither_order_nor_company_changes_a_member():
    name = "batch norm and dropout"
    mixed = jnn.run(study_of(name), IRIS, MEMBERS[[9, 2, 14]])
    for place, index in enumerate((9, 2, 14)):
        assert_same_member(mixed.member(place), together(name), index)


def test_a_diverging_member_changes_no_bit_of_the_others():
    name, plan = "mlp with dropout", jnn.Plan(1, 1, 3)
    calm = jnn.seeds(1) * jnn.grid(learning_rate=[0.01, 0.1, 0.1])
    wild = jnn.seeds(1) * jnn.grid(learning_rate=[0.01, 1e38, 0.1])
    calm, wild = (jnn.run(study_of(name), IRIS, m, plan=plan) for m in (calm, wild))
    assert not np.isfinite(wild.scores["train_loss"].values[0, 1, -1])
    for i in (0, 2):
        assert_same_member(calm.member(i), wild, i, exact=True)


def test_a_second_run_compiles_nothing():
    name = "mlp with dropout"
    together(name)
    with jax.log_compiles(False), _counting() as compiled:
        again = jnn.run(study_of(name), IRIS, MEMBERS)
    assert compiled == [] and again.timing["compile"] == 0.0
    np.testing.assert_array_equal(again.scores["accuracy"], together(name).scores["accuracy"])


class _counting:
    """Collects the events of compiling that JAX reports."""

    def __enter__(self):
        self.events = []
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self.events

    def _listen(self, name, seconds, **_):
        if "backend_compile" in name:
            self.events.append(name)

    def __exit__(self, *_):
        jax.monitoring.unregister_event_duration_listener(self._listen)


def test_unequal_folds_train_as_if_alone():
    parts = [(np.arange(20, 150), np.arange(20)), (np.arange(50), np.arange(50, 150))]
    name = "batch norm and dropout"
    both = jnn.run(study_of(name), IRIS, jnn.folds(parts))
    for i, part in enumerate(parts):
        assert_same_member(jnn.run(study_of(name), IRIS, jnn.folds([part])), both, i)


def test_a_shared_order_gives_all_members_of_a_fold_the_same_batches():
    first = {}
    for order in ("shared", "member"):
        study = jnn.Study(
            model=MODELS["mlp with dropout"][0],
            loss=jnn.losses.softmax_cross_entropy,
            optimizer=optax.sgd(0.0),
            metrics={},
            epochs=1,
            batch_size=150,
            order=order,
        )
        text = study_text(study)
        first[order] = text
    assert "f32[2,150,4]" not in first["shared"] and "f32[2,150,4]" in first["member"]


def study_text(study):
    """The program of two members, in which a gather for each is [2, batch, features]."""
    from jnn.engine import member_of

    train = jnn.make_train(study)
    rows = jnn.Rows(np.arange(150, dtype=np.int32)[None], np.array([150], np.int32))
    data = jnn.Data(IRIS.x, IRIS.y, rows)
    columns = {"seed": np.arange(2)}
    return str(
        jax.make_jaxpr(jax.vmap(lambda c, d: train(member_of(c), d), in_axes=(0, None)))(
            columns, data
        )
    )
