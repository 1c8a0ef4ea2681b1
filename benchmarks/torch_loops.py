"""How a layer is called in PyTorch: a Python loop on copies of the inputs, which a training loop would gather."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks import layer_data
from benchmarks.layer_data import INPUTS, Shape
from benchmarks.server import Prepared
from benchmarks.torch_device import DEVICE, synchronize


def layer(
    function: Callable,
    *,
    x: Shape,
    params: Mapping[str, Shape] | None = None,
    options: Mapping[str, Any] | None = None,
    vocabulary: int = 0,
    backward: bool = False,
    members: int = 1,
    compiled: bool = False,
) -> Prepared:
    """Prepares calls of `function(params, x, **options) -> y`; kernels come as (out, in, *window)."""
    assert members == 1, "one after the other"
    function = functools.partial(function, **(options or {}))
    function = torch.compile(function) if compiled else function
    values = {
        k: _as_torch(k, v).requires_grad_(backward)
        for k, v in layer_data.params(params or {}).items()
    }
    inputs = torch.from_numpy(layer_data.inputs(x, vocabulary)).to(DEVICE)
    inputs = inputs.long() if vocabulary else inputs
    with torch.no_grad():
        y = function(values, inputs[0])
    w = torch.from_numpy(layer_data.cotangent(y.shape)).to(DEVICE)
    call = (
        _make_backward(function, values, w, not vocabulary)
        if backward
        else _make_forward(function, values)
    )

    def play(calls):
        for i in range(calls):
            loss, out = call(inputs[(calls - 1 - i) % INPUTS].clone())
        synchronize()
        return layer_data.score(loss, out.detach().cpu().numpy())

    return Prepared(play, {})


def _make_forward(function, params):
    @torch.inference_mode()
    def call(x):
        return 0.0, function(params, x)

    return call


def _make_backward(function, params, w, differentiable):
    """The gradient of sum(y w) by backward(w), which is cheaper here than the sum; a step of size 0 against it."""
    nothing = torch.zeros(1, device=DEVICE)

    def call(x):
        x.requires_grad_(differentiable)
        y = function(params, x)
        y.backward(w)
        with torch.no_grad():
            for p in params.values():
                p.add_(p.grad, alpha=0.0)
                p.grad = None
        return _Later(y, w), x.grad if differentiable else nothing

    return call


class _Later:
    """The loss, summed when it is asked for."""

    def __init__(self, y, w):
        self.y, self.w = y, w

    def __float__(self) -> float:
        return float((self.y.detach() * self.w).sum())


def _as_torch(name: str, value: np.ndarray) -> torch.Tensor:
    """A kernel (*window, in, out) as (out, in, *window), which PyTorch's functions want."""
    if not name.endswith("kernel"):
        return torch.from_numpy(value).to(DEVICE)
    order = (value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))
    tensor = torch.from_numpy(np.ascontiguousarray(value.transpose(order))).to(DEVICE)
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
