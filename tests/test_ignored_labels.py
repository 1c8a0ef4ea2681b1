"""Labels to ignore count neither in losses and metrics nor as a class."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import jnn
from jnn import engine

DRAW = np.random.default_rng(0)
IDS = DRAW.integers(1, 12, (24, 8))
TAGS = IDS % 4
PADDED = np.where(np.arange(8) < DRAW.integers(1, 8, (24, 1)), TAGS, -100)


class Tagger(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.Embed(12, 8)(x))


def study(**settings):
    defaults = {
        "model": Tagger(),
        "loss": jnn.losses.softmax_cross_entropy,
        "optimizer": optax.sgd(1.0),
        "metrics": {"accuracy": jnn.metrics.accuracy, "log_loss": jnn.metrics.log_loss},
        "epochs": 2,
        "batch_size": 6,
    }
    return jnn.Study(**{**defaults, **settings})


def tagging(y=PADDED, **fields):
    return jnn.Dataset.from_arrays(IDS, y, ids=True, task="classification", **fields)


@pytest.mark.parametrize("label", [-1, -100, 0, 4, 255])
@pytest.mark.parametrize("dtype", [np.int64, np.int16])
def test_any_label_may_be_ignored_and_is_no_class(label, dtype):
    y = np.where(PADDED < 0, label, PADDED + (label == 0)).astype(dtype)
    data = tagging(y, ignore_index=label)
    assert data.classes == 4 + (label == 0)
    np.testing.assert_array_equal(data.y, np.where(PADDED < 0, -1, PADDED + (label == 0)))
    assert "labels ignored" in repr(data) and data.take(slice(0, 9)).ignore_index == -1


def test_padding_of_positions_is_known_by_its_usual_numbers():
    for label in (-1, -100):
        data = tagging(np.where(PADDED < 0, label, PADDED), target_names=list("abcd"))
        np.testing.assert_array_equal(data.y, np.where(PADDED < 0, -1, PADDED))


@pytest.mark.parametrize(
    ("y", "fields", "sentence"),
    [
        (np.array([0, 1, -1, 1]), {}, "got -1 at y.2. .* pass ignore_index=-1"),
        (np.array([0, 1, -100, 1]), {}, "pass ignore_index=-100"),
        (np.array([0, 1, -7, 1]), {"ignore_index": -1}, "got -7 at y.2. .* ignore_index=-7"),
        (np.array([3, 3, 3, 3]), {"ignore_index": 3}, "labels that count, got 4 that are all"),
        (np.array([0.5, 1, 2, 3]), {"ignore_index": 3}, "labels"),
        (np.array(list("abab")), {"ignore_index": -1}, "integer labels"),
        (None, {"ignore_index": -1}, "integer labels, got no targets"),
        (np.array([1, 1, 1, -1]), {"ignore_index": -1}, "Integer labels must count 0"),
        (np.array([0, 0, 0, -1]), {"ignore_index": -1}, "y must vary"),
    ],
)
def test_what_cannot_be_ignored_is_one_sentence(y, fields, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        jnn.Dataset.from_arrays(np.ones((4, 2)), y, **fields)
    with pytest.raises(TypeError, match="ignore_index must be an integer label"):
        jnn.Dataset.from_arrays(np.ones((4, 2)), [0, 1, 0, 1], ignore_index="pad")


def test_a_step_has_the_gradient_of_the_mean_over_labels_that_count():
    """In float64 by hand, as in PyTorch's cross_entropy(ignore_index=-100)."""
    model = (
        lambda key, x: {"w": jnp.zeros((12, 4))},
        lambda params, x: params["w"][x],
    )
    made = study(model=model, epochs=1, batch_size=24, order="sequential")
    result = jnn.run(made, tagging())
    counts = PADDED >= 0
    residual = np.where(counts[..., None], 0.25 - np.eye(4)[TAGS], 0) / counts.sum()
    gradient = np.zeros((12, 4))
    np.add.at(gradient, IDS, residual)
    np.testing.assert_allclose(result.trained.params["w"][0], -gradient, atol=1e-6)
    np.testing.assert_allclose(result.final()["train_loss"].item(), np.log(4), rtol=1e-6)


def test_scores_are_those_of_scikit_learn_without_ignored_labels():
    from sklearn.metrics import accuracy_score, log_loss

    weights = np.linspace(0.5, 2, 24)
    result = jnn.run(study(), tagging(weights=weights), jnn.holdout(0.4))
    ((_, _, test),) = jnn.holdout(0.4).split.rows(tagging())
    counts = PADDED[test] >= 0
    logits = result.outputs(IDS[test])[0][counts].astype(np.float64)
    each = np.broadcast_to(weights[test][:, None], counts.shape)[counts]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    entropy = log_loss(TAGS[test][counts], shares, labels=range(4), sample_weight=each)
    right = accuracy_score(TAGS[test][counts], logits.argmax(-1), sample_weight=each)
    final = result.final()
    np.testing.assert_allclose(final["log_loss"].item(), entropy, rtol=1e-5)
    np.testing.assert_allclose(final["loss"].item(), entropy, rtol=1e-5)
    np.testing.assert_allclose(final["accuracy"].item(), right, rtol=1e-6)


def test_a_loss_that_does_not_know_ignored_labels_is_masked():
    own = study(loss=optax.softmax_cross_entropy_with_integer_labels, metrics={})
    house = study(metrics={})
    ours, theirs = (jnn.run(s, tagging(), jnn.holdout(0.25)) for s in (house, own))
    np.testing.assert_allclose(ours.scores["loss"], theirs.scores["loss"], rtol=1e-5)
    np.testing.assert_allclose(ours.scores["train_loss"], theirs.scores["train_loss"], rtol=1e-5)


def test_rows_without_a_label_train_as_if_they_were_absent():
    x = DRAW.normal(size=(40, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    hidden = np.where(np.arange(40) % 4 == 0, -100, y)
    data = jnn.Dataset.from_arrays(x, hidden, ignore_index=-100)
    present = jnn.Dataset.from_arrays(x[hidden >= 0], y[hidden >= 0])
    model = (
        lambda key, x: {"w": jnp.zeros((3, 3))},
        lambda params, x: x @ params["w"],
    )
    made = study(model=model, class_weights="balanced", order="sequential", batch_size=40)
    without = study(model=model, class_weights="balanced", order="sequential", batch_size=30)
    one, other = jnn.run(made, data), jnn.run(without, present)
    np.testing.assert_allclose(one.trained.params["w"], other.trained.params["w"], atol=1e-6)
    np.testing.assert_allclose(one.scores["train_accuracy"], other.scores["train_accuracy"])
    np.testing.assert_allclose(one.scores["train_loss"], other.scores["train_loss"], rtol=1e-5)


def test_rows_without_a_label_are_shared_out_evenly_by_stratified_folds():
    y = np.repeat([0, 1, -1], [20, 20, 8])
    data = jnn.Dataset.from_arrays(np.arange(48.0)[:, None], y, ignore_index=-1)
    for fold in jnn.folds(4).split.rows(data):
        assert np.bincount(y[fold.test] + 1).tolist() == [2, 5, 5]
    few = jnn.Dataset.from_arrays(np.arange(42.0)[:, None], y[:42], ignore_index=-1)
    assert len(jnn.folds(4).split.rows(few)) == 4  # two such rows are no class of their own


def test_a_fold_without_labels_is_refused():
    y = np.where(np.arange(24)[:, None] < 12, PADDED, -100)
    members = jnn.folds([(np.arange(12), np.arange(12, 24))])
    with pytest.raises(ValueError, match="The test rows of a fold have only labels"):
        jnn.run(study(), tagging(y), members)


def test_data_of_the_pieces_ignore_labels_too():
    data = jnn.Data.from_arrays(IDS, PADDED, test=[1, 2], ignore_index=-100)
    state = jax.jit(jnn.make_start(study()))(jnn.Member(jax.random.key(0), 0, {}), data)
    scores = jax.jit(jnn.make_evaluate(study()))(state, data, data.test)
    np.testing.assert_allclose(scores["loss"], scores["log_loss"], rtol=1e-6)
    assert engine.example_batch(study(), data).ignoring is not None
