"""What zero-cost scores are made of: weights, sums over them, counts at layers, and checks."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jnn._settings import known
from jnn.losses import softmax_cross_entropy
from jnn.search._layers import Site

Params = Any
Apply = Callable[[Params, jax.Array], jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]
IsWeight = Callable[[tuple[str, ...], jax.Array], bool]
Weights = dict[tuple[str, ...], jax.Array]

SMALLEST = 1e-5  # added to eigenvalues, as in the published code


def is_weight(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Return whether a parameter is the weight of a linear layer or a convolution."""
    return jnp.ndim(leaf) >= 2 and not path[-1].startswith(("bias", "scale", "embedding"))


def split_weights(
    params: Params, is_weight: IsWeight
) -> tuple[Weights, Callable[[Weights], Params]]:
    """Return the weights by their paths, and a function that puts weights among the parameters."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    paths = [tuple(_name(key) for key in path) for path, _ in leaves]
    chosen = {
        path: leaf for path, (_, leaf) in zip(paths, leaves, strict=True) if is_weight(path, leaf)
    }
    if not chosen:
        raise ValueError(
            "params must hold weights, parameters with two or more axes, got "
            f"{', '.join('.'.join(path) for path in paths) or 'no parameters'}. Say is_weight=..."
        )

    def merge(weights: Weights) -> Params:
        merged = [weights.get(path, leaf) for path, (_, leaf) in zip(paths, leaves, strict=True)]
        return jax.tree.unflatten(structure, merged)

    return chosen, merge


def _name(key: Any) -> str:
    return str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)))


def loss_of(
    apply: Apply, merge: Callable[[Weights], Params], x: jax.Array, y: jax.Array, loss: Loss
) -> Callable[[Weights], jax.Array]:
    """Return the mean loss as a function of the weights."""
    return lambda weights: loss(apply(merge(weights), x), y).mean()


def sum_of_norms(grads: Weights, stacked: Mapping[str, int]) -> jax.Array:
    """Return the norms of the gradients of all layers, added up.

    Raises:
        ValueError: If stacked names no weights, or more axes than they have.
    """
    unknown = sorted(set(stacked) - {name for path in grads for name in path})
    if unknown:
        raise ValueError(
            f"stacked must name parts of the paths of weights, got {unknown[0]!r}. The weights are "
            f"{', '.join('.'.join(path) for path in grads)}."
        )
    total = jnp.zeros(())
    for path, grad in grads.items():
        lead = max((stacked.get(name, 0) for name in path), default=0)
        if not 0 <= lead < grad.ndim:
            raise ValueError(
                f"stacked must leave {'.'.join(path)} of shape {grad.shape} an axis for each "
                f"layer, got {lead}. Set it to the number of axes that count layers."
            )
        squares = jnp.square(grad).sum(axis=tuple(range(lead, grad.ndim)))
        total = total + jnp.sqrt(squares).sum()
    return total


def sum_of_products(weights: Weights, grads: Weights) -> jax.Array:
    """Return the sum of |w dw| over all weights."""
    return sum(
        (jnp.abs(weights[path] * grads[path]).sum() for path in weights), start=jnp.zeros(())
    )


def hessian_product(
    gradient: Callable[[Weights], Weights], weights: Weights, grads: Weights
) -> jax.Array:
    """Return minus the sum of w (H dw), by the derivative of the gradient in the direction dw."""
    _, change = jax.jvp(gradient, (weights,), (grads,))
    return -sum(((weights[path] * change[path]).sum() for path in weights), start=jnp.zeros(()))


def count_fisher(site: Site, value: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pass a layer's output on, whose gradient adds the layer's score to that of the counter.

    Gradients add up over all uses of a value, in loops and branches too; so the gradient of the
    counter is the sum over layers.
    """

    @jax.custom_vjp
    def tap(value: jax.Array, counter: jax.Array) -> jax.Array:
        del counter
        return value

    def forward(value: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
        del counter
        return value, value

    def backward(value: jax.Array, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
        products = site.to_rows(value * grad).sum(axis=1)  # [rows, channels]
        score = site.weights_each / 2 * jnp.square(products).mean(axis=0).sum()
        return grad, score.astype(jnp.float32)

    tap.defvjp(forward, backward)
    return tap(value, counter), counter


def count_equal(site: Site, value: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Add to K how often two rows agree in whether a ReLU is active."""
    active = (site.to_rows(value) > 0).reshape(len(kernel), -1).astype(jnp.float32)
    counts = active.sum(axis=1)
    both = active @ active.T
    neither = active.shape[1] - counts[:, None] - counts + both
    return value, kernel + both + neither


def synaptic_flow(apply: Apply, params: Params, x: jax.Array, is_weight: IsWeight) -> jax.Array:
    """Return sum of |w dR/dw| for absolute parameters and one row of ones, in float64."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.abs(a.astype(jnp.float64)), params)
        weights, merge = split_weights(wide, is_weight)
        ones = jnp.ones((1, *x.shape[1:]), jnp.float64)
        flow = jax.grad(lambda weights: apply(merge(weights), ones).sum())(weights)
        return sum_of_products(weights, flow)


def spread_of_jacobians(jacobians: jax.Array) -> jax.Array:
    """Return the score of the eigenvalues of the correlation of [rows, ...], in float64."""
    with jax.enable_x64(True):
        rows = jacobians.reshape(len(jacobians), -1).astype(jnp.float64)
        shifted = jnp.linalg.eigvalsh(jnp.corrcoef(rows)) + SMALLEST
        return -jnp.sum(jnp.log(shifted) + 1 / shifted)


def log_determinant(kernel: jax.Array) -> jax.Array:
    """Return the logarithm of the absolute determinant, in float64."""
    with jax.enable_x64(True):
        return jnp.linalg.slogdet(kernel.astype(jnp.float64))[1]


def checked_rows(x: Any, name: str) -> jax.Array:
    """Return the rows as an array; raise an error if there are fewer than 2."""
    x = jnp.asarray(x)
    if x.ndim < 2 or len(x) < 2:
        raise ValueError(
            f"x must hold at least 2 rows for {name}, which compares them, got shape "
            f"{x.shape}. Pass a batch, such as 64 rows."
        )
    return checked_numbers(x, name)


def checked_numbers(x: Any, name: str) -> jax.Array:
    """Return the rows as an array; raise an error if they are not of floating-point numbers."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"x must hold floating-point numbers for {name}, which needs a network of real inputs, "
            f"got {x.dtype}. Convert images by x.astype(jnp.float32) / 255; use another score for "
            "tokens."
        )
    return x


def checked_batch(
    outputs: Callable[[jax.Array], Any], x: Any, y: Any, loss: Loss
) -> tuple[jax.Array, jax.Array]:
    """Return the batch as arrays; raise an error if they do not fit, or a label is no class."""
    if jnp.ndim(x) < 2 or len(x) < 1 or jnp.ndim(y) < 1 or len(x) != len(y):
        raise ValueError(
            f"x and y must hold the same rows, one at least, got shapes {jnp.shape(x)} and "
            f"{jnp.shape(y)}. Pass one batch."
        )
    x, y = jnp.asarray(x), jnp.asarray(y)
    labels = known(y) if jnp.issubdtype(y.dtype, jnp.integer) else None
    if labels is None or loss is not softmax_cross_entropy:
        return x, y
    logits = jax.eval_shape(outputs, x)
    wrong = labels[(labels < 0) | (labels >= logits.shape[-1])]
    if len(wrong):
        raise ValueError(
            f"y must hold labels from 0 to {logits.shape[-1] - 1}, as the network has "
            f"{logits.shape[-1]} outputs, got {wrong[0]:g}. Use a network with more outputs."
        )
    return x, y
