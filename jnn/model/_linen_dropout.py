"""The dropout of Linen modules: whether any of it drops, and rates that members may set."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer


class WatchedDropout:
    """An interceptor of Linen's methods that records which dropout rests.

    It also computes `nn.Dropout` whose rate is a member's number, of which Flax asks in Python
    whether it is 0 or 1.
    """

    def __init__(self) -> None:
        self._rests: list[bool] = []

    @property
    def rests(self) -> bool:
        """Whether there is dropout of a rate above 0, and none of it drops."""
        return bool(self._rests) and all(self._rests)

    def __call__(
        self,
        next_function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        context: Any,
    ) -> Any:
        module = context.module
        if context.method_name == "__call__":
            if isinstance(module, nn.Dropout):
                return self._of_dropout(module, next_function, *arguments, **keywords)
            if isinstance(module, nn.MultiHeadDotProductAttention):
                self._record(module, module.dropout_rate, keywords.get("deterministic"))
        return next_function(*arguments, **keywords)

    def _of_dropout(
        self,
        module: nn.Dropout,
        next_function: Callable[..., Any],
        inputs: jax.Array,
        deterministic: bool | None = None,
        rng: jax.Array | None = None,
    ) -> jax.Array:
        rests = self._record(module, module.rate, deterministic)
        if not isinstance(module.rate, Tracer) or rests is None:
            return next_function(inputs, deterministic, rng)
        if rests:
            return inputs
        key = module.make_rng(module.rng_collection) if rng is None else rng
        dims = {dim % inputs.ndim for dim in module.broadcast_dims}
        shape = [1 if axis in dims else size for axis, size in enumerate(inputs.shape)]
        keep_rate = 1.0 - module.rate
        mask = jax.random.bernoulli(key, keep_rate, shape)
        scale = 1.0 / jnp.where(keep_rate > 0, keep_rate, 1.0)
        scaled = (inputs * scale).astype(inputs.dtype)
        return lax.select(jnp.broadcast_to(mask, inputs.shape), scaled, jnp.zeros_like(inputs))

    def _record(self, module: Any, rate: Any, deterministic: bool | None) -> bool | None:
        """Return whether the module rests; None if it was not told."""
        rests = module.deterministic if deterministic is None else deterministic
        is_number = not isinstance(rate, Tracer)
        if rests is not None and not (is_number and rate in (0.0, 1.0)):
            self._rests.append(bool(rests))
        return rests
