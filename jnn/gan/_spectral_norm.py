"""Spectral normalization of a network's kernels."""

from typing import Any

import jax
import jax.numpy as jnp

from jnn import paths
from jnn.model import Model, TrainKeyword, as_model, take_effects, with_effects

_NETWORK, _VECTORS = "network", "spectral_norm"
_TINY = 1e-12


def spectral_norm(
    network: Any,
    pattern: paths.Patterns | None = None,
    *,
    train_keyword: TrainKeyword = None,
) -> Model:
    """Return a network whose kernels are divided by their largest singular value.

    w / sigma,  sigma = u . W v,  v = W' u / |W' u|,  u = W v / |W v|

    W is the kernel as a matrix with one row for each output, its last axis. In training each call
    takes one step of the power iteration from the u of the call before, as
    `torch.nn.utils.spectral_norm` does; no gradient flows through u and v. Names and shapes of the
    parameters stay those of the network.

    Miyato et al. (2018), https://arxiv.org/abs/1802.05957

    Args:
        network: Of any form that `jnn.as_model` takes.
        pattern: Names of the kernels, see `jnn.paths.match`; by default all parameters of two and
            more axes.
        train_keyword: As in `jnn.Study`.

    Raises:
        ValueError: When parameters are drawn, if a pattern fits none of them or one of fewer than
            two axes.
    """
    model = as_model(network, train_keyword=train_keyword)

    def init(key: jax.Array, x: Any, *, shared: Any = None) -> tuple[Any, Any]:
        own_key, key = jax.random.split(key)
        params, state = model.init(key, x, **_shared(shared))
        chosen = _chosen(params, pattern)
        keys = jax.random.split(own_key, len(chosen))
        pairs = zip(chosen.items(), keys, strict=True)
        vectors = {name: _first(kernel, key) for (name, kernel), key in pairs}
        return params, {_NETWORK: state, _VECTORS: vectors}

    def apply(
        params: Any, state: Any, x: Any, *, key: Any, train: bool, hyper: Any, shared: Any = None
    ) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(params)
        vectors = dict(state[_VECTORS])
        for place, name in enumerate(paths.names(params)):
            if name in vectors:
                leaves[place], vectors[name] = _divided(leaves[place], vectors[name], train=train)
        divided = jax.tree.unflatten(structure, leaves)
        options = {"key": key, "train": train, "hyper": hyper, **_shared(shared)}
        outputs, inner = model.apply(divided, state[_NETWORK], x, **options)
        inner, effects = take_effects(inner)
        state = {_NETWORK: inner, _VECTORS: vectors}
        return outputs, with_effects(state, effects, params, divided)

    return Model(init, apply, model.name, model.choices)


def _chosen(params: Any, pattern: paths.Patterns | None) -> dict[str, jax.Array]:
    """Return the kernels by name."""
    named = dict(zip(paths.names(params), jax.tree.leaves(params), strict=True))
    if pattern is None:
        return {name: leaf for name, leaf in named.items() if jnp.ndim(leaf) > 1}
    fits = jax.tree.leaves(paths.match(pattern, params))
    chosen = {name: leaf for (name, leaf), fit in zip(named.items(), fits, strict=True) if fit}
    flat = [name for name, leaf in chosen.items() if jnp.ndim(leaf) < 2]
    if flat:
        raise ValueError(
            f"pattern must name kernels of two or more axes, but {flat[0]} has fewer. Name only "
            'kernels, for example "**/kernel".'
        )
    return chosen


def _first(kernel: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
    matrix = _matrix(kernel)
    keys = jax.random.split(key)
    draws = (
        jax.random.normal(key, (size,), matrix.dtype)
        for key, size in zip(keys, matrix.shape, strict=True)
    )
    u, v = (_unit(draw) for draw in draws)
    return {"u": u, "v": v}


def _divided(
    kernel: jax.Array, vectors: dict[str, jax.Array], *, train: bool
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return a kernel over its largest singular value, and the vectors that estimated it."""
    matrix = _matrix(kernel)  # [outputs, inputs]
    u, v = vectors["u"], vectors["v"]
    if train:
        fixed = jax.lax.stop_gradient(matrix)
        v = _unit(fixed.T @ u)
        u = _unit(fixed @ v)
    sigma = u @ (matrix @ v)
    sigma = jnp.where(sigma == 0, 1, sigma)  # a kernel of zeros stays one
    return (kernel / sigma).astype(kernel.dtype), {"u": u, "v": v}


def _matrix(kernel: jax.Array) -> jax.Array:
    wide = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))
    return wide.reshape(-1, kernel.shape[-1]).T


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), _TINY)


def _shared(shared: Any) -> dict[str, Any]:
    return {} if shared is None else {"shared": shared}
