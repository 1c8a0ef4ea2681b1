"""What jnn's and Optax's defaults give, as numbers that other libraries can be measured by."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jnn

Number = Any  # a number of Python, or an array of one
RAMP = jnp.arange(8.0).reshape(1, 8, 1)  # 8 steps of one channel


def rngs() -> nnx.Rngs:
    return nnx.Rngs(0)


def kernel_deviation(**options: Any) -> Number:
    """Return the standard deviation of the first kernel of 300 inputs."""
    return jnn.modules.Dense(300, 10_000, rngs=rngs(), **options).kernel[...].std()


def bias_deviation(**options: Any) -> Number:
    dense = jnn.modules.Dense(300, 10_000, rngs=rngs(), **options)
    return nnx.to_pure_dict(nnx.state(dense))["bias"].std()


def embedding_deviation(**options: Any) -> Number:
    """Return that of vectors of 50 features."""
    return jnn.modules.Embedding(10_000, 50, rngs=rngs(), **options).embedding[...].std()


def recurrent_deviation(**options: Any) -> Number:
    """Return that of the recurrent kernel of an LSTM of 8 inputs and 100 units."""
    lstm = jnn.modules.LSTM(8, 100, rngs=rngs(), **options)
    return lstm.cells[0].dense_h.kernel[...].std()


def output_deviation(layer: Any, x: np.ndarray, **options: Any) -> Number:
    """Return the standard deviation of what a layer of norms makes of x."""
    return layer(x.shape[-1], rngs=rngs(), **options)(jnp.asarray(x)).std()


def of_deviation(deviation: float) -> np.ndarray:
    """Return 8 rows of 8 features whose rows and columns have the mean 0 and a deviation."""
    sign = (-1.0) ** (np.arange(8) + np.arange(8)[:, None])
    return (deviation * sign).astype(np.float32)


def layer_norm(deviation: float) -> Callable[..., Number]:
    return lambda **options: output_deviation(
        jnn.modules.LayerNorm, of_deviation(deviation), **options
    )


def batch_norm(deviation: float) -> Callable[..., Number]:
    return lambda **options: output_deviation(
        jnn.modules.BatchNorm, of_deviation(deviation), **options
    )


def rms_norm(deviation: float) -> Callable[..., Number]:
    return lambda **options: output_deviation(
        jnn.modules.RMSNorm, of_deviation(deviation), **options
    )


def running_mean(**options: Any) -> Number:
    """Return the running mean after ten batches of ones."""
    norm = jnn.modules.BatchNorm(1, rngs=rngs(), **options)
    for _ in range(10):
        norm(jnp.ones((4, 1)))
    return norm.mean[0]


def running_variance(**options: Any) -> Number:
    """Return the running variance after one batch of two rows, -1 and 1, with momentum 0."""
    norm = jnn.modules.BatchNorm(1, momentum=0.0, rngs=rngs(), **options)
    norm(jnp.asarray([[-1.0], [1.0]]))
    return norm.var[0]


def padded_size(**options: Any) -> int:
    """Return the number of outputs of a window of 3 over 8 steps."""
    return jnn.modules.Conv(1, 1, (3,), rngs=rngs(), **options)(RAMP).shape[1]


def strided_sums(**options: Any) -> list[float]:
    """Return the sums under a window of 3 with stride 2 over 0, 1, ..., 7."""
    conv = jnn.modules.Conv(
        1, 1, (3,), 2, kernel_init=nnx.initializers.ones, rngs=rngs(), **options
    )
    return np.asarray(conv(RAMP)).ravel().tolist()


def corner_mean(**options: Any) -> Number:
    """Return the first mean under a window of 3 over ones, padded by one on both sides."""
    ones = jnp.ones((1, 8, 1))
    return jnn.layers.avg_pool(ones, 3, padding=[(1, 1)], **options)[0, 0, 0]


def transposed(**options: Any) -> list[float]:
    """Return one step after a transposed convolution by the kernel 1, 2, 3."""
    conv = jnn.modules.ConvTranspose(1, 1, (3,), padding="VALID", rngs=rngs(), **options)
    conv.kernel[...] = jnp.asarray([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    return np.asarray(conv(jnp.ones((1, 1, 1)))).ravel().tolist()


def gelu_at(x: float) -> Callable[..., str]:
    """Return GELU(x) to four digits."""
    return lambda **options: f"{float(jnn.layers.gelu(jnp.float32(x), **options)):.4f}"


def leaky_relu(**options: Any) -> Number:
    return jnn.layers.leaky_relu(jnp.float32(-1.0), **options)


def lstm_parameters(**options: Any) -> int:
    """Return the number of parameters of an LSTM of 3 inputs and 4 units."""
    return parameters(jnn.modules.LSTM(3, 4, rngs=rngs(), **options))


def gru_parameters(**options: Any) -> int:
    return parameters(jnn.modules.GRU(3, 4, rngs=rngs(), **options))


def parameters(module: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


def dropped(**options: Any) -> str:
    """Return the share of 100,000 ones that `Dropout(0.2)` makes 0, to one digit."""
    y = jnn.modules.Dropout(0.2, rngs=rngs(), **options)(jnp.ones(100_000))
    return f"{float((y == 0).mean()):.1f}"


def open_gates(gates: int, step: Callable[[np.ndarray], Any]) -> list[Any]:
    """Return the state after a step with kernels of zeros, once for each gate that is wide open.

    Args:
        gates: Number of gates.
        step: `step(bias) -> state`, from the state 0.5, for a bias of one unit [gates].
    """
    return [step(20 * np.eye(gates, dtype=np.float32)[gate]) for gate in range(gates)]


def gru_gates(**options: Any) -> list[Number]:
    def step(bias: np.ndarray) -> Number:
        params = {"input_kernel": jnp.zeros((1, 3)), "recurrent_kernel": jnp.zeros((1, 3))}
        params["bias"] = jnp.asarray(bias)
        x, carry = jnp.zeros((1, 1, 1)), jnp.full((1, 1), 0.5)
        return jnn.layers.gru(x, params, carry, **options)[1][0, 0, 0]

    return open_gates(3, step)


def lstm_gates(**options: Any) -> list[Number]:
    def step(bias: np.ndarray) -> Number:
        params = {"input_kernel": jnp.zeros((1, 4)), "recurrent_kernel": jnp.zeros((1, 4))}
        params["bias"] = jnp.asarray(bias)
        x, state = jnp.zeros((1, 1, 1)), jnp.full((1, 1), 0.5)
        return jnn.layers.lstm(x, params, (state, state), **options)[1][0, 0, 0]

    return open_gates(4, step)


def kernel_shape(**options: Any) -> str:
    """Return the shape of the kernel of a convolution from 2 to 4 channels, with a window of 3."""
    return str(jnn.modules.Conv(2, 4, (3, 3), rngs=rngs(), **options).kernel.shape)


def forget_gate(**options: Any) -> Number:
    """Return the first forget gate of an LSTM for an input of zeros."""
    lstm = jnn.modules.LSTM(3, 4, rngs=rngs(), **options)
    bias = nnx.to_pure_dict(nnx.state(lstm.cells[0]))["dense_h"]["bias"]
    return jax.nn.sigmoid(bias.reshape(4, 4)[1]).mean()


def steps_of(transform: optax.GradientTransformation, gradients: list[float]) -> list[float]:
    """Return how far an optimizer moves a parameter from 1 at each gradient."""
    params, moved = jnp.ones(()), []
    state = transform.init(params)
    for gradient in gradients:
        updates, state = transform.update(jnp.float32(gradient), state, params)
        moved.append(float(np.asarray(updates)))
    return moved


def first_step(make: Callable[..., Any], gradient: float) -> Callable[..., Number]:
    """Return the size of the first step of an optimizer, in units of its rate."""
    return lambda **options: -steps_of(make(1e-3, **options), [gradient])[0] / 1e-3


def decayed(**options: Any) -> str:
    """Return what 1000 steps of AdamW at the rate 0.01 leave of a weight without a gradient."""
    moved = steps_of(optax.adamw(1e-2, **options), [0.0])[0]
    return f"{(1 + moved) ** 1000:.3f}"


def penalty_gradient(**options: Any) -> Number:
    """Return the gradient of the penalty of a weight of 1."""
    scale = options.get("scale", 1.0)
    return jax.grad(lambda w: scale * 0.01 * jnn.layers.l2(w))(jnp.float32(1.0))


def last_batch(**options: Any) -> int:
    """Return how many rows a network sees in the last batch of 100 rows in batches of 32."""

    def init(key, x):
        return {"bias": jnp.zeros(2)}, {"rows": jnp.int32(0)}

    def apply(params, state, x, *, train):
        return x + params["bias"], {"rows": jnp.int32(len(x))}

    study = jnn.Study(
        (init, apply), jnn.losses.squared_error, optax.sgd(0.1), epochs=1, batch_size=32, **options
    )
    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    return jnn.run(study, jnn.Dataset.from_arrays(x, x)).trained.model_state["rows"][0]


def divergence(**options: Any) -> Number:
    """Return the divergence of the uniform distribution over 10 classes from a sure target."""
    target = jnp.eye(10)[:4]
    return jnn.losses.kl_divergence(jnp.zeros((4, 10)), target, **options).mean()


def sure_mistake(**options: Any) -> Number:
    """Return the cross entropy of a mistake with the logit 30."""
    logits = jnp.asarray([[30.0, 0.0]])
    return jnn.losses.softmax_cross_entropy(logits, jnp.asarray([1]), **options)[0]


def clipped_norm(**options: Any) -> Number:
    """Return the norm of two gradients of norms 3 and 4 that are clipped to 1."""
    del options
    gradients = [jnp.asarray([3.0]), jnp.asarray([4.0])]
    updates, _ = optax.clip_by_global_norm(1.0).update(gradients, optax.EmptyState())
    return optax.tree.norm(updates)


def weighted_loss(**options: Any) -> Number:
    """Return the training loss of two rows of loss 1 and the weights 1 and 3."""
    model = (lambda key, x: {"bias": jnp.zeros(1)}, lambda params, x: 0 * params["bias"] + x)
    study = jnn.Study(
        model, jnn.losses.absolute_error, optax.sgd(0.0), epochs=1, batch_size=2, **options
    )
    x = np.array([[0.0], [1.0]])
    data = jnn.Dataset.from_arrays(x, x + 1, weights=np.array([1.0, 3.0]))
    return jnn.run(study, data).scores["train_loss"].item()


def step_after_the_rate_fell(**options: Any) -> Number:
    """Return the second step of SGD for the gradients 1 and 0 at the rates 1 and 0."""
    rate = optax.piecewise_constant_schedule(1.0, {1: 0.0})
    return steps_of(optax.sgd(rate, momentum=0.9, **options), [1.0, 0.0])[1]


def ranked() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities of 1000 rows, most of them below 0.01."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 1000)
    scores = labels + random.normal(size=1000)
    return labels, np.float32(0.01) / (1 + np.exp(-scores.astype(np.float32)))


def auc(**options: Any) -> str:
    del options
    labels, probabilities = ranked()
    return f"{float(jnn.metrics.roc_auc(jnp.log(probabilities), jnp.asarray(labels))):.3f}"
