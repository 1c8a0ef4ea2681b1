"""The loop of rnn, gru and lstm: one matrix product and one cell per step, with a fast gradient.

Reverse mode through a plain `lax.scan` adds `h[t-1].T @ d_product[t]` to the recurrent kernel's
gradient at every step, inside the loop, where a product of this size uses one core only. Here the
backward loop computes d_product only, and the sum over time is one large product after the loop.
Everything else is left to `jax.vjp` of the cell, so that a new cell needs no gradient of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

Carry = tuple[Array, ...]  # the hidden state first
Cell = Callable[[Carry, Array, Any], Carry]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def recur(
    cell: Cell,
    reverse: bool,
    carry: Carry,
    added: Float[Array, "time batch gates"],
    aside: Float[Array, "time batch hidden"] | None,
    kernel: Float[Array, "hidden gates"],
    inside: Bool[Array, "time batch 1"] | None,
) -> tuple[Carry, Float[Array, "time batch hidden"]]:
    """Step the cell through time.

    carry[t] = cell(carry[t-1], added[t] + hidden[t-1] @ kernel, aside[t])  where inside[t], else
    carry[t-1] y[t] = hidden[t]  where inside[t], else 0

    Args:
        cell: Elementwise function (carry, product, aside) -> carry, which must not close over
            traced values.
        reverse: Whether to start at the last step.
        carry: First carry, with the hidden state before the other parts.
        added: Part of the inputs that is added to the recurrent product.
        aside: Part of the inputs that the cell receives separately from the product.
        kernel: Recurrent kernel.
        inside: False at the steps past the end of a shorter row.
    """
    return lax.scan(partial(_step, cell, kernel), carry, (added, aside, inside), reverse=reverse)


def step_once(
    cell: Cell,
    carry: Carry,
    added: Float[Array, "1 batch gates"],
    aside: Float[Array, "1 batch hidden"] | None,
    kernel: Float[Array, "hidden gates"],
    inside: Bool[Array, "1 batch 1"] | None,
) -> tuple[Carry, Float[Array, "1 batch hidden"]]:
    """Take a single step without a loop, which forward mode can differentiate, unlike `recur`."""
    carry, y = _step(cell, kernel, carry, jax.tree.map(lambda a: a[0], (added, aside, inside)))
    return carry, y[None]


def _step(cell: Cell, kernel, carry, inputs):
    """Take one step of a scan."""
    added, aside, inside = inputs
    return _masked(cell, inside)(carry, added + carry[0] @ kernel, aside)


def _masked(cell: Cell, inside):
    """Return a cell that keeps the carry and outputs 0 past the end of a row."""

    def step(carry, product, aside):
        new = cell(carry, product, aside)
        if inside is None:
            return new, new[0]
        masked = jax.tree.map(lambda after, before: jnp.where(inside, after, before), new, carry)
        return masked, jnp.where(inside, new[0], 0)

    return step


def _recur_forward(cell, reverse, carry, added, aside, kernel, inside):
    """Run the loop, and keep the previous hidden state and the cell's pullback of each step."""

    def step(carry, inputs):
        added, aside, inside = inputs
        result, pullback = jax.vjp(_masked(cell, inside), carry, added + carry[0] @ kernel, aside)
        new, y = result
        return new, (y, carry[0], pullback)

    last, (ys, before, pullbacks) = lax.scan(step, carry, (added, aside, inside), reverse=reverse)
    return (last, ys), (before, pullbacks, kernel)


def _recur_backward(cell, reverse, residuals, cotangents):
    """Run the loop backwards, and compute the kernel's gradient in one product after it."""
    before, pullbacks, kernel = residuals
    d_last, d_ys = cotangents

    def step(d_carry, inputs):
        pullback, d_y = inputs
        (d_hidden, *d_others), d_product, d_aside = pullback((d_carry, d_y))
        return (d_hidden + d_product @ kernel.T, *d_others), (d_product, d_aside)

    d_first, (d_added, d_aside) = lax.scan(step, d_last, (pullbacks, d_ys), reverse=not reverse)
    d_kernel = jnp.einsum(
        "tbh,tbg->hg",
        before,
        d_added,
        preferred_element_type=jnp.promote_types(kernel.dtype, jnp.float32),
    )
    return d_first, d_added, d_aside, d_kernel.astype(kernel.dtype), None


recur.defvjp(_recur_forward, _recur_backward)
