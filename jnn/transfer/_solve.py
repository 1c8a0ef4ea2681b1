"""Multinomial logistic regression by L-BFGS, in directions scaled by their curvature."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jnn.transfer._sparse import product, row_sums

_CURVATURE = 0.15  # of the cross entropy along a logit, between those of guessing and of being sure
_MEMORY = 8  # pairs of differences that L-BFGS keeps
_SHRINK = 0.25  # of a step after which the loss was not less
_ROUNDING = 1e-6  # of the loss, by which float32 may err


class Problem(NamedTuple):
    """What is minimized: sum_i w_i cross_entropy(x_i W + b, y_i) + penalty |W|^2 / 2.

    Attributes:
        x: Features [rows, features], or sparse rows.
        y: Classes, one-hot [classes, rows].
        weights: Weight of each row [rows].
        penalty: Strength of the penalty.
    """

    x: Any
    y: jax.Array
    weights: jax.Array
    penalty: Any


class _Search(NamedTuple):
    """A search: the best point so far, and the step that is tried next."""

    point: jax.Array
    loss: jax.Array
    gradient: jax.Array
    memory: Any
    direction: Any
    step: jax.Array
    tried: jax.Array


def solve(
    problem: Problem, moments: jax.Array, tolerance: float, most: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the weights [classes, features], the biases [classes] and the mean loss.

    Args:
        problem: What is minimized.
        moments: Mean square of each feature, by which steps are scaled.
        tolerance: Largest entry of the gradient of the mean loss at which the search ends.
        most: Most evaluations of loss and gradient.
    """
    total = problem.weights.sum()
    curvature = jnp.append(_CURVATURE * total * moments + problem.penalty, _CURVATURE * total)
    scale = 1 / jnp.sqrt(curvature)  # the bias is the last column
    lbfgs = optax.scale_by_lbfgs(_MEMORY, scale_init_precond=False)

    def evaluate(point: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, gradient = _loss(problem, scale * point)
        return loss, scale * gradient

    def is_open(search: _Search) -> jax.Array:
        steepest = jnp.abs(search.gradient / scale).max() / total
        can_move = (search.step > 1e-3) & (search.tried < most)
        return (steepest > tolerance) & can_move

    def try_step(search: _Search) -> _Search:
        point = search.point - search.step * search.direction
        loss, gradient = evaluate(point)
        direction, memory = lbfgs.update(gradient, search.memory, point)
        after = _Search(point, loss, gradient, memory, direction, jnp.float32(1), search.tried)
        stay = search._replace(step=_SHRINK * search.step)
        is_less = loss <= search.loss + _ROUNDING * jnp.abs(search.loss)
        chosen = jax.tree.map(lambda a, b: jnp.where(is_less, a, b), after, stay)
        return chosen._replace(tried=search.tried + 1)

    start = jnp.zeros((problem.y.shape[0], len(curvature)))
    loss, gradient = evaluate(start)
    direction, memory = lbfgs.update(gradient, lbfgs.init(start), start)
    first = _Search(start, loss, gradient, memory, direction, jnp.float32(1), jnp.int32(1))
    found = jax.lax.while_loop(is_open, try_step, first)
    weights = scale * found.point
    return weights[:, :-1], weights[:, -1], found.loss / total


def _loss(problem: Problem, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the loss, and its gradient by weights whose last column is the bias.

    Rows are the last axis, along which the processor computes many at once; classes are few.
    """
    kernel, bias = weights[:, :-1], weights[:, -1:]
    logits = product(kernel, problem.x) + bias
    log_sum = jax.nn.logsumexp(logits, axis=0)
    losses = log_sum - (logits * problem.y).sum(axis=0)
    errors = problem.weights * (jnp.exp(logits - log_sum) - problem.y)
    loss = (problem.weights * losses).sum() + problem.penalty / 2 * (kernel**2).sum()
    by_kernel = row_sums(errors, problem.x, kernel.shape[1]) + problem.penalty * kernel
    return loss, jnp.concatenate([by_kernel, errors.sum(axis=1, keepdims=True)], axis=1)
