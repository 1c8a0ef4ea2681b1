"""What a trained classifier sees in examples: its features, and the modes that it names."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jnn._settings import check_integer
from jnn.engine import Trained, make_forward, programs_of
from jnn.gan._check import check_result, kind_of
from jnn.gan._mixtures import covered, no_counts, unevenness
from jnn.metrics import Metric
from jnn.model import as_model
from jnn.result import Result
from jnn.study import check_call

Classify = Callable[[jax.Array], jax.Array]
"""A function from examples to the number of a mode, int [rows]."""


def features_of(
    result: Result, model: Any = None, *, member: int = 0
) -> Callable[[jax.Array], jax.Array]:
    """Return a trained network as a function of examples, for the scores of this module.

    Args:
        result: What a study has learned on the same data, with its preprocessing.
        model: The network without its last layers, such as
            `functools.partial(jnn.models.LeNet, (28, 28, 1), None)`, which takes the parameters of
            the same names; by default the whole network, whose outputs are logits.
        member: Which of the members.

    Raises:
        ValueError: If the network has a parameter that the trained one lacks or has in another
            shape, or if the study has a trainer of its own.
    """
    check_result(result)
    one = result.member(member)
    study = programs_of(one.parts[0].known_study()).study
    if study.trainer is not None:
        raise ValueError(
            "result must be of supervised training, such as that of a classifier, got one of a "
            "study with a trainer."
        )
    trained: Trained = jax.tree.map(lambda array: jnp.asarray(array[0]), one.trained)
    if model is not None:
        study = dataclasses.replace(study, model=as_model(model))
        x = jnp.zeros((2, *result.schema.x.shape), jnp.float32)
        shapes = jax.eval_shape(study.model.init, jax.random.key(0), x)
        params, model_state = (
            _picked(shape, full)
            for shape, full in zip(shapes, (trained.params, trained.model_state), strict=True)
        )
        trained = trained._replace(params=params, model_state=model_state)
    forward = make_forward(study)
    apply = jax.jit(lambda trained, x: forward(trained, x)[0])
    return functools.partial(apply, trained)


def frechet(features: Callable[[jax.Array], jax.Array]) -> Metric:
    """Return the score: squared Frechet distance of features of generated and real examples.

    It is `jnn.gan.frechet_distance` in float32, for the curve over the epochs.

    Args:
        features: Function from examples to features [rows, dimensions], such as `features_of`.
    """
    check_call("features", features, "features(x)", 1)
    update = functools.partial(_add_moments, features)
    doc = "Squared Frechet distance between the features of generated and of real examples."
    return Metric(_no_moments, update, _distance, False, None, doc=doc, name="frechet")


def classified_modes(classify: Classify, count: int) -> Metric:
    """Return the score: number of modes that a classifier sees among the examples.

    Args:
        classify: Function from examples to the numbers of their modes, integers [rows]; those of
            an example that shows no mode are below 0.
        count: How many modes there are.
    """
    doc = "Number of modes that a classifier sees."
    return _counting(classify, count, covered, doc, "classified_modes", higher_is_better=True)


def classified_kl(classify: Classify, count: int) -> Metric:
    """Return the score: how unevenly the examples are spread over the modes of a classifier.

    sum_i p_i log(p_i count),  p_i the share of mode i

    Args:
        classify: Function from examples to the numbers of their modes, [rows].
        count: How many modes there are.
    """
    doc = "Kullback-Leibler divergence of the shares of the modes from equal ones."
    return _counting(classify, count, unevenness, doc, "classified_kl", higher_is_better=False)


def by_channels(classify: Classify, classes: int = 10) -> Classify:
    """Return the classifier of stacked images: one class for each channel, read as one number.

    Images of three digits have 1000 modes, the numbers from 0 to 999 that they show.

    Args:
        classify: Function from images of one channel to classes, [rows], or to logits
            [rows, classes].
        classes: Number of classes of a channel.
    """
    check_integer("classes", classes, 2)
    check_call("classify", classify, "classify(x)", 1)

    def number(x: jax.Array) -> jax.Array:
        channels = jnp.moveaxis(x, -1, 0)[..., None]  # [channels, rows, height, width, 1]
        answers = classify(channels.reshape(-1, *channels.shape[2:]))
        labels = answers.argmax(axis=-1) if answers.ndim == 2 else answers
        digits = labels.reshape(len(channels), -1)
        return functools.reduce(lambda total, digit: classes * total + digit, digits)

    return number


def _picked(shapes: Any, source: Any) -> Any:
    """Return the arrays of a nested dict that a smaller one names."""
    if not isinstance(shapes, Mapping):
        if shapes.shape != source.shape:
            raise ValueError(
                f"model must be a part of the trained network, which has an array {source.shape} "
                f"where model has one {shapes.shape}. Leave out last layers only."
            )
        return source
    missing = sorted(shapes.keys() - source.keys())
    if missing:
        raise ValueError(
            f"model must be a part of the trained network, which has no {missing[0]!r} among "
            f"{sorted(source)}. Leave out last layers only."
        )
    return {name: _picked(shape, source[name]) for name, shape in shapes.items()}


def _counting(
    classify: Classify,
    count: int,
    value: Callable[[Any], jax.Array],
    doc: str,
    name: str,
    *,
    higher_is_better: bool,
) -> Metric:
    check_call("classify", classify, "classify(x)", 1)
    return Metric(
        functools.partial(no_counts, check_integer("count", count)),
        functools.partial(_add_modes, classify),
        value,
        higher_is_better,
        None,
        doc=doc,
        name=name,
    )


def _add_modes(
    classify: Classify, sums: Any, examples: jax.Array, real: Any, weights: Any = None
) -> Any:
    del real
    weights = jnp.ones(len(examples), jnp.float32) if weights is None else weights
    counts, total = sums
    is_finite = jnp.isfinite(examples).all(axis=tuple(range(1, examples.ndim)))
    total = total + jnp.where((~is_finite & (weights > 0)).any(), jnp.nan, weights.sum())
    modes = jnp.asarray(classify(examples))
    if modes.shape != weights.shape or not jnp.issubdtype(modes.dtype, jnp.integer):
        raise ValueError(
            f"classify must return the number of a mode for each of the {len(weights)} rows, got "
            f"{kind_of(modes)}. Take for example logits.argmax(axis=-1)."
        )
    modes = jnp.where(modes < 0, len(counts), modes)  # which is dropped, as those above are
    return counts.at[modes].add(weights, mode="drop"), total


def _no_moments() -> Any:
    zero = jnp.float32(0)
    return (zero, zero), (zero, zero), (zero, zero)


def _add_moments(
    features: Callable[[jax.Array], jax.Array],
    sums: Any,
    examples: jax.Array,
    real: jax.Array,
    weights: Any = None,
) -> Any:
    """Add the rows' weights and their squares, and for both sides features and their products."""
    weights = jnp.ones(len(examples), jnp.float32) if weights is None else weights

    def added(old: Any, x: jax.Array) -> Any:
        found = jnp.asarray(features(x))
        if found.ndim != 2 or len(found) != len(weights):
            raise ValueError(
                f"features must return [rows, dimensions] for {len(weights)} rows, got the shape "
                f"{found.shape}. Flatten each row."
            )
        rows = jnp.where(weights[:, None] > 0, found.astype(jnp.float32), 0)
        weighted = rows * weights[:, None]
        return old[0] + weighted.sum(axis=0), old[1] + weighted.T @ rows

    (total, squares), of_examples, of_real = sums
    of_weights = total + weights.sum(), squares + (weights**2).sum()
    return of_weights, added(of_examples, examples), added(of_real, real)


def _distance(sums: Any) -> jax.Array:
    (total, squares), *sides = sums
    freedom = total - squares / total  # rows - 1, if all weigh 1

    def moments(sums: Any) -> tuple[jax.Array, jax.Array]:
        mean = sums[0] / total
        return mean, (sums[1] - total * jnp.outer(mean, mean)) / freedom

    (mean, covariance), (other_mean, other) = map(moments, sides)
    values, vectors = jnp.linalg.eigh(covariance)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))
    shared = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(root.T @ other @ root), 0)).sum()
    gap = mean - other_mean
    return gap @ gap + jnp.trace(covariance) + jnp.trace(other) - 2 * shared
