"""The functions of PyTorch, eager; x is channels last, so images are views [n, c, h, w] stored channels last."""

import torch
from torch.nn import functional as F

from benchmarks import torch_loops

prepare = torch_loops.layer


def conv(params, x, *, strides=1):
    kernel = params["kernel"]
    window, places = kernel.shape[2:], [-(-n // strides) for n in x.shape[1:-1]]
    short = [
        max((p - 1) * strides + w - n, 0)
        for p, w, n in zip(places, window, x.shape[1:-1], strict=True)
    ]
    x = x.movedim(-1, 1)
    if all(s % 2 == 0 for s in short):
        padding = [s // 2 for s in short]
    else:  # one more row after than before
        x = F.pad(x, [p for s in reversed(short) for p in (s // 2, s - s // 2)])
        padding = 0
    function = F.conv2d if x.ndim == 4 else F.conv1d
    return function(x, kernel, stride=strides, padding=padding).movedim(1, -1)


def dense(params, x):
    return F.linear(x, params["kernel"], params["bias"])


def lstm(params, x):
    h = x.new_zeros(1, len(x), params["recurrent_kernel"].shape[1])
    return torch.lstm(x, (h, h), _flat(params), True, 1, 0.0, torch.is_grad_enabled(), False, True)[
        0
    ]


def gru(params, x):
    h = x.new_zeros(1, len(x), params["recurrent_kernel"].shape[1])
    return torch.gru(x, h, _flat(params), True, 1, 0.0, torch.is_grad_enabled(), False, True)[0]


def attention(params, x, *, causal=False):
    q, k, v = (a.transpose(1, 2) for a in x)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def layer_norm(params, x):
    return F.layer_norm(x, x.shape[-1:], params["scale"], params["bias"], eps=1e-6)


def rms_norm(params, x):
    return F.rms_norm(x, x.shape[-1:], params["scale"], eps=1e-6)


def batch_norm(params, x):
    y = F.batch_norm(x.movedim(-1, 1), None, None, params["scale"], params["bias"], training=True)
    return y.movedim(1, -1)


def group_norm(params, x, *, groups):
    return F.group_norm(
        x.movedim(-1, 1), groups, params["scale"], params["bias"], eps=1e-6
    ).movedim(1, -1)


def max_pool(params, x):
    return F.max_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)


def avg_pool(params, x):
    return F.avg_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)


def dropout(params, x, *, rate):
    return F.dropout(x, rate)


def embedding(params, x):
    return F.embedding(x, params["table"])


def _flat(params):
    """Weights in PyTorch's order; jnn's LSTM has one bias, PyTorch's always two."""
    bias = params["bias"]
    return [
        params["input_kernel"],
        params["recurrent_kernel"],
        bias,
        params.get("recurrent_bias", torch.zeros_like(bias)),
    ]
