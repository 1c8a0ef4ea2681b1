"""The zero-cost scores of many architectures as one compiled program."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import _settings
from jnn.losses import softmax_cross_entropy
from jnn.model import Model, as_model, check_numbers
from jnn.search._layers import visited
from jnn.search._saliency import (
    Apply,
    Loss,
    Params,
    checked_batch,
    checked_numbers,
    checked_rows,
    count_equal,
    count_fisher,
    hessian_product,
    is_weight,
    log_determinant,
    loss_of,
    split_weights,
    spread_of_jacobians,
    sum_of_norms,
    sum_of_products,
    synaptic_flow,
)

NAMES = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "naswot")
# For XLA:CPU, which takes minutes to compile a cell space otherwise.
_QUICK = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
_OF_GRADIENT = ("grad_norm", "snip", "grasp", "fisher")


def scores(
    network: Any,
    x: Any,
    y: Any,
    settings: Mapping[str, Sequence[float]] | None = None,
    *,
    by: Sequence[str] = NAMES,
    key: jax.Array | None = None,
    loss: Callable[[jax.Array, jax.Array], jax.Array] = softmax_cross_entropy,
    stacked: Mapping[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """Return the zero-cost scores of the members of a network, in one compiled program.

    The members are scored one after the other, so that a `lax.switch` on a member's number
    computes only the branch that is taken. Each draws its own parameters. Scores that need the same
    gradient share it.

    Args:
        network: Network in any form that a study takes.
        x: Rows [rows, ...] of one batch.
        y: Targets [rows, ...].
        settings: The members' numbers by their names, each [members], such as the choices of an
            architecture; None for one member with the network's own numbers.
        by: Names of the scores.
        key: Random key, from which each member's key is split; by default `jax.random.key(0)`.
        loss: Loss of each row.
        stacked: See `grad_norm`.

    Returns:
        The scores by their names, float64 [members].

    Raises:
        ValueError: If a score has another name, settings have different lengths or names that the
            network does not read, or the network or the batch does not suit a score.
    """
    by = _checked_names(by)
    model = as_model(network)
    numbers, members = _checked_settings(model, settings or {})
    x, y = jnp.asarray(x), jnp.asarray(y)
    key = jax.random.key(0) if key is None else key
    _check_network(model, x, y, numbers, by, loss)
    make = _program if _is_hashable(network, loss) else _program.__wrapped__
    program = make(network, by, loss, tuple(sorted((stacked or {}).items())))
    results = program(jax.random.split(key, members), numbers, x, y)
    return {name: np.asarray(results[name], np.float64) for name in by}


@functools.lru_cache(maxsize=16)
def _program(network: Any, by: tuple[str, ...], loss: Any, stacked: tuple) -> Any:
    """Return the compiled function of (keys [members], numbers, x, y)."""
    model, stacked_axes = as_model(network), dict(stacked)

    def member(key: jax.Array, numbers: Any, x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
        params, state = model.init(key, x)
        return _scores_of(model, params, state, numbers, x, y, by, loss, stacked_axes)

    def all_members(keys: jax.Array, numbers: Any, x: jax.Array, y: jax.Array) -> Any:
        return jax.lax.map(lambda pair: member(pair[0], pair[1], x, y), (keys, numbers))

    is_host = jax.default_backend() == "cpu"
    return jax.jit(all_members, compiler_options=_QUICK if is_host else None)


def _is_hashable(*parts: Any) -> bool:
    try:
        hash(parts)
    except TypeError:
        return False
    return True


def _scores_of(
    model: Model,
    params: Any,
    state: Any,
    numbers: Any,
    x: Any,
    y: Any,
    by: Any,
    loss: Any,
    stacked: Any,
) -> dict[str, jax.Array]:
    def train(params: Any, x: jax.Array) -> jax.Array:
        return model.apply(params, state, x, key=None, train=True, hyper=numbers)[0]

    def evaluate(params: Any, x: jax.Array) -> jax.Array:
        params = without_norms(params, state.get("batch_stats", state))
        return model.apply(params, state, x, key=None, train=False, hyper=numbers)[0]

    results = {}
    if set(by) & set(_OF_GRADIENT):
        results.update(of_gradient(train, params, x, y, by, loss, stacked))
    if set(by) & {"jacob_cov", "naswot"}:
        results.update(of_rows(train, params, x, by))
    if "synflow" in by:
        results["synflow"] = synaptic_flow(evaluate, params, x, is_weight)
    return results


def of_gradient(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    by: Sequence[str],
    loss: Loss,
    stacked: Mapping[str, int],
) -> dict[str, jax.Array]:
    """Return those scores that need the gradient of the loss, from one gradient."""
    weights, merge = split_weights(params, is_weight)

    def total(weights: Any, counter: jax.Array) -> jax.Array:
        def logits(x: jax.Array) -> jax.Array:
            return apply(merge(weights), x)

        if "fisher" not in by:
            return loss(logits(x), y).mean()
        return loss(visited(logits, x, "layer", count_fisher, counter)[0], y).mean()

    grads, count = jax.grad(total, (0, 1))(weights, jnp.zeros(()))
    results = {
        "grad_norm": sum_of_norms(grads, stacked),
        "snip": sum_of_products(weights, grads),
        "fisher": count,
    }
    if "grasp" in by:
        gradient = jax.grad(loss_of(apply, merge, x, y, loss))
        results["grasp"] = hessian_product(gradient, weights, grads)
    return {name: score for name, score in results.items() if name in by}


def of_rows(apply: Apply, params: Params, x: jax.Array, by: Sequence[str]) -> dict[str, jax.Array]:
    """Return those scores that compare the rows, from one pass."""
    rows = x.shape[0]

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        kernel = jnp.zeros((rows, rows))
        if "naswot" not in by:
            return apply(params, x).sum(), kernel
        logits, kernel = visited(lambda x: apply(params, x), x, "relu", count_equal, kernel)
        return logits.sum(), kernel

    if "jacob_cov" not in by:
        return {"naswot": log_determinant(total(x)[1])}
    jacobians, kernel = jax.grad(total, has_aux=True)(x)
    results = {"jacob_cov": spread_of_jacobians(jacobians)}
    return {**results, "naswot": log_determinant(kernel)} if "naswot" in by else results


def without_norms(params: Any, state: Any) -> Any:
    """Return the parameters with scale 1 and bias 0 where the state has a mean and a variance."""
    if not isinstance(params, Mapping) or not isinstance(state, Mapping):
        return params
    if {"mean", "var"} <= set(state):
        neutral = {"scale": jnp.ones_like, "bias": jnp.zeros_like}
        return {name: neutral.get(name, lambda a: a)(leaf) for name, leaf in params.items()}
    return {name: without_norms(part, state.get(name)) for name, part in params.items()}


def _checked_names(by: Sequence[str]) -> tuple[str, ...]:
    names = (by,) if isinstance(by, str) else tuple(by)
    wrong = [name for name in names if name not in NAMES]
    if wrong or not names:
        raise ValueError(
            f"by must name scores among {', '.join(NAMES)}, got {wrong[0] if wrong else names!r}."
        )
    return names


def _checked_settings(model: Model, settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    for name, values in settings.items():
        if np.size(values):
            _settings.check_numbers(f"settings[{name!r}]", values)
    numbers = {name: jnp.asarray(values, jnp.float32) for name, values in settings.items()}
    shapes = {values.shape for values in numbers.values()} or {(1,)}
    if len(shapes) > 1 or any(len(shape) != 1 or not shape[0] for shape in shapes):
        came = ", ".join(f"{name} {values.shape}" for name, values in numbers.items())
        raise ValueError(
            f"settings must hold one number for each member, in lists of equal length, got {came}."
        )
    check_numbers(model, settings)
    return numbers, next(iter(shapes))[0]


class _Reader(dict):
    """Numbers that remember which of them were read."""

    def __init__(self, numbers: Mapping[str, Any]):
        super().__init__(numbers)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def _check_network(model: Any, x: Any, y: Any, numbers: Any, by: Any, loss: Any) -> None:
    """Raise an error before anything is compiled."""
    reader = _Reader({name: values[0] for name, values in numbers.items()})
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)

    def outputs(params: Any, state: Any, x: Any) -> Any:
        return model.apply(params, state, x, key=None, train=True, hyper=reader)[0]

    checked_batch(lambda x: jax.eval_shape(outputs, *shapes, x), x, y, loss)
    jax.eval_shape(outputs, *shapes, x)
    unread = sorted(set(numbers) - reader.names)
    if unread:
        raise ValueError(
            f"settings must name numbers that the network reads, got {', '.join(unread)}, which "
            f"{model.name} does not. Use names of its jnn.Hyper variables."
        )
    for name in by:
        if name in ("jacob_cov", "naswot"):
            checked_rows(x, name)
        elif name == "synflow":
            checked_numbers(x, name)
