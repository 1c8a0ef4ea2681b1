"""Settings that make no sense are refused in one sentence; arrays may be nested lists."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn import augment, generation, initializers, layers, losses, metrics, modules, stats
from jnn._arrays import as_array
from jnn._settings import SHARE, check_integer, check_number

KEY, X = jax.random.key(0), jnp.ones((2, 3))
IMAGES, LOGITS = jnp.ones((2, 4, 1)), jnp.zeros(3)
NAN, INF = np.nan, np.inf


# name of the setting: what takes it, values that are refused, one that is not
NUMBERS = {
    "rate": (lambda v: layers.dropout(X, v, key=KEY), (-0.1, 1.5, NAN, [0.1, 0.2], "a"), 0.5),
    "l1_ratio": (lambda v: layers.elastic_net(X, v), (-0.1, 2, NAN), 1),
    "scale": (lambda v: layers.lora(X, jnp.eye(3), X.T, X, scale=v), (NAN, INF, "a"), -1.0),
    "dropout_rate": (
        lambda v: layers.attention(X[None], X[None], X[None], key=KEY, dropout_rate=v),
        (-1, NAN),
        0.0,
    ),
    "base": (lambda v: layers.rotary(jnp.ones((2, 1, 2)), jnp.arange(2), base=v), (0, -1, NAN), 2),
    "eps": (lambda v: layers.layer_norm(X, eps=v), (-1e-3, NAN, INF, X), 0),
    "gamma": (lambda v: losses.focal(X, jnp.array([0, 1]), gamma=v), (-1, NAN), 0.0),
    "alpha": (lambda v: losses.focal(X, jnp.array([0, 1]), alpha=v), (-1.0, NAN), 0.5),
    "label_smoothing": (
        lambda v: losses.softmax_cross_entropy(X, jnp.array([0, 1]), label_smoothing=v),
        (-0.1, 1.1, NAN),
        0.1,
    ),
    "positive_weight": (
        lambda v: losses.binary_cross_entropy(X, X, positive_weight=v),
        (-1.0, NAN),
        2.0,
    ),
    "delta": (lambda v: losses.huber(X, X, delta=v), (0, NAN, INF), 1.0),
    "min_variance": (lambda v: losses.gaussian_nll(X[:, :2], X[:, :1], min_variance=v), (-1,), 0.0),
    "margin": (lambda v: losses.triplet(X, X, X, margin=v), (NAN, "a"), 1.0),
    "flip's rate": (lambda v: augment.flip(IMAGES, v, key=KEY), (1.5, NAN, -1), 1),
    "size": (lambda v: augment.cutout(IMAGES, v, key=KEY), (-1, NAN), 2),
    "std": (lambda v: augment.noise(IMAGES, v, key=KEY), (-1.0, NAN, INF), 0.1),
    "mixup's alpha": (lambda v: augment.mixup(X, X, v, key=KEY), (-1, NAN, INF), 0.2),
    "top_p": (lambda v: generation.keep_top_p(LOGITS, v), (-0.1, 1.5, NAN), 0.9),
    "draw's top_p": (lambda v: generation.draw(LOGITS, top_p=v), (2.0, NAN), 0.9),
    "temperature": (lambda v: generation.draw(LOGITS, temperature=v), (-1.0, NAN, INF), 0.0),
    "confidence": (lambda v: stats.bootstrap_interval([1.0, 1.0], v), (0, 1, 7, NAN), 0.9),
    "train_rows": (lambda v: stats.corrected_interval([1.0, 2.0], v, 2), (0, NAN, INF), 8),
    "p_values": (lambda v: stats.holm([v, 0.1]), (-0.5, 1.5), 0.5),
    "sparsity": (lambda v: initializers.sparse(v), (-0.1, 1.5, NAN, "a"), 0.5),
    "module's dropout_rate": (lambda v: modules.Dropout(v, rngs=nnx.Rngs(0)), ("a", NAN, 2), 0.5),
}
INTEGERS = {
    "groups": (lambda v: layers.group_norm(X, v), (0, 2.0, "a", -1), 3),
    "conv's groups": (lambda v: layers.conv(IMAGES, jnp.ones((2, 1, 1)), groups=v), (0, 1.0), 1),
    "features": (lambda v: layers.maxout(X, v), (0, 1.0), 3),
    "padding": (lambda v: augment.crop(IMAGES, v, key=KEY), (-1, 1.0, (1, 1), 4), 1),
    "top_k": (lambda v: generation.keep_top_k(LOGITS, v), (0, 4, 1.0), 3),
    "draw's top_k": (lambda v: generation.draw(LOGITS, top_k=v), (0, 4), 3),
    "bins": (metrics.expected_calibration_error, (0, 2.5), 15),
    "resamples": (lambda v: stats.bootstrap_interval([1.0, 1.0], resamples=v), (0, 1.5), 9),
    "rank": (
        lambda v: modules.LoRA(modules.Dense(2, 2, rngs=nnx.Rngs(0)), v, rngs=nnx.Rngs(0)),
        (0, 1.5),
        1,
    ),
}


@pytest.mark.parametrize("name", [*NUMBERS, *INTEGERS])
def test_a_setting_that_makes_no_sense_is_refused_in_one_sentence(name, any_types):
    call, wrong, right = {**NUMBERS, **INTEGERS}[name]
    subject = name.split("'s ")[-1].removeprefix("module's ")
    numbers = [v for v in wrong if name in NUMBERS and isinstance(v, float | int)]
    for value in (*wrong, *map(np.float32, numbers)):
        with pytest.raises(ValueError, match=rf"^({subject}|train_rows and).* must be .*got"):
            call(value)
    jax.eval_shape(lambda: (call(right), 0)[1])  # traced only


def test_the_value_of_a_concrete_array_is_checked_and_a_traced_one_passes():
    with pytest.raises(ValueError, match=r"rate must be between 0 and 1, got 1\.5"):
        layers.dropout(X, jnp.float32(1.5), key=KEY)
    with pytest.raises(ValueError, match=r"rate must be one number .* shape \(2,\)"):
        jax.jit(lambda v: check_number("rate", v, SHARE))(jnp.ones(2))
    assert jax.jit(lambda rate: layers.dropout(X, rate, key=KEY))(1.5).shape == X.shape
    assert check_integer("groups", jnp.array(3)) == 3
    with pytest.raises(TypeError, match="groups must be a positive integer, got a traced value"):
        jax.jit(lambda v: check_integer("groups", v))(3)


def test_a_setting_of_a_wrong_type_is_a_type_error_and_a_value_error():
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match="rate must be a number between 0 and 1, got 'a'"):
            check_number("rate", "a", SHARE)
        with pytest.raises(kind, match="groups must be a positive integer, got True"):
            check_integer("groups", True)


SQUARE, KERNEL = [[1.0, 2.0], [3.0, 4.0]], [[1.0], [1.0]]
SPACE = [[[1.0], [2.0], [3.0]]]
HEADS = [[[1.0, 0.0]], [[0.0, 1.0]]]
PARAMS = {"input_kernel": [[1.0]], "recurrent_kernel": [[1.0]]}
OF_LISTS = {
    "dense": lambda of: layers.dense(of(SQUARE), of(KERNEL), of([1.0])),
    "embedding": lambda of: layers.embedding(of([0, 1]), of(SQUARE)),
    "lora": lambda of: layers.lora(of(SQUARE), of(SQUARE), of(KERNEL), of([[1.0, 1.0]])),
    "conv": lambda of: layers.conv(of(SPACE), of([[[1.0]]]), of([1.0])),
    "layer_norm": lambda of: layers.layer_norm(of(SQUARE), of([1.0, 2.0])),
    "rms_norm": lambda of: layers.rms_norm(of(SQUARE)),
    "batch_norm": lambda of: layers.batch_norm(of(SQUARE), of([0.0, 1.0]), of([1.0, 1.0])),
    "max_pool": lambda of: layers.max_pool(of(SPACE), 2),
    "avg_pool": lambda of: layers.avg_pool(of(SPACE), 2),
    "attention": lambda of: layers.attention(
        of(HEADS), of(HEADS), of(HEADS), mask=of([True, True])
    ),
    "rnn": lambda of: layers.rnn(of(KERNEL), {k: of(v) for k, v in PARAMS.items()})[1],
    "maxout": lambda of: layers.maxout(of(SQUARE), 1),
    "sparsemax": lambda of: layers.sparsemax(of(SQUARE)),
    "dropout": lambda of: layers.dropout(of(SQUARE), 0.5, key=KEY),
    "cross-entropy": lambda of: losses.softmax_cross_entropy(of(SQUARE), of([0, 1])),
    "squared_error": lambda of: losses.squared_error(of(SQUARE), of(SQUARE)),
    "quantile": lambda of: losses.quantile(of(SQUARE), of([1.0, 2.0]), q=(0.1, 0.9)),
    "ctc": lambda of: losses.ctc(of([SQUARE]), of([[1]]), lengths=of([2])),
    "triplet": lambda of: losses.triplet(of(SQUARE), of(SQUARE), of(SQUARE)),
    "balanced": lambda of: losses.balanced_class_weights(of([0, 1, 1]), 2),
    "accuracy": lambda of: metrics.accuracy(of(SQUARE), of([0, 1]), of([1.0, 2.0])),
    "f1": lambda of: metrics.f1()(of(SQUARE), of([0, 1])),
    "rmse": lambda of: metrics.rmse(of(SQUARE), of(SQUARE)),
    "flip": lambda of: augment.flip(of(SQUARE), key=KEY, axis=1),
    "crop": lambda of: augment.crop(of(SPACE), 1, key=KEY),
    "mixup": lambda of: augment.mixup(of(SQUARE), of(KERNEL), 1.0, key=KEY)[0],
    "keep_top_p": lambda of: generation.keep_top_p(of([1.0, 2.0]), 0.5),
}


@pytest.mark.parametrize("name", OF_LISTS)
def test_a_nested_list_is_an_array(name, any_types):
    of_lists, of_arrays = (
        jax.eval_shape(functools.partial(OF_LISTS[name], kind)) for kind in (list, jnp.array)
    )
    assert of_lists == of_arrays


def test_integers_of_64_bits_stay_on_their_side(any_types):
    wide = as_array(np.array([2**40, -(2**40), 3]))
    np.testing.assert_array_equal(wide, [2**31 - 1, -(2**31), 3])
    table = jnp.arange(3.0)[:, None]
    np.testing.assert_array_equal(
        layers.embedding(np.array([2**40, -(2**40)]), table), [[2.0], [0.0]]
    )
    loss = losses.softmax_cross_entropy(jnp.zeros((2, 2)), np.array([2**32, 1]))
    np.testing.assert_allclose(loss, [0, np.log(2)], rtol=1e-6)


SENTENCES = {
    "no output": (lambda: layers.conv(IMAGES, jnp.ones((2, 1, 0))), "kernel must have inputs"),
    "no dim": (
        lambda: layers.attention(*[jnp.ones((2, 1, 0))] * 2, jnp.ones((2, 1, 3))),
        "dim of 1 or more",
    ),
    "no row": (lambda: layers.embedding(jnp.array([0]), jnp.ones((0, 2))), "table must be"),
    "rows": (lambda: augment.mixup(X, X[:1], 1.0, key=KEY), "as many rows, got shapes"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_an_empty_or_unequal_array_is_one_sentence(name, any_types):
    call, sentence = SENTENCES[name]
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_prompt_of_unknown_ids_is_refused():
    class Constant:
        def start(self, batch, capacity):
            return ()

        def decode(self, ids, cache):
            return jnp.zeros((*ids.shape, 5)), cache

    with pytest.raises(ValueError, match=r"ids from 0 to 4, .* got 9"):
        jnn.generate(Constant(), jnp.array([[1, 9]]), 2)
    with pytest.raises(ValueError, match=r"ids from 0 to 4, .* got -1"):
        jnn.generate_sliding(lambda ids: jnp.zeros((*ids.shape, 5)), jnp.array([[-1]]), 2, 3)
    assert jnn.generate(Constant(), jnp.array([[1, 4]]), 2).shape == (1, 2)
