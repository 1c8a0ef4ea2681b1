"""PyTorch: a training step of one network, eager, fused Adam."""

import torch
from torch import nn

from benchmarks import step_data, torch_models, torch_nets
from benchmarks.layer_data import INPUTS
from benchmarks.server import Prepared
from benchmarks.torch_device import DEVICE


def prepare(function, *, data, members=1, compiled=False, precision="float32", **sizes):
    assert members == 1, "one after the other"
    torch.manual_seed(0)
    net = function(**sizes).to(DEVICE)
    x, y = step_data.batches(**data)
    xs = [torch_nets.tensors(a, b)[0].to(DEVICE) for a, b in zip(x, y, strict=True)]
    xs = [a.long() if "vocabulary" in data else a for a in xs]
    ys = [torch.from_numpy(a).long().to(DEVICE) for a in y]
    if xs[0].ndim == 4:
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=step_data.LEARNING_RATE, fused=True)

    def loss_of(x, y):
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = net(x).float()
        return nn.functional.cross_entropy(outputs.flatten(0, -2), y.flatten())

    call = torch.compile(loss_of) if compiled else loss_of

    def play(calls):
        for i in range(calls):
            optimizer.zero_grad(set_to_none=True)
            loss = call(xs[i % INPUTS], ys[i % INPUTS])
            loss.backward()
            optimizer.step()
        return loss.item()

    return Prepared(play, {})


def mlp(*, sizes):
    return torch_nets.mlp(tuple(sizes))


def lenet():
    return torch_nets.lenet()


def resnet(*, depth):
    return torch_models.thin_resnet(depth)


def resnet18():
    return torch_models.resnet18()


def lstm(*, vocabulary, width):
    return torch_models.LSTM(vocabulary, width)


def gpt(*, vocabulary, time, width, depth, heads):
    return torch_models.GPT(vocabulary, time, width, depth, heads)


def vit(*, patch, width, depth, heads):
    return torch_models.ViT(patch, width, depth, heads)
