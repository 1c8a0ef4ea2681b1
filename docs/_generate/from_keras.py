"""The rows of the table of defaults in `docs/from_keras.md`; see `differences`."""

from typing import Any

import keras
import numpy as np
import optax
from keras import layers, losses, ops, optimizers

from docs._generate import our_defaults as ours
from docs._generate.differences import Row

GLOROT = "kernel_init=jax.nn.initializers.glorot_uniform()"
UNIFORM = "embedding_init=lambda *args: jax.nn.initializers.uniform(0.1)(*args) - 0.05"
keras.utils.set_random_seed(0)


def array(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value), np.float32)


def number(value: Any) -> float:
    return array(value).item()


def built(layer: keras.layers.Layer, *shape: int | None) -> keras.layers.Layer:
    layer.build(shape)
    return layer


def deviation(layer: keras.layers.Layer, *shape: int | None) -> float:
    """Return the standard deviation of the first array of a layer."""
    return float(np.std(built(layer, *shape).get_weights()[0]))


def of_norm(layer: keras.layers.Layer, deviation: float) -> float:
    return number(ops.std(layer(ours.of_deviation(deviation), training=True)))


def running(place: int, x: list[float], times: int, **options) -> float:
    norm = layers.BatchNormalization(**options)
    for _ in range(times):
        norm(array(x)[:, None], training=True)
    return norm.get_weights()[place].item()


def padded_size() -> int:
    return layers.Conv1D(1, 3)(np.zeros((1, 8, 1))).shape[1]


def strided_sums() -> list[float]:
    conv = layers.Conv1D(1, 3, 2, padding="same", kernel_initializer="ones")
    return array(conv(ours.RAMP)).ravel().tolist()


def transposed() -> list[float]:
    conv = built(layers.Conv1DTranspose(1, 3, use_bias=False), None, 1, 1)
    conv.set_weights([array([1, 2, 3]).reshape(3, 1, 1)])
    return array(conv(np.ones((1, 1, 1)))).ravel().tolist()


def forget_gate() -> float:
    bias = built(layers.LSTM(4), None, 5, 3).get_weights()[2]
    return number(ops.sigmoid(bias.reshape(4, 4)[1].mean()))


def parameters(layer: keras.layers.Layer) -> int:
    return built(layer, None, 5, 3).count_params()


def gates(kind: type, count: int) -> list[float]:
    def step(bias: np.ndarray) -> float:
        layer = built(kind(1), None, 1, 1)
        shapes = [weights.shape for weights in layer.get_weights()]
        biases = np.zeros(shapes[2], np.float32)  # of a GRU [2, gates], else [gates]
        biases.reshape(-1, count)[0] = bias
        layer.set_weights([np.zeros(shapes[0]), np.zeros(shapes[1]), biases])
        half = np.full((1, 1), 0.5, np.float32)
        states = [half, half] if count == 4 else half
        return number(layer(np.zeros((1, 1, 1)), initial_state=states)[0, 0])

    return ours.open_gates(count, step)


def dropped() -> str:
    y = layers.Dropout(0.2)(np.ones(100_000), training=True)
    return f"{number(ops.mean(ops.cast(y == 0, 'float32'))):.1f}"


def steps_of(optimizer: keras.Optimizer, gradients: list[float], rates: list[float]) -> list[float]:
    """Return how far an optimizer moves a parameter from 0 at each gradient and rate."""
    weight, moved = keras.Variable(0.0), []
    for gradient, rate in zip(gradients, rates, strict=True):
        before = number(weight)
        optimizer.learning_rate = rate
        optimizer.apply([ops.convert_to_tensor(gradient)], [weight])
        moved.append(number(weight) - before)
    return moved


def first_step(make, gradient: float) -> float:
    """Return the size of the first step of an optimizer, in units of its rate."""
    return -steps_of(make(), [gradient], [1e-3])[0] / 1e-3


def decayed() -> str:
    weight, optimizer = keras.Variable(1.0), optimizers.AdamW(1e-2)
    optimizer.apply([ops.zeros(())], [weight])
    return f"{number(weight) ** 1000:.3f}"


def clipped_norm() -> float:
    weights = [keras.Variable(0.0), keras.Variable(0.0)]
    optimizer = optimizers.SGD(1.0, clipnorm=1.0)
    optimizer.apply([ops.convert_to_tensor(3.0), ops.convert_to_tensor(4.0)], weights)
    return float(np.hypot(number(weights[0]), number(weights[1])))


def penalty_gradient() -> float:
    """Return the difference of the penalty between weights of 1 and of 1 ± 0.01."""
    penalty = keras.regularizers.L2(0.01)
    return (number(penalty(ops.ones(1) * 1.01)) - number(penalty(ops.ones(1) * 0.99))) / 0.02


def sure_mistake() -> float:
    loss = losses.SparseCategoricalCrossentropy()  # of probabilities
    return number(loss(np.array([1]), ops.softmax(array([[30.0, 0.0]]))))


def weighted_loss() -> float:
    loss = losses.MeanAbsoluteError()
    return number(loss(np.zeros((2, 1)), array([[1.0], [1.0]]), array([1.0, 3.0])))


def auc() -> str:
    y, x = ours.ranked()
    return f"{number(keras.metrics.AUC()(y, x)):.3f}"


ROWS = [
    Row(
        "deviation of the first kernel of 300 inputs and 10,000 outputs, `Dense`",
        lambda: deviation(layers.Dense(10_000), None, 300),
        ours.kernel_deviation,
        GLOROT,
    ),
    Row(
        "deviation of an `Embedding` of 50 features",
        lambda: deviation(layers.Embedding(10_000, 50)),
        ours.embedding_deviation,
        UNIFORM,
    ),
    Row(
        "mean of an LSTM's first forget gates for inputs of 0",
        forget_gate,
        ours.forget_gate,
        "bias_init=jnn.initializers.forget_bias()",
    ),
    Row(
        "the state 0.5 after a step of an LSTM with an open gate: i, f, g, o",
        lambda: gates(layers.LSTM, 4),
        ours.lstm_gates,
    ),
    Row(
        "the same of a GRU: z, r, n, or r, z, n",
        lambda: gates(layers.GRU, 3),
        ours.gru_gates,
        write="gates zrn->rzn",
    ),
    Row(
        "parameters of an LSTM of 3 inputs and 4 units",
        lambda: parameters(layers.LSTM(4)),
        ours.lstm_parameters,
    ),
    Row(
        "parameters of a GRU of 3 inputs and 4 units: two biases, or one",
        lambda: parameters(layers.GRU(4)),
        ours.gru_parameters,
        'biases="ih"',
    ),
    Row(
        "`BatchNormalization` of features of deviation 0.01: deviation of the output",
        lambda: of_norm(layers.BatchNormalization(), 1e-2),
        ours.batch_norm(1e-2),
        "epsilon=1e-3",
    ),
    Row(
        "`LayerNormalization` of rows of deviation 0.01",
        lambda: of_norm(layers.LayerNormalization(), 1e-2),
        ours.layer_norm(1e-2),
        "epsilon=1e-3",
    ),
    Row(
        "moving mean after ten batches of mean 1",
        lambda: running(2, [1.0, 1.0], 10),
        ours.running_mean,
    ),
    Row(
        "variance that is averaged for two rows -1 and 1",
        lambda: running(3, [-1.0, 1.0], 1, momentum=0.0),
        ours.running_variance,
    ),
    Row(
        "kernel of a convolution from 2 to 4 channels, with a window of 3",
        lambda: str(built(layers.Conv2D(4, 3), None, 8, 8, 2).kernel.shape),
        ours.kernel_shape,
    ),
    Row(
        "outputs of a window of 3 over 8 steps: `valid`, or SAME",
        padded_size,
        ours.padded_size,
        'padding="VALID"',
    ),
    Row(
        "sums under a window of 3 with stride 2 over 0, 1, ..., 7, padding `same`",
        strided_sums,
        ours.strided_sums,
    ),
    Row(
        "a step after `Conv1DTranspose` by the kernel 1, 2, 3: turned around, or not",
        transposed,
        ours.transposed,
        write="WOI->WIO flip W",
    ),
    Row(
        "GELU of 1: exact, or by tanh",
        lambda: f"{number(keras.activations.gelu(ops.convert_to_tensor(1.0))):.4f}",
        ours.gelu_at(1.0),
        "approximate=False",
    ),
    Row(
        "`leaky_relu` of -1",
        lambda: number(keras.activations.leaky_relu(ops.convert_to_tensor(-1.0))),
        ours.leaky_relu,
        "negative_slope=0.2",
    ),
    Row("share that `Dropout(0.2)` drops", dropped, ours.dropped),
    Row(
        "cross entropy of a mistake by a logit of 30: of clipped probabilities, or of logits",
        sure_mistake,
        ours.sure_mistake,
    ),
    Row(
        "loss of two rows of loss 1 and weights 1 and 3: divided by the rows, or the weights",
        weighted_loss,
        ours.weighted_loss,
    ),
    Row(
        "first step of Adam for a gradient of 1e-6, in units of its rate: the place of epsilon",
        lambda: first_step(optimizers.Adam, 1e-6),
        ours.first_step(optax.adam, 1e-6),
    ),
    Row(
        "first step of RMSprop for a gradient of 1",
        lambda: first_step(optimizers.RMSprop, 1.0),
        ours.first_step(optax.rmsprop, 1.0),
    ),
    Row(
        "what 1000 steps of AdamW at the rate 0.01 leave of a weight: decay 0.004, or 1e-4",
        decayed,
        ours.decayed,
        "weight_decay=0.004",
    ),
    Row(
        "second step of SGD with momentum 0.9 for the gradients 1 and 0, if its rate falls from 1 "
        "to 0",
        lambda: steps_of(optimizers.SGD(momentum=0.9), [1.0, 0.0], [1.0, 0.0])[1],
        ours.step_after_the_rate_fell,
    ),
    Row(
        "norm of two gradients of 3 and 4 with `clipnorm=1`: each, or all together",
        clipped_norm,
        ours.clipped_norm,
    ),
    Row(
        "pull on a weight of 1 by `L2(0.01)`, or by 0.01 `jnn.layers.l2`",
        penalty_gradient,
        ours.penalty_gradient,
    ),
    Row(
        "area under the curve of 1000 probabilities below 0.01: by 200 thresholds, or exact",
        auc,
        ours.auc,
    ),
]
