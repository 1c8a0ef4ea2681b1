"""The forms of the functions that a study is made of."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import optax

PathLike = str | os.PathLike[str]

Loss = Callable[[Any, Any], jax.Array]
"""`loss(outputs, targets) -> losses [rows, ...]`."""

Penalty = Callable[[Any, Mapping[str, Any]], jax.Array]
"""`penalty(params, h) -> scalar`, with the member's hyper-parameters h."""

Objective = Callable[[Callable[..., Any], Any], tuple[jax.Array, Any]]
"""`objective(forward, batch) -> (losses [rows, ...], model_state)`.

`forward(x, draw=0) -> (outputs, model_state)`; each draw has dropout masks of its own.
"""

OptimizerFactory = Callable[[Any], optax.GradientTransformation]
"""`optimizer(h) -> optax.GradientTransformation`, with the member's hyper-parameters h."""


class Augment(Protocol):
    """`augment(batch, *, key) -> batch` with as many rows."""

    def __call__(self, batch: Any, *, key: jax.Array) -> Any: ...
