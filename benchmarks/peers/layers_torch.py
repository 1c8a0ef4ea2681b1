"""PyTorch: the layers in a Python loop, eager or by `torch.compile`.

x is channels last, so images are views [n, c, h, w] stored channels last. Every call works on a
copy of its input, which a training loop would gather.
"""

import functools

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import calls
from benchmarks.calls import INPUTS, Call
from benchmarks.peers.nets_torch import DEVICE, synchronize


def call(
    *, layer, x, params=None, options=None, vocabulary=0, backward=False, members=1, compiled=False
):
    """Prepare calls of `layer(params, x, **options) -> y`; kernels come as (out, in, *window)."""
    if members != 1:
        raise ValueError(f"members must be 1, got {members}. PyTorch calls one after the other.")
    function = functools.partial(globals()[layer], **(options or {}))
    if compiled:
        function = torch.compile(function)
    arrays = calls.parameters(params or {})
    values = {name: _as_torch(name, array) for name, array in arrays.items()}
    for value in values.values():
        value.requires_grad_(backward)
    inputs = torch.from_numpy(calls.inputs(x, vocabulary)).to(DEVICE)
    if vocabulary:
        inputs = inputs.long()
    with torch.no_grad():
        y = function(values, inputs[0])
    w = torch.from_numpy(calls.cotangent(y.shape)).to(DEVICE)
    if backward:
        one_call = _make_backward(function, values, w, differentiable=not vocabulary)
    else:
        one_call = _make_forward(function, values)

    def play(count):
        for i in range(count):
            loss, out = one_call(inputs[(count - 1 - i) % INPUTS].clone())
        synchronize()
        return [calls.score(loss, out.detach().cpu().numpy())]

    return Call(play)


def _make_forward(function, params):
    @torch.inference_mode()
    def one_call(x):
        return 0.0, function(params, x)

    return one_call


def _make_backward(function, params, w, differentiable):
    """Make a call with the gradient of sum(y w), and a step of size 0 against it.

    The gradient is that of backward(w), which is cheaper here than the sum.
    """
    nothing = torch.zeros(1, device=DEVICE)

    def one_call(x):
        x.requires_grad_(differentiable)
        y = function(params, x)
        y.backward(w)
        with torch.no_grad():
            for p in params.values():
                p.add_(p.grad, alpha=0.0)
                p.grad = None
        return _LazySum(y, w), x.grad if differentiable else nothing

    return one_call


class _LazySum:
    """The loss sum(y w), computed when it is asked for."""

    def __init__(self, y, w):
        self.y = y
        self.w = w

    def __float__(self):
        return float((self.y.detach() * self.w).sum())


def _as_torch(name, value):
    """Return a kernel (*window, in, out) as (out, in, *window), any other array as it is."""
    if not name.endswith("kernel"):
        return torch.from_numpy(value).to(DEVICE)
    order = (value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))
    tensor = torch.from_numpy(np.ascontiguousarray(value.transpose(order))).to(DEVICE)
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def conv(params, x, *, strides=1):
    kernel = params["kernel"]
    places = [-(-n // strides) for n in x.shape[1:-1]]
    sides = zip(places, kernel.shape[2:], x.shape[1:-1], strict=True)
    missing = [max((p - 1) * strides + w - n, 0) for p, w, n in sides]
    x = x.movedim(-1, 1)
    padding = [n // 2 for n in missing]
    if any(n % 2 for n in missing):  # one more row after than before
        x = F.pad(x, [p for n in reversed(missing) for p in (n // 2, n - n // 2)])
        padding = 0
    function = F.conv2d if x.ndim == 4 else F.conv1d
    return function(x, kernel, stride=strides, padding=padding).movedim(1, -1)


def dense(params, x):
    return F.linear(x, params["kernel"], params["bias"])


def lstm(params, x):
    h = x.new_zeros(1, len(x), params["recurrent_kernel"].shape[1])
    training = torch.is_grad_enabled()
    return torch.lstm(x, (h, h), _weights(params), True, 1, 0.0, training, False, True)[0]


def gru(params, x):
    h = x.new_zeros(1, len(x), params["recurrent_kernel"].shape[1])
    training = torch.is_grad_enabled()
    return torch.gru(x, h, _weights(params), True, 1, 0.0, training, False, True)[0]


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
    y = F.group_norm(x.movedim(-1, 1), groups, params["scale"], params["bias"], eps=1e-6)
    return y.movedim(1, -1)


def max_pool(params, x):
    return F.max_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)


def avg_pool(params, x):
    return F.avg_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)


def dropout(params, x, *, rate):
    return F.dropout(x, rate)


def embedding(params, x):
    return F.embedding(x, params["table"])


def _weights(params):
    """Return the weights in PyTorch's order; jnn's LSTM has one bias, PyTorch's always two."""
    bias = params["bias"]
    return [
        params["input_kernel"],
        params["recurrent_kernel"],
        bias,
        params.get("recurrent_bias", torch.zeros_like(bias)),
    ]
