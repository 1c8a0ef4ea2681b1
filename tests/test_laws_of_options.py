"""The laws of a population, for a study that uses what is optional: alone, resumed, rearranged."""

import functools

import jax
import numpy as np
import optax
import pytest

import jnn
from tests.studies import IRIS, MLP

PLAN = jnn.Plan(1, 2, 2)
MEMBERS = jnn.seeds(2) * jnn.grid(decay=[0.5, 0.9])


def loss(outputs, targets, *, h, epoch):
    smooth = jnn.losses.softmax_cross_entropy(outputs, targets)
    return smooth * (1 + 0.1 * epoch * h.decay)


def augment(batch, *, key, step, h):
    noise = jax.random.normal(key, batch.x.shape)
    return batch._replace(
        x=batch.x + 0.01 * noise * (step + 1) * h.decay * (batch.index[:, None] % 2)
    )


STUDY = jnn.Study(
    functools.partial(MLP, dropout_rate=0.2),
    loss,
    lambda h: optax.chain(
        optax.add_noise(1e-4, 0.5, 0),
        optax.inject_hyperparams(optax.sgd)(
            optax.warmup_cosine_decay_schedule(0.0, h.decay / 5, 9, 36)
        ),
    ),
    metrics={"accuracy": jnn.metrics.accuracy},
    epochs=4,
    batch_size=16,
    inputs=jnn.preprocess.standardize,
    augment=augment,
    averaging=jnn.averaging.ema(lambda h: h.decay, debias=True),
    record=("gradient_norm", "learning_rate"),
    keep="best",
    validation=0.2,
)


@functools.cache
def undisturbed():
    return jnn.run(STUDY, IRIS, MEMBERS, plan=PLAN)


def assert_same_bits(result, expected):
    for name in expected.scores:
        np.testing.assert_array_equal(result.scores[name], expected.scores[name])
    jax.tree.map(np.testing.assert_array_equal, result.trained, expected.trained)


def test_a_member_with_all_options_equals_its_run_in_other_company():
    alone = jnn.run(STUDY, IRIS, MEMBERS[2:4], plan=PLAN)
    whole = undisturbed()
    for place in (0, 1):
        together = whole.member(2 + place)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
            alone.member(place).trained,
            together.trained,
        )
    norms = whole.scores["train_gradient_norm"].values.reshape(4, -1)
    assert len(np.unique(norms[:, 0])) == 4  # each member goes its own way


def test_a_run_with_all_options_goes_on_with_the_same_bits(tmp_path):
    def die(status):
        if status.stage == "training" and status.done > 0.4:
            raise KeyboardInterrupt

    often = {"save_every": 0, "look_every": 0, "directory": tmp_path, "plan": PLAN}
    with pytest.raises(KeyboardInterrupt):
        jnn.run(STUDY, IRIS, MEMBERS, progress=die, **often)
    assert_same_bits(jnn.run(STUDY, IRIS, MEMBERS, **often), undisturbed())
    sampled = jnn.Result.load(tmp_path, STUDY).predict(IRIS.x[:3], samples=2).members
    np.testing.assert_array_equal(sampled, undisturbed().predict(IRIS.x[:3], samples=2).members)
    np.testing.assert_allclose(sampled.sum(axis=-1), 1, rtol=1e-5)  # probabilities


def test_a_population_with_all_options_is_advanced_and_thinned_out_with_the_same_bits():
    population = jnn.start(STUDY, IRIS, MEMBERS, plan=PLAN).advance(1).keep([1, 3]).advance(3)
    result = population.result()
    for place, index in enumerate([1, 3]):
        jax.tree.map(
            np.testing.assert_array_equal,
            result.member(place).trained,
            undisturbed().member(index).trained,
        )
