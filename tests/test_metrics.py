"""Metrics against scikit-learn on random and degenerate rows, and the law that sums of parts add up to the whole."""

import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics as sk

from jnn import metrics
from jnn.metrics._classification import _check_average
from jnn.metrics._metric import _check_labels

ROWS, CLASSES = 40, 3
rng = np.random.default_rng(0)


def softmax(logits):
    return scipy.special.softmax(logits.astype(np.float64), -1)


def best(logits):
    return logits.argmax(-1)


def counted(function, average):
    return lambda x, t, w: function(t, best(x), sample_weight=w, average=average, zero_division=0)


# name: our metric, scikit-learn's value of (logits, labels, weights)
OF_CLASSES = {
    "accuracy": (metrics.accuracy, lambda x, t, w: sk.accuracy_score(t, best(x), sample_weight=w)),
    "top_k": (
        metrics.top_k(2),
        lambda x, t, w: sk.top_k_accuracy_score(t, x, k=2, sample_weight=w, labels=range(3)),
    ),
    "confusion_matrix": (
        metrics.confusion_matrix(CLASSES),
        lambda x, t, w: sk.confusion_matrix(t, best(x), sample_weight=w, labels=range(3)),
    ),
    "log_loss": (
        metrics.log_loss,
        lambda x, t, w: sk.log_loss(t, softmax(x), sample_weight=w, labels=range(3)),
    ),
    "brier": (
        metrics.brier,
        lambda x, t, w: sk.brier_score_loss(t, softmax(x), sample_weight=w, labels=range(3)),
    ),
    "perplexity": (
        metrics.perplexity,
        lambda x, t, w: np.exp(sk.log_loss(t, softmax(x), sample_weight=w, labels=range(3))),
    ),
    "bits_per_character": (
        metrics.bits_per_character,
        lambda x, t, w: sk.log_loss(t, softmax(x), sample_weight=w, labels=range(3)) / np.log(2),
    ),
}
for ours, theirs in (
    (metrics.precision, sk.precision_score),
    (metrics.recall, sk.recall_score),
    (metrics.f1, sk.f1_score),
):
    for kind in ("micro", "macro", "weighted"):
        OF_CLASSES[f"{ours.__name__} {kind}"] = (ours(CLASSES, kind), counted(theirs, kind))

# The same of (one logit, labels 0 or 1, weights).
OF_TWO = {
    "accuracy": (metrics.accuracy, lambda x, t, w: sk.accuracy_score(t, x > 0, sample_weight=w)),
    "precision": (
        metrics.precision(2, "binary"),
        lambda x, t, w: sk.precision_score(t, x > 0, sample_weight=w),
    ),
    "recall": (
        metrics.recall(2, "binary"),
        lambda x, t, w: sk.recall_score(t, x > 0, sample_weight=w),
    ),
    "f1": (metrics.f1(2, "binary"), lambda x, t, w: sk.f1_score(t, x > 0, sample_weight=w)),
    "log_loss": (
        metrics.log_loss,
        lambda x, t, w: sk.log_loss(t, scipy.special.expit(x), sample_weight=w),
    ),
    "brier": (
        metrics.brier,
        lambda x, t, w: sk.brier_score_loss(t, scipy.special.expit(x), sample_weight=w),
    ),
    "roc_auc": (metrics.roc_auc, lambda x, t, w: sk.roc_auc_score(t, x, sample_weight=w)),
    "average_precision": (
        metrics.average_precision,
        lambda x, t, w: sk.average_precision_score(t, x, sample_weight=w),
    ),
}

# The same of (outputs, targets, weights).
OF_NUMBERS = {
    "mse": (metrics.mse, sk.mean_squared_error),
    "rmse": (metrics.rmse, sk.root_mean_squared_error),
    "mae": (metrics.mae, sk.mean_absolute_error),
    "mape": (metrics.mape, sk.mean_absolute_percentage_error),
    "r2": (metrics.r2, sk.r2_score),
}
EVERY = {name: metric for table in (OF_CLASSES, OF_NUMBERS) for name, (metric, _) in table.items()}
EVERY |= {"roc_auc": metrics.roc_auc, "average_precision": metrics.average_precision}
EVERY |= {"expected_calibration_error": metrics.expected_calibration_error(5)}


def rows_of(kind, classes=CLASSES):
    logits = rng.normal(size=(ROWS, classes)).astype(np.float32)
    labels = rng.integers(0, max(classes, 2), ROWS)
    weights = rng.uniform(0.1, 2.0, ROWS).astype(np.float32)
    if kind == "ties":
        logits = np.round(logits)
    if kind == "one class missing":
        labels = labels % 2
        logits[:, 2:] -= 9
    if kind == "zero weights":
        weights[::3] = 0
        logits[::3] = np.nan
    return logits, labels, weights


@cache
def compiled(metric):
    return jax.jit(metric)


def ours(metric, *arrays):
    return np.asarray(compiled(metric)(*map(jnp.asarray, arrays)))


def refuse(call, *arrays, match):
    """The metric's own sentence, not that of the type checker which may wrap it."""
    with pytest.raises(ValueError, match=match):
        inspect.unwrap(call)(*map(jnp.asarray, arrays))


@pytest.mark.parametrize("kind", ["random", "ties", "one class missing", "zero weights"])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_of_classes_is_scikit_learns(name, kind):
    metric, truth = OF_CLASSES[name]
    logits, labels, weights = rows_of(kind)
    kept = weights > 0
    np.testing.assert_allclose(
        ours(metric, logits, labels, weights),
        truth(logits[kept], labels[kept], weights[kept]),
        rtol=2e-5,
    )


@pytest.mark.parametrize("kind", ["random", "ties", "zero weights"])
@pytest.mark.parametrize("name", OF_TWO)
def test_of_one_logit_is_scikit_learns(name, kind):
    metric, truth = OF_TWO[name]
    logits, labels, weights = rows_of(kind, classes=1)
    kept = weights > 0
    expected = truth(logits[kept, 0], labels[kept], weights[kept])
    np.testing.assert_allclose(ours(metric, logits, labels, weights), expected, rtol=2e-5)
    two = np.concatenate([np.ones_like(logits), logits + 1], axis=1)
    np.testing.assert_allclose(ours(metric, two, labels, weights), expected, rtol=2e-5)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers_is_scikit_learns(name, outputs):
    metric, truth = OF_NUMBERS[name]
    predictions, targets = rng.normal(size=(2, ROWS, outputs)).astype(np.float32)
    weights = rng.uniform(size=ROWS).astype(np.float32)
    weights[::4] = 0
    predictions[::4] = np.nan
    expected = truth(
        targets[weights > 0], predictions[weights > 0], sample_weight=weights[weights > 0]
    )
    np.testing.assert_allclose(ours(metric, predictions, targets, weights), expected, rtol=2e-5)


@pytest.mark.parametrize(("name", "truth"), [("roc_auc", partial(sk.roc_auc_score, multi_class="ovr")),
                                             ("average_precision", sk.average_precision_score)])  # fmt: skip
def test_rankings_of_several_classes_are_the_mean_of_each_against_the_rest(name, truth):
    logits, labels, weights = rows_of("random")
    expected = truth(labels, softmax(logits), sample_weight=weights)
    np.testing.assert_allclose(ours(EVERY[name], logits, labels, weights), expected, rtol=2e-5)


@pytest.mark.parametrize(("name", "truth"), [("roc_auc", sk.roc_auc_score),
                                             ("average_precision", sk.average_precision_score)])  # fmt: skip
def test_rankings_tell_apart_the_nearly_certain(name, truth):
    draw = np.random.default_rng(0)
    logits = (25 * draw.normal(size=(ROWS, CLASSES))).astype(
        np.float32
    )  # half of the probabilities round to 1 or 0
    labels = draw.integers(0, CLASSES, ROWS)
    others = [
        scipy.special.logsumexp(np.delete(logits.astype(np.float64), c, 1), axis=1)
        for c in range(CLASSES)
    ]
    expected = [truth(labels == c, logits[:, c] - others[c]) for c in range(CLASSES)]
    np.testing.assert_allclose(
        EVERY[name](jnp.asarray(logits), jnp.asarray(labels)), np.mean(expected), rtol=2e-5
    )


def test_calibration_error_is_the_weighted_gap_of_each_bin():
    logits, labels, weights = rows_of("random")
    p, right = softmax(logits).max(-1), best(logits) == labels
    gap = 0.0
    for low in np.arange(5) / 5:
        inside = (p > low) & (p <= low + 0.2)
        gap += abs((weights * (right - p))[inside].sum()) / weights.sum()
    np.testing.assert_allclose(
        ours(EVERY["expected_calibration_error"], logits, labels, weights), gap, rtol=1e-5
    )


def example(name):
    if name in OF_NUMBERS:
        return (
            *rng.normal(size=(2, ROWS)).astype(np.float32),
            rng.uniform(size=ROWS).astype(np.float32),
        )
    return rows_of("random")


@pytest.mark.parametrize("name", [name for name, metric in EVERY.items() if metric.streams])
def test_sums_of_parts_add_up_in_any_order_and_within_a_scan(name):
    metric, rows = EVERY[name], example(name)
    parts = [jnp.asarray(array).reshape(4, 10, *array.shape[1:]) for array in rows]

    @jax.jit
    def both_ways(parts):
        scanned, _ = jax.lax.scan(
            lambda sums, part: (metric.update(sums, *part), None), metric.init(), tuple(parts)
        )
        separate = jax.vmap(lambda *part: metric.update(metric.init(), *part))(
            *(part[::-1] for part in parts)
        )
        return metric.value(scanned), metric.value(jax.tree.map(lambda sums: sums.sum(0), separate))

    for value in both_ways(parts):
        np.testing.assert_allclose(value, ours(metric, *rows), rtol=1e-5)


@pytest.mark.parametrize("name", ["accuracy", "f1 macro", "r2"])
def test_no_weights_mean_a_weight_of_one(name):
    predictions, targets, _ = example(name)
    with_ones = ours(EVERY[name], predictions, targets, np.ones(ROWS, np.float32))
    np.testing.assert_allclose(ours(EVERY[name], predictions, targets), with_ones, rtol=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "perplexity"])
def test_sequences_count_each_position_with_its_rows_weight_and_skip_negative_labels(name):
    logits, labels, weights = rows_of("random")
    labels[::5] = -1
    sequences = logits.reshape(10, 4, CLASSES), labels.reshape(10, 4), weights[:10]
    flat_weights = np.where(labels >= 0, np.repeat(weights[:10], 4), 0).astype(np.float32)
    expected = ours(EVERY[name], logits, np.maximum(labels, 0), flat_weights)
    np.testing.assert_allclose(ours(EVERY[name], *sequences), expected, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 9])
def test_a_label_past_the_last_class_is_never_among_the_best(k):
    logits = -np.ones((2, CLASSES), np.float32)
    assert ours(metrics.top_k(k), logits, np.array([7, CLASSES])) == 0
    assert ours(metrics.accuracy, logits, np.array([7, CLASSES])) == 0


@pytest.mark.parametrize("name", ["log_loss", "perplexity", "bits_per_character"])
def test_a_label_past_the_last_class_has_no_log_loss_unless_it_weighs_nothing(name):
    logits, labels, weights = rows_of("random")
    expected = ours(EVERY[name], logits[1:], labels[1:], weights[1:])
    labels[0] = CLASSES
    assert np.isnan(ours(EVERY[name], logits, labels, weights))
    weights[0] = 0
    np.testing.assert_allclose(ours(EVERY[name], logits, labels, weights), expected, rtol=1e-6)


def test_whole_weights_keep_their_digits_in_float64():
    with jax.enable_x64(True):
        value = metrics.mse(jnp.array([0.0, 1.0]), jnp.array([0, 0]), jnp.array([2**24 + 1, 1]))
    np.testing.assert_allclose(value, 1 / (2**24 + 2), rtol=1e-12)


@pytest.mark.parametrize("name", ["rmse", "r2"])
def test_a_scan_over_several_outputs_goes_on_from_the_sums_of_a_first_update(name):
    metric, (predictions, targets) = EVERY[name], rng.normal(size=(2, ROWS, 3)).astype(np.float32)
    batches = [jnp.asarray(array).reshape(4, 10, 3) for array in (predictions, targets)]
    first = metric.update(metric.init(), *(array[0] for array in batches))
    rest = tuple(array[1:] for array in batches)
    sums, _ = jax.lax.scan(lambda sums, batch: (metric.update(sums, *batch), None), first, rest)
    np.testing.assert_allclose(metric.value(sums), ours(metric, predictions, targets), rtol=1e-5)


def test_a_ranking_without_positives_is_undefined_and_a_missing_class_is_left_out_of_the_mean():
    logits, labels, weights = rows_of("random")
    labels %= 2
    for name, truth in (
        ("roc_auc", sk.roc_auc_score),
        ("average_precision", sk.average_precision_score),
    ):
        each = [truth(labels == c, softmax(logits)[:, c], sample_weight=weights) for c in (0, 1)]
        np.testing.assert_allclose(
            ours(EVERY[name], logits, labels, weights), np.mean(each), rtol=2e-5
        )
        assert np.isnan(ours(EVERY[name], logits[:, 0], 0 * labels, weights))


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_have_no_score(name):
    predictions, targets, weights = example(name)
    value = ours(EVERY[name], predictions, targets, 0 * weights)
    assert (value == 0).all() if name == "confusion_matrix" else np.isnan(value)


@pytest.mark.parametrize("name", ["mse", "mape", "r2", "accuracy"])
def test_an_update_without_rows_changes_nothing(name):
    metric, rows = EVERY[name], [jnp.asarray(array) for array in example(name)]

    @jax.jit
    def with_and_without(rows):
        sums = metric.update(metric.init(), *rows)
        return metric.value(sums), metric.value(metric.update(sums, *(array[:0] for array in rows)))

    assert len({float(value) for value in with_and_without(rows)}) == 1


@pytest.mark.parametrize("name", EVERY)
def test_a_nan_prediction_is_never_mistaken_for_a_score(name):
    predictions, targets, weights = example(name)
    predictions[7] = np.nan
    assert np.isnan(ours(EVERY[name], predictions, targets, weights)).any()


def test_r2_of_constant_targets_is_scikit_learns():
    targets = np.full(ROWS, 3.0, np.float32)
    for predictions in (targets, targets + rng.normal(size=ROWS).astype(np.float32)):
        assert ours(metrics.r2, predictions, targets) == sk.r2_score(targets, predictions)


def test_r2_of_a_single_row_is_undefined():
    y, t, w = jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])
    assert np.isnan(metrics.r2(y[:1], t[:1])) and np.isnan(metrics.r2(y, t, w))
    one_by_one = metrics.r2.update(metrics.r2.update(metrics.r2.init(), y[:1], t[:1]), y[1:], t[1:])
    np.testing.assert_allclose(metrics.r2.value(one_by_one), sk.r2_score(t, y), rtol=1e-6)


def test_average_precision_keeps_a_light_positive_above_heavy_rows():
    x, t, w = (
        np.array([3.0, 2.0, 1.0], np.float32),
        np.array([1, 0, 1]),
        np.array([1e-8, 1.0, 1.0], np.float32),
    )
    expected = sk.average_precision_score(t, x, sample_weight=w)
    np.testing.assert_allclose(ours(metrics.average_precision, x, t, w), expected, rtol=2e-5)
    w[2] = 1e-8
    expected = sk.average_precision_score(t, x, sample_weight=w)
    np.testing.assert_allclose(ours(metrics.average_precision, x, t, w), expected, rtol=2e-5)


def test_a_million_rows_keep_their_digits_far_from_zero():
    size, batch = 1_000_000, 1000
    targets = (1e4 + rng.normal(size=size)).astype(np.float32)
    predictions = (targets + 0.5 * rng.normal(size=size)).astype(np.float32)
    names = ("mse", "rmse", "mae", "mape", "r2")

    @jax.jit
    def streamed(predictions, targets):
        def body(sums, part):
            return {k: EVERY[k].update(sums[k], *part) for k in names}, None

        parts = predictions.reshape(-1, batch), targets.reshape(-1, batch)
        sums, _ = jax.lax.scan(body, {k: EVERY[k].init() for k in names}, parts)
        return {k: EVERY[k].value(sums[k]) for k in names}, metrics.r2(predictions, targets)

    values, r2_at_once = streamed(predictions, targets)
    wide = targets.astype(np.float64), predictions.astype(np.float64)
    for name in names:
        np.testing.assert_allclose(
            values[name], OF_NUMBERS[name][1](*wide), rtol=2e-5, err_msg=name
        )
    np.testing.assert_allclose(r2_at_once, sk.r2_score(*wide), rtol=2e-5)


def test_wrong_shapes_labels_and_settings_are_refused_in_one_sentence():
    logits, labels, weights = rows_of("random")
    refuse(
        metrics.accuracy.update,
        np.zeros(2),
        logits,
        labels.astype(np.float32),
        match="want integer labels",
    )
    refuse(
        metrics.accuracy.update, np.zeros(2), logits, labels[:, None], match="one label per example"
    )
    refuse(
        metrics.accuracy.update,
        np.zeros(2),
        logits,
        labels,
        weights[:3],
        match="one weight per row",
    )
    refuse(metrics.mse.update, np.zeros(2), logits, labels, match="must have one shape")
    refuse(metrics.f1(2).update, np.zeros(2), logits, labels, match="made for 2 classes")
    refuse(_check_labels, labels, labels, match="wanted logits as predictions, but got int32")
    refuse(
        _check_average,
        logits,
        labels,
        match=r"but got ArrayImpl; make the metric first, as in f1\(3\)",
    )
    for make, match in (
        (lambda: metrics.f1(3, "median"), "'micro'"),
        (lambda: metrics.recall(3, "binary"), "exactly two classes"),
        (lambda: metrics.top_k(0), "at least 1"),
        (lambda: metrics.confusion_matrix(0), "two classes or more"),
        (lambda: metrics.expected_calibration_error(0), "at least one bin"),
    ):
        with pytest.raises(
            (ValueError, TypeError), match=match
        ):  # a type checker may see the setting first
            make()
