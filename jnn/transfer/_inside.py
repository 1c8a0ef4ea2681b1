"""A trunk inside the program of its heads, for rows that are augmented."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jnn.model import Model
from jnn.preprocess import identity
from jnn.study import Study
from jnn.transfer._trunk import Trunk


def inside(heads: Study, trunk: Trunk, name: str) -> Study:
    """Return the study of heads on rows: its network is the trunk followed by the head.

    The variables of the trunk are arrays that all members share. It computes as when it is scored,
    without dropout and with running averages, and no gradient passes it.

    Raises:
        ValueError: If the trunk is no network, or the study preprocesses features.
    """
    if trunk.model is None:
        raise ValueError(
            f"Study.augment changes the rows in training, so the trunk {name!r} must be a network "
            "that runs inside the program. Give the pair (network, parameters), or leave augment "
            "out."
        )
    if heads.inputs is not identity:
        raise ValueError(
            f"Study.inputs would preprocess the rows and not the features of the trunk {name!r}, "
            "because augment puts the trunk inside the program. Normalize within the head."
        )
    network, head = trunk.model, heads.model

    def features(shared: Any, x: Any) -> Any:
        y, _ = network.apply(*shared["trunk"], x, key=None, train=False, hyper={})
        return jax.lax.stop_gradient(y)

    def own(shared: Any) -> dict[str, Any]:
        return {"shared": shared["own"]} if "own" in shared else {}

    def init(key: Any, x: Any, *, shared: Any = None) -> Any:
        shapes = jax.eval_shape(features, shared, x)
        rows = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        return head.init(key, rows, **own(shared))

    def apply(params: Any, state: Any, x: Any, *, shared: Any = None, **options: Any) -> Any:
        return head.apply(params, state, features(shared, x), **options, **own(shared))

    arrays = {"trunk": trunk.variables}
    if heads.shared is not None:
        arrays["own"] = heads.shared
    model = Model(init, apply, f"{head.name} on {network.name}", head.choices)
    return dataclasses.replace(heads, model=model, shared=arrays, train_keyword=None)
