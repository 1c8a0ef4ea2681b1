"""PyTorch: the networks of all suites, the device, and the training of one network."""

import itertools
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.work import LEARNING_RATE
from benchmarks.workloads import GAN_MAPS, GAN_WIDTH, HORIZON, INPUT

torch.backends.cudnn.allow_tf32 = False  # float32 as in JAX; matrix products have it off already
DEVICE = torch.device(os.environ.get("BENCHMARKS_DEVICE", "cpu"))
_TRUNCATION = 0.87962566103423978  # standard deviation of a standard normal cut at +-2


def synchronize():
    """Wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def tensors(x, y):
    """Return rows as tensors; images [n, h, w, c] become [n, c, h, w] stored channels last."""
    inputs = torch.tensor(x, device=DEVICE)  # a copy, since rows may be read-only
    if inputs.ndim == 4:
        inputs = inputs.permute(0, 3, 1, 2)
    labels = torch.tensor(y, device=DEVICE)
    return inputs, labels if labels.is_floating_point() else labels.long()


def train(net, work, budget, learning_rate=LEARNING_RATE, weight_decay=0.0):
    """Train one network eagerly and return its test accuracy.

    Adam is fused, the rows are shuffled once an epoch, and no loader copies them.
    """
    x, y = tensors(work.train_x, work.train_y)
    options = {"lr": learning_rate, "weight_decay": weight_decay, "fused": True}
    optimizer = torch.optim.Adam(net.parameters(), **options)
    for _ in range(budget.epochs):
        order = torch.randperm(len(x), device=DEVICE)
        for rows in order.split(budget.batch_size):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return accuracy(net, work)


@torch.inference_mode()
def accuracy(net, work):
    """Return the share of the test rows that are classified correctly."""
    x, y = tensors(work.test_x, work.test_y)
    return (net(x).argmax(-1) == y).float().mean().item()


def mlp(*, sizes):
    """Return dense layers of the given widths with ReLU between them."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return _draw_lecun(nn.Sequential(*layers[:-1]))


def lenet():
    """Return the LeNet-like network: two 3x3 convolutions of 16 and 32 maps, 64 and 10 units."""
    layers = [
        *(nn.Conv2d(1, 16, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 10)),
    ]
    return _draw_lecun(nn.Sequential(*layers))


def _draw_lecun(net):
    for layer in net:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            std = math.sqrt(1 / layer.weight[0].numel()) / _TRUNCATION
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(layer.bias)
    return net


def resnet(*, depth):
    """Return the CIFAR network of depth 6 n + 2 with 16, 32 and 64 maps.

    Its shortcuts take every second pixel and add maps of zeros.
    """
    blocks = (depth - 2) // 6
    return _ResNet([16] + [16 << stage for stage in range(3) for _ in range(blocks)], _Block)


def resnet18():
    """Return the network of 64 to 512 maps; shortcuts of another shape are projections."""
    return _ResNet([64] + [64 << stage for stage in range(4) for _ in range(2)], _ProjectedBlock)


class _ResNet(nn.Module):
    """A stem for small images, a block from each number of maps to the next, a dense layer."""

    def __init__(self, maps, block):
        super().__init__()
        stem = nn.Conv2d(3, maps[0], 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(maps[0]), nn.ReLU())
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.output = nn.Linear(maps[-1], 10)

    def forward(self, x):
        """[batch, 3, height, width] -> logits."""
        return self.output(self.blocks(self.stem(x)).mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, channels, maps):
        super().__init__()
        self.stride = maps // channels
        self.added_maps = maps - channels
        self.first = nn.Conv2d(channels, maps, 3, self.stride, 1, bias=False)
        self.second = nn.Conv2d(maps, maps, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(maps), nn.BatchNorm2d(maps)])

    def forward(self, x):
        y = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        if self.added_maps:
            half = self.added_maps // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(x + y)


class _ProjectedBlock(nn.Module):
    def __init__(self, channels, maps):
        super().__init__()
        stride = maps // channels
        self.inner = nn.Sequential(
            nn.Conv2d(channels, maps, 3, stride, 1, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 3, 1, 1, bias=False),
            nn.BatchNorm2d(maps),
        )
        projection = nn.Conv2d(channels, maps, 1, stride, bias=False)
        if maps == channels:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(maps))

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
    """Embedding with learned positions, causal blocks, a last norm, the table as the last layer."""

    def __init__(self, vocabulary, time, width, depth, heads, bias=True):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.positions = nn.Parameter(0.02 * torch.randn(time, width))
        blocks = (_TransformerBlock(width, heads, causal=True, bias=bias) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width, bias=bias)

    def forward(self, x):
        """[batch, time] -> logits."""
        x = self.table(x) + self.positions[: x.shape[1]]
        return F.linear(self.norm(self.blocks(x)), self.table.weight)

    def start(self, batch):
        """Return empty keys and values of every block, [batch, heads, time, width of a head]."""
        heads = self.blocks[0].heads
        shape = (batch, heads, len(self.positions), self.table.embedding_dim // heads)

        def empty():
            return self.positions.new_zeros(shape)

        return [(empty(), empty()) for _ in self.blocks]

    def decode(self, x, caches, place):
        """[batch, 1] at one place -> logits [batch, 1, vocabulary].

        The keys and values of the place are written into `caches`.
        """
        x = self.table(x) + self.positions[place]
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block.decode(x, cache, place)
        return F.linear(self.norm(x), self.table.weight)


class ViT(nn.Module):
    """Patches of a 32x32 image and a class token with learned positions, blocks, dense."""

    def __init__(self, patch, width, depth, heads):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn((32 // patch) ** 2 + 1, width))
        blocks = (_TransformerBlock(width, heads, causal=False) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 10)

    def forward(self, x):
        """[batch, 3, 32, 32] -> logits, from the class token."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), 1, -1), x], 1) + self.positions
        return self.output(self.norm(self.blocks(x)[:, 0]))


class _TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); a causal block takes GELU by tanh."""

    def __init__(self, width, heads, causal, bias=True):
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.norms = nn.ModuleList([nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)])
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.out = nn.Linear(width, width, bias)
        widen = nn.Linear(width, 4 * width, bias)
        narrow = nn.Linear(4 * width, width, bias)
        self.mlp = nn.Sequential(widen, nn.GELU(approximate="tanh" if causal else "none"), narrow)

    def forward(self, x):
        q, k, v = self._project(x)
        return self._finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=self.causal))

    def decode(self, x, cache, place):
        q, k, v = self._project(x)
        keys, values = cache
        keys[:, :, place] = k[:, :, 0]
        values[:, :, place] = v[:, :, 0]
        k = keys[:, :, : place + 1]
        v = values[:, :, : place + 1]
        return self._finish(x, F.scaled_dot_product_attention(q, k, v))

    def _project(self, x):
        parts = self.qkv(self.norms[0](x)).chunk(3, -1)
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]

    def _finish(self, x, y):
        x = x + self.out(y.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.norms[1](x))


lstm = LSTM
gpt = GPT
vit = ViT


class DLinear(nn.Module):
    """A linear map over time of the moving average of 25 hours, and one of the rest.

    Both are shared by the channels.
    """

    def __init__(self):
        super().__init__()
        self.trend = nn.Linear(INPUT, HORIZON)
        self.rest = nn.Linear(INPUT, HORIZON)
        for layer in (self.trend, self.rest):
            nn.init.constant_(layer.weight, 1 / INPUT)

    def forward(self, x):
        """[batch, time, channels] -> [batch, horizon, channels]."""
        x = x.transpose(1, 2)
        trend = F.avg_pool1d(F.pad(x, (12, 12), mode="replicate"), 25, 1)
        return (self.trend(trend) + self.rest(x - trend)).transpose(1, 2)


class ResidualMLP(nn.Module):
    """The network 40-100-100-10 of MNIST-1D, the second hidden layer added to the first."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(40, 100)
        self.second = nn.Linear(100, 100)
        self.output = nn.Linear(100, 10)

    def forward(self, x):
        """[batch, 40] -> [batch, 10]."""
        hidden = F.relu(self.first(x))
        return self.output(hidden + F.relu(self.second(hidden)))


class GRU(nn.Module):
    """6 units in each direction over 40 points, all their outputs into one layer."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 6, batch_first=True, bidirectional=True)
        self.output = nn.Linear(480, 10)

    def forward(self, x):
        """[batch, 40] -> [batch, 10]."""
        return self.output(self.gru(x[..., None])[0].flatten(1))


def mnist1d_cnn():
    """Return three convolutions of 25 channels with stride 2."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 40)),
        *(nn.Conv1d(1, 25, 5, 2, 1), nn.ReLU()),
        *(nn.Conv1d(25, 25, 3, 2, 1), nn.ReLU()),
        *(nn.Conv1d(25, 25, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(125, 10)),
    )


MNIST1D = {
    "logistic": lambda: nn.Linear(40, 10),
    "mlp": ResidualMLP,
    "cnn": mnist1d_cnn,
    "gru": GRU,
}


def gan_mlp(latent, shape):
    """Return a generator and a discriminator of points, dense layers with ReLU between them."""
    (features,) = shape
    hidden = (GAN_WIDTH, GAN_WIDTH)
    return mlp(sizes=(latent, *hidden, features)), mlp(sizes=(features, *hidden, 1))


def dcgan(latent, shape):
    """Return the DCGAN pair for images [channels, 28, 28], stored channels last."""
    channels = shape[0]
    few, many = GAN_MAPS, 2 * GAN_MAPS
    options = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}
    generator = nn.Sequential(
        nn.Linear(latent, 49 * many, bias=False),
        nn.Unflatten(1, (many, 7, 7)),
        *(nn.BatchNorm2d(many), nn.ReLU(), nn.ConvTranspose2d(many, few, **options)),
        *(nn.BatchNorm2d(few), nn.ReLU(), nn.ConvTranspose2d(few, channels, **options)),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(channels, few, **options), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Conv2d(few, many, **options), nn.BatchNorm2d(many), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Flatten(), nn.Linear(49 * many, 1, bias=False)),
    )
    for net in (generator, discriminator):
        for layer in net:
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
            elif hasattr(layer, "weight"):
                nn.init.normal_(layer.weight, 0.0, 0.02)
        net.to(memory_format=torch.channels_last)
    return generator, discriminator


GANS = {"gan_mlp": gan_mlp, "dcgan": dcgan}
