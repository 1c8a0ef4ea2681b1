"""Zero-cost scores: how good an architecture may be, from one batch and without any training.

Every score is a pure function of a network's `apply(params, x) -> logits`, its initial parameters
and a batch, `score(apply, params, x, y)`; higher is better. `scores` computes them for many members
of a network, in any of the forms that a study takes, as one compiled program:

    zero_cost.scores(jnn.models.CellNet, x, y, {"edge_1": [0, 3], "edge_2": [1, 4]})

Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS (2021), https://arxiv.org/abs/2101.08134,
as their code computes them: the network trains (batch normalization by the statistics of the
batch), the loss is the mean over the batch, and a score adds up over the *weights* of linear layers
and convolutions, without biases and normalization. By default the weights are the parameters with
two or more axes, but for those whose name begins with bias, scale or embedding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jnn._settings import known
from jnn.losses import softmax_cross_entropy
from jnn.search._layers import Site, visited
from jnn.search._zero_cost_scores import scores

__all__ = ["fisher", "grad_norm", "grasp", "jacob_cov", "naswot", "scores", "snip", "synflow"]

Params = Any
Apply = Callable[[Params, jax.Array], jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]
IsWeight = Callable[[tuple[str, ...], jax.Array], bool]

_SMALLEST = 1e-5  # added to eigenvalues, as in the published code


def __dir__() -> list[str]:
    return __all__


def is_weight(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Return whether a parameter is the weight of a linear layer or a convolution."""
    return jnp.ndim(leaf) >= 2 and not path[-1].startswith(("bias", "scale", "embedding"))


def grad_norm(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    *,
    loss: Loss = softmax_cross_entropy,
    is_weight: IsWeight = is_weight,
    stacked: Mapping[str, int] | None = None,
) -> jax.Array:
    """Return the norms of the gradient, added up over layers: sum over l of |dL/dw_l|_2.

    Args:
        apply: `apply(params, x) -> logits`, in training mode.
        params: Parameters.
        x: Rows [rows, ...].
        y: Targets [rows, ...].
        loss: Loss of each row.
        is_weight: `is_weight(path, leaf)` tells the weights among the parameters.
        stacked: Number of leading axes that count layers, for parameters of stacked layers, by any
            name in their path, such as `{"stages": 2}`.

    Raises:
        ValueError: If there are no weights, no rows, or labels that are no class.
    """
    weights, merge = _split(params, is_weight)
    _check_batch(lambda x: apply(params, x), x, y, loss)
    return _sum_of_norms(jax.grad(_loss_of(apply, merge, x, y, loss))(weights), stacked or {})


def snip(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    *,
    loss: Loss = softmax_cross_entropy,
    is_weight: IsWeight = is_weight,
) -> jax.Array:
    """Return how much the loss depends on the weights: sum of |w dL/dw|.

    Lee et al. (2019), https://arxiv.org/abs/1810.02340. The arguments are those of `grad_norm`.
    """
    weights, merge = _split(params, is_weight)
    _check_batch(lambda x: apply(params, x), x, y, loss)
    return _sum_of_products(weights, jax.grad(_loss_of(apply, merge, x, y, loss))(weights))


def grasp(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    *,
    loss: Loss = softmax_cross_entropy,
    is_weight: IsWeight = is_weight,
) -> jax.Array:
    """Return the product of the weights with Hessian and gradient: -sum of w (H dL/dw).

    H is the Hessian of the loss in the weights. Wang et al. (2020),
    https://arxiv.org/abs/2002.07376, with the sign of Abdelfattah et al. The arguments are those of
    `grad_norm`.
    """
    weights, merge = _split(params, is_weight)
    _check_batch(lambda x: apply(params, x), x, y, loss)
    gradient = jax.grad(_loss_of(apply, merge, x, y, loss))
    return _grasp(gradient, weights, gradient(weights))


def fisher(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    *,
    loss: Loss = softmax_cross_entropy,
) -> jax.Array:
    """Return how much the loss depends on the channels of the layers' outputs.

    sum over layers and channels c of n_c / 2 mean over rows of (sum over positions of a dL/da)^2

    a is the output of a linear layer or a convolution, with its bias, and n_c the number of weights
    of a channel: in the published code every weight has the value of its channel. Turner et al.
    (2020), https://arxiv.org/abs/1906.04113.

    Layers are found in the program of the network: products of values that depend on x with a
    kernel that does not. So the product of queries and keys is no layer, and a layer inside a
    `while_loop` cannot be seen. The arguments are those of `grad_norm`.

    Raises:
        ValueError: If there is no such layer, no rows, or labels that are no class.
    """
    _check_batch(lambda x: apply(params, x), x, y, loss)

    def total(counter: jax.Array) -> jax.Array:
        logits, _ = visited(lambda x: apply(params, x), x, "layer", _count_fisher, counter)
        return loss(logits, y).mean()

    return jax.grad(total)(jnp.zeros(()))


def synflow(
    apply: Apply, params: Params, x: jax.Array, *, is_weight: IsWeight = is_weight
) -> jax.Array:
    """Return the synaptic flow: sum of |w dR/dw|, where R is the sum of the logits of ones.

    All parameters are replaced by their absolute values, and x by one row of ones: no data is
    needed. The network must be without batch normalization: pass `apply` in evaluation mode with
    means of 0 and variances of 1, as at the start. It is computed in float64, which deep networks
    need, and the result is float64 also where JAX's default is float32. Tanaka et al. (2020),
    https://arxiv.org/abs/2006.05467.

    Args:
        apply: `apply(params, x) -> logits`, in evaluation mode.
        params: Parameters.
        x: Rows [rows, ...], of which only the shape is used.
        is_weight: `is_weight(path, leaf)` tells the weights among the parameters.
    """
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.abs(a.astype(jnp.float64)), params)
        weights, merge = _split(wide, is_weight)
        ones = jnp.ones((1, *x.shape[1:]), jnp.float64)
        flow = jax.grad(lambda weights: apply(merge(weights), ones).sum())(weights)
        return _sum_of_products(weights, flow)


def jacob_cov(apply: Apply, params: Params, x: jax.Array) -> jax.Array:
    """Return how differently the rows are mapped, by the correlation of their Jacobians.

    -sum over i of (log(v_i + k) + 1 / (v_i + k)),  k = 1e-5

    v are the eigenvalues of the correlation matrix of the rows' gradients d(sum of logits) / dx,
    in float64. Mellor et al. (2020), first version, https://arxiv.org/abs/2006.04647v1.

    Args:
        apply: `apply(params, x) -> logits`, in training mode.
        params: Parameters.
        x: Rows [rows, ...], at least 2.

    Raises:
        ValueError: If there are fewer than 2 rows.
    """
    _check_rows(x, "jacob_cov")
    return _jacob_cov(jax.grad(lambda x: apply(params, x).sum())(x))


def naswot(apply: Apply, params: Params, x: jax.Array) -> jax.Array:
    """Return how differently the rows activate the ReLUs: log |det K|.

    K_ij = number of ReLUs that are active for both rows i and j, or for neither

    Mellor et al. (2021), https://arxiv.org/abs/2006.04647. The determinant is computed in float64.
    It is -inf if two rows activate the same ReLUs.

    ReLUs are found in the program of the network as max(x, 0) of an array with the rows first.
    Those that are computed and then masked count too, but not those of a branch of `lax.switch`
    that is not taken. The arguments are those of `jacob_cov`.

    Raises:
        ValueError: If there are fewer than 2 rows, or no ReLUs.
    """
    _check_rows(x, "naswot")
    rows = x.shape[0]
    kernel = jnp.zeros((rows, rows))
    return _log_det(visited(lambda x: apply(params, x), x, "relu", _count_equal, kernel)[1])


def _of_gradient(
    apply: Apply,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    by: Sequence[str],
    loss: Loss,
    stacked: Mapping[str, int],
) -> dict[str, jax.Array]:
    """Return those scores that need the gradient of the loss, from one gradient."""
    weights, merge = _split(params, is_weight)

    def total(weights: Any, counter: jax.Array) -> jax.Array:
        def logits(x: jax.Array) -> jax.Array:
            return apply(merge(weights), x)

        if "fisher" not in by:
            return loss(logits(x), y).mean()
        return loss(visited(logits, x, "layer", _count_fisher, counter)[0], y).mean()

    grads, count = jax.grad(total, (0, 1))(weights, jnp.zeros(()))
    results = {
        "grad_norm": _sum_of_norms(grads, stacked),
        "snip": _sum_of_products(weights, grads),
        "fisher": count,
    }
    if "grasp" in by:
        gradient = jax.grad(_loss_of(apply, merge, x, y, loss))
        results["grasp"] = _grasp(gradient, weights, grads)
    return {name: score for name, score in results.items() if name in by}


def _of_rows(apply: Apply, params: Params, x: jax.Array, by: Sequence[str]) -> dict[str, jax.Array]:
    """Return those scores that compare the rows, from one pass."""
    rows = x.shape[0]

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        kernel = jnp.zeros((rows, rows))
        if "naswot" not in by:
            return apply(params, x).sum(), kernel
        logits, kernel = visited(lambda x: apply(params, x), x, "relu", _count_equal, kernel)
        return logits.sum(), kernel

    if "jacob_cov" not in by:
        return {"naswot": _log_det(total(x)[1])}
    jacobians, kernel = jax.grad(total, has_aux=True)(x)
    results = {"jacob_cov": _jacob_cov(jacobians)}
    return {**results, "naswot": _log_det(kernel)} if "naswot" in by else results


def _split(
    params: Params, is_weight: IsWeight
) -> tuple[dict[tuple[str, ...], jax.Array], Callable[[Any], Params]]:
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

    def merge(weights: dict[tuple[str, ...], jax.Array]) -> Params:
        merged = [weights.get(path, leaf) for path, (_, leaf) in zip(paths, leaves, strict=True)]
        return jax.tree.unflatten(structure, merged)

    return chosen, merge


def _name(key: Any) -> str:
    return str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)))


def _loss_of(apply: Apply, merge: Any, x: jax.Array, y: jax.Array, loss: Loss) -> Any:
    """Return the mean loss as a function of the weights."""
    return lambda weights: loss(apply(merge(weights), x), y).mean()


def _sum_of_norms(grads: Any, stacked: Mapping[str, int]) -> jax.Array:
    def norms(path: tuple[str, ...], grad: jax.Array) -> jax.Array:
        lead = max((stacked.get(name, 0) for name in path), default=0)
        squares = jnp.square(grad).sum(axis=tuple(range(lead, grad.ndim)))
        return jnp.sqrt(squares).sum()

    return sum(norms(path, grad) for path, grad in grads.items())


def _sum_of_products(weights: Any, grads: Any) -> jax.Array:
    return sum(jnp.abs(weights[path] * grads[path]).sum() for path in weights)


def _grasp(gradient: Any, weights: Any, grads: Any) -> jax.Array:
    _, change = jax.jvp(gradient, (weights,), (grads,))
    return -sum((weights[path] * change[path]).sum() for path in weights)


def _count_fisher(site: Site, value: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
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


def _count_equal(site: Site, value: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Add to K how often two rows agree in whether a ReLU is active."""
    active = (site.to_rows(value) > 0).reshape(len(kernel), -1).astype(jnp.float32)
    idle = 1 - active
    return value, kernel + active @ active.T + idle @ idle.T


def _jacob_cov(jacobians: jax.Array) -> jax.Array:
    with jax.enable_x64(True):
        rows = jacobians.reshape(len(jacobians), -1).astype(jnp.float64)
        shifted = jnp.linalg.eigvalsh(jnp.corrcoef(rows)) + _SMALLEST
        return -jnp.sum(jnp.log(shifted) + 1 / shifted)


def _log_det(kernel: jax.Array) -> jax.Array:
    with jax.enable_x64(True):
        return jnp.linalg.slogdet(kernel.astype(jnp.float64))[1]


def _check_rows(x: Any, name: str) -> None:
    if jnp.ndim(x) < 2 or len(x) < 2:
        raise ValueError(
            f"x must hold at least 2 rows for {name}, which compares them, got shape "
            f"{jnp.shape(x)}. Pass a batch, such as 64 rows."
        )


def _check_batch(outputs: Callable[[jax.Array], Any], x: Any, y: Any, loss: Loss) -> None:
    """Raise an error for batches that do not fit, and for labels that are no class."""
    if jnp.ndim(x) < 2 or len(x) < 1 or jnp.ndim(y) < 1 or len(x) != len(y):
        raise ValueError(
            f"x and y must hold the same rows, one at least, got shapes {jnp.shape(x)} and "
            f"{jnp.shape(y)}. Pass one batch."
        )
    labels = known(y) if jnp.issubdtype(jnp.asarray(y).dtype, jnp.integer) else None
    if labels is None or loss is not softmax_cross_entropy:
        return
    logits = jax.eval_shape(outputs, x)
    wrong = labels[(labels < 0) | (labels >= logits.shape[-1])]
    if len(wrong):
        raise ValueError(
            f"y must hold labels from 0 to {logits.shape[-1] - 1}, as the network has "
            f"{logits.shape[-1]} outputs, got {wrong[0]:g}. Use a network with more outputs."
        )
