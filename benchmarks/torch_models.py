"""The networks of the suite `step` in PyTorch, with the sizes that jnn's have."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F


class ResNet(nn.Module):
    """A stem for small images, a block from each number of maps to the next, the mean over pixels, a dense layer."""

    def __init__(self, maps, block):
        super().__init__()
        stem = nn.Conv2d(3, maps[0], 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(maps[0]), nn.ReLU())
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.output = nn.Linear(maps[-1], 10)

    def forward(self, x):
        """[batch, 3, height, width] -> logits."""
        return self.output(self.blocks(self.stem(x)).mean((2, 3)))


def thin_resnet(depth):
    """The CIFAR network of depth 6 n + 2: 16, 32, 64 maps; shortcuts take every second pixel and add maps of zeros."""
    return ResNet(
        [16] + [16 << stage for stage in range(3) for _ in range((depth - 2) // 6)], _Block
    )


def resnet18():
    """The network of 64 to 512 maps; shortcuts of another shape are projections."""
    return ResNet([64] + [64 << stage for stage in range(4) for _ in range(2)], _Projected)


class _Block(nn.Module):
    def __init__(self, channels, maps):
        super().__init__()
        self.stride, self.more = maps // channels, maps - channels
        self.first = nn.Conv2d(channels, maps, 3, self.stride, 1, bias=False)
        self.second = nn.Conv2d(maps, maps, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(maps), nn.BatchNorm2d(maps)])

    def forward(self, x):
        y = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        if self.more:
            x = F.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, self.more // 2, self.more // 2),
            )
        return F.relu(x + y)


class _Projected(nn.Module):
    def __init__(self, channels, maps):
        super().__init__()
        stride = maps // channels
        self.inner = nn.Sequential(
            nn.Conv2d(channels, maps, 3, stride, 1, bias=False), nn.BatchNorm2d(maps), nn.ReLU(),
            nn.Conv2d(maps, maps, 3, 1, 1, bias=False), nn.BatchNorm2d(maps),
        )  # fmt: skip
        projection = nn.Sequential(
            nn.Conv2d(channels, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)
        )
        self.shortcut = nn.Identity() if maps == channels else projection

    def forward(self, x):
        return F.relu(self.shortcut(x) + self.inner(x))


class LSTM(nn.Module):
    """Embedding, one LSTM layer, dense."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, x):
        """[batch, time] -> logits."""
        return self.output(self.lstm(self.table(x))[0])


class GPT(nn.Module):
    """Embedding with learnt positions, causal blocks, a last norm, and the table again as the last layer."""

    def __init__(self, vocabulary, time, width, depth, heads, bias=True):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.positions = nn.Parameter(0.02 * torch.randn(time, width))
        self.blocks = nn.Sequential(
            *(_Attending(width, heads, causal=True, bias=bias) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, bias=bias)

    def forward(self, x):
        """[batch, time] -> logits."""
        x = self.table(x) + self.positions[: x.shape[1]]
        return F.linear(self.norm(self.blocks(x)), self.table.weight)

    def start(self, batch):
        """Empty keys and values of every block, [batch, heads, time, width of a head]."""
        heads = self.blocks[0].heads
        shape = batch, heads, len(self.positions), self.table.embedding_dim // heads
        return [
            (self.positions.new_zeros(shape), self.positions.new_zeros(shape)) for _ in self.blocks
        ]

    def decode(self, x, caches, place):
        """[batch, 1] at one place -> logits [batch, 1, vocabulary]; writes its keys and values into `caches`."""
        x = self.table(x) + self.positions[place]
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block.decode(x, cache, place)
        return F.linear(self.norm(x), self.table.weight)


class ViT(nn.Module):
    """Patches of a 32x32 image and a class token with learnt positions, blocks, dense on the class token."""

    def __init__(self, patch, width, depth, heads):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn((32 // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(_Attending(width, heads, causal=False) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 10)

    def forward(self, x):
        """[batch, 3, 32, 32] -> logits."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), 1, -1), x], 1) + self.positions
        return self.output(self.norm(self.blocks(x)[:, 0]))


class _Attending(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) with four times the width and GELU, in GPT by tanh."""

    def __init__(self, width, heads, causal, bias=True):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norms = nn.ModuleList([nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)])
        self.qkv, self.out = nn.Linear(width, 3 * width, bias), nn.Linear(width, width, bias)
        widen, narrow = nn.Linear(width, 4 * width, bias), nn.Linear(4 * width, width, bias)
        self.mlp = nn.Sequential(widen, nn.GELU(approximate="tanh" if causal else "none"), narrow)

    def forward(self, x):
        q, k, v = self._projected(x)
        return self._after(x, F.scaled_dot_product_attention(q, k, v, is_causal=self.causal))

    def decode(self, x, cache, place):
        q, *new = self._projected(x)
        for kept, a in zip(cache, new, strict=True):
            kept[:, :, place] = a[:, :, 0]
        k, v = (kept[:, :, : place + 1] for kept in cache)
        return self._after(x, F.scaled_dot_product_attention(q, k, v))

    def _projected(self, x):
        return [
            a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for a in self.qkv(self.norms[0](x)).chunk(3, -1)
        ]

    def _after(self, x, y):
        x = x + self.out(y.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.norms[1](x))
