"""The rows of the table of defaults in `docs/from_pytorch.md`; see `differences`."""

import math
import warnings

import numpy as np
import optax
import torch
from torch import nn

from docs._generate import our_defaults as ours
from docs._generate.differences import Row

UNIFORM = 'kernel_init=jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")'
torch.manual_seed(0)


def number(tensor: torch.Tensor) -> float:
    return tensor.detach().item()


def of_norm(layer: nn.Module, deviation: float) -> float:
    x = torch.tensor(ours.of_deviation(deviation))
    return number(layer(x).std(correction=0))


def running(name: str, x: list[float], times: int, **options) -> float:
    norm = nn.BatchNorm1d(1, **options)
    for _ in range(times):
        norm(torch.tensor(x)[:, None])
    return number(getattr(norm, name)[0])


def convolved(layer: nn.Module, weight: list[float], x: np.ndarray) -> list[float]:
    layer.weight.data = torch.tensor(weight).reshape(1, 1, -1)
    return layer(torch.tensor(x).reshape(1, 1, -1)).detach().ravel().tolist()


def first_step(make, gradient: float) -> float:
    """Return the size of the first step of an optimizer, in units of its rate."""
    weight = nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = make([weight], lr=1e-3)
    weight.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
    return (1 - weight.item()) / 1e-3


def decayed() -> str:
    weight = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.AdamW([weight], lr=1e-2)
    for _ in range(1000):
        weight.grad = torch.zeros(())
        optimizer.step()
    return f"{weight.item():.3f}"


def decay_of_sgd() -> float:
    weight = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD([weight], lr=1.0, weight_decay=0.01)
    weight.grad = torch.zeros(())
    optimizer.step()
    return 1 - weight.item()


def last_batch() -> int:
    dataset = torch.utils.data.TensorDataset(torch.zeros(100))
    return [len(batch) for (batch,) in torch.utils.data.DataLoader(dataset, 32)][-1]


def after_the_rate_fell() -> float:
    weight = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    for gradient, rate in [(1.0, 1.0), (0.0, 0.0)]:
        before = weight.item()
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    return weight.item() - before


def weighted_loss() -> float:
    """Return the cross entropy of two rows of equal logits, in units of log 2."""
    weight = torch.tensor([1.0, 3.0])
    loss = nn.functional.cross_entropy(torch.zeros(2, 2), torch.tensor([0, 1]), weight)
    return number(loss) / math.log(2)


def gates(kind: type, count: int) -> list[float]:
    def step(bias: np.ndarray) -> float:
        layer = kind(1, 1)
        zeros = {name: torch.zeros_like(array) for name, array in layer.state_dict().items()}
        layer.load_state_dict({**zeros, "bias_ih_l0": torch.tensor(bias)})
        half = torch.full((1, 1), 0.5)
        carry = (half, half) if count == 4 else half
        return number(layer(torch.zeros(1, 1), carry)[0][0, 0])

    return ours.open_gates(count, step)


def dropped() -> str:
    return f"{number((nn.Dropout(0.2)(torch.ones(100_000)) == 0).float().mean()):.1f}"


def divergence() -> float:
    """Return the mean over entries, of which PyTorch warns that it may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        uniform = torch.full((4, 10), 0.1)
        return number(nn.KLDivLoss()(uniform.log(), torch.eye(10)[:4]))


ONES = np.ones(8, np.float32)
RAMP = np.arange(8, dtype=np.float32)

ROWS = [
    Row(
        "deviation of the first kernel of 300 inputs, `Linear` or `Conv`",
        lambda: number(nn.Linear(300, 10_000).weight.std()),
        ours.kernel_deviation,
        UNIFORM,
    ),
    Row(
        "deviation of its bias",
        lambda: number(nn.Linear(300, 10_000).bias.std()),
        ours.bias_deviation,
    ),
    Row(
        "deviation of an `Embedding` of 50 features",
        lambda: number(nn.Embedding(10_000, 50).weight.std()),
        ours.embedding_deviation,
        "embedding_init=jax.nn.initializers.normal(1.0)",
    ),
    Row(
        "deviation of the recurrent kernel of an LSTM of 100 units",
        lambda: number(nn.LSTM(8, 100).state_dict()["weight_hh_l0"].std()),
        ours.recurrent_deviation,
        UNIFORM.replace("kernel_init", "recurrent_kernel_init", 1),
    ),
    Row(
        "the state 0.5 after a step of an LSTM with an open gate: i, f, g, o",
        lambda: gates(nn.LSTM, 4),
        ours.lstm_gates,
    ),
    Row(
        "the same of a GRU: r, z, n",
        lambda: gates(nn.GRU, 3),
        ours.gru_gates,
    ),
    Row(
        "parameters of an LSTM of 3 inputs and 4 units: two biases, or one",
        lambda: sum(p.numel() for p in nn.LSTM(3, 4).parameters()),
        ours.lstm_parameters,
        'biases="ih"',
    ),
    Row(
        "`LayerNorm` of rows of deviation 0.001: deviation of the output",
        lambda: of_norm(nn.LayerNorm(8), 1e-3),
        ours.layer_norm(1e-3),
        "epsilon=1e-5",
    ),
    Row(
        "`RMSNorm` of the same rows",
        lambda: of_norm(nn.RMSNorm(8), 1e-3),
        ours.rms_norm(1e-3),
        "epsilon=1.19e-7",
    ),
    Row(
        "`BatchNorm` of features of deviation 0.001",
        lambda: of_norm(nn.BatchNorm1d(8), 1e-3),
        ours.batch_norm(1e-3),
    ),
    Row(
        "running mean after ten batches of mean 1: momentum 0.1 for the new, or 0.99 for the old",
        lambda: running("running_mean", [1.0, 1.0], 10),
        ours.running_mean,
        "momentum=0.9",
    ),
    Row(
        "variance that is averaged for two rows -1 and 1: over n - 1, or n",
        lambda: running("running_var", [-1.0, 1.0], 1, momentum=1.0),
        ours.running_variance,
    ),
    Row(
        "rows in the statistics of the last batch, of 100 rows in batches of 32",
        last_batch,
        ours.last_batch,
    ),
    Row(
        "kernel of a convolution from 2 to 4 channels, with a window of 3",
        lambda: str(tuple(nn.Conv2d(2, 4, 3).weight.shape)),
        ours.kernel_shape,
        write="OIHW->HWIO",
    ),
    Row(
        "outputs of a window of 3 over 8 steps: no padding, or SAME",
        lambda: nn.Conv1d(1, 1, 3)(torch.zeros(1, 1, 8)).shape[-1],
        ours.padded_size,
        'padding="VALID"',
    ),
    Row(
        "sums under a window of 3 with stride 2 over 0, 1, ..., 7: `padding=1`, or SAME",
        lambda: convolved(nn.Conv1d(1, 1, 3, 2, padding=1, bias=False), [1.0] * 3, RAMP),
        ours.strided_sums,
        "padding=[(1, 1)]",
    ),
    Row(
        "mean of ones at the padded edge of a window of 3, `AvgPool1d`",
        lambda: number(nn.AvgPool1d(3, padding=1)(torch.ones(1, 1, 8))[0, 0, 0]),
        ours.corner_mean,
        "count_padding=True",
    ),
    Row(
        "a step after `ConvTranspose1d` by the kernel 1, 2, 3: turned around, or not",
        lambda: convolved(nn.ConvTranspose1d(1, 1, 3, bias=False), [1.0, 2.0, 3.0], ONES[:1]),
        ours.transposed,
        write="IOW->WIO flip W",
    ),
    Row(
        "GELU of 1: exact, or by tanh",
        lambda: f"{number(nn.functional.gelu(torch.tensor(1.0))):.4f}",
        ours.gelu_at(1.0),
        "approximate=False",
    ),
    Row("share that `Dropout(0.2)` drops", dropped, ours.dropped),
    Row(
        "`KLDivLoss` of a uniform prediction of 10 classes: mean over entries, or rows",
        divergence,
        ours.divergence,
    ),
    Row(
        "loss of two rows of loss 1 and weights of classes 1 and 3: divided by the weights",
        weighted_loss,
        ours.weighted_loss,
    ),
    Row(
        "first step of Adam for a gradient of 1e-8, in units of its rate",
        lambda: first_step(torch.optim.Adam, 1e-8),
        ours.first_step(optax.adam, 1e-8),
    ),
    Row(
        "second step of SGD with momentum 0.9 for the gradients 1 and 0, if its rate falls from 1 "
        "to 0",
        after_the_rate_fell,
        ours.step_after_the_rate_fell,
    ),
    Row(
        "first step of RMSprop for a gradient of 1: decay 0.99, or 0.9",
        lambda: first_step(torch.optim.RMSprop, 1.0),
        ours.first_step(optax.rmsprop, 1.0),
        "decay=0.99, eps_in_sqrt=False",
    ),
    Row(
        "what 1000 steps of AdamW at the rate 0.01 leave of a weight: decay 1e-2, or 1e-4",
        decayed,
        ours.decayed,
        "weight_decay=1e-2",
    ),
    Row(
        "pull on a weight of 1 by `weight_decay=0.01`, or by 0.01 `jnn.layers.l2`",
        decay_of_sgd,
        ours.penalty_gradient,
        "scale=0.5",
        write="penalty=lambda params, h: 0.01 / 2 * jnn.layers.l2(params)",
    ),
]
