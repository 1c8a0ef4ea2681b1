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

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jnn.losses import softmax_cross_entropy
from jnn.search._layers import visited
from jnn.search._saliency import (
    Apply,
    IsWeight,
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
from jnn.search._zero_cost_scores import scores

__all__ = ["fisher", "grad_norm", "grasp", "jacob_cov", "naswot", "scores", "snip", "synflow"]


def __dir__() -> list[str]:
    return __all__


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
    weights, merge = split_weights(params, is_weight)
    x, y = checked_batch(lambda x: apply(params, x), x, y, loss)
    return sum_of_norms(jax.grad(loss_of(apply, merge, x, y, loss))(weights), stacked or {})


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
    weights, merge = split_weights(params, is_weight)
    x, y = checked_batch(lambda x: apply(params, x), x, y, loss)
    return sum_of_products(weights, jax.grad(loss_of(apply, merge, x, y, loss))(weights))


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
    weights, merge = split_weights(params, is_weight)
    x, y = checked_batch(lambda x: apply(params, x), x, y, loss)
    gradient = jax.grad(loss_of(apply, merge, x, y, loss))
    return hessian_product(gradient, weights, gradient(weights))


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
    x, y = checked_batch(lambda x: apply(params, x), x, y, loss)

    def total(counter: jax.Array) -> jax.Array:
        logits, _ = visited(lambda x: apply(params, x), x, "layer", count_fisher, counter)
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
    return synaptic_flow(apply, params, checked_numbers(x, "synflow"), is_weight)


def jacob_cov(apply: Apply, params: Params, x: jax.Array) -> jax.Array:
    """Return how differently the rows are mapped, by the correlation of their Jacobians.

    -sum over i of (log(v_i + k) + 1 / (v_i + k)),  k = 1e-5

    v are the eigenvalues of the correlation matrix of the rows' gradients d(sum of logits) / dx,
    in float64. It is NaN if such a gradient is constant, as that of a network that ignores its
    inputs. Mellor et al. (2020), first version, https://arxiv.org/abs/2006.04647v1.

    Args:
        apply: `apply(params, x) -> logits`, in training mode.
        params: Parameters.
        x: Rows [rows, ...], at least 2.

    Raises:
        ValueError: If there are fewer than 2 rows.
    """
    x = checked_rows(x, "jacob_cov")
    return spread_of_jacobians(jax.grad(lambda x: apply(params, x).sum())(x))


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
    x = checked_rows(x, "naswot")
    rows = x.shape[0]
    kernel = jnp.zeros((rows, rows))
    return log_determinant(visited(lambda x: apply(params, x), x, "relu", count_equal, kernel)[1])
