"""Metrics against scikit-learn on random and degenerate rows; sums of parts add up to the whole."""

import inspect
import pickle
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics as sk

from jnn import metrics
from jnn.metrics._classification import _check_classes
from jnn.metrics._metric import _check_classification

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
OF_CLASSES["balanced_accuracy"] = (
    metrics.balanced_accuracy,
    lambda x, t, w: sk.balanced_accuracy_score(t, x.argmax(-1), sample_weight=w),
)
# Without a number of classes, the first update takes it from the logits.
OF_CLASSES["f1 of any classes"] = (metrics.f1(), counted(sk.f1_score, "macro"))
OF_CLASSES["confusion_matrix of any classes"] = (
    metrics.confusion_matrix(),
    OF_CLASSES["confusion_matrix"][1],
)

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

# Metrics of one kind of rows, which share one compiled program.
TOGETHER = {
    "classes": {name: metric for name, metric in EVERY.items() if name not in OF_NUMBERS},
    "two": {name: metric for name, (metric, _) in OF_TWO.items()},
    "numbers": {name: metric for name, (metric, _) in OF_NUMBERS.items()},
}


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


def kind_of(name):
    return "numbers" if name in OF_NUMBERS else "classes"


@cache
def all_at_once(kind):
    return jax.jit(lambda *rows: {name: metric(*rows) for name, metric in TOGETHER[kind].items()})


def score(name, *rows, kind=None):
    """The metric of rows with weights, from the program of all metrics of its kind."""
    return np.asarray(all_at_once(kind or kind_of(name))(*map(jnp.asarray, rows))[name])


def refuse(call, *arrays, match, kind=ValueError):
    """The metric's own sentence, not that of the type checker which may wrap it."""
    with pytest.raises(kind, match=match):
        inspect.unwrap(getattr(call, "func", call))(
            *getattr(call, "args", ()), *map(jnp.asarray, arrays)
        )


@pytest.mark.parametrize("kind", ["random", "ties", "one class missing", "zero weights"])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_of_classes_is_scikit_learns(name, kind):
    _, truth = OF_CLASSES[name]
    logits, labels, weights = rows_of(kind)
    is_there = weights > 0
    expected = truth(logits[is_there], labels[is_there], weights[is_there])
    np.testing.assert_allclose(score(name, logits, labels, weights), expected, rtol=2e-5)


@pytest.mark.parametrize("kind", ["random", "ties", "zero weights"])
@pytest.mark.parametrize("name", OF_TWO)
def test_of_one_logit_is_scikit_learns(name, kind):
    _, truth = OF_TWO[name]
    logits, labels, weights = rows_of(kind, classes=1)
    is_there = weights > 0
    expected = truth(logits[is_there, 0], labels[is_there], weights[is_there])
    two = np.concatenate([np.ones_like(logits), logits + 1], axis=1)
    for form in (logits, two):
        value = score(name, form, labels, weights, kind="two")
        np.testing.assert_allclose(value, expected, rtol=2e-5)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers_is_scikit_learns(name, outputs):
    _, truth = OF_NUMBERS[name]
    predictions, targets = rng.normal(size=(2, ROWS, outputs)).astype(np.float32)
    weights = rng.uniform(size=ROWS).astype(np.float32)
    weights[::4] = 0
    predictions[::4] = np.nan
    expected = truth(
        targets[weights > 0], predictions[weights > 0], sample_weight=weights[weights > 0]
    )
    np.testing.assert_allclose(score(name, predictions, targets, weights), expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("roc_auc", partial(sk.roc_auc_score, multi_class="ovr")),
        ("average_precision", sk.average_precision_score),
    ],
)
def test_rankings_of_several_classes_are_the_mean_of_each_against_the_rest(name, truth):
    logits, labels, weights = rows_of("random")
    expected = truth(labels, softmax(logits), sample_weight=weights)
    np.testing.assert_allclose(score(name, logits, labels, weights), expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "truth"),
    [("roc_auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)],
)
def test_rankings_tell_apart_the_nearly_certain(name, truth):
    draw = np.random.default_rng(0)
    # Half of the probabilities round to 1 or 0.
    logits = (25 * draw.normal(size=(ROWS, CLASSES))).astype(np.float32)
    labels = draw.integers(0, CLASSES, ROWS)
    others = [
        scipy.special.logsumexp(np.delete(logits.astype(np.float64), c, 1), axis=1)
        for c in range(CLASSES)
    ]
    expected = [truth(labels == c, logits[:, c] - others[c]) for c in range(CLASSES)]
    value = score(name, logits, labels, np.ones(ROWS, np.float32))
    np.testing.assert_allclose(value, np.mean(expected), rtol=2e-5)


def test_calibration_error_is_the_weighted_gap_of_each_bin():
    logits, labels, weights = rows_of("random")
    p, right = softmax(logits).max(-1), best(logits) == labels
    gap = 0.0
    for low in np.arange(5) / 5:
        inside = (p > low) & (p <= low + 0.2)
        gap += abs((weights * (right - p))[inside].sum()) / weights.sum()
    value = score("expected_calibration_error", logits, labels, weights)
    np.testing.assert_allclose(value, gap, rtol=1e-5)


def example(name):
    if name in OF_NUMBERS:
        return (
            *rng.normal(size=(2, ROWS)).astype(np.float32),
            rng.uniform(size=ROWS).astype(np.float32),
        )
    return rows_of("random")


def scanned(metric, parts):
    """The sums of a scan, from those of the first part on where these have another shape."""
    sums = metric.init()
    if jax.tree.map(jnp.shape, sums) != jax.tree.map(jnp.shape, updated(metric, parts, 0)):
        sums = updated(metric, parts, 0)
        parts = [array[1:] for array in parts]
    body = lambda sums, part: (metric.update(sums, *part), None)  # noqa: E731
    return jax.lax.scan(body, sums, tuple(parts))[0]


def updated(metric, parts, i):
    return metric.update(metric.init(), *(array[i] for array in parts))


def added(metric, parts):
    """The sums of separate updates, added in another order."""
    one = lambda *part: metric.update(metric.init(), *part)  # noqa: E731
    separate = jax.vmap(one)(*(part[::-1] for part in parts))
    return jax.tree.map(lambda sums: sums.sum(0), separate)


@cache
def values_of_parts(kind):
    """For each metric the values of all rows, of a scan over parts, and of added parts."""
    streaming = {name: m for name, m in TOGETHER[kind].items() if m.streams}
    rows = [jnp.asarray(array) for array in example(next(iter(streaming)))]

    @jax.jit
    def program(rows):
        parts = [array.reshape(4, 10, *array.shape[1:]) for array in rows]
        ways = (scanned, added)
        return {
            name: (metric(*rows), [metric.value(way(metric, parts)) for way in ways])
            for name, metric in streaming.items()
        }

    return program(rows)


@pytest.mark.parametrize("name", [name for name, metric in EVERY.items() if metric.streams])
def test_sums_of_parts_add_up_in_any_order_and_within_a_scan(name):
    whole, of_parts = values_of_parts(kind_of(name))[name]
    for value in of_parts:
        np.testing.assert_allclose(value, whole, rtol=1e-5)


@pytest.mark.parametrize("name", ["accuracy", "f1 macro", "r2"])
def test_no_weights_mean_a_weight_of_one(name):
    predictions, targets, _ = example(name)
    with_ones = score(name, predictions, targets, np.ones(ROWS, np.float32))
    np.testing.assert_allclose(ours(EVERY[name], predictions, targets), with_ones, rtol=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "perplexity"])
def test_sequences_count_each_position_with_its_rows_weight_and_skip_negative_labels(name):
    logits, labels, weights = rows_of("random")
    labels[::5] = -1
    sequences = logits.reshape(10, 4, CLASSES), labels.reshape(10, 4), weights[:10]
    flat_weights = np.where(labels >= 0, np.repeat(weights[:10], 4), 0).astype(np.float32)
    expected = score(name, logits, np.maximum(labels, 0), flat_weights)
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
    assert np.isnan(score(name, logits, labels, weights))
    weights[0] = 0
    np.testing.assert_allclose(score(name, logits, labels, weights), expected, rtol=1e-6)


def test_whole_weights_keep_their_digits_in_float64():
    with jax.enable_x64(True):
        value = metrics.mse(jnp.array([0.0, 1.0]), jnp.array([0, 0]), jnp.array([2**24 + 1, 1]))
    np.testing.assert_allclose(value, 1 / (2**24 + 2), rtol=1e-12)


@pytest.mark.parametrize("name", ["rmse", "r2"])
def test_a_scan_over_several_outputs_goes_on_from_the_sums_of_a_first_update(name):
    metric = EVERY[name]
    predictions, targets = rng.normal(size=(2, ROWS, 3)).astype(np.float32)

    @jax.jit
    def both(predictions, targets):
        parts = [array.reshape(4, 10, 3) for array in (predictions, targets)]
        return metric.value(scanned(metric, parts)), metric(predictions, targets)

    value, expected = both(predictions, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_ranking_without_positives_is_undefined_and_a_missing_class_is_left_out_of_the_mean():
    logits, labels, weights = rows_of("random")
    labels %= 2
    for name, truth in (
        ("roc_auc", sk.roc_auc_score),
        ("average_precision", sk.average_precision_score),
    ):
        each = [truth(labels == c, softmax(logits)[:, c], sample_weight=weights) for c in (0, 1)]
        np.testing.assert_allclose(score(name, logits, labels, weights), np.mean(each), rtol=2e-5)
        assert np.isnan(ours(EVERY[name], logits[:, 0], 0 * labels, weights))


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_have_no_score(name):
    predictions, targets, weights = example(name)
    value = score(name, predictions, targets, 0 * weights)
    assert (value == 0).all() if name.startswith("confusion_matrix") else np.isnan(value)


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_an_update_without_rows_changes_nothing(kind):
    names = ("mse", "mape", "r2") if kind == "numbers" else ("accuracy",)
    rows = [jnp.asarray(array) for array in example(names[0])]

    @jax.jit
    def with_and_without(rows):
        sums = {name: EVERY[name].update(EVERY[name].init(), *rows) for name in names}
        more = {name: EVERY[name].update(sums[name], *(a[:0] for a in rows)) for name in names}
        return [{n: EVERY[n].value(totals[n]) for n in names} for totals in (sums, more)]

    before, after = with_and_without(rows)
    assert before == after


@pytest.mark.parametrize("name", EVERY)
def test_a_nan_prediction_is_never_mistaken_for_a_score(name):
    predictions, targets, weights = example(name)
    predictions[7] = np.nan
    assert np.isnan(score(name, predictions, targets, weights)).any()


def test_r2_of_constant_targets_is_scikit_learns():
    targets = np.full(ROWS, 3.0, np.float32)
    for predictions in (targets, targets + rng.normal(size=ROWS).astype(np.float32)):
        assert ours(metrics.r2, predictions, targets) == sk.r2_score(targets, predictions)


def test_r2_of_a_single_row_is_undefined():
    y, t, w = jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])

    @jax.jit
    def values(y, t, w):
        first = metrics.r2.update(metrics.r2.init(), y[:1], t[:1])
        one_by_one = metrics.r2.value(metrics.r2.update(first, y[1:], t[1:]))
        return metrics.r2(y[:1], t[:1]), metrics.r2(y, t, w), one_by_one

    alone, weighs_nothing, one_by_one = values(y, t, w)
    assert np.isnan(alone) and np.isnan(weighs_nothing)
    np.testing.assert_allclose(one_by_one, sk.r2_score(t, y), rtol=1e-6)


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


@pytest.mark.parametrize(
    ("name", "metric"),
    [*EVERY.items(), ("f1 of two", metrics.f1(average="binary"))],
)
def test_a_pickled_metric_gives_the_same_value(name, metric):
    copy = pickle.loads(pickle.dumps(metric))
    for field in ("higher_is_better", "task", "streams", "name", "doc", "__doc__"):
        assert getattr(copy, field) == getattr(metric, field)
    if name in ("accuracy", "f1 macro", "top_k", "rmse", "r2"):  # one of each kind of functions
        rows = example(name)
        np.testing.assert_array_equal(ours(copy, *rows), score(name, *rows))


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (metrics.accuracy, "Metric('accuracy', higher is better, for classification)"),
        (metrics.log_loss, "Metric('log_loss', lower is better, for classification)"),
        (metrics.r2, "Metric('r2', higher is better, for regression)"),
        (metrics.top_k(5), "Metric('top_k(5)', higher is better, for classification)"),
        (metrics.f1(), "Metric(\"f1(average='macro')\", higher is better, for classification)"),
        (
            metrics.recall(3),
            "Metric(\"recall(3, average='macro')\", higher is better, for classification)",
        ),
        (metrics.Metric(int, max, float, True, None), "Metric(higher is better)"),
    ],
)
def test_a_metric_shows_itself_in_one_line(metric, text):
    assert repr(metric) == text


def test_a_metric_made_without_a_number_of_classes_takes_that_of_the_logits():
    logits, labels, weights = map(jnp.asarray, rows_of("random"))
    f1, confusions = metrics.f1(), metrics.confusion_matrix()
    sums = jax.eval_shape(f1.update, f1.init(), logits, labels, weights)
    assert sums.actual.shape == (CLASSES,)
    assert jax.eval_shape(confusions, logits[:, :2], labels).shape == (2, 2)
    for metric in (f1, metrics.f1(average="binary")):
        assert np.isnan(jax.jit(lambda m=metric: m.value(m.init()))())


def test_wrong_shapes_labels_and_settings_are_refused_in_one_sentence():
    logits, labels, weights = rows_of("random")
    update = metrics.accuracy.update
    zeros = np.zeros(2)
    floats = labels.astype(np.float32)
    refuse(update, zeros, logits, floats, kind=TypeError, match="must be integer labels")
    refuse(update, zeros, logits, labels[:, None], match="one label per example")
    refuse(update, zeros, logits, labels, weights[:3], match="one weight per row")
    refuse(metrics.mse.update, zeros, logits, labels, match="must have one shape")
    refuse(metrics.f1(2).update, zeros, logits, labels, match="must have 2 classes")
    refuse(_check_classification, labels, labels, kind=TypeError, match="must be logits, got int32")
    mistake = r"got ArrayImpl. Make the metric first, as in f1\(\)"
    refuse(_check_classes, logits, kind=TypeError, match=mistake)
    with pytest.raises(ValueError, match="exactly two classes, got 3"):
        metrics.f1(average="binary")(jnp.asarray(logits), jnp.asarray(labels))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: metrics.f1(3, "median"), "'micro'"),
        (lambda: metrics.f1(average="median"), "'micro'"),
        (lambda: metrics.recall(3, "binary"), "exactly two classes"),
        (lambda: metrics.top_k(0), "at least 1"),
        (lambda: metrics.confusion_matrix(0), "at least 2"),
        (lambda: metrics.expected_calibration_error(0), "at least one"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(make, match):
    # A type checker may see the setting first.
    with pytest.raises((ValueError, TypeError), match=match):
        make()
