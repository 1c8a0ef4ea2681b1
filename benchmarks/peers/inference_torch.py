"""PyTorch, eager, in inference mode; text from a cache of keys and values."""

import torch

from benchmarks import step_data, torch_models, torch_nets
from benchmarks.layer_data import INPUTS
from benchmarks.peers import torch_steps
from benchmarks.server import Prepared
from benchmarks.torch_device import DEVICE, synchronize


def prepare(function, *, members=1, **arguments):
    assert members == 1, "one after the other"
    torch.manual_seed(0)
    return Prepared(torch.inference_mode()(function(**arguments)), {})


def predict(*, network, data, **sizes):
    net = getattr(torch_steps, network)(**sizes).to(DEVICE).eval()
    x, y = step_data.batches(**data)
    xs = [torch_nets.tensors(a, b)[0].to(DEVICE) for a, b in zip(x, y, strict=True)]
    xs = [a.long() if "vocabulary" in data else a for a in xs]
    if xs[0].ndim == 4:
        net = net.to(memory_format=torch.channels_last)

    def play(calls):
        for i in range(calls):
            outputs = net(xs[i % INPUTS])
        synchronize()
        return outputs.isfinite().float().mean().item()

    return play


def generate(*, batch, time, vocabulary, width, depth, heads):
    net = torch_models.GPT(vocabulary, time, width, depth, heads).to(DEVICE).eval()

    def play(calls):
        for i in range(calls):
            ids, caches = [torch.full((batch, 1), i % INPUTS, device=DEVICE)], net.start(batch)
            for place in range(time):
                ids.append(net.decode(ids[-1], caches, place).argmax(-1))
        synchronize()
        return float(torch.cat(ids[1:], 1).numel())

    return play
